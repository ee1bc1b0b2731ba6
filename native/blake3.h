/**
 * BLAKE3, plain or keyed, 32 bytes out (https://github.com/BLAKE3-team/BLAKE3-specs, 2020).
 *
 * Whole inputs in memory only: there is no streaming state, because everything hashed here is a piece with a bounded
 * length. Tree level by level with SIMD across chunks; which instruction set is chosen while running.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace blake3 {

constexpr size_t kDigest = 32;
constexpr size_t kChunk = 1024;
constexpr size_t kGroup = 64 * kChunk;  // what one leaf of `leaves` covers: Bao with 64 KiB groups

/** The digest of `length` bytes; `key` is 32 bytes, or null for the plain hash. */
void hash(const uint8_t *data, size_t length, const uint8_t *key, uint8_t digest[kDigest]);

/**
 * The chaining value of each 64 KiB subtree, not finalised as root, 32 bytes each into `out`; the last may cover less.
 * `counter` is the number of the first chunk in the whole input and a multiple of 64. No leaves for no bytes.
 */
void leaves(const uint8_t *data, size_t length, const uint8_t *key, uint64_t counter, uint8_t *out);

/** The instruction set in use: 0 none, 1 SSE4.1 (or NEON), 2 AVX2, 3 AVX-512. */
int level();

/** Forces a level, for tests; false, and nothing changes, when there is no such level on this processor. */
bool setLevel(int wanted);

}  // namespace blake3
