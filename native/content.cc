// The bytes of an open file: where they are, reading and writing them at a place, letting the cache forget them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addon.h"

namespace {

napi_value range(Call &call, int64_t start, int64_t end) {
  void *data = nullptr;
  napi_value memory = nullptr, result = nullptr;
  napi_create_arraybuffer(call.env(), 16, &data, &memory);
  static_cast<int64_t *>(data)[0] = start;
  static_cast<int64_t *>(data)[1] = end;
  napi_create_typedarray(call.env(), napi_bigint64_array, 2, memory, 0, &result);
  return result;
}

}  // namespace

/** (fd, from) → [start, end) of the next data at or after `from`, or null. Moves the descriptor's own position. */
napi_value nextData(Call &call) {
  const int fd = call.int32(0);
  const int64_t from = call.int64(1);
  if (call.failed()) return nullptr;
  const off_t start = lseek(fd, from, SEEK_DATA);
  if (start >= 0) {
    const off_t end = lseek(fd, start, SEEK_HOLE);
    if (end >= 0) return range(call, start, end);
  }
  if (errno == ENXIO) return call.null();  // only a hole follows, or the end; or it was cut between the two calls
  if (errno != EINVAL && errno != ENOTSUP) return call.systemError("lseek");
  // This file system does not tell holes: all of it counts as data.
  struct stat s;
  if (fstat(fd, &s) != 0) return call.systemError("fstat");
  if (from < 0) return call.systemError("lseek", EINVAL);
  return from < s.st_size ? range(call, from, s.st_size) : call.null();
}

/** (fd, buffer, length, offset) → bytes read: fewer only at the end of the file, or before a place that fails */
napi_value readAt(Call &call) {
  const int fd = call.int32(0);
  const Span into = call.bytes(1);
  const uint32_t length = call.uint32(2);
  const int64_t offset = call.int64(3);
  if (call.failed()) return nullptr;
  size_t done = 0;
  const size_t wanted = length < into.length ? length : into.length;
  auto *to = const_cast<uint8_t *>(into.data);
  while (done < wanted) {
    const ssize_t got = uninterrupted(
        [&] { return pread(fd, to + done, wanted - done, static_cast<off_t>(static_cast<uint64_t>(offset) + done)); });
    if (got < 0 && done == 0) return call.systemError("pread");
    if (got <= 0) break;  // a failure after some bytes is met again, and thrown, by the next call
    done += static_cast<size_t>(got);
  }
  return call.fromDouble(static_cast<double>(done));
}

/** (fd, buffer, offset) → the buffer's length, all of which was written */
napi_value writeAt(Call &call) {
  const int fd = call.int32(0);
  const Span from = call.bytes(1);
  const int64_t offset = call.int64(2);
  if (call.failed()) return nullptr;
  for (size_t done = 0; done < from.length;) {
    const ssize_t put = uninterrupted([&] {
      return pwrite(fd, from.data + done, from.length - done, static_cast<off_t>(static_cast<uint64_t>(offset) + done));
    });
    if (put < 0) return call.systemError("pwrite");
    if (put == 0) return call.systemError("pwrite", EIO);  // never seen; would otherwise loop for ever
    done += static_cast<size_t>(put);
  }
  return call.fromDouble(static_cast<double>(from.length));
}

/** (fd, size) */
napi_value truncateFile(Call &call) {
  const int fd = call.int32(0);
  const int64_t size = call.int64(1);
  if (call.failed()) return nullptr;
  return uninterrupted([&] { return ftruncate(fd, size); }) != 0 ? call.systemError("ftruncate") : call.undefined();
}

/** (fd, offset, length); length 0 means up to the end */
napi_value adviseDontNeed(Call &call) {
  const int fd = call.int32(0);
  const int64_t offset = call.int64(1);
  const int64_t length = call.int64(2);
  if (call.failed()) return nullptr;
  const int error = posix_fadvise(fd, offset, length, POSIX_FADV_DONTNEED);
  return error != 0 ? call.systemError("posix_fadvise", error) : call.undefined();
}
