// Parser.h - from PTX text to its syntax tree.
//
// Accepts PTX 7.0 to 9.0 as nvcc and LLVM print it. What stands in the text and is not understood
// is an error with its line; debug sections, .loc and .file are skipped.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_PARSER_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_PARSER_H

#include "runtime/Status.h"
#include "targets/nvptx/emulator/Syntax.h"

#include <memory>

namespace pianola::ptx {

/// The tree of a module. Errors read `name:line: what is wrong`.
Result<std::shared_ptr<const Syntax>> parse(std::string_view text, std::string name);

} // namespace pianola::ptx

#endif
