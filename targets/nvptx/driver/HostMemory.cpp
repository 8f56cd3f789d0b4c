// Pinned memory, which the host and a running kernel see at once.
//
// What is allocated here has a window of the device's addresses to itself, so that both sides use
// the same pointer, as they do on every 64-bit system. What the program registers keeps the address
// that it has, and gets another one on the device.
#include "targets/nvptx/driver/State.h"

#include <sys/mman.h>

namespace pianola::cuda {

namespace {

constexpr uint64_t window = uint64_t(1) << 32;
constexpr uint64_t page = 4096;
constexpr unsigned allHostFlags = 0x7, allRegisterFlags = 0xf;

uint64_t roundedUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

/// Memory that begins at a window; its neighbourhood is reserved, and a wild access there faults.
void *reserve(size_t bytes, HostMemory &memory) {
  uint64_t span = roundedUp(bytes, window), total = span + window;
  void *all = mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED)
    return nullptr;
  auto first = uintptr_t(all), begin = uintptr_t(roundedUp(first, window));
  if (begin > first)
    munmap(all, begin - first);
  if (begin + span < first + total)
    munmap(reinterpret_cast<void *>(begin + span), first + total - begin - span);
  void *kept = reinterpret_cast<void *>(begin);
  memory.reservation = std::shared_ptr<void>(kept, [span](void *gone) { munmap(gone, span); });
  if (mprotect(kept, roundedUp(bytes, page), PROT_READ | PROT_WRITE) != 0)
    return nullptr;
  return kept;
}

CUresult allocate(void **memory, size_t bytes, unsigned flags) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!memory || !bytes || flags & ~allHostFlags)
    return CUDA_ERROR_INVALID_VALUE;
  HostMemory made;
  made.bytes = bytes;
  made.flags = flags;
  void *begin = reserve(bytes, made);
  auto address = begin ? call.context->device.adopt(begin, bytes)
                       : Result<uint64_t>(Status::error("no memory"));
  if (!address)
    return CUDA_ERROR_OUT_OF_MEMORY;
  made.address = *address;
  call.context->hostMemory[reinterpret_cast<uintptr_t>(begin)] = std::move(made);
  *memory = begin;
  return CUDA_SUCCESS;
}

CUresult release(void *memory, bool isRegistered) {
  Call call(Needs::Context);
  if (call.wrong)
    return call.wrong;
  auto &all = call.context->hostMemory;
  CUresult unknown =
      isRegistered ? CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED : CUDA_ERROR_INVALID_VALUE;
  auto found = all.find(reinterpret_cast<uintptr_t>(memory));
  if (found == all.end() || !found->second.reservation != isRegistered)
    return unknown;
  call.waitForAll();
  // Somebody else may have released it meanwhile.
  found = all.find(reinterpret_cast<uintptr_t>(memory));
  if (found == all.end() || !call.context->device.release(found->second.address).ok())
    return unknown;
  all.erase(found);
  return CUDA_SUCCESS;
}

} // namespace

extern "C" {

CUresult cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  return allocate(memory, bytes, flags);
}

CUresult cuMemAllocHost_v2(void **memory, size_t bytes) { return allocate(memory, bytes, 0); }

CUresult cuMemFreeHost(void *memory) { return release(memory, false); }

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *memory, unsigned flags) {
  Call call;
  if (call.wrong)
    return call.wrong;
  uintptr_t base = 0;
  const HostMemory *pinned = call.context->pinned(memory, &base);
  if (!address || !pinned || flags)
    return CUDA_ERROR_INVALID_VALUE;
  *address = pinned->address + (reinterpret_cast<uintptr_t>(memory) - base);
  return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned *flags, void *memory) {
  Call call;
  if (call.wrong)
    return call.wrong;
  const HostMemory *pinned = call.context->pinned(memory);
  if (!flags || !pinned)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = pinned->flags | HostDeviceMap;
  return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!memory || !bytes || flags & ~allRegisterFlags)
    return CUDA_ERROR_INVALID_VALUE;
  auto begin = reinterpret_cast<uintptr_t>(memory);
  for (const auto &[base, other] : call.context->hostMemory)
    if (begin < base + other.bytes && base < begin + bytes)
      return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  auto address = call.context->device.adopt(memory, bytes);
  if (!address)
    return CUDA_ERROR_OUT_OF_MEMORY;
  HostMemory made;
  made.bytes = bytes;
  made.flags = flags;
  made.address = *address;
  call.context->hostMemory[begin] = std::move(made);
  return CUDA_SUCCESS;
}

CUresult cuMemHostUnregister(void *memory) { return release(memory, true); }

} // extern "C"

} // namespace pianola::cuda
