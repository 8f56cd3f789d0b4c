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
#include "test/numeric/Mutator.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

#include <map>

using namespace pianola;
using mlir::ModuleOp;

namespace {

constexpr int kWorkers = 3;
constexpr int kSeeds = 700;

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
    ASSERT_TRUE(succeeded(runPipeline(*model.module, machine, {{1, 16}})));
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
    std::string error =
        llvm::toString(writeRoll(options, summary, machine, module, codeFor(cpu, code),
                                 *model.weights, progress, llvm::nulls()));
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
    Mutator mutator(*mutant, kWorkers, seed);
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
