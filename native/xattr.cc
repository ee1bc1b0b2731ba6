// Extended attributes of anything, also of symlinks, fifos, sockets and files that may not be opened.
#include <string.h>
#include <sys/xattr.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "addon.h"
#include "procpath.h"

namespace {

// XATTR_LIST_MAX and XATTR_SIZE_MAX: the kernel copies no more than this, and answers E2BIG where there is more.
// Buffers of that size need no retry when a list or a value grows between asking for its size and reading it.
constexpr size_t kMost = 64 * 1024;

/** The four calls, on an entry (never following it) or on the descriptor itself (through its magic link). */
class Target {
 public:
  Target(int at, const std::string &name) : path_(procPath(at, name)), self_(name.empty()) {}

  ssize_t list(char *names) const {
    return self_ ? listxattr(path_.c_str(), names, kMost) : llistxattr(path_.c_str(), names, kMost);
  }
  ssize_t get(const char *key, void *value) const {
    return self_ ? getxattr(path_.c_str(), key, value, kMost) : lgetxattr(path_.c_str(), key, value, kMost);
  }
  int set(const char *key, Span value) const {
    return self_ ? setxattr(path_.c_str(), key, value.data, value.length, 0)
                 : lsetxattr(path_.c_str(), key, value.data, value.length, 0);
  }
  int remove(const char *key) const {
    return self_ ? removexattr(path_.c_str(), key) : lremovexattr(path_.c_str(), key);
  }

 private:
  std::string path_;
  bool self_;
};

bool append(Packed &out, std::string_view name, const char *value, size_t length) {
  const auto nameLength = static_cast<uint16_t>(name.size());
  const auto valueLength = static_cast<uint32_t>(length);
  uint8_t *at = out.extend(6 + name.size() + length);
  if (at == nullptr) return false;
  memcpy(at, &nameLength, 2);
  memcpy(at + 2, &valueLength, 4);
  memcpy(at + 6, name.data(), name.size());
  memcpy(at + 6 + name.size(), value, length);
  return true;
}

}  // namespace

/** (at, name) → {u16 nameLength, u32 valueLength, name, value}*, by name bytes; nothing where there can be none */
napi_value listXattrs(Call &call) {
  const int at = call.int32(0);
  const Target target(at, call.name(1));
  if (call.failed()) return nullptr;

  char list[kMost], value[kMost];
  const ssize_t listed = target.list(list);
  if (listed < 0 && errno != ENOTSUP) return call.systemError("llistxattr");
  std::vector<std::string_view> names;
  for (ssize_t i = 0; i < listed;) {
    const std::string_view name(list + i, strnlen(list + i, static_cast<size_t>(listed - i)));
    if (!name.empty()) names.push_back(name);
    i += static_cast<ssize_t>(name.size()) + 1;
  }
  std::sort(names.begin(), names.end());  // string_view compares as unsigned bytes

  Packed out;
  for (const std::string_view name : names) {
    const ssize_t length = target.get(std::string(name).c_str(), value);
    if (length < 0 && errno == ENODATA) continue;  // it was removed since the listing
    if (length < 0) return call.systemError("lgetxattr");
    if (!append(out, name, value, static_cast<size_t>(length))) return call.systemError("realloc", ENOMEM);
  }
  return out.give(call.env());
}

/** (at, name, key, value) */
napi_value setXattr(Call &call) {
  const int at = call.int32(0);
  const Target target(at, call.name(1));
  const std::string key = call.name(2);
  const Span value = call.bytes(3);
  if (call.failed()) return nullptr;
  return target.set(key.c_str(), value) != 0 ? call.systemError("lsetxattr") : call.undefined();
}

/** (at, name, key) */
napi_value removeXattr(Call &call) {
  const int at = call.int32(0);
  const Target target(at, call.name(1));
  const std::string key = call.name(2);
  if (call.failed()) return nullptr;
  return target.remove(key.c_str()) != 0 ? call.systemError("lremovexattr") : call.undefined();
}
