// The inside of bridge.h.
#include "bridge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace {

constexpr size_t kCopyBelow = 64 * 1024;  // an external Buffer costs more than copying this many bytes

void release(napi_env, void *data, void *) { free(data); }

napi_status readBigInt64(napi_env env, napi_value value, int64_t *result) {
  bool lossless = false;
  const napi_status status = napi_get_value_bigint_int64(env, value, result, &lossless);
  return status == napi_ok && !lossless ? napi_invalid_arg : status;
}

napi_status readBigUint64(napi_env env, napi_value value, uint64_t *result) {
  bool lossless = false;
  const napi_status status = napi_get_value_bigint_uint64(env, value, result, &lossless);
  return status == napi_ok && !lossless ? napi_invalid_arg : status;
}

}  // namespace

Packed::~Packed() { free(data_); }

uint8_t *Packed::extend(size_t count) {
  if (data_ == nullptr || length_ + count > capacity_) {
    size_t wanted = capacity_ < 2048 ? 4096 : capacity_ * 2;
    while (wanted < length_ + count) wanted *= 2;
    auto *grown = static_cast<uint8_t *>(realloc(data_, wanted));
    if (grown == nullptr) return nullptr;
    data_ = grown;
    capacity_ = wanted;
  }
  uint8_t *at = data_ + length_;
  length_ += count;
  return at;
}

napi_value Packed::give(napi_env env) {
  napi_value result = nullptr;
  if (length_ < kCopyBelow) {
    napi_create_buffer_copy(env, length_, length_ == 0 ? "" : static_cast<const void *>(data_), nullptr, &result);
    free(data_);
  } else {
    if (auto *fitted = static_cast<uint8_t *>(realloc(data_, length_))) data_ = fitted;
    if (napi_create_external_buffer(env, length_, data_, release, nullptr, &result) != napi_ok) {
      // A runtime that refuses foreign memory still takes a copy.
      napi_create_buffer_copy(env, length_, data_, nullptr, &result);
      free(data_);
    }
  }
  data_ = nullptr;
  length_ = capacity_ = 0;
  return result;
}

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kMost;  // arguments that were not given read as undefined
  failed_ = napi_get_cb_info(env, info, &count, args_, nullptr, nullptr) != napi_ok;
}

void Call::wrongType(size_t index, const char *expected) {
  if (failed_) return;  // the first error is the one thrown
  failed_ = true;
  const std::string text = "argument " + std::to_string(index + 1) + ": expected " + expected;
  napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", text.c_str());
}

template <class T>
T Call::read(size_t index, const char *expected, napi_status (*get)(napi_env, napi_value, T *)) {
  T value{};
  if (get(env_, args_[index], &value) != napi_ok) wrongType(index, expected);
  return value;
}

int32_t Call::int32(size_t index) { return read<int32_t>(index, "a number", napi_get_value_int32); }
uint32_t Call::uint32(size_t index) { return read<uint32_t>(index, "a number", napi_get_value_uint32); }
double Call::number(size_t index) { return read<double>(index, "a number", napi_get_value_double); }
int64_t Call::int64(size_t index) { return read<int64_t>(index, "a bigint of 64 bits", readBigInt64); }
uint64_t Call::uint64(size_t index) { return read<uint64_t>(index, "an unsigned bigint of 64 bits", readBigUint64); }
bool Call::boolean(size_t index) { return read<bool>(index, "a boolean", napi_get_value_bool); }

Span Call::bytes(size_t index) {
  bool isView = false;
  void *data = nullptr;
  size_t length = 0;
  napi_is_buffer(env_, args_[index], &isView);
  if (!isView || napi_get_buffer_info(env_, args_[index], &data, &length) != napi_ok) {
    wrongType(index, "a Uint8Array");
    return {nullptr, 0};
  }
  return {static_cast<const uint8_t *>(data), length};
}

Span Call::bytesOrNull(size_t index) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, args_[index], &type);
  if (type == napi_null || type == napi_undefined) return {nullptr, 0};
  return bytes(index);
}

std::string Call::name(size_t index) {
  const Span span = bytes(index);
  return span.length == 0 ? std::string() : std::string(reinterpret_cast<const char *>(span.data), span.length);
}

napi_value Call::systemError(const char *syscall, int error) {
  char space[128];
  const std::string code = errnoName(error);
  const std::string text = code + ": " + strerror_r(error, space, sizeof space) + " (" + syscall + ")";
  napi_value thrown = nullptr;
  napi_create_error(env_, fromString(code.c_str()), fromString(text.c_str()), &thrown);
  napi_set_named_property(env_, thrown, "errno", fromInt32(error));
  napi_set_named_property(env_, thrown, "syscall", fromString(syscall));
  napi_throw(env_, thrown);
  return nullptr;
}

napi_value Call::undefined() {
  napi_value result = nullptr;
  napi_get_undefined(env_, &result);
  return result;
}

napi_value Call::null() {
  napi_value result = nullptr;
  napi_get_null(env_, &result);
  return result;
}

napi_value Call::fromBool(bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env_, value, &result);
  return result;
}

napi_value Call::fromInt32(int32_t value) {
  napi_value result = nullptr;
  napi_create_int32(env_, value, &result);
  return result;
}

napi_value Call::fromUint32(uint32_t value) {
  napi_value result = nullptr;
  napi_create_uint32(env_, value, &result);
  return result;
}

napi_value Call::fromDouble(double value) {
  napi_value result = nullptr;
  napi_create_double(env_, value, &result);
  return result;
}

napi_value Call::fromUint64(uint64_t value) {
  napi_value result = nullptr;
  napi_create_bigint_uint64(env_, value, &result);
  return result;
}

napi_value Call::fromString(const char *value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env_, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value Call::fromBytes(const void *data, size_t length) {
  napi_value result = nullptr;
  napi_create_buffer_copy(env_, length, data, nullptr, &result);
  return result;
}

Descriptor::~Descriptor() {
  const int kept = errno;
  if (fd_ >= 0) close(fd_);
  errno = kept;
}

// glibc has strerrorname_np only since 2.32, and libuv's table lacks what file systems answer (ESTALE, EUCLEAN).
std::string errnoName(int error) {
#define NAME(code) \
  case code:       \
    return #code;
  switch (error) {
    // Each number once: EAGAIN is EWOULDBLOCK, and 95 is called ENOTSUP as Node does, not EOPNOTSUPP.
    NAME(EPERM) NAME(ENOENT) NAME(ESRCH) NAME(EINTR) NAME(EIO) NAME(ENXIO) NAME(E2BIG) NAME(ENOEXEC) NAME(EBADF)
    NAME(ECHILD) NAME(EAGAIN) NAME(ENOMEM) NAME(EACCES) NAME(EFAULT) NAME(ENOTBLK) NAME(EBUSY) NAME(EEXIST)
    NAME(EXDEV) NAME(ENODEV) NAME(ENOTDIR) NAME(EISDIR) NAME(EINVAL) NAME(ENFILE) NAME(EMFILE) NAME(ENOTTY)
    NAME(ETXTBSY) NAME(EFBIG) NAME(ENOSPC) NAME(ESPIPE) NAME(EROFS) NAME(EMLINK) NAME(EPIPE) NAME(EDOM)
    NAME(ERANGE) NAME(EDEADLK) NAME(ENAMETOOLONG) NAME(ENOLCK) NAME(ENOSYS) NAME(ENOTEMPTY) NAME(ELOOP)
    NAME(ENODATA) NAME(ETIME) NAME(ENOLINK) NAME(EREMOTE) NAME(ECOMM) NAME(EPROTO) NAME(EBADMSG) NAME(EOVERFLOW)
    NAME(EILSEQ) NAME(EUSERS) NAME(ENOTSUP) NAME(ECONNABORTED) NAME(ECONNRESET) NAME(ENOBUFS) NAME(ENOTCONN)
    NAME(ETIMEDOUT) NAME(ECONNREFUSED) NAME(EHOSTDOWN) NAME(EHOSTUNREACH) NAME(EALREADY) NAME(EINPROGRESS)
    NAME(ESTALE) NAME(EUCLEAN) NAME(EREMOTEIO) NAME(EDQUOT) NAME(ENOMEDIUM) NAME(EMEDIUMTYPE) NAME(ECANCELED)
    NAME(ENOKEY) NAME(EKEYEXPIRED) NAME(EKEYREVOKED) NAME(EKEYREJECTED) NAME(EOWNERDEAD) NAME(ENOTRECOVERABLE)
    NAME(EHWPOISON)
  }
#undef NAME
  return "E" + std::to_string(error);
}
