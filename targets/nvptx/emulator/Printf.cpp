#include "targets/nvptx/emulator/Printf.h"

#include "targets/nvptx/emulator/Playing.h"

#include <cctype>
#include <cstring>

namespace pianola::ptx {

namespace {

constexpr size_t longestString = 4096, longestOutput = 16 << 20;

/// The bytes from a generic address to the end of what holds them.
std::pair<const uint8_t *, uint64_t> bytesAt(Warp &warp, uint32_t lane, uint64_t address) {
  uint64_t offset = address & UINT32_MAX;
  if (address >> 32 == LocalWindow)
    return offset < warp.localBytes ? std::pair<const uint8_t *, uint64_t>(
                                          warp.localOf(lane) + offset, warp.localBytes - offset)
                                    : std::pair<const uint8_t *, uint64_t>(nullptr, 0);
  const Buffer *buffer = warp.playing.device.memory.find(address);
  if (address >> 32 == SharedWindow)
    buffer = &warp.block.shared;
  else if (buffer)
    offset = address - buffer->base;
  if (!buffer || buffer->released || offset >= buffer->size)
    return {nullptr, 0};
  return {buffer->bytes.get() + offset, buffer->size - offset};
}

} // namespace

std::string stringAt(Warp &warp, uint32_t lane, uint64_t address) {
  auto [bytes, size] = bytesAt(warp, lane, address);
  std::string out;
  for (uint64_t i = 0; i < size && i < longestString && bytes[i]; ++i)
    out.push_back(char(bytes[i]));
  return out;
}

int32_t printFormatted(Warp &warp, uint32_t lane, uint64_t format, uint64_t arguments) {
  std::string text = stringAt(warp, lane, format);
  auto [bytes, size] = bytesAt(warp, lane, arguments);
  uint64_t at = 0;
  int32_t count = 0;
  std::string &out = warp.playing.played.output;
  auto take = [&, bytes = bytes, size = size](void *value, uint64_t width) {
    at = (at + width - 1) / width * width;
    if (at + width > size)
      return false;
    std::memcpy(value, bytes + at, width);
    at += width;
    ++count;
    return true;
  };
  if (out.size() > longestOutput)
    return -1;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    // One conversion: flags, width, precision, length, kind. The host's own snprintf prints it.
    std::string part = "%";
    size_t j = i + 1;
    while (j < text.size() && part.size() < 20 && std::strchr("-+ #0123456789.", text[j]))
      part.push_back(text[j++]);
    // Nobody means a width of a million, which the host would print for seconds.
    for (size_t k = i + 1, digits = 0; k < j; ++k)
      if ((digits = std::isdigit(static_cast<unsigned char>(text[k])) ? digits + 1 : 0) > 3)
        return -1;
    bool wide = false;
    while (j < text.size() && std::strchr("hlLqjzt", text[j]))
      wide |= text[j] != 'h', ++j;
    char kind = j < text.size() ? text[j] : '\0';
    char printed[512] = "";
    if (kind == '%') {
      std::strcpy(printed, "%");
    } else if (kind && std::strchr("diouxXc", kind)) {
      uint64_t value = 0;
      uint32_t narrow = 0;
      if (!(wide && kind != 'c' ? take(&value, 8) : take(&narrow, 4)))
        return -1;
      if (!(wide && kind != 'c'))
        value = kind == 'd' || kind == 'i' ? uint64_t(int64_t(int32_t(narrow))) : narrow;
      part += kind == 'c' ? "c" : std::string("ll") + kind;
      if (kind == 'c')
        snprintf(printed, sizeof printed, part.c_str(), int(value));
      else
        snprintf(printed, sizeof printed, part.c_str(), static_cast<unsigned long long>(value));
    } else if (kind && std::strchr("eEfFgGaA", kind)) {
      double value;
      if (!take(&value, 8))
        return -1;
      snprintf(printed, sizeof printed, (part + kind).c_str(), value);
    } else if (kind == 's' || kind == 'p') {
      uint64_t value;
      if (!take(&value, 8))
        return -1;
      if (kind == 's')
        snprintf(printed, sizeof printed, (part + 's').c_str(),
                 stringAt(warp, lane, value).c_str());
      else
        snprintf(printed, sizeof printed, "0x%llx", static_cast<unsigned long long>(value));
    } else {
      return -1;
    }
    out += printed;
    i = j;
  }
  return count;
}

} // namespace pianola::ptx
