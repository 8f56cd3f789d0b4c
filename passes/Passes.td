//===- Passes.td - From a model to a proven schedule ----------*- tablegen -*-===//
//
// In the order in which the pipeline runs them (lib/driver/Pipeline.cpp has the reasons).
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_PASSES_TD
#define PIANOLA_PASSES_TD

include "mlir/Pass/PassBase.td"

def FuseStages : Pass<"fuse-stages", "::mlir::ModuleOp"> {
  let summary = "group the model's ops into stages";
  let description = [{
    Inference at batch 1 pays for each point at which every worker must wait for every other. This pass
    makes as few of them as the data allows, for `@forward`:

    - each embedding, linear, head or attention is an *anchor*; linears that read the same value share
      a stage (queries, keys and values; gate and up);
    - ops that a tile can compute from its own columns (norms of heads, rope, glu, residual sums, the
      append to the cache) follow the last anchor that they depend on: they are its **epilogue**;
    - the norm of a whole row is computed again in every stage that reads it: a **prologue** is cheaper
      than one more stage.

    On a machine whose tiles are finer than heads (its `rows`), norms of heads, rope and the append
    come before the attention that reads them, in its stage.

    `transformer.observe` is dropped. A dense decoder layer becomes four stages: queries, keys and
    values; attention; output and residual; gate and up; down and residual makes five.
  }];
  let dependentDialects = ["::pianola::transformer::TransformerDialect"];
}

def TileStages : Pass<"tile-stages", "::mlir::ModuleOp"> {
  let summary = "turn stages into tiles, once for each number of slots";
  let description = [{
    Replaces `@forward` by one `schedule.program` for each number in `slots`, and defines each distinct
    stage once as a `tile.stage`. A tile is a group of a matrix's rows: one head where an epilogue
    or a reader needs whole heads, else 32 rows (16 where 32 would leave workers idle). Which rows
    make a tile does not depend on the number of slots, so that all programs read the same tapes.
    Attention is tiled over key/value heads, blocks of 16 slots, and parts of the context where
    there are too few heads for the workers.

    On a machine with `rows` a tile is that many rows, or twice as many; attention takes the keys and
    values of the play's own slots from where the linears left them, and appends them to the context in
    tiles of their own. What would not fit a worker's scratch memory as the result of a prologue gets a
    step and a buffer. If workers loop, a program ends with a step that chooses the next token.

    With `hidden-states` a program also leaves behind what its head reads, the last hidden state of each
    slot.
  }];
  let options = [
    ListOption<"slots", "slots", "int64_t", "token slots of each program (default: 1 and 64)">,
    Option<"narrowFrom", "narrow-from", "int64_t", "0",
           "slots of a program from which on its products take bf16, whatever the machine says (0: none)">,
    Option<"hiddenStates", "hidden-states", "bool", "false",
           "leave the last hidden state of each slot behind, too">
  ];
  let dependentDialects = ["::pianola::tile::TileDialect", "::pianola::schedule::ScheduleDialect"];
}

def AssignTiles : Pass<"assign-tiles", "::mlir::ModuleOp"> {
  let summary = "give every tile to a worker";
  let description = [{
    Tiles of a step are dealt out in order, each worker getting one run of neighbours, such that the
    greatest load is as small as that allows. A tile's load is the bytes that it takes from the tape, or, in steps
    without weights, one. The same weights get the same assignment in every program.

    On a machine with `rows` each section is dealt out by itself: every worker gets one run of
    neighbours, as many tiles as any other or one more. One more goes to those whose tape has got least
    so far (in steps without weights: to those with fewest tiles of the step), so that in the end all tapes
    are equally long but for about a tile.
  }];
  let dependentDialects = ["::pianola::schedule::ScheduleDialect"];
}

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "place the activations in the arena";
  let description = [{
    A buffer lives from the first step that writes it to the last step that reads it (to the end, if
    none does: the logits). Buffers that live at the same time get different bytes; each is put in the
    smallest gap that holds it, large buffers first. Every buffer starts on a cache line.
  }];
  let dependentDialects = ["::pianola::schedule::ScheduleDialect"];
}

def PlaceEvents : Pass<"place-events", "::mlir::ModuleOp"> {
  let summary = "make every worker wait for what it needs, and for nothing else";
  let description = [{
    A step must come after the steps that write what it reads, and after those that read or write the
    bytes that it overwrites. Where program order and earlier waits do not give that already, the step
    waits for the other one's event; first for the one that spares it most other waits.

    In a program that loops a worker knows, when it begins a play, that the play's first step is done,
    and all that this step's worker knew. What a step must come after in the play before, and
    does not by that, it awaits with `until` 0.
  }];
  let dependentDialects = ["::pianola::schedule::ScheduleDialect"];
}

def PredictCost : Pass<"predict-cost", "::mlir::ModuleOp"> {
  let summary = "predict what each step costs on the machine";
  let description = [{
    A step takes the greater of two times, each of the worker with the most to do: its bytes of tape at
    its share of the bandwidth, and its inner products at its share of the peak; and then the machine's
    cost of a step, and of an event if it waits. Activations are counted but taken to be in a cache;
    the context is counted for the slots of the play alone.

    On a machine with a ring the play is simulated (dialects/schedule/Timeline.h has the model), with
    contexts of `positions`; of a program that loops, the second play counts.
  }];
  let options = [Option<"positions", "positions", "int64_t", /*default=*/"256",
                        "positions that contexts have, on a machine with a ring">];
  let dependentDialects = ["::pianola::schedule::ScheduleDialect"];
}

def CheckSchedule : Pass<"check-schedule", "::mlir::ModuleOp"> {
  let summary = "prove that every program ends, and that no tile reads or overwrites too early";
  let description = [{
    Executes each program on abstract workers and refuses it with a message that names step, tile,
    worker and bytes if

    - a worker would wait forever;
    - a tile touches bytes outside of a buffer, or a buffer lies outside of the arena;
    - a tile reads bytes that no tile before it has written in this play, or whose last writer is another
      buffer's (two buffers share bytes while both live);
    - two tiles, one of which writes, touch the same bytes and no chain of events orders them;
    - it loops, and a step of the next play may overwrite what one of this play still uses, or read keys,
      values or the token that this one has not written yet;
    - a step waits for more events than the machine's steps can;
    - two programs consume different tapes.

    Of a wait until n for an event that gets more than n signals it assumes only what every order of
    signals gives; in a program that loops also of signals of later plays, by workers that are ahead.

    **The ring.** On a machine with a ring it proves that loader and worker never wait for each other. The
    loader fills slot after slot with the worker's tape and waits for nothing but the oldest slot to be
    given back. The tape is in the order in which the worker consumes it (a step plays one run of each
    section, in order), nothing but panels of matrices stands there, and no panel lies across two
    slots, of which the ring has at least one: so the worker never holds a slot while it waits for another.
  }];
  let dependentDialects = ["::pianola::schedule::ScheduleDialect"];
}

#endif
