//===- Access.cpp - Which bytes a tile touches ----------------------------===//

#include "dialects/tile/Access.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola::tile {

static unsigned argumentOf(Value value) { return cast<BlockArgument>(value).getArgNumber(); }

static void collect(Block &block, ArrayRef<int64_t> at, SmallVectorImpl<Access> &accesses) {
  auto slice = [&](Value buffer, bool write, Value value, AffineMapAttr slots,
                   AffineMapAttr columns) {
    auto type = cast<RankedTensorType>(value.getType());
    accesses.push_back({argumentOf(buffer), write, evaluate(slots, at), type.getDimSize(0),
                        evaluate(columns, at), type.getDimSize(1)});
  };
  for (Operation &op : block)
    TypeSwitch<Operation *>(&op)
        .Case([&](LoadOp load) {
          slice(load.getBuffer(), false, load.getResult(), load.getSlotsAttr(),
                load.getColumnsAttr());
        })
        .Case([&](StoreOp store) {
          slice(store.getBuffer(), true, store.getValue(), store.getSlotsAttr(),
                store.getColumnsAttr());
        })
        .Case([&](PeakOp peak) {
          auto type = cast<RankedTensorType>(peak.getValue().getType());
          accesses.push_back({argumentOf(peak.getBuffer()), true, 0, type.getDimSize(0),
                              evaluate(peak.getColumnsAttr(), at), 1});
        })
        .Case([&](AppendOp append) {
          ContextType type = append.getContext().getType();
          int64_t half = append.getPart() == ContextPart::Key ? 0 : type.getHeads();
          accesses.push_back({argumentOf(append.getContext()), true, 0,
                              cast<RankedTensorType>(append.getValue().getType()).getDimSize(0),
                              (half + evaluate(append.getHeadAttr(), at)) * type.getSize(),
                              type.getSize()});
        })
        .Case([&](RecordOp record) {
          slice(record.getState(), true, record.getValue(), {}, record.getColumnsAttr());
        })
        .Case([&](ConvolveOp convolve) {
          // Slot i looks at some rows before its own, too.
          slice(convolve.getState(), false, convolve.getResult(), {}, convolve.getColumnsAttr());
          accesses.back().slots += evaluate(convolve.getSlotsAttr(), at);
          Access past = accesses.back();
          past.slots = 0;
          past.past = true;
          accesses.push_back(past);
        })
        .Case([&](DeltaOp delta) {
          // What plays before have left, or the slots before.
          StateType type = delta.getState().getType();
          int64_t part = evaluate(delta.getHeadAttr(), at) * type.getColumns();
          int64_t begin = evaluate(delta.getSlotsAttr(), at);
          Access read{argumentOf(delta.getState()), false, 0, begin, part, type.getColumns(),
                      /*past=*/begin == 0};
          accesses.push_back(read);
          slice(delta.getState(), true, delta.getValue(), delta.getSlotsAttr(), {});
          accesses.back().column = part;
        })
        .Case([&](GatherOp gather) {
          if (!gather.getByPosition())
            accesses.push_back({kTokens, false, 0, 0, 0, 1, /*past=*/true});
        })
        .Case([&](ExpertsOp experts) {
          RoutesType routes = experts.getRoutes().getType();
          int64_t chosen = experts.getChosenAttr() ? evaluate(experts.getChosenAttr(), at) : -1;
          if (chosen >= routes.getMost())
            return; // a tile that only makes their number come out even
          size_t first = accesses.size();
          collect(experts.getBody().front(), at, accesses);
          for (Access &access : MutableArrayRef(accesses).drop_front(first)) {
            access.chosen = chosen;
            access.choices = routes.getMost();
          }
        })
        .Case([&](ScatterOp scatter) {
          auto type = cast<RankedTensorType>(scatter.getValue().getType());
          accesses.push_back({argumentOf(scatter.getBuffer()), true, 0,
                              scatter.getBuffer().getType().getSlots(),
                              evaluate(scatter.getColumnsAttr(), at), type.getDimSize(1)});
        })
        .Case([&](SampleOp sample) {
          BufferType type = sample.getLogits().getType();
          accesses.push_back({argumentOf(sample.getLogits()), false, 0, type.getSlots(), 0,
                              static_cast<int64_t>(sample.getVocabulary())});
          if (Value peaks = sample.getPeaks())
            accesses.push_back({argumentOf(peaks), false, 0, type.getSlots(), 0,
                                static_cast<int64_t>(sample.getVocabulary() / *sample.getRows())});
          accesses.push_back({kTokens, true, 0, 1, 0, 1});
        })
        .Case([&](AttendOp attend) {
          ContextType type = attend.getPast().getType();
          int64_t head = evaluate(attend.getHeadAttr(), at);
          // Slot i attends to every slot up to itself.
          int64_t slots = evaluate(attend.getSlotsAttr(), at) +
                          cast<RankedTensorType>(attend.getQueries().getType()).getDimSize(0);
          for (int64_t half : {int64_t(0), type.getHeads()}) {
            Access access{argumentOf(attend.getPast()),   false,         0, slots,
                          (half + head) * type.getSize(), type.getSize()};
            if (!attend.getKeys())
              accesses.push_back(access);
            access.slots = 0;
            access.past = true;
            accesses.push_back(access);
          }
          if (auto selection = cast_or_null<TypedValue<BufferType>>(attend.getSelection()))
            accesses.push_back({argumentOf(selection), false, evaluate(attend.getSlotsAttr(), at),
                                cast<RankedTensorType>(attend.getQueries().getType()).getDimSize(0),
                                0, selection.getType().getColumns()});
        })
        .Case([&](ScoreOp score) {
          int64_t first = evaluate(score.getSlotsAttr(), at),
                  count = cast<RankedTensorType>(score.getQueries().getType()).getDimSize(0);
          Access keys{argumentOf(score.getPast()),        false, 0, first + count, 0,
                      score.getPast().getType().getSize()};
          if (!score.getKeys())
            accesses.push_back(keys);
          keys.slots = 0;
          keys.past = true;
          accesses.push_back(keys);
          int64_t columns = score.getColumnsOfPart();
          accesses.push_back({argumentOf(score.getScores()), true, first, count,
                              evaluate(score.getPartAttr(), at) * columns, columns});
        })
        .Case([&](ChooseOp choose) {
          int64_t slot = evaluate(choose.getSlotsAttr(), at);
          accesses.push_back({argumentOf(choose.getScores()), false, slot, 1, 0,
                              choose.getScores().getType().getColumns()});
          accesses.push_back({argumentOf(choose.getChosen()), true, slot, 1, 0,
                              choose.getChosen().getType().getColumns()});
        });
}

SmallVector<Access> getPrologueAccesses(StageOp stage) {
  SmallVector<Access> accesses;
  if (PrologueOp prologue = stage.getPrologue())
    collect(prologue.getBody().front(), {}, accesses);
  return accesses;
}

SmallVector<Access> getTileAccesses(SectionOp section, int64_t tile) {
  SmallVector<Access> accesses;
  collect(section.getBody().front(), section.getCoordinates(tile), accesses);
  return accesses;
}

} // namespace pianola::tile
