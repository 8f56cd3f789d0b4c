// LoopMutations.cpp - a proven schedule that loops, bent a little, is refused or does no harm.
//
// As Mutations.cpp, for a machine that goes on from token to token by itself. What the checker
// accepts is played in orders that chance picks, three tokens long.
#include "lib/driver/LoadModel.h"
#include "lib/driver/Pipeline.h"
#include "passes/Passes.h"
#include "test/numeric/AdversePlay.h"
#include "test/numeric/Mutator.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>
#include <map>

using namespace pianola;
using mlir::ModuleOp;

namespace {

constexpr int kPlays = 3;
constexpr unsigned kOrders = 12; // of each mutant

class LoopMutations : public testing::Test {
protected:
  void SetUp() override { context.loadDialect<schedule::ScheduleDialect, tile::TileDialect>(); }

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

  // The first thing that goes wrong.
  static std::string play(ModuleOp module, int workers) {
    for (schedule::ProgramOp program : module.getOps<schedule::ProgramOp>()) {
      AdversePlay adverse(program, workers, kPlays);
      for (unsigned seed = 0; seed < kOrders; ++seed)
        if (std::string wrong = adverse.run(seed); !wrong.empty())
          return wrong;
    }
    return "";
  }

  struct Count {
    int refused = 0, goWrong = 0, accepted = 0; // goWrong: of those refused
  };
  std::map<std::string, Count>
  mutateAll(ModuleOp base, int workers, int mutants,
            llvm::function_ref<std::string(Mutator &, unsigned)> mutate) {
    EXPECT_EQ(check(base), "");
    EXPECT_EQ(play(base, workers), "");
    std::map<std::string, Count> counts;
    int made = 0;
    for (unsigned seed = 0; made < mutants; ++seed) {
      mlir::OwningOpRef<ModuleOp> mutant = base.clone();
      Mutator mutator(*mutant, workers, seed);
      std::string kind = mutate(mutator, seed);
      if (kind.empty())
        continue;
      ++made;
      EXPECT_TRUE(succeeded(mlir::verify(*mutant))) << kind;
      std::string messages = check(*mutant);
      std::string wrong = play(*mutant, workers);
      Count &count = counts[kind];
      if (messages.empty()) {
        ++count.accepted;
        EXPECT_EQ(wrong, "") << kind << ", seed " << seed;
      } else {
        ++count.refused;
        count.goWrong += !wrong.empty();
      }
    }
    for (const auto &[kind, count] : counts)
      std::printf("%-32s %4d refused (%d seen to go wrong), %4d accepted\n", kind.c_str(),
                  count.refused, count.goWrong, count.accepted);
    return counts;
  }

  mlir::MLIRContext context;
};

TEST_F(LoopMutations, OfAModelAreRefusedOrHarmless) {
  constexpr int kWorkers = 5;
  auto machine = mlir::dyn_cast_or_null<tile::MachineAttr>(mlir::parseAttribute(
      "#tile.machine<name = \"gpu\", workers = 5, product = f32, ring = 200000, scratch = 65536, "
      "bandwidth = 4300000, peak = 100000, event = 2000, step = 100, rows = 8, panel = 32, "
      "chunk = 8192, consume = 17000000, cache = 5500000, loops = true, waits = 4>",
      &context));
  ASSERT_TRUE(machine);
  LoadedModel model =
      llvm::cantFail(loadModel(context, PIANOLA_SOURCE_DIR "/test/golden/qwen3", std::nullopt));
  ASSERT_TRUE(succeeded(runPipeline(*model.module, machine, {{1}})));
  auto counts = mutateAll(*model.module, kWorkers, 1500, [](Mutator &mutator, unsigned seed) {
    return seed % 6 == 0 ? mutator.swapSteps() : mutator.mutate();
  });
  // Every wait carries an order of its own, every store one reader's bytes, every step the next.
  for (const char *kind : {"drop a wait", "lower a target", "move a write", "swap two steps"}) {
    EXPECT_EQ(counts[kind].accepted, 0) << kind;
    EXPECT_GT(counts[kind].goWrong, 0) << kind;
  }
  EXPECT_GT(counts["merge two buffers"].goWrong, 0);
  // On a machine with a ring the tape's order is the order of play; chance may swap a tile with
  // itself.
  EXPECT_GT(counts["swap two tiles of a worker"].refused,
            counts["swap two tiles of a worker"].accepted);
}

// Worker 1 lags behind: "copy" is awaited by the next play only.
constexpr char kLagging[] = R"mlir(
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @copy(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" : !tile.buffer<1 x 64 x f32>
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @copy(%x, %y) tiles [[0, 4], []] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "copy" @copy(%y, %z) tiles [[], [0, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}
)mlir";

TEST_F(LoopMutations, WithoutAWaitForThePlayBeforeAreRefused) {
  auto module = mlir::parseSourceString<ModuleOp>(kLagging, &context);
  ASSERT_TRUE(module);
  mlir::PassManager passes(&context);
  passes.addPass(createPlanMemory());
  passes.addPass(createPlaceEvents());
  ASSERT_TRUE(succeeded(passes.run(*module)));
  auto counts = mutateAll(*module, 2, 20,
                          [](Mutator &mutator, unsigned) { return mutator.dropWaitForPlay(); });
  EXPECT_EQ(counts["drop a wait"].refused, 20);
  EXPECT_EQ(counts["drop a wait"].goWrong, 20);
  counts = mutateAll(*module, 2, 200, [](Mutator &mutator, unsigned) { return mutator.mutate(); });
  EXPECT_EQ(counts["drop a wait"].accepted, 0);
  EXPECT_EQ(counts["lower a target"].accepted, 0);
}

} // namespace
