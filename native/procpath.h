/** A path to an entry of a held folder, for the system calls that have no *at form (the xattr family, chmod). */
#pragma once

#include <string>

/**
 * "/proc/self/fd/N/name": resolved from the held descriptor, however deep the folder is and wherever it was moved.
 * With an empty name "/proc/self/fd/N": the open object itself; that one must be used with a call that follows links,
 * and ends at the object even if it is a symlink held by O_PATH.
 */
inline std::string procPath(int at, const std::string &name) {
  std::string path = "/proc/self/fd/" + std::to_string(at);
  if (!name.empty()) path.append(1, '/').append(name);
  return path;
}
