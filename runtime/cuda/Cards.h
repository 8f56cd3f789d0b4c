// Cards.h - what a roll's records say, with addresses: the cards of cuda.h.
#ifndef PIANOLA_RUNTIME_CUDA_CARDS_H
#define PIANOLA_RUNTIME_CUDA_CARDS_H

#include "pianola/cuda.h"
#include "runtime/roll/Roll.h"

namespace pianola::cuda {

/// Where on the device everything lies that a step can be bound to.
struct Addresses {
  uint64_t arena = 0, constants = 0;
  std::vector<uint64_t> contexts, states, rotations, tables, pools;

  /// As many as the roll has, all of them 0: who only counts cards needs no more.
  static Addresses none(const RollManifest &manifest);
};

using CardList = std::vector<PianolaCudaCard>;

/// Cards of each worker, in order.
std::vector<CardList> makeCards(const Roll &roll, const RollProgram &program,
                                const Addresses &addresses);

/// Of one step, a card for each worker: without events, for a kernel of its own.
CardList stageCards(const std::vector<CardList> &cards, uint32_t step);

/// What says that a play may begin: that its first step is done.
PianolaCudaWait waitForFirstStep(const Roll &roll, const RollProgram &program);

} // namespace pianola::cuda

#endif
