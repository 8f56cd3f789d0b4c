#include "tools/pianola-ptx/Arguments.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace pianola::ptx {

namespace {

constexpr uint64_t largestBuffer = uint64_t(1) << 34;

template <typename T> std::vector<uint8_t> bytesOf(T value) {
  auto *begin = reinterpret_cast<const uint8_t *>(&value);
  return {begin, begin + sizeof value};
}

template <typename T> bool parseInteger(const std::string &text, std::vector<uint8_t> &out) {
  T value{};
  bool hexadecimal = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  const char *begin = text.data() + (hexadecimal ? 2 : 0), *end = text.data() + text.size();
  auto [stopped, error] = std::from_chars(begin, end, value, hexadecimal ? 16 : 10);
  out = bytesOf(value);
  return error == std::errc() && stopped == end && begin != end;
}

template <typename T> bool parseFloat(const std::string &text, std::vector<uint8_t> &out) {
  char *end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  out = bytesOf(T(value));
  return !text.empty() && !*end;
}

bool parseHexadecimal(const std::string &text, std::vector<uint8_t> &out) {
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    uint8_t byte = 0;
    auto [stopped, error] = std::from_chars(&text[i], &text[i] + 2, byte, 16);
    if (error != std::errc() || stopped != &text[i] + 2)
      return false;
    out.push_back(byte);
  }
  return text.size() % 2 == 0 && !text.empty();
}

bool parseBytes(const std::string &text, uint64_t &out) {
  auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && stopped == text.data() + text.size() && out <= largestBuffer;
}

} // namespace

Result<std::string> readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes;
  for (char part[1 << 16]; file;) { // a folder opens, and fails to be read
    file.read(part, sizeof part);
    bytes.append(part, size_t(file.gcount()));
  }
  if (!file.eof())
    return Status::error(path + ": cannot be read");
  return bytes;
}

Result<ArgumentSpec> parseArgument(const std::string &text) {
  ArgumentSpec spec;
  spec.text = text;
  size_t colon = text.find(':');
  std::string kind = text.substr(0, colon), rest = colon == text.npos ? "" : text.substr(colon + 1);
  using Parse = bool (*)(const std::string &, std::vector<uint8_t> &);
  static const std::pair<const char *, Parse> scalars[] = {
      {"hex", parseHexadecimal},       {"s8", parseInteger<int8_t>},
      {"s16", parseInteger<int16_t>},  {"u8", parseInteger<uint8_t>},
      {"u16", parseInteger<uint16_t>}, {"u32", parseInteger<uint32_t>},
      {"u64", parseInteger<uint64_t>}, {"s32", parseInteger<int32_t>},
      {"s64", parseInteger<int64_t>},  {"f32", parseFloat<float>},
      {"f64", parseFloat<double>}};
  for (auto [name, parse] : scalars) {
    if (kind != name)
      continue;
    if (!parse(rest, spec.value))
      return Status::error("--arg " + text + ": '" + rest + "' is no " + name + " number");
    return spec;
  }
  spec.isBuffer = true;
  size_t second = rest.find(':');
  std::string head = rest.substr(0, second),
              tail = second == rest.npos ? "" : rest.substr(second + 1);
  if (kind == "in" || kind == "inout") {
    auto bytes = readFile(kind == "in" ? rest : head);
    if (!bytes)
      return Status::error("--arg " + text + ": " + bytes.message());
    spec.contents.assign(bytes->begin(), bytes->end());
    spec.bytes = spec.contents.size();
    spec.isWritten = true;
    spec.outputFile = kind == "in" ? "" : tail;
    if (kind == "inout" && tail.empty())
      return Status::error("--arg " + text + ": expected inout:FILE:FILE");
    return spec;
  }
  bool zero = kind == "zero";
  if (!zero && kind != "out")
    return Status::error("--arg " + text +
                         ": expected u32:, f32:, in:, out:, inout:, zero: and the like");
  if (!parseBytes(zero ? head : tail, spec.bytes))
    return Status::error("--arg " + text + ": expected " +
                         (zero ? "zero:BYTES" : "out:FILE:BYTES"));
  spec.outputFile = zero ? tail : head;
  spec.isWritten = zero;
  if (zero)
    spec.contents.assign(spec.bytes, 0);
  return spec;
}

Status writeFile(const std::string &path, const std::vector<uint8_t> &bytes) {
  const std::string partial = path + ".partial";
  {
    std::ofstream file(partial, std::ios::binary);
    file.write(reinterpret_cast<const char *>(bytes.data()), std::streamsize(bytes.size()));
    file.flush();
    if (file && std::rename(partial.c_str(), path.c_str()) == 0)
      return {};
  }
  std::remove(partial.c_str());
  return Status::error(path + ": cannot be written");
}

Result<Dim3> parseDim3(const char *option, const std::string &text) {
  uint32_t sizes[3] = {1, 1, 1};
  const char *at = text.data(), *end = at + text.size();
  for (uint32_t &size : sizes) {
    auto [stopped, error] = std::from_chars(at, end, size);
    if (error != std::errc())
      break;
    at = stopped;
    if (at == end)
      return Dim3{sizes[0], sizes[1], sizes[2]};
    if (*at++ != ',')
      break;
  }
  return Status::error(std::string(option) + " " + text + ": expected a size such as 4 or 4,2,1");
}

} // namespace pianola::ptx
