// Open-file-description locks: held by the open file, not by the process, and gone when its last descriptor closes.
#include <fcntl.h>

#include "addon.h"

namespace {

int setLock(int fd, short type, bool wait) {
  struct flock whole {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  return uninterrupted([&] { return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &whole); });
}

}  // namespace

/** (fd, exclusive, wait) → false when somebody else holds it and we do not wait */
napi_value lock(Call &call) {
  const int fd = call.int32(0);
  const bool exclusive = call.boolean(1), wait = call.boolean(2);
  if (call.failed()) return nullptr;
  if (setLock(fd, exclusive ? F_WRLCK : F_RDLCK, wait) == 0) return call.fromBool(true);
  if (!wait && (errno == EAGAIN || errno == EACCES)) return call.fromBool(false);
  return call.systemError("fcntl");
}

/** (fd) */
napi_value unlock(Call &call) {
  const int fd = call.int32(0);
  if (call.failed()) return nullptr;
  return setLock(fd, F_UNLCK, false) != 0 ? call.systemError("fcntl") : call.undefined();
}
