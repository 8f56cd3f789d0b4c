/* roll.h - the format of a roll: what the compiler punches and the runtime plays.
 *
 * A roll is one little-endian file. It begins with a RollHeader, which lists sections; every
 * section starts at a multiple of 4096 bytes, so each can be mapped by itself. Nothing in a roll
 * depends on the time, the path or the user it was made with: the same input gives the same bytes.
 *
 *   section     holds
 *   manifest    JSON: everything small (below)
 *   code        host: machine code, position-independent, without relocations: parts are entered at
 *               byte offsets that the manifest names. nvptx: PTX, the text of one module
 *   records     RollRecord[]: for each program and worker, what it does, in order
 *   tape        for each worker the bytes of its weights in the order in which it consumes them;
 *               host: what a later step reads again, where layers share weights, stands once
 *   table       embedding tables that no tape holds, row-major
 *   tiles       uint64_t[]: for a table that lies on the tapes, the byte in the tape section at
 *               which each of its tiles starts
 *   tokenizer   tokenizer.json as the model directory had it (may be absent)
 *   template    the chat template's text (may be absent)
 *   cubin       nvptx: what ptxas made of the code for the target's chip (may be absent)
 *   constant    vectors, f32, that all workers share
 *   timeline    nvptx: RollTimeline, then RollSpan[]: how the play of a token was predicted (may be
 *               absent)
 *
 * Digests are XXH3 (64 bits, seed 0) of whole sections; a section over 16 MiB has the digest of the
 * array of the digests of its 16 MiB pieces, so that several threads can check it. The header's
 * digest covers the header with its own digest field zero.
 */

/* clang-format off
 *
 * The manifest (all members required unless said otherwise; sizes in bytes):
 *
 *   {"pianola": "0.1.0",                      version of the compiler
 *    "model": {"family", "name", "vocabulary", "valid_vocabulary", "hidden", "layers",
 *              "max_positions", "parameters"},
 *    "target": {"name": "host", "architecture": "x86_64", "features": ["avx2", ...],
 *               or: "name": "nvptx", "device": "h200", "capability": 90, "chip": "sm_90",
 *               and: "workers": N, "product": "bf16" | "f32", "bandwidth": MB/s,
 *               "peak": GFLOP/s, "event": ns, "step": ns},
 *    "max_model_len": N,                      positions a session holds at most
 *    "generation": {"stop": [ids], ...},      defaults; each optional member but stop is
 *                                             {"value", "from"}: bos, pad, do_sample, temperature,
 *                                             top_k, top_p, min_p, repetition_penalty
 *    "chat_tokens": [{"name", "text"}],       optional: bos_token and the like, variables of the
 *                                             chat template
 *    "contexts": [{"heads", "size", "element": "f32" | "bf16" | "i8" | "f8e4m3",
 *                  "window", "ring"}],        of i8 and f8e4m3, a position has an f32 scale too for
 *                                             each head's key and value. window, optional: how many
 *                                             positions attention looks at, counted backwards.
 *                                             ring, optional: how many are kept, the newest;
 *                                             position p stands where p mod ring would
 *    "states": [{"bytes"}],                   optional: what a layer remembers of a sequence, as the
 *                                             last of its positions has left it
 *    "rotations": [{"inv_freq": [...], "scale",
 *                   "growth": {"factor", "period", "from"}}],  optional: position p's cosines and
 *                                             sines are 1 + factor ln(1 + floor((p + from) /
 *                                             period)) times as large
 *    "tables": [{"space": "table" | "tiles", "offset", "count"}],
 *                                             table: first byte and bytes in the table section;
 *                                             tiles: first index and number of entries in tiles
 *    "pools": [{"offset", "bytes"}],          optional: in the tape section, the tiles of a matrix
 *                                             of all experts, one expert's after the other's
 *    "parts": [{"name", "entry"}],            entry: first byte in the code section; nvptx: none
 *    "tapes": [{"offset", "bytes"}],          of each worker, in the tape section; nvptx: bytes is
 *                                             a multiple of 64, where the last tile ends
 *    "weights": {"seed", "tape", "table", "constant"},
 *                                             nvptx alone, optional: the roll has none of these
 *                                             three sections, and who opens it makes up so many
 *                                             bytes of each (runtime/roll/MadeUpWeights.h), to
 *                                             measure how fast it plays
 *    "programs": [{"name", "slots", "arena", "scratch", "events",
 *                  "logits": {"at", "columns"},         f32 [slots x columns] in the arena
 *                  "hidden_states": {"at", "columns"},  optional: alike, of each slot, what the
 *                                                       head reads
 *                  "steps": [{"label", "bindings": [{"space", "at"}],
 *                             "cost": {"tape", "memory", "flops", "ns"},
 *                             "stage"}],      stage: nvptx alone, index in kernel.stages; space:
 *                                             arena, constant (at: byte), context, state,
 *                                             rotation, table, pool (at: index)
 *                  "records": [{"first", "count"}],     of each worker, in the records section
 *                  "loops": true | false,     nvptx alone, as is kernel
 *                  "kernel": {"entry", "threads", "shared": dynamic bytes,
 *                             "chunk": bytes of a slot of the ring, "slots": of the ring,
 *                             "stages": [{"name", "entry"}]}}]}
 *                                             entry: a kernel of the code section, as
 *                                             pianola/cuda.h has them
 *
 * clang-format on */

/* The last step of an nvptx program chooses the next token.
 *
 * A loader trusts none of this: every offset, size, count, alignment and digest is checked first.
 */
#ifndef PIANOLA_ROLL_H
#define PIANOLA_ROLL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PIANOLA_ROLL_MAGIC "PIANOLA\n" /* 8 bytes, without the closing zero */
#define PIANOLA_ROLL_VERSION 5u
#define PIANOLA_ROLL_ALIGNMENT 4096u
#define PIANOLA_ROLL_DIGEST_PIECE (16u << 20)
#define PIANOLA_ROLL_TAPE_UNIT 64u /* nvptx: steps start at multiples of it on a tape */

enum PianolaSectionKind {
  PIANOLA_SECTION_MANIFEST = 0,
  PIANOLA_SECTION_CODE = 1,
  PIANOLA_SECTION_RECORDS = 2,
  PIANOLA_SECTION_TAPE = 3,
  PIANOLA_SECTION_TABLE = 4,
  PIANOLA_SECTION_TILES = 5,
  PIANOLA_SECTION_TOKENIZER = 6,
  PIANOLA_SECTION_TEMPLATE = 7,
  PIANOLA_SECTION_CUBIN = 8,
  PIANOLA_SECTION_CONSTANT = 9,
  PIANOLA_SECTION_TIMELINE = 10,
  PIANOLA_SECTION_COUNT = 11
};

/* An absent section has offset 0 and bytes 0. */
struct PianolaSection {
  uint64_t offset;
  uint64_t bytes;
  uint64_t digest;
};

struct PianolaRollHeader {
  char magic[8];
  uint32_t version;
  uint32_t header_bytes; /* sizeof(struct PianolaRollHeader) */
  uint64_t file_bytes;
  uint64_t digest;
  struct PianolaSection sections[PIANOLA_SECTION_COUNT];
};

enum PianolaRecordKind {
  PIANOLA_RECORD_RUN = 0,   /* call part `index` for tiles begin .. end-1 (a prologue: 0 .. 1) */
  PIANOLA_RECORD_WAIT = 1,  /* until event `index` has grown by `begin` since the play began */
  PIANOLA_RECORD_SIGNAL = 2 /* add one to event `index` */
};

/* Of an nvptx roll: run has no prologues, and `index` is the number of the section in the step's
 * stage; a worker's records of a step are its waits (at most 4), then at most one run for each of
 * at most 4 sections, in their order, then at most one signal. In a program that loops, `begin` of
 * a wait is an int32_t: it goes on when the event has grown by `begin` more than all signals of the
 * plays before. */
struct PianolaRollRecord {
  uint32_t kind;
  uint32_t step;     /* index in the program's steps */
  uint32_t index;    /* part (nvptx: section) or event */
  uint32_t begin;    /* first tile, or the number waited for */
  uint32_t end;      /* last tile + 1; 0 unless run */
  uint32_t reserved; /* 0 */
  uint64_t resident; /* run: byte of the worker's tape at which the step's resident vectors start;
                        nvptx: not used */
  uint64_t tape; /* run: byte of the worker's tape at which tile `begin` starts. nvptx: the first
                    run of a step says where the step's tiles start; they end where those of the
                    worker's next step start, or the tape ends */
};

struct PianolaRollTimeline {
  uint32_t program;
  uint32_t positions; /* that the contexts were taken to have */
  uint32_t ring;      /* bytes of each worker's */
  uint32_t spans;
  float ns; /* of the play */
  uint32_t reserved[3];
};

/* One step of one worker; ns since the play before ended, which a worker may be done with earlier;
 * bytes in the ring. */
struct PianolaRollSpan {
  uint32_t worker, step, tiles, reserved;
  float arrive; /* done with the step before */
  float ready;  /* its events are there */
  float work;   /* what its tiles share is done */
  float end;
  float starved; /* of the time since `work`, waiting for the tape */
  float filled_before, filled_after;
  float reserved2;
};

/* What a part of the host target is called with. A part is a prologue or a section of a stage. */
struct PianolaHostCall {
  void *const *bindings;     /* addresses of the step's bindings, in order. A buffer, a constant:
                                its first byte. A context: that of sequence 0; those of the others
                                follow, each as large. A rotation: of position 0. A table: of row 0,
                                or, where it lies on the tapes, of an array of the addresses of its
                                tiles */
  const uint8_t *resident;   /* the step's resident vectors */
  const uint8_t *tape;       /* weights of tile `begin`, those of the next tiles right behind */
  uint8_t *scratch;          /* the worker's, 64-byte aligned; kept from prologue to sections */
  const int32_t *tokens;     /* token ids of the slots */
  const uint64_t *positions; /* of the slots, each in its sequence */
  const uint32_t *sequences; /* of the slots: whose context they grow and see. No position of a
                                sequence twice in a play */
  uint64_t slots;            /* valid slots, 1 .. T */
  uint64_t first_output;     /* first slot whose logits are wanted, 0 .. slots */
  uint64_t capacity;         /* positions a context holds of each sequence, a multiple of 64 */
  uint64_t begin, end;       /* tiles, numbered in the section */
};

typedef void (*PianolaHostPart)(const struct PianolaHostCall *);

#ifdef __cplusplus
}
#endif

#endif
