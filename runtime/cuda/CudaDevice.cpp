// CudaDevice.cpp - plays a roll for NVIDIA GPUs.
#include "runtime/cuda/CudaDevice.h"

#include "runtime/cuda/Cards.h"

#include <algorithm>
#include <mutex>

namespace pianola::cuda {

Result<std::unique_ptr<Device>> CudaDevice::create(const Roll &roll, const CudaOptions &options) {
  // Sessions share the weights: one loads them while the others wait.
  static std::mutex opening;
  std::lock_guard<std::mutex> lock(opening);
  Result<std::shared_ptr<LoadedRoll>> loaded = LoadedRoll::open(roll, options.driver);
  if (!loaded)
    return loaded.status();
  std::unique_ptr<CudaDevice> device(new CudaDevice(*loaded, options));
  if (Status status = device->gpu.enter(); !status.ok())
    return status;
  if (Status status = device->allocate(); !status.ok())
    return status;
  if (Status status = (*loaded)->load(); !status.ok())
    return status;
  if (Status status = device->prepare(); !status.ok())
    return status;
  return std::unique_ptr<Device>(std::move(device));
}

unsigned CudaDevice::threads() const {
  return static_cast<unsigned>(roll.manifest().target.workers);
}

void CudaDevice::cancel() {
  // In this order, so that hand(), which takes the second back, sees the first.
  cancelled = true;
  list.cancel();
}

bool CudaDevice::takeCancellation() {
  lastWasCancelled = cancelled.exchange(false);
  return lastWasCancelled;
}

PianolaCudaState CudaDevice::stateOf(uint64_t position, uint64_t slots, uint64_t firstOutput,
                                     uint64_t plays) const {
  PianolaCudaState made = {};
  made.position = position;
  made.capacity = options.capacity;
  made.slots = static_cast<uint32_t>(slots);
  made.first_output = static_cast<uint32_t>(firstOutput);
  made.plays = made.end = static_cast<uint32_t>(plays);
  made.tokens = tokens.address();
  made.sampling.vocabulary = static_cast<uint32_t>(roll.manifest().model.validVocabulary);
  return made;
}

// Has the kernels write down when they do what.
Status CudaDevice::record(size_t program, PianolaCudaState &made) {
  recorded = {};
  if (options.tracePlays == 0)
    return Status();
  recorded.program = program;
  recorded.position = made.position;
  recorded.slots = made.slots;
  recorded.plays = std::min<uint64_t>(options.tracePlays, made.plays);
  recorded.steps = roll.manifest().programs[program].steps.size();
  recorded.workers = roll.manifest().tapes.size();
  made.trace = spans.address();
  made.trace_plays = static_cast<uint32_t>(recorded.plays);
  made.steps = static_cast<uint32_t>(recorded.steps);
  return spans.clear(0,
                     recorded.plays * recorded.steps * recorded.workers * sizeof(PianolaCudaSpan));
}

Result<Recording> CudaDevice::recording() {
  static_assert(sizeof(RecordedSpan) == sizeof(PianolaCudaSpan), "read as they are");
  if (recorded.plays == 0)
    return Status::error("nothing was recorded");
  if (Status status = gpu.enter(); !status.ok())
    return status;
  Recording made = recorded;
  uint64_t perPlay = made.steps * made.workers;
  made.spans.resize(made.plays * perPlay);
  if (Status status = spans.read(0, made.spans.data(), made.spans.size() * sizeof(RecordedSpan));
      !status.ok())
    return status;
  // The launch may have ended before.
  auto wasPlayed = [](const RecordedSpan &span) { return span.end != 0; };
  while (made.plays > 0 && std::none_of(made.spans.end() - perPlay, made.spans.end(), wasPlayed)) {
    --made.plays;
    made.spans.resize(made.plays * perPlay);
  }
  if (made.plays == 0)
    return Status::error("the kernels have recorded nothing");
  return made;
}

// What the kernel needs to choose tokens as the sampler would; `next` is one that is played first
// and not in the history yet.
Status CudaDevice::prepareChoice(const Sampler &sampler, const std::vector<int32_t> &history,
                                 const int32_t *next, PianolaCudaState &made) {
  const SamplingOptions &settings = sampler.settings();
  PianolaCudaSampling &to = made.sampling;
  made.choose = 1;
  to.temperature = settings.temperature;
  to.top_p = settings.topP;
  to.min_p = settings.minP;
  to.repetition_penalty = settings.repetitionPenalty;
  to.presence_penalty = settings.presencePenalty;
  to.frequency_penalty = settings.frequencyPenalty;
  to.top_k = settings.topK;
  to.seed = settings.seed;
  to.draws = sampler.drawn();
  if (sampler.penalises()) {
    std::vector<uint32_t> seen(to.vocabulary, 0);
    auto count = [&](int32_t id) {
      if (static_cast<uint32_t>(id) < to.vocabulary)
        ++seen[id];
    };
    for (int32_t id : history)
      count(id);
    if (next)
      count(*next);
    to.counts = counts.address();
    if (Status status = counts.write(0, seen.data(), seen.size() * sizeof(seen[0])); !status.ok())
      return status;
  }
  if (settings.logitBias.empty())
    return Status();
  std::vector<float> biases(to.vocabulary, 0);
  for (const auto &[id, value] : settings.logitBias)
    biases[id] += value;
  to.bias = bias.address();
  return bias.write(0, biases.data(), biases.size() * sizeof(biases[0]));
}

// The state goes to the device; `count` tokens at most will be chosen by it.
Status CudaDevice::hand(const PianolaCudaState &made, uint64_t count) {
  list.clear(count);
  if (takeCancellation())
    return Status::error("cancelled");
  return state.write(0, &made, sizeof(made));
}

Status CudaDevice::finish(size_t program) {
  CUresult result = gpu.driver.cuStreamSynchronize(launcher->stream());
  std::string report = list.report(roll.manifest().programs[program], options.watchdogSeconds);
  if (!report.empty())
    return Status::error(report);
  if (result != CUDA_SUCCESS)
    return Status::error("playing program " + roll.manifest().programs[program].name + " on " +
                         gpu.name + ": " + gpu.driver.describe(result));
  return takeCancellation() ? Status::error("cancelled") : Status();
}

Status CudaDevice::play(const Play &play) {
  if (Status status = gpu.enter(); !status.ok())
    return status;
  PianolaCudaState made =
      stateOf(play.slots.positions.front(), play.slots.size(), play.firstOutput, 1);
  made.begin = waitForFirstStep(roll, roll.manifest().programs[play.program]);
  if (Status status = record(play.program, made); !status.ok())
    return status;
  if (Status status = hand(made, 1); !status.ok())
    return status;
  const std::vector<int32_t> &ids = play.slots.tokens;
  if (Status status = tokens.write(0, ids.data(), ids.size() * sizeof(int32_t)); !status.ok())
    return status;
  lastProgram = play.program;
  lastState = made;
  if (Status status = launcher->begin(play.program, 1); !status.ok())
    return status;
  return finish(play.program);
}

Status CudaDevice::copy(uint32_t, uint32_t, uint64_t, uint64_t) {
  return Status::error("a GPU plays one sequence");
}

Result<const float *> CudaDevice::readRow(const RollRows &rows, uint64_t slot) {
  if (Status status = gpu.enter(); !status.ok())
    return status;
  row.resize(rows.columns);
  uint64_t bytes = rows.columns * sizeof(float);
  if (Status status = arena.read(rows.at + slot * bytes, row.data(), bytes); !status.ok())
    return status;
  return static_cast<const float *>(row.data());
}

Result<const float *> CudaDevice::logits(uint64_t slot) {
  return readRow(roll.manifest().programs[lastProgram].logits, slot);
}

Result<const float *> CudaDevice::hiddenState(uint64_t slot) {
  return readRow(*roll.manifest().programs[lastProgram].hiddenStates, slot);
}

static Result<int32_t> tokenOf(const ChosenToken &chosen) {
  if (chosen.end == PIANOLA_CUDA_NOT_NUMBERS)
    return Status::error("the model's logits are not numbers");
  return chosen.token;
}

Result<int32_t> CudaDevice::choose(Sampler &sampler, const std::vector<int32_t> &history) {
  if (Status status = gpu.enter(); !status.ok())
    return status;
  PianolaCudaState made = lastState;
  made.trace = 0; // of the play
  if (Status status = prepareChoice(sampler, history, nullptr, made); !status.ok())
    return status;
  if (Status status = hand(made, 1); !status.ok())
    return status;
  if (Status status = launcher->choose(lastProgram); !status.ok())
    return status;
  if (Status status = finish(lastProgram); !status.ok())
    return status;
  std::optional<ChosenToken> chosen = list.token(0);
  if (!chosen)
    return Status::error("the kernel of the last step has chosen no token");
  Result<int32_t> token = tokenOf(*chosen);
  if (token && sampler.settings().temperature != 0)
    sampler.setDrawn(sampler.drawn() + 1);
  return token;
}

// Hears the tokens of a loop as they come, and counts them.
Status CudaDevice::take(const Loop &loop, std::vector<int32_t> &history, uint64_t &heard) {
  int32_t last = loop.first;
  while (heard < loop.plays) {
    std::optional<ChosenToken> chosen = list.wait(heard, launcher->stream());
    if (!chosen)
      return Status(); // finish() knows why
    Result<int32_t> token = tokenOf(*chosen);
    if (!token)
      return token.status();
    history.push_back(last);
    last = *token;
    ++heard;
    bool goesOn = loop.take(last);
    if (chosen->end != PIANOLA_CUDA_GOES_ON)
      return Status();
    if (!goesOn) {
      list.cancel(); // what is chosen until the kernel hears it is dropped
      return Status();
    }
    if (Status status = launcher->goOn(heard); !status.ok())
      return status;
  }
  return Status();
}

Status CudaDevice::loop(Loop &loop, Sampler &sampler, std::vector<int32_t> &history) {
  if (!launcher->playsOn(loop.program))
    return Device::loop(loop, sampler, history);
  if (Status status = gpu.enter(); !status.ok())
    return status;
  PianolaCudaState made = stateOf(history.size(), 1, 0, loop.plays);
  made.begin = waitForFirstStep(roll, roll.manifest().programs[loop.program]);
  if (Status status = record(loop.program, made); !status.ok())
    return status;
  if (Status status = prepareChoice(sampler, history, &loop.first, made); !status.ok())
    return status;
  made.stop_count = static_cast<uint32_t>(loop.stops->size());
  if (made.stop_count != 0) {
    uint64_t bytes = loop.stops->size() * sizeof(int32_t);
    if (stops.size() < bytes) {
      MemoryPlan plan;
      plan.add("stops", bytes, stops);
      if (Status status = plan.allocate(gpu); !status.ok())
        return status;
    }
    if (Status status = stops.write(0, loop.stops->data(), bytes); !status.ok())
      return status;
    made.stops = stops.address();
  }
  if (Status status = hand(made, loop.plays); !status.ok())
    return status;
  if (Status status = tokens.write(0, &loop.first, sizeof(loop.first)); !status.ok())
    return status;
  lastProgram = loop.program;
  lastState = made;
  if (Status status = launcher->begin(loop.program, loop.plays); !status.ok())
    return status;
  uint64_t heard = 0;
  Status taken = take(loop, history, heard);
  if (sampler.settings().temperature != 0)
    sampler.setDrawn(sampler.drawn() + heard);
  Status finished = finish(loop.program);
  // Each token that was chosen is of a play. After one that ended the launch there is none;
  // otherwise one more may have been cancelled.
  for (loop.played = heard; loop.played < loop.plays && list.token(loop.played);)
    ++loop.played;
  std::optional<ChosenToken> last;
  if (loop.played > 0)
    last = list.token(loop.played - 1);
  if (!last || last->end == PIANOLA_CUDA_GOES_ON)
    loop.played = std::min(loop.played + 1, loop.plays);
  return finished.ok() ? taken : finished;
}

} // namespace pianola::cuda
