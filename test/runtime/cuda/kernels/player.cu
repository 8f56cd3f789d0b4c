// player.cu - the kernels of a model of two workers and sixteen tokens, as pianola/cuda.h has them:
// small enough to be computed again in a test. There is no ring: tapes are read where they lie.
//
// Stages:  embed   x[s] = row of the token; the context's position holds the token
//          head    logits[s][v] = constant[v] + dot(tape[v], x[s]) + sum over the context up to the
//                  slot's position of token * cosine of its position
//          sample  the sampler, by one thread
//
// The namespace has a name because nvcc puts its process number into those that have none.
#include "../../../../include/pianola/cuda.h"
#include "../../../../include/pianola/sampling.h"

namespace tiny {

constexpr int kVocabulary = 16, kHidden = 16, kRows = 8; // rows of a worker's tape
enum { kEmbed, kHead, kSample };

struct Range {
  uint32_t first, count;
};
struct Tape {
  uint64_t offset, bytes;
};

__device__ uint32_t acquire(const uint32_t *at) {
  uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(at) : "memory");
  return value;
}
__device__ void release(uint32_t *at) {
  asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(at) : "memory");
}
__device__ uint64_t now() {
  uint64_t ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
  return ns;
}

struct Where {
  uint64_t tape, tapes, events;
  PianolaCudaState *state;
  PianolaCudaHost *host;
  uint64_t watchdog;
};

__device__ uint32_t *counter(const Where &at, uint32_t event) {
  return reinterpret_cast<uint32_t *>(at.events + event * uint64_t(PIANOLA_CUDA_EVENT_STRIDE));
}

__device__ void report(const Where &at, uint32_t step, const PianolaCudaWait &wait, uint32_t play,
                       uint32_t expected, uint32_t seen) {
  if (atomicCAS(&at.state->abort, 0u, 1u) != 0)
    return;
  PianolaCudaReport &report = at.host->report;
  report.worker = blockIdx.x, report.step = step, report.event = wait.event;
  report.play = play, report.expected = expected, report.seen = seen;
  report.kind = PIANOLA_CUDA_WAIT_EVENT;
}

__device__ void embed(const PianolaCudaCard &card, const Where &at, uint32_t play) {
  auto *table = reinterpret_cast<const float *>(card.binding[0]);
  auto *x = reinterpret_cast<float *>(card.binding[1]);
  auto *context = reinterpret_cast<float *>(card.binding[2]);
  auto *tokens = reinterpret_cast<const int32_t *>(at.state->tokens);
  uint64_t position = at.state->position + uint64_t(play) * at.state->slots;
  for (uint32_t i = threadIdx.x; i < at.state->slots * kHidden; i += blockDim.x) {
    uint32_t slot = i / kHidden, column = i % kHidden;
    x[i] = table[tokens[slot] * kHidden + column];
    if (column == 0)
      context[position + slot] = float(tokens[slot]);
  }
}

__device__ void head(const PianolaCudaCard &card, const Where &at, uint32_t play) {
  auto *x = reinterpret_cast<const float *>(card.binding[0]);
  auto *logits = reinterpret_cast<float *>(card.binding[1]);
  auto *context = reinterpret_cast<const float *>(card.binding[2]);
  auto *rotation = reinterpret_cast<const float *>(card.binding[3]);
  auto *constant = reinterpret_cast<const float *>(card.binding[4]);
  auto *tapes = reinterpret_cast<const Tape *>(at.tapes);
  auto *rows = reinterpret_cast<const float *>(at.tape + tapes[blockIdx.x].offset + card.tape);
  uint64_t position = at.state->position + uint64_t(play) * at.state->slots;
  for (uint32_t i = threadIdx.x; i < at.state->slots * kRows; i += blockDim.x) {
    uint32_t slot = i / kRows, row = i % kRows, id = card.tiles[0].begin * kRows + row;
    if (slot < at.state->first_output)
      continue;
    float sum = constant[id];
    for (int c = 0; c < kHidden; ++c)
      sum = __fmaf_rn(rows[row * kHidden + c], x[slot * kHidden + c], sum);
    for (uint64_t p = 0; p <= position + slot; ++p)
      sum = __fmaf_rn(context[p] * 0.125f * float(id % 3), rotation[p * 2], sum);
    logits[slot * kVocabulary + id] = sum;
  }
}

/// As Sampler::weightOf, each step rounded.
__device__ uint64_t weigh(float below) {
  constexpr float series[] = PIANOLA_EXP_SERIES;
  float x = below > PIANOLA_EXP_LEAST ? below : PIANOLA_EXP_LEAST;
  float shifted = __fadd_rn(__fmul_rn(x, PIANOLA_EXP_LOG2E), PIANOLA_EXP_WHOLE);
  float whole = __fsub_rn(shifted, PIANOLA_EXP_WHOLE);
  float rest = __fsub_rn(x, __fmul_rn(whole, PIANOLA_EXP_LN2_HIGH));
  rest = __fsub_rn(rest, __fmul_rn(whole, PIANOLA_EXP_LN2_LOW));
  float sum = series[4];
  for (int i = 3; i >= 0; --i)
    sum = __fadd_rn(__fmul_rn(sum, rest), series[i]);
  sum = __fmul_rn(sum, rest);
  sum = __fadd_rn(__fadd_rn(__fmul_rn(sum, rest), rest), 1);
  return uint64_t(sum *
                  __uint_as_float((__float_as_uint(shifted) + 127 + PIANOLA_WEIGHT_BITS) << 23));
}

__device__ uint64_t portion(uint64_t total, uint64_t fraction) {
  return __umul64hi(total, fraction << (64 - PIANOLA_FRACTION_BITS));
}

/// As runtime/sampling/Sampler.cpp, for so few ids that order is made by looking at all of them.
__device__ int32_t choose(PianolaCudaState &state, const float *logits) {
  PianolaCudaSampling &how = state.sampling;
  float value[kVocabulary];
  int32_t order[kVocabulary];
  auto *counts = reinterpret_cast<uint32_t *>(how.counts);
  auto *bias = reinterpret_cast<const float *>(how.bias);
  int n = 0;
  for (uint32_t id = 0; id < how.vocabulary; ++id) {
    float logit = logits[id] + (bias ? bias[id] : 0);
    if (counts && counts[id]) {
      logit = logit > 0 ? __fdiv_rn(logit, how.repetition_penalty) : logit * how.repetition_penalty;
      logit = __fsub_rn(logit, __fadd_rn(how.presence_penalty,
                                         __fmul_rn(how.frequency_penalty, float(counts[id]))));
    }
    if (logit != logit || (how.temperature != 0 && isinf(logit)))
      continue;
    value[id] = logit;
    int at = n++; // insertion keeps equal ones in the order of ids
    for (; at > 0 && value[order[at - 1]] < value[id]; --at)
      order[at] = order[at - 1];
    order[at] = int32_t(id);
  }
  if (n == 0)
    return -1;
  if (how.temperature == 0)
    return order[0];
  if (how.top_k > 0 && how.top_k < n)
    n = how.top_k;
  uint64_t weights[kVocabulary] = {}, total = 0;
  for (int i = 0; i < n; ++i) {
    float below = __fdiv_rn(value[order[i]] - value[order[0]], how.temperature);
    total += weights[order[i]] = weigh(below);
  }
  if (how.top_p < 1) {
    uint64_t enough = portion(total, uint64_t(how.top_p * (1 << PIANOLA_FRACTION_BITS))), sum = 0;
    for (int i = 0; i < n; ++i) {
      bool stays = i == 0 || sum < enough;
      sum += weights[order[i]];
      if (!stays)
        weights[order[i]] = 0;
    }
  }
  total = 0;
  for (uint64_t &weight : weights) {
    if (weight < uint64_t(how.min_p * float(1ull << PIANOLA_WEIGHT_BITS)))
      weight = 0;
    total += weight;
  }
  uint64_t z = how.seed + (++how.draws) * PIANOLA_DRAW_GOLDEN;
  z = (z ^ (z >> 30)) * PIANOLA_DRAW_FIRST;
  z = (z ^ (z >> 27)) * PIANOLA_DRAW_SECOND;
  z ^= z >> 31;
  uint64_t place = portion(total, z >> (64 - PIANOLA_FRACTION_BITS)), sum = 0;
  int32_t id = 0;
  while (place >= (sum += weights[id]))
    ++id;
  return id;
}

__device__ void sample(const PianolaCudaCard &card, const Where &at, uint32_t play) {
  PianolaCudaState &state = *at.state;
  if (threadIdx.x != 0 || !state.choose)
    return;
  auto *logits = reinterpret_cast<const float *>(card.binding[0]);
  int32_t token = choose(state, logits + (state.slots - 1) * kVocabulary);
  uint32_t end = PIANOLA_CUDA_GOES_ON;
  auto *stops = reinterpret_cast<const int32_t *>(state.stops);
  if (token < 0)
    end = PIANOLA_CUDA_NOT_NUMBERS;
  else if (acquire(&at.host->cancel))
    end = PIANOLA_CUDA_CANCELLED;
  else if (play + 1 >= state.end)
    end = PIANOLA_CUDA_LENGTH;
  for (uint32_t i = 0; token >= 0 && i < state.stop_count; ++i)
    if (stops[i] == token)
      end = PIANOLA_CUDA_STOP;
  if (token >= 0) {
    if (state.sampling.counts)
      ++reinterpret_cast<uint32_t *>(state.sampling.counts)[token];
    *reinterpret_cast<int32_t *>(state.tokens) = token;
  }
  if (end != PIANOLA_CUDA_GOES_ON)
    state.end = play + 1;
  uint64_t entry = uint64_t(1) << 63 | uint64_t(end) << 32 | uint32_t(token < 0 ? 0 : token);
  asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(&at.host->tokens[state.chosen++]),
               "l"(entry)
               : "memory");
}

__device__ void run(const PianolaCudaCard &card, const Where &at, uint32_t play) {
  if (card.stage == kEmbed)
    embed(card, at, play);
  else if (card.stage == kHead)
    head(card, at, play);
  else
    sample(card, at, play);
}

/// False: it took too long, or another worker's wait did.
__device__ bool await(const PianolaCudaWait *waits, uint32_t count, uint32_t step, const Where &at,
                      uint32_t play) {
  __shared__ uint32_t late;
  if (threadIdx.x == 0) {
    uint32_t aborted = 0;
    for (uint32_t w = 0; w < count && !aborted; ++w) {
      const PianolaCudaWait &wait = waits[w];
      uint32_t expected = play * wait.growth + uint32_t(wait.until), seen;
      uint64_t begin = now();
      while (int32_t((seen = acquire(counter(at, wait.event))) - expected) < 0) {
        if (now() - begin > at.watchdog)
          report(at, step, wait, play, expected, seen);
        if ((aborted = acquire(&at.state->abort)) != 0)
          break;
        __nanosleep(100);
      }
    }
    late = aborted;
  }
  __syncthreads();
  bool isLate = late;
  __syncthreads();
  return !isLate;
}

__device__ void playAll(const PianolaCudaCard *cards, const Range *ranges, const Where &at,
                        bool loops, bool forgetful) {
  Range range = ranges[blockIdx.x];
  __shared__ uint32_t over;
  const PianolaCudaCard *first = cards + range.first;
  bool begins = first->step == 0;
  for (uint32_t play = 0;; ++play) {
    if (loops && !begins && !await(&at.state->begin, 1, 0, at, play))
      return;
    // Known to who chose the last token, and to who waited for the first step after it.
    if (threadIdx.x == 0)
      over = loops && play >= at.state->end;
    __syncthreads();
    bool isOver = over;
    for (uint32_t i = 0; i < (isOver ? begins : range.count); ++i) {
      const PianolaCudaCard &card = first[i];
      if (!await(card.wait, card.waits, card.step, at, play))
        return;
      if (!isOver)
        run(card, at, play);
      __syncthreads();
      if (threadIdx.x == 0 && card.signal != PIANOLA_CUDA_NONE && !(forgetful && blockIdx.x == 1)) {
        __threadfence();
        release(counter(at, card.signal));
      }
    }
    if (isOver || !loops)
      return;
  }
}

} // namespace tiny

using namespace tiny;

#define PARAMETERS                                                                                 \
  const PianolaCudaCard *cards, const Range *ranges, uint64_t tape, uint64_t tapes,                \
      uint64_t events, PianolaCudaState *state, PianolaCudaHost *host, uint64_t watchdog
#define WHERE Where at = {tape, tapes, events, state, host, watchdog};

extern "C" __global__ void decode(PARAMETERS) { WHERE playAll(cards, ranges, at, true, false); }
extern "C" __global__ void prefill(PARAMETERS) { WHERE playAll(cards, ranges, at, false, false); }
/// Worker 1 never says that it is done.
extern "C" __global__ void forgetful(PARAMETERS) { WHERE playAll(cards, ranges, at, false, true); }

/// A stage by itself; the last one of a play counts plays.
extern "C" __global__ void stage(PARAMETERS) {
  WHERE
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
  const PianolaCudaCard &card = cards[blockIdx.x];
  if (card.stage == PIANOLA_CUDA_NONE)
    return;
  uint32_t play = state->play;
  bool isOver = play >= state->end;
  __syncthreads(); // the last stage writes what all have read
  if (isOver)
    return;
  run(card, at, play);
  if (card.stage == kSample && threadIdx.x == 0)
    state->play = play + 1;
}
