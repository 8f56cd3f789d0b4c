//===- Assemble.h - From PTX to machine code, by ptxas ----------*- C++ -*-===//
//
// Where CUDA's toolkit is. Without it a roll has PTX alone, and the driver of the machine that
// plays it makes the machine code.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_ASSEMBLE_H
#define PIANOLA_TARGETS_NVPTX_ASSEMBLE_H

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <string>
#include <vector>

namespace pianola {

/// Machine code for chips of this capability. `notes` gets a table of what each kernel needs:
/// registers, bytes of stack, bytes spilt. Runs the ptxas that PIANOLA_PTXAS names, or else the one
/// that was found when this program was built; an error if there is none.
llvm::Expected<std::vector<uint8_t>> assemble(llvm::StringRef ptx, uint32_t capability,
                                              llvm::raw_ostream &notes);

} // namespace pianola

#endif
