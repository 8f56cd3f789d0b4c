/* cuda.h - what the kernels of a roll for NVIDIA GPUs are launched with.
 *
 * A roll for a GPU has, for each program, one persistent kernel and one kernel for each stage (both
 * in PTX, names in the manifest). The persistent kernel runs one block on each SM; block w is
 * worker w. Its first warps compute (consumers), the next one streams the worker's tape into a ring
 * in shared memory (the loader); in mixtures of experts one more brings what tokens choose. What a
 * worker does is written on cards, one for each step in which
 * it has tiles; the player makes them of the roll's records and the addresses that it chose.
 *
 * Everything here lies in device memory but PianolaCudaHost, which is pinned memory of the host.
 */
#ifndef PIANOLA_CUDA_H
#define PIANOLA_CUDA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PIANOLA_CUDA_WAITS 4
#define PIANOLA_CUDA_SECTIONS 6
#define PIANOLA_CUDA_BINDINGS 14
#define PIANOLA_CUDA_NONE 0xffffffffu
#define PIANOLA_CUDA_EVENT_STRIDE 64u /* bytes from one event's counter (uint32_t) to the next */

/* Goes on when counter `event` has grown to play * growth + until, play counting from 0 in a
 * launch, as a signed difference. */
struct PianolaCudaWait {
  uint32_t event;
  uint32_t growth; /* signals that the event gets in one play */
  int32_t until;
  uint32_t reserved; /* 0 */
};

/* One step of one worker; 256 bytes, aligned to 256. */
struct PianolaCudaCard {
  uint32_t step;   /* in the program, for reports */
  uint32_t stage;  /* in the kernel, in the manifest's order; NONE: no tiles (stage kernels only) */
  uint32_t signal; /* event to add one to afterwards, or NONE */
  uint32_t waits;  /* of `wait` */
  struct {
    uint32_t begin, end; /* tiles, numbered in the section */
  } tiles[PIANOLA_CUDA_SECTIONS];
  struct PianolaCudaWait wait[PIANOLA_CUDA_WAITS];
  uint64_t binding[PIANOLA_CUDA_BINDINGS]; /* addresses, in the order of the stage's arguments,
                                              matrices left out; a table that lies on the tapes: of
                                              an array of the addresses of its tiles */
  uint64_t tape;                           /* byte of the worker's tape where its tiles start */
  uint64_t tape_bytes;                     /* of this step, a multiple of 2048 */
};

/* How the next token is chosen: the fields of SamplingOptions (runtime/sampling/Sampler.h). */
struct PianolaCudaSampling {
  float temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
  int32_t top_k;
  uint32_t vocabulary; /* ids from here on are never chosen */
  uint64_t seed;
  uint64_t draws;  /* made so far; counted by the kernel */
  uint64_t counts; /* uint32_t[vocabulary]: how often each token was seen; the kernel counts on. 0:
                      no penalties */
  uint64_t bias;   /* float[vocabulary], added to the logits; 0: none */
};

/* When a worker did a step; ns of the device's timer. */
struct PianolaCudaSpan {
  uint64_t begin; /* it came to the card */
  uint64_t ready; /* its events had happened */
  uint64_t end;   /* its tiles were done */
};

/* A play is one pass through the program. */
struct PianolaCudaState {
  uint64_t position;     /* of slot 0 in play 0; play p begins at position + p * slots */
  uint64_t capacity;     /* positions that contexts have room for, a multiple of 64 */
  uint32_t slots;        /* valid ones of a play */
  uint32_t first_output; /* first slot whose logits are wanted, 0 .. slots */
  uint32_t plays;        /* at most in this launch; more than one only in a program that loops */
  uint32_t choose;       /* 1: the last step chooses a token; 0: it does nothing, as always in the
                            persistent kernel of a program that does not loop */
  uint32_t play;         /* stage kernels: the number of this play; the sample stage counts it up */
  uint32_t end;    /* plays from this number on are not played; set by the sample stage. Before
                      the launch: `plays` */
  uint32_t chosen; /* tokens chosen so far: index of the next one in the host's list */
  uint32_t stop_count;
  uint32_t abort;    /* 0; set to 1 by the worker that reports a wait to the host. All stop then */
  uint32_t reserved; /* 0 */
  struct PianolaCudaWait begin; /* in a program that loops: every worker but the one that has the
                                   first step waits for this before it begins a play */
  uint64_t stops;               /* int32_t[stop_count]: tokens that end the generation */
  uint64_t tokens;              /* int32_t[slots]: of the play; the sample stage writes the first */
  uint64_t trace;               /* PianolaCudaSpan[trace_plays][steps][workers], or 0: no record */
  uint32_t trace_plays;         /* the first ones of the launch */
  uint32_t steps;               /* of the program */
  struct PianolaCudaSampling sampling;
};

enum PianolaCudaEnd {
  PIANOLA_CUDA_GOES_ON = 0,
  PIANOLA_CUDA_STOP = 1,       /* the token is one of the stops */
  PIANOLA_CUDA_LENGTH = 2,     /* it is the last of the launch's plays */
  PIANOLA_CUDA_CANCELLED = 3,  /* the host asked for it */
  PIANOLA_CUDA_NOT_NUMBERS = 4 /* there is no token: no logit is a number */
};

enum PianolaCudaWaitKind {
  PIANOLA_CUDA_WAIT_EVENT = 1, /* expected, seen: the counter */
  PIANOLA_CUDA_WAIT_TAPE = 2,  /* a consumer waits for a slot of the ring to be filled */
  PIANOLA_CUDA_WAIT_RING = 3 /* the loader waits for one to be empty; expected, seen: slot, phase */
};

/* Written by the one worker whose wait first took longer than the watchdog allows (PianolaCudaState
 * has who that is); all zero otherwise. */
struct PianolaCudaReport {
  uint32_t reserved;
  uint32_t kind; /* PianolaCudaWaitKind */
  uint32_t worker, step, event, play;
  uint32_t expected, seen;
};

struct PianolaCudaHost {
  uint32_t cancel; /* set by the host: the play under way is the last */
  uint32_t reserved;
  struct PianolaCudaReport report;
  uint64_t tokens[]; /* as they are chosen: 1 << 63 | PianolaCudaEnd << 32 | token */
};

/* clang-format off
 *
 * Parameters, in order, each 64 bits. Blocks: one for each worker; threads and shared memory: as the
 * manifest says.
 *
 *   persistent kernel   cards     PianolaCudaCard[]
 *                       ranges    {uint32_t first, count}[workers], in cards
 *                       tape      first byte of the tape section
 *                       tapes     {uint64_t offset, bytes}[workers], in the tape section; bytes is a
 *                                 multiple of the ring's slots
 *                       events    counters, all zero
 *                       state     PianolaCudaState
 *                       host      PianolaCudaHost
 *                       watchdog  ns that a wait may take
 *   stage kernel        the same, but cards is PianolaCudaCard[workers] of one step, and ranges and
 *                       events are not used; kernels of a play are launched in the order of steps
 *
 * clang-format on */

#ifdef __cplusplus
}
#endif

#endif
