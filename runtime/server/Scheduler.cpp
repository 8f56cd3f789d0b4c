// Scheduler.cpp - many texts from one ensemble.
#include "runtime/server/Scheduler.h"

#include "runtime/server/Probables.h"

#include <algorithm>
#include <unistd.h>

namespace pianola::server {

// What is kept of one sequence, at its full length.
static uint64_t bytesOf(const RollManifest &manifest, uint64_t maxLen) {
  uint64_t positions = maxLen ? maxLen : manifest.maxModelLen, bytes = 0;
  for (const RollContext &context : manifest.contexts)
    bytes += context.positionBytes() * context.room(positions);
  for (uint64_t state : manifest.states)
    bytes += state;
  return bytes;
}

namespace {
struct Seats {
  uint64_t parallel, kept;
};
} // namespace

static Seats defaultSeats(const RollManifest &manifest, uint64_t sequenceBytes) {
  if (manifest.target.isGpu())
    return {1, 0};
  uint64_t slots = 1;
  for (const RollProgram &program : manifest.programs)
    slots = std::max(slots, program.slots);
  uint64_t memory = uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGESIZE));
  uint64_t room = std::max<uint64_t>(memory / 2 / std::max<uint64_t>(sequenceBytes, 1), 1);
  uint64_t parallel = std::min<uint64_t>({room, slots, 8});
  // A text that has gone on by a token shares nothing any more where layers remember it.
  if (!manifest.states.empty())
    return {parallel, 0};
  return {parallel, std::min<uint64_t>(room - parallel, 8)};
}

Result<std::unique_ptr<Scheduler>> Scheduler::create(const Roll &roll,
                                                     const SchedulerOptions &options) {
  std::unique_ptr<Scheduler> scheduler(new Scheduler(options));
  const RollManifest &manifest = roll.manifest();
  scheduler->sequenceBytes = bytesOf(manifest, options.session.maxLen);
  Seats seats = defaultSeats(manifest, scheduler->sequenceBytes);
  scheduler->parallelTexts = options.parallel.value_or(seats.parallel);
  EnsembleOptions wanted;
  wanted.session = options.session;
  wanted.sequences = scheduler->parallelTexts + options.kept.value_or(seats.kept);
  wanted.stepSlots = scheduler->parallelTexts;
  Result<std::unique_ptr<Ensemble>> ensemble = Ensemble::create(roll, wanted);
  if (!ensemble)
    return ensemble.status();
  scheduler->ensemble = std::move(*ensemble);
  scheduler->memories.resize(wanted.sequences);
  scheduler->remembers = !manifest.states.empty();
  scheduler->vocabulary = static_cast<int32_t>(manifest.model.validVocabulary);
  scheduler->thread = std::thread([self = scheduler.get()] { self->run(); });
  return scheduler;
}

Scheduler::~Scheduler() {
  if (thread.joinable())
    shutDown(std::chrono::milliseconds(0));
}

std::shared_ptr<TaskGroup> Scheduler::submit(std::vector<Task> tasks) {
  auto group = std::make_shared<TaskGroup>();
  group->queued = Clock::now();
  std::lock_guard<std::mutex> lock(mutex);
  if (closed || tasks.empty() || waiting + tasks.size() > options.queue)
    return nullptr;
  waiting += tasks.size();
  for (Task &task : tasks)
    group->waiting.push_back(std::move(task));
  queue.push_back(group);
  changed.notify_all();
  return group;
}

void Scheduler::shutDown(std::chrono::milliseconds patience) {
  {
    std::unique_lock<std::mutex> lock(mutex);
    closed = true;
    changed.wait_for(lock, patience, [&] { return idle && queue.empty(); });
    stopping = true;
    changed.notify_all();
  }
  thread.join();
}

uint64_t Scheduler::contextBytes() const { return memories.size() * sequenceBytes; }

SchedulerCounts Scheduler::counts() const {
  std::lock_guard<std::mutex> lock(mutex);
  SchedulerCounts counts = published;
  counts.waiting = waiting;
  return counts;
}

void Scheduler::run() {
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex);
      idle = std::none_of(memories.begin(), memories.end(),
                          [](const Memory &memory) { return memory.voice.has_value(); });
      if (idle) {
        changed.notify_all();
        changed.wait(lock, [&] { return stopping || !queue.empty(); });
      }
      idle = false;
      if (stopping)
        break;
    }
    try {
      while (sweep() || admit()) {
      }
      feedPrompts();
      step();
    } catch (const std::bad_alloc &) {
      failAll("out of memory");
    } catch (const std::exception &error) {
      failAll(error.what());
    }
    publish();
  }
  for (uint64_t sequence = 0; sequence < memories.size(); ++sequence)
    if (memories[sequence].voice)
      end(sequence, Ending::Shutdown);
  std::deque<std::shared_ptr<TaskGroup>> left;
  {
    std::lock_guard<std::mutex> lock(mutex);
    left.swap(queue);
    waiting = 0;
  }
  for (const std::shared_ptr<TaskGroup> &group : left)
    for (Task &task : group->waiting) {
      Ending ending;
      ending.reason = Ending::Shutdown;
      task.done(ending);
    }
  publish();
}

// Ends what was cancelled; whether there may be more of it.
bool Scheduler::sweep() {
  for (uint64_t sequence = 0; sequence < memories.size(); ++sequence)
    if (memories[sequence].voice && memories[sequence].voice->group->isCancelled())
      end(sequence, Ending::Cancelled);
  std::shared_ptr<TaskGroup> left;
  {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = std::find_if(queue.begin(), queue.end(),
                              [](const auto &group) { return group->isCancelled(); });
    if (found == queue.end())
      return false;
    left = *found;
    queue.erase(found);
    waiting -= left->waiting.size();
  }
  for (Task &task : left->waiting) {
    Ending ending;
    ending.reason = Ending::Cancelled;
    ending.queued = left->queued;
    ending.promptTokens = task.prompt.size();
    task.done(ending);
  }
  return true;
}

// Whole chunks that a prompt shares with a sequence, in positions, if rings still have what comes
// before their end. The last token is always fed: its logits are wanted.
uint64_t Scheduler::shared(const std::vector<int32_t> &prompt, uint64_t sequence) const {
  const std::vector<int32_t> &history = ensemble->history(sequence);
  size_t most = std::min<size_t>(memories[sequence].exact, prompt.size() - 1);
  size_t same =
      std::mismatch(prompt.begin(), prompt.begin() + most, history.begin()).first - prompt.begin();
  same -= same % ensemble->chunkSlots();
  return ensemble->keeps(sequence, same) ? same : 0;
}

// Takes one task from the queue, those of several groups in turn.
bool Scheduler::admit() {
  uint64_t running = std::count_if(memories.begin(), memories.end(),
                                   [](const Memory &memory) { return memory.voice.has_value(); });
  if (running == parallelTexts)
    return false;
  Voice voice;
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (queue.empty())
      return false;
    voice.group = std::move(queue.front());
    queue.pop_front();
    voice.task = std::move(voice.group->waiting.front());
    voice.group->waiting.pop_front();
    --waiting;
    if (!voice.group->waiting.empty())
      queue.push_back(voice.group);
  }
  voice.turn = ++turns;
  voice.ending.queued = voice.group->queued;
  voice.ending.started = Clock::now();
  voice.ending.promptTokens = voice.task.prompt.size();

  const std::vector<int32_t> &prompt = voice.task.prompt;
  // Of the sequences without a voice: the one that shares the most, if it then forgets nothing that
  // others could use; else the one that was not used for the longest time, which copies.
  std::optional<uint64_t> best, oldest;
  uint64_t most = 0;
  for (uint64_t sequence = 0; sequence < memories.size(); ++sequence) {
    const Memory &memory = memories[sequence];
    if (memory.voice)
      continue;
    if (uint64_t same = shared(prompt, sequence); same > most) {
      best = sequence;
      most = same;
    }
  }
  for (uint64_t sequence = 0; sequence < memories.size(); ++sequence)
    if (!memories[sequence].voice && sequence != best &&
        (!oldest || memories[sequence].used < memories[*oldest].used))
      oldest = sequence;
  uint64_t taken = best && (!oldest || most == memories[*best].exact) ? *best : *oldest;
  Memory &memory = memories[taken];
  uint64_t same = shared(prompt, taken);
  (void)ensemble->truncate(taken, same); // there are as many
  memory.exact = same;
  memory.used = turns;
  voice.ending.cachedTokens = same;
  voice.sampler.emplace(voice.task.sampling, vocabulary);
  memory.voice = std::move(voice);
  return true;
}

// Whether a prompt further on, or an earlier one that is as far, is about to feed what this one
// needs next: then it is taken over from there. What layers remember is that of the last position
// alone, which is no longer that of the prompt's end when this one looks.
bool Scheduler::mustWait(uint64_t sequence) const {
  if (remembers)
    return false;
  const Voice &voice = *memories[sequence].voice;
  uint64_t position = ensemble->position(sequence), chunk = ensemble->chunkSlots();
  for (uint64_t other = 0; other < memories.size(); ++other) {
    const std::optional<Voice> &ahead = memories[other].voice;
    if (other == sequence || !ahead || ahead->next)
      continue;
    uint64_t there = ensemble->position(other);
    if (there < position || (there == position && ahead->turn > voice.turn))
      continue;
    const std::vector<int32_t> &mine = voice.task.prompt, &others = ahead->task.prompt;
    uint64_t most = std::min(mine.size() - 1, others.size());
    uint64_t same =
        std::mismatch(mine.begin(), mine.begin() + most, others.begin()).first - mine.begin();
    if (same - same % chunk > there)
      return true;
  }
  return false;
}

// Takes over what another sequence has of this one's prompt.
void Scheduler::reuse(uint64_t sequence) {
  Memory &memory = memories[sequence];
  uint64_t most = ensemble->position(sequence), best = sequence;
  for (uint64_t other = 0; other < memories.size(); ++other) {
    uint64_t same = other == sequence ? 0 : shared(memory.voice->task.prompt, other);
    if (same > most) {
      most = same;
      best = other;
    }
  }
  if (best == sequence)
    return;
  uint64_t before = ensemble->position(sequence);
  if (!ensemble->copy(best, sequence, most).ok())
    return; // what is not taken over is fed
  memories[best].used = turns;
  memory.exact = most;
  memory.voice->ending.cachedTokens += most - before;
}

// A chunk of one of the prompts, which take turns.
void Scheduler::feedPrompts() {
  for (uint64_t i = 1; i <= memories.size(); ++i) {
    uint64_t sequence = (lastFed + i) % memories.size();
    Memory &memory = memories[sequence];
    if (!memory.voice || memory.voice->next || mustWait(sequence))
      continue;
    lastFed = sequence;
    reuse(sequence);
    const std::vector<int32_t> &prompt = memory.voice->task.prompt;
    uint64_t position = ensemble->position(sequence), chunk = ensemble->chunkSlots();
    uint64_t count = std::min(chunk - position % chunk, prompt.size() - position);
    Status status = ensemble->feed(sequence, prompt.data() + position, count);
    if (!status.ok())
      return end(sequence, Ending::Failed, status.message());
    totals.promptTokens += count;
    position += count;
    memory.exact = position - position % chunk;
    if (position == prompt.size()) {
      totals.prefixQueries += position;
      totals.prefixHits += memory.voice->ending.cachedTokens;
      totals.cachedTokens += memory.voice->ending.cachedTokens;
      memory.voice->task.takeState ? tellState(sequence) : choose(sequence);
    }
    return;
  }
}

void Scheduler::step() {
  std::vector<Turn> turn;
  for (uint64_t sequence = 0; sequence < memories.size(); ++sequence)
    if (const std::optional<Voice> &voice = memories[sequence].voice; voice && voice->next)
      turn.push_back({sequence, *voice->next});
  if (turn.empty())
    return;
  if (Status status = ensemble->step(turn); !status.ok())
    return failAll(status.message());
  ++totals.steps;
  totals.turns += turn.size();
  for (const Turn &played : turn)
    choose(played.sequence);
}

std::optional<ChosenToken> Scheduler::sample(uint64_t sequence, Voice &voice) {
  Result<const float *> logits = ensemble->logits(sequence);
  if (!logits) {
    end(sequence, Ending::Failed, logits.message());
    return std::nullopt;
  }
  Task &task = voice.task;
  TokenMask mask;
  if (task.matcher) {
    if (Status status = task.matcher->fill(mask); !status.ok()) {
      end(sequence, Ending::Failed, status.message());
      return std::nullopt;
    }
  }
  Result<int32_t> token =
      voice.sampler->sample(*logits, ensemble->history(sequence), task.matcher ? &mask : nullptr);
  if (!token) {
    end(sequence, Ending::Failed, token.message());
    return std::nullopt;
  }
  ChosenToken chosen;
  chosen.id = *token;
  chosen.isStop = std::count(task.stops.begin(), task.stops.end(), *token) != 0;
  if (task.probables) {
    Probables probables(*logits, vocabulary, *task.probables);
    chosen.logprob = probables.of(*token);
    chosen.probables = probables.greatest();
  }
  if (task.matcher) {
    if (Status status = task.matcher->accept(*token); !status.ok()) {
      end(sequence, Ending::Failed, status.message());
      return std::nullopt;
    }
  }
  return chosen;
}

void Scheduler::tellState(uint64_t sequence) {
  Result<const float *> state = ensemble->hiddenState(sequence);
  if (!state)
    return end(sequence, Ending::Failed, state.message());
  memories[sequence].voice->task.takeState(*state);
  end(sequence, Ending::Stop);
}

void Scheduler::choose(uint64_t sequence) {
  Voice &voice = *memories[sequence].voice;
  std::optional<ChosenToken> chosen = sample(sequence, voice);
  if (!chosen)
    return;
  Ending &ending = voice.ending;
  if (ending.generatedTokens++ == 0)
    ending.firstToken = Clock::now();
  ++totals.generatedTokens;
  voice.next = chosen->id;
  bool goesOn = voice.task.take(*chosen);
  if (chosen->isStop || !goesOn || (voice.task.matcher && voice.task.matcher->mustEnd()))
    end(sequence, Ending::Stop);
  else if (ending.generatedTokens == voice.task.most ||
           ensemble->position(sequence) == ensemble->maxLen())
    end(sequence, Ending::Length);
}

void Scheduler::end(uint64_t sequence, Ending::Reason reason, std::string error) {
  Voice voice = std::move(*memories[sequence].voice);
  memories[sequence].voice.reset();
  memories[sequence].used = ++turns;
  voice.ending.reason = reason;
  voice.ending.error = std::move(error);
  voice.ending.ended = Clock::now();
  publish(); // so that who has heard it finds it counted
  voice.task.done(voice.ending);
}

void Scheduler::failAll(const std::string &error) {
  for (uint64_t sequence = 0; sequence < memories.size(); ++sequence)
    if (memories[sequence].voice)
      end(sequence, Ending::Failed, error);
}

void Scheduler::publish() {
  SchedulerCounts counts = totals;
  uint64_t positions = 0;
  for (uint64_t sequence = 0; sequence < memories.size(); ++sequence)
    if (memories[sequence].voice) {
      ++counts.running;
      positions += ensemble->position(sequence);
    }
  counts.contextShare =
      static_cast<double>(positions) / static_cast<double>(parallelTexts * ensemble->maxLen());
  std::lock_guard<std::mutex> lock(mutex);
  published = counts;
}

} // namespace pianola::server
