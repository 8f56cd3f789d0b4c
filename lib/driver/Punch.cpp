//===- Punch.cpp - From a schedule to the tables of a roll ----------------===//

#include "lib/driver/Punch.h"
#include "dialects/tile/Tape.h"
#include "dialects/transformer/Transformer.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using nlohmann::json;

namespace pianola {

namespace {

uint64_t alignTo(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

// Numbers symbols in the order in which they are met.
class Numbering {
public:
  uint64_t operator()(SymbolRefAttr symbol) {
    return numbers.try_emplace(symbol, numbers.size()).first->second;
  }
  auto begin() { return numbers.begin(); }
  auto end() { return numbers.end(); }

private:
  llvm::MapVector<Attribute, uint64_t> numbers;
};

class Puncher {
public:
  Puncher(ModuleOp module, int64_t workers, const StageCode &code)
      : module(module), workers(workers), ptx(code.ptx) {
    result.manifest["parts"] = json::array();
    if (!code.host)
      return;
    for (auto [number, part] : llvm::enumerate(code.host->parts)) {
      parts[part.name] = number;
      result.manifest["parts"].push_back({{"name", part.name}, {"entry", part.entry}});
    }
    scratch = code.host->scratch;
  }

  llvm::Expected<Punched> run() {
    auto programs = llvm::to_vector(module.getOps<schedule::ProgramOp>());
    placeTapes(programs.front());
    collectSymbols();
    for (schedule::ProgramOp program : programs)
      result.manifest["programs"].push_back(punchProgram(program));
    if (!refusal.empty())
      return llvm::createStringError(refusal);
    return std::move(result);
  }

private:
  void placeTapes(schedule::ProgramOp program);
  void collectSymbols();
  void addTable(schedule::TableOp op);
  void addPool(schedule::PoolOp op);
  json bindingOf(Value value);
  json constantOf(SymbolRefAttr weight, tile::VectorType type);
  json bindingsOf(schedule::StepOp step);
  json kernelOf(const PtxProgram &program);
  void punchHostRuns(schedule::StepOp step, int64_t worker, uint32_t number,
                     ArrayRef<int64_t> tiles, uint64_t &at);
  void punchPtxRuns(schedule::StepOp step, uint32_t number, ArrayRef<int64_t> tiles, uint64_t &at);
  void add(PianolaRecordKind kind, uint32_t step, uint32_t index, uint32_t begin, uint32_t end,
           uint64_t resident, uint64_t tape) {
    result.records.push_back({uint32_t(kind), step, index, begin, end, 0, resident, tape});
  }
  void shareRuns(std::vector<schedule::TapeUse> &tape);
  uint64_t standingAt(int64_t worker, uint64_t at) const;
  json punchProgram(schedule::ProgramOp program);
  json punchRecords(schedule::ProgramOp program, int64_t worker,
                    llvm::DenseMap<Value, uint32_t> &events);

  ModuleOp module;
  int64_t workers;
  const PtxCode *ptx;
  std::map<std::string, uint32_t> parts;
  uint64_t scratch = 0;
  Numbering contexts, states, rotations, tables, pools;
  llvm::MapVector<std::pair<Attribute, Type>, uint64_t> constants; // bytes of the section
  // Of each worker, where what begins at a byte of the tape that its steps read from end to end
  // stands: a step's resident vectors, or its tiles.
  std::vector<std::map<uint64_t, uint64_t>> standing;
  Punched result;
  std::string refusal; // the first
};

// A step whose pieces all are an earlier one's, in the same order, reads them there: those of
// layers that share their weights.
void Puncher::shareRuns(std::vector<schedule::TapeUse> &tape) {
  using Piece = std::tuple<const void *, const void *, int64_t>;
  std::map<std::vector<Piece>, uint64_t> known;
  std::map<uint64_t, uint64_t> &places = standing.emplace_back();
  std::vector<schedule::TapeUse> shorter;
  for (size_t begin = 0, end = 0; begin < tape.size(); begin = end) {
    const schedule::TapeUse &first = tape[begin];
    std::vector<Piece> pieces;
    for (; end < tape.size() && tape[end].step == first.step &&
           (tape[end].tile < 0) == (first.tile < 0);
         ++end)
      pieces.push_back({tape[end].weight.getAsOpaquePointer(), tape[end].type.getAsOpaquePointer(),
                        tape[end].tile});
    int64_t at = schedule::getTapeBytes(shorter), shift = at - first.offset;
    auto [place, isNew] = known.try_emplace(std::move(pieces), at);
    places[first.offset] = place->second;
    for (size_t i = begin; i < end; ++i)
      if (isNew) {
        shorter.push_back(tape[i]);
        shorter.back().offset += shift;
      } else if (isa<tile::MatrixType>(tape[i].type)) {
        result.sharedBytes += tape[i].bytes;
      }
  }
  tape = std::move(shorter);
}

uint64_t Puncher::standingAt(int64_t worker, uint64_t at) const {
  if (ptx || standing[worker].empty())
    return at;
  auto behind = standing[worker].upper_bound(at);
  auto run = std::prev(behind);
  return run->second + (at - run->first);
}

void Puncher::placeTapes(schedule::ProgramOp program) {
  // A layer's step binds a pool once.
  for (auto pool : program.getBody().getOps<schedule::PoolOp>())
    result.sharedBytes +=
        (llvm::range_size(pool.getPool().getUses()) - 1) * pool.getPool().getType().getBytes();
  for (int64_t w = 0; w < workers; ++w) {
    result.tapes.push_back(schedule::getTape(program, w));
    if (!ptx) // a GPU's tapes pass by from end to end
      shareRuns(result.tapes.back());
    uint64_t bytes = schedule::getTapeBytes(result.tapes.back());
    result.tapeOffsets.push_back(result.tapeBytes);
    result.manifest["tapes"].push_back({{"offset", result.tapeBytes}, {"bytes", bytes}});
    result.tapeBytes = alignTo(result.tapeBytes + bytes, PIANOLA_ROLL_ALIGNMENT);
  }
}

void Puncher::addTable(schedule::TableOp op) {
  tile::TableType type = op.getTable().getType();
  PunchedTable table{op.getWeightAttr(), type, 0, 0};
  if (type.getTileRows() == 0) {
    table.offset = result.tableBytes;
    table.count = type.getRows() * encoding::rowBytes(type.getElement(), type.getColumnPad());
    result.tableBytes = alignTo(result.tableBytes + table.count, 64);
  } else {
    table.offset = result.tiles.size();
    table.count = (type.getRows() + type.getTileRows() - 1) / type.getTileRows();
    result.tiles.resize(table.offset + table.count);
    for (auto [tape, offset] : llvm::zip(result.tapes, result.tapeOffsets))
      for (const schedule::TapeUse &use : tape)
        if (use.weight == op.getWeightAttr() && isa<tile::MatrixType>(use.type) &&
            static_cast<uint64_t>(use.tile) < table.count)
          result.tiles[table.offset + use.tile] = offset + use.offset;
  }
  result.manifest["tables"].push_back({{"space", type.getTileRows() ? "tiles" : "table"},
                                       {"offset", table.offset},
                                       {"count", table.count}});
  result.tables.push_back(table);
}

// Behind all tapes.
void Puncher::addPool(schedule::PoolOp op) {
  tile::PoolType type = op.getPool().getType();
  tile::MatrixType matrix = type.getMatrix();
  int64_t bytes = matrix.getTileBytes();
  auto begin = static_cast<int64_t>(result.tapeBytes);
  for (int64_t tile = 0; tile < type.getExperts() * type.getTiles(); ++tile)
    result.pools.push_back({op.getWeightAttr(), matrix, tile, -1, begin + tile * bytes, bytes});
  result.manifest["pools"].push_back({{"offset", begin}, {"bytes", type.getBytes()}});
  result.tapeBytes = alignTo(result.tapeBytes + type.getBytes(), PIANOLA_ROLL_ALIGNMENT);
}

// Of a context, as roll.h has them.
static const char *elementName(Type element) {
  return element.isF32()        ? "f32"
         : element.isBF16()     ? "bf16"
         : element.isInteger(8) ? "i8"
                                : "f8e4m3";
}

// Positions that attention looks at; 0: all.
static int64_t windowOf(schedule::ContextOp context) {
  int64_t window = 0;
  for (Operation *user : context.getContext().getUsers()) {
    auto step = cast<schedule::StepOp>(user);
    step.getStageOp().walk([&](tile::AttendOp attend) {
      auto past = cast<BlockArgument>(attend.getPast());
      if (step.getBindingOf(past.getArgNumber()) == context.getContext())
        window = attend.getReach();
    });
  }
  return window;
}

void Puncher::collectSymbols() {
  for (const char *list : {"contexts", "states", "rotations", "tables", "pools"})
    result.manifest[list] = json::array();
  llvm::DenseSet<Attribute> seen;
  module.walk([&](Operation *op) {
    if (auto context = dyn_cast<schedule::ContextOp>(op)) {
      contexts(context.getCache());
      if (!seen.insert(context.getCache()).second)
        return;
      tile::ContextType type = context.getContext().getType();
      result.manifest["contexts"].push_back({{"heads", type.getHeads()},
                                             {"size", type.getSize()},
                                             {"element", elementName(type.getElement())}});
      if (int64_t window = windowOf(context))
        result.manifest["contexts"].back()["window"] = window;
      if (type.getRing())
        result.manifest["contexts"].back()["ring"] = type.getRing();
    } else if (auto state = dyn_cast<schedule::StateOp>(op)) {
      states(state.getSymbol());
      if (seen.insert(state.getSymbol()).second)
        result.manifest["states"].push_back({{"bytes", state.getState().getType().getBytes()}});
    } else if (auto rotation = dyn_cast<schedule::RotationOp>(op)) {
      rotations(rotation.getTable());
      if (!seen.insert(rotation.getTable()).second)
        return;
      auto table =
          module.lookupSymbol<transformer::RopeTableOp>(rotation.getTable().getRootReference());
      result.manifest["rotations"].push_back({{"inv_freq", std::vector<float>(table.getInvFreq())},
                                              {"scale", table.getScale().convertToFloat()}});
      if (table.getGrowth())
        result.manifest["rotations"].back()["growth"] = {
            {"factor", table.getGrowth()->convertToFloat()},
            {"period", int64_t(*table.getPeriod())},
            {"from", int64_t(*table.getFrom())}};
    } else if (auto table = dyn_cast<schedule::TableOp>(op)) {
      tables(table.getWeight());
      if (seen.insert(table.getWeight()).second)
        addTable(table);
    } else if (auto pool = dyn_cast<schedule::PoolOp>(op)) {
      pools(pool.getWeight());
      if (seen.insert(pool.getWeight()).second)
        addPool(pool);
    }
  });
}

json Puncher::bindingOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto buffer = dyn_cast<schedule::BufferOp>(op))
    return {{"space", "arena"}, {"at", *buffer.getAt()}};
  if (auto context = dyn_cast<schedule::ContextOp>(op))
    return {{"space", "context"}, {"at", contexts(context.getCache())}};
  if (auto state = dyn_cast<schedule::StateOp>(op))
    return {{"space", "state"}, {"at", states(state.getSymbol())}};
  if (auto rotation = dyn_cast<schedule::RotationOp>(op))
    return {{"space", "rotation"}, {"at", rotations(rotation.getTable())}};
  if (auto pool = dyn_cast<schedule::PoolOp>(op))
    return {{"space", "pool"}, {"at", pools(pool.getWeight())}};
  return {{"space", "table"}, {"at", tables(cast<schedule::TableOp>(op).getWeight())}};
}

json Puncher::constantOf(SymbolRefAttr weight, tile::VectorType type) {
  auto [entry, isNew] = constants.try_emplace({weight, type}, result.constantBytes);
  if (isNew) {
    result.constants.push_back(
        {weight, type, -1, -1, static_cast<int64_t>(result.constantBytes), type.getBytes()});
    result.constantBytes = alignTo(result.constantBytes + type.getBytes(), 64);
  }
  return {{"space", "constant"}, {"at", entry->second}};
}

// In the order of the stage's arguments, without what is on the tape.
json Puncher::bindingsOf(schedule::StepOp step) {
  json bindings = json::array();
  for (BlockArgument argument : step.getStageOp().getBody().getArguments()) {
    unsigned number = argument.getArgNumber();
    if (auto vector = dyn_cast<tile::VectorType>(argument.getType())) {
      if (vector.getConstant())
        bindings.push_back(constantOf(step.getWeightOf(number), vector));
    } else if (!isa<tile::MatrixType>(argument.getType())) {
      bindings.push_back(bindingOf(step.getBindingOf(number)));
    }
  }
  return bindings;
}

void Puncher::punchHostRuns(schedule::StepOp step, int64_t worker, uint32_t number,
                            ArrayRef<int64_t> tiles, uint64_t &at) {
  tile::StageOp stage = step.getStageOp();
  std::string name = stage.getSymName().str();
  uint64_t resident = standingAt(worker, at);
  at += tile::getTapeBytes(tile::getResidentPieces(stage));
  if (stage.getPrologue())
    add(PIANOLA_RECORD_RUN, number, parts.at(name + ".prologue"), 0, 1, resident,
        standingAt(worker, at));

  SmallVector<tile::SectionOp> sections = stage.getSections();
  uint32_t previousPart = -1;
  for (int64_t tile : tiles) {
    size_t section = 0;
    for (; tile >= sections[section].getTileCount(); ++section)
      tile -= sections[section].getTileCount();
    uint32_t part = parts.at(name + "." + std::to_string(section));
    // A run goes on as long as the section does and tiles are neighbours.
    if (part == previousPart && result.records.back().end == tile)
      ++result.records.back().end;
    else
      add(PIANOLA_RECORD_RUN, number, part, tile, tile + 1, resident, standingAt(worker, at));
    previousPart = part;
    at += tile::getTapeBytes(tile::getTilePieces(sections[section]));
  }
}

// A card has room for one run of each section.
void Puncher::punchPtxRuns(schedule::StepOp step, uint32_t number, ArrayRef<int64_t> tiles,
                           uint64_t &at) {
  SmallVector<tile::SectionOp> sections = step.getStageOp().getSections();
  uint32_t previous = -1;
  for (int64_t tile : tiles) {
    uint32_t section = 0;
    for (; tile >= sections[section].getTileCount(); ++section)
      tile -= sections[section].getTileCount();
    if (section == previous && result.records.back().end == tile)
      ++result.records.back().end;
    else if (previous != uint32_t(-1) && section <= previous && refusal.empty())
      refusal = "step \"" + step.getLabel().str() +
                "\": a worker's tiles are not one run of each section";
    else
      add(PIANOLA_RECORD_RUN, number, section, tile, tile + 1, 0, at);
    previous = section;
    at += tile::getTapeBytes(tile::getTilePieces(sections[section]));
  }
}

json Puncher::punchRecords(schedule::ProgramOp program, int64_t worker,
                           llvm::DenseMap<Value, uint32_t> &events) {
  uint64_t first = result.records.size();
  uint64_t at = 0; // byte of the tape
  uint32_t number = -1;
  for (schedule::StepOp step : program.getSteps()) {
    ++number;
    SmallVector<int64_t> tiles = step.getTilesOf(worker);
    if (tiles.empty())
      continue;
    for (auto [event, until] :
         llvm::zip(step.getWaits(), step.getUntil().value_or(ArrayRef<int64_t>())))
      add(PIANOLA_RECORD_WAIT, number, events[event], until, 0, 0, 0);
    if (ptx)
      punchPtxRuns(step, number, tiles, at);
    else
      punchHostRuns(step, worker, number, tiles, at);
    if (step.getSignals())
      add(PIANOLA_RECORD_SIGNAL, number, events[step.getSignals()], 0, 0, 0, 0);
  }
  return {{"first", first}, {"count", result.records.size() - first}};
}

json Puncher::kernelOf(const PtxProgram &program) {
  json stages = json::array();
  for (const PtxProgram::Stage &stage : program.stages)
    stages.push_back({{"name", stage.name}, {"entry", stage.entry}});
  return {{"entry", program.entry}, {"threads", program.threads}, {"shared", program.shared},
          {"chunk", program.chunk}, {"slots", program.slots},     {"stages", stages}};
}

json Puncher::punchProgram(schedule::ProgramOp program) {
  llvm::DenseMap<Value, uint32_t> events;
  for (schedule::EventOp event : program.getBody().getOps<schedule::EventOp>())
    events.try_emplace(event.getEvent(), events.size());

  json steps = json::array(), records = json::array();
  json logits, hiddenStates;
  llvm::DenseMap<Operation *, uint32_t> stageNumbers; // as the kernel has them
  for (schedule::StepOp step : program.getSteps()) {
    schedule::CostAttr cost = step.getCostAttr();
    steps.push_back({{"label", step.getLabel().str()},
                     {"bindings", bindingsOf(step)},
                     {"cost",
                      {{"tape", cost.getTape()},
                       {"memory", cost.getMemory()},
                       {"flops", cost.getFlops()},
                       {"ns", cost.getNs()}}}});
    if (ptx)
      steps.back()["stage"] =
          stageNumbers.try_emplace(step.getStageOp(), stageNumbers.size()).first->second;
    // What stays behind is the one buffer that its stage writes, the last.
    tile::StageOp stage = step.getStageOp();
    if (stage.getOutputs() || stage.getHiddenStates())
      for (Value binding : step.getBindings())
        if (auto buffer = binding.getDefiningOp<schedule::BufferOp>())
          (stage.getOutputs() ? logits : hiddenStates) = {
              {"at", *buffer.getAt()}, {"columns", buffer.getBuffer().getType().getColumns()}};
  }
  for (int64_t w = 0; w < workers; ++w)
    records.push_back(punchRecords(program, w, events));
  json punched = {{"name", program.getSymName().str()},
                  {"slots", program.getSlots()},
                  {"arena", *program.getArena()},
                  {"scratch", scratch},
                  {"events", events.size()},
                  {"logits", logits},
                  {"steps", steps},
                  {"records", records}};
  if (!hiddenStates.is_null())
    punched["hidden_states"] = hiddenStates;
  if (!ptx)
    return punched;
  punched["loops"] = program.getLoops();
  for (const PtxProgram &kernel : ptx->programs)
    if (kernel.name == program.getSymName())
      punched["kernel"] = kernelOf(kernel);
  return punched;
}

} // namespace

llvm::Expected<Punched> punch(ModuleOp module, int64_t workers, const StageCode &code) {
  return Puncher(module, workers, code).run();
}

} // namespace pianola
