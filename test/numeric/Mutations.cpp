// Mutations.cpp - a proven schedule, bent a little, is refused or does no harm.
//
// Each seed makes one change to a proven schedule. What the checker refuses it must refuse with a
// message that names step, worker and tile or bytes. What it accepts is played, with one thread and
// with as many as there are workers, and must say the same tokens.
#include "lib/driver/LoadModel.h"
#include "lib/driver/Pipeline.h"
#include "lib/driver/WriteRoll.h"
#include "passes/Passes.h"
#include "test/numeric/Compiled.h"

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

#include <map>
#include <random>

using namespace pianola;
using mlir::ArrayAttr;
using mlir::DenseI64ArrayAttr;
using mlir::ModuleOp;

namespace {

constexpr int kWorkers = 3;
constexpr int kSeeds = 700;

class Mutator {
public:
  Mutator(ModuleOp module, unsigned seed)
      : module(module), builder(module.getContext()), random(seed) {
    module.walk([&](schedule::StepOp step) { steps.push_back(step); });
    module.walk([&](schedule::BufferOp buffer) { buffers.push_back(buffer); });
    module.walk([&](schedule::ProgramOp program) { programs.push_back(program); });
  }

  /// Makes one change and says which, or nothing if it found nothing to change.
  std::string mutate() {
    switch (random() % 8) {
    case 0:
      return dropWait();
    case 1:
      return lowerTarget();
    case 2:
      return swapTiles();
    case 3:
      return moveTile();
    case 4:
      return shrinkArena();
    case 5:
      return mergeBuffers();
    case 6:
      return moveWrite();
    default:
      return shiftBuffer();
    }
  }
  bool changesCode = false;

private:
  template <typename T> T &pick(std::vector<T> &from) { return from[random() % from.size()]; }

  std::string dropWait() {
    schedule::StepOp step = pick(steps);
    if (step.getWaits().empty())
      return "";
    size_t which = random() % step.getWaits().size();
    std::vector<int64_t> until = *step.getUntil();
    until.erase(until.begin() + which);
    step.getWaitsMutable().erase(which);
    step.setUntilAttr(until.empty() ? DenseI64ArrayAttr() : builder.getDenseI64ArrayAttr(until));
    return "drop a wait";
  }
  std::string lowerTarget() {
    schedule::StepOp step = pick(steps);
    if (step.getWaits().empty())
      return "";
    std::vector<int64_t> until = *step.getUntil();
    --until[random() % until.size()];
    step.setUntil(until);
    return "lower a target";
  }
  // Lists with single tiles as pairs.
  std::vector<std::vector<int64_t>> listsOf(schedule::StepOp step) {
    std::vector<std::vector<int64_t>> lists;
    for (int w = 0; w < kWorkers; ++w) {
      auto tiles = step.getTilesOf(w);
      lists.emplace_back(tiles.begin(), tiles.end());
    }
    return lists;
  }
  void setLists(schedule::StepOp step, const std::vector<std::vector<int64_t>> &lists) {
    std::vector<mlir::Attribute> attrs;
    for (const auto &list : lists) {
      std::vector<int64_t> pairs;
      for (int64_t tile : list)
        pairs.insert(pairs.end(), {tile, tile + 1});
      attrs.push_back(builder.getDenseI64ArrayAttr(pairs));
    }
    step.setTilesAttr(builder.getArrayAttr(attrs));
  }
  std::string swapTiles() {
    schedule::StepOp step = pick(steps);
    auto lists = listsOf(step);
    auto &list = pick(lists);
    if (list.size() < 2)
      return "";
    std::swap(pick(list), pick(list));
    setLists(step, lists);
    return "swap two tiles of a worker";
  }
  std::string moveTile() {
    schedule::StepOp step = pick(steps);
    auto lists = listsOf(step);
    auto &from = pick(lists), &to = pick(lists);
    if (from.empty() || &from == &to)
      return "";
    to.push_back(from.back());
    from.pop_back();
    setLists(step, lists);
    return "give a tile to another worker";
  }
  std::string shrinkArena() {
    schedule::ProgramOp program = pick(programs);
    program.setArena(*program.getArena() - 64 * (1 + random() % 4));
    return "shrink the arena";
  }
  std::string mergeBuffers() {
    schedule::BufferOp a = pick(buffers), b = pick(buffers);
    if (a == b || a->getParentOp() != b->getParentOp())
      return "";
    a.setAtAttr(b.getAtAttr());
    return "merge two buffers";
  }
  // The buffer before loses its last bytes to this one.
  std::string shiftBuffer() {
    schedule::BufferOp buffer = pick(buffers);
    if (*buffer.getAt() < 64)
      return "";
    buffer.setAt(*buffer.getAt() - 64);
    return "shrink a buffer";
  }
  std::string moveWrite() {
    std::vector<tile::StoreOp> stores;
    module.walk([&](tile::StoreOp store) { stores.push_back(store); });
    tile::StoreOp store = pick(stores);
    if (!store.getColumns())
      return "";
    mlir::AffineMap map = *store.getColumns();
    int64_t by = random() % 2 ? 16 : -16;
    store.setColumnsAttr(
        mlir::AffineMapAttr::get(mlir::AffineMap::get(map.getNumDims(), 0, map.getResult(0) + by)));
    changesCode = true;
    return "move a write";
  }

  ModuleOp module;
  mlir::Builder builder;
  std::mt19937 random;
  std::vector<schedule::StepOp> steps;
  std::vector<schedule::BufferOp> buffers;
  std::vector<schedule::ProgramOp> programs;
};

class Mutations : public testing::Test {
protected:
  void SetUp() override {
    context.loadDialect<schedule::ScheduleDialect, tile::TileDialect>();
    options.directory = PIANOLA_SOURCE_DIR "/test/golden/qwen3";
    options.output = temporary.path + "/model.roll";
    cpu = llvm::cantFail(parseHostCpu("x86-64-v3"));
    model = llvm::cantFail(loadModel(context, options.directory, std::nullopt));
    summary = summarise(model, 128);
    machine = machineFor(&context, cpu, kWorkers);
    ASSERT_TRUE(succeeded(runPipeline(*model.module, machine, {1, 16})));
    image = llvm::cantFail(compileHost(*model.module, cpu));
    wanted = play(*model.module, image, kWorkers);
    ASSERT_EQ(wanted.size(), 12u);
  }

  // Refused: the messages.
  std::string check(ModuleOp mutant) {
    std::string messages;
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
      messages += diagnostic.str() + "\n";
      return mlir::success();
    });
    mlir::PassManager passes(&context);
    passes.addPass(createCheckSchedule());
    bool refused = failed(passes.run(mutant));
    EXPECT_EQ(refused, !messages.empty());
    return messages;
  }

  std::vector<int32_t> play(ModuleOp module, const HostImage &code, unsigned threads) {
    Progress progress(false);
    std::string error = llvm::toString(
        writeRoll(options, summary, machine, module, codeFor(cpu, code), *model.weights, progress));
    EXPECT_EQ(error, "");
    auto roll = Roll::open(options.output);
    EXPECT_TRUE(roll) << roll.message();
    return roll ? greedy(**roll, {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4}, 12,
                         threads)
                : std::vector<int32_t>();
  }

  TemporaryDirectory temporary;
  mlir::MLIRContext context;
  CompileOptions options;
  HostCpu cpu;
  LoadedModel model;
  ModelSummary summary;
  tile::MachineAttr machine;
  HostImage image;
  std::vector<int32_t> wanted;
};

TEST_F(Mutations, AreRefusedOrHarmless) {
  std::map<std::string, std::pair<int, int>> counts; // kind: refused, accepted
  int made = 0;
  for (unsigned seed = 0; made < kSeeds; ++seed) {
    mlir::OwningOpRef<ModuleOp> mutant = model.module->clone();
    Mutator mutator(*mutant, seed);
    std::string kind = mutator.mutate();
    if (kind.empty())
      continue;
    ++made;
    std::string messages = check(*mutant);
    auto &[refused, accepted] = counts[kind];
    if (messages.empty()) {
      ++accepted;
      HostImage code = mutator.changesCode ? llvm::cantFail(compileHost(*mutant, cpu)) : image;
      EXPECT_EQ(play(*mutant, code, 1), wanted) << kind << ", seed " << seed;
      EXPECT_EQ(play(*mutant, code, kWorkers), wanted) << kind << ", seed " << seed;
      continue;
    }
    ++refused;
    // A place outside of the arena concerns no single tile; all else names one.
    auto has = [&](const char *word) { return messages.find(word) != std::string::npos; };
    bool namesTile = has("step \"") && has("worker") && (has("tile") || has("prologue"));
    EXPECT_TRUE(namesTile || has("inside of the arena")) << kind << ": " << messages;
    EXPECT_TRUE(has("bytes") || has("waits forever")) << kind << ": " << messages;
  }
  for (const auto &[kind, count] : counts)
    std::printf("%-32s %4d refused, %4d accepted and played the same tokens\n", kind.c_str(),
                count.first, count.second);
  // In this schedule every wait carries an order of its own, and every store one reader's bytes.
  EXPECT_EQ(counts["drop a wait"].second, 0);
  EXPECT_EQ(counts["lower a target"].second, 0);
  EXPECT_EQ(counts["move a write"].second, 0);
  EXPECT_EQ(counts["shrink the arena"].second, 0);
  EXPECT_EQ(counts.size(), 8u);
}

} // namespace
