// SchemaCompiler.h - a schema as rules: one for each schema in it.
#ifndef PIANOLA_RUNTIME_GRAMMAR_SCHEMACOMPILER_H
#define PIANOLA_RUNTIME_GRAMMAR_SCHEMACOMPILER_H

#include "runtime/grammar/Expression.h"
#include "runtime/grammar/JsonForms.h"
#include "runtime/grammar/SchemaParts.h"

#include <map>

namespace pianola::grammar {

/// Throws Refusals.
class SchemaCompiler {
public:
  /// Adds to `rules`, which may have others.
  SchemaCompiler(const Json &document, Rules &rules)
      : document(document), parts(document), rules(rules) {}

  /// The texts of a schema of the document.
  Expression add(const Json &schema, const std::string &pointer);

private:
  struct Waiting {
    Json schema;
    std::string pointer;
    uint32_t rule;
  };

  // Equal schemas share a rule.
  Expression ruleFor(const Json &schema, const std::string &pointer);
  Expression bodyOf(const Json &schema, const std::string &pointer);
  Expression flatBody(const Json &flat, const std::string &pointer);
  Expression enumBody(const Json &flat, const std::string &pointer);
  Expression objectBody(const Json &flat, const std::string &pointer);
  Expression arrayBody(const Json &flat, const std::string &pointer);
  Expression stringBody(const Json &flat, const std::string &pointer);
  Expression numberBody(const Json &flat, const std::string &pointer, bool isInteger);

  std::optional<uint32_t> countOf(const Json &flat, const char *name, const std::string &pointer);
  struct Range {
    uint32_t least, most;
  };
  Range rangeOf(const Json &flat, const char *least, const char *most, const std::string &pointer);

  const Json &document;
  SchemaParts parts;
  Rules &rules;
  JsonForms forms{rules};
  std::map<std::string, uint32_t> ruleOfText;
  std::vector<Waiting> waiting;
};

} // namespace pianola::grammar

#endif
