// Session.cpp - one conversation with a model: a context that grows.
#include "runtime/session/Session.h"

#include <algorithm>
#include <cstring>

namespace pianola {

Result<std::unique_ptr<Session>> Session::create(const Roll &roll, const SessionOptions &options) {
  Result<Instrument> instrument = Instrument::open(roll, options, 1);
  if (!instrument)
    return instrument.status();
  return std::unique_ptr<Session>(new Session(std::move(*instrument)));
}

// Of tokens at the next positions that the device does not have; `firstOutput` counts slots.
Status Session::play(size_t program, const int32_t *ids, uint64_t slots, uint64_t firstOutput) {
  Play play;
  play.program = program;
  play.slots = Slots::chunk(0, present, ids, slots);
  play.firstOutput = firstOutput;
  written = std::max(written, present + slots);
  if (Status status = instrument.play(play); !status.ok())
    return status;
  present += slots;
  return Status();
}

// Feeds what the device does not have of the context, or no longer: a play that was cancelled may
// have written what no position has left.
Status Session::mend() {
  if (present == 0 || !instrument.keeps(present, written))
    present = written = 0;
  while (present < fed.size()) {
    size_t left = fed.size() - present, program = instrument.programFor(left);
    uint64_t slots = std::min<uint64_t>(left, instrument.slotsOf(program));
    if (Status status = play(program, &fed[present], slots, slots); !status.ok())
      return status;
  }
  return Status();
}

Status Session::feed(const int32_t *ids, size_t count, const FeedOptions &options) {
  if (Status status = instrument.check(ids, count, position()); !status.ok())
    return status;
  lastSlot.reset();
  if (Status status = mend(); !status.ok())
    return status;
  uint64_t vocabulary = instrument.roll().manifest().model.vocabulary;
  for (size_t done = 0; done < count;) {
    size_t left = count - done, program = instrument.programFor(options.oneByOne ? 1 : left);
    uint64_t slots = std::min<uint64_t>(left, instrument.slotsOf(program));
    bool isLast = slots == left;
    uint64_t firstOutput = options.allLogits ? 0 : isLast ? slots - 1 : slots;
    if (Status status = play(program, ids + done, slots, firstOutput); !status.ok())
      return status;
    fed.insert(fed.end(), ids + done, ids + done + slots);
    for (size_t slot = 0; options.allLogits && slot < slots; ++slot) {
      Result<const float *> row = instrument.device().logits(slot);
      if (!row)
        return instrument.note(row.status());
      std::memcpy(options.allLogits + (done + slot) * vocabulary, *row, vocabulary * sizeof(float));
    }
    if (isLast)
      lastSlot = slots - 1;
    done += slots;
  }
  return Status();
}

Result<uint64_t> Session::feedPrompt(const int32_t *ids, size_t count) {
  if (Status status = instrument.check(ids, count, 0); !status.ok())
    return status;
  size_t most = std::min<size_t>(count - 1, position());
  uint64_t same = std::mismatch(ids, ids + most, fed.begin()).first - ids;
  if (!instrument.keeps(std::min(same, present), written))
    same = 0;
  if (Status status = truncate(same); !status.ok())
    return status;
  if (Status status = feed(ids + same, count - same); !status.ok())
    return status;
  return same;
}

Result<const float *> Session::logits() {
  if (!lastSlot)
    return Status::error("there are no logits yet: feed a token first");
  return instrument.device().logits(*lastSlot);
}

Result<const float *> Session::hiddenState() {
  if (!lastSlot)
    return Status::error("there is no hidden state yet: feed a token first");
  return instrument.hiddenState(*lastSlot);
}

Result<int32_t> Session::sample(Sampler &sampler) {
  if (Status status = instrument.check(); !status.ok())
    return status;
  if (!lastSlot)
    return Status::error("there are no logits yet: feed a token first");
  return instrument.device().choose(sampler, fed);
}

Result<GenerationEnd> Session::generate(Sampler &sampler, const GenerateOptions &options) {
  Result<int32_t> first = sample(sampler);
  if (!first)
    return first.status();
  lastSlot.reset();
  uint64_t heard = 0;
  GenerationEnd end = GenerationEnd::Length;
  auto take = [&](int32_t token) {
    ++heard;
    bool goesOn = !options.take || options.take(token);
    if (std::count(options.stops.begin(), options.stops.end(), token))
      end = GenerationEnd::Stop;
    else if (!goesOn)
      end = GenerationEnd::Taker;
    else
      return true;
    return false;
  };
  if (!take(*first) || options.most <= 1)
    return end;
  Loop loop;
  loop.program = instrument.programFor(1);
  loop.first = *first;
  loop.plays = std::min(options.most - 1, maxLen() - position());
  loop.stops = &options.stops;
  loop.take = take;
  if (loop.plays > 0) {
    uint64_t before = position();
    Status status = instrument.note(instrument.device().loop(loop, sampler, fed));
    written = std::max(written, before + loop.played);
    present = position();
    if (!status.ok())
      return status;
  }
  if (end == GenerationEnd::Length && heard < options.most)
    end = GenerationEnd::Full;
  return end;
}

Status Session::truncate(uint64_t length) {
  if (length > position())
    return Status::error("cannot keep " + std::to_string(length) + " positions of " +
                         std::to_string(position()));
  lastSlot.reset();
  fed.resize(length);
  present = std::min(present, length);
  return mend();
}

} // namespace pianola
