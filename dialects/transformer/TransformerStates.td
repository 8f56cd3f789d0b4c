//===- TransformerStates.td - what layers remember besides keys and values -*- tablegen -*-===//
//
// In the formulas S is the number of token slots, x[i] row i, and p = base + i its position.

#ifndef PIANOLA_DIALECTS_TRANSFORMERSTATES_TD
#define PIANOLA_DIALECTS_TRANSFORMERSTATES_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Transformer_StateOp : Transformer_Op<"state", [Symbol]> {
  let summary = "what one layer remembers of a sequence, however long it is";
  let description = [{
    Declares f32 numbers that are kept from one call to the next, and that each position changes: the
    newest K rows of N numbers, `[K, N]`, which `record` keeps for `convolve`; or a matrix of D x E for
    each of H heads, `[H, D, E]`, which `delta` has. What they were at an earlier position is forgotten.

    ```mlir
    transformer.state @history.0.q [4, 32]
    transformer.state @state.0 [4, 16, 12]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseI64ArrayAttr:$shape);
  let assemblyFormat = "$sym_name $shape attr-dict";
  let hasVerifier = 1;
}

def Transformer_RecordOp : Transformer_SymbolUser<"record"> {
  let summary = "these slots' rows join a history";
  let description = [{
    Row i becomes that of position p. The result is the history from its beginning to the last of these
    rows, of which the state keeps no more than the newest. Shapes: x [S, N] for a state [K, N].

    ```mlir
    transformer.state @history.0.q [4, 32]
    func.func @f(%x: tensor<?x32xf32>) -> !transformer.history<32> {
      %h = transformer.record %x to @history.0.q : tensor<?x32xf32> -> !transformer.history<32>
      return %h : !transformer.history<32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, FlatSymbolRefAttr:$state);
  let results = (outs Transformer_HistoryType:$result);
  let assemblyFormat = [{
    $input `to` $state attr-dict `:` type($input) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Transformer_ConvolveOp : Transformer_SymbolUser<"convolve", [Pure]> {
  let summary = "short causal convolution of each column";
  let description = [{
    With W[K, N], and rows before position 0 all zero:

        y[i, c] = sum_{j < K} W[j, c] * h[p - K + 1 + j, c]

    (transformers' `Qwen3NextGatedDeltaNet.conv1d`, whose weight is [N, 1, K].) Shapes: y [S, N].

    ```mlir
    transformer.state @history.0.q [4, 32]
    transformer.weight @conv1d.q [4, 32] bf16 from "model.layers.0.linear_attn.conv1d.weight"
    func.func @f(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
      %h = transformer.record %x to @history.0.q : tensor<?x32xf32> -> !transformer.history<32>
      %y = transformer.convolve %h, @conv1d.q : !transformer.history<32> -> tensor<?x32xf32>
      return %y : tensor<?x32xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_HistoryType:$history, FlatSymbolRefAttr:$weight);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $history `,` $weight attr-dict `:` qualified(type($history)) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Transformer_DeltaOp : Transformer_SymbolUser<"delta", [AllTypesMatch<["value", "result"]>]> {
  let summary = "the gated delta rule: attention to a matrix that forgets";
  let description = [{
    Gated delta networks (Yang, Kautz and Hatamizadeh, 2024; transformers' `Qwen3NextGatedDeltaNet`). The state has a
    matrix M[h] of D x E for each of H value heads, all zero before position 0. Of `query_key` the first G =
    `key_heads` heads of D are queries, and as many keys follow; value head h has those of number
    h / (H/G), rounded down: q and k. Of `gates` the first H say how strongly M[h] is changed, b, and the others
    how much of it is forgotten, a. Position by position:

        g    = exp(-exp(rate[h]) * ln(1 + exp(a[h] + offset[h])))
        M    = g M[h]
        M[h] = M + k (1 / (1 + exp(-b[h])) (v - M' k))'
        y    = scale * M[h]' q

    Shapes: query_key [S, 2 G D], value and result [S, H E], gates [S, 2 H], rate (models call it A_log)
    and offset (dt_bias) [H], the state [H, D, E].

    ```mlir
    transformer.state @state.0 [4, 16, 12]
    transformer.weight @A_log [4] f32 from "model.layers.0.linear_attn.A_log"
    transformer.weight @dt_bias [4] bf16 from "model.layers.0.linear_attn.dt_bias"
    func.func @f(%qk: tensor<?x64xf32>, %v: tensor<?x48xf32>, %ba: tensor<?x8xf32>) -> tensor<?x48xf32> {
      %y = transformer.delta %qk, %v gates %ba, @A_log, @dt_bias in @state.0 key_heads = 2 scale = 0.25
          : tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x8xf32>
      return %y : tensor<?x48xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$query_key, Transformer_Rows:$value,
                       Transformer_Rows:$gates, FlatSymbolRefAttr:$rate,
                       FlatSymbolRefAttr:$offset, FlatSymbolRefAttr:$state, I64Attr:$key_heads,
                       F32Attr:$scale);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $query_key `,` $value `gates` $gates `,` $rate `,` $offset `in` $state `key_heads` `=` $key_heads
    `scale` `=` $scale attr-dict `:` type($query_key) `,` type($value) `,` type($gates)
  }];
  let hasVerifier = 1;
}

#endif
