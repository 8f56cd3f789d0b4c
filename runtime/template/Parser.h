// Parser.h - tokens to a tree.
#ifndef PIANOLA_RUNTIME_TEMPLATE_PARSER_H
#define PIANOLA_RUNTIME_TEMPLATE_PARSER_H

#include "runtime/template/Ast.h"

#include <string_view>

namespace pianola::templates {

/// Throws a Failure.
Body parse(std::string_view source);

} // namespace pianola::templates

#endif
