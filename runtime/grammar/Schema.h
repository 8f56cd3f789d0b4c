// Schema.h - JSON Schema to grammars.
//
// Every text of such a grammar is JSON that the schema holds for; not every such JSON is one of its
// texts: properties stand in the schema's order, and each value is written as JsonForms.h says.
// What would not be kept to is refused, by name and JSON pointer. docs/constrained.md has the list.
#ifndef PIANOLA_RUNTIME_GRAMMAR_SCHEMA_H
#define PIANOLA_RUNTIME_GRAMMAR_SCHEMA_H

#include "runtime/grammar/Grammar.h"

#include <nlohmann/json_fwd.hpp>

namespace pianola::grammar {

/// Ordered, as the order of properties matters: parse as nlohmann::ordered_json from the beginning.
Result<std::shared_ptr<const Grammar>> fromSchema(const nlohmann::ordered_json &schema);
Result<std::shared_ptr<const Grammar>> fromSchemaText(std::string_view text);

/// The texts of a schema as a part of a larger grammar. What they are made of is added to `rules`.
Result<Expression> addSchema(Rules &rules, const nlohmann::ordered_json &schema);

/// Any JSON object.
std::shared_ptr<const Grammar> anyObject();

} // namespace pianola::grammar

#endif
