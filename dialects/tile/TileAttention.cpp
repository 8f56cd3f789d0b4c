//===- TileAttention.cpp - Tiles of attention -----------------------------===//

#include "dialects/tile/Tile.h"

using namespace mlir;

namespace pianola::tile {

LogicalResult AttendOp::verify() {
  auto queries = cast<RankedTensorType>(getQueries().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  int64_t size = getPast().getType().getSize();
  if (queries.getDimSize(1) % size != 0)
    return emitOpError("queries of ")
           << queries.getDimSize(1) << " columns are not whole heads of " << size;
  if (output.getShape() != queries.getShape() || !output.getElementType().isF32())
    return emitOpError("must give f32 values in the queries' shape, got ") << output;
  if (static_cast<int64_t>(getSplits()) < 1 || (getSplits() > 1) != (getStatistics() != nullptr))
    return emitOpError("gives statistics if and only if it has several splits");
  if (getStatistics()) {
    int64_t columns = cast<RankedTensorType>(getStatistics().getType()).getDimSize(1);
    int64_t wanted = padToLanes(2 * (queries.getDimSize(1) / size));
    if (columns != wanted)
      return emitOpError("statistics need ") << wanted << " columns, got " << columns;
  }
  if (getChunk() && (getWindow() || int64_t(*getChunk()) < 1))
    return emitOpError("has chunks of ") << *getChunk() << " positions and a window of "
                                         << getWindow() << ", where it may have one of them";
  if (Value sinks = getSinks())
    if (auto type = cast<VectorType>(sinks.getType());
        type.getSize() != getPast().getType().getHeads() * (queries.getDimSize(1) / size))
      return emitOpError("has ") << type.getSize() << " sinks for "
                                 << getPast().getType().getHeads() * (queries.getDimSize(1) / size)
                                 << " heads";
  if (Value selection = getSelection()) {
    auto type = cast<BufferType>(selection.getType());
    if (!type.getElement().isInteger(32) || getReach())
      return emitOpError("has ") << type << " for what is chosen of all positions";
  }
  if ((getKeys() != nullptr) != (getValues() != nullptr) ||
      (getKeys() && (getKeys().getType() != getValues().getType() ||
                     cast<RankedTensorType>(getKeys().getType()).getDimSize(1) != size)))
    return emitOpError("takes fresh keys and values of ") << size << " columns, both or none";
  return failure(failed(verifyMap(*this, getHeadAttr(), "head")) ||
                 failed(verifyMap(*this, getSlotsAttr(), "slots")) ||
                 failed(verifyMap(*this, getSplitAttr(), "split")));
}

LogicalResult CombineOp::verify() {
  auto partials = cast<RankedTensorType>(getPartials().getType());
  auto statistics = cast<RankedTensorType>(getStatistics().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  int64_t splits = getSplits(), heads = getHeads(), group = getGroup();
  if (splits < 1 || heads < 1 || group < 1 ||
      partials.getDimSize(1) != splits * result.getDimSize(1) ||
      result.getDimSize(1) % (heads * group) != 0)
    return emitOpError("cannot join ") << partials << " of " << splits << " splits to " << result;
  if (statistics.getDimSize(1) != splits * heads * padToLanes(2 * group))
    return emitOpError("needs ") << splits * heads * padToLanes(2 * group)
                                 << " columns of statistics, got " << statistics.getDimSize(1);
  return success();
}

LogicalResult ScoreOp::verify() {
  auto queries = cast<RankedTensorType>(getQueries().getType());
  auto weights = cast<RankedTensorType>(getWeights().getType());
  ContextType past = getPast().getType();
  int64_t heads = getHeads(), size = past.getSize(), parts = getParts();
  if (past.getHeads() != 1 || past.getRing() || heads < 1 || queries.getDimSize(1) != heads * size)
    return emitOpError("looks with ") << heads << " heads in " << queries << " at " << past;
  if (weights.getDimSize(0) != queries.getDimSize(0) || weights.getDimSize(1) < heads)
    return emitOpError("has ") << weights << " to weigh " << heads << " heads of " << queries;
  BufferType scores = getScores().getType();
  if (getKeys()) {
    auto keys = cast<RankedTensorType>(getKeys().getType());
    if (keys.getDimSize(0) != scores.getSlots() || keys.getDimSize(1) != size)
      return emitOpError("takes fresh keys of ")
             << scores.getSlots() << " slots and " << size << " columns, got " << keys;
  }
  if (!scores.getElement().isF32() || parts < 1 || scores.getColumns() % (kGroup * parts) != 0 ||
      (parts > 1 && !getPart()))
    return emitOpError("makes ") << parts << " parts of " << scores;
  return failure(failed(verifyMap(*this, getSlotsAttr(), "slots")) ||
                 failed(verifyMap(*this, getPartAttr(), "part")));
}

LogicalResult ChooseOp::verify() {
  BufferType scores = getScores().getType(), chosen = getChosen().getType();
  int64_t parts = getParts();
  if (!scores.getElement().isF32() || parts < 1 ||
      scores.getColumns() % (ScoreOp::kGroup * parts) != 0)
    return emitOpError("reads ") << parts << " parts of " << scores;
  if (!chosen.getElement().isInteger(32) || chosen.getSlots() != scores.getSlots() ||
      int64_t(getTop()) < 1)
    return emitOpError("chooses ")
           << int64_t(getTop()) << " positions of " << scores << " in " << chosen;
  // Scores are padded to as many positions for each part.
  if (chosen.getColumns() * 32 <= scores.getColumns() - ScoreOp::kGroup * parts)
    return emitOpError("has bits for ")
           << chosen.getColumns() * 32 << " positions of " << scores.getColumns();
  return verifyMap(*this, getSlotsAttr(), "slots");
}

} // namespace pianola::tile
