#include "targets/nvptx/emulator/Memory.h"

#include <cstring>
#include <new>

namespace pianola::ptx {

namespace {

/// What memory holds before anything is written: neither zero nor a small number nor a usual float.
constexpr uint8_t garbage = 0xd7;
constexpr uint64_t mostWindows = 1u << 20;

} // namespace

Buffer::Buffer(std::string name, uint64_t size, uint64_t seed)
    : name(std::move(name)), size(size), bytes(new(std::nothrow) uint8_t[size + 64]),
      shadow(bytes ? size : 0, seed) {
  if (bytes)
    std::memset(bytes.get(), garbage, size + 64);
}

Buffer *Memory::allocate(uint64_t bytes, std::string name) {
  if (bytes > capacity - inUse || windows.size() >= mostWindows)
    return nullptr;
  if (name.empty())
    name = "buffer" + std::to_string(buffers.size());
  auto buffer = std::make_unique<Buffer>(std::move(name), bytes, seed + buffers.size());
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

std::string describe(const Buffer &buffer, uint64_t offset) {
  return buffer.name + "+" + std::to_string(offset);
}

} // namespace pianola::ptx
