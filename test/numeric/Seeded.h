// Seeded.h - a model that is a shape and a seed, its roll, and what the reference says of it.
#ifndef PIANOLA_TEST_NUMERIC_SEEDED_H
#define PIANOLA_TEST_NUMERIC_SEEDED_H

#include "lib/driver/LoadModel.h"
#include "lib/reference/Interpreter.h"
#include "test/numeric/Compiled.h"
#include "test/numeric/Shape.h"

#include "mlir/IR/MLIRContext.h"

namespace pianola {

struct Seeded {
  Seeded(const Shape &shape, const std::string &target, std::vector<int64_t> slots, uint64_t seed) {
    setenv("PIANOLA_CACHE", output.path.c_str(), 1);
    writeConfig(shape, model.path);
    options.directory = model.path;
    options.target = target;
    options.workers = shape.workers;
    options.slots = std::move(slots);
    options.seed = seed;
  }

  /// Null after a failed assertion.
  std::unique_ptr<Roll> roll() const { return compileAndOpen(options, output); }

  /// The stages and their tiles.
  std::string tiles() const {
    CompileOptions emit = options;
    emit.emit = Emit::Tile;
    Progress progress(false);
    std::string text;
    llvm::raw_string_ostream stream(text);
    llvm::cantFail(compile(emit, progress, stream, llvm::nulls()));
    return text;
  }

  /// The reference interpreter's logits, [ids][vocabulary].
  std::vector<float> reference(const std::vector<int32_t> &ids) const {
    mlir::MLIRContext context;
    LoadedModel loaded =
        llvm::cantFail(loadModel(context, model.path, options.seed, options.weights));
    return llvm::cantFail(interpret(*loaded.module, *loaded.weights, ids)).logits.values;
  }

  TemporaryDirectory model, output;
  CompileOptions options;
};

} // namespace pianola

#endif
