//===- Experts.cpp - Which experts slots choose, and who is whose member --===//
//
// Routes lie in scratch memory: what each slot chooses; the different experts that are chosen, in
// the order of their numbers; and for each expert where its members begin in a list of all choices
// by their expert. A choice is counted as slot * K + k. All numbers are 4 bytes.
//
// An expert's members are the slots of what is done for it: the ops in between know nothing of it.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "targets/host/Codes.h"
#include "targets/host/Stage.h"
#include <limits>

using namespace mlir;

namespace pianola::host {

namespace {

struct RoutesLayout {
  explicit RoutesLayout(tile::RoutesType type)
      : choices(type.getSlots() * type.getChosen()), experts(type.getExperts()),
        weights(16 + choices), entries(weights + choices), chosen(entries + choices),
        first(chosen + type.getMost()), size(first + experts + 1) {}

  int64_t choices, experts;
  // Numbers from the beginning, where the number of chosen experts stands; then the ids.
  static constexpr int64_t ids = 16;
  int64_t weights, entries, chosen, first, size;
};

// Numbers of a table in scratch memory.
struct Table {
  Emitter &e;
  Value base;
  Value at(Value index) const { return e.at(base, e.mul(index, 4)); }
  Value load(Value index) const {
    Value number = e.load(e.i32(), at(index));
    return e.builder.create<arith::ExtUIOp>(e.loc, e.i64(), number);
  }
  void store(Value number, Value index) const {
    e.store(e.builder.create<arith::TruncIOp>(e.loc, e.i32(), number), at(index));
  }
};

constexpr float kLowest = -3e38f;

// Chooses the experts of one slot after another.
class Router {
public:
  Router(PartEmitter &emit, tile::RouteOp op)
      : e(emit), op(op), type(op.getResult().getType()), experts(type.getExperts()),
        padded(tile::padToLanes(experts)), scores(e.allocate(e.f32(), padded)),
        race(e.allocate(e.f32(), padded)) {}

  /// Writes the slot's ids and weights to these places.
  void choose(Value slot, Value ids, Value weights, llvm::function_ref<void(Value)> take);

private:
  void score(Value slot);
  void keepGroups();
  Value takeGreatest();

  void forLanes(llvm::function_ref<void(Value)> body) {
    e.loop(e.constant(0), e.constant(padded), 16, body);
  }
  Value real(float value) { return e.real(e.vector(e.f32()), value); }
  Value lanesOf(Value table, Value expert) {
    return e.load(e.vector(e.f32()), e.at(table, e.mul(expert, 4)));
  }
  void setLanes(Value lanes, Value table, Value expert) {
    e.store(lanes, e.at(table, e.mul(expert, 4)));
  }

  PartEmitter &e;
  tile::RouteOp op;
  tile::RoutesType type;
  int64_t experts, padded;
  Value scores, race; // f32 of each expert
};

void Router::score(Value slot) {
  Place logits = e.places.lookup(op.getLogits());
  auto load = [&](Value expert) {
    Value lanes = e.lanes(logits, slot, expert);
    Value counts = e.lanesBelow(e.sub(e.constant(experts), expert));
    Value isNumber =
        e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::ORD, lanes, lanes);
    counts = e.builder.create<arith::AndIOp>(e.loc, counts, isNumber);
    return e.select(counts, lanes, real(kLowest));
  };
  auto reduce = [&](Value initial, llvm::function_ref<Value(Value, Value)> body) {
    return e.loop(e.constant(0), e.constant(padded), 16, {initial},
                  [&](Value expert, ValueRange carried) -> SmallVector<Value> {
                    return {body(expert, carried[0])};
                  })[0];
  };
  if (op.getScore() == tile::Score::Sigmoid) {
    forLanes([&](Value expert) {
      Value minus = e.fmul(load(expert), real(-1));
      setLanes(e.fdiv(real(1), e.fadd(real(1), e.exp(minus))), scores, expert);
    });
  } else {
    Value most = e.splat(e.greatest(reduce(
        real(kLowest), [&](Value expert, Value most) { return e.fmax(most, load(expert)); })));
    Value total = e.sum(reduce(real(0), [&](Value expert, Value total) {
      Value power = e.exp(e.fsub(load(expert), most));
      setLanes(power, scores, expert);
      return e.fadd(total, power);
    }));
    total = e.splat(total);
    forLanes(
        [&](Value expert) { setLanes(e.fdiv(lanesOf(scores, expert), total), scores, expert); });
  }
  // Padding never wins.
  forLanes([&](Value expert) {
    Value runner = lanesOf(scores, expert);
    if (Value correction = op.getCorrection())
      runner = e.fadd(runner, lanesOf(e.weightAt(correction), expert));
    Value counts = e.lanesBelow(e.sub(e.constant(experts), expert));
    setLanes(e.select(counts, runner, real(kLowest)), race, expert);
  });
}

// Leaves the best groups' experts in the race. Experts and groups are few.
void Router::keepGroups() {
  auto groups = int64_t(*op.getGroups()), size = experts / groups;
  bool topTwo = *op.getBy() == tile::GroupScore::TopTwo;
  auto greater = [&](Value a, Value b) -> Value {
    return e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OGT, a, b);
  };
  auto loadOf = [&](Value table, Value index) {
    return e.load(e.f32(), e.at(table, e.mul(index, 4)));
  };
  Value ofGroups = e.allocate(e.f32(), groups), lowest = e.real(kLowest);
  Value kept = e.allocate(e.f32(), groups); // or not: 1 or 0
  e.loop(e.constant(0), e.constant(groups), 1, [&](Value group) {
    SmallVector<Value> best = e.loop(
        e.constant(0), e.constant(size), 1, {lowest, lowest},
        [&](Value member, ValueRange carried) -> SmallVector<Value> {
          Value runner = loadOf(race, e.add(e.mul(group, size), member));
          Value isFirst = greater(runner, carried[0]), isSecond = greater(runner, carried[1]);
          Value second = e.select(isFirst, carried[0], e.select(isSecond, runner, carried[1]));
          return {e.select(isFirst, runner, carried[0]), second};
        });
    e.store(topTwo ? e.fadd(best[0], best[1]) : best[0], e.at(ofGroups, e.mul(group, 4)));
    e.store(e.real(0), e.at(kept, e.mul(group, 4)));
  });
  e.loop(e.constant(0), e.constant(int64_t(*op.getKeep())), 1, [&](Value) {
    SmallVector<Value> best = e.loop(
        e.constant(0), e.constant(groups), 1, {lowest, e.constant(0)},
        [&](Value group, ValueRange carried) -> SmallVector<Value> {
          Value isOut = greater(loadOf(kept, group), e.real(0));
          Value score = e.select(isOut, lowest, loadOf(ofGroups, group));
          Value isBetter = greater(score, carried[0]);
          return {e.select(isBetter, score, carried[0]), e.select(isBetter, group, carried[1])};
        });
    e.store(e.real(1), e.at(kept, e.mul(best[1], 4)));
  });
  e.loop(e.constant(0), e.constant(experts), 1, [&](Value expert) {
    Value isKept = greater(loadOf(kept, e.div(expert, size)), e.real(0));
    Value at = e.at(race, e.mul(expert, 4));
    e.store(e.select(isKept, e.load(e.f32(), at), lowest), at);
  });
}

// The expert that is first, of equals the lowest number; it leaves the race.
Value Router::takeGreatest() {
  auto sliced = [&](Value lanes, int64_t from, int64_t count) {
    return e.builder.create<vector::ExtractStridedSliceOp>(e.loc, lanes, from, count, 1);
  };
  SmallVector<int32_t> ramp;
  for (int32_t lane = 0; lane < 16; ++lane)
    ramp.push_back(lane);
  Value numbers = e.builder.create<arith::ConstantOp>(
      e.loc, DenseElementsAttr::get(e.vector(e.i32()), ArrayRef<int32_t>(ramp)));
  Value none = e.lanesOf(std::numeric_limits<int32_t>::max());
  SmallVector<Value> best = e.loop(
      e.constant(0), e.constant(padded), 16, {real(kLowest), none},
      [&](Value expert, ValueRange carried) -> SmallVector<Value> {
        Value runners = lanesOf(race, expert);
        Value isBetter =
            e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OGT, runners, carried[0]);
        Value first = e.splat(e.builder.create<arith::TruncIOp>(e.loc, e.i32(), expert));
        Value here = e.builder.create<arith::AddIOp>(e.loc, numbers, first);
        return {e.select(isBetter, runners, carried[0]), e.select(isBetter, here, carried[1])};
      });
  Value greatest = e.splat(e.greatest(best[0]));
  Value isFirst =
      e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OEQ, best[0], greatest);
  Value least = e.select(isFirst, best[1], none);
  for (int64_t lanes = 8; lanes >= 1; lanes /= 2)
    least = e.builder.create<arith::MinSIOp>(e.loc, sliced(least, 0, lanes),
                                             sliced(least, lanes, lanes));
  Value id = e.builder.create<arith::ExtUIOp>(e.loc, e.i64(),
                                              e.builder.create<vector::ExtractOp>(e.loc, least, 0));
  id = e.min(id, e.constant(experts - 1)); // whatever the numbers are
  e.store(e.real(kLowest), e.at(race, e.mul(id, 4)));
  return id;
}

void Router::choose(Value slot, Value ids, Value weights, llvm::function_ref<void(Value)> take) {
  score(slot);
  if (op.getGroups())
    keepGroups();
  Value chosen = e.constant(type.getChosen());
  Table toIds{e, ids};
  Value total = e.loop(e.constant(0), chosen, 1, {e.real(0)},
                       [&](Value k, ValueRange carried) -> SmallVector<Value> {
                         Value id = takeGreatest();
                         Value score = e.load(e.f32(), e.at(scores, e.mul(id, 4)));
                         toIds.store(id, k);
                         e.store(score, e.at(weights, e.mul(k, 4)));
                         take(id);
                         return {e.fadd(carried[0], score)};
                       })[0];
  Value factor = e.real(op.getScale().convertToFloat());
  if (op.getNormalised())
    factor = e.fdiv(factor, e.fadd(total, e.real(1e-20f)));
  e.loop(e.constant(0), chosen, 1, [&](Value k) {
    Value at = e.at(weights, e.mul(k, 4));
    e.store(e.fmul(e.load(e.f32(), at), factor), at);
  });
}

} // namespace

//===----------------------------------------------------------------------===//
// Routes
//===----------------------------------------------------------------------===//

void PartEmitter::lowerRoute(tile::RouteOp op) {
  tile::RoutesType type = op.getResult().getType();
  RoutesLayout layout(type);
  int64_t chosen = type.getChosen(), experts = type.getExperts();
  offsets[op.getResult()] = scratchUsed;
  Value base = allocate(i32(), layout.size);
  routes[op.getResult()] = base;
  auto table = [&](int64_t from) { return Table{*this, at(base, from * 4)}; };
  // Members of each expert; then where the next of them goes.
  Table counts{*this, allocate(i32(), tile::padToLanes(experts))};
  loop(constant(0), constant(tile::padToLanes(experts)), 16,
       [&](Value expert) { store(lanesOf(0), counts.at(expert)); });
  Router router(*this, op);
  Table ids = table(layout.ids), weights = table(layout.weights);
  loop(low, high, 1, [&](Value slot) {
    Value first = mul(slot, chosen);
    router.choose(slot, ids.at(first), weights.at(first),
                  [&](Value id) { counts.store(add(counts.load(id), 1), id); });
  });
  Table firsts = table(layout.first), differing = table(layout.chosen);
  SmallVector<Value> ends =
      loop(constant(0), constant(experts), 1, {constant(0), constant(0)},
           [&](Value expert, ValueRange carried) -> SmallVector<Value> {
             Value count = counts.load(expert);
             firsts.store(carried[0], expert);
             counts.store(carried[0], expert);
             Value isChosen = less(constant(0), count);
             when(isChosen, [&] { differing.store(expert, carried[1]); });
             return {add(carried[0], count), select(isChosen, add(carried[1], 1), carried[1])};
           });
  firsts.store(ends[0], constant(experts));
  table(0).store(ends[1], constant(0));
  Table entries = table(layout.entries);
  loop(mul(low, chosen), mul(high, chosen), 1, [&](Value choice) {
    Value id = ids.load(choice), next = counts.load(id);
    entries.store(choice, next);
    counts.store(add(next, 1), id);
  });
}

void PartEmitter::lowerExperts(tile::ExpertsOp op) {
  tile::RoutesType type = op.getRoutes().getType();
  RoutesLayout layout(type);
  Value base = routes.lookup(op.getRoutes());
  auto table = [&](int64_t from) { return Table{*this, at(base, from * 4)}; };
  auto doFor = [&](Value number) {
    expert = table(layout.chosen).load(number);
    Value first = table(layout.first).load(expert);
    Value end = table(layout.first).load(add(expert, 1));
    memberEntries = table(layout.entries).at(first);
    memberWeights = table(layout.weights).base;
    choicesOfSlot = type.getChosen();
    Value slotsLow = low, slotsHigh = high;
    low = constant(0);
    high = oneSlot ? constant(1) : sub(end, first);
    for (Operation &inner : op.getBody().front())
      lower(inner);
    Value members = high;
    low = slotsLow;
    high = slotsHigh;
    return members;
  };
  Value count = table(0).load(constant(0));
  if (op.getChosen()) {
    Value number = evaluate(op.getChosenAttr());
    return when(less(number, count), [&] { doFor(number); });
  }
  Place to = place(op.getSum());
  Value zero = real(vector(f32()), 0);
  forLanes(to.columns, [&](Value slot, Value column) { setLanes(zero, to, slot, column); });
  loop(constant(0), count, 1, [&](Value number) {
    Value members = doFor(number);
    Place from = places.lookup(op.getBody().front().getTerminator()->getOperand(0));
    loop(constant(0), members, 1, [&](Value member) {
      Value slot = slotOf(member);
      loop(constant(0), constant(to.columns), 16, [&](Value column) {
        setLanes(fadd(lanes(to, slot, column), lanes(from, member, column)), to, slot, column);
      });
    });
  });
}

Value PartEmitter::choiceOf(Value member) { return Table{*this, memberEntries}.load(member); }

Value PartEmitter::slotOf(Value member) {
  return oneSlot ? constant(0) : div(choiceOf(member), choicesOfSlot);
}

//===----------------------------------------------------------------------===//
// Members
//===----------------------------------------------------------------------===//

// Rows are copied in each form that products take them in, or looked at where there is one.
void PartEmitter::lowerMembers(tile::MembersOp op) {
  auto type = cast<RankedTensorType>(op.getResult().getType());
  int64_t slots = type.getDimSize(0);
  bool isOfChoices = cast<RankedTensorType>(op.getValue().getType()).getDimSize(0) != slots;
  auto rowOf = [&](Value member) { return isOfChoices ? choiceOf(member) : slotOf(member); };
  auto gather = [&](Value from, int64_t bytes) -> Value {
    if (slots == 1)
      return at(from, mul(rowOf(constant(0)), bytes));
    Value to = allocate(builder.getI8Type(), (paddedSlots(slots) + kTileSide) * bytes);
    int64_t step = bytes % 64 == 0 ? 64 : 32;
    loop(low, high, 1, [&](Value member) {
      Value source = at(from, mul(rowOf(member), bytes)), target = at(to, mul(member, bytes));
      loop(constant(0), constant(bytes), step, [&](Value byte) {
        store(load(vector(i32(), step / 4), at(source, byte)), at(target, byte));
      });
    });
    return to;
  };
  auto gatherPlace = [&](const Place &from) -> Place {
    return {gather(from.base, from.stride * from.elementBytes()), from.element, from.columns,
            from.stride};
  };
  bool asItIs = false;
  for (Operation *user : op.getResult().getUsers()) {
    auto contract = cast<tile::ContractOp>(user);
    Type element = contract.getMatrix().getType().getElement();
    if (auto scaled = dyn_cast<encoding::ScaledType>(element)) {
      IntegerRow packed(cpu, scaled, type);
      if (!isCounted(scaled)) {
        if (!raised.count(op.getResult()))
          raised[op.getResult()] = gatherPlace(raised.lookup(op.getValue()));
      } else if (!integers.count({op.getResult(), packed.block})) {
        integers[{op.getResult(), packed.block}] =
            gather(integers.lookup({op.getValue(), packed.block}), packed.bytes());
      }
    } else if (formFor(cpu, element, type.getElementType()) == Form::Split) {
      if (!splits.count(op.getResult()))
        splits[op.getResult()] = gatherPlace(splits.lookup(op.getValue()));
    } else {
      asItIs = true;
    }
  }
  Place whole = places.lookup(op.getValue());
  places[op.getResult()] = asItIs ? gatherPlace(whole) : whole;
}

void PartEmitter::lowerWeights(tile::WeightsOp op) {
  tile::PoolType pool = op.getPool().getType();
  Value number = add(mul(expert, pool.getTiles()), evaluate(op.getTileAttr()));
  expertTiles[op.getResult()] =
      at(bindingOf(op.getPool()), mul(number, pool.getMatrix().getTileBytes()));
}

void PartEmitter::lowerWeigh(tile::WeighOp op) {
  Place from = places.lookup(op.getValue()), to = place(op.getResult());
  loop(low, high, 1, [&](Value member) {
    Value weight = splat(load(f32(), at(memberWeights, mul(choiceOf(member), 4))));
    loop(constant(0), constant(to.columns), 16, [&](Value column) {
      setLanes(fmul(lanes(from, member, column), weight), to, member, column);
    });
  });
}

void PartEmitter::lowerScatter(tile::ScatterOp op) {
  Place from = places.lookup(op.getValue());
  Place to = slice(op.getBuffer(), from.columns, {}, op.getColumnsAttr());
  loop(low, high, 1, [&](Value member) {
    Value row = choiceOf(member);
    loop(constant(0), constant(from.columns), 16,
         [&](Value column) { setLanes(lanes(from, member, column), to, row, column); });
  });
}

} // namespace pianola::host
