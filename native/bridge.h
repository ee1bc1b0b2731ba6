/**
 * All that this addon needs from N-API: reading arguments, throwing the system's errors, giving bytes back.
 *
 * A function of ours is `napi_value f(Call &call)`. It reads its arguments, asks `call.failed()` once, does its one
 * thing and returns `call.systemError("syscall")` when the system refused. The TypeScript door has already judged the
 * values; here only their types are checked, because a wrong type would be a crash.
 */
#pragma once

#include <errno.h>
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

#include <string>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packed records are little-endian");

/** Bytes of the caller, valid while the call lasts. */
struct Span {
  const uint8_t *data;
  size_t length;
};

/** Bytes that grow and are then handed to JavaScript: copied when few, without a copy when many. */
class Packed {
 public:
  Packed() = default;
  Packed(const Packed &) = delete;
  Packed &operator=(const Packed &) = delete;
  ~Packed();

  /** Room for `count` more bytes, not initialised; null with errno ENOMEM when there is none. */
  uint8_t *extend(size_t count);
  size_t length() const { return length_; }
  /** The bytes as a Buffer; this object is empty afterwards. */
  napi_value give(napi_env env);

 private:
  uint8_t *data_ = nullptr;
  size_t length_ = 0;
  size_t capacity_ = 0;
};

/** One call from JavaScript. Each reader takes an argument's index and throws a TypeError when the type is wrong. */
class Call {
 public:
  Call(napi_env env, napi_callback_info info);

  int32_t int32(size_t index);
  uint32_t uint32(size_t index);
  double number(size_t index);
  int64_t int64(size_t index);    // a bigint
  uint64_t uint64(size_t index);  // a bigint
  bool boolean(size_t index);
  Span bytes(size_t index);
  Span bytesOrNull(size_t index);    // data is null where JavaScript gave null or undefined
  std::string name(size_t index);  // raw bytes, as the system takes them

  napi_env env() const { return env_; }
  bool failed() const { return failed_; }

  /** Throws an Error {code: "ENOENT", errno: 2, syscall} for `error`, by default what errno holds now. */
  napi_value systemError(const char *syscall, int error = errno);

  napi_value undefined();
  napi_value null();
  napi_value fromBool(bool value);
  napi_value fromInt32(int32_t value);
  napi_value fromUint32(uint32_t value);
  napi_value fromDouble(double value);
  napi_value fromUint64(uint64_t value);
  napi_value fromString(const char *value);
  napi_value fromBytes(const void *data, size_t length);

 private:
  template <class T>
  T read(size_t index, const char *expected, napi_status (*get)(napi_env, napi_value, T *));
  void wrongType(size_t index, const char *expected);

  static constexpr size_t kMost = 6;
  napi_env env_;
  napi_value args_[kMost];
  bool failed_ = false;
};

/** The symbolic name of a system error, "ENOENT"; "E" and the number for one that has no name here. */
std::string errnoName(int error);

/** The callback N-API wants for a function of ours. */
template <napi_value (*function)(Call &)>
napi_value entry(napi_env env, napi_callback_info info) {
  Call call(env, info);
  return call.failed() ? nullptr : function(call);
}

struct Export {
  const char *name;
  napi_callback callback;
};

/** Calls again for as long as a signal interrupted it. */
template <class F>
auto uninterrupted(F call) -> decltype(call()) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

/** Closes a descriptor at the end of a scope and keeps errno. */
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor();
  int fd() const { return fd_; }

 private:
  int fd_;
};
