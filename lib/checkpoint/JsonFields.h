// JsonFields.h - JSON from outside: bounded reading, and fields with types and bounds.
#ifndef PIANOLA_LIB_CHECKPOINT_JSONFIELDS_H
#define PIANOLA_LIB_CHECKPOINT_JSONFIELDS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pianola {

/// Reads a JSON object from a file of at most `most` bytes, nested at most 64 deep.
llvm::Expected<nlohmann::json> readJsonObject(llvm::StringRef path, uint64_t most);

/// Parses `text`, which messages call `name`.
llvm::Expected<nlohmann::json> parseJsonObject(llvm::StringRef text, llvm::StringRef name);

/// A value for a message: at most 60 characters of printable ASCII.
std::string showJson(const nlohmann::json &value);

/// Reads the fields of one JSON object. The first bad field is remembered and reported by
/// takeError(); what is read after it keeps its value, so a caller reads everything and asks once.
/// A field that is absent or null is absent; only the required readers mind.
class JsonFields {
public:
  /// `place` begins every message: "config.json" or "config.json: rope_scaling".
  JsonFields(const nlohmann::json &object, std::string place)
      : object(object), place(std::move(place)) {}

  void integer(llvm::StringRef key, int64_t least, int64_t most, int64_t &out);
  void number(llvm::StringRef key, double least, double most, double &out);
  void string(llvm::StringRef key, std::string &out);

  void integer(llvm::StringRef key, int64_t least, int64_t most, std::optional<int64_t> &out);
  void number(llvm::StringRef key, double least, double most, std::optional<double> &out);
  void string(llvm::StringRef key, std::optional<std::string> &out);
  void boolean(llvm::StringRef key, std::optional<bool> &out);
  bool flag(llvm::StringRef key, bool ifAbsent);
  int64_t integerOr(llvm::StringRef key, int64_t least, int64_t most, int64_t ifAbsent);
  /// An array of integers; none if it is absent.
  std::vector<int64_t> integers(llvm::StringRef key, int64_t least, int64_t most);

  /// The field, or null where it is absent or JSON's null.
  const nlohmann::json *find(llvm::StringRef key) const;
  /// Whether the field is there, if only to be null.
  bool contains(llvm::StringRef key) const;
  /// Marks the field as read: it is known to say nothing here.
  void ignore(llvm::StringRef key) const { asked.insert(key.str()); }
  /// Counts what nobody read of `inner`, the object in field `key`, as unread here.
  void leave(llvm::StringRef key, const JsonFields &inner) const;
  /// The fields that nobody asked for, sorted; not those that are null, false or empty.
  std::vector<std::string> unread() const;

  /// Remembers an error about `key`: "place: key: message".
  void fail(llvm::StringRef key, const llvm::Twine &message);
  /// Remembers that `key` should be `expected`, and what it is instead.
  void wrong(llvm::StringRef key, const llvm::Twine &expected);

  bool failed() const { return !message.empty(); }
  llvm::Error takeError();

private:
  const nlohmann::json &object;
  std::string place;
  std::string message;
  mutable std::set<std::string> asked, left;
};

} // namespace pianola

#endif
