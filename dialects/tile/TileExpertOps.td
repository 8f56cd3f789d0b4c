//===- TileExpertOps.td - ops of mixtures of experts -----------*- tablegen -*-===//
//
// See TileExperts.td.

#ifndef PIANOLA_TILEEXPERTOPS_TD
#define PIANOLA_TILEEXPERTOPS_TD

include "dialects/tile/Tile.td"

def Tile_RouteOp : Tile_Op<"route", [Pure, HasParent<"PrologueOp">]> {
  let summary = "chooses experts by the logits of a router";
  let description = [{
    Of each slot's first E logits l, in f32, with E the experts of the result:

        s = softmax(l), or sigmoid(l)
        c = s + correction                          only with `correction`
        with `groups = g keep = n by ...`: c of all but the n best of g equal groups counts as -infinity;
            a group's score is the greatest of its c (`max`), or the sum of its two greatest (`top_two`)
        ids = the K greatest of c, of equals the lowest number
        w = s[ids], over their sum + 1e-20 with `normalised`, times `scale`

    as `transformer.route` has it. A logit that is no number is never preferred. Every worker that needs
    the choice makes it by itself, of the same numbers: it takes less time than to wait for another.

    ```mlir
    tile.stage @up(%l: !tile.buffer<4 x 32 x f32>, %x: !tile.buffer<4 x 64 x f32>, %h: !tile.buffer<8 x 32 x f32>,
        %w: !tile.pool<experts = 6, tiles = 2, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16, row_block = 24, row_block_pad = 32>>) {
      %a, %r = tile.prologue {
        %0 = tile.load %x : !tile.buffer<4 x 64 x f32> -> tensor<4x64xf32>
        %1 = tile.load %l : !tile.buffer<4 x 32 x f32> -> tensor<4x32xf32>
        %2 = tile.route %1 softmax normalised scale = 1.0 : tensor<4x32xf32> -> !tile.routes<4 x 2 of 6>
        tile.yield %0, %2 : tensor<4x64xf32>, !tile.routes<4 x 2 of 6>
      } : tensor<4x64xf32>, !tile.routes<4 x 2 of 6>
      tile.section grid = [12] {
      ^bb0(%t: index):
        tile.experts %r chosen affine_map<(t) -> (t floordiv 2)> {
          %0 = tile.members %a : tensor<4x64xf32> -> tensor<4x64xf32>
          %1 = tile.weights %w tile affine_map<(t) -> (t mod 2)> : !tile.pool<experts = 6, tiles = 2, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16, row_block = 24, row_block_pad = 32>>
          %2 = tile.contract %1, %0 : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16, row_block = 24, row_block_pad = 32>, tensor<4x64xf32> -> tensor<4x16xf32>
          tile.scatter %2, %h columns affine_map<(t) -> ((t mod 2) * 16)> : tensor<4x16xf32>, !tile.buffer<8 x 32 x f32>
          tile.yield
        } : !tile.routes<4 x 2 of 6>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$logits, Optional<Tile_VectorType>:$correction,
                       OptionalAttr<I64Attr>:$groups, OptionalAttr<I64Attr>:$keep,
                       OptionalAttr<Tile_GroupScoreEnum>:$by, Tile_ScoreEnum:$score,
                       UnitAttr:$normalised, F32Attr:$scale);
  let results = (outs Tile_RoutesType:$result);
  let assemblyFormat = [{
    $logits (`correction` $correction^)? (`groups` `=` $groups^ `keep` `=` $keep `by` $by)? $score
    (`normalised` $normalised^)? `scale` `=` $scale attr-dict `:` type($logits)
    (`,` type($correction)^)? `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Tile_ExpertsOp : Tile_Op<"experts", [HasParent<"SectionOp">, SingleBlock, NoRegionArguments]> {
  let summary = "what a tile does for experts that slots have chosen";
  let description = [{
    With `chosen` (affine in the tile coordinates) the body is for that one of the chosen experts; if
    so many have not been chosen, nothing is done. Dealt out over all of them, tiles keep workers busy
    alike whatever is chosen.

    Without `chosen` the body is for each of the chosen experts in turn, in the order of their
    numbers, and yields rows of the expert's members; the result has for every slot the sum of its
    rows. Result: [slots x columns]. See `tile.route` for an example of the first, and

    ```mlir
    tile.stage @down(%l: !tile.buffer<1 x 32 x f32>, %h: !tile.buffer<2 x 32 x f32>, %y: !tile.buffer<1 x 64 x f32>,
        %w: !tile.pool<experts = 6, tiles = 4, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 24, column_pad = 32, element = bf16, row_block = 64, row_block_pad = 64>>) {
      %a, %r = tile.prologue {
        %0 = tile.load %h : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
        %1 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %2 = tile.route %1 softmax scale = 1.0 : tensor<1x32xf32> -> !tile.routes<1 x 2 of 6>
        tile.yield %0, %2 : tensor<2x32xf32>, !tile.routes<1 x 2 of 6>
      } : tensor<2x32xf32>, !tile.routes<1 x 2 of 6>
      tile.section grid = [4] {
      ^bb0(%t: index):
        %0 = tile.experts %r {
          %1 = tile.members %a : tensor<2x32xf32> -> tensor<1x32xf32>
          %2 = tile.weights %w tile affine_map<(t) -> (t)> : !tile.pool<experts = 6, tiles = 4, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 24, column_pad = 32, element = bf16, row_block = 64, row_block_pad = 64>>
          %3 = tile.contract %2, %1 : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 24, column_pad = 32, element = bf16, row_block = 64, row_block_pad = 64>, tensor<1x32xf32> -> tensor<1x16xf32>
          %4 = tile.weigh %3 : tensor<1x16xf32>
          tile.yield %4 : tensor<1x16xf32>
        } : !tile.routes<1 x 2 of 6> -> tensor<1x16xf32>
        tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_RoutesType:$routes, OptionalAttr<AffineMapAttr>:$chosen);
  let results = (outs Optional<Tile_Value>:$sum);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $routes (`chosen` $chosen^)? $body attr-dict `:` qualified(type($routes)) (`->` type($sum)^)?
  }];
  let hasVerifier = 1;
}

def Tile_MembersOp : Tile_Op<"members", [Pure, HasParent<"ExpertsOp">]> {
  let summary = "the rows of an expert's members";
  let description = [{
    Row i is that of the i-th slot that has chosen the expert. Of a value with K rows for each slot,
    one for each of its choices, it is the row `slot * K + k` where the expert is the slot's k-th. See
    `tile.route` and `tile.experts` for examples.
  }];
  let arguments = (ins Tile_Value:$value);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_WeightsOp : Tile_Op<"weights", [Pure, HasParent<"ExpertsOp">,
    TypesMatchWith<"result is the pool's matrix", "pool", "result",
                   "::llvm::cast<::pianola::tile::PoolType>($_self).getMatrix()">]> {
  let summary = "a tile of the expert's matrix";
  let description = [{
    Tile `tile` (affine in the tile coordinates) of the pool's tiles for the expert. See `tile.route`
    for an example.
  }];
  let arguments = (ins Tile_PoolType:$pool, AffineMapAttr:$tile);
  let results = (outs Tile_MatrixType:$result);
  let assemblyFormat = "$pool `tile` $tile attr-dict `:` qualified(type($pool))";
  let hasVerifier = 1;
}

def Tile_WeighOp : Tile_Op<"weigh", [Pure, HasParent<"ExpertsOp">,
                                     AllTypesMatch<["value", "result"]>]> {
  let summary = "members' rows times the weights of their choice";
  let description = "See `tile.experts` for an example.";
  let arguments = (ins Tile_Value:$value);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def Tile_ScatterOp : Tile_Op<"scatter", [HasParent<"ExpertsOp">]> {
  let summary = "writes members' rows into a buffer with a row for each choice";
  let description = [{
    Member i, which is slot s with the expert for its k-th, goes to row `s * K + k`, rounded to the
    buffer's element type; `columns` is affine in the tile coordinates. See `tile.route` for an
    example.
  }];
  let arguments = (ins Tile_Value:$value, Tile_BufferType:$buffer, AffineMapAttr:$columns);
  let assemblyFormat = [{
    $value `,` $buffer `columns` $columns attr-dict `:` type($value) `,` type($buffer)
  }];
  let hasVerifier = 1;
}

#endif
