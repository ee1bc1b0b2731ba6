// Everything that a file system was told, on its disk: one call for all files, in a thread of its own.
#include <unistd.h>

#include "addon.h"

namespace {

struct Sync {
  int fd;
  int error;
  napi_deferred promised;
  napi_async_work work;
};

void run(napi_env, void *data) {
  auto *sync = static_cast<Sync *>(data);
  sync->error = uninterrupted([&] { return syncfs(sync->fd); }) == 0 ? 0 : errno;
}

void finish(napi_env env, napi_status, void *data) {
  auto *sync = static_cast<Sync *>(data);
  napi_value error = nullptr;
  napi_create_int32(env, sync->error, &error);
  napi_resolve_deferred(env, sync->promised, error);
  napi_delete_async_work(env, sync->work);
  delete sync;
}

}  // namespace

/** (fd) → a promise of 0 or errno; the descriptor stays open until then */
napi_value syncFs(Call &call) {
  const int fd = call.int32(0);
  if (call.failed()) return nullptr;
  napi_env env = call.env();
  napi_value promise = nullptr, name = nullptr;
  auto *sync = new Sync{fd, 0, nullptr, nullptr};
  napi_create_string_utf8(env, "syncfs", NAPI_AUTO_LENGTH, &name);
  if (napi_create_async_work(env, nullptr, name, run, finish, sync, &sync->work) != napi_ok) {
    delete sync;
    return call.systemError("syncfs", ENOMEM);
  }
  napi_create_promise(env, &sync->promised, &promise);
  napi_queue_async_work(env, sync->work);
  return promise;
}
