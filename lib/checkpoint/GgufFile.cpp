// GgufFile.cpp - what a GGUF file says it holds.
#include "lib/checkpoint/GgufFile.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <array>
#include <limits>

using nlohmann::json;

namespace pianola {
namespace {

constexpr llvm::StringLiteral magic = "GGUF";

/// Types of metadata, numbered as the format does.
enum class Kind : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

/// Bytes of a value, at least.
uint64_t bytesOf(Kind kind) {
  constexpr std::array<uint8_t, 13> bytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return bytes[size_t(kind)];
}

/// Reads the header front to back, through a window on the file. The first error is remembered;
/// what is read after it is zero.
class Cursor {
public:
  explicit Cursor(const InputFile &file) : file(file) {}

  uint64_t at() const { return position; }
  uint64_t left() const { return file.size() - position; }
  bool failed() const { return !message.empty(); }
  llvm::Error takeError() const { return refuse(file.name() + ": " + message); }
  void fail(const llvm::Twine &what) {
    if (!failed())
      message = what.str();
  }

  /// `what` is what messages call it.
  uint64_t integer(uint64_t bytes, const llvm::Twine &what) {
    std::array<uint8_t, 8> raw = {};
    take(raw.data(), bytes, what);
    return llvm::support::endian::read64le(raw.data());
  }

  std::string string(const llvm::Twine &what) {
    uint64_t size = integer(8, what);
    if (!failed() && size > left())
      fail(what + ": a text of " + llvm::Twine(size) + " bytes, where " + llvm::Twine(left()) +
           " are left");
    if (!failed() && size > mostBytes - std::min(mostBytes, position))
      fail(what + ": lies behind the first " + llvm::Twine(mostBytes >> 20) +
           " MiB, where a header ends");
    std::string text(failed() ? 0 : size, '\0');
    take(reinterpret_cast<uint8_t *>(text.data()), text.size(), what);
    return text;
  }

  /// How many of something that takes at least so many bytes each.
  uint64_t count(uint64_t least, const llvm::Twine &what) {
    uint64_t found = integer(8, what);
    if (!failed() && found > left() / least)
      fail(what + ": " + llvm::Twine(found) + " of them do not fit in the " + llvm::Twine(left()) +
           " bytes that are left");
    if (!failed() && found > mostElements - elements)
      fail(what + ": makes more than " + llvm::Twine(mostElements) + " elements of lists");
    elements += failed() ? 0 : found;
    return failed() ? 0 : found;
  }

private:
  // Of headers of models there are, less than a tenth.
  static constexpr uint64_t mostBytes = 512 << 20, mostElements = 1 << 24;
  uint64_t elements = 0;

  void take(uint8_t *out, uint64_t bytes, const llvm::Twine &what) {
    if (failed())
      return;
    if (bytes > left())
      return fail(what + ": the file ends at byte " + llvm::Twine(file.size()));
    while (bytes && !failed()) {
      if (position < begin || position >= begin + window.size())
        fill();
      uint64_t some = std::min<uint64_t>(bytes, begin + window.size() - position);
      std::copy_n(window.data() + (position - begin), some, out);
      out += some;
      position += some;
      bytes -= some;
    }
  }

  void fill() {
    constexpr uint64_t most = 1 << 20;
    begin = position;
    window.resize(std::min(most, left()));
    if (llvm::Error error = file.read(begin, window)) {
      llvm::StringRef text = message = llvm::toString(std::move(error));
      text.consume_front((file.name() + ": ").str()); // which takeError says
      message = text.str();
    }
  }

  const InputFile &file;
  uint64_t position = 0, begin = 0;
  std::vector<uint8_t> window;
  std::string message;
};

json readValue(Cursor &cursor, Kind kind, const llvm::Twine &what) {
  if (kind == Kind::String)
    return cursor.string(what);
  uint64_t bits = cursor.integer(bytesOf(kind), what);
  switch (kind) {
  case Kind::I8:
    return int8_t(bits);
  case Kind::I16:
    return int16_t(bits);
  case Kind::I32:
    return int32_t(bits);
  case Kind::I64:
    return int64_t(bits);
  case Kind::F32:
    return double(llvm::bit_cast<float>(uint32_t(bits)));
  case Kind::F64:
    return llvm::bit_cast<double>(bits);
  case Kind::Bool:
    if (bits > 1)
      cursor.fail(what + ": expected a truth value of 0 or 1, found " + llvm::Twine(bits));
    return bits == 1;
  default:
    return bits;
  }
}

Kind readKind(Cursor &cursor, const llvm::Twine &what) {
  uint64_t kind = cursor.integer(4, what);
  if (kind > uint64_t(Kind::F64)) {
    cursor.fail(what + ": expected a type from 0 to 12, found " + llvm::Twine(kind));
    kind = 0;
  }
  return Kind(kind);
}

json readPair(Cursor &cursor, const llvm::Twine &what) {
  Kind kind = readKind(cursor, what);
  if (kind != Kind::Array)
    return readValue(cursor, kind, what);
  Kind element = readKind(cursor, what);
  if (element == Kind::Array)
    cursor.fail(what + ": an array of arrays, which no key is known to be");
  uint64_t count = cursor.count(bytesOf(element), what);
  json values = json::array();
  for (uint64_t i = 0; i < count && !cursor.failed(); ++i)
    values.push_back(readValue(cursor, element, what));
  return values;
}

} // namespace

bool isGguf(llvm::StringRef path) {
  if (llvm::sys::fs::is_directory(path))
    return false;
  if (path.ends_with_insensitive(".gguf"))
    return true;
  llvm::Expected<InputFile> file = InputFile::open(path);
  std::array<uint8_t, 4> first = {};
  if (file && file->size() >= first.size()) {
    llvm::consumeError(file->read(0, first));
    return llvm::StringRef(reinterpret_cast<char *>(first.data()), first.size()) == magic;
  }
  if (!file)
    llvm::consumeError(file.takeError());
  return false;
}

llvm::Expected<std::unique_ptr<GgufFile>> GgufFile::open(llvm::StringRef path) {
  llvm::Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return file.takeError();
  std::unique_ptr<GgufFile> gguf(new GgufFile(std::move(*file)));
  if (llvm::Error error = gguf->readHeader())
    return std::move(error);
  return gguf;
}

llvm::Error GgufFile::readHeader() {
  Cursor cursor(file);
  uint64_t found = cursor.integer(4, "magic");
  if (cursor.failed() || found != llvm::support::endian::read32le(magic.data()))
    return refuse(name() + ": expected a GGUF file, which begins with \"GGUF\"");
  uint64_t version = cursor.integer(4, "version");
  if (version != 2 && version != 3)
    cursor.fail("version: expected 2 or 3, found " + llvm::Twine(version) +
                (llvm::byteswap(uint32_t(version)) == 3 ? ", a file for big-endian machines" : ""));
  // The least that a tensor takes: an empty name, one dimension, a type and an offset.
  uint64_t tensors = cursor.count(8 + 4 + 8 + 4 + 8, "tensors");
  uint64_t count = cursor.count(8 + 4 + 1, "metadata");
  for (uint64_t i = 0; i < count && !cursor.failed(); ++i) {
    std::string key = cursor.string("metadata: key " + llvm::Twine(i));
    json value = readPair(cursor, inQuotes(key));
    if (!cursor.failed() && !pairs.emplace(key, std::move(value)).second)
      cursor.fail(inQuotes(key) + ": is there twice");
  }
  llvm::StringSet<> names;
  for (uint64_t i = 0; i < tensors && !cursor.failed(); ++i) {
    GgufTensor tensor;
    tensor.name = cursor.string("tensor " + llvm::Twine(i) + ": name");
    std::string what = "tensor " + inQuotes(tensor.name);
    uint64_t dimensions = cursor.integer(4, what);
    if (!cursor.failed() && (dimensions < 1 || dimensions > 4))
      cursor.fail(what + ": expected 1 to 4 dimensions, found " + llvm::Twine(dimensions));
    for (uint64_t d = 0; d < dimensions && !cursor.failed(); ++d)
      tensor.shape.insert(tensor.shape.begin(), int64_t(cursor.integer(8, what)));
    auto type = uint32_t(cursor.integer(4, what));
    tensor.type = ggufType(type);
    if (!cursor.failed() && !tensor.type)
      cursor.fail(what + ": its type is " + ggufTypeName(type) + ", supported are " +
                  ggufTypeNames());
    tensor.begin = cursor.integer(8, what);
    if (!cursor.failed() && !names.insert(tensor.name).second)
      cursor.fail(what + ": is there twice");
    list.push_back(std::move(tensor));
  }
  if (cursor.failed())
    return cursor.takeError();
  return place(cursor.at());
}

llvm::Error GgufFile::place(uint64_t end) {
  uint64_t alignment = 32;
  if (auto it = pairs.find("general.alignment"); it != pairs.end()) {
    if (!it->is_number_unsigned() || !llvm::isPowerOf2_64(it->get<uint64_t>()) ||
        it->get<uint64_t>() > 1 << 20)
      return refuse(name() + ": \"general.alignment\": expected a power of two up to 2^20");
    alignment = it->get<uint64_t>();
  }
  uint64_t data = llvm::alignTo(end, alignment);
  for (GgufTensor &tensor : list) {
    auto fail = [&](const llvm::Twine &what) {
      return refuse(name() + ": tensor " + inQuotes(tensor.name) + ": " + what);
    };
    const GgufType &type = *tensor.type;
    uint64_t elements = 1;
    for (int64_t size : tensor.shape) {
      bool overflow = false;
      elements = llvm::SaturatingMultiply(elements, uint64_t(size), &overflow);
      if (size < 1 || overflow || elements > uint64_t(std::numeric_limits<int64_t>::max()) / 8)
        return fail("its shape is " + showShape(tensor.shape));
    }
    if (tensor.shape.back() % type.columns)
      return fail("its rows have " + llvm::Twine(tensor.shape.back()) + " columns, and " +
                  type.name + " is for multiples of " + llvm::Twine(type.columns));
    tensor.bytes = elements / uint64_t(type.columns) * uint64_t(type.bytes);
    if (tensor.begin % alignment)
      return fail("begins at " + llvm::Twine(tensor.begin) + ", which is no multiple of " +
                  llvm::Twine(alignment));
    if (data > file.size() || tensor.begin > file.size() - data ||
        tensor.bytes > file.size() - data - tensor.begin)
      return fail("has " + llvm::Twine(tensor.bytes) + " bytes from " + llvm::Twine(tensor.begin) +
                  " of the data on, of which the file has " +
                  llvm::Twine(data > file.size() ? 0 : file.size() - data));
    tensor.begin += data;
  }
  std::vector<const GgufTensor *> inOrder;
  for (const GgufTensor &tensor : list)
    inOrder.push_back(&tensor);
  llvm::sort(inOrder, [](auto *a, auto *b) { return a->begin < b->begin; });
  for (size_t i = 1; i < inOrder.size(); ++i)
    if (inOrder[i - 1]->begin + inOrder[i - 1]->bytes > inOrder[i]->begin)
      return refuse(name() + ": tensor " + inQuotes(inOrder[i]->name) + ": overlaps " +
                    inQuotes(inOrder[i - 1]->name));
  return llvm::Error::success();
}

const GgufTensor *GgufFile::find(llvm::StringRef tensor) const {
  auto found = llvm::find_if(list, [&](const GgufTensor &t) { return t.name == tensor; });
  return found == list.end() ? nullptr : &*found;
}

llvm::Error GgufFile::refuseScale(const GgufTensor &tensor, uint64_t block) const {
  return refuse(name() + ": tensor " + inQuotes(tensor.name) + ": block " + llvm::Twine(block) +
                ": a scale of " + tensor.type->name + " is not a finite number");
}

llvm::Error GgufFile::readFloats(const GgufTensor &tensor, uint64_t first,
                                 llvm::MutableArrayRef<float> out) const {
  const GgufType &type = *tensor.type;
  auto columns = uint64_t(type.columns), bytes = uint64_t(type.bytes);
  constexpr uint64_t atOnce = 1024; // blocks
  std::vector<uint8_t> raw;
  std::vector<float> values(size_t(columns), 0.0f);
  for (uint64_t block = first / columns, end = (first + out.size() + columns - 1) / columns;
       block < end;) {
    uint64_t count = std::min(atOnce, end - block);
    raw.resize(count * bytes);
    if (llvm::Error error = file.read(tensor.begin + block * bytes, raw))
      return error;
    for (uint64_t i = 0; i < count; ++i, ++block) {
      const uint8_t *from = raw.data() + i * bytes;
      if (!type.plain) {
        if (!decodeBlock(type, from, values.data()))
          return refuseScale(tensor, block);
      } else if (*type.plain == DType::F32) {
        values[0] = llvm::bit_cast<float>(llvm::support::endian::read32le(from));
      } else {
        uint16_t half = llvm::support::endian::read16le(from);
        values[0] = *type.plain == DType::F16 ? fromF16(half) : fromBf16(half);
      }
      // What of the block is wanted.
      uint64_t low = std::max(first, block * columns);
      uint64_t high = std::min(first + out.size(), (block + 1) * columns);
      std::copy_n(values.data() + (low - block * columns), high - low, out.data() + (low - first));
    }
  }
  return llvm::Error::success();
}

} // namespace pianola
