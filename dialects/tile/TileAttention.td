//===- TileAttention.td - ops of attention ---------------------*- tablegen -*-===//
#ifndef PIANOLA_TILEATTENTION_TD
#define PIANOLA_TILEATTENTION_TD

include "dialects/tile/Tile.td"

def Tile_ScoreOp : Tile_Op<"score"> {
  let summary = "how well a part of the positions matches what each slot looks for";
  let description = [{
    `queries` holds, for slots `slots + i`, `heads` heads as wide as the context's, and `weights` a number
    for each in its first columns. For a slot at position q and the positions p <= q of the part

        score[p] = scale * sum_h weight[h] * max(0, query[h] . key[p])

    stands in the slot's row of `scores`. Positions are dealt out in groups of 64, in turn: group g is
    of part g mod `parts`, and there the one of number g / `parts`, rounded down. With C columns of the
    buffer, a multiple of `64 parts`, part t has columns `t C / parts` and those that follow, so that
    parts have places of their own, and are equally long, to a group, however long the text is. Of
    positions beyond q the row may hold anything. A text has C positions at most.

    The context has one head. With `fresh` keys, of all slots of the play, these are taken for the
    positions of the play (see `tile.attend`).

    ```mlir
    tile.stage @scores(%q: !tile.buffer<1 x 96 x f32>, %w: !tile.buffer<1 x 16 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<1 x 256 x f32>) {
      tile.section grid = [2] {
      ^bb0(%t: index):
        %0 = tile.load %q : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
        %1 = tile.load %w : !tile.buffer<1 x 16 x f32> -> tensor<1x16xf32>
        tile.score %0, %1, %c to %s heads = 3 scale = 0.2 part affine_map<(t) -> (t)> parts = 2 : tensor<1x96xf32>, tensor<1x16xf32>, !tile.context<1 x 32 x f32> to !tile.buffer<1 x 256 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$queries, Tile_Value:$weights, Tile_ContextType:$past,
                       Optional<Tile_Value>:$keys, Tile_BufferType:$scores, I64Attr:$heads,
                       F32Attr:$scale, OptionalAttr<AffineMapAttr>:$slots,
                       OptionalAttr<AffineMapAttr>:$part, I64Attr:$parts);
  let assemblyFormat = [{
    $queries `,` $weights `,` $past (`fresh` $keys^)? `to` $scores `heads` `=` $heads `scale` `=` $scale
    (`slots` $slots^)? (`part` $part^)? `parts` `=` $parts attr-dict `:` type($queries) `,`
    type($weights) `,` type($past) (`fresh` type($keys)^)? `to` type($scores)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Positions that are dealt out together.
    static constexpr int64_t kGroup = 64;
    /// Columns of a row of scores for texts of `positions`, in so many parts.
    static int64_t columnsFor(int64_t positions, int64_t parts) {
      return (positions + kGroup * parts - 1) / (kGroup * parts) * kGroup * parts;
    }
    int64_t getColumnsOfPart() { return getScores().getType().getColumns() / int64_t(getParts()); }
  }];
}

def Tile_ChooseOp : Tile_Op<"choose"> {
  let summary = "the positions with the greatest scores";
  let description = [{
    For the slot `slots`, at position q, the `top` positions p <= q with the greatest scores (see
    `tile.score`, of as many `parts`), of equals the earlier one; all, where there are no more. Bit
    p mod 32 of column p / 32 of its row of `chosen`, which is of i32, says whether p is one of them, and
    that of a later position is 0, to the end of the 64 positions that q is one of; beyond these the row
    may hold anything.

    ```mlir
    tile.stage @choose(%s: !tile.buffer<4 x 256 x f32>, %c: !tile.buffer<4 x 16 x i32>) {
      tile.section grid = [4] {
      ^bb0(%t: index):
        tile.choose %s to %c top = 8 slots affine_map<(t) -> (t)> parts = 2 : !tile.buffer<4 x 256 x f32> to !tile.buffer<4 x 16 x i32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_BufferType:$scores, Tile_BufferType:$chosen, I64Attr:$top,
                       AffineMapAttr:$slots, I64Attr:$parts);
  let assemblyFormat = [{
    $scores `to` $chosen `top` `=` $top `slots` $slots `parts` `=` $parts attr-dict `:` type($scores) `to`
    type($chosen)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Columns of a row for texts of so many positions: bits of whole groups of 64.
    static int64_t columnsFor(int64_t positions) {
      return padToLanes((positions + 63) / 64 * 2);
    }
  }];
}

def Tile_AttendOp : Tile_Op<"attend", [AttrSizedOperandSegments]> {
  let summary = "causal attention of one key/value head's queries over a part of its context";
  let description = [{
    `queries` holds, for slots `slots + i`, the g query heads of key/value head `head`, each as wide as
    the context's heads. For slot position q the keys are positions p with `p <= q` and, with a
    `window` W > 0, `q - W < p`, or with a `chunk` C `p >= q - q mod C`. `score = scale * (query . key)`, with `cap` c then `c * tanh(score / c)`, softmax in f32 (online, Milakov and
    Gimelshein, 2018), times values.

    With `sinks`, one number for each query head of the model, the softmax of a head has one more
    score, which is that number, and belongs to no key: part 0 counts it (Xiao et al., 2023; learned
    ones: transformers' `GptOssAttention`).

    With `fresh` keys and values, of all slots of the play, these are taken for the positions of the
    play in place of what the context holds there: then the context may get them at the same time.

    The tile covers part `split` (affine) of `splits` of the keys: keys are dealt out in whole groups of
    64 positions, evenly, lower parts first, from the first group that any of the tile's slots sees;
    slots of other sequences, or not at consecutive positions, are tiles of their own in this. With
    `least` n no part but the last that has any gets fewer than n positions. `output` is normalised if
    `splits` is 1. Otherwise it is the unnormalised sum, and `statistics` holds for each query head its
    greatest score m (-inf if it saw no key) and its sum of `exp(score - m)`, as columns 2h and 2h+1,
    zero-padded;
    `tile.combine` makes the result of them, in the order of the parts.

    With `of` a buffer that `tile.choose` wrote, of the keys only those count that the slot has chosen.

    ```mlir
    tile.stage @attention(%q: !tile.buffer<1 x 128 x f32>, %c: !tile.context<2 x 32 x f32>, %o: !tile.buffer<1 x 128 x f32>) {
      tile.section grid = [2] {
      ^bb0(%h: index):
        %0 = tile.load %q columns affine_map<(h) -> (h * 64)> : !tile.buffer<1 x 128 x f32> -> tensor<1x64xf32>
        %1 = tile.attend %0, %c head affine_map<(h) -> (h)> scale = 0.2 window = 0 splits = 1 : tensor<1x64xf32>, !tile.context<2 x 32 x f32> -> tensor<1x64xf32>
        tile.store %1, %o columns affine_map<(h) -> (h * 64)> : tensor<1x64xf32>, !tile.buffer<1 x 128 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$queries, Tile_ContextType:$past,
                       Optional<Tile_Value>:$keys, Optional<Tile_Value>:$values,
                       Optional<Tile_VectorType>:$sinks,
                       Optional<Tile_BufferType>:$selection, AffineMapAttr:$head,
                       OptionalAttr<AffineMapAttr>:$slots, OptionalAttr<AffineMapAttr>:$split,
                       F32Attr:$scale, I64Attr:$window, I64Attr:$splits,
                       OptionalAttr<I64Attr>:$least, OptionalAttr<F32Attr>:$cap,
                       OptionalAttr<I64Attr>:$chunk);
  let results = (outs Tile_Value:$output, Optional<Tile_Value>:$statistics);
  let assemblyFormat = [{
    $queries `,` $past (`fresh` $keys^ `,` $values)? (`sinks` $sinks^)?
    (`of` $selection^)? `head` $head (`slots` $slots^)?
    (`split` $split^)? `scale` `=` $scale `window` `=` $window `splits` `=` $splits (`least` `=` $least^)?
    (`cap` `=` $cap^)? (`chunk` `=` $chunk^)? attr-dict `:` type($queries) `,` type($past)
    (`fresh` type($keys)^ `,` type($values))? (`sinks` type($sinks)^)?
    (`of` type($selection)^)? `->` type($output) (`,` type($statistics)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Positions that are looked at, at most, counted backwards; 0: all.
    int64_t getReach() { return getChunk() ? int64_t(*getChunk()) : int64_t(getWindow()); }
  }];
}

def Tile_CombineOp : Tile_Op<"combine", [Pure]> {
  let summary = "joins the parts of a split attention, in the order of the parts";
  let description = [{
    `partials` is `[slots x splits * heads * group * size]` and `statistics` is
    `[slots x splits * heads * pad(2 * group)]`, pad rounding up to 16: what `tile.attend` made of each
    split and, in it, each key/value head with its `group` query heads. With M the greatest m of a
    query head over its splits, the result is
    `sum_s exp(m_s - M) partial_s / sum_s exp(m_s - M) l_s`; a split that saw no key counts nothing.

    ```mlir
    tile.stage @join(%p: !tile.buffer<1 x 128 x f32>, %s: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
      tile.section grid = [1] {
      ^bb0(%t: index):
        %0 = tile.load %p : !tile.buffer<1 x 128 x f32> -> tensor<1x128xf32>
        %1 = tile.load %s : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %2 = tile.combine %0, %1 heads = 1 group = 2 splits = 2 : tensor<1x128xf32>, tensor<1x32xf32> -> tensor<1x64xf32>
        tile.store %2, %y : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$partials, Tile_Value:$statistics, I64Attr:$heads, I64Attr:$group,
                       I64Attr:$splits);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $partials `,` $statistics `heads` `=` $heads `group` `=` $group `splits` `=` $splits attr-dict `:`
    type($partials) `,` type($statistics) `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif
