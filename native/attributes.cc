// Owner, mode and time of an entry, never of what a symlink points to; an empty name means the descriptor itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addon.h"
#include "procpath.h"

namespace {

/** chmod through the magic link: what a descriptor opened by O_PATH allows, and fchmodat2 only since Linux 6.6. */
int chmodHeld(int fd, uint32_t mode) {
  struct stat s;
  if (fstat(fd, &s) != 0) return -1;
  if (S_ISLNK(s.st_mode)) {  // some older kernels change the link's mode, then report failure
    errno = ENOTSUP;
    return -1;
  }
  return chmod(procPath(fd, "").c_str(), mode);
}

int chmodEntry(int at, const std::string &name, uint32_t mode) {
  if (name.empty()) {
    if (fchmod(at, mode) == 0) return 0;
    return errno == EBADF ? chmodHeld(at, mode) : -1;
  }
  const Descriptor held(uninterrupted([&] { return openat(at, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
  return held.fd() < 0 ? -1 : chmodHeld(held.fd(), mode);
}

}  // namespace

/** (at, name, uid, gid); 0xffffffff leaves that one as it is */
napi_value setOwner(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const uint32_t uid = call.uint32(2), gid = call.uint32(3);
  if (call.failed()) return nullptr;
  const int flags = AT_SYMLINK_NOFOLLOW | (name.empty() ? AT_EMPTY_PATH : 0);
  return fchownat(at, name.c_str(), uid, gid, flags) != 0 ? call.systemError("fchownat") : call.undefined();
}

/** (at, name, mode); ENOTSUP for a symlink */
napi_value setMode(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const uint32_t mode = call.uint32(2);
  if (call.failed()) return nullptr;
  return chmodEntry(at, name, mode) != 0 ? call.systemError("chmod") : call.undefined();
}

/** (at, name, mtimeSec, mtimeNs); the access time is set to the same */
napi_value setTimes(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  const int64_t seconds = call.int64(2);
  const uint32_t nanoseconds = call.uint32(3);
  if (call.failed()) return nullptr;
  struct timespec times[2];
  for (struct timespec &time : times) {
    time.tv_sec = seconds;
    time.tv_nsec = nanoseconds;
  }
  int failed = name.empty() ? futimens(at, times) : utimensat(at, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  if (failed != 0 && errno == EBADF && name.empty()) failed = utimensat(at, "", times, AT_EMPTY_PATH);  // O_PATH
  return failed != 0 ? call.systemError("utimensat") : call.undefined();
}
