//===- Schedule.td - Who does it, when ------------------------*- tablegen -*-===//
#ifndef PIANOLA_SCHEDULE_TD
#define PIANOLA_SCHEDULE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/tile/TileDialect.td"

def Schedule_Dialect : Dialect {
  let name = "schedule";
  let cppNamespace = "::pianola::schedule";
  let summary = "which worker computes which tile, when, and where every byte lies";
  let description = [{
    A **program** is what all workers do for one token, or for one chunk of T tokens. It is a list of
    **steps**; a step plays one stage on given buffers and weights. Passes add, one after the other:
    which worker computes which tiles of a step (`tiles`), where each buffer lies in the arena (`at`),
    and what a step waits for and signals.

    **The tape.** A worker computes its tiles in the order of steps and, in a step, in the order of
    `tiles`. Nothing about that depends on the token, so all weights that a worker reads for a token
    form one sequence of bytes: its tape. It needs no addresses; step by step, tile by tile, the next
    bytes are the ones it needs. All programs of a module consume the same tapes.

    **Events.** An event is a counter that only grows. Each worker that has tiles in a step adds one to
    the step's event when it has finished the last of them; a worker that waits for the event until
    n goes on when the counter has grown by n since the token began. Workers meet at the end of a
    program, and no wait reaches across tokens, unless the program `loops`.

    **The proof.** `check-schedule` executes the program on abstract workers. It refuses a program in
    which some worker would wait forever, a tile reads bytes that were not written before, an access
    and a write of the same bytes are not ordered, or a byte lies outside of its buffer or the arena.

    One worked example, two workers, `b` needs all of `a`:

    ```
      worker 0:  a[0] a[1]  +1──┐            b[0]        +1
      worker 1:  a[2]     +1────┤ wait a ≥ 2 b[1] b[2]   +1
    ```
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::pianola::tile::TileDialect"];
}

class Schedule_Op<string mnemonic, list<Trait> traits = []>
    : Op<Schedule_Dialect, mnemonic, traits>;

def Schedule_EventType : TypeDef<Schedule_Dialect, "Event">, BuildableType<
    "::pianola::schedule::EventType::get($_builder.getContext())"> {
  let mnemonic = "event";
  let summary = "a counter that only grows";
}

def Schedule_CostAttr : AttrDef<Schedule_Dialect, "Cost"> {
  let mnemonic = "cost";
  let summary = "what a step is predicted to cost";
  let description = [{
    `tape`: bytes of weights that all workers together read; `memory`: bytes of activations and
    context; `flops`: of inner products, with padding. `ns`: predicted duration of the step, its event
    included. On a machine with a ring steps overlap: `ns` is then by how much the step makes the play
    longer, `floor` the ns that its weights take at the machine's bandwidth, and `waiting` the ns that a
    worker waits for its events, on average. Of experts, which slots choose as they play, all but
    `worst` count as often as they are chosen on average, if each choice is as likely as every other;
    `worst` is `tape` where no two slots choose the same, and 0 where that is as many.
  }];
  let parameters = (ins "int64_t":$tape, "int64_t":$memory, "int64_t":$flops, "int64_t":$ns,
                        DefaultValuedParameter<"int64_t", "0">:$floor,
                        DefaultValuedParameter<"int64_t", "0">:$waiting,
                        DefaultValuedParameter<"int64_t", "0">:$worst);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Schedule_ProgramOp : Schedule_Op<"program",
    [Symbol, SingleBlock, NoTerminator, NoRegionArguments, HasParent<"::mlir::ModuleOp">]> {
  let summary = "all steps of one token, or of one chunk of tokens";
  let description = [{
    `slots` is T, the most token slots a play may have. `arena` (bytes) is set by the memory plan.

    A program that `loops` is played token after token without the workers meeting: each begins a play
    when the play's first step (the embedding) is done, and its own last step. Events go on counting
    from play to play; a wait until n means n more than all signals of the plays before, so that 0 waits
    for the play before, and -1 for all but one of its signals.

    ```mlir
    module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32,
        ring = 0, scratch = 65536, bandwidth = 39000, peak = 240, event = 300, step = 200>} {
      tile.stage @copy(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
        tile.section grid = [2] {
        ^bb0(%t: index):
          %0 = tile.load %x columns affine_map<(t) -> (t * 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
          tile.store %0, %y columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.buffer<1 x 64 x f32>
        }
      }
      tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
        tile.section grid = [1] {
        ^bb0(%t: index):
          %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
          tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
        }
      }
      schedule.program @decode slots = 1 arena = 512 {
        %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
        %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
        %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
        %filled = schedule.event
        schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %filled
            : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
        schedule.step "copy" @copy(%x, %y) tiles [[0, 1], [1, 2]] waits %filled until [1]
            : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
      }
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$slots, OptionalAttr<I64Attr>:$arena,
                       UnitAttr:$loops);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `slots` `=` $slots (`arena` `=` $arena^)? (`loops` $loops^)? $body attr-dict
  }];
  let extraClassDeclaration = [{
    std::vector<StepOp> getSteps();
    std::vector<BufferOp> getBuffers();
  }];
}

def Schedule_BufferOp : Schedule_Op<"buffer", [HasParent<"ProgramOp">]> {
  let summary = "one activation: written once a token, then read";
  let description = [{
    Each byte is written by exactly one tile. `at` is the byte in the arena, a multiple of 64; buffers
    whose lives do not meet may share bytes. See `schedule.program` for an example.
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<I64Attr>:$at);
  let results = (outs Tile_BufferType:$buffer);
  let assemblyFormat = "$name (`at` $at^)? attr-dict `:` type($buffer)";
}

def Schedule_ContextOp : Schedule_Op<"context", [HasParent<"ProgramOp">]> {
  let summary = "keys and values of one layer";
  let description = [{
    `cache` is the symbol of the model's cache; all programs share it.

    ```mlir
    schedule.program @p slots = 1 {
      %c = schedule.context @cache.0 : !tile.context<2 x 32 x bf16>
    }
    ```
  }];
  let arguments = (ins SymbolRefAttr:$cache);
  let results = (outs Tile_ContextType:$context);
  let assemblyFormat = "$cache attr-dict `:` type($context)";
}

def Schedule_StateOp : Schedule_Op<"state", [HasParent<"ProgramOp">]> {
  let summary = "what one layer remembers of a sequence";
  let description = [{
    `symbol` is that of the model's state; all programs share it.

    ```mlir
    schedule.program @p slots = 1 {
      %s = schedule.state @state.0 : !tile.state<4 x 12 x 16>
    }
    ```
  }];
  let arguments = (ins SymbolRefAttr:$symbol);
  let results = (outs Tile_StateType:$state);
  let assemblyFormat = "$symbol attr-dict `:` type($state)";
}

def Schedule_TableOp : Schedule_Op<"table", [HasParent<"ProgramOp">]> {
  let summary = "the embedding table";
  let description = "See `schedule.program` for an example.";
  let arguments = (ins SymbolRefAttr:$weight);
  let results = (outs Tile_TableType:$table);
  let assemblyFormat = "$weight attr-dict `:` type($table)";
}

def Schedule_RotationOp : Schedule_Op<"rotation", [HasParent<"ProgramOp">]> {
  let summary = "a rope table, filled by the runtime";
  let description = [{
    ```mlir
    schedule.program @p slots = 1 {
      %r = schedule.rotation @rope : !tile.rotation<12>
    }
    ```
  }];
  let arguments = (ins SymbolRefAttr:$table);
  let results = (outs Tile_RotationType:$rotation);
  let assemblyFormat = "$table attr-dict `:` type($rotation)";
}

def Schedule_PoolOp : Schedule_Op<"pool", [HasParent<"ProgramOp">]> {
  let summary = "the tiles of a matrix of all experts";
  let description = [{
    Stands once beside the tapes; all programs share it.

    ```mlir
    schedule.program @p slots = 1 {
      %w = schedule.pool @experts.up : !tile.pool<experts = 6, tiles = 2, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16, row_block = 24, row_block_pad = 32>>
    }
    ```
  }];
  let arguments = (ins SymbolRefAttr:$weight);
  let results = (outs Tile_PoolType:$pool);
  let assemblyFormat = "$weight attr-dict `:` qualified(type($pool))";
}

def Schedule_EventOp : Schedule_Op<"event", [HasParent<"ProgramOp">]> {
  let summary = "a counter that only grows";
  let description = "See `schedule.program` for an example.";
  let results = (outs Schedule_EventType:$event);
  let assemblyFormat = "attr-dict";
}

def Schedule_StepOp : Schedule_Op<"step", [HasParent<"ProgramOp">, AttrSizedOperandSegments]> {
  let summary = "plays one stage";
  let description = [{
    `bindings` are the stage's buffers, contexts, tables, rotations and pools in the order of its arguments,
    `weights` the symbols of its matrices and vectors in the order of its arguments. `tiles` lists for
    each worker what it computes, in order, as pairs [begin, end): `[[0, 4], [4, 8]]`. Before its first
    tile (and the stage's prologue) a worker waits until each event in `waits` has grown to its number
    in `until`; after its last tile it adds one to the event in `signals`. A worker without tiles does
    neither. See `schedule.program` for an example.
  }];
  let arguments = (ins StrAttr:$label, FlatSymbolRefAttr:$stage,
                       Variadic<AnyTypeOf<[Tile_BufferType, Tile_ContextType, Tile_StateType, Tile_TableType,
                                           Tile_RotationType, Tile_PoolType]>>:$bindings,
                       Variadic<Schedule_EventType>:$waits,
                       Optional<Schedule_EventType>:$signals,
                       OptionalAttr<TypedArrayAttrBase<SymbolRefAttr, "symbols">>:$weights,
                       OptionalAttr<TypedArrayAttrBase<DenseI64ArrayAttr, "tile lists">>:$tiles,
                       OptionalAttr<DenseI64ArrayAttr>:$until,
                       OptionalAttr<Schedule_CostAttr>:$cost);
  let assemblyFormat = [{
    $label $stage `(` $bindings `)` (`weights` $weights^)? (`tiles` custom<TileLists>($tiles)^)?
    (`waits` $waits^ `until` $until)? (`signals` $signals^)? (`cost` `` $cost^)? attr-dict `:` type($bindings)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The stage, or null if the module has none of that name.
    ::pianola::tile::StageOp getStageOp();
    /// Tiles of one worker in order; all of the stage's on worker 0 before assignment.
    llvm::SmallVector<int64_t> getTilesOf(int64_t worker);
    /// Symbol of the weight bound to the stage's argument, or null.
    ::mlir::SymbolRefAttr getWeightOf(unsigned argument);
    /// Value bound to the stage's argument, or null.
    ::mlir::Value getBindingOf(unsigned argument);
  }];
}

#endif
