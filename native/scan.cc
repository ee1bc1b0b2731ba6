// Looking at a tree: folders and files opened without following a link, entries as packed records.
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "addon.h"
#include "procpath.h"

namespace {

/** What src/base/native.ts decodes; the name follows, then zeros up to a multiple of 8. */
struct Record {
  uint64_t ino, size, blocks;
  int64_t mtimeSec, ctimeSec;
  uint32_t mtimeNs, ctimeNs, mode, uid, gid, nlink, rdevMajor, rdevMinor, devMajor, devMinor;
  int32_t error;
  uint16_t nameLength, flags;
};
static_assert(sizeof(Record) == 88, "the decoder's offsets");

constexpr uint16_t kHasXattrs = 1, kXattrsFailed = 2;

/** linux_dirent64 of getdents64(2). */
struct Dirent {
  uint64_t ino;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

/** Opens without touching the access time where the system lets us (owner or CAP_FOWNER). */
int openQuietly(int at, const char *name, int flags) {
  const int fd = uninterrupted([&] { return openat(at, name, flags | O_NOATIME); });
  if (fd >= 0 || errno != EPERM) return fd;
  return uninterrupted([&] { return openat(at, name, flags); });
}

int statInto(int at, const char *name, Record &record) {
  struct statx s;
  // Without AT_NO_AUTOMOUNT, looking at a folder would mount what lies behind its entries.
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);
  if (uninterrupted([&] { return statx(at, name, flags, STATX_BASIC_STATS, &s); }) != 0) return errno;
  record.ino = s.stx_ino;
  record.size = s.stx_size;
  record.blocks = s.stx_blocks;
  record.mtimeSec = s.stx_mtime.tv_sec;
  record.mtimeNs = s.stx_mtime.tv_nsec;
  record.ctimeSec = s.stx_ctime.tv_sec;
  record.ctimeNs = s.stx_ctime.tv_nsec;
  record.mode = s.stx_mode;
  record.uid = s.stx_uid;
  record.gid = s.stx_gid;
  record.nlink = s.stx_nlink;
  record.rdevMajor = s.stx_rdev_major;
  record.rdevMinor = s.stx_rdev_minor;
  record.devMajor = s.stx_dev_major;
  record.devMinor = s.stx_dev_minor;
  return 0;
}

/** listxattrat(2), Linux 6.13: 0.6 µs where the way through /proc takes 2.8. No C library has it yet. */
ssize_t listXattrAt(int at, const char *name) {
  return syscall(465, at, name, AT_SYMLINK_NOFOLLOW, nullptr, size_t{0});
}

/** Older systems answer ENOSYS, some containers EPERM. */
bool hasListXattrAt() {
  static const bool has = listXattrAt(AT_FDCWD, "/") >= 0 || (errno != ENOSYS && errno != EPERM);
  return has;
}

/** Any failure but "no xattrs here" is told, ENOENT too: without /proc every listing would fail that way. */
uint16_t xattrFlags(int at, const char *name) {
  ssize_t listed;
  if (*name == '\0')
    listed = listxattr(procPath(at, name).c_str(), nullptr, 0);
  else if (hasListXattrAt())
    listed = listXattrAt(at, name);
  else
    listed = llistxattr(procPath(at, name).c_str(), nullptr, 0);
  if (listed > 0) return kHasXattrs;
  return listed < 0 && errno != ENOTSUP ? kXattrsFailed : 0;
}

bool isDots(const char *name) { return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')); }

/** Appends one entry; false only when memory ran out. */
bool append(Packed &out, int folder, const Dirent &entry) {
  Record record{};
  record.error = statInto(folder, entry.name, record);
  if (record.error == ENOENT) return true;  // it vanished since the folder was read
  if (record.error != 0) {
    record.ino = entry.ino;
    record.mode = DTTOIF(entry.type);
  } else {
    record.flags = xattrFlags(folder, entry.name);
  }
  const size_t length = strlen(entry.name);
  const size_t padded = (length + 7) / 8 * 8;
  record.nameLength = static_cast<uint16_t>(length);
  uint8_t *at = out.extend(sizeof record + padded);
  if (at == nullptr) return false;
  memcpy(at, &record, sizeof record);
  memset(at + sizeof record + padded - 8, 0, 8);
  memcpy(at + sizeof record, entry.name, length);
  return true;
}

}  // namespace

/** (at, name) → fd */
napi_value openFolder(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  if (call.failed()) return nullptr;
  const int fd = openQuietly(at, name.empty() ? "." : name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? call.systemError("openat") : call.fromInt32(fd);
}

/** (at, name) → fd. O_NONBLOCK: a fifo without a writer opens at once, a device does not wait for its line. */
napi_value openFile(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  if (call.failed()) return nullptr;
  const int fd = openQuietly(at, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  return fd < 0 ? call.systemError("openat") : call.fromInt32(fd);
}

/** (fd, restart, enough) → records: reads on until `enough` bytes are packed or the folder ends. */
napi_value scanFolder(Call &call) {
  const int folder = call.int32(0);
  const bool restart = call.boolean(1);
  const double enough = call.number(2);
  if (call.failed()) return nullptr;
  if (restart && lseek(folder, 0, SEEK_SET) < 0) return call.systemError("lseek");
  alignas(8) char space[64 * 1024];
  Packed out;
  while (static_cast<double>(out.length()) < enough) {
    const long got = uninterrupted([&] { return syscall(SYS_getdents64, folder, space, sizeof space); });
    if (got < 0) return call.systemError("getdents64");
    if (got == 0) break;
    for (long at = 0; at < got;) {
      const auto &entry = *reinterpret_cast<const Dirent *>(space + at);
      at += entry.length;
      if (isDots(entry.name)) continue;
      if (!append(out, folder, entry)) return call.systemError("realloc", ENOMEM);
    }
  }
  return out.give(call.env());
}

/** (at, name) → one record without a name */
napi_value statAt(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  if (call.failed()) return nullptr;
  Record record{};
  const int error = statInto(at, name.c_str(), record);
  if (error != 0) return call.systemError("statx", error);
  record.flags = xattrFlags(at, name.c_str());
  return call.fromBytes(&record, sizeof record);
}

/** (at, name) → the target's bytes */
napi_value readLink(Call &call) {
  const int at = call.int32(0);
  const std::string name = call.name(1);
  if (call.failed()) return nullptr;
  char target[4096];  // PATH_MAX: the system lets no link be longer
  const ssize_t length = readlinkat(at, name.c_str(), target, sizeof target);
  return length < 0 ? call.systemError("readlinkat") : call.fromBytes(target, static_cast<size_t>(length));
}
