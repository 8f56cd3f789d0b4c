// Fields.h - the fields of a request, checked one by one.
#ifndef PIANOLA_RUNTIME_SERVER_FIELDS_H
#define PIANOLA_RUNTIME_SERVER_FIELDS_H

#include "runtime/server/ApiError.h"
#include "runtime/server/Json.h"

#include <cstdint>
#include <optional>

namespace pianola::server {

/// Reads members of an object. What is missing or null leaves the value as it was; what is wrong is
/// an error that names the field, of which the first is kept.
class Fields {
public:
  /// `path` is before each name: "stream_options.".
  explicit Fields(const ordered_json &object, std::string path = "")
      : object(object), path(std::move(path)) {}

  /// The member, or null if it is missing or null.
  const ordered_json *find(const char *name) const;

  void take(const char *name, bool &to);
  void take(const char *name, std::string &to);
  void take(const char *name, float &to, double least, double most);
  void take(const char *name, int64_t &to, int64_t least, int64_t most);

  /// Known to OpenAI's clients, but not here: an error unless it is null or as they have it anyway.
  void refuse(const char *name, const ordered_json &harmless);

  void fail(const std::string &name, const std::string &message) {
    if (!error)
      error = ApiError(400, path + name + ": " + message, path + name);
  }
  bool ok() const { return !error; }

  std::optional<ApiError> error;

private:
  const ordered_json &object;
  std::string path;
};

/// "a string", "an array": what a value is, for messages.
std::string kindOf(const ordered_json &value);

} // namespace pianola::server

#endif
