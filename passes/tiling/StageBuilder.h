//===- StageBuilder.h - One stage of tiles --------------------------*- C++ -*-===//
//
// A stage is tiled backwards, from what it yields. Each yielded value, and each half of an append,
// becomes one section, whose region is built by walking from the value up to the linears that make
// it; whatever a linear reads is built in the prologue. So no shape of layer is built in here: what
// fuse-stages put together comes out as tiles.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_PASSES_TILING_STAGEBUILDER_H
#define PIANOLA_PASSES_TILING_STAGEBUILDER_H

#include "passes/tiling/ProgramBuilder.h"

namespace pianola::tiling {

// Slots that one attention or embedding tile takes on.
constexpr int64_t kSlotBlock = 16;
// Positions that a part of a context has at least before another one gets any, where a reader of
// the parts pays for each: a block of eight for each of a GPU's eight warps, which read them all at
// once. (Where there are seven, one of them reads two.)
constexpr int64_t kLeastPart = 64;

/// Builds one tile.stage and collects what its step binds.
class StageBuilder {
public:
  StageBuilder(ProgramBuilder &owner, transformer::StageOp source)
      : owner(owner), source(source), loc(source.getLoc()), builder(owner.context) {
    stage = builder.create<tile::StageOp>(loc, "stage", /*outputs=*/false, /*hidden_states=*/false);
    stage.getBody().emplaceBlock();
  }

  mlir::LogicalResult build(llvm::StringRef label);
  // A section of whole rows: what a prologue of `source` would compute, or what `source` yields.
  mlir::LogicalResult emitRows(mlir::Value value, mlir::Value buffer);

  tile::StageOp stage;
  llvm::SmallVector<mlir::Value> bindings;
  llvm::SmallVector<mlir::Attribute> weights;

private:
  mlir::Block &body() { return stage.getBody().front(); }
  mlir::RankedTensorType values(int64_t columns, mlir::Type element) {
    return mlir::RankedTensorType::get({owner.slots, columns}, element);
  }
  mlir::RankedTensorType values(int64_t rows, int64_t columns, mlir::Type element) {
    return mlir::RankedTensorType::get({rows, columns}, element);
  }
  // A map of the tile coordinates: coordinate `dim` of `dims` times `factor`.
  mlir::AffineMapAttr map(unsigned dims, unsigned dim, int64_t factor) {
    return mlir::AffineMapAttr::get(
        mlir::AffineMap::get(dims, 0, mlir::getAffineDimExpr(dim, owner.context) * factor));
  }
  mlir::Value bindValue(mlir::Value value);
  mlir::Value matrix(mlir::SymbolRefAttr symbol, transformer::Layout output, int64_t rows,
                     transformer::Layout input);
  // A norm weight.
  mlir::Value vector(mlir::SymbolRefAttr symbol, transformer::Layout layout, int64_t blocks = 1);
  mlir::Value headWeight(transformer::NormOp norm, transformer::Layout layout);
  mlir::Value bias(mlir::SymbolRefAttr symbol, mlir::Value value, transformer::Layout layout,
                   int64_t rows);
  mlir::Value weight(mlir::SymbolRefAttr symbol, mlir::Type type);

  tile::SectionOp section(llvm::ArrayRef<int64_t> grid, int64_t run = 1);
  // Whether a target with little scratch memory has room for a value beside what the prologue makes
  // already.
  bool fitsScratch(mlir::Value value);
  mlir::Value loadWhole(mlir::Value buffer);
  bool isOfRows();
  mlir::FailureOr<mlir::Value> emitRow(mlir::Value value, mlir::AffineMapAttr slots, int64_t count,
                                       mlir::Type element);
  mlir::FailureOr<mlir::Value> emitOperand(mlir::Value value, mlir::SymbolRefAttr weight,
                                           transformer::Layout layout);
  void beginPrologue();
  mlir::FailureOr<mlir::Value> emitPrologue(mlir::Value value, mlir::SymbolRefAttr weight = {});
  mlir::FailureOr<mlir::Value> emitHeads(mlir::Value value, mlir::AffineMapAttr slots,
                                         int64_t count, int64_t heads, mlir::AffineMap first);
  mlir::FailureOr<mlir::Value> emitColumn(mlir::Value value);
  mlir::FailureOr<mlir::Value> emitTile(mlir::Value value, transformer::Layout layout,
                                        int64_t rows);
  mlir::FailureOr<mlir::Value> emitHeadLinear(transformer::HeadLinearOp linear,
                                              transformer::Layout layout, int64_t rows);
  mlir::LogicalResult emitStore(mlir::Value yielded, const Placed &to);
  mlir::LogicalResult emitAppend(transformer::AppendOp append, mlir::Value context);
  mlir::LogicalResult emitEmbed(transformer::EmbedOp embed, mlir::Value buffer);
  mlir::LogicalResult emitAttention(transformer::AttentionOp attention, const Placed &to);
  mlir::LogicalResult emitFreshAppend(transformer::AppendOp append);
  // Selections.cpp
  mlir::LogicalResult emitScores(transformer::SelectOp select, mlir::Value scores);
  // States.cpp
  mlir::LogicalResult emitRecord(transformer::RecordOp record, mlir::Value state);
  mlir::LogicalResult emitDeltaHeads(mlir::Value value, mlir::Value buffer);
  mlir::Value emitConvolution(transformer::ConvolveOp convolve, mlir::AffineMapAttr slots,
                              int64_t count, int64_t columns, mlir::AffineMapAttr first);
  mlir::FailureOr<mlir::Value> emitDelta(transformer::DeltaOp delta, mlir::AffineMapAttr slots,
                                         int64_t count, mlir::AffineMap head);
  // Experts.cpp
  mlir::Value emitRoutes(mlir::Value value);
  tile::ExpertsOp beginExperts(mlir::Value routes, mlir::AffineMapAttr chosen, mlir::Type sum);
  mlir::FailureOr<mlir::Value> emitOfExpert(transformer::RoutedLinearOp routed,
                                            transformer::Layout layout, int64_t rows,
                                            mlir::AffineExpr tile);
  mlir::FailureOr<mlir::Value> emitSumOfExperts(transformer::RoutedLinearOp routed,
                                                transformer::Layout layout, int64_t rows);
  mlir::LogicalResult emitExperts(mlir::Value value, mlir::Value routes, const Placed &to);

  ProgramBuilder &owner;
  transformer::StageOp source;
  mlir::Location loc;
  mlir::OpBuilder builder;
  tile::PrologueOp prologue;
  llvm::SmallVector<mlir::Value> prologueValues;         // inside, in order of results
  llvm::DenseMap<mlir::Value, mlir::Value> prologueRows; // inside, by source value
  // By source value, and by the weight whose order it has, if any.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Attribute>, unsigned> prologueResults;
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::Type>, mlir::Value> weightArguments;
  llvm::DenseMap<mlir::Value, mlir::Value> bindingArguments;
  // Of the expert that tiles are built for: its tile, if that is not the section's, and its
  // members' rows by source value.
  mlir::AffineExpr tileOfExpert;
  llvm::DenseMap<mlir::Value, mlir::Value> members;
};

} // namespace pianola::tiling

#endif
