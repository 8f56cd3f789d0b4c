// Validator.h - JSON Schema by its definition, as far as the corpus goes: what grammars are held
// to.
#ifndef PIANOLA_TEST_RUNTIME_GRAMMAR_VALIDATOR_H
#define PIANOLA_TEST_RUNTIME_GRAMMAR_VALIDATOR_H

#include <nlohmann/json.hpp>
#include <string>

/// Empty if the value is valid, else what is not, and where. `format` is not looked at.
std::string findFault(const nlohmann::ordered_json &value, const nlohmann::ordered_json &schema,
                      const nlohmann::ordered_json &document, const std::string &where = "$");

#endif
