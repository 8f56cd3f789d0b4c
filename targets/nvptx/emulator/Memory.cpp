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

Buffer *Memory::allocate(uint64_t bytes, std::string name, bool zero) {
  if (bytes > capacity - inUse || windows.size() >= mostWindows)
    return nullptr;
  if (name.empty())
    name = "buffer" + std::to_string(buffers.size());
  auto buffer = std::make_unique<Buffer>(std::move(name), bytes, seed + buffers.size(), zero);
  if (!buffer->bytes)
    return nullptr;
  uint64_t offset = 256 * (1 + 2 * ((seed + buffers.size() * 5) % 8));
  buffer->base = windowBase(FirstBuffer + uint32_t(windows.size())) + offset;
  windows.resize(windows.size() + ((offset + bytes) >> 32) + 1, buffer.get());
  inUse += bytes;
  buffers.push_back(std::move(buffer));
  return buffers.back().get();
}

Status Memory::release(uint64_t address) {
  Buffer *buffer = find(address);
  if (!buffer || buffer->base != address)
    return Status::error("release: no buffer begins at this address");
  if (buffer->released)
    return Status::error("release: buffer '" + buffer->name + "' was released before");
  buffer->released = true;
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
