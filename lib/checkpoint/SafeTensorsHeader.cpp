// SafeTensorsHeader.cpp - what a safetensors file says it holds.
//
// The JSON is taken in as events rather than as a tree: duplicate keys are seen, nesting cannot go
// deeper than the format does, and memory stays in proportion to what the header declares.
#include "lib/checkpoint/SafeTensorsHeader.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"

#include <nlohmann/json.hpp>

#include <limits>

namespace pianola {
namespace {

struct Declaration {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<llvm::SmallVector<int64_t, 2>> shape;
  std::optional<llvm::SmallVector<int64_t, 2>> offsets;
};

/// Receives the header's JSON. Returning false stops the parse; `message` then says why.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
public:
  std::vector<Declaration> declarations;
  std::string message;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(double, const std::string &) override {
    return unexpected("a number that is no integer of 64 bits");
  }
  bool number_integer(int64_t) override { return unexpected("a negative integer"); }
  bool binary(nlohmann::json::binary_t &) override { return unexpected("binary"); }

  bool number_unsigned(uint64_t value) override {
    if (!numbers)
      return unexpected("a number");
    if (value > uint64_t(std::numeric_limits<int64_t>::max()))
      return unexpected("an integer over 2^63 - 1");
    numbers->push_back(int64_t(value));
    return true;
  }

  bool string(std::string &value) override {
    if (depth == 2 && inMetadata)
      return true;
    if (depth != 2 || field != "dtype" || numbers)
      return unexpected("a string");
    declarations.back().dtype = std::move(value);
    return true;
  }

  bool start_object(size_t) override {
    if (depth == 2 || numbers)
      return unexpected("an object");
    if (++depth == 2)
      fields.clear();
    return true;
  }
  bool end_object() override {
    if (--depth != 1 || inMetadata)
      return true;
    // Said here, so that millions of names without anything else are not kept first.
    const Declaration &last = declarations.back();
    field = !last.dtype ? "dtype" : !last.shape ? "shape" : "data_offsets";
    if (last.dtype && last.shape && last.offsets)
      return true;
    return fail("tensor " + inQuotes(last.name) + ": " + field + ": missing");
  }

  bool key(std::string &value) override {
    if (depth == 1) {
      if (!names.insert(value).second)
        return fail("header: " + inQuotes(value) + " appears twice");
      inMetadata = value == "__metadata__";
      if (!inMetadata)
        declarations.emplace_back().name = std::move(value);
      field.clear();
      return true;
    }
    field = std::move(value);
    if (!fields.insert(field).second)
      return fail(place() + ": appears twice");
    if (!inMetadata && field != "dtype" && field != "shape" && field != "data_offsets")
      return fail(place() + ": expected only dtype, shape and data_offsets");
    return true;
  }

  bool start_array(size_t) override {
    if (depth != 2 || inMetadata || numbers || field == "dtype")
      return unexpected("an array");
    auto &target = field == "shape" ? declarations.back().shape : declarations.back().offsets;
    numbers = &target.emplace();
    return true;
  }
  bool end_array() override {
    numbers = nullptr;
    return true;
  }

  bool parse_error(size_t position, const std::string &,
                   const nlohmann::json::exception &) override {
    return fail("header: not valid JSON at byte " + llvm::Twine(position));
  }

private:
  bool fail(const llvm::Twine &text) {
    message = text.str();
    return false;
  }

  std::string place() const {
    if (inMetadata)
      return "header: __metadata__" + (depth == 2 ? ": " + inQuotes(field) : "");
    if (declarations.empty())
      return "header";
    std::string text = "tensor " + inQuotes(declarations.back().name);
    bool known = field == "dtype" || field == "shape" || field == "data_offsets";
    return depth == 2 ? text + ": " + (known ? field : inQuotes(field)) : text;
  }

  bool unexpected(const llvm::Twine &found) {
    llvm::StringRef expected = depth < 2          ? "an object"
                               : inMetadata       ? "a string"
                               : field == "dtype" ? "a string"
                               : numbers          ? "an integer from 0"
                                                  : "an array of integers";
    return fail(place() + ": expected " + expected + ", found " + found);
  }

  int depth = 0;
  bool inMetadata = false;
  std::string field;                                // at depth 2
  llvm::SmallVector<int64_t, 2> *numbers = nullptr; // the array being filled
  llvm::StringSet<> names, fields;
};

/// Turns what the header declares of one tensor, all of it, into an entry, with offsets still from
/// the data.
llvm::Expected<SafeTensorsEntry> check(const Declaration &declared, llvm::StringRef file) {
  auto fail = [&](const llvm::Twine &text) {
    return refuse(file + ": tensor " + inQuotes(declared.name) + ": " + text);
  };
  std::optional<DType> dtype = dtypeFromName(*declared.dtype);
  if (!dtype)
    return fail("dtype: expected one of " + dtypeNames() + ", found " + inQuotes(*declared.dtype));
  llvm::ArrayRef<int64_t> shape = *declared.shape;
  std::optional<uint64_t> bytes = tensorBytes(*dtype, shape);
  if (!bytes)
    return fail("shape: " + *declared.dtype + " " + showShape(shape) + " is over 2^63 - 1 bytes");
  llvm::ArrayRef<int64_t> offsets = *declared.offsets;
  if (offsets.size() != 2)
    return fail("data_offsets: expected two integers, found " + llvm::Twine(offsets.size()));
  if (offsets[1] < offsets[0] || uint64_t(offsets[1] - offsets[0]) != *bytes)
    return fail("data_offsets: expected " + llvm::Twine(*bytes) + " bytes for " + *declared.dtype +
                " " + showShape(shape) + ", found " + showShape(offsets));
  return SafeTensorsEntry{{declared.name, *dtype, llvm::SmallVector<int64_t, 2>(shape), *bytes},
                          uint64_t(offsets[0])};
}

} // namespace

llvm::Expected<std::vector<SafeTensorsEntry>> readSafeTensorsHeader(const InputFile &file) {
  llvm::StringRef name = file.name();
  constexpr uint64_t longest = 100'000'000;
  if (file.size() < 8)
    return refuse(name + ": expected eight bytes of header length, found " +
                  llvm::Twine(file.size()));
  uint8_t lengthBytes[8];
  if (llvm::Error error = file.read(0, lengthBytes))
    return std::move(error);
  uint64_t length = llvm::support::endian::read64le(lengthBytes);
  if (length > longest)
    return refuse(name + ": header length: expected at most 100000000, found " +
                  llvm::Twine(length));
  if (length > file.size() - 8)
    return refuse(name + ": header length: expected at most " + llvm::Twine(file.size() - 8) +
                  " in a file of " + llvm::Twine(file.size()) + " bytes, found " +
                  llvm::Twine(length));
  std::string text(length, '\0');
  if (llvm::Error error = file.read(8, {reinterpret_cast<uint8_t *>(text.data()), text.size()}))
    return std::move(error);
  llvm::StringRef object = llvm::StringRef(text).rtrim(' ');
  if (!object.starts_with("{") || !object.ends_with("}"))
    return refuse(name + ": header: expected a JSON object padded with spaces");

  HeaderEvents events;
  if (!nlohmann::json::sax_parse(object.begin(), object.end(), &events))
    return refuse(name + ": " + events.message);

  std::vector<SafeTensorsEntry> entries;
  entries.reserve(events.declarations.size());
  for (const Declaration &declared : events.declarations) {
    llvm::Expected<SafeTensorsEntry> entry = check(declared, name);
    if (!entry)
      return entry.takeError();
    entries.push_back(std::move(*entry));
  }
  llvm::sort(entries, [](const SafeTensorsEntry &a, const SafeTensorsEntry &b) {
    return std::tie(a.begin, a.tensor.bytes, a.tensor.name) <
           std::tie(b.begin, b.tensor.bytes, b.tensor.name);
  });
  uint64_t next = 0, data = file.size() - 8 - length;
  for (SafeTensorsEntry &entry : entries) {
    if (entry.begin != next)
      return refuse(name + ": tensor " + inQuotes(entry.tensor.name) +
                    ": data_offsets: expected to begin at " + llvm::Twine(next) +
                    ", where the tensor before ends, found " + llvm::Twine(entry.begin));
    next += entry.tensor.bytes; // at most 2^63 - 1 each, and the next begin must equal it
    if (next > data)
      return refuse(name + ": tensor " + inQuotes(entry.tensor.name) + ": data_offsets: ends at " +
                    llvm::Twine(next) + ", but the file has " + llvm::Twine(data) +
                    " bytes of data");
    entry.begin += 8 + length;
  }
  if (next != data)
    return refuse(name + ": tensors end at " + llvm::Twine(next) + ", but the file has " +
                  llvm::Twine(data) + " bytes of data");
  return entries;
}

} // namespace pianola
