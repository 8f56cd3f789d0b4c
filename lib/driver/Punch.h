//===- Punch.h - From a schedule to the tables of a roll --------*- C++ -*-===//
//
// The schedule dialect and the roll say the same things; this writes the one as the other.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_LIB_DRIVER_PUNCH_H
#define PIANOLA_LIB_DRIVER_PUNCH_H

#include "dialects/schedule/TapeOrder.h"
#include "mlir/IR/BuiltinOps.h"
#include "pianola/roll.h"
#include "targets/host/HostCode.h"
#include "targets/nvptx/PtxCode.h"
#include <nlohmann/json.hpp>

namespace pianola {

/// An embedding table of the roll: row-major in the table section (`tileRows` 0), or spread over
/// the tapes.
struct PunchedTable {
  mlir::SymbolRefAttr weight;
  tile::TableType type;
  uint64_t offset; // in the table section, or first index in the tiles section
  uint64_t count;  // bytes, or entries
};

struct Punched {
  std::vector<std::vector<schedule::TapeUse>> tapes; // of each worker
  std::vector<uint64_t> tapeOffsets;                 // in the tape section
  uint64_t tapeBytes = 0;                            // of all tapes, with padding between them
  uint64_t sharedBytes = 0;             // of matrices that steps read where earlier ones do
  std::vector<schedule::TapeUse> pools; // tiles, in the tape section behind the tapes
  std::vector<PunchedTable> tables;
  uint64_t tableBytes = 0;
  std::vector<uint64_t> tiles;
  std::vector<schedule::TapeUse> constants; // vectors, in the constant section
  uint64_t constantBytes = 0;
  std::vector<PianolaRollRecord> records;
  /// contexts, rotations, tables, pools, parts, tapes and programs of the manifest.
  nlohmann::json manifest;
};

/// What a target made of the stages; one of the two.
struct StageCode {
  const HostImage *host = nullptr;
  const PtxCode *ptx = nullptr;
};

/// `module` has gone through the pipeline. Errors: a schedule that the target's player has no
/// records for.
llvm::Expected<Punched> punch(mlir::ModuleOp module, int64_t workers, const StageCode &code);

} // namespace pianola

#endif
