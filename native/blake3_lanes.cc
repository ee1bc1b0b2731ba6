// The BLAKE3 compression function over 4, 8 or 16 inputs at once, one in each lane of a vector.
//
// This file is compiled once for each instruction set, with BLAKE3_LANES its widest vector in 32-bit words. It calls
// nothing and includes nothing that has code of its own: an inline function instantiated here with AVX could be the copy
// the linker keeps for everybody. Vectors are the extension that gcc and clang share, so no intrinsics.
#include "blake3_lanes.h"

#include <string.h>

#include <utility>

#define JOIN(a, b) a##b
#define NAMED(prefix, width) JOIN(prefix, width)
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLEVECTOR 1
#endif
#endif

namespace {

using namespace blake3;

template <int L>
struct Lanes {
  typedef uint32_t Words __attribute__((vector_size(4 * L)));
  typedef uint8_t Bytes __attribute__((vector_size(4 * L)));

  static inline Words all(uint32_t value) { return value - Words{}; }

  /** Elements of a and b (numbered on after a's) in the order of the indices. */
  template <class Vector, int... index>
  static inline Vector shuffle(Vector a, Vector b) {
#ifdef HAS_SHUFFLEVECTOR
    return __builtin_shufflevector(a, b, index...);
#else
    return __builtin_shuffle(a, b, Vector{index...});  // gcc before 12
#endif
  }

  // One butterfly of a transposition: of each pair of rows `step` apart, swap the off-diagonal elements.
  template <int step, int... i>
  static inline void swap(Words &a, Words &b, std::integer_sequence<int, i...>) {
    const Words low = shuffle<Words, (i & step ? L + (i ^ step) : i)...>(a, b);
    b = shuffle<Words, (i & step ? L + i : (i ^ step))...>(a, b);
    a = low;
  }
  template <int step>
  static inline void butterflies(Words *rows) {
    for (int i = 0; i < L; i++)
      if (!(i & step)) swap<step>(rows[i], rows[i + step], std::make_integer_sequence<int, L>{});
  }
  /** L rows of L words become L columns. */
  static inline void transpose(Words *rows) {
    if constexpr (L >= 16) butterflies<8>(rows);
    if constexpr (L >= 8) butterflies<4>(rows);
    butterflies<2>(rows);
    butterflies<1>(rows);
  }

  template <int bits, int... i>
  static inline Words rotateBytes(Words x, std::integer_sequence<int, i...>) {
    const Bytes b = (Bytes)x;
    return (Words)shuffle<Bytes, ((i & ~3) | ((i + bits / 8) & 3))...>(b, b);
  }
  template <int bits>
  static inline Words rotate(Words x) {
#ifndef __AVX512VL__  // which has a rotate; elsewhere a byte shuffle is one instruction and shifting takes three
    if constexpr (bits % 8 == 0) return rotateBytes<bits>(x, std::make_integer_sequence<int, 4 * L>{});
#endif
    return (x >> bits) | (x << (32 - bits));
  }

  static inline void mix(Words &a, Words &b, Words &c, Words &d, Words x, Words y) {
    a += b + x;
    d = rotate<16>(d ^ a);
    c += d;
    b = rotate<12>(b ^ c);
    a += b + y;
    d = rotate<8>(d ^ a);
    c += d;
    b = rotate<7>(b ^ c);
  }

  template <int round>
  static inline void rounds(Words *v, const Words *m) {
    constexpr const uint8_t *s = kSchedule.word[round];
    mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
    mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
    mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
    mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
    mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
    mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
    mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
    mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
    if constexpr (round < 6) rounds<round + 1>(v, m);
  }

  /** Stores word `i` of every lane's value, h[i], as 32 bytes for each of the first `count` lanes. */
  static inline void store(Words *h, size_t count, uint8_t *out) {
    constexpr int rows = L == 16 ? 16 : 8;
    Words t[rows] = {};
    for (int i = 0; i < 8; i++) t[i] = h[i];
    constexpr int wide = L < 8 ? L : 8;  // words of one value that a row holds after transposing
    for (int group = 0; group < 8; group += wide) {
      transpose(t + group);
      for (size_t i = 0; i < count; i++) memcpy(out + 32 * i + 4 * group, &t[group + i], 4 * wide);
    }
  }

  static inline void run(const Batch &batch, size_t count, uint8_t *out) {
    // Lanes without an input of their own repeat the last one; their values are not stored.
    const uint8_t *inputs[L];
    uint32_t low[L], high[L];
    for (size_t i = 0; i < L; i++) {
      const size_t input = i < count ? i : count - 1;
      const uint64_t counter = batch.counter + (batch.counting ? input : 0);
      inputs[i] = batch.data + input * batch.stride;
      low[i] = static_cast<uint32_t>(counter);
      high[i] = static_cast<uint32_t>(counter >> 32);
    }
    Words h[8], counterLow, counterHigh;
    for (int i = 0; i < 8; i++) h[i] = all(batch.key[i]);
    memcpy(&counterLow, low, sizeof counterLow);
    memcpy(&counterHigh, high, sizeof counterHigh);
    for (int block = 0; block < batch.blocks; block++) {
      Words m[16], v[16];
      for (int group = 0; group < 16; group += L) {
        for (int i = 0; i < L; i++) memcpy(&m[group + i], inputs[i] + 64 * block + 4 * group, sizeof(Words));
        transpose(m + group);
      }
      for (int i = 0; i < 8; i++) v[i] = h[i];
      for (int i = 0; i < 4; i++) v[8 + i] = all(kIv[i]);
      v[12] = counterLow;
      v[13] = counterHigh;
      v[14] = all(64);
      v[15] = all(batch.flags | (block == 0 ? batch.first : 0) | (block == batch.blocks - 1 ? batch.last : 0));
      rounds<0>(v, m);
      for (int i = 0; i < 8; i++) h[i] = v[i] ^ v[8 + i];
    }
    store(h, count, out);
  }
};

}  // namespace

namespace blake3 {
namespace NAMED(lanes, BLAKE3_LANES) {

void run4(const Batch &batch, size_t count, uint8_t *out) { Lanes<4>::run(batch, count, out); }
#if BLAKE3_LANES >= 8
void run8(const Batch &batch, size_t count, uint8_t *out) { Lanes<8>::run(batch, count, out); }
#endif
#if BLAKE3_LANES >= 16
void run16(const Batch &batch, size_t count, uint8_t *out) { Lanes<16>::run(batch, count, out); }
#endif

}  // namespace NAMED(lanes, BLAKE3_LANES)
}  // namespace blake3
