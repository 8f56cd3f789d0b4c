// SmallModel.h - a config of two layers to vary, imported with weights out of a seed.
#ifndef PIANOLA_TEST_LIB_IMPORT_SMALLMODEL_H
#define PIANOLA_TEST_LIB_IMPORT_SMALLMODEL_H

#include "dialects/transformer/Transformer.h"
#include "lib/checkpoint/SeededWeights.h"
#include "lib/import/Import.h"

#include <nlohmann/json.hpp>

namespace pianola {

inline nlohmann::json smallConfig(const std::string &architecture, int layers) {
  return {{"architectures", {architecture}},
          {"vocab_size", 40},
          {"hidden_size", 16},
          {"intermediate_size", 24},
          {"num_hidden_layers", layers},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"max_position_embeddings", 64},
          {"rms_norm_eps", 1e-5}};
}

struct SmallModel {
  mlir::MLIRContext context;
  DerivedWeights weights{std::make_unique<SeededWeights>(1)};
  mlir::OwningOpRef<mlir::ModuleOp> module;

  explicit SmallModel(const nlohmann::json &json) {
    ModelConfig config = llvm::cantFail(ModelConfig::fromText(json.dump()));
    module = llvm::cantFail(importModel(context, config, weights));
  }

  /// All ops of one kind, in order.
  template <typename Op> std::vector<Op> all() {
    std::vector<Op> ops;
    module->walk([&](Op op) { ops.push_back(op); });
    return ops;
  }

  /// The window of every layer, 0 for none.
  std::vector<int64_t> windows() {
    std::vector<int64_t> result;
    for (auto op : all<transformer::AttentionOp>())
      result.push_back(int64_t(op.getWindow().value_or(0)));
    return result;
  }

  bool has(llvm::StringRef symbol) { return module->lookupSymbol(symbol) != nullptr; }
};

} // namespace pianola

#endif
