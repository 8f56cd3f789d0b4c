//===- Sections.cpp - The sections of a stage ----------------------------===//

#include "passes/tiling/StageBuilder.h"

using namespace mlir;
using namespace pianola::transformer;

namespace pianola::tiling {

//===----------------------------------------------------------------------===//
// Sections
//===----------------------------------------------------------------------===//

LogicalResult StageBuilder::emitStore(Value yielded, const Placed &to) {
  Layout layout = layoutOf(yielded);
  int64_t rows = owner.rowsOf(layout);
  section({layout.columns() / rows});
  FailureOr<Value> value = emitTile(yielded, layout, rows);
  if (failed(value))
    return failure();
  if (to.peaks)
    builder.create<tile::PeakOp>(loc, *value, bindValue(to.peaks), map(1, 0, 1));
  builder.create<tile::StoreOp>(loc, *value, bindValue(to.buffer), nullptr, map(1, 0, rows));
  return success();
}

LogicalResult StageBuilder::emitAppend(AppendOp append, Value context) {
  for (auto [value, part] : {std::pair(append.getKeys(), tile::ContextPart::Key),
                             std::pair(append.getValues(), tile::ContextPart::Value)}) {
    Layout layout = layoutOf(value);
    section({layout.blocks});
    FailureOr<Value> head = emitTile(value, layout, layout.pad);
    if (failed(head))
      return failure();
    builder.create<tile::AppendOp>(loc, *head, bindValue(context), part, map(1, 0, 1).getValue());
  }
  return success();
}

LogicalResult StageBuilder::emitEmbed(EmbedOp embed, Value buffer) {
  auto weight = owner.symbols.lookup<WeightOp>(embed.getWeight());
  Layout layout = layoutOf(embed.getResult());
  int64_t vocabulary = weight.getShape()[0];
  bool tied = false;
  owner.module.walk([&](LmHeadOp head) { tied |= head.getWeight() == embed.getWeight(); });
  int64_t rows = tied ? owner.rowsOf(Layout::plain(vocabulary)) : 0;
  Type element = owner.elementOnTape(weight, layout);
  auto type = tile::TableType::get(owner.context, vocabulary, layout.size, layout.pad, rows,
                                   element, tied ? owner.panelOf(element) : 0);
  int64_t block = std::min(kSlotBlock, owner.slots);
  // Rows that others are added to stand in scratch memory.
  if (owner.machine.getRows() && embed.getPositionsAttr())
    block = 1;
  section({(owner.slots + block - 1) / block});
  AffineMapAttr from = owner.slots > block ? map(1, 0, block) : AffineMapAttr();
  Value table = bindValue(owner.bind(embed, embed.getWeightAttr(), type));
  auto row = values(block, layout.columns(), owner.f32());
  FloatAttr one = builder.getF32FloatAttr(1.0f);
  Value value = builder.create<tile::GatherOp>(loc, row, table, /*by_position=*/UnitAttr(), from,
                                               embed.getScaleAttr() ? embed.getScaleAttr() : one);
  if (auto symbol = embed.getPositionsAttr()) {
    auto positions = owner.symbols.lookup<WeightOp>(symbol.getValue());
    auto type =
        tile::TableType::get(owner.context, positions.getShape()[0], layout.size, layout.pad,
                             /*tileRows=*/0, owner.elementOnTape(positions, layout), /*panel=*/0);
    Value places = bindValue(owner.bind(embed, symbol, type));
    Value place =
        builder.create<tile::GatherOp>(loc, row, places, builder.getUnitAttr(), from, one);
    value = builder.create<tile::AddOp>(loc, value, place);
  }
  builder.create<tile::StoreOp>(loc, value, bindValue(buffer), from, nullptr);
  return success();
}

LogicalResult StageBuilder::emitAttention(AttentionOp attention, const Placed &to) {
  int64_t heads = owner.groupsOf(attention), group = attention.getHeads() / heads;
  Layout layout = layoutOf(attention.getResult());
  int64_t columns = group * layout.pad;
  int64_t block = owner.slotBlockOf(attention), splits = to.splits;
  section({heads, (owner.slots + block - 1) / block, splits});
  AffineMapAttr slots = owner.slots > block ? map(3, 1, block) : AffineMapAttr();
  AffineExpr number = getAffineDimExpr(0, owner.context);
  int64_t ofKeyHead = heads / attention.getContext().getType().getHeads();
  AffineMap keyHead = AffineMap::get(3, 0, number.floorDiv(ofKeyHead));

  FailureOr<Value> queries =
      emitHeads(attention.getQuery(), slots, block, group, AffineMap::get(3, 0, number * group));
  if (failed(queries))
    return failure();
  // The append stands in this stage if whole heads are the readers' business.
  auto append = attention.getContext().getDefiningOp<AppendOp>();
  Value cache, keys, newValues;
  if (append && append->getParentOp() == source) {
    cache = owner.bindContext(append);
    for (auto [value, to] :
         {std::pair(append.getKeys(), &keys), std::pair(append.getValues(), &newValues)}) {
      // Latent attention's are the same.
      if (to == &newValues && value == append.getKeys()) {
        newValues = keys;
        break;
      }
      FailureOr<Value> heads = emitHeads(value, AffineMapAttr(), owner.slots, 1, keyHead);
      if (failed(heads))
        return failure();
      *to = *heads;
    }
  } else {
    cache = owner.placed.at(attention.getContext()).buffer;
  }
  Type statistics;
  if (splits > 1)
    statistics = values(block, tile::padToLanes(2 * group), owner.f32());
  Value sinks;
  if (auto symbol = attention.getSinksAttr())
    sinks = vector(symbol, Layout::plain(attention.getHeads()));
  Value chosen;
  if (Value selection = attention.getSelection())
    chosen = bindValue(owner.placed.at(selection).buffer);
  auto op = builder.create<tile::AttendOp>(
      loc, values(block, columns, owner.f32()), statistics, *queries, bindValue(cache), keys,
      newValues, sinks, chosen, AffineMapAttr::get(keyHead), slots,
      splits > 1 ? map(3, 2, 1) : AffineMapAttr(), attention.getScaleAttr(),
      builder.getI64IntegerAttr(attention.getWindow().value_or(0)),
      builder.getI64IntegerAttr(splits),
      keys ? builder.getI64IntegerAttr(kLeastPart) : IntegerAttr(), attention.getCapAttr(),
      attention.getChunkAttr());

  // Parts stand one after the other, in each the key/value heads.
  auto store = [&](Value value, Value buffer) {
    int64_t width = cast<RankedTensorType>(value.getType()).getDimSize(1);
    AffineExpr head = getAffineDimExpr(0, owner.context),
               split = getAffineDimExpr(2, owner.context);
    auto at = AffineMapAttr::get(AffineMap::get(3, 0, split * (heads * width) + head * width));
    builder.create<tile::StoreOp>(loc, value, bindValue(buffer), slots, at);
  };
  store(op.getOutput(), to.buffer);
  if (splits > 1)
    store(op.getStatistics(), to.statistics);
  return keys ? emitFreshAppend(append) : success();
}

// Whole heads of a value: `heads` of them from `first` on, in `count` slots from `slots` on.
FailureOr<Value> StageBuilder::emitHeads(Value value, AffineMapAttr slots, int64_t count,
                                         int64_t heads, AffineMap first) {
  Operation *op = value.getDefiningOp();
  Layout layout = layoutOf(value);
  if (!op || op->getParentOp() != source) {
    const Placed &from = owner.placed.at(value);
    auto type = cast<tile::BufferType>(from.buffer.getType());
    auto columns =
        AffineMapAttr::get(AffineMap::get(first.getNumDims(), 0, first.getResult(0) * layout.pad));
    return builder
        .create<tile::LoadOp>(loc, values(count, heads * layout.pad, type.getElement()),
                              bindValue(from.buffer), slots, columns)
        .getResult();
  }
  if (auto delta = dyn_cast<DeltaOp>(op))
    return emitDelta(delta, slots, count, first);
  if (auto convolve = dyn_cast<ConvolveOp>(op))
    return emitConvolution(
        convolve, slots, count, heads * layout.pad,
        AffineMapAttr::get(AffineMap::get(first.getNumDims(), 0, first.getResult(0) * layout.pad)));
  if (!isa<NormOp, RopeOp, JoinOp, ScaleOp, ActivateOp, GluOp>(op))
    return op->emitOpError("cannot be computed head by head");
  FailureOr<Value> input = emitHeads(op->getOperand(0), slots, count, heads, first);
  if (failed(input))
    return failure();
  if (auto scale = dyn_cast<ScaleOp>(op))
    return builder.create<tile::ScaleOp>(loc, input->getType(), *input, scale.getFactorAttr())
        .getResult();
  if (auto activate = dyn_cast<ActivateOp>(op))
    return builder
        .create<tile::ActivateOp>(loc, input->getType(), *input, Value(),
                                  static_cast<tile::Activation>(activate.getActivation()),
                                  FloatAttr())
        .getResult();
  if (auto glu = dyn_cast<GluOp>(op)) {
    FailureOr<Value> up = emitHeads(glu.getUp(), slots, count, heads, first);
    if (failed(up))
      return failure();
    return builder
        .create<tile::ActivateOp>(loc, up->getType(), *input, *up,
                                  static_cast<tile::Activation>(glu.getActivation()),
                                  glu.getLimitAttr())
        .getResult();
  }
  if (auto join = dyn_cast<JoinOp>(op)) {
    FailureOr<Value> behind = emitHeads(join.getSecond(), slots, count, heads, first);
    if (failed(behind))
      return failure();
    return builder
        .create<tile::JoinOp>(loc, values(count, heads * layout.pad, owner.f32()), *input, *behind,
                              heads, layoutOf(join.getFirst()).size,
                              layoutOf(join.getSecond()).size)
        .getResult();
  }
  if (auto norm = dyn_cast<NormOp>(op))
    return builder
        .create<tile::NormaliseOp>(loc, input->getType(), *input, headWeight(norm, layout),
                                   /*bias=*/Value(), heads, layout.size, norm.getEps(),
                                   /*centred=*/false)
        .getResult();
  auto rope = cast<RopeOp>(op);
  auto table = owner.symbols.lookup<RopeTableOp>(rope.getTable());
  auto type = tile::RotationType::get(owner.context, table.getInvFreq().size());
  return builder
      .create<tile::RotateOp>(loc, *input, bindValue(owner.bind(rope, rope.getTableAttr(), type)),
                              heads)
      .getResult();
}

// Of a tile's head the first numbers, which the weights' columns are for, are read where they lie.
FailureOr<Value> StageBuilder::emitHeadLinear(HeadLinearOp linear, Layout layout, int64_t rows) {
  Value input = linear.getInput(), buffer;
  auto from = owner.placed.find(input);
  if (from == owner.placed.end())
    return source.emitOpError("\"") << source.getLabel() << "\" reads a value that has no buffer";
  buffer = from->second.buffer;
  if (from->second.splits != 1) {
    FailureOr<Value> whole = owner.materialise(input, source);
    if (failed(whole))
      return failure();
    buffer = *whole;
  }
  auto weight = owner.symbols.lookup<WeightOp>(linear.getWeightAttr().getRootReference());
  Layout heads = layoutOf(input), head = Layout::heads(1, weight.getShape()[1]);
  head.byHead = false;
  AffineExpr number = getAffineDimExpr(0, owner.context).floorDiv(layout.pad / rows);
  Type element = cast<tile::BufferType>(buffer.getType()).getElement();
  Value value =
      builder.create<tile::LoadOp>(loc, values(head.pad, element), bindValue(buffer), nullptr,
                                   AffineMapAttr::get(AffineMap::get(1, 0, number * heads.pad)));
  return builder
      .create<tile::ContractOp>(loc, values(rows, owner.f32()),
                                matrix(linear.getWeightAttr(), layout, rows, head), value)
      .getResult();
}

LogicalResult StageBuilder::emitFreshAppend(AppendOp append) {
  Value cache = owner.bindContext(append), made;
  Layout layout = layoutOf(append.getKeys());
  section({layout.blocks});
  for (auto [value, part] : {std::pair(append.getKeys(), tile::ContextPart::Key),
                             std::pair(append.getValues(), tile::ContextPart::Value)}) {
    if (!made || value != append.getKeys()) {
      FailureOr<Value> head =
          emitHeads(value, AffineMapAttr(), owner.slots, 1, map(1, 0, 1).getValue());
      if (failed(head))
        return failure();
      made = *head;
    }
    builder.create<tile::AppendOp>(loc, made, bindValue(cache), part, map(1, 0, 1).getValue());
  }
  return success();
}

} // namespace pianola::tiling
