//===- TileStateOps.td - ops of layers that remember -----------*- tablegen -*-===//
#ifndef PIANOLA_TILESTATEOPS_TD
#define PIANOLA_TILESTATEOPS_TD

include "dialects/tile/Tile.td"

def Tile_RecordOp : Tile_Op<"record"> {
  let summary = "writes the slots' rows into a history";
  let description = [{
    Slot i becomes row `p mod R` of its sequence's state of one part, p its position, from column
    `columns` on, which is affine in the tile coordinates.

    ```mlir
    tile.stage @q(%x: !tile.buffer<4 x 32 x f32>, %h: !tile.state<1 x 7 x 32>) {
      tile.section grid = [2] {
      ^bb0(%t: index):
        %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<4 x 32 x f32> -> tensor<4x16xf32>
        tile.record %0, %h columns affine_map<(t) -> (t * 16)> : tensor<4x16xf32>, !tile.state<1 x 7 x 32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$value, Tile_StateType:$state, AffineMapAttr:$columns);
  let assemblyFormat = [{
    $value `,` $state `columns` $columns attr-dict `:` type($value) `,` type($state)
  }];
  let hasVerifier = 1;
}

def Tile_ConvolveOp : Tile_Op<"convolve"> {
  let summary = "short causal convolution of columns of a history";
  let description = [{
    With K `taps` rows W of as many columns as the state has, and h the rows that `tile.record` has left,
    those of the play's slots too: `result[i][c] = sum_j W[j][columns + c] * h[p - K + 1 + j][columns + c]`,
    p the position of slot `slots + i` (0 if absent, affine in the tile coordinates). Rows before
    position 0 count nothing. The vector has the rows of W one after the other. So that no row of the
    play stands where one of the K-1 before it did, a state has K-1 rows more than a play has slots, at
    least.

    ```mlir
    tile.stage @c(%h: !tile.state<1 x 7 x 32>, %w: !tile.vector<blocks = 8, size = 12, pad = 16, per_tile = false, constant = true>,
                  %y: !tile.buffer<4 x 32 x f32>) {
      tile.section grid = [2] {
      ^bb0(%t: index):
        %0 = tile.convolve %h, %w taps = 4 columns affine_map<(t) -> (t * 16)> : !tile.state<1 x 7 x 32>, !tile.vector<blocks = 8, size = 12, pad = 16, per_tile = false, constant = true> -> tensor<4x16xf32>
        tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<4x16xf32>, !tile.buffer<4 x 32 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_StateType:$state, Tile_VectorType:$weight, I64Attr:$taps,
                       OptionalAttr<AffineMapAttr>:$slots, AffineMapAttr:$columns);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $state `,` $weight `taps` `=` $taps (`slots` $slots^)? `columns` $columns attr-dict `:` type($state) `,` type($weight)
    `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_DeltaOp : Tile_Op<"delta", [AllTypesMatch<["value", "result"]>,
                                     AllTypesMatch<["query", "key"]>,
                                     AllTypesMatch<["rate", "offset"]>]> {
  let summary = "the gated delta rule of one head";
  let description = [{
    Slot by slot, from `slots` on (0 if absent), which is affine in the tile coordinates, with q, k and v
    of the slot, M part h (`head`, affine in the tile coordinates) of its
    sequence's state, all zero for a slot at position 0, b and a what `gates` has in columns h and H + h,
    H the parts of the state, and A and d what `rate` and `offset` have in column h:

        g = exp(-exp(A) * ln(1 + exp(a + d)))
        M = g M
        M = M + k (1 / (1 + exp(-b)) (v - M' k))'
        result = scale * M' q

    M has a row for each lane of a key that is not padding (Yang, Kautz and Hatamizadeh, 2024). A tile
    that begins at a later slot than 0 goes on where the one before it has ended: see `tile.section`.

    ```mlir
    tile.stage @d(%qk: !tile.buffer<1 x 64 x f32>, %v: !tile.buffer<1 x 64 x f32>, %ba: !tile.buffer<1 x 32 x f32>,
                  %m: !tile.state<4 x 12 x 16>, %r: !tile.vector<blocks = 1, size = 4, pad = 32, per_tile = false>,
                  %o: !tile.vector<blocks = 1, size = 4, pad = 32, per_tile = false>, %y: !tile.buffer<1 x 64 x f32>) {
      tile.section grid = [4] {
      ^bb0(%h: index):
        %0 = tile.load %qk columns affine_map<(h) -> ((h floordiv 2) * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
        %1 = tile.load %qk columns affine_map<(h) -> ((h floordiv 2) * 16 + 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
        %2 = tile.load %v columns affine_map<(h) -> (h * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
        %3 = tile.load %ba : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
        %4 = tile.delta %0, %1, %2 gates %3, %r, %o in %m head affine_map<(h) -> (h)> scale = 0.25 : tensor<1x16xf32>, tensor<1x16xf32>, tensor<1x32xf32>, !tile.vector<blocks = 1, size = 4, pad = 32, per_tile = false>, !tile.state<4 x 12 x 16>
        tile.store %4, %y columns affine_map<(h) -> (h * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
      }
    }
    ```
  }];
  let arguments = (ins Tile_Value:$query, Tile_Value:$key, Tile_Value:$value, Tile_Value:$gates,
                       Tile_VectorType:$rate, Tile_VectorType:$offset, Tile_StateType:$state,
                       AffineMapAttr:$head, OptionalAttr<AffineMapAttr>:$slots, F32Attr:$scale);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value `gates` $gates `,` $rate `,` $offset `in` $state `head` $head
    (`slots` $slots^)? `scale` `=` $scale attr-dict `:` type($key) `,` type($value) `,` type($gates) `,` type($rate) `,` type($state)
  }];
  let hasVerifier = 1;
}

#endif
