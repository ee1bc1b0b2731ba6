// The BLAKE3 tree, built level by level, and the choice of the kernel that computes it.
#include "blake3.h"

#include <string.h>

#include <atomic>
#include <memory>

#include "blake3_lanes.h"

namespace blake3 {
namespace {

/** The widths a level offers, narrowest first; null where it stops. */
struct Kernels {
  Kernel *run4, *run8, *run16;
};

#ifdef __x86_64__
constexpr Kernels kKernels[] = {
    {nullptr, nullptr, nullptr},
    {lanes4::run4, nullptr, nullptr},
    {lanes8::run4, lanes8::run8, nullptr},
    {lanes16::run4, lanes16::run8, lanes16::run16},
};
#else
constexpr Kernels kKernels[] = {{nullptr, nullptr, nullptr}, {lanes4::run4, nullptr, nullptr}};
#endif

/** The best level of this processor, the system's part (saved registers) included. */
int best() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return 3;
  if (__builtin_cpu_supports("avx2")) return 2;
  return __builtin_cpu_supports("sse4.1") ? 1 : 0;
#else
  return 1;
#endif
}

std::atomic<int> &chosen() {
  static std::atomic<int> value{best()};
  return value;
}

uint32_t rotate(uint32_t x, int bits) { return (x >> bits) | (x << (32 - bits)); }

/** Section 2.2, one block; `out` may be `value`. */
void compress(const uint32_t value[8], const uint8_t *block, uint32_t length, uint64_t counter, uint32_t flags,
              uint32_t out[8]) {
  uint32_t m[16], v[16];
  memcpy(m, block, 64);
  memcpy(v, value, 32);
  memcpy(v + 8, kIv, 16);
  v[12] = static_cast<uint32_t>(counter);
  v[13] = static_cast<uint32_t>(counter >> 32);
  v[14] = length;
  v[15] = flags;
  const auto mix = [&v](int a, int b, int c, int d, uint32_t x, uint32_t y) __attribute__((always_inline)) {
    v[a] += v[b] + x;
    v[d] = rotate(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotate(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 7);
  };
  const auto round = [&](const uint8_t *s) __attribute__((always_inline)) {
    mix(0, 4, 8, 12, m[s[0]], m[s[1]]);
    mix(1, 5, 9, 13, m[s[2]], m[s[3]]);
    mix(2, 6, 10, 14, m[s[4]], m[s[5]]);
    mix(3, 7, 11, 15, m[s[6]], m[s[7]]);
    mix(0, 5, 10, 15, m[s[8]], m[s[9]]);
    mix(1, 6, 11, 12, m[s[10]], m[s[11]]);
    mix(2, 7, 8, 13, m[s[12]], m[s[13]]);
    mix(3, 4, 9, 14, m[s[14]], m[s[15]]);
  };
  round(kSchedule.word[0]);  // written out, so that the compiler knows every index
  round(kSchedule.word[1]);
  round(kSchedule.word[2]);
  round(kSchedule.word[3]);
  round(kSchedule.word[4]);
  round(kSchedule.word[5]);
  round(kSchedule.word[6]);
  for (int i = 0; i < 8; i++) out[i] = v[i] ^ v[i + 8];
}

/** One chunk of 0 to 1024 bytes; `last` is set on its last block besides kChunkEnd. */
void chunk(const uint8_t *data, size_t length, const uint32_t *key, uint32_t mode, uint64_t counter, uint32_t last,
           uint8_t *out) {
  uint32_t value[8], start = kChunkStart;
  memcpy(value, key, 32);
  for (; length > 64; data += 64, length -= 64, start = 0) compress(value, data, 64, counter, mode | start, value);
  uint8_t block[64] = {};
  if (length > 0) memcpy(block, data, length);
  compress(value, block, static_cast<uint32_t>(length), counter, mode | start | kChunkEnd | last, value);
  memcpy(out, value, 32);
}

/** The same as a kernel, for one input and without SIMD. */
void runOne(const Batch &batch, uint8_t *out) {
  uint32_t value[8];
  memcpy(value, batch.key, 32);
  for (int i = 0; i < batch.blocks; i++) {
    const uint32_t ends = (i == 0 ? batch.first : 0) | (i == batch.blocks - 1 ? batch.last : 0);
    compress(value, batch.data + 64 * i, 64, batch.counter, batch.flags | ends, value);
  }
  memcpy(out, value, 32);
}

/** Any number of inputs, each time through the narrowest kernel that takes all that is left, or the widest. */
void runMany(Batch batch, size_t count, uint8_t *out) {
  const Kernels &kernels = kKernels[level()];
  while (count > 0) {
    size_t done = 1;
    if (count == 1 || kernels.run4 == nullptr) {
      runOne(batch, out);
    } else {
      const bool wide = count > 4 && kernels.run8 != nullptr;
      const bool widest = count > 8 && kernels.run16 != nullptr;
      const size_t width = widest ? 16 : wide ? 8 : 4;
      done = count < width ? count : width;
      (widest ? kernels.run16 : wide ? kernels.run8 : kernels.run4)(batch, done, out);
    }
    count -= done;
    out += done * kDigest;
    batch.data += done * batch.stride;
    if (batch.counting) batch.counter += done;
  }
}

/** The chaining values of all chunks of a non-empty input; gives how many. */
size_t chunks(const uint8_t *data, size_t length, const uint32_t *key, uint32_t mode, uint64_t counter, uint8_t *out) {
  const size_t whole = length / kChunk, rest = length % kChunk;
  runMany({data, kChunk, kChunk / 64, key, counter, true, mode, kChunkStart, kChunkEnd}, whole, out);
  if (rest == 0) return whole;
  chunk(data + whole * kChunk, rest, key, mode, counter + whole, 0, out + whole * kDigest);
  return whole + 1;
}

/**
 * Joins neighbours in place, level by level, an odd last one rising as it is, until at most `until` are left. That gives
 * the tree of section 2.1, whose left side is always the largest full tree.
 */
size_t reduce(uint8_t *values, size_t count, size_t until, const uint32_t *key, uint32_t mode) {
  while (count > until) {
    const size_t pairs = count / 2;
    runMany({values, 64, 1, key, 0, false, mode | kParent, 0, 0}, pairs, values);
    if (count % 2 == 1) memmove(values + pairs * kDigest, values + (count - 1) * kDigest, kDigest);
    count = pairs + count % 2;
  }
  return count;
}

/** The key as words, or the IV. */
struct Keying {
  uint32_t words[8];
  uint32_t mode;
  explicit Keying(const uint8_t *key) : mode(key == nullptr ? 0u : uint32_t{kKeyed}) {
    memcpy(words, key == nullptr ? reinterpret_cast<const uint8_t *>(kIv) : key, 32);
  }
};

void leavesWith(const uint8_t *data, size_t length, const Keying &keying, uint64_t counter, uint8_t *out) {
  uint8_t values[kGroup / kChunk * kDigest];
  for (; length > 0; out += kDigest, counter += kGroup / kChunk) {
    const size_t size = length < kGroup ? length : kGroup;
    const size_t count = chunks(data, size, keying.words, keying.mode, counter, values);
    reduce(values, count, 1, keying.words, keying.mode);
    memcpy(out, values, kDigest);
    data += size;
    length -= size;
  }
}

}  // namespace

void hash(const uint8_t *data, size_t length, const uint8_t *key, uint8_t digest[kDigest]) {
  const Keying keying(key);
  if (length <= kChunk) return chunk(data, length, keying.words, keying.mode, 0, kRoot, digest);
  uint8_t few[kGroup / kChunk * kDigest];
  std::unique_ptr<uint8_t[]> many;
  uint8_t *values = few;
  size_t count;
  if (length <= kGroup) {
    count = chunks(data, length, keying.words, keying.mode, 0, values);
  } else {
    count = (length + kGroup - 1) / kGroup;
    if (count * kDigest > sizeof few) {
      many = std::make_unique<uint8_t[]>(count * kDigest);
      values = many.get();
    }
    leavesWith(data, length, keying, 0, values);
  }
  reduce(values, count, 2, keying.words, keying.mode);
  uint32_t root[8];
  compress(keying.words, values, 64, 0, keying.mode | kParent | kRoot, root);
  memcpy(digest, root, kDigest);
}

void leaves(const uint8_t *data, size_t length, const uint8_t *key, uint64_t counter, uint8_t *out) {
  leavesWith(data, length, Keying(key), counter, out);
}

int level() { return chosen().load(std::memory_order_relaxed); }

bool setLevel(int wanted) {
  if (wanted < 0 || wanted > best()) return false;
  chosen().store(wanted, std::memory_order_relaxed);
  return true;
}

}  // namespace blake3
