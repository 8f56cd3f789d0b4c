//===- Timeline.cpp - How a program's play goes, predicted ----------------===//

#include "dialects/schedule/Timeline.h"
#include "dialects/schedule/TapeOrder.h"
#include "dialects/schedule/Work.h"
#include "dialects/tile/Tape.h"

using namespace mlir;

namespace pianola::schedule {

namespace {

// What a worker does in a step.
struct Task {
  double earlyReads = 0, prologueReads = 0, tileReads = 0; // bytes, and then ns
  int64_t flops = 0, codes = 0;
  int64_t earlyTape = 0;              // bytes that are in registers before the step's events
  int64_t tapeBegin = 0, tapeEnd = 0; // of the worker's tape
  int64_t chosen = 0;                 // bytes of experts
};

// From a step's events to the first byte of an expert: the choice, with two reductions of a warp
// for each chosen expert and three barriers (some 0.4 us for 8 of 128), and a read's way (480
// clocks on an idle H100, Luo et al., 2024; about twice that under load).
constexpr double kChoiceNs = 1000;

// The loader and the consumer of one worker.
class Ring {
public:
  Ring(int64_t slots, int64_t chunk, int64_t tape, double rate)
      : chunk(chunk), chunks((tape + chunk - 1) / chunk), rate(rate), freed(slots, 0) {}

  // Brings something else behind what is under way: not before `begin`, and through as many slots
  // of their own. Returns when all of it is consumed, each byte in `each` ns from `at` on.
  double bring(int64_t bytes, double begin, double at, double each) {
    std::vector<double> consumed;
    for (size_t i = 0; bytes > 0; ++i, bytes -= chunk) {
      double count = double(std::min(bytes, chunk));
      double free = i < freed.size() ? begin : consumed[i - freed.size()];
      full = std::max({full, begin, free}) + count / rate;
      at = std::max(at, full) + count * each;
      consumed.push_back(at);
    }
    return at;
  }

  // When the slot that holds the byte of the tape is full.
  double filledAt(int64_t play, int64_t byte) {
    int64_t wanted = play * chunks + byte / chunk;
    for (; loaded <= wanted; ++loaded) {
      // A slot can be filled when what was there before is consumed.
      double begin = std::max(full, freed[loaded % freed.size()]);
      starts.push_back(begin);
      full = begin + chunk / rate;
    }
    return starts[wanted] + chunk / rate;
  }
  void free(int64_t play, int64_t byte, double when) {
    freed[(play * chunks + byte / chunk) % freed.size()] = when;
    consumed = play * chunks + byte / chunk + 1;
  }
  // Bytes that wait in the ring.
  double fill(double when) {
    // The loader has gone on by itself as far as there was room.
    int64_t last = consumed + freed.size();
    while (loaded < last)
      filledAt(0, loaded * chunk);
    double bytes = 0;
    for (int64_t i = consumed; i < last; ++i)
      bytes += std::clamp((when - starts[i]) * rate, 0.0, double(chunk));
    return bytes;
  }

private:
  int64_t chunk, chunks;
  double rate;
  int64_t loaded = 0, consumed = 0; // chunks
  double full = 0;                  // when the last one was
  std::vector<double> freed;        // of each slot
  std::vector<double> starts;       // of each chunk
};

class Simulation {
public:
  Simulation(ProgramOp program, tile::MachineAttr machine, int64_t positions)
      : program(program), machine(machine), workers(machine.getWorkers()),
        steps(program.getSteps()), work(program, positions) {
    prepare();
  }

  Timeline run();

private:
  int64_t earlyTapeOf(StepOp step, ArrayRef<int64_t> tiles);
  void prepare();
  void timeReads(std::vector<Task> &tasks, double Task::*reads);
  double awaited(int64_t play, StepOp step);
  Span playStep(int64_t play, size_t s, int64_t w);

  ProgramOp program;
  tile::MachineAttr machine;
  int64_t workers;
  std::vector<StepOp> steps;
  WorkOfProgram work;
  std::vector<std::vector<Task>> tasks; // [step][worker]
  std::vector<std::vector<int64_t>> active;
  Timeline result;

  std::vector<int64_t> tapes; // bytes of each worker's
  std::vector<Ring> rings;
  std::vector<double> now;                      // of each worker
  DenseMap<Value, std::vector<double>> signals; // of an event: when, in order of plays and steps
  DenseMap<Value, int64_t> growth;              // signals of one play
  std::vector<double> begun;                    // when workers may begin the play
};

// Bytes of weights that a worker can have in registers before the step's events: of products of few
// slots, with nothing before them on the tape.
int64_t Simulation::earlyTapeOf(StepOp step, ArrayRef<int64_t> tiles) {
  tile::StageOp stage = step.getStageOp();
  if (program.getSlots() > 8 || !tile::getResidentPieces(stage).empty() || !machine.getPanel())
    return 0;
  int64_t warps = machine.getWarps(), registerBytes = 4 * 32 * warps;
  int64_t room = machine.getEarly() / (program.getSlots() > 4 ? 2 : 1) / registerBytes;
  int64_t first = 0, early = 0;
  SmallVector<tile::SectionOp> sections = stage.getSections();
  for (auto [section, plan] :
       llvm::zip_equal(sections, tile::planEarly(stage, workers, warps, room,
                                                 [](tile::SectionOp) { return INT64_MAX; }))) {
    int64_t end = first + section.getTileCount(), taken = 0;
    int64_t here = llvm::count_if(tiles, [&](int64_t tile) { return tile >= first && tile < end; });
    for (auto [contract, panels] :
         llvm::zip(section.getBody().front().getOps<tile::ContractOp>(), plan.panels)) {
      tile::MatrixType matrix = contract.getMatrix().getType();
      taken += matrix.getFirstPanel() +
               std::min(panels * warps, matrix.getPanels()) * matrix.getPanelBytes();
    }
    early += std::min(plan.tiles, here) * taken;
    if (here > plan.tiles)
      break;
    first = end;
  }
  return early;
}

// The work of all workers, the same in each play.
void Simulation::prepare() {
  tapes.assign(workers, 0);
  int64_t chosen = 0;
  for (StepOp step : steps) {
    std::vector<Task> &here = tasks.emplace_back(workers);
    std::vector<int64_t> &list = active.emplace_back();
    StepCost &cost = result.steps.emplace_back();
    SmallVector<tile::SectionOp> sections = step.getStageOp().getSections();
    for (int64_t w = 0; w < workers; ++w) {
      SmallVector<int64_t> tiles = step.getTilesOf(w);
      if (tiles.empty())
        continue;
      list.push_back(w);
      Work all = work.ofPrologue(step);
      here[w].prologueReads = all.reads - all.early;
      for (int64_t tile : tiles) {
        bool isFirst = tile == tiles.front();
        auto *section = sections.begin();
        while (tile >= section->getTileCount())
          tile -= (section++)->getTileCount();
        Work one = work.ofTile(step, *section, tile);
        if (!isFirst)
          one.early = 0;
        all += one;
      }
      here[w].earlyReads = all.early;
      here[w].tileReads = all.reads - all.early - here[w].prologueReads;
      here[w].flops = all.flops;
      here[w].codes = all.codes;
      here[w].tapeBegin = tapes[w];
      here[w].tapeEnd = tapes[w] += all.tape - all.chosen;
      here[w].chosen = all.chosen;
      chosen += all.chosen;
      here[w].earlyTape = earlyTapeOf(step, tiles);
      cost.tape += all.tape;
      cost.memory += all.memory;
      cost.flops += all.flops;
      cost.worst += all.worst;
    }
    if (cost.worst <= cost.tape)
      cost.worst = 0;
    timeReads(here, &Task::earlyReads);
    timeReads(here, &Task::prologueReads);
    timeReads(here, &Task::tileReads);
    if (step.getSignals())
      growth[step.getSignals()] += list.size();
    cost.floor = cost.tape / (machine.getBandwidth() * 1e-3);
    result.floor += cost.floor;
  }
  int64_t longest = *llvm::max_element(tapes), total = 0;
  for (int64_t tape : tapes)
    total += tape;
  result.imbalance = total ? double(longest) * workers / total - 1 : 0;
  result.ring = getRingBytes(program, machine);
  // Experts have half of the room.
  int64_t slots = result.ring / machine.getChunk() / (chosen ? 2 : 1);
  for (int64_t tape : tapes)
    rings.emplace_back(std::max<int64_t>(slots, 1), machine.getChunk(), tape,
                       machine.getBandwidth() * 1e-3 / workers);
}

// Turns bytes to be read into ns. All workers of a step read at the same time and get equal shares
// of the cache's bandwidth as long as they have something left; so who reads b bytes is done when
// everyone has read b, or all that it reads.
void Simulation::timeReads(std::vector<Task> &tasks, double Task::*reads) {
  std::vector<double> bytes;
  for (const Task &task : tasks)
    bytes.push_back(task.*reads);
  llvm::sort(bytes);
  std::vector<double> before{0}; // sums of the smallest
  for (double b : bytes)
    before.push_back(before.back() + b);
  for (Task &task : tasks) {
    double mine = task.*reads;
    size_t smaller = llvm::lower_bound(bytes, mine) - bytes.begin();
    double all = before[smaller] + mine * (bytes.size() - smaller);
    double ns = all / (machine.getCache() * 1e-3);
    if (machine.getPort())
      ns = std::max(ns, mine / (machine.getPort() * 1e-3));
    task.*reads = ns;
  }
}

// When a worker that waits as the step does may go on.
double Simulation::awaited(int64_t play, StepOp step) {
  double when = 0;
  for (auto [event, until] :
       llvm::zip(step.getWaits(), step.getUntil().value_or(ArrayRef<int64_t>()))) {
    int64_t count = play * growth[event] + until;
    std::vector<double> &given = signals[event];
    if (count <= 0 || count > static_cast<int64_t>(given.size()))
      continue;
    std::nth_element(given.begin(), given.begin() + (count - 1), given.end());
    when = std::max(when, given[count - 1] + machine.getEvent());
  }
  return when;
}

Span Simulation::playStep(int64_t play, size_t s, int64_t w) {
  const Task &task = tasks[s][w];
  double consume = machine.getConsume() * 1e-3 / workers;
  double flops = double(machine.getPeak()) / workers;

  Span span{static_cast<int64_t>(s), now[w], 0, 0, 0, 0, 0, 0};
  int64_t bytes = task.tapeEnd - task.tapeBegin + task.chosen, chunk = machine.getChunk();
  double at = std::max(now[w], begun[w]);
  // What a byte costs in a register: its products, or that it is unpacked.
  double perByte = bytes ? double(task.flops) / flops / bytes : 0;
  if (task.codes && machine.getUnpack())
    perByte = std::max(perByte, task.codes / (machine.getUnpack() * 1e-3 / workers) / bytes);
  // Takes the tape up to `end` out of the ring, each byte in `each` ns.
  int64_t byte = task.tapeBegin;
  auto take = [&](int64_t last, double each) {
    while (byte < last) {
      int64_t end = std::min(last, (byte / chunk + 1) * chunk);
      double full = rings[w].filledAt(play, byte);
      span.starved += std::max(full - at, 0.0);
      at = std::max(at, full) + (end - byte) * each;
      if (end % chunk == 0 || end == tapes[w])
        rings[w].free(play, end - 1, at);
      byte = end;
    }
  };
  at += task.earlyReads;
  take(task.tapeBegin + task.earlyTape, 1 / consume);
  span.starved = 0;
  span.ready = std::max(at, awaited(play, steps[s]));
  begun[w] = 0;
  span.filledBefore = rings[w].fill(span.ready);
  span.work = span.ready + machine.getStep() + task.prologueReads;
  // Products go on as fast as the slower of the two, each byte with its share of them.
  at = span.work + task.tileReads + task.earlyTape * perByte;
  take(task.tapeEnd, std::max(1 / consume, perByte));
  if (task.chosen) {
    double done =
        rings[w].bring(task.chosen, span.ready + kChoiceNs, at, std::max(1 / consume, perByte));
    span.starved += done - at - double(task.chosen) * std::max(1 / consume, perByte);
    at = done;
  }
  span.end = now[w] = at;
  span.filledAfter = rings[w].fill(at);
  return span;
}

Timeline Simulation::run() {
  now.assign(workers, 0);
  begun.assign(workers, 0);
  int64_t plays = program.getLoops() ? 2 : 1;
  double begin = 0, end = 0;
  for (int64_t play = 0; play < plays; ++play) {
    result.workers.assign(workers, {});
    begin = end;
    double reached = begin;
    for (auto [s, step] : llvm::enumerate(steps)) {
      double last = reached, waiting = 0;
      for (int64_t w : active[s]) {
        Span span = playStep(play, s, w);
        last = std::max(last, span.end);
        waiting += (span.ready - span.arrive) / active[s].size();
        for (double *when : {&span.arrive, &span.ready, &span.work, &span.end})
          *when -= begin;
        result.workers[w].push_back(span);
      }
      if (Value event = step.getSignals())
        for (int64_t w : active[s])
          signals[event].push_back(now[w]);
      if (s == 0 && program.getLoops())
        for (int64_t w = 0; w < workers; ++w)
          begun[w] = llvm::is_contained(active[0], w) ? 0 : last + machine.getEvent();
      result.steps[s].ns = last - reached;
      result.steps[s].waiting = waiting;
      reached = last;
    }
    end = reached;
  }
  result.ns = end - begin;
  return std::move(result);
}

} // namespace

Timeline Timeline::predict(ProgramOp program, tile::MachineAttr machine, int64_t positions) {
  return Simulation(program, machine, positions).run();
}

} // namespace pianola::schedule
