// BLAKE3 as JavaScript calls it. A key is 32 bytes or absent; the door has checked that.
#include "addon.h"
#include "blake3.h"

/** (data, key or null) → 32 bytes */
napi_value blake3Hash(Call &call) {
  const Span data = call.bytes(0);
  const Span key = call.bytesOrNull(1);
  if (call.failed()) return nullptr;
  uint8_t digest[blake3::kDigest];
  blake3::hash(data.data, data.length, key.data, digest);
  return call.fromBytes(digest, sizeof digest);
}

/** (data, key or null, firstChunkCounter) → 32 bytes for each 64 KiB */
napi_value blake3Leaves(Call &call) {
  const Span data = call.bytes(0);
  const Span key = call.bytesOrNull(1);
  const uint64_t counter = call.uint64(2);
  if (call.failed()) return nullptr;
  Packed out;
  uint8_t *at = out.extend((data.length + blake3::kGroup - 1) / blake3::kGroup * blake3::kDigest);
  if (at == nullptr) return call.systemError("realloc", ENOMEM);
  blake3::leaves(data.data, data.length, key.data, counter, at);
  return out.give(call.env());
}

/** () → the level in use */
napi_value level(Call &call) { return call.fromInt32(blake3::level()); }

/** (level) → false when this processor lacks it */
napi_value setLevel(Call &call) {
  const int wanted = call.int32(0);
  return call.failed() ? nullptr : call.fromBool(blake3::setLevel(wanted));
}
