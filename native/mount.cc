// The file system as a whole: what kind it is, how full, and taking away a mount that no longer answers.
#include <sys/mount.h>
#include <sys/vfs.h>

#include "addon.h"

/** (path) → {type, blockSize, blocks, free, available, files, filesFree} */
napi_value statFs(Call &call) {
  const std::string path = call.name(0);
  if (call.failed()) return nullptr;
  struct statfs s;
  if (uninterrupted([&] { return statfs(path.c_str(), &s); }) != 0) return call.systemError("statfs");
  napi_value result = nullptr;
  napi_create_object(call.env(), &result);
  const auto set = [&](const char *name, napi_value value) { napi_set_named_property(call.env(), result, name, value); };
  set("type", call.fromUint32(static_cast<uint32_t>(s.f_type)));
  // Counts are in fragments; f_bsize is only the size that transfers best (FUSE and NFS tell them apart).
  set("blockSize", call.fromUint64(static_cast<uint64_t>(s.f_frsize != 0 ? s.f_frsize : s.f_bsize)));
  set("blocks", call.fromUint64(s.f_blocks));
  set("free", call.fromUint64(s.f_bfree));
  set("available", call.fromUint64(s.f_bavail));
  set("files", call.fromUint64(s.f_files));
  set("filesFree", call.fromUint64(s.f_ffree));
  return result;
}

/** (path): gone from the tree at once, ended when its last user leaves */
napi_value detachMount(Call &call) {
  const std::string path = call.name(0);
  if (call.failed()) return nullptr;
  return umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 ? call.systemError("umount2") : call.undefined();
}

/** (errno) → "ENOENT" */
napi_value nameErrno(Call &call) {
  const int error = call.int32(0);
  return call.failed() ? nullptr : call.fromString(errnoName(error).c_str());
}
