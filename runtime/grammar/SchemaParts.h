// SchemaParts.h - what the keywords of a schema that combine others come down to.
#ifndef PIANOLA_RUNTIME_GRAMMAR_SCHEMAPARTS_H
#define PIANOLA_RUNTIME_GRAMMAR_SCHEMAPARTS_H

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pianola::grammar {

using Json = nlohmann::ordered_json;

/// All functions throw Refusals.
class SchemaParts {
public:
  explicit SchemaParts(const Json &document) : document(document) {}

  /// The schema without what only explains it. Refuses keywords that are not known.
  static Json withoutNotes(const Json &schema, const std::string &pointer);

  struct Place {
    const Json &schema;
    std::string pointer;
  };
  /// Where a $ref leads.
  Place follow(const Json &reference, const std::string &pointer) const;

  /// Schemas without allOf, anyOf, oneOf, $ref and const, of which one at least must hold. Each has
  /// what all must hold merged into one.
  std::vector<Json> flatten(const Json &schema, const std::string &pointer, int depth = 0);

  /// The options of anyOf or oneOf; those of oneOf exclude each other.
  const Json &options(const Json &schema, const char *keyword, const std::string &pointer,
                      int depth = 0);

  /// What a flat schema may be: null, boolean, object, array, number, integer, string.
  static std::set<std::string> typesOf(const Json &flat, const std::string &pointer);
  /// Those of them that are written: where no type is given, the one that keywords are about.
  static std::set<std::string> writtenTypesOf(const Json &flat, const std::string &pointer);

  /// What combines schemas may make very many of them.
  void checkTime(const std::string &pointer) const;

private:
  std::optional<Json> merge(const Json &a, const Json &b, const std::string &pointer);
  bool excludes(const Json &written, const Json &other, const std::string &pointer, int depth);

  const Json &document;
  bool isComparing = false;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
};

/// A name as JSON pointers write it.
std::string pointerPart(const std::string &name);
/// The type of a value, as schemas call it.
std::string typeNameOf(const Json &value);
/// If `values` has one that is equal to `value`, in whatever order members are written.
bool hasEqual(const Json &values, const Json &value);
/// What is of both.
std::set<std::string> common(const std::set<std::string> &a, const std::set<std::string> &b);
/// A member of an object, or null.
const Json *find(const Json &object, const char *name);
/// If a value of `type` is one of `types`; an integer is a number, too.
bool isAmong(const std::string &type, const std::set<std::string> &types);

} // namespace pianola::grammar

#endif
