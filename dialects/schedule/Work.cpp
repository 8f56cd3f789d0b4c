//===- Work.cpp - How much a tile has to do -------------------------------===//

#include "dialects/schedule/Work.h"
#include "dialects/schedule/Footprint.h"
#include "dialects/tile/Tape.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace pianola::schedule {

// Keys are dealt out in groups of this many positions (see tile.attend).
static constexpr int64_t kGroup = 64;
// What a GPU's registers take early: see AttendEmitter and anticipateNorm of the nvptx target.
static constexpr int64_t kColumnsOfGroup = 256, kColumnsOfNorm = 4096, kMostBlocks = 4;
// Positions of which a GPU reads all or none.
static constexpr int64_t kBlockOfGpu = 8;
// Of an H200 (NVIDIA's data sheet): products of bf16 by its tensor cores, 989 TFLOP/s, for one that
// scores are made of, 67 TFLOP/s.
static constexpr int64_t kFlopsOfTensors = 15;
// Over the scores to find the least that is chosen, eight bits at a time or one, and to say which
// are.
static constexpr int64_t kPassesOfGpu = 5, kPassesOfCpu = 35;

namespace {
struct Part {
  int64_t positions; // of a part, but for the last one
  int64_t count;     // of parts that have any
  int64_t seen;      // positions of all parts
};
} // namespace

static Part partOf(tile::AttendOp attend, int64_t positions) {
  int64_t window = attend.getReach();
  int64_t seen = window ? std::min<int64_t>(positions, window - 1) : positions;
  int64_t groups = (seen + kGroup - 1) / kGroup, splits = attend.getSplits();
  int64_t each = std::max<int64_t>((groups + splits - 1) / splits,
                                   splits == 1 ? 1 : attend.getLeast().value_or(kGroup) / kGroup);
  return {each * kGroup, std::max<int64_t>((groups + each - 1) / each, 1), seen};
}

WorkOfProgram::WorkOfProgram(ProgramOp program, std::optional<int64_t> positions)
    : slots(program.getSlots()), loops(program.getLoops()), positions(positions) {
  tile::MachineAttr machine = tile::getMachine(program->getParentOfType<ModuleOp>());
  early = machine ? machine.getEarly() : 0;
  isFine = machine && machine.getRows() > 0;
  if (!positions)
    return;
  for (StepOp step : program.getSteps()) {
    step.getStageOp().walk([&](tile::ChooseOp choose) {
      chosen[step.getBindingOf(cast<BlockArgument>(choose.getChosen()).getArgNumber())] =
          choose.getTop();
    });
    step.getStageOp().walk([&](tile::AttendOp attend) {
      if (attend.getSplits() == 1)
        return;
      double share = double(partOf(attend, *positions).count) / attend.getSplits();
      for (Value result : attend.getResults())
        for (Operation *user : result.getUsers())
          if (auto store = dyn_cast<tile::StoreOp>(user))
            filled[step.getBindingOf(cast<BlockArgument>(store.getBuffer()).getArgNumber())] =
                share;
    });
  }
}

static int64_t bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

// Constant vectors are read by each tile or prologue that uses them; those of the tape are not.
static int64_t constantBytes(Value vector) {
  if (!vector)
    return 0;
  auto type = cast<tile::VectorType>(vector.getType());
  return type.getConstant() ? type.getBytes() : 0;
}

// To unpack and multiply 1152 bytes of int4, 16 rows of a panel or two panels of 8, as ptxas makes
// them with those of the ring (targets/nvptx/Machine.cpp has what 96 of them cost).
static int64_t instructionsFor(tile::ContractOp contract, bool areWeightsFirst) {
  // Activations that stand in a buffer are split where they are read.
  if (contract.getValue().getDefiningOp<tile::LoadOp>())
    return 278;
  if (!areWeightsFirst)
    return 181;
  // Of 64 columns of two of four, 40 permutations and shifts, by the code that is written, and not
  // as ptxas makes them.
  if (contract.getMatrix().getType().isPruned())
    return 78;
  return contract.getMatrix().getType().getRows() == 8 ? 115 : 96;
}

// Of one expert, times how many a tile has to do with, and how many of their members.
Work WorkOfProgram::ofExperts(StepOp step, tile::ExpertsOp experts, ArrayRef<int64_t> at) {
  tile::RoutesType routes = experts.getRoutes().getType();
  Work one = ofBlock(step, experts.getBody().front(), at);
  experts.walk([&](tile::WeightsOp weights) {
    one.tape += weights.getPool().getType().getMatrix().getTileBytes();
  });
  double mean = routes.getMean(), most = double(routes.getMost());
  // Tiles that are dealt out over the experts are some for each, and some more to come out even.
  if (experts.getChosen()) {
    auto [known, isNew] = shares.try_emplace(experts);
    if (isNew) {
      auto section = experts->getParentOfType<tile::SectionOp>();
      int64_t ofOne = 0, tiles = section.getTileCount();
      for (int64_t tile = 0; tile < tiles; ++tile)
        ofOne += tile::evaluate(experts.getChosenAttr(), section.getCoordinates(tile)) == 0;
      known->second = double(ofOne) / double(tiles);
    }
    mean *= known->second;
    most *= known->second;
  }
  // The body is written for as many members as there are slots.
  double members = mean / routes.getMean() * double(routes.getChosen());
  Work work;
  work.tape = work.chosen = std::llround(double(one.tape) * mean);
  work.worst = std::llround(double(one.tape) * most);
  work.codes = std::llround(double(one.codes) * mean);
  work.memory = std::llround(double(one.memory) * members);
  work.reads = std::llround(double(one.reads) * members);
  work.flops = std::llround(double(one.flops) * members);
  return work;
}

Work WorkOfProgram::ofBlock(StepOp step, Block &block, ArrayRef<int64_t> at) {
  Work work;
  auto touch = [&](Value argument, Type element, int64_t numbers, bool read) {
    int64_t bytes = numbers * bytesOf(element);
    work.memory += bytes;
    if (!read)
      return;
    auto share = filled.find(step.getBindingOf(cast<BlockArgument>(argument).getArgNumber()));
    work.reads += share == filled.end() ? bytes : static_cast<int64_t>(bytes * share->second);
  };
  Type f32 = Float32Type::get(step.getContext());
  // In a stage with outputs one slot's logits are wanted.
  bool oneSlot = step.getStageOp().getOutputs();
  auto numbers = [&](Value value) {
    return cast<RankedTensorType>(value.getType()).getNumElements() / (oneSlot ? slots : 1);
  };
  for (Operation &op : block)
    TypeSwitch<Operation *>(&op)
        .Case([&](tile::LoadOp load) {
          touch(load.getBuffer(), load.getBuffer().getType().getElement(),
                numbers(load.getResult()), true);
        })
        .Case([&](tile::StoreOp store) {
          touch(store.getBuffer(), store.getBuffer().getType().getElement(),
                numbers(store.getValue()), false);
        })
        .Case([&](tile::ExpertsOp experts) { work += ofExperts(step, experts, at); })
        .Case([&](tile::ScatterOp scatter) {
          touch(scatter.getBuffer(), scatter.getBuffer().getType().getElement(),
                numbers(scatter.getValue()), false);
        })
        .Case([&](tile::RecordOp record) {
          touch(record.getState(), f32, numbers(record.getValue()), false);
        })
        .Case([&](tile::ConvolveOp convolve) {
          int64_t taps = convolve.getTaps();
          auto type = cast<RankedTensorType>(convolve.getResult().getType());
          touch(convolve.getState(), f32, type.getNumElements() + (taps - 1) * type.getDimSize(1),
                true);
          work.reads += taps * type.getDimSize(1) * 4;
        })
        .Case([&](tile::DeltaOp delta) {
          tile::StateType type = delta.getState().getType();
          int64_t part = type.getRows() * type.getColumns();
          touch(delta.getState(), f32, part, true);
          touch(delta.getState(), f32, part, false);
          work.flops += 6 * part * cast<RankedTensorType>(delta.getValue().getType()).getDimSize(0);
        })
        .Case([&](tile::AppendOp append) {
          touch(append.getContext(), append.getContext().getType().getElement(),
                numbers(append.getValue()), false);
        })
        .Case([&](tile::PeakOp peak) {
          touch(peak.getBuffer(), peak.getBuffer().getType().getElement(),
                numbers(peak.getValue()) /
                    cast<RankedTensorType>(peak.getValue().getType()).getDimSize(1),
                false);
        })
        .Case([&](tile::SampleOp sample) {
          // With peaks hardly any logit is read.
          Value read = sample.getPeaks() ? sample.getPeaks() : sample.getLogits();
          touch(read, cast<tile::BufferType>(read.getType()).getElement(),
                sample.getVocabulary() / sample.getRows().value_or(1), true);
        })
        .Case([&](tile::GatherOp gather) {
          work.reads += numbers(gather.getResult()) *
                        encoding::bitsOf(gather.getTable().getType().getElement()) / 8;
        })
        .Case([&](tile::RotateOp rotate) {
          work.reads += slots * rotate.getRotation().getType().getPairs() * 8;
        })
        .Case([&](tile::NormaliseOp norm) {
          int64_t bytes = constantBytes(norm.getVector()) * (norm.getBias() ? 2 : 1);
          work.reads += bytes;
          int64_t columns = cast<RankedTensorType>(norm.getValue().getType()).getDimSize(1);
          if (early && slots == 1 && columns <= kColumnsOfNorm &&
              isa<tile::PrologueOp>(norm->getParentOp()))
            work.early += bytes;
        })
        .Case([&](tile::AttendOp attend) {
          tile::ContextType type = attend.getPast().getType();
          int64_t position = 2 * type.getPositionBytes();
          if (!positions) {
            if (!attend.getKeys())
              work.memory +=
                  position * (tile::evaluate(attend.getSlotsAttr(), at) +
                              cast<RankedTensorType>(attend.getQueries().getType()).getDimSize(0));
            return;
          }
          Part part = partOf(attend, *positions);
          int64_t first = tile::evaluate(attend.getSplitAttr(), at) * part.positions;
          int64_t here = std::clamp<int64_t>(part.seen - first, 0, part.positions);
          if (Value selection = attend.getSelection()) {
            // What is read for a position that is chosen is its block.
            int64_t top =
                chosen.lookup(step.getBindingOf(cast<BlockArgument>(selection).getArgNumber()));
            double most = double(top) * (isFine ? kBlockOfGpu : kGroup);
            here = int64_t(double(here) *
                           std::min(1.0, most / double(std::max<int64_t>(part.seen, 1))));
          }
          work.memory += position * here;
          work.reads += position * here;
          if (early && slots == 1 && loops && attend.getKeys() && !attend.getSelection()) {
            // Large groups of heads need registers for their sums.
            int64_t columns = cast<RankedTensorType>(attend.getQueries().getType()).getDimSize(1);
            int64_t room = columns > kColumnsOfGroup ? early * 3 / 4 : early;
            // Each warp has a block of eight positions under way, or several where they are small.
            int64_t blocks = std::clamp<int64_t>(room / (position * kGroup), 1, kMostBlocks);
            work.early += std::min(position * std::min(here, kGroup * blocks), room);
          }
        })
        .Case([&](tile::ScoreOp score) {
          int64_t position = score.getPast().getType().getPositionBytes();
          auto queries = cast<RankedTensorType>(score.getQueries().getType());
          if (!positions) {
            if (!score.getKeys())
              work.memory +=
                  position * (tile::evaluate(score.getSlotsAttr(), at) + queries.getDimSize(0));
            return;
          }
          int64_t groups = (*positions + kGroup - 1) / kGroup, parts = score.getParts();
          int64_t number = tile::evaluate(score.getPartAttr(), at);
          int64_t here = std::min(
              (std::max<int64_t>(groups - number, 0) + parts - 1) / parts * kGroup, *positions);
          work.memory += here * (position + queries.getDimSize(0) * 4);
          work.reads += here * position * queries.getDimSize(0);
          work.flops += 2 * here * queries.getNumElements() * (isFine ? kFlopsOfTensors : 1);
        })
        .Case([&](tile::ChooseOp) {
          work.memory += positions.value_or(0) * 4;
          work.reads += positions.value_or(0) * 4 * (isFine ? kPassesOfGpu : kPassesOfCpu);
        })
        .Case([&](tile::ContractOp contract) {
          tile::MatrixType matrix = contract.getMatrix().getType();
          int64_t rows = cast<RankedTensorType>(contract.getValue().getType()).getDimSize(0);
          if (oneSlot)
            rows = 1;
          bool areFirst = tile::areWeightsFirst(matrix.getRows(), rows);
          // A GPU's products are of four slots at least, or eight: see docs/gpu.md.
          if (matrix.getPanel()) {
            int64_t least = areFirst ? 4 : 8;
            rows = (rows + least - 1) / least * least;
          }
          work.flops += 2 * matrix.getRowPad() * matrix.getKeptDepth() * rows;
          if (!encoding::isPlain(matrix.getElement()) && matrix.getPanel())
            work.codes += matrix.getTileBytes() * instructionsFor(contract, areFirst) / 96;
        });
  return work;
}

Work WorkOfProgram::ofPrologue(StepOp step) {
  tile::StageOp stage = step.getStageOp();
  Work work;
  if (tile::PrologueOp prologue = stage.getPrologue())
    work = ofBlock(step, prologue.getBody().front(), {});
  int64_t bytes = tile::getTapeBytes(tile::getResidentPieces(stage));
  work.tape += bytes;
  work.worst += bytes;
  return work;
}

Work WorkOfProgram::ofTile(StepOp step, tile::SectionOp section, int64_t tile) {
  Work work = ofBlock(step, section.getBody().front(), section.getCoordinates(tile));
  int64_t bytes = tile::getTapeBytes(tile::getTilePieces(section));
  work.tape += bytes;
  work.worst += bytes;
  return work;
}

} // namespace pianola::schedule
