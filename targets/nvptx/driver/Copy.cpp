// Copies and fills. Pinned memory is read and written when the copy runs; other memory of the host
// is read before an asynchronous call returns, and is complete after one that writes it, as the
// driver promises.
#include "targets/nvptx/driver/State.h"

#include <cstring>

namespace pianola::cuda {

namespace {

constexpr double copySeconds = 2e-6;           ///< before the first byte
constexpr double hostBandwidth = 50e9;         ///< bytes a second between host and device
constexpr size_t mostAtOnce = size_t(8) << 20; ///< bytes of a copy from device to device

/// One end of a copy.
struct End {
  bool isDevice = false;
  CUdeviceptr address = 0;
  void *host = nullptr;
};

bool isInside(Context &context, CUdeviceptr address, size_t bytes) {
  auto extent = context.device.extent(address);
  return extent && bytes <= extent->second && address - extent->first <= extent->second - bytes;
}

End onDevice(CUdeviceptr address) { return {true, address, nullptr}; }
End onHost(const void *memory) { return {false, 0, const_cast<void *>(memory)}; }
/// What a unified address stands for.
End anywhere(Context &context, CUdeviceptr address) {
  if (context.device.extent(address))
    return onDevice(address);
  return onHost(reinterpret_cast<const void *>(address));
}

CUresult outcome(const Status &status) {
  if (status.ok())
    return CUDA_SUCCESS;
  complain(status.message());
  return CUDA_ERROR_ILLEGAL_ADDRESS;
}

CUresult copy(Context &context, const End &target, const End &source, size_t bytes) {
  ptx::Device &device = context.device;
  bool inside = target.isDevice && source.isDevice;
  context.clock +=
      copySeconds + double(bytes) / (inside ? device.row().bandwidth / 2 : hostBandwidth);
  if (!inside) {
    if (target.isDevice)
      return outcome(device.write(target.address, source.host, bytes));
    if (source.isDevice)
      return outcome(device.read(source.address, target.host, bytes));
    std::memmove(target.host, source.host, bytes);
    return CUDA_SUCCESS;
  }
  std::vector<uint8_t> part(std::min(bytes, mostAtOnce));
  for (size_t at = 0; at < bytes; at += part.size()) {
    size_t size = std::min(part.size(), bytes - at);
    if (CUresult result = outcome(device.read(source.address + at, part.data(), size)))
      return result;
    if (CUresult result = outcome(device.write(target.address + at, part.data(), size)))
      return result;
  }
  return CUDA_SUCCESS;
}

CUresult check(Context &context, const End &target, const End &source, size_t bytes) {
  for (const End *end : {&target, &source})
    if (end->isDevice ? !isInside(context, end->address, bytes) : !end->host)
      return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

/// A copy now: waits for what the default stream waits for.
CUresult copyNow(Call &call, const End &target, const End &source, size_t bytes) {
  Context &context = *call.context;
  if (!bytes)
    return CUDA_SUCCESS;
  if (CUresult result = check(context, target, source, bytes))
    return result;
  Work work;
  work.run = [=](Context &context) { return copy(context, target, source, bytes); };
  if (CUresult result = submit(context, *context.streams[0], std::move(work)))
    return result;
  call.waitFor(*context.streams[0]);
  return call.verdict();
}

CUresult copyLater(Call &call, const End &target, const End &source, size_t bytes,
                   CUstream handle) {
  Context &context = *call.context;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes)
    return CUDA_SUCCESS;
  if (CUresult result = check(context, target, source, bytes))
    return result;
  Work work;
  bool isStaged = !source.isDevice && !context.pinned(source.host) && !stream->capture;
  bool isAwaited = !target.isDevice && !context.pinned(target.host) && !stream->capture;
  if (isStaged && target.isDevice) {
    const auto *first = static_cast<const uint8_t *>(source.host);
    auto staged = std::make_shared<std::vector<uint8_t>>(first, first + bytes);
    work.run = [=](Context &context) {
      return copy(context, target, onHost(staged->data()), bytes);
    };
  } else {
    work.run = [=](Context &context) { return copy(context, target, source, bytes); };
  }
  if (CUresult result = submit(context, *stream, std::move(work)))
    return result;
  if (isAwaited)
    call.waitFor(*stream);
  return CUDA_SUCCESS;
}

CUresult fillNow(CUdeviceptr target, uint32_t value, uint32_t elementBytes, size_t count,
                 CUstream handle, bool waits) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!count)
    return CUDA_SUCCESS;
  Work work;
  if (CUresult result = makeFill(*call.context, target, value, elementBytes, count, work))
    return result;
  if (CUresult result = submit(*call.context, *stream, std::move(work)))
    return result;
  if (!waits)
    return CUDA_SUCCESS;
  call.waitFor(*stream);
  return call.verdict();
}

} // namespace

CUresult makeFill(Context &context, CUdeviceptr target, uint32_t value, uint32_t elementBytes,
                  size_t count, Work &work) {
  if ((elementBytes != 1 && elementBytes != 2 && elementBytes != 4) || target % elementBytes ||
      count > SIZE_MAX / 4 || !isInside(context, target, count * elementBytes))
    return CUDA_ERROR_INVALID_VALUE;
  work.run = [=](Context &context) {
    size_t bytes = count * elementBytes;
    context.clock += copySeconds + double(bytes) / context.device.row().bandwidth;
    if (elementBytes == 1)
      return outcome(context.device.fill(target, uint8_t(value), bytes));
    std::vector<uint8_t> pattern(std::min(bytes, mostAtOnce));
    for (size_t i = 0; i < pattern.size(); i += elementBytes)
      std::memcpy(&pattern[i], &value, elementBytes);
    for (size_t at = 0; at < bytes; at += pattern.size())
      if (CUresult result = outcome(context.device.write(target + at, pattern.data(),
                                                         std::min(pattern.size(), bytes - at))))
        return result;
    return CUDA_SUCCESS;
  };
  return CUDA_SUCCESS;
}

CUresult makeCopy(const CUDA_MEMCPY3D &from, Context &context, Work &work) {
  if (from.Height != 1 || from.Depth != 1 || from.srcArray || from.dstArray)
    return CUDA_ERROR_NOT_SUPPORTED;
  auto endOf = [&](CUmemorytype type, const void *host, CUdeviceptr address, size_t x) {
    if (type == CU_MEMORYTYPE_HOST)
      return onHost(static_cast<const char *>(host) + x);
    return type == CU_MEMORYTYPE_DEVICE ? onDevice(address + x) : anywhere(context, address + x);
  };
  End source = endOf(from.srcMemoryType, from.srcHost, from.srcDevice, from.srcXInBytes);
  End target = endOf(from.dstMemoryType, from.dstHost, from.dstDevice, from.dstXInBytes);
  size_t bytes = from.WidthInBytes;
  if (CUresult result = check(context, target, source, bytes))
    return result;
  work.run = [=](Context &context) { return copy(context, target, source, bytes); };
  return CUDA_SUCCESS;
}

extern "C" {

CUresult cuMemcpy(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
  Call call;
  if (call.wrong)
    return call.wrong;
  return copyNow(call, anywhere(*call.context, target), anywhere(*call.context, source), bytes);
}

CUresult cuMemcpyAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
  Call call;
  if (call.wrong)
    return call.wrong;
  return copyLater(call, anywhere(*call.context, target), anywhere(*call.context, source), bytes,
                   stream);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr target, const void *source, size_t bytes) {
  Call call;
  return call.wrong ? call.wrong : copyNow(call, onDevice(target), onHost(source), bytes);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void *source, size_t bytes,
                              CUstream stream) {
  Call call;
  return call.wrong ? call.wrong : copyLater(call, onDevice(target), onHost(source), bytes, stream);
}

CUresult cuMemcpyDtoH_v2(void *target, CUdeviceptr source, size_t bytes) {
  Call call;
  return call.wrong ? call.wrong : copyNow(call, onHost(target), onDevice(source), bytes);
}

CUresult cuMemcpyDtoHAsync_v2(void *target, CUdeviceptr source, size_t bytes, CUstream stream) {
  Call call;
  return call.wrong ? call.wrong : copyLater(call, onHost(target), onDevice(source), bytes, stream);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
  Call call;
  return call.wrong ? call.wrong : copyNow(call, onDevice(target), onDevice(source), bytes);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes,
                              CUstream stream) {
  Call call;
  return call.wrong ? call.wrong
                    : copyLater(call, onDevice(target), onDevice(source), bytes, stream);
}

CUresult cuMemsetD8_v2(CUdeviceptr target, unsigned char value, size_t count) {
  return fillNow(target, value, 1, count, nullptr, true);
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t count, CUstream stream) {
  return fillNow(target, value, 1, count, stream, false);
}

CUresult cuMemsetD32_v2(CUdeviceptr target, unsigned value, size_t count) {
  return fillNow(target, value, 4, count, nullptr, true);
}

CUresult cuMemsetD32Async(CUdeviceptr target, unsigned value, size_t count, CUstream stream) {
  return fillNow(target, value, 4, count, stream, false);
}

} // extern "C"

} // namespace pianola::cuda
