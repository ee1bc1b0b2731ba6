// Names that appear, move and go, each relative to a held folder.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "addon.h"

/** (at, name, mode) */
napi_value makeFolder(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const uint32_t mode = call.uint32(2);
  if (call.failed()) return nullptr;
  return mkdirat(at, name.c_str(), mode) != 0 ? call.systemError("mkdirat") : call.undefined();
}

/** (at, name, mode) → fd of a file that was not there before */
napi_value createFile(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const uint32_t mode = call.uint32(2);
  if (call.failed()) return nullptr;
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const int fd = uninterrupted([&] { return openat(at, name.c_str(), flags, mode); });
  return fd < 0 ? call.systemError("openat") : call.fromInt32(fd);
}

/** (at, name, mode with the type's bits, major, minor) */
napi_value makeNode(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const uint32_t mode = call.uint32(2);
  const dev_t device = makedev(call.uint32(3), call.uint32(4));
  if (call.failed()) return nullptr;
  return mknodat(at, name.c_str(), mode, device) != 0 ? call.systemError("mknodat") : call.undefined();
}

/** (at, name, target) */
napi_value makeSymlink(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const std::string target = call.name(2);
  if (call.failed()) return nullptr;
  return symlinkat(target.c_str(), at, name.c_str()) != 0 ? call.systemError("symlinkat") : call.undefined();
}

/** (oldAt, oldName, newAt, newName); a symlink gets a second name itself, it is not followed */
napi_value hardLink(Call &call) {
  const int oldAt = call.int32(0), newAt = call.int32(2);
  const std::string oldName = call.name(1), newName = call.name(3);
  if (call.failed()) return nullptr;
  return linkat(oldAt, oldName.c_str(), newAt, newName.c_str(), 0) != 0 ? call.systemError("linkat")
                                                                       : call.undefined();
}

/** (oldAt, oldName, newAt, newName); what has the new name is replaced */
napi_value renameEntry(Call &call) {
  const int oldAt = call.int32(0), newAt = call.int32(2);
  const std::string oldName = call.name(1), newName = call.name(3);
  if (call.failed()) return nullptr;
  return renameat(oldAt, oldName.c_str(), newAt, newName.c_str()) != 0 ? call.systemError("renameat")
                                                                       : call.undefined();
}

/** (at, name, isFolder) */
napi_value removeEntry(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const bool isFolder = call.boolean(2);
  if (call.failed()) return nullptr;
  const int failed = unlinkat(at, name.c_str(), isFolder ? AT_REMOVEDIR : 0);
  return failed != 0 ? call.systemError("unlinkat") : call.undefined();
}
