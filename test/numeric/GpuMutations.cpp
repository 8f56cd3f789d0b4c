// GpuMutations.cpp - what orders a kernel, taken away piece by piece, and that somebody notices.
//
// A schedule is bent, refused by the checker, and played all the same; or the kernel's text is. The
// emulator must find what is wrong, in few interleavings: by order, never by the tokens that come
// out. Weights go round a ring of four slots several times in each token.
#include "test/numeric/GpuMutations.h"
#include "lib/driver/Pipeline.h"
#include "lib/driver/WriteRoll.h"
#include "passes/Passes.h"
#include "targets/nvptx/Machine.h"
#include "targets/nvptx/emulator/Finding.h"
#include "test/numeric/Emulated.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

using namespace pianola;
using mlir::ModuleOp;
namespace {

constexpr unsigned kSeeds = 3;            // within which a mutation must be found
constexpr double kWatchdogSeconds = 5e-3; // of the emulator's clock; no right play waits as long

/// A model whose attention is split, for one device.
struct Base {
  mlir::MLIRContext context;
  CompileOptions options;
  DeviceRow row;
  std::optional<LoadedModel> model;
  ModelSummary summary;
  tile::MachineAttr machine;
  PtxCode code;

  Base(const char *device, bool lags) : row(*findDevice(device)) {
    context.loadDialect<schedule::ScheduleDialect, tile::TileDialect>();
    options.directory = PIANOLA_SOURCE_DIR "/test/golden/qwen2";
    machine = machineFor(&context, row, kWorkers);
    model.emplace(llvm::cantFail(loadModel(context, options.directory, std::nullopt)));
    summary = summarise(*model, 128);
    row.sharedPerBlock = 48 << 10; // for a ring of four slots
    if (!lags) {
      EXPECT_TRUE(succeeded(runPipeline(*model->module, machine, {{1}}, Phase::Schedule)));
    } else {
      EXPECT_TRUE(succeeded(runPipeline(*model->module, machine, {{1}}, Phase::Tile)));
      addLaggingStep();
      mlir::PassManager passes(&context);
      passes.addPass(createAssignTiles());
      passes.addPass(createPlanMemory());
      passes.addPass(createPlaceEvents());
      passes.addPass(createPredictCost());
      passes.addPass(createCheckSchedule());
      EXPECT_TRUE(succeeded(passes.run(*model->module)));
    }
    code = llvm::cantFail(compilePtx(*model->module, row));
    EXPECT_EQ(code.programs.front().slots, 4);
  }

  // Plays a step of the last layer again, behind the head, for nobody: only the next play's
  // writes have to wait for it.
  void addLaggingStep() {
    Bent all{*model->module};
    schedule::StepOp step = all.step("layers.1.mlp.down_proj"), last = all.step("sample");
    mlir::OpBuilder builder(last);
    auto buffer = mlir::cast<schedule::BufferOp>(
        builder.clone(*all.buffer("layers.1.mlp.down_proj").getOperation()));
    buffer.setName("lagging");
    auto again = mlir::cast<schedule::StepOp>(builder.clone(*step.getOperation()));
    again.setLabel("lagging");
    again->replaceUsesOfWith(all.buffer("layers.1.mlp.down_proj").getResult(), buffer.getResult());
  }

  static Base &of(const char *device, bool lags) {
    static std::map<std::pair<std::string, bool>, std::unique_ptr<Base>> made;
    std::unique_ptr<Base> &base = made[{device, lags}];
    if (!base)
      base = std::make_unique<Base>(device, lags);
    return *base;
  }
};

class GpuMutations : public testing::TestWithParam<Mutation> {
protected:
  void SetUp() override { setenv("PIANOLA_CACHE", temporary.path.c_str(), 1); }

  static bool isRefused(ModuleOp module) {
    mlir::ScopedDiagnosticHandler handler(module.getContext(),
                                          [](mlir::Diagnostic &) { return mlir::success(); });
    mlir::PassManager passes(module.getContext());
    passes.addPass(createCheckSchedule());
    return failed(passes.run(module));
  }

  static PtxCode edit(PtxCode code, const std::function<int(KernelText &)> &change) {
    size_t begin = code.text.find(".visible .entry " + code.programs.front().entry + "(");
    size_t end = code.text.find(".visible .entry", begin + 1);
    KernelText text;
    std::stringstream stream(code.text.substr(begin, end - begin));
    for (std::string line; std::getline(stream, line);)
      text.lines.push_back(line);
    EXPECT_GT(change(text), 0) << "the kernel has nothing like that";
    std::string changed;
    for (const std::string &line : text.lines)
      changed += line + "\n";
    code.text = code.text.substr(0, begin) + changed + code.text.substr(end);
    return code;
  }

  /// What is wrong with it first; nothing if nothing is.
  std::string play(Base &base, ModuleOp module, const PtxCode &code, unsigned seed) {
    base.options.output = temporary.path + "/model.roll";
    Progress progress(false);
    std::string error = llvm::toString(writeRoll(base.options, base.summary, base.machine, module,
                                                 codeFor(base.row, code), *base.model->weights,
                                                 progress, llvm::nulls()));
    EXPECT_EQ(error, "");
    auto roll = Roll::open(base.options.output);
    if (!roll) {
      EXPECT_NE(roll.message().find("section records"), std::string::npos) << roll.message();
      return kRefused;
    }
    testing::internal::CaptureStderr();
    Status status = converse(
        **roll, {std::string(base.row.name), LaunchKind::Persistent, seed, kWatchdogSeconds});
    std::string said = testing::internal::GetCapturedStderr();
    std::string first = firstFinding(said);
    if (first.empty() && status.message().find("watchdog: ") != std::string::npos)
      first = kWatchdog;
    EXPECT_EQ(first.empty(), status.ok()) << status.message();
    report += "seed " + std::to_string(seed) + ": " + (first.empty() ? "nothing" : first) + "\n" +
              said.substr(0, 400) + status.message() + "\n";
    return first;
  }

  // Three prompt tokens, one by one, then five in a single launch.
  static Status converse(const Roll &roll, const Emulation &emulation) {
    EmulatedSession session(roll, emulation);
    if (!session.begun().ok())
      return session.begun();
    int32_t prompt[] = {3, 1, 4};
    if (Status status = session->feed(prompt, 3); !status.ok())
      return status;
    SamplingOptions sampling;
    sampling.temperature = 0.8f;
    sampling.topK = 20;
    Sampler sampler(sampling, roll.manifest().model.validVocabulary);
    GenerateOptions options;
    options.most = 5;
    return session->generate(sampler, options).status();
  }

  // "FILE:LINE: KIND: ..."
  static std::string firstFinding(const std::string &said) {
    std::string first;
    size_t at = std::string::npos;
    for (int kind = 0; kind <= int(ptx::FindingKind::Budget); ++kind) {
      std::string name = ptx::nameOf(ptx::FindingKind(kind));
      if (size_t found = said.find(": " + name + ": "); found < at) {
        at = found;
        first = name;
      }
    }
    return first;
  }

  TemporaryDirectory temporary;
  std::string report;
};

TEST_P(GpuMutations, AreFound) {
  const Mutation &mutation = GetParam();
  Base &base = Base::of(mutation.device, mutation.lags);
  mlir::OwningOpRef<ModuleOp> mutant = base.model->module->clone();
  PtxCode code = base.code;
  EXPECT_FALSE(isRefused(*mutant));
  if (mutation.bend) {
    Bent bent{*mutant};
    mutation.bend(bent);
    EXPECT_TRUE(isRefused(*mutant)) << "the checker accepts it";
  }
  if (mutation.changesCode)
    code = llvm::cantFail(compilePtx(*mutant, base.row));
  if (mutation.edit)
    code = edit(code, mutation.edit);
  std::string found;
  unsigned foundIn = 0, seeds = interleavings(kSeeds);
  for (unsigned seed = 0; seed < seeds; ++seed) {
    std::string here = play(base, *mutant, code, seed);
    if (found.empty())
      found = here;
    foundIn += !here.empty();
    // In a long run all are played, to see how many find it.
    if (!here.empty() && seeds <= kSeeds)
      break;
  }
  if (seeds > kSeeds)
    std::printf("%-60s %-5s %-16s found by %u seeds of %u\n", mutation.name, mutation.device,
                found.c_str(), foundIn, seeds);
  EXPECT_TRUE(llvm::is_contained(mutation.accepted, found)) << report;
}

INSTANTIATE_TEST_SUITE_P(OfSchedules, GpuMutations, testing::ValuesIn(scheduleMutations()));
INSTANTIATE_TEST_SUITE_P(OfCode, GpuMutations, testing::ValuesIn(codeMutations()));

// What is not bent is not found to be wrong.
TEST_F(GpuMutations, NothingIsFoundOtherwise) {
  for (bool lags : {false, true})
    for (const char *device : {"h200", "a100"})
      for (unsigned seed = 0; seed < interleavings(kSeeds); ++seed) {
        Base &base = Base::of(device, lags);
        EXPECT_EQ(play(base, *base.model->module, base.code, seed), "") << report;
      }
}

} // namespace
