// Launcher.cpp - makes a GPU play programs: what both ways share, and the persistent one.
#include "runtime/cuda/Launcher.h"

#include "runtime/cuda/GraphLauncher.h"

namespace pianola::cuda {

namespace {

struct CardRange {
  uint32_t first, count;
};

struct TapeRange {
  uint64_t offset, bytes;
};

class PersistentLauncher : public Launcher {
public:
  explicit PersistentLauncher(const LoadedRoll &loaded) : Launcher(loaded, false) {}

  bool playsOn(size_t program) const override { return roll.manifest().programs[program].loops; }

  Status begin(size_t number, uint64_t) override {
    const RollKernel &kernel = roll.manifest().programs[number].kernel;
    const Program &program = programs[number];
    if (Status status = gpu.check(
            "cuMemsetD8", gpu.driver.cuMemsetD8Async(places.events, 0, places.eventBytes, queue));
        !status.ok())
      return status;
    // All blocks at once, or an error: workers wait for each other.
    CUlaunchAttribute cooperative = {};
    cooperative.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    cooperative.value.cooperative = 1;
    return launch(loaded.kernels(number).persistent, kernel, program.cards.address(),
                  program.ranges.address(), program.tapes.address(), cooperative);
  }

  Status goOn(uint64_t) override { return Status(); }
};

} // namespace

std::unique_ptr<Launcher> Launcher::create(const LoadedRoll &loaded, bool graphs) {
  if (graphs)
    return std::make_unique<GraphLauncher>(loaded);
  return std::make_unique<PersistentLauncher>(loaded);
}

Launcher::~Launcher() {
  if (queue && gpu.enter().ok())
    gpu.driver.cuStreamDestroy_v2(queue);
}

void Launcher::plan(MemoryPlan &plan) {
  const RollManifest &manifest = roll.manifest();
  programs.resize(manifest.programs.size());
  uint64_t workers = manifest.tapes.size();
  for (size_t p = 0; p < programs.size(); ++p) {
    Program &to = programs[p];
    const RollProgram &program = manifest.programs[p];
    uint64_t cards = 0;
    for (const CardList &list : makeCards(roll, program, Addresses::none(manifest)))
      cards += list.size();
    to.firstStage = keepsStages ? 0 : static_cast<uint32_t>(program.steps.size() - 1);
    plan.add("cards", cards * sizeof(PianolaCudaCard), to.cards);
    plan.add("card lists", workers * sizeof(CardRange), to.ranges);
    plan.add("stage cards",
             (program.steps.size() - to.firstStage) * workers * sizeof(PianolaCudaCard), to.stages);
    plan.add("tape lists", workers * sizeof(TapeRange), to.tapes);
  }
}

Status Launcher::prepare(const Addresses &addresses, const LaunchPlaces &at) {
  places = at;
  for (size_t p = 0; p < programs.size(); ++p)
    if (Status status = write(programs[p], roll.manifest().programs[p], addresses); !status.ok())
      return status;
  return gpu.check("cuStreamCreate", gpu.driver.cuStreamCreate(&queue, StreamNonBlocking));
}

Status Launcher::write(const Program &to, const RollProgram &program, const Addresses &addresses) {
  const RollManifest &manifest = roll.manifest();
  std::vector<CardList> cards = makeCards(roll, program, addresses);
  CardList all, stages;
  std::vector<CardRange> ranges;
  for (const CardList &list : cards) {
    ranges.push_back({static_cast<uint32_t>(all.size()), static_cast<uint32_t>(list.size())});
    all.insert(all.end(), list.begin(), list.end());
  }
  for (uint32_t step = to.firstStage; step < program.steps.size(); ++step) {
    CardList list = stageCards(cards, step);
    stages.insert(stages.end(), list.begin(), list.end());
  }
  uint64_t chunk = program.kernel.chunk;
  std::vector<TapeRange> tapes;
  for (const RollTape &tape : manifest.tapes)
    tapes.push_back({tape.offset, (tape.bytes + chunk - 1) / chunk * chunk});
  for (Status status : {to.cards.write(0, all.data(), all.size() * sizeof(all[0])),
                        to.ranges.write(0, ranges.data(), ranges.size() * sizeof(ranges[0])),
                        to.stages.write(0, stages.data(), stages.size() * sizeof(stages[0])),
                        to.tapes.write(0, tapes.data(), tapes.size() * sizeof(tapes[0]))})
    if (!status.ok())
      return status;
  return Status();
}

Status Launcher::launch(CUfunction function, const RollKernel &kernel, uint64_t cards,
                        uint64_t ranges, uint64_t tapes, CUlaunchAttribute attribute) {
  uint64_t values[] = {cards,         ranges,       loaded.tape(), tapes,
                       places.events, places.state, places.host,   places.watchdog};
  void *parameters[] = {&values[0], &values[1], &values[2], &values[3],
                        &values[4], &values[5], &values[6], &values[7]};
  CUlaunchConfig config = {};
  config.gridDimX = static_cast<unsigned>(roll.manifest().tapes.size());
  config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.blockDimX = static_cast<unsigned>(kernel.threads);
  config.sharedMemBytes = static_cast<unsigned>(kernel.shared);
  config.hStream = queue;
  config.attrs = &attribute;
  config.numAttrs = 1;
  return gpu.check("cuLaunchKernelEx",
                   gpu.driver.cuLaunchKernelEx(&config, function, parameters, nullptr));
}

Status Launcher::launchStage(size_t number, uint32_t step, bool early) {
  const RollProgram &program = roll.manifest().programs[number];
  const Program &to = programs[number];
  uint64_t workers = roll.manifest().tapes.size();
  uint64_t cards = to.stages.address() + (step - to.firstStage) * workers * sizeof(PianolaCudaCard);
  CUlaunchAttribute attribute = {};
  attribute.id = CU_LAUNCH_ATTRIBUTE_IGNORE;
  if (early) {
    attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attribute.value.programmaticStreamSerializationAllowed = 1;
  }
  return launch(loaded.kernels(number).stages[program.steps[step].stage], program.kernel, cards, 0,
                to.tapes.address(), attribute);
}

Status Launcher::choose(size_t program) {
  auto last = static_cast<uint32_t>(roll.manifest().programs[program].steps.size() - 1);
  return launchStage(program, last, false);
}

} // namespace pianola::cuda
