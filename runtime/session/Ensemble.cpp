// Ensemble.cpp - several conversations with a model, which share plays.
#include "runtime/session/Ensemble.h"

#include <algorithm>
#include <limits>

namespace pianola {

// Address space, not memory, is what so many sequences may take.
static constexpr uint64_t kMostSequences = 4096;

Result<std::unique_ptr<Ensemble>> Ensemble::create(const Roll &roll,
                                                   const EnsembleOptions &options) {
  if (options.sequences == 0 || options.sequences > kMostSequences)
    return Status::error("an ensemble has 1 to " + std::to_string(kMostSequences) +
                         " sequences, not " + std::to_string(options.sequences));
  Result<Instrument> instrument = Instrument::open(roll, options.session, options.sequences);
  if (!instrument)
    return instrument.status();
  std::unique_ptr<Ensemble> ensemble(new Ensemble(std::move(*instrument)));
  ensemble->sequences.resize(options.sequences);
  ensemble->stepping = ensemble->instrument.programFor(options.stepSlots);
  if (uint64_t slots = ensemble->stepProgram().slots; slots < options.stepSlots)
    return Status::error("the roll's programs have " + std::to_string(slots) +
                         " slots at most, and steps were to have " +
                         std::to_string(options.stepSlots) + ": compile the model with --slots");
  return ensemble;
}

uint64_t Ensemble::chunkSlots() const {
  return instrument.slotsOf(instrument.programFor(std::numeric_limits<size_t>::max()));
}

Status Ensemble::find(uint64_t sequence) const {
  if (sequence < sequences.size())
    return Status();
  return Status::error("there is no sequence " + std::to_string(sequence) + ": there are " +
                       std::to_string(sequences.size()));
}

// A play writes over the logits of the one before.
Status Ensemble::play(const Play &play) {
  for (Sequence &sequence : sequences)
    sequence.lastSlot.reset();
  for (size_t slot = 0; slot < play.slots.size(); ++slot) {
    uint64_t &written = sequences[play.slots.sequences[slot]].written;
    written = std::max(written, play.slots.positions[slot] + 1);
  }
  return instrument.play(play);
}

// A chunk of a sequence that begins where the device has no more of it.
Status Ensemble::playChunk(uint64_t number, const int32_t *ids, size_t slots, bool isLast) {
  Play chunk;
  chunk.program = instrument.programFor(slots);
  chunk.slots = Slots::chunk(number, sequences[number].present, ids, slots);
  chunk.firstOutput = isLast ? slots - 1 : slots;
  if (Status status = play(chunk); !status.ok())
    return status;
  sequences[number].present += slots;
  return Status();
}

// So that chunks end at multiples of their slots.
size_t Ensemble::slotsAt(uint64_t position, size_t left) const {
  uint64_t largest = chunkSlots();
  return std::min<size_t>(left, largest - position % largest);
}

Status Ensemble::feed(uint64_t number, const int32_t *ids, size_t count) {
  if (Status status = find(number); !status.ok())
    return status;
  Sequence &sequence = sequences[number];
  if (Status status = instrument.check(ids, count, sequence.fed.size()); !status.ok())
    return status;
  if (Status status = mend(number); !status.ok())
    return status;
  for (size_t done = 0; done < count;) {
    size_t slots = slotsAt(sequence.fed.size(), count - done);
    bool isLast = done + slots == count;
    if (Status status = playChunk(number, ids + done, slots, isLast); !status.ok())
      return status;
    sequence.fed.insert(sequence.fed.end(), ids + done, ids + done + slots);
    if (isLast)
      sequence.lastSlot = slots - 1;
    done += slots;
  }
  return Status();
}

Status Ensemble::check(const std::vector<Turn> &turns) const {
  if (turns.empty())
    return Status::error("nothing to feed");
  if (turns.size() > stepProgram().slots)
    return Status::error(std::to_string(turns.size()) + " tokens are more than the " +
                         std::to_string(stepProgram().slots) + " slots of a step");
  std::vector<bool> seen(sequences.size());
  for (const Turn &turn : turns) {
    if (Status status = find(turn.sequence); !status.ok())
      return status;
    std::string where = "sequence " + std::to_string(turn.sequence);
    if (seen[turn.sequence])
      return Status::error(where + " is twice in a step");
    seen[turn.sequence] = true;
    if (Status status = instrument.check(&turn.token, 1, position(turn.sequence)); !status.ok())
      return Status::error(where + ": " + status.message());
  }
  return Status();
}

Status Ensemble::step(const std::vector<Turn> &turns) {
  if (Status status = check(turns); !status.ok())
    return status;
  for (const Turn &turn : turns)
    if (Status status = mend(turn.sequence); !status.ok())
      return status;
  Play step;
  step.program = stepping;
  for (const Turn &turn : turns)
    step.slots.add(turn.sequence, position(turn.sequence), turn.token);
  if (Status status = play(step); !status.ok())
    return status;
  for (size_t slot = 0; slot < turns.size(); ++slot) {
    Sequence &sequence = sequences[turns[slot].sequence];
    sequence.fed.push_back(turns[slot].token);
    ++sequence.present;
    sequence.lastSlot = slot;
  }
  return Status();
}

// Where the last play left what belongs to a sequence's last token.
Result<uint64_t> Ensemble::slotOf(uint64_t sequence, const char *what) const {
  if (Status status = find(sequence); !status.ok())
    return status;
  const std::optional<uint64_t> &slot = sequences[sequence].lastSlot;
  if (!slot)
    return Status::error("there " + std::string(what) + " of sequence " + std::to_string(sequence) +
                         ": the last play did not end with a token of it");
  return *slot;
}

Result<const float *> Ensemble::logits(uint64_t sequence) {
  Result<uint64_t> slot = slotOf(sequence, "are no logits");
  return slot ? instrument.device().logits(*slot) : slot.status();
}

Result<const float *> Ensemble::hiddenState(uint64_t sequence) {
  Result<uint64_t> slot = slotOf(sequence, "is no hidden state");
  return slot ? instrument.hiddenState(*slot) : slot.status();
}

Status Ensemble::copy(uint64_t from, uint64_t to, uint64_t length) {
  for (uint64_t sequence : {from, to})
    if (Status status = find(sequence); !status.ok())
      return status;
  if (from == to)
    return truncate(to, length);
  if (length > position(from))
    return Status::error("cannot copy " + std::to_string(length) + " positions of " +
                         std::to_string(position(from)));
  const Sequence &source = sequences[from];
  std::vector<int32_t> tokens(source.fed.begin(), source.fed.begin() + length);
  bool isThere = length > 0 && keeps(from, length);
  if (isThere)
    if (Status status = instrument.device().copy(from, to, length, source.written); !status.ok())
      return status;
  sequences[to] = {std::move(tokens), std::nullopt, isThere ? length : 0,
                   isThere ? source.written : 0};
  return mend(to);
}

// Feeds what the device does not have of a sequence, or no longer: a play that was cancelled may
// have written what none of its positions has left.
Status Ensemble::mend(uint64_t number) {
  Sequence &sequence = sequences[number];
  if (sequence.present == 0 || !keeps(number, sequence.present))
    sequence.present = sequence.written = 0;
  while (sequence.present < sequence.fed.size()) {
    size_t slots = slotsAt(sequence.present, sequence.fed.size() - sequence.present);
    if (Status status = playChunk(number, &sequence.fed[sequence.present], slots, false);
        !status.ok())
      return status;
  }
  return Status();
}

Status Ensemble::truncate(uint64_t sequence, uint64_t length) {
  if (Status status = find(sequence); !status.ok())
    return status;
  if (length > position(sequence))
    return Status::error("cannot keep " + std::to_string(length) + " positions of " +
                         std::to_string(position(sequence)));
  Sequence &cut = sequences[sequence];
  cut.fed.resize(length);
  cut.lastSlot.reset();
  cut.present = std::min(cut.present, length);
  return mend(sequence);
}

} // namespace pianola
