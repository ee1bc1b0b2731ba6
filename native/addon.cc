// The list of what this addon exports. src/base/native.ts is its only importer and holds the description of each.
#include "addon.h"

namespace {

constexpr Export kExports[] = {
    {"openFolder", entry<openFolder>},
    {"openFile", entry<openFile>},
    {"scanFolder", entry<scanFolder>},
    {"statAt", entry<statAt>},
    {"readLink", entry<readLink>},
    {"listXattrs", entry<listXattrs>},
    {"setXattr", entry<setXattr>},
    {"removeXattr", entry<removeXattr>},
    {"nextData", entry<nextData>},
    {"pread", entry<readAt>},
    {"pwrite", entry<writeAt>},
    {"truncate", entry<truncateFile>},
    {"adviseDontNeed", entry<adviseDontNeed>},
    {"makeFolder", entry<makeFolder>},
    {"createFile", entry<createFile>},
    {"makeNode", entry<makeNode>},
    {"makeSymlink", entry<makeSymlink>},
    {"hardLink", entry<hardLink>},
    {"rename", entry<renameEntry>},
    {"remove", entry<removeEntry>},
    {"setOwner", entry<setOwner>},
    {"setMode", entry<setMode>},
    {"setTimes", entry<setTimes>},
    {"lock", entry<lock>},
    {"unlock", entry<unlock>},
    {"syncFs", entry<syncFs>},
    {"statFs", entry<statFs>},
    {"detachMount", entry<detachMount>},
    {"errnoName", entry<nameErrno>},
    {"blake3", entry<blake3Hash>},
    {"blake3Leaves", entry<blake3Leaves>},
    {"level", entry<level>},
    {"setLevel", entry<setLevel>},
};

}  // namespace

NAPI_MODULE_INIT() {
  for (const Export &each : kExports) {
    napi_value function = nullptr;
    napi_create_function(env, each.name, NAPI_AUTO_LENGTH, each.callback, nullptr, &function);
    napi_set_named_property(env, exports, each.name, function);
  }
  return exports;
}
