// LeftOut.cpp - what tapes gain by the zeros that do not stand there.
#include "lib/encode/LeftOut.h"

#include "dialects/schedule/Schedule.h"
#include "dialects/transformer/Transformer.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"

using namespace mlir;

namespace pianola {
namespace {

// How matrices stand on tapes, by their weights' symbols: some whose encoding leaves zeros out
// stand in full, where their tiles or columns do not suit.
llvm::StringMap<tile::MatrixType> matricesOf(ModuleOp module) {
  llvm::StringMap<tile::MatrixType> matrices;
  module.walk([&](Operation *op) {
    if (auto pool = dyn_cast<schedule::PoolOp>(op))
      matrices[pool.getWeightAttr().getRootReference()] = pool.getPool().getType().getMatrix();
    auto step = dyn_cast<schedule::StepOp>(op);
    if (!step)
      return;
    for (BlockArgument argument : step.getStageOp().getBody().getArguments())
      if (auto matrix = dyn_cast<tile::MatrixType>(argument.getType()))
        matrices[step.getWeightOf(argument.getArgNumber()).getRootReference()] = matrix;
  });
  return matrices;
}

struct Gain {
  int64_t count = 0, before = 0, after = 0;

  void add(transformer::WeightOp op) {
    ++count;
    int64_t rows = op.getShape()[0], columns = op.getShape()[1];
    before += rows * encoding::rowBytes(encoding::elementOf(op.getEncoding()), columns);
    after += rows * encoding::rowBytes(op.getEncoding(), columns);
  }
  void print(const char *name, const char *what, int64_t matrices, llvm::raw_ostream &out) const {
    if (count)
      out << "note: " << name << ": of " << matrices << (matrices == 1 ? " matrix " : " matrices ")
          << count << (count == 1 ? " has " : " have ") << what
          << llvm::format(", %.2f MB in place of %.2f MB (%.1f %% less)\n", after / 1e6,
                          before / 1e6, 100 - 100.0 * after / before);
  }
};

} // namespace

void printLeftOut(ModuleOp module, llvm::raw_ostream &out) {
  llvm::StringMap<tile::MatrixType> matrices = matricesOf(module);
  Gain pruned, blocks;
  int64_t count = 0;
  for (auto op : module.getOps<transformer::WeightOp>()) {
    count += op.getShape().size() == 2;
    tile::MatrixType matrix = matrices.lookup(op.getSymName());
    if (matrix && matrix.isPruned())
      pruned.add(op);
    else if (matrix && matrix.getKept())
      blocks.add(op);
  }
  pruned.print("2:4", "two of four columns", count, out);
  blocks.print("zero blocks", "blocks that do not stand there", count, out);
}

} // namespace pianola
