//===- TransformerExperts.td - mixtures of experts ------------*- tablegen -*-===//
//
// The experts' matrices stand one below the other in one weight: rows e N .. (e+1) N - 1 are those
// of expert e.

#ifndef PIANOLA_DIALECTS_TRANSFORMEREXPERTS_TD
#define PIANOLA_DIALECTS_TRANSFORMEREXPERTS_TD

include "dialects/transformer/TransformerOps.td"

def Transformer_RouteOp : Transformer_SymbolUser<"route", [Pure]> {
  let summary = "which experts a slot goes to";
  let description = [{
    What all routers are settings of. For each row x, with W[E, H] and everything in f32:

        l = W x + b                                 b only with `bias`
        s = softmax(l), or sigmoid(l)
        c = s + correction                          only with `correction`, [E]
        with `groups = g keep = n by ...`: c of all but the n best of g equal groups counts as -infinity;
            a group's score is the greatest of its c (`max`), or the sum of its two greatest (`top_two`)
        ids = the K greatest of c, of equals the lowest number
        w = s[ids], over their sum + 1e-20 with `normalised`, times `scale`

    (Shazeer et al., 2017; transformers' `Qwen3MoeTopKRouter`, and `DeepseekV3TopkRouter` for the groups and the
    correction.) A softmax over the chosen logits alone, as GPT-OSS and Mixtral have it, is the
    normalised softmax over all. Shapes: x [S, H].

    ```mlir
    transformer.weight @gate [8, 64] bf16 from "model.layers.0.mlp.gate.weight"
    transformer.weight @correction [8] f32 from "model.layers.0.mlp.gate.e_score_correction_bias"
    func.func @f(%x: tensor<?x64xf32>) -> !transformer.routes<2 of 8> {
      %a = transformer.route %x, @gate softmax normalised scale = 1.0
          : tensor<?x64xf32> -> !transformer.routes<2 of 8>
      %b = transformer.route %x, @gate correction @correction groups = 4 keep = 2 by top_two sigmoid normalised
          scale = 2.5 : tensor<?x64xf32> -> !transformer.routes<2 of 8>
      return %b : !transformer.routes<2 of 8>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias,
                       OptionalAttr<FlatSymbolRefAttr>:$correction, OptionalAttr<I64Attr>:$groups,
                       OptionalAttr<I64Attr>:$keep, OptionalAttr<Transformer_GroupScoreAttr>:$by,
                       Transformer_ScoreAttr:$score, UnitAttr:$normalised, F32Attr:$scale);
  let results = (outs Transformer_RoutesType:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? (`correction` $correction^)?
    (`groups` `=` $groups^ `keep` `=` $keep `by` `` $by)? `` $score (`normalised` $normalised^)?
    `scale` `=` $scale attr-dict `:` type($input) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Transformer_RoutedLinearOp : Transformer_SymbolUser<"routed_linear", [Pure]> {
  let summary = "a matrix on every row, of each expert that it goes to";
  let description = [{
    With K experts chosen of E, e_k the slot's k-th and w_k its weight, W[E N, M] and b[E, N] those of all
    experts:

        y_k = W[e_k] x_k + b[e_k], times w_k with `weighted`

    and no b if `bias` is absent. x is one row of M numbers for all, or K rows x_k of M. y is the K rows y_k of
    N, one behind the other, or with `combined` the one row sum_k y_k. Most models weigh what comes out of the
    last matrix; transformers' `Llama4TextMoe` weighs what goes into the first, which is the same as weighing
    what comes out of it. Shapes: x [S, M] or [S, K M], y [S, K N] or [S, N].

    ```mlir
    transformer.weight @up [256, 64] bf16 from "up of all experts"
    transformer.weight @down [512, 32] bf16 from "down of all experts"
    func.func @f(%x: tensor<?x64xf32>, %r: !transformer.routes<2 of 8>) -> tensor<?x64xf32> {
      %h = transformer.routed_linear %x, %r, @up
          : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32>
      %y = transformer.routed_linear %h, %r, @down weighted combined
          : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, Transformer_RoutesType:$routes,
                       FlatSymbolRefAttr:$weight, OptionalAttr<FlatSymbolRefAttr>:$bias,
                       UnitAttr:$weighted, UnitAttr:$combined);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $input `,` $routes `,` $weight (`bias` $bias^)? (`weighted` $weighted^)? (`combined` $combined^)? attr-dict
    `:` type($input) `,` qualified(type($routes)) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Transformer_GateOp : Transformer_Op<"gate", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "a row times the sigmoid of another";
  let description = [{
    `y = x / (1 + exp(-g))`, element by element, or by one g for the whole row (transformers'
    `Qwen2MoeSparseMoeBlock.shared_expert_gate`). Shapes: x and y [S, N], g [S, N] or [S, 1].

    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %g: tensor<?x1xf32>) -> tensor<?x64xf32> {
      %y = transformer.gate %x by %g : tensor<?x64xf32>, tensor<?x1xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, Transformer_Rows:$gate);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = "$input `by` $gate attr-dict `:` type($input) `,` type($gate)";
  let hasVerifier = 1;
}

#endif
