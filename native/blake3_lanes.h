/** Between blake3.cc and its kernels: the constants of the specification, and what one kernel call does. */
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace blake3 {

constexpr uint32_t kIv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                             0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

enum Flag : uint32_t { kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8, kKeyed = 16 };

/** Which message word each step of each round takes: the permutation of section 2.2, applied again for each round. */
struct Schedule {
  uint8_t word[7][16];
  constexpr Schedule() : word() {
    constexpr uint8_t permutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
    for (int i = 0; i < 16; i++) word[0][i] = static_cast<uint8_t>(i);
    for (int round = 1; round < 7; round++)
      for (int i = 0; i < 16; i++) word[round][i] = word[round - 1][permutation[i]];
  }
};
constexpr Schedule kSchedule;

/** Inputs of equal shape, side by side: whole chunks (16 blocks, counted) or pairs of children (1 block, not counted). */
struct Batch {
  const uint8_t *data;    // the first input
  size_t stride;          // bytes from one input to the next
  int blocks;             // 64-byte blocks of each input
  const uint32_t *key;    // 8 words: the key, or the IV
  uint64_t counter;       // of the first input
  bool counting;          // whether the next input's counter is one more
  uint32_t flags;         // on every block
  uint32_t first, last;   // besides, on the first and on the last block
};

/** The chaining values of the first `count` inputs (1 to the kernel's width), 32 bytes each; `out` may be `data`. */
using Kernel = void(const Batch &batch, size_t count, uint8_t *out);

namespace lanes4 {
Kernel run4;
}
namespace lanes8 {
Kernel run4, run8;
}
namespace lanes16 {
Kernel run4, run8, run16;
}

}  // namespace blake3
