/** Every function that JavaScript can call, one group for each file. */
#pragma once

#include "bridge.h"

// scan.cc: looking
napi_value openFolder(Call &call);
napi_value openFile(Call &call);
napi_value scanFolder(Call &call);
napi_value statAt(Call &call);
napi_value readLink(Call &call);

// xattr.cc
napi_value listXattrs(Call &call);
napi_value setXattr(Call &call);
napi_value removeXattr(Call &call);

// content.cc: bytes of an open file
napi_value nextData(Call &call);
napi_value readAt(Call &call);
napi_value writeAt(Call &call);
napi_value truncateFile(Call &call);
napi_value adviseDontNeed(Call &call);

// make.cc: names appear, move and go
napi_value makeFolder(Call &call);
napi_value createFile(Call &call);
napi_value makeNode(Call &call);
napi_value makeSymlink(Call &call);
napi_value hardLink(Call &call);
napi_value renameEntry(Call &call);
napi_value removeEntry(Call &call);

// attributes.cc
napi_value setOwner(Call &call);
napi_value setMode(Call &call);
napi_value setTimes(Call &call);

// lock.cc
napi_value lock(Call &call);
napi_value unlock(Call &call);

// mount.cc
napi_value statFs(Call &call);
napi_value detachMount(Call &call);
napi_value nameErrno(Call &call);

// sync.cc
napi_value syncFs(Call &call);

// hash.cc
napi_value blake3Hash(Call &call);
napi_value blake3Leaves(Call &call);
napi_value level(Call &call);
napi_value setLevel(Call &call);
