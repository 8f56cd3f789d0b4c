//===- Tile.td - Ops of the tile dialect -----------------------*- tablegen -*-===//
#ifndef PIANOLA_TILE_TD
#define PIANOLA_TILE_TD

include "dialects/tile/TileDialect.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

// A tile value: [slots x columns] of f32 or bf16, in the scratch memory of a worker.
def Tile_Value : StaticShapeTensorOf<[F32, BF16]>;
// What a prologue may leave behind.
def Tile_PrologueResult : AnyTypeOf<[Tile_Value, Tile_RoutesType]>;

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

def Tile_StageOp : Tile_Op<"stage",
    [Symbol, IsolatedFromAbove, SingleBlock, NoTerminator]> {
  let summary = "what all tiles between two events do";
  let description = [{
    Arguments are the things a step binds: buffers, contexts, tables, rotations, pools (addresses), and
    matrices and vectors (places on the tape). The body holds at most one `tile.prologue` and at least
    one `tile.section`. The tape of a stage, for one worker: every resident vector in argument order,
    then for each of its tiles the section's matrices and per-tile vectors in the order of the ops that
    consume them. `outputs` marks the stage that makes logits: it computes only the slots whose logits
    are wanted. `hidden_states` marks the one that makes what a program leaves behind beside them: the
    last hidden state of every slot.

    ```mlir
    tile.stage @down(%h: !tile.buffer<1 x 96 x bf16>, %x: !tile.buffer<1 x 64 x f32>,
        %y: !tile.buffer<1 x 64 x f32>,
        %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 88, column_pad = 96, element = bf16>) {
      %a = tile.prologue {
        %0 = tile.load %h : !tile.buffer<1 x 96 x bf16> -> tensor<1x96xbf16>
        tile.yield %0 : tensor<1x96xbf16>
      } : tensor<1x96xbf16>
      tile.section grid = [2] {
      ^bb0(%t: index):
        %0 = tile.contract %w, %a : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 88, column_pad = 96, element = bf16>, tensor<1x96xbf16> -> tensor<1x32xf32>
        %1 = tile.load %x columns affine_map<(t) -> (t * 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
        %2 = tile.add %1, %0 : tensor<1x32xf32>
        tile.store %2, %y columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.buffer<1 x 64 x f32>
      }
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, UnitAttr:$outputs, UnitAttr:$hidden_states);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The prologue, or null.
    PrologueOp getPrologue();
    /// The sections in order.
    llvm::SmallVector<SectionOp> getSections();
    /// Tiles of all sections.
    int64_t getTileCount();
  }];
}

def Tile_PrologueOp : Tile_Op<"prologue",
    [HasParent<"StageOp">, SingleBlock, NoRegionArguments]> {
  let summary = "what each worker computes once, before its first tile of the stage";
  let description = [{
    Its results live in the worker's scratch memory for as long as the stage lasts. See `tile.stage`
    for an example.
  }];
  let regions = (region SizedRegion<1>:$body);
  let results = (outs Variadic<Tile_PrologueResult>:$results);
  let assemblyFormat = "$body attr-dict `:` type($results)";
}

def Tile_YieldOp : Tile_Op<"yield", [ParentOneOf<["PrologueOp", "ExpertsOp"]>, Terminator, Pure]> {
  let summary = "ends a prologue, or what is done for an expert, and names its results";
  let description = "See `tile.stage` and `tile.experts` for examples.";
  let arguments = (ins Variadic<Tile_PrologueResult>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let hasVerifier = 1;
}

def Tile_SectionOp : Tile_Op<"section", [HasParent<"StageOp">, SingleBlock, NoTerminator]> {
  let summary = "the tiles of one kind";
  let description = [{
    `grid` gives the extent of each tile dimension; the block has one index argument for each. Tiles
    are numbered with the last dimension fastest. In a stage, tile numbers run on from section to
    section. With `run` n each n tiles in a row are one worker's, which computes them in order: those
    of a head that remembers (`tile.delta`). See `tile.stage` for an example.
  }];
  let arguments = (ins DenseI64ArrayAttr:$grid, OptionalAttr<I64Attr>:$run);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`grid` `=` $grid (`run` `=` $run^)? $body attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getTileCount();
    /// The grid coordinates of this section's tile number `tile`.
    llvm::SmallVector<int64_t, 4> getCoordinates(int64_t tile);
  }];
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def Tile_LoadOp : Tile_Op<"load"> {
  let summary = "reads a slice of a buffer";
  let description = [{
    Slots from `slots` (0 if absent) and columns from `columns` (0 if absent), both affine in the
    section's tile coordinates; the result's shape gives the extent.

    ```mlir
    tile.stage @s(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
      tile.section grid = [2] {
      ^bb0(%t: index):
        %0 = tile.load %x columns affine_map<(t) -> (t * 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
        tile.store %0, %y columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.buffer<1 x 64 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_BufferType:$buffer, OptionalAttr<AffineMapAttr>:$slots,
                       OptionalAttr<AffineMapAttr>:$columns);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $buffer (`slots` $slots^)? (`columns` $columns^)? attr-dict `:` type($buffer) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store"> {
  let summary = "writes a slice of a buffer, rounded to its element type";
  let description = "As `tile.load`, in the other direction; see there for an example.";
  let arguments = (ins Tile_Value:$value, Tile_BufferType:$buffer, OptionalAttr<AffineMapAttr>:$slots,
                       OptionalAttr<AffineMapAttr>:$columns);
  let assemblyFormat = [{
    $value `,` $buffer (`slots` $slots^)? (`columns` $columns^)? attr-dict `:` type($value) `,`
    type($buffer)
  }];
  let hasVerifier = 1;
}

def Tile_GatherOp : Tile_Op<"gather"> {
  let summary = "rows of a table, by the slots' token ids or positions";
  let description = [{
    Result slot i is the table's row of the token in slot `slots + i`, as f32, times `scale`; with
    `by_position` it is the row of that slot's position.

    ```mlir
    tile.stage @embed(%e: !tile.table<rows = 322, columns = 96, column_pad = 96, tile_rows = 32, element = bf16>,
                      %x: !tile.buffer<64 x 96 x f32>) {
      tile.section grid = [4] {
      ^bb0(%t: index):
        %0 = tile.gather %e slots affine_map<(t) -> (t * 16)> scale = 1.0 : !tile.table<rows = 322, columns = 96, column_pad = 96, tile_rows = 32, element = bf16> -> tensor<16x96xf32>
        tile.store %0, %x slots affine_map<(t) -> (t * 16)> : tensor<16x96xf32>, !tile.buffer<64 x 96 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_TableType:$table, UnitAttr:$by_position,
                       OptionalAttr<AffineMapAttr>:$slots, F32Attr:$scale);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $table (`by_position` $by_position^)? (`slots` $slots^)? `scale` `=` $scale attr-dict `:`
    type($table) `->` type($result)
  }];
}

def Tile_AppendOp : Tile_Op<"append"> {
  let summary = "writes the slots' keys or values of one head into the context";
  let description = [{
    Slot i is put at its position, in the context of its sequence: the play says which (on a GPU one
    sequence's, at consecutive positions). `head` is affine in the tile coordinates. The value has the
    context's head size as columns.

    ```mlir
    tile.stage @k(%x: !tile.buffer<1 x 64 x f32>, %c: !tile.context<2 x 32 x bf16>) {
      tile.section grid = [2] {
      ^bb0(%t: index):
        %0 = tile.load %x columns affine_map<(t) -> (t * 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
        tile.append %0, %c key head affine_map<(t) -> (t)> : tensor<1x32xf32>, !tile.context<2 x 32 x bf16>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Tile_ContextType:$context, Tile_PartEnum:$part,
                       AffineMapAttr:$head);
  let assemblyFormat = [{
    $value `,` $context $part `head` $head attr-dict `:` type($value) `,` type($context)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def Tile_ContractOp : Tile_Op<"contract", [Pure]> {
  let summary = "inner products of a weight tile with every slot, f32 accumulation";
  let description = [{
    `result[s][r] = sum_k matrix[r][k] * value[s][k]`. The value's element type says how products are
    formed: bf16 by bf16, or f32 by f32 (weights widened exactly). See `tile.stage` for an example.
  }];
  let arguments = (ins Tile_MatrixType:$matrix, Tile_Value:$value);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$matrix `,` $value attr-dict `:` type($matrix) `,` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ReorderOp : Tile_Op<"reorder", [Pure]> {
  let summary = "columns in the order of a matrix's, without padding in between";
  let description = [{
    `result[s][j] = value[s][order[j]]` for as many columns as the value has numbers; what is padded
    behind them is zero. So a matrix of codes can keep together the columns that share scales,
    though the model has them apart, or has padding between them. A stage gathers each row once
    for all tiles, where every tile would have to look its columns up.

    ```mlir
    tile.stage @o(%x: !tile.buffer<1 x 96 x f32>,
                  %o: !tile.vector<order = true, blocks = 3, size = 24, pad = 32, per_tile = false>,
                  %y: !tile.buffer<1 x 80 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %x : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
        %1 = tile.reorder %0, %o : tensor<1x96xf32>, !tile.vector<order = true, blocks = 3, size = 24, pad = 32, per_tile = false> -> tensor<1x80xf32>
        tile.store %1, %y : tensor<1x80xf32>, !tile.buffer<1 x 80 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Tile_VectorType:$order);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$value `,` $order attr-dict `:` type($value) `,` type($order) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_BiasOp : Tile_Op<"bias", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "adds a vector from the tape to every slot";
  let description = [{
    `result[s][r] = value[s][r] + vector[r]`; of a constant vector, which stands whole, from element
    `columns` (affine in the tile coordinates) on. With `of_expert` that is in the block of the expert
    that the enclosing `tile.experts` is at.

    ```mlir
    tile.stage @s(%x: !tile.buffer<1 x 32 x f32>, %b: !tile.vector<blocks = 1, size = 24, pad = 32, per_tile = true>,
                  %y: !tile.buffer<1 x 32 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %1 = tile.bias %0, %b : tensor<1x32xf32>, !tile.vector<blocks = 1, size = 24, pad = 32, per_tile = true>
        tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Tile_VectorType:$vector,
                       OptionalAttr<AffineMapAttr>:$columns, UnitAttr:$of_expert);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $value `,` $vector (`columns` $columns^)? (`of_expert` $of_expert^)? attr-dict `:` type($value) `,`
    type($vector)
  }];
  let hasVerifier = 1;
}

def Tile_NormaliseOp : Tile_Op<"normalise", [Pure, AttrSizedOperandSegments]> {
  let summary = "normalisation of each group of columns, times the vector";
  let description = [{
    The columns are `groups` equal groups; of each the first `size` lanes are the model's (the rest is
    padding, and zero). For a group x: `y[i] = x[i] * rsqrt(mean(x[0..size)^2) + eps) * vector[i]`, in f32
    (Zhang and Sennrich, 2019), without a vector times 1. A vector of one group serves all groups. With `centred` (Ba et al., 2016)
    the group's mean is first taken from each x[i]; the group is then whole, without padding but at its
    end. With `bias` b, b[i] is added. The result may be bf16: it is then rounded once, at the end.

    ```mlir
    tile.stage @n(%x: !tile.buffer<1 x 64 x f32>, %w: !tile.vector<blocks = 1, size = 57, pad = 64, per_tile = false>,
                  %y: !tile.buffer<1 x 64 x bf16>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
        %1 = tile.normalise %0, %w groups = 1 size = 57 eps = 1.0e-6 : tensor<1x64xf32>, !tile.vector<blocks = 1, size = 57, pad = 64, per_tile = false> -> tensor<1x64xbf16>
        tile.store %1, %y : tensor<1x64xbf16>, !tile.buffer<1 x 64 x bf16>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Optional<Tile_VectorType>:$vector,
                       Optional<Tile_VectorType>:$bias,
                       I64Attr:$groups, I64Attr:$size, F32Attr:$eps, UnitAttr:$centred);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $value (`,` $vector^)? (`bias` $bias^)? `groups` `=` $groups `size` `=` $size `eps` `=` $eps
    (`centred` $centred^)? attr-dict `:` type($value) (`,` type($vector)^)? (`,` type($bias)^)? `->`
    type($result)
  }];
  let hasVerifier = 1;
}

def Tile_RotateOp : Tile_Op<"rotate", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "rotary position embedding, half style, of each group of columns";
  let description = [{
    With n the rotation's pairs: lanes i and i+n of each group, i < n, become
    `(a*c - b*s, b*c + a*s)` with cosine c and sine s of the slot's position (Su et al., 2021, in the
    order of lanes that GPT-NeoX introduced). Lanes from 2n on stay.

    ```mlir
    tile.stage @r(%x: !tile.buffer<1 x 64 x f32>, %r: !tile.rotation<12>, %y: !tile.buffer<1 x 64 x f32>) {
      tile.section grid = [2] {
      ^bb0(%t: index):
        %0 = tile.load %x columns affine_map<(t) -> (t * 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
        %1 = tile.rotate %0, %r groups = 1 : tensor<1x32xf32>, !tile.rotation<12>
        tile.store %1, %y columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.buffer<1 x 64 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Tile_RotationType:$rotation, I64Attr:$groups);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $value `,` $rotation `groups` `=` $groups attr-dict `:` type($value) `,` type($rotation)
  }];
  let hasVerifier = 1;
}

def Tile_ActivateOp : Tile_Op<"activate",
    [Pure, AllTypesMatch<["gate", "result"]>,
     OptionalTypesMatchWith<"gate and up have the same type", "gate", "up", "$_self">]> {
  let summary = "act(gate), or a gated linear unit: act(gate) * up";
  let description = [{
    `silu(x) = x / (1 + exp(-x))`; `gelu_tanh(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`;
    `gelu(x) = x/2 (1 + erf(x / sqrt 2))` (Shazeer, 2020). `swiglu_oai`, with a `limit` L, is
    `(u + 1) g / (1 + exp(-1.702 g))` of g = min(gate, L) and u = max(-L, min(up, L)), as
    `transformer.glu` has it.

    ```mlir
    tile.stage @a(%g: !tile.buffer<1 x 32 x f32>, %u: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x bf16>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %g : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %1 = tile.load %u : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %2 = tile.activate %0, %1 silu : tensor<1x32xf32>
        tile.store %2, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x bf16>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$gate, Optional<Tile_Value>:$up, Tile_ActivationEnum:$function,
                       OptionalAttr<F32Attr>:$limit);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$gate (`,` $up^)? $function (`limit` `=` $limit^)? attr-dict `:` type($gate)";
  let hasVerifier = 1;
}

def Tile_ScaleOp : Tile_Op<"scale", [Pure]> {
  let summary = "a tile value times a number";
  let description = [{
    `result = factor * value`, elementwise, f32. The result may be bf16: it is then rounded once, at the
    end.

    ```mlir
    tile.stage @s(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %1 = tile.scale %0 by 0.25 : tensor<1x32xf32> -> tensor<1x32xf32>
        tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, F32Attr:$factor);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$value `by` $factor attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_SoftcapOp : Tile_Op<"softcap", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "a tile value between a bound and its negative";
  let description = [{
    `result = cap * tanh(value / cap)`, elementwise, f32.

    ```mlir
    tile.stage @s(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %1 = tile.softcap %0 at 30.0 : tensor<1x32xf32>
        tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, F32Attr:$cap);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$value `at` $cap attr-dict `:` type($result)";
}

def Tile_JoinOp : Tile_Op<"join", [Pure]> {
  let summary = "heads of one value, each followed by that of another";
  let description = [{
    Of `heads` heads each the result has the first value's `size` numbers, then the second one's
    `behind`, then zeros as far as it is padded. The values' heads are padded, too, each value's in its
    own way.

    ```mlir
    tile.stage @s(%a: !tile.buffer<1 x 96 x f32>, %b: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 96 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %a : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
        %1 = tile.load %b : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %2 = tile.join %0, %1 heads = 2 size = 40 behind = 8 : tensor<1x96xf32>, tensor<1x32xf32> -> tensor<1x96xf32>
        tile.store %2, %y : tensor<1x96xf32>, !tile.buffer<1 x 96 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$first, Tile_Value:$second, I64Attr:$heads, I64Attr:$size,
                       I64Attr:$behind);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $first `,` $second `heads` `=` $heads `size` `=` $size `behind` `=` $behind attr-dict `:` type($first)
    `,` type($second) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_GateOp : Tile_Op<"gate", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "a tile value times the sigmoid of another";
  let description = [{
    `result = value / (1 + exp(-by))`, elementwise, or with `by_row` by the first column of `by` for
    the whole row.

    ```mlir
    tile.stage @s(%x: !tile.buffer<1 x 32 x f32>, %g: !tile.buffer<1 x 16 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %1 = tile.load %g : !tile.buffer<1 x 16 x f32> -> tensor<1x16xf32>
        %2 = tile.gate %0, %1 by_row : tensor<1x32xf32>, tensor<1x16xf32>
        tile.store %2, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Tile_Value:$by, UnitAttr:$by_row);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$value `,` $by (`by_row` $by_row^)? attr-dict `:` type($value) `,` type($by)";
  let hasVerifier = 1;
}

def Tile_AddOp : Tile_Op<"add", [Pure, SameOperandsAndResultType]> {
  let summary = "sum of two tile values";
  let description = "Elementwise, f32: the residual. See `tile.stage` for an example.";
  let arguments = (ins Tile_Value:$lhs, Tile_Value:$rhs);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Tile_PeakOp : Tile_Op<"peak"> {
  let summary = "writes the greatest element of each row";
  let description = [{
    Element `[slot, columns]` of the buffer becomes the greatest of the value's row of the slot; NaN is
    passed over, unless there is nothing else. Tiles of logits leave it behind, so that who chooses a
    token need not read them all (see `tile.sample`).

    ```mlir
    tile.stage @peaks(%l: !tile.buffer<1 x 64 x f32>, %p: !tile.buffer<1 x 16 x f32>) {
      tile.section grid = [8] {
      ^bb0(%t: index):
        %0 = tile.load %l columns affine_map<(t) -> (t * 8)> : !tile.buffer<1 x 64 x f32> -> tensor<1x8xf32>
        tile.peak %0, %p columns affine_map<(t) -> (t)> : tensor<1x8xf32>, !tile.buffer<1 x 16 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Tile_BufferType:$buffer, AffineMapAttr:$columns);
  let assemblyFormat = [{
    $value `,` $buffer `columns` $columns attr-dict `:` type($value) `,` type($buffer)
  }];
  let hasVerifier = 1;
}

def Tile_SampleOp : Tile_Op<"sample"> {
  let summary = "chooses the next token";
  let description = [{
    Chooses a token by the logits of the play's last slot, as the play's settings say (see
    runtime/sampling/Sampler.h), among the ids below `vocabulary`; it becomes the token of slot 0 of the
    next play. It decides too whether there is a next play. Element t of `peaks` is the greatest of
    logits `t * rows .. t * rows + rows-1` (see `tile.peak`).

    ```mlir
    tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>, %p: !tile.buffer<1 x 16 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        tile.sample %l vocabulary = 50 peaks %p rows = 8 : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 16 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_BufferType:$logits, I64Attr:$vocabulary,
                       Optional<Tile_BufferType>:$peaks, OptionalAttr<I64Attr>:$rows);
  let assemblyFormat = [{
    $logits `vocabulary` `=` $vocabulary (`peaks` $peaks^ `rows` `=` $rows)? attr-dict `:` type($logits)
    (`,` type($peaks)^)?
  }];
  let hasVerifier = 1;
}

include "dialects/tile/TileAttention.td"
include "dialects/tile/TileExpertOps.td"
include "dialects/tile/TileStateOps.td"

#endif
