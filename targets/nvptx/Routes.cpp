//===- Routes.cpp - Which experts slots choose ----------------------------===//
//
// Each worker makes the choice for itself. A warp chooses for one slot: lane l has the experts l,
// l + 32, ... of it. Then the tables of Routes.h are made of all choices.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Stage.h"

using namespace mlir;

namespace pianola::nvptx {

namespace {

constexpr double kLowest = -3e38;

// Chooses for one slot.
class Router {
public:
  Router(Kernel &kernel, tile::RouteOp op, const Routes &routes, const Place &logits, Value slot)
      : e(kernel), op(op), routes(routes), experts(routes.type.getExperts()),
        ofLane((experts + kWarp - 1) / kWarp), logits(logits), slot(slot) {}

  int64_t ofLanes() const { return ofLane; }
  void score();
  void correct(Value vector);
  /// With a place for [experts + groups] f32 that the warp has for itself.
  void keepGroups(Value place);
  void choose();

private:
  Value expertOf(int64_t i) { return e.add(e.lane, i * kWarp); }
  // Whether the lane's i-th expert exists; null: always.
  Value isExpert(int64_t i) {
    return (i + 1) * kWarp <= experts ? Value() : e.less(e.lane, experts - i * kWarp);
  }
  Value guarded(int64_t i, Value value, Value otherwise) {
    Value condition = isExpert(i);
    return condition ? e.select(condition, value, otherwise) : value;
  }
  // In the order of the numbers; 0 is less than each.
  Value keyOf(Value number) {
    Value bits = e.bits(e.fadd(number, e.real(0)), e.i32()); // -0 becomes 0
    return e.exclusive(bits, e.either(e.shiftRightSigned(bits, 31), e.constant(1ll << 31)));
  }

  Kernel &e;
  tile::RouteOp op;
  const Routes &routes;
  int64_t experts, ofLane;
  const Place &logits;
  Value slot;
  SmallVector<Value> scores, race; // of the lane's experts
};

void Router::score() {
  Value lowest = e.real(kLowest);
  SmallVector<Value> values;
  for (int64_t i = 0; i < ofLane; ++i) {
    Value index = guarded(i, expertOf(i), e.constant(0));
    Value row = e.at(logits.base, e.mul(e.add(e.mul(slot, logits.stride), index), 4));
    Value logit = e.load(e.f32(), row);
    values.push_back(guarded(i, e.select(e.fequal(logit, logit), logit, lowest), lowest));
  }
  if (op.getScore() == tile::Score::Sigmoid) {
    for (Value value : values)
      scores.push_back(e.fdiv(e.real(1), e.fadd(e.real(1), e.exp(e.fsub(e.real(0), value)))));
  } else {
    Value most = values.front(), total = e.real(0);
    for (Value value : ArrayRef(values).drop_front())
      most = e.fmax(most, value);
    most = e.greatestLane(most);
    for (auto [i, value] : llvm::enumerate(values)) {
      scores.push_back(guarded(i, e.exp(e.fsub(value, most)), e.real(0)));
      total = e.fadd(total, scores.back());
    }
    total = e.sumLanes(total);
    for (Value &each : scores)
      each = e.fdiv(each, total);
  }
  race = scores;
}

void Router::correct(Value vector) {
  for (int64_t i = 0; i < ofLane; ++i) {
    Value index = guarded(i, expertOf(i), e.constant(0));
    race[i] = e.fadd(race[i], e.loadConstant(e.f32(), e.at(vector, e.mul(index, 4))));
  }
}

// A group stays in the race if fewer than `keep` are better, of equals those before it. Experts
// and groups are few.
void Router::keepGroups(Value place) {
  auto groups = int64_t(*op.getGroups()), size = experts / groups;
  bool topTwo = *op.getBy() == tile::GroupScore::TopTwo;
  auto at = [&](Value index) { return e.at(place, e.mul(index, 4)); };
  auto ofGroup = [&](Value group) { return at(e.add(group, experts)); };
  for (int64_t i = 0; i < ofLane; ++i)
    if (Value condition = isExpert(i))
      e.when(condition, [&] { e.store(race[i], at(expertOf(i))); });
    else
      e.store(race[i], at(expertOf(i)));
  e.syncWarp();
  e.loop(e.lane, e.constant(groups), kWarp, [&](Value group) {
    Value first = e.mul(group, size), lowest = e.real(kLowest);
    SmallVector<Value> best = e.loop(
        e.constant(0), e.constant(size), e.constant(1), {lowest, lowest},
        [&](Value member, ValueRange carried) -> SmallVector<Value> {
          Value runner = e.load(e.f32(), at(e.add(first, member)));
          return {e.fmax(carried[0], runner), e.fmax(carried[1], e.fmin(carried[0], runner))};
        });
    e.store(topTwo ? e.fadd(best[0], best[1]) : best[0], ofGroup(group));
  });
  e.syncWarp();
  for (int64_t i = 0; i < ofLane; ++i) {
    Value group = e.div(guarded(i, expertOf(i), e.constant(0)), size);
    Value mine = e.load(e.f32(), ofGroup(group)), better = e.constant(0);
    better = e.loop(e.constant(0), e.constant(groups), e.constant(1), {better},
                    [&](Value other, ValueRange carried) -> SmallVector<Value> {
                      Value score = e.load(e.f32(), ofGroup(other));
                      Value isBefore = e.both(e.fequal(score, mine), e.less(other, group));
                      Value isBetter = e.either(e.fless(mine, score), isBefore);
                      return {e.add(carried[0], e.select(isBetter, e.constant(1), e.constant(0)))};
                    })
                 .front();
    race[i] = e.select(e.less(better, int64_t(*op.getKeep())), race[i], e.real(kLowest));
  }
  // Before the place is another slot's.
  e.syncWarp();
}

void Router::choose() {
  SmallVector<Value> keys;
  for (int64_t i = 0; i < ofLane; ++i)
    keys.push_back(guarded(i, keyOf(race[i]), e.constant(0)));
  int64_t chosen = routes.type.getChosen();
  Value firstChoice = e.mul(slot, chosen), none = e.constant(-1);
  e.loop(e.constant(0), e.constant(chosen), e.constant(1), keys, [&](Value k, ValueRange carried) {
    SmallVector<Value> next(carried);
    Value greatest = next.front(), mine = none;
    for (Value key : ArrayRef(next).drop_front())
      greatest = e.select(e.lessUnsigned(greatest, key), key, greatest);
    greatest = e.reduce(NVVM::ReduxKind::UMAX, greatest);
    for (int64_t i = ofLane; i-- > 0;)
      mine = e.select(e.equal(next[i], greatest), expertOf(i), mine);
    // Of equals the lowest number; whatever the numbers are, it is an expert's.
    Value id = e.min(e.reduce(NVVM::ReduxKind::UMIN, mine), e.constant(experts - 1));
    Value choice = e.add(firstChoice, k);
    for (int64_t i = 0; i < ofLane; ++i) {
      Value isChosen = e.equal(id, expertOf(i));
      e.when(isChosen, [&] {
        e.store(id, routes.expertAt(e, choice));
        e.store(scores[i], routes.weightAt(e, choice));
      });
      next[i] = e.select(isChosen, e.constant(0), next[i]);
    }
    return next;
  });
  e.syncWarp();
  Value factor = e.real(op.getScale().convertToFloat()), isMine = e.less(e.lane, chosen);
  Value place = routes.weightAt(e, e.add(firstChoice, e.min(e.lane, e.constant(chosen - 1))));
  Value weight = e.select(isMine, e.load(e.f32(), place), e.real(0));
  if (op.getNormalised())
    factor = e.fdiv(factor, e.fadd(e.sumLanes(weight), e.real(1e-20)));
  e.syncWarp();
  e.when(isMine, [&] { e.store(e.fmul(weight, factor), place); });
}

} // namespace

void StageEmitter::lowerRoute(tile::RouteOp op) {
  tile::RoutesType type = op.getResult().getType();
  Routes table(type, allocate(Routes::bytesOf(type)));
  routes.try_emplace(op.getResult(), table);
  Place logits = places.lookup(op.getLogits());
  int64_t chosen = type.getChosen(), kept = scratchUsed;
  Value correction = op.getCorrection() ? bindingOf(op.getCorrection()) : Value(), ofWarp;
  if (op.getGroups()) {
    int64_t words = type.getExperts() + int64_t(*op.getGroups());
    ofWarp = e.at(allocate(e.shape.warps * words * 4), e.mul(e.warp, words * 4));
  }
  forWarps(e.slots, [&](Value slot) {
    Router router(e, op, table, logits, slot);
    router.score();
    if (correction)
      router.correct(correction);
    if (ofWarp)
      router.keepGroups(ofWarp);
    router.choose();
  });
  scratchUsed = kept;
  e.meet();

  // How many of the choices there are of experts before, and before the choice of the same one.
  Value choices = type.getSlots() == 1 ? e.constant(chosen) : e.mul(e.slots, chosen);
  auto one = [&](Value condition) { return e.select(condition, e.constant(1), e.constant(0)); };
  // A slot chooses an expert once: with one slot each choice is its expert's first and last.
  if (type.getSlots() > 1) {
    forThreads(choices, [&](Value choice) {
      Value mine = table.load(e, table.expertAt(e, choice));
      Value member = e.loop(e.constant(0), choice, e.constant(1), {e.constant(0)},
                            [&](Value other, ValueRange carried) -> SmallVector<Value> {
                              Value id = table.load(e, table.expertAt(e, other));
                              return {e.add(carried[0], one(e.equal(id, mine)))};
                            })
                         .front();
      e.store(member, table.memberAt(e, choice));
    });
    e.meet();
  }
  forThreads(choices, [&](Value choice) {
    Value mine = table.load(e, table.expertAt(e, choice)), member = e.constant(0);
    Value begin, number, total; // choices and first choices of experts before; of all experts
    if (type.getSlots() == 1) {
      SmallVector<Value> ids;
      for (int64_t k = 0; k < chosen; ++k)
        ids.push_back(table.load(e, table.expertAt(e, e.constant(k))));
      number = e.constant(0);
      for (Value id : ids)
        number = e.add(number, one(e.less(id, mine)));
      begin = number;
      total = choices;
    } else {
      member = table.load(e, table.memberAt(e, choice));
      SmallVector<Value> counts = e.loop(
          e.constant(0), choices, e.constant(1), {e.constant(0), e.constant(0), e.constant(0)},
          [&](Value other, ValueRange carried) -> SmallVector<Value> {
            Value id = table.load(e, table.expertAt(e, other));
            Value isFirst = e.equal(table.load(e, table.memberAt(e, other)), 0);
            Value isBefore = e.less(id, mine);
            return {e.add(carried[0], one(isBefore)),
                    e.add(carried[1], one(e.both(isBefore, isFirst))),
                    e.add(carried[2], one(isFirst))};
          });
      begin = counts[0];
      number = counts[1];
      total = counts[2];
    }
    e.store(number, table.numberAt(e, choice));
    if (type.getSlots() == 1)
      e.store(member, table.memberAt(e, choice));
    e.store(choice, table.entryAt(e, e.add(begin, member)));
    e.when(e.equal(member, 0), [&] {
      e.store(mine, table.chosenAt(e, number));
      e.store(begin, table.firstAt(e, number));
    });
    e.when(e.equal(choice, 0), [&] {
      e.store(total, table.countAt());
      e.store(choices, table.firstAt(e, total));
    });
  });
  e.meet();
}

} // namespace pianola::nvptx
