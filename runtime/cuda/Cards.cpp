// Cards.cpp - what a roll's records say, with addresses.
#include "runtime/cuda/Cards.h"

namespace pianola::cuda {

static_assert(sizeof(PianolaCudaCard) == 256, "kernels read cards of 256 bytes");

namespace {

uint64_t addressOf(const RollBinding &binding, const Addresses &addresses) {
  switch (binding.space) {
  case RollSpace::Arena:
    return addresses.arena + binding.at;
  case RollSpace::Context:
    return addresses.contexts[binding.at];
  case RollSpace::State:
    return addresses.states[binding.at];
  case RollSpace::Rotation:
    return addresses.rotations[binding.at];
  case RollSpace::Table:
    return addresses.tables[binding.at];
  case RollSpace::Pool:
    return addresses.pools[binding.at];
  case RollSpace::Constant:
    break;
  }
  return addresses.constants + binding.at;
}

PianolaCudaCard emptyCard(const RollProgram &program, uint32_t step, const Addresses &addresses) {
  PianolaCudaCard card = {};
  card.step = step;
  card.stage = static_cast<uint32_t>(program.steps[step].stage);
  card.signal = PIANOLA_CUDA_NONE;
  const std::vector<RollBinding> &bindings = program.steps[step].bindings;
  for (size_t i = 0; i < bindings.size(); ++i)
    card.binding[i] = addressOf(bindings[i], addresses);
  return card;
}

} // namespace

Addresses Addresses::none(const RollManifest &manifest) {
  Addresses none;
  none.contexts.resize(manifest.contexts.size());
  none.states.resize(manifest.states.size());
  none.pools.resize(manifest.pools.size());
  none.rotations.resize(manifest.rotations.size());
  none.tables.resize(manifest.tables.size());
  return none;
}

std::vector<CardList> makeCards(const Roll &roll, const RollProgram &program,
                                const Addresses &addresses) {
  std::vector<uint32_t> growth(program.events, 0);
  for (const RecordRange &range : program.records)
    for (uint64_t i = range.first; i < range.first + range.count; ++i)
      if (roll.records()[i].kind == PIANOLA_RECORD_SIGNAL)
        ++growth[roll.records()[i].index];

  std::vector<CardList> all;
  for (size_t worker = 0; worker < program.records.size(); ++worker) {
    CardList cards;
    const RecordRange &range = program.records[worker];
    for (uint64_t i = range.first; i < range.first + range.count; ++i) {
      const PianolaRollRecord &record = roll.records()[i];
      if (cards.empty() || cards.back().step != record.step)
        cards.push_back(emptyCard(program, record.step, addresses));
      PianolaCudaCard &card = cards.back();
      switch (record.kind) {
      case PIANOLA_RECORD_WAIT:
        card.wait[card.waits++] = {record.index, growth[record.index],
                                   static_cast<int32_t>(record.begin), 0};
        break;
      case PIANOLA_RECORD_SIGNAL:
        card.signal = record.index;
        break;
      default: {
        bool isFirst = true;
        for (const auto &tiles : card.tiles)
          isFirst &= tiles.end == 0;
        if (isFirst)
          card.tape = record.tape;
        card.tiles[record.index] = {record.begin, record.end};
      }
      }
    }
    uint64_t end = roll.manifest().tapes[worker].bytes;
    for (size_t i = cards.size(); i-- > 0; end = cards[i].tape)
      cards[i].tape_bytes = end - cards[i].tape;
    all.push_back(std::move(cards));
  }
  return all;
}

CardList stageCards(const std::vector<CardList> &cards, uint32_t step) {
  CardList all;
  for (const CardList &worker : cards) {
    PianolaCudaCard card = {};
    card.step = step;
    card.stage = PIANOLA_CUDA_NONE;
    for (const PianolaCudaCard &each : worker)
      if (each.step == step)
        card = each;
    card.signal = PIANOLA_CUDA_NONE;
    card.waits = 0;
    for (PianolaCudaWait &wait : card.wait)
      wait = {};
    all.push_back(card);
  }
  return all;
}

PianolaCudaWait waitForFirstStep(const Roll &roll, const RollProgram &program) {
  PianolaCudaWait wait = {};
  for (const RecordRange &range : program.records)
    for (uint64_t i = range.first; i < range.first + range.count; ++i) {
      const PianolaRollRecord &record = roll.records()[i];
      if (record.step == 0 && record.kind == PIANOLA_RECORD_SIGNAL) {
        wait.event = record.index;
        wait.until = static_cast<int32_t>(++wait.growth);
      }
    }
  return wait;
}

} // namespace pianola::cuda
