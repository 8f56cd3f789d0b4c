// GpuMutations.cpp - what orders a kernel, taken away piece by piece, and that somebody notices.
//
// A schedule is bent, refused by the checker, and played all the same; or the kernel's text is. The
// emulator must find what is wrong, in few interleavings: by order, never by the tokens that come
// out. Weights go round a ring of four slots several times in each token.
#include "lib/driver/Pipeline.h"
#include "lib/driver/WriteRoll.h"
#include "passes/Passes.h"
#include "targets/nvptx/Machine.h"
#include "targets/nvptx/emulator/Finding.h"
#include "test/numeric/Emulated.h"

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

using namespace pianola;
using mlir::ModuleOp;

namespace {

constexpr int kWorkers = 4;
constexpr unsigned kSeeds = 3;            // within which a mutation must be found
constexpr double kWatchdogSeconds = 5e-3; // of the emulator's clock; no right play waits as long

//===----------------------------------------------------------------------===//
// Bending
//===----------------------------------------------------------------------===//

struct Schedule {
  ModuleOp module;

  schedule::StepOp step(llvm::StringRef label) {
    schedule::StepOp found;
    module.walk([&](schedule::StepOp step) { found = step.getLabel() == label ? step : found; });
    return found;
  }
  schedule::BufferOp buffer(llvm::StringRef name) {
    schedule::BufferOp found;
    module.walk([&](schedule::BufferOp op) { found = op.getName() == name ? op : found; });
    return found;
  }
  /// Waits that count to `most` or less.
  void dropWaits(llvm::StringRef label, int64_t most = INT64_MAX) {
    schedule::StepOp bent = step(label);
    std::vector<int64_t> until;
    for (size_t i = bent.getWaits().size(); i-- > 0;)
      if ((*bent.getUntil())[i] <= most)
        bent.getWaitsMutable().erase(i);
      else
        until.insert(until.begin(), (*bent.getUntil())[i]);
    bent.setUntilAttr(until.empty() ? mlir::DenseI64ArrayAttr()
                                    : mlir::DenseI64ArrayAttr::get(module.getContext(), until));
  }
  void setUntil(llvm::StringRef label, int64_t until) { step(label).setUntil({until}); }
  void setTiles(llvm::StringRef label, int worker, std::vector<int64_t> pairs) {
    std::vector<mlir::Attribute> lists(step(label).getTilesAttr().begin(),
                                       step(label).getTilesAttr().end());
    lists[worker] = mlir::DenseI64ArrayAttr::get(module.getContext(), pairs);
    step(label).setTilesAttr(mlir::ArrayAttr::get(module.getContext(), lists));
  }
  /// Puts a step before the one that it follows, with what both need.
  void swapWith(llvm::StringRef label, llvm::StringRef before) {
    schedule::StepOp late = step(label), early = step(before);
    for (mlir::Operation &op : llvm::make_early_inc_range(*early->getBlock()))
      if (mlir::isa<schedule::BufferOp, schedule::EventOp>(op) && early->isBeforeInBlock(&op))
        op.moveBefore(early);
    late->moveBefore(early);
  }
};

/// The lines of the persistent kernel. Changes tell how many lines they changed.
struct Text {
  std::vector<std::string> lines;

  bool has(size_t line, const std::string &what) const {
    return lines[line].find(what) != std::string::npos;
  }
  size_t find(const std::string &what, size_t from = 0) const {
    while (from < lines.size() && !has(from, what))
      ++from;
    return from;
  }
  int replace(const std::string &what, const std::string &by) {
    int count = 0;
    for (std::string &line : lines)
      if (size_t at = line.find(what); at != std::string::npos) {
        line.replace(at, what.size(), by);
        ++count;
      }
    return count;
  }
  int leaveOut(const std::string &what) {
    int count = 0;
    for (size_t i = 0; i < lines.size(); ++i)
      if (has(i, what)) {
        lines[i].clear();
        ++count;
      }
    return count;
  }
  /// The first one behind a place.
  int leaveOutBehind(const std::string &place, const std::string &what) {
    size_t at = find(what, find(place));
    if (at >= lines.size())
      return 0;
    lines[at].clear();
    return 1;
  }
  int leaveOutAllBehind(const std::string &place, const std::string &what) {
    int count = 0;
    for (size_t at = find(what, find(place)); at < lines.size(); at = find(what, at), ++count)
      lines[at].clear();
    return count;
  }
  /// Reads of the weights that are multiplied far behind the read: made there instead.
  int readWeightsLate() {
    constexpr size_t kFar = 100; // lines
    int count = 0;
    for (size_t at = 0; at < lines.size(); ++at) {
      if (!has(at, "ld.shared.v4.u32"))
        continue;
      size_t first = lines[at].find("%r");
      std::string name = lines[at].substr(first, lines[at].find(',', first) - first);
      // An instruction's operands stand in the lines behind it, the weights in the second.
      for (size_t use = at + kFar; use < lines.size(); ++use)
        if (has(use - 2, "mma.sync") &&
            (has(use, "{" + name + ",") || has(use, ", " + name + ","))) {
          lines[use - 2] = lines[at] + "\n" + lines[use - 2];
          lines[at].clear();
          ++count;
          break;
        }
    }
    return count;
  }
  /// The last one before a place, or before the second of its name.
  int leaveOutBefore(const std::string &place, int which, const std::string &what) {
    size_t at = find(place);
    for (; which > 0; --which)
      at = find(place, at + 1);
    while (at > 0 && !has(--at, what))
      ;
    lines[at].clear();
    return 1;
  }
  /// Names another last operand.
  int replaceLast(const std::string &what, const std::string &operand) {
    int count = 0;
    for (size_t i = 0; i < lines.size(); ++i)
      if (has(i, what)) {
        lines[i] = lines[i].substr(0, lines[i].rfind(',')) + ", " + operand + ";";
        ++count;
      }
    return count;
  }
};

//===----------------------------------------------------------------------===//
// The mutations
//===----------------------------------------------------------------------===//

using Kinds = std::vector<std::string>;  // names of Finding.h, or:
constexpr char kWatchdog[] = "watchdog"; // the kernel's own report
constexpr char kRefused[] = "refused";   // the player does not open the roll

struct Mutation {
  const char *name;
  const char *device;
  Kinds accepted; // any of them, as what is found first
  std::function<void(Schedule &)> bend = nullptr;
  std::function<int(Text &)> edit = nullptr;
  bool changesCode = false; // of the stages, by `bend`
  bool lags = false;        // a step that no other waits for in the same play
};

void PrintTo(const Mutation &mutation, std::ostream *out) {
  *out << mutation.name << " (" << mutation.device << ")";
}

constexpr char kAttention[] = "layers.0.self_attn", kQueries[] = "layers.0.self_attn.q_proj",
               kOut[] = "layers.0.self_attn.o_proj", kGate[] = "layers.0.mlp.gate_proj",
               kDown[] = "layers.0.mlp.down_proj";

const std::vector<Mutation> &scheduleMutations() {
  static const std::vector<Mutation> all = {
      {"attention does not wait for queries",
       "h200",
       {"race", "uninitialised"},
       [](Schedule &s) { s.dropWaits(kAttention); }},
      {"combining does not wait for attention",
       "a100",
       {"race", "uninitialised"},
       [](Schedule &s) { s.dropWaits(kOut); }},
      {"the head does not wait",
       "h200",
       {"race", "uninitialised"},
       [](Schedule &s) { s.dropWaits("lm_head"); }},
      {"the token is chosen before all logits are there",
       "h200",
       {"race", "uninitialised"},
       [](Schedule &s) { s.setUntil("sample", 1); }},
      {"a wait for one worker less",
       "h200",
       {"race", "uninitialised"},
       [](Schedule &s) { s.setUntil(kGate, kWorkers - 1); }},
      {"a wait for another event",
       "a100",
       {"race", "uninitialised"},
       [](Schedule &s) {
         s.step(kDown).getWaitsMutable().assign(mlir::ValueRange(s.step(kOut).getSignals()));
       }},
      {"a wait for one signal more than there are",
       "h200",
       {kRefused},
       [](Schedule &s) { s.setUntil(kGate, kWorkers + 1); }},
      {"no wait for the play before",
       "h200",
       {"race"},
       [](Schedule &s) {
         for (schedule::ProgramOp program : s.module.getOps<schedule::ProgramOp>())
           for (schedule::StepOp step : program.getSteps())
             s.dropWaits(step.getLabel(), 0);
       },
       nullptr,
       false,
       true},
      {"queries lie where the sum lies that is read with them",
       "h200",
       {"race"},
       [](Schedule &s) { s.buffer(kQueries).setAt(*s.buffer("embed_tokens").getAt()); }},
      {"statistics lie where attention's parts lie",
       "a100",
       {"race"},
       [](Schedule &s) {
         s.buffer("layers.0.self_attn.statistics").setAt(*s.buffer(kAttention).getAt());
       }},
      {"two buffers that are alive share their last bytes",
       "h200",
       {"race"},
       [](Schedule &s) { s.buffer(kGate).setAt(*s.buffer(kOut).getAt() - 320); }},
      {"the arena ends early",
       "h200",
       {"out-of-bounds", kRefused},
       [](Schedule &s) {
         for (schedule::ProgramOp program : s.module.getOps<schedule::ProgramOp>())
           program.setArena(*program.getArena() - 64);
       }},
      {"two workers play the same tile",
       "h200",
       {"race"},
       [](Schedule &s) { s.setTiles(kGate, 1, {2, 6}); }},
      {"nobody plays a tile",
       "h200",
       {"uninitialised"},
       [](Schedule &s) { s.setTiles(kQueries, 0, {0, 1}); }},
      {"a step comes before the one that it waits for",
       "h200",
       {kRefused},
       [](Schedule &s) { s.swapWith(kAttention, kQueries); }},
      {"a step comes too early, and does not wait",
       "h200",
       {"uninitialised", "race"},
       [](Schedule &s) {
         s.swapWith(kAttention, kQueries);
         s.dropWaits(kAttention);
       }},
      {"tiles store over half of their neighbours",
       "h200",
       {"race", "uninitialised"},
       [](Schedule &s) {
         s.step(kGate).getStageOp().walk([](tile::StoreOp store) {
           store.setColumnsAttr(mlir::AffineMapAttr::get(
               mlir::AffineMap::get(1, 0, mlir::getAffineDimExpr(0, store.getContext()) * 4)));
         });
       },
       nullptr,
       true},
  };
  return all;
}

const std::vector<Mutation> &codeMutations() {
  static const std::vector<Mutation> all = {
      {"signals release nothing",
       "h200",
       {"race"},
       nullptr,
       [](Text &t) { return t.replace("red.release.gpu", "red.relaxed.gpu"); }},
      {"polls acquire nothing",
       "a100",
       {"race"},
       nullptr,
       [](Text &t) { return t.replace("ld.acquire.gpu", "ld.relaxed.gpu"); }},
      {"polls are weak",
       "h200",
       {"race"},
       nullptr,
       [](Text &t) { return t.replace("ld.acquire.gpu.global", "ld.global"); }},
      {"signals are of the block's scope",
       "h200",
       {"race"},
       nullptr,
       [](Text &t) { return t.replace("red.release.gpu", "red.release.cta"); }},
      {"the copy engine does not hear of the barriers",
       "h200",
       {"proxy-race"},
       nullptr,
       [](Text &t) { return t.leaveOut("fence.mbarrier_init"); }},
      {"nobody waits until the ring is there",
       "h200",
       {"race", "mbarrier-misuse", "uninitialised"},
       nullptr,
       [](Text &t) { return t.leaveOutBehind("mbarrier.init", "bar.sync"); }},
      {"nobody waits until the ring is there",
       "a100",
       {"race", "mbarrier-misuse", "uninitialised"},
       nullptr,
       [](Text &t) { return t.leaveOutBehind("mbarrier.init", "bar.sync"); }},
      {"a row is multiplied before it is there",
       "h200",
       {"race", "uninitialised"},
       nullptr,
       [](Text &t) {
         // The barrier behind the row's scale.
         size_t scale = t.find("rsqrt", t.find("// stage: decode.gate_proj"));
         size_t at = t.find("bar.sync", scale);
         t.lines[at].clear();
         return 1;
       }},
      {"cards are overwritten while they are read",
       "a100",
       {"race"},
       nullptr,
       [](Text &t) { return t.leaveOutBefore("red.release", 1, "bar.sync"); }},
      {"a slot counts fewer warps than there are",
       "h200",
       {"slot-reuse", "mbarrier-misuse", "race"},
       nullptr,
       [](Text &t) {
         // The second one of a slot's two barriers is that of its consumers.
         size_t at = t.find("mbarrier.init", t.find("mbarrier.init") + 1);
         t.lines[at] = t.lines[at].substr(0, t.lines[at].rfind(',')) + ", 7;";
         return 1;
       }},
      {"a slot counts more warps than there are",
       "a100",
       {kWatchdog},
       nullptr,
       [](Text &t) {
         size_t at = t.find("mbarrier.init", t.find("mbarrier.init") + 1);
         t.lines[at] = t.lines[at].substr(0, t.lines[at].rfind(',')) + ", 9;";
         return 1;
       }},
      {"a slot is filled before it is empty",
       "h200",
       {"slot-reuse", "mbarrier-misuse"},
       nullptr,
       [](Text &t) {
         // The loader's wait is the first of all.
         std::string &line = t.lines[t.find("mbarrier.try_wait")];
         line.replace(line.find(", 1, 0, p"), 9, ", 1, 1, p");
         return 1;
       }},
      {"slots are read before they are full",
       "h200",
       {"race", "uninitialised", "phase-overrun"},
       nullptr,
       [](Text &t) {
         int count = -1; // without the loader's
         for (std::string &line : t.lines)
           if (line.find("mbarrier.try_wait") != std::string::npos && ++count > 0)
             line.replace(line.find(", 1, 0, p"), 9, ", 1, 1, p");
         return count;
       }},
      {"a slot is given back while lanes still read it",
       "h200",
       {"slot-reuse", "race"},
       nullptr,
       [](Text &t) { return t.leaveOut("bar.warp.sync"); }},
      {"a slot is given back while lanes still read it",
       "a100",
       {"slot-reuse", "race"},
       nullptr,
       [](Text &t) { return t.leaveOut("bar.warp.sync"); }},
      {"weights that were taken early are read late",
       "h200",
       {"slot-reuse", "race"},
       nullptr,
       [](Text &t) { return t.readWeightsLate(); }},
      {"weights that were taken early are read late",
       "a100",
       {"slot-reuse", "race"},
       nullptr,
       [](Text &t) { return t.readWeightsLate(); }},
      {"fewer bytes are expected than come",
       "h200",
       {"mbarrier-misuse", kWatchdog},
       nullptr,
       [](Text &t) { return t.replaceLast("mbarrier.arrive.expect_tx", "4096"); }},
      {"more bytes are expected than come",
       "h200",
       {kWatchdog},
       nullptr,
       [](Text &t) { return t.replaceLast("mbarrier.arrive.expect_tx", "16384"); }},
      {"cards are read before they are there",
       "h200",
       {"race", "uninitialised"},
       nullptr,
       [](Text &t) { return t.leaveOut("cp.async.wait_all"); }},
      {"the loader arrives before its copies",
       "a100",
       {"race", "uninitialised"},
       nullptr,
       [](Text &t) {
         return t.replace("cp.async.mbarrier.arrive.noinc.shared::cta.b64 ",
                          "mbarrier.arrive.shared::cta.b64 _, ");
       }},
      {"the loader does not arrive",
       "a100",
       {kWatchdog},
       nullptr,
       [](Text &t) { return t.leaveOut("cp.async.mbarrier.arrive"); }},
      {"nobody waits for another to choose a token",
       "h200",
       {"race", "uninitialised"},
       nullptr,
       [](Text &t) { return t.leaveOutAllBehind("// stage: decode.sample", "bar.sync"); }},
  };
  return all;
}

//===----------------------------------------------------------------------===//
// Playing
//===----------------------------------------------------------------------===//

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
      EXPECT_TRUE(succeeded(runPipeline(*model->module, machine, {1}, Phase::Schedule)));
    } else {
      EXPECT_TRUE(succeeded(runPipeline(*model->module, machine, {1}, Phase::Tile)));
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
    Schedule all{*model->module};
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

  static PtxCode edit(PtxCode code, const std::function<int(Text &)> &change) {
    size_t begin = code.text.find(".visible .entry " + code.programs.front().entry + "(");
    size_t end = code.text.find(".visible .entry", begin + 1);
    Text text;
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
    std::string error =
        llvm::toString(writeRoll(base.options, base.summary, base.machine, module,
                                 codeFor(base.row, code), *base.model->weights, progress));
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
    Schedule schedule{*mutant};
    mutation.bend(schedule);
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
