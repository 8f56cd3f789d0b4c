//===- WriteRoll.h - Put a roll together ------------------------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_WRITEROLL_H
#define PIANOLA_LIB_DRIVER_WRITEROLL_H

#include "lib/driver/Compile.h"
#include "lib/driver/LoadModel.h"
#include "lib/driver/Punch.h"
#include "targets/host/HostCode.h"

namespace pianola {

/// What the manifest says of the model.
struct ModelSummary {
  std::string family, name;
  int64_t vocabulary, hidden, layers, maxPositions, parameters, maxModelLen;
};

/// Must be asked before the pipeline runs, while the module is the transformer's.
ModelSummary summarise(const LoadedModel &model, int64_t maxModelLen);

/// The code of a roll and what it is for.
struct RollCode {
  nlohmann::json target; // the manifest's member
  StageCode stages;
  llvm::ArrayRef<uint8_t> code;
  std::vector<uint8_t> cubin; // may be empty
};
RollCode codeFor(const HostCpu &cpu, const HostImage &image);
RollCode codeFor(const DeviceRow &device, const PtxCode &ptx);

/// Packs the weights and writes the roll to `options.output`, whole or not at all. What tapes gain
/// by weights that several layers share goes to `notes`.
llvm::Error writeRoll(const CompileOptions &options, const ModelSummary &summary,
                      tile::MachineAttr machine, mlir::ModuleOp module, const RollCode &code,
                      const WeightSource &weights, Progress &progress, llvm::raw_ostream &notes);

} // namespace pianola

#endif
