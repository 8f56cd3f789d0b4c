// Reference.h - what the reference interpreter says of the goldens.
#ifndef PIANOLA_TEST_NUMERIC_REFERENCE_H
#define PIANOLA_TEST_NUMERIC_REFERENCE_H

#include "lib/driver/LoadModel.h"
#include "lib/reference/Interpreter.h"
#include "test/numeric/Compiled.h"

#include "mlir/IR/MLIRContext.h"

namespace pianola {

/// Tokens that every golden has.
inline std::vector<int32_t> goldenIds(int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i)
    ids.push_back((i * 37 + i * i) % 300);
  return ids;
}

/// Logits, [ids][vocabulary], with weights encoded as the options say. `change` may change the
/// module before.
inline std::vector<float> interpreted(const CompileOptions &options,
                                      const std::vector<int32_t> &ids,
                                      llvm::function_ref<void(mlir::ModuleOp)> change = nullptr) {
  mlir::MLIRContext context;
  LoadedModel loaded =
      llvm::cantFail(loadModel(context, options.directory, options.seed, options.weights));
  if (change)
    change(*loaded.module);
  return llvm::cantFail(interpret(*loaded.module, *loaded.weights, ids)).logits.values;
}

} // namespace pianola

#endif
