#include "targets/nvptx/emulator/Memory.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

/// What memory holds before anything is written: neither zero nor a small number nor a usual float.
constexpr uint8_t garbage = 0xd7;
constexpr uint64_t mostWindows = 1u << 20;

} // namespace

Buffer::Buffer(std::string name, uint64_t size, uint64_t seed, bool zero)
    : name(std::move(name)), size(size),
      bytes(static_cast<uint8_t *>(zero ? std::calloc(size + 64, 1) : std::malloc(size + 64))),
      shadow(bytes ? size : 0, seed) {
  if (bytes && !zero)
    std::memset(bytes.get(), garbage, size + 64);
}

Buffer::Buffer(std::string name, void *host, uint64_t size, uint64_t seed)
    : name(std::move(name)), size(size), bytes(static_cast<uint8_t *>(host), FreeBytes{false}),
      shadow(size, seed), isHosts(true) {
  shadow.markWritten(0, size);
}

bool Memory::isFree(uint64_t window, uint64_t count) const {
  for (uint64_t i = window; i < std::min<uint64_t>(window + count, windows.size()); ++i)
    if (windows[i] && !(windows[i]->isHosts && windows[i]->released))
      return false;
  return window + count <= mostWindows;
}

/// The buffer gets all windows from its base to its end, which are free.
Buffer *Memory::place(std::unique_ptr<Buffer> buffer, uint64_t base) {
  buffer->base = base;
  uint64_t first = (base >> 32) - FirstBuffer, end = (base + buffer->size) >> 32;
  end -= FirstBuffer - 1;
  windows.resize(std::max<uint64_t>(windows.size(), end));
  std::fill(windows.begin() + ptrdiff_t(first), windows.begin() + ptrdiff_t(end), buffer.get());
  buffers.push_back(std::move(buffer));
  return buffers.back().get();
}

Buffer *Memory::allocate(uint64_t bytes, std::string name, bool zero) {
  if (bytes > capacity - inUse)
    return nullptr;
  if (name.empty())
    name = "buffer" + std::to_string(buffers.size());
  auto buffer = std::make_unique<Buffer>(std::move(name), bytes, seed + buffers.size(), zero);
  if (!buffer->bytes)
    return nullptr;
  uint64_t offset = 256 * (1 + 2 * ((seed + buffers.size() * 5) % 8));
  uint64_t count = ((offset + bytes) >> 32) + 1;
  while (next < mostWindows && !isFree(next, count))
    ++next;
  if (next >= mostWindows)
    return nullptr;
  inUse += bytes;
  next += count;
  return place(std::move(buffer), windowBase(FirstBuffer + uint32_t(next - count)) + offset);
}

Buffer *Memory::adopt(void *host, uint64_t bytes, std::string name) {
  if (name.empty())
    name = "host" + std::to_string(buffers.size());
  auto buffer = std::make_unique<Buffer>(std::move(name), host, bytes, seed + buffers.size());
  auto address = uint64_t(reinterpret_cast<uintptr_t>(host));
  uint64_t offset = address & UINT32_MAX, count = ((offset + bytes) >> 32) + 1;
  if (address >> 32 >= FirstBuffer && isFree((address >> 32) - FirstBuffer, count))
    return place(std::move(buffer), address);
  while (next < mostWindows && !isFree(next, count))
    ++next;
  if (next >= mostWindows)
    return nullptr;
  next += count;
  return place(std::move(buffer), windowBase(FirstBuffer + uint32_t(next - count)) + offset);
}

Status Memory::release(uint64_t address) {
  Buffer *buffer = find(address);
  if (!buffer || buffer->base != address)
    return Status::error("release: no buffer begins at this address");
  if (buffer->released)
    return Status::error("release: buffer '" + buffer->name + "' was released before");
  buffer->released = true;
  if (!buffer->isHosts)
    inUse -= buffer->size;
  // The window stays, so that a use after the release is told from a wild address.
  buffer->bytes.reset();
  buffer->shadow = Shadow(0);
  return {};
}

Result<Buffer *> Memory::findRange(uint64_t address, uint64_t bytes, const char *doing) const {
  Buffer *buffer = find(address);
  if (!buffer || buffer->released || address < buffer->base)
    return Status::error(std::string(doing) + ": no buffer at address " + std::to_string(address));
  if (bytes > buffer->size || address - buffer->base > buffer->size - bytes)
    return Status::error(std::string(doing) + ": " + std::to_string(bytes) + " bytes at offset " +
                         std::to_string(address - buffer->base) +
                         " are beyond the end of buffer '" + buffer->name + "' of " +
                         std::to_string(buffer->size) + " bytes");
  return buffer;
}

void Memory::settle() {
  for (const auto &buffer : buffers)
    if (!buffer->released)
      buffer->shadow.settle();
}

namespace {

/// The variable that holds the byte, or the last one before it.
const Extent *extentBefore(const Buffer &buffer, uint64_t offset) {
  if (!buffer.extents)
    return nullptr;
  auto next = std::upper_bound(buffer.extents->begin(), buffer.extents->end(), offset,
                               [](uint64_t at, const Extent &each) { return at < each.begin; });
  return next == buffer.extents->begin() ? nullptr : &next[-1];
}

} // namespace

bool Buffer::isInside(uint64_t offset, uint64_t bytes) const {
  if (bytes > size || offset > size - bytes)
    return false;
  const Extent *extent = extentBefore(*this, offset);
  return !extents || (extent && offset + bytes <= extent->end);
}

std::string describe(const Buffer &buffer, uint64_t offset) {
  std::string place = buffer.name + "+" + std::to_string(offset);
  if (const Extent *extent = extentBefore(buffer, offset))
    place += " (" + extent->name + "+" + std::to_string(offset - extent->begin) + ")";
  return place;
}

} // namespace pianola::ptx
