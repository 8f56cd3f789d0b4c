// Mutation.h - PTX text with something wrong in it: words, lines and bytes are exchanged, lost and
// repeated.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_FUZZ_MUTATION_H
#define PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_FUZZ_MUTATION_H

#include "test/targets/nvptx/emulator/Rehearsal.h"

#include <string>
#include <string_view>

namespace pianola::ptx {

/// The text with one to four mutations, at most `most` bytes of it.
std::string mutated(std::string_view text, Draw &draw, size_t most);

} // namespace pianola::ptx

#endif
