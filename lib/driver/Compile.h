//===- Compile.h - From a model directory to a roll -------------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_COMPILE_H
#define PIANOLA_LIB_DRIVER_COMPILE_H

#include "lib/driver/Progress.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace pianola {

enum class Emit { Roll, Transformer, Tile, Schedule, Llvm, Assembly, Ptx };

struct CompileOptions {
  std::string directory;
  std::string output;           // of the roll
  std::string target = "host";  // see parseHostCpu
  int64_t workers = 0;          // 0: as many as this machine has cores
  int64_t maxModelLen = 0;      // positions a session can hold; 0: as many as the model allows
  std::vector<int64_t> slots;   // a program for each; empty: what suits the target
  bool skipCheck = false;       // play a schedule that nobody proved
  std::optional<uint64_t> seed; // make the weights up
  std::string weights;          // their encodings: see WeightSpec; empty: as they are
  std::string budget;           // bytes of all weights, such as 700MB, in place of `weights`
  std::string calibrate;        // a text that codes are found on; empty: none
  std::string kv;               // element of keys and values: f32, bf16, int8, fp8; empty: f32
  std::string activations;      // of prompts: f32 or bf16; empty: f32
  bool weightsAtLoad = false;   // made up by who opens the roll; with a seed, for a GPU
  bool cubin = false;           // machine code beside PTX, for a GPU
  bool hiddenStates = false;    // programs leave each token's last hidden state behind
  Emit emit = Emit::Roll;
};

/// Most token slots of a program.
constexpr int64_t kMostProgramSlots = 512;

/// Compiles the model. With another `emit` than Roll, text of that stage goes to `text` and no file
/// is written. What the user may want to know goes to `notes`.
llvm::Error compile(const CompileOptions &options, Progress &progress, llvm::raw_ostream &text,
                    llvm::raw_ostream &notes);

} // namespace pianola

#endif
