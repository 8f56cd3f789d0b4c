//===- Experts.cpp - Sections whose weights are those of chosen experts ---===//
//
// A section is played in rounds of as many tiles as a list has room for: the loader is told which
// experts' tiles these are, in the order in which they are multiplied. There are two kinds:
//
//   scatter   a tile is of one chosen expert; each of its members has a row in a buffer
//   sums      a tile is of all chosen experts in turn; a slot's rows are added up, choice by choice
//
// An expert's members are the slots of a product. See Routes.h.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Products.h"

using namespace mlir;

namespace pianola::nvptx {

// Entries of a list, if a tile has no more.
constexpr int64_t kUsualEntries = 256;

class ExpertsEmitter {
public:
  ExpertsEmitter(StageEmitter &owner, tile::SectionOp section, unsigned number);

  /// Has the first round's pieces brought. Returns the list.
  Value tellFirst();
  void lower();

private:
  bool isSum() { return bool(op.getSum()); }
  /// Tiles of the round that begins with this one.
  Value tilesFrom(Value first) { return e.min(e.sub(end, first), e.constant(tilesOfRound)); }
  void tell(Value list, Value first, Value tiles);
  /// The section's coordinates are set: which of the chosen experts the tile is of.
  Value numberOfTile() { return s.evaluate(op.getChosenAttr()); }
  void multiply(Value number, Value ofBatch);
  void giveBack(ProductEmitter &of) { of.ring.giveBackTo(e.sub(of.ring.next.get(e), 1)); }
  void playScatter(Value first, Value tiles);
  void storeMember(Value number, Value ofBatch, Value member, Value row);
  void playSums(Value first, Value tiles);
  void addBatch(Value firstNumber, Value count);
  Value weighted(Value slot, Value k, Value row, Value firstNumber, Value count);

  StageEmitter &s;
  Kernel &e;
  tile::SectionOp section;
  tile::ExpertsOp op;
  const Routes &table;
  unsigned number;
  ProductEmitter inner;    // products with experts' weights
  Value begin, end, count; // the worker's tiles; different experts that are chosen
  int64_t contracts, tilesOfRound;
};

ExpertsEmitter::ExpertsEmitter(StageEmitter &owner, tile::SectionOp section, unsigned number)
    : s(owner), e(owner.e), section(section),
      op(*section.getBody().front().getOps<tile::ExpertsOp>().begin()),
      table(owner.routes.find(op.getRoutes())->second), number(number),
      inner(owner, section, number, op), begin(owner.tilesOf(number, false)),
      end(owner.tilesOf(number, true)), count(table.count(e)), contracts(inner.contracts.size()) {
  int64_t ofTile = contracts * (isSum() ? table.type.getMost() : 1);
  int64_t workers = tile::getMachine(s.stage->getParentOp()).getWorkers();
  int64_t usual = (section.getTileCount() + workers - 1) / workers;
  tilesOfRound = std::clamp<int64_t>(kUsualEntries / ofTile, 1, usual);
}

//===----------------------------------------------------------------------===//
// What the loader is told
//===----------------------------------------------------------------------===//

void ExpertsEmitter::tell(Value list, Value first, Value tiles) {
  auto write = [&](Value index, Value number) {
    for (auto [which, contract] : llvm::enumerate(inner.contracts)) {
      auto weights = contract.getMatrix().getDefiningOp<tile::WeightsOp>();
      tile::PoolType pool = weights.getPool().getType();
      int64_t bytes = pool.getMatrix().getTileBytes();
      Value id = table.load(e, table.chosenAt(e, number));
      Value tile = e.add(e.mul(id, pool.getTiles()), s.evaluate(weights.getTileAttr()));
      Value address = e.at(s.bindingOf(weights.getPool()), e.mul(e.widen(tile), bytes));
      e.store(e.pieceEntry(address, bytes),
              e.at(list, e.mul(e.add(e.mul(index, contracts), which), 8)));
    }
  };
  Value entries;
  if (isSum()) {
    Value pairs = e.mul(tiles, count);
    entries = e.mul(pairs, contracts);
    s.forThreads(pairs, [&](Value index) {
      s.setTile(section, e.add(first, e.div(index, count)));
      write(index, e.rem(index, count));
    });
  } else {
    entries = e.mul(tiles, contracts);
    s.forThreads(tiles, [&](Value index) {
      s.setTile(section, e.add(first, index));
      Value chosen = numberOfTile();
      e.when(
          e.less(chosen, count), [&] { write(index, chosen); },
          [&] {
            for (int64_t which = 0; which < contracts; ++which)
              e.store(e.constant(e.i64(), 0),
                      e.at(list, e.mul(e.add(e.mul(index, contracts), which), 8)));
          });
    });
  }
  e.meet();
  e.tellPieces(list, entries);
}

Value ExpertsEmitter::tellFirst() {
  int64_t ofTile = contracts * (isSum() ? table.type.getMost() : 1);
  Value list = s.allocate(tilesOfRound * ofTile * 8);
  tell(list, begin, e.max(tilesFrom(begin), e.constant(0)));
  return list;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// Of the `number`-th chosen expert and its members, as part of a batch.
void ExpertsEmitter::multiply(Value number, Value ofBatch) {
  inner.high = table.membersOf(e, number);
  Value first = table.load(e, table.firstAt(e, number));
  for (tile::MembersOp members : inner.body.getOps<tile::MembersOp>()) {
    Place place = s.places.lookup(members.getValue());
    place.rows = table.entryAt(e, first);
    int64_t rows = cast<RankedTensorType>(members.getValue().getType()).getDimSize(0);
    place.perRow = rows == table.choices() ? 1 : table.type.getChosen();
    s.places[members.getResult()] = place;
  }
  for (unsigned which = 0; which < contracts; ++which)
    inner.multiply(which, ofBatch, {});
}

void ExpertsEmitter::storeMember(Value number, Value ofBatch, Value member, Value row) {
  Value choice =
      table.load(e, table.entryAt(e, e.add(table.load(e, table.firstAt(e, number)), member)));
  inner.expert = table.load(e, table.chosenAt(e, number));
  inner.weight = e.load(e.f32(), table.weightAt(e, choice));
  for (tile::ScatterOp scatter : inner.body.getOps<tile::ScatterOp>()) {
    Place to = s.slice(scatter.getBuffer(), inner.rows, {}, scatter.getColumnsAttr());
    e.store(inner.finish(scatter.getValue(), ofBatch, member, row), s.elementAt(to, choice, row));
  }
}

void ExpertsEmitter::playScatter(Value first, Value tiles) {
  e.loop(e.constant(0), tiles, inner.batch, [&](Value ofRound) {
    Value batch = e.min(e.sub(tiles, ofRound), e.constant(inner.batch));
    auto forTile = [&](Value ofBatch, llvm::function_ref<void(Value)> body) {
      s.setTile(section, e.add(first, e.add(ofRound, ofBatch)));
      Value chosen = numberOfTile();
      e.when(e.less(chosen, count), [&] { body(chosen); });
    };
    e.loop(e.constant(0), batch, 1, [&](Value ofBatch) {
      forTile(ofBatch, [&](Value chosen) { multiply(chosen, ofBatch); });
    });
    // See ProductEmitter::lower.
    giveBack(inner);
    e.meet();
    s.forThreads(e.mul(batch, inner.slots * inner.rows), [&](Value index) {
      Value row = e.rem(index, inner.rows), rest = e.div(index, inner.rows);
      Value member = e.rem(rest, inner.slots), ofBatch = e.div(rest, inner.slots);
      forTile(ofBatch, [&](Value chosen) {
        e.when(e.less(member, table.membersOf(e, chosen)),
               [&] { storeMember(chosen, ofBatch, member, row); });
      });
    });
    e.meet();
  });
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

// What the slot's k-th choice adds, if its expert is of the batch.
Value ExpertsEmitter::weighted(Value slot, Value k, Value row, Value firstNumber, Value batch) {
  Value choice = e.add(e.mul(slot, table.type.getChosen()), k);
  Value ofBatch = e.sub(table.load(e, table.numberAt(e, choice)), firstNumber);
  Value isIn = e.lessUnsigned(ofBatch, batch);
  // What is read for one that is not is somebody's: no branch keeps the others' reads waiting.
  ofBatch = e.select(isIn, ofBatch, e.constant(0));
  Value member = e.select(isIn, table.load(e, table.memberAt(e, choice)), e.constant(0));
  inner.expert = table.load(e, table.expertAt(e, choice));
  inner.weight = e.load(e.f32(), table.weightAt(e, choice));
  Value value = inner.finish(inner.body.getTerminator()->getOperand(0), ofBatch, member, row);
  return e.select(isIn, value, e.real(0));
}

// A thread has the same elements in each batch, and in the end.
void ExpertsEmitter::addBatch(Value firstNumber, Value batch) {
  constexpr int64_t kUnrolled = 16;
  int64_t chosen = table.type.getChosen();
  s.forThreads(e.mul(e.slots, inner.rows), [&](Value index) {
    Value row = e.rem(index, inner.rows), slot = e.div(index, inner.rows);
    Value place = inner.sumAt(slot, row), sum = e.load(e.f32(), place);
    if (chosen <= kUnrolled && inner.slots == 1)
      for (int64_t k = 0; k < chosen; ++k)
        sum = e.fadd(sum, weighted(slot, e.constant(k), row, firstNumber, batch));
    else
      sum = e.loop(e.constant(0), e.constant(chosen), e.constant(1), {sum},
                   [&](Value k, ValueRange carried) -> SmallVector<Value> {
                     return {e.fadd(carried[0], weighted(slot, k, row, firstNumber, batch))};
                   })
                .front();
    e.store(sum, place);
  });
}

void ExpertsEmitter::playSums(Value first, Value tiles) {
  ProductEmitter outer(s, section, number);
  int64_t kept = s.scratchUsed;
  outer.begin();
  outer.sums = inner.sums = s.allocate(inner.slots * inner.rows * 4);
  for (tile::LoadOp load : outer.body.getOps<tile::LoadOp>())
    if (isReadInPlace(load) && !load.getColumns())
      s.lowerLoad(load);
  Value elements = e.mul(e.slots, inner.rows);
  e.loop(e.constant(0), tiles, 1, [&](Value ofRound) {
    outer.findOperands(e.add(first, ofRound));
    s.setTile(section, e.add(first, ofRound));
    for (unsigned which = 0; which < outer.contracts.size(); ++which)
      outer.multiply(which, e.constant(0), {});
    if (!outer.contracts.empty())
      giveBack(outer);
    s.forThreads(elements,
                 [&](Value index) { e.store(e.real(0), e.at(inner.sums, e.mul(index, 4))); });
    e.loop(e.constant(0), count, inner.batch, [&](Value firstNumber) {
      Value batch = e.min(e.sub(count, firstNumber), e.constant(inner.batch));
      e.loop(e.constant(0), batch, 1,
             [&](Value ofBatch) { multiply(e.add(firstNumber, ofBatch), ofBatch); });
      giveBack(inner);
      e.meet();
      addBatch(firstNumber, batch);
      e.meet();
    });
    s.forThreads(elements, [&](Value index) {
      outer.storeElement(e.constant(0), e.div(index, inner.rows), e.rem(index, inner.rows));
    });
    e.meet();
  });
  s.scratchUsed = kept;
}

void ExpertsEmitter::lower() {
  int64_t kept = s.scratchUsed;
  // A list that the stage's prologue has told of is the first round's.
  bool isTold = bool(s.firstPieces);
  Value list = s.firstPieces;
  s.firstPieces = {};
  if (!isTold)
    list = tellFirst();
  inner.begin();
  for (tile::LoadOp load : inner.body.getOps<tile::LoadOp>())
    if (isReadInPlace(load))
      s.lowerLoad(load);
  auto play = [&](Value first) {
    Value tiles = tilesFrom(first);
    if (isSum())
      playSums(first, tiles);
    else
      playScatter(first, tiles);
  };
  e.loop(begin, end, tilesOfRound, [&](Value first) {
    e.when(e.differ(first, begin), [&] { tell(list, first, tilesFrom(first)); });
    play(first);
    e.awaitTaken();
    e.meet();
  });
  // Who has no tiles has told of an empty list.
  e.when(e.negate(e.less(begin, end)), [&] { e.awaitTaken(); });
  s.scratchUsed = kept;
}

void StageEmitter::tellFirstPieces() {
  for (auto [number, section] : llvm::enumerate(stage.getSections()))
    if (!section.getBody().front().getOps<tile::ExpertsOp>().empty()) {
      firstPieces = ExpertsEmitter(*this, section, number).tellFirst();
      return;
    }
}

void StageEmitter::lowerExperts(tile::SectionOp section, unsigned number) {
  ExpertsEmitter(*this, section, number).lower();
}

} // namespace pianola::nvptx
