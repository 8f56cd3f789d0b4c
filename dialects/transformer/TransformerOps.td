//===- TransformerOps.td - the mathematics of a decoder -------*- tablegen -*-===//
//
// In the formulas S is the number of token slots, x[i] row i, and p = base + i its position.

#ifndef PIANOLA_DIALECTS_TRANSFORMEROPS_TD
#define PIANOLA_DIALECTS_TRANSFORMEROPS_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// An op that names a weight, table or cache; its shape is checked against the symbol's.
class Transformer_SymbolUser<string mnemonic, list<Trait> traits = []>
    : Transformer_Op<mnemonic, traits # [DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Transformer_EmbedOp : Transformer_SymbolUser<"embed", [Pure]> {
  let summary = "rows of the embedding";
  let description = [{
    `y[i] = scale * W[ids[i]]`, with W[V, H] and no factor if `scale` is absent. With `positions` P
    (transformers' `GPT2Model.wpe`) it is `scale * W[ids[i]] + P[p]`, P[N, H] for positions below N.
    Shapes: ids [S], y [S, H]. An id outside of 0 .. V-1 is an error of the caller.

    ```mlir
    transformer.weight @embed_tokens [96, 64] bf16 from "model.embed_tokens.weight"
    transformer.weight @wpe [256, 64] bf16 from "wpe.weight"
    func.func @f(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
      %x = transformer.embed %ids, @embed_tokens positions @wpe : tensor<?xi32> -> tensor<?x64xf32>
      %y = transformer.embed %ids, @embed_tokens scale = 8.0 : tensor<?xi32> -> tensor<?x64xf32>
      %z = transformer.add %x, %y : tensor<?x64xf32>
      return %z : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Ids:$ids, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$positions, OptionalAttr<F32Attr>:$scale);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $ids `,` $weight (`positions` $positions^)? (`scale` `=` $scale^)? attr-dict `:` type($ids) `->`
    type($result)
  }];
}

def Transformer_NormOp
    : Transformer_SymbolUser<"norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "norm of a row, or of each head of it";
  let description = [{
    RMSNorm (Zhang and Sennrich, 2019; transformers' `LlamaRMSNorm`), with all of it in f32:

        y[i, j] = w[j] * x[i, j] / sqrt(mean_j(x[i, j]^2) + eps)

    Without a weight w is 1 (transformers' `Llama4TextL2Norm`).

    With `centred` it is LayerNorm (Ba et al., 2016): first the mean of the row is taken from each
    x[i, j]. With `bias` b, which only a centred norm may have, b[j] is added at the end.

    With `heads = n` each row is n equal slices, and each slice is normalised by itself with the same
    w, which has N/n elements (transformers' `Qwen3Attention.q_norm`). Shapes: x and y [S, N], w [N] or
    [N/n].

    ```mlir
    transformer.weight @input_layernorm [64] bf16 from "model.layers.0.input_layernorm.weight"
    transformer.weight @q_norm [16] bf16 from "model.layers.0.self_attn.q_norm.weight"
    transformer.weight @ln_1 [64] f32 from "h.0.ln_1.weight"
    transformer.weight @ln_1.bias [64] f32 from "h.0.ln_1.bias"
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %n = transformer.norm %x, @input_layernorm eps = 1.0e-6 : tensor<?x64xf32>
      %q = transformer.norm %n, @q_norm heads = 4 eps = 1.0e-6 : tensor<?x64xf32>
      %c = transformer.norm %q, @ln_1 bias @ln_1.bias eps = 1.0e-5 centred : tensor<?x64xf32>
      return %c : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, OptionalAttr<FlatSymbolRefAttr>:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias, OptionalAttr<I64Attr>:$heads,
                       F32Attr:$eps, UnitAttr:$centred);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $input (`,` $weight^)? (`bias` $bias^)? (`heads` `=` $heads^)? `eps` `=` $eps (`centred` $centred^)?
    attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Transformer_LinearOp : Transformer_SymbolUser<"linear", [Pure]> {
  let summary = "a matrix on every row";
  let description = [{
    `y[i] = W x[i] + b`, with W[out, in] and b[out], and no b if `bias` is absent. Shapes: x [S, in],
    y [S, out].

    ```mlir
    transformer.weight @q_proj [32, 64] bf16 from "model.layers.0.self_attn.q_proj.weight"
    transformer.weight @q_proj.bias [32] bf16 from "model.layers.0.self_attn.q_proj.bias"
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
      %y = transformer.linear %x, @q_proj : tensor<?x64xf32> -> tensor<?x32xf32>
      %z = transformer.linear %x, @q_proj bias @q_proj.bias : tensor<?x64xf32> -> tensor<?x32xf32>
      %s = transformer.add %y, %z : tensor<?x32xf32>
      return %s : tensor<?x32xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Transformer_HeadLinearOp : Transformer_SymbolUser<"head_linear", [Pure]> {
  let summary = "a matrix of its own on each head of every row";
  let description = [{
    A row is `heads` equal slices. With W[heads * out, in], of which rows `h * out` on are W_h:

        y[i, h] = W_h x[i, h][0 .. in-1]

    Lanes of x[i, h] from `in` on are not looked at. Latent attention (DeepSeek-V2, 2024; transformers'
    `DeepseekV2Attention`, whose `kv_b_proj` it takes apart) brings queries to the latent space of the keys with one, and what is
    attended to back from it with another. Shapes: x [S, heads * D] with D >= in, y [S, heads * out].

    ```mlir
    transformer.weight @k_up [96, 16] bf16 from "kv_b_proj.weight[keys]"
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
      %y = transformer.head_linear %x, @k_up heads = 4 : tensor<?x64xf32> -> tensor<?x96xf32>
      return %y : tensor<?x96xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, FlatSymbolRefAttr:$weight, I64Attr:$heads);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight `heads` `=` $heads attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Transformer_JoinOp : Transformer_Op<"join", [Pure]> {
  let summary = "the heads of one value, each followed by that of another";
  let description = [{
    Rows of x and y are `heads` equal slices: `z[i, h]` is `x[i, h]` and behind it `y[i, h]`. Shapes: x
    [S, heads * A], y [S, heads * B], z [S, heads * (A + B)].

    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>) -> tensor<?x96xf32> {
      %z = transformer.join %x, %y heads = 4 : tensor<?x64xf32>, tensor<?x32xf32> -> tensor<?x96xf32>
      return %z : tensor<?x96xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$first, Transformer_Rows:$second, I64Attr:$heads);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $first `,` $second `heads` `=` $heads attr-dict `:` type($first) `,` type($second) `->`
    type($result)
  }];
  let hasVerifier = 1;
}

def Transformer_RopeOp
    : Transformer_SymbolUser<"rope", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotary position embedding, half style";
  let description = [{
    RoPE (Su et al., 2021) as transformers' `rotate_half` has it. A row is `heads` equal slices. With
    h = |inv_freq|, c and s of the table, p the row's position, and every i < h of every slice u:

        y[i]     = u[i] c[p, i] - u[i+h] s[p, i]
        y[i+h]   = u[i+h] c[p, i] + u[i] s[p, i]

    Lanes from 2h on pass through. Models that pair lanes 2i and 2i+1 are brought to this form at
    import by permuting rows of their projections. Shapes: x and y [S, N].

    ```mlir
    transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1, 0.01, 0.001> scale = 1.0
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %y = transformer.rope %x, @rope heads = 4 : tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, FlatSymbolRefAttr:$table, I64Attr:$heads);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = "$input `,` $table `heads` `=` $heads attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Transformer_AppendOp
    : Transformer_SymbolUser<"append", [AllTypesMatch<["keys", "values"]>]> {
  let summary = "these slots' keys and values join the cache";
  let description = [{
    Row i of `keys` and of `values` becomes position p of the cache. The result is the cache from
    position 0 to the last of these. Shapes: keys and values [S, H D] for a cache of H heads of D.

    ```mlir
    transformer.cache @cache.0 heads = 2 head_size = 16
    func.func @f(%k: tensor<?x32xf32>, %v: tensor<?x32xf32>) -> !transformer.context<2 x 16> {
      %kv = transformer.append %k, %v to @cache.0
          : tensor<?x32xf32> -> !transformer.context<2 x 16>
      return %kv : !transformer.context<2 x 16>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$keys, Transformer_Rows:$values,
                       FlatSymbolRefAttr:$cache);
  let results = (outs Transformer_ContextType:$result);
  let assemblyFormat = [{
    $keys `,` $values `to` $cache attr-dict `:` type($keys) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Transformer_SelectOp : Transformer_Op<"select", [Pure]> {
  let summary = "the positions whose keys of an index match best";
  let description = [{
    DeepSeek sparse attention's indexer (DeepSeek-V3.2, 2025; transformers' `DeepseekV32Indexer`). A row has `heads`
    query heads of D numbers and a weight for each; the context has one key head of D. For the row at position p and
    k <= p:

        s[k] = scale * sum_h weight[h] * max(0, dot(query[h], key[k]))

    The result is the `top` positions with the greatest s, of equals the earlier one; all, where there are no more.
    Shapes: query [S, heads D], weights [S, heads], context of 1 x D.

    ```mlir
    func.func @f(%q: tensor<?x48xf32>, %w: tensor<?x3xf32>, %index: !transformer.context<1 x 16>,
                 %x: tensor<?x64xf32>, %kv: !transformer.context<2 x 16>) -> tensor<?x64xf32> {
      %s = transformer.select %q, %w, %index heads = 3 scale = 0.25
          : tensor<?x48xf32>, tensor<?x3xf32>, !transformer.context<1 x 16> -> !transformer.selection<8 of 64>
      %a = transformer.attention %x, %kv of %s heads = 4 scale = 0.25
          : tensor<?x64xf32>, !transformer.context<2 x 16> of !transformer.selection<8 of 64>
      return %a : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$query, Transformer_Rows:$weights,
                       Transformer_ContextType:$context, I64Attr:$heads, F32Attr:$scale);
  let results = (outs Transformer_SelectionType:$result);
  let assemblyFormat = [{
    $query `,` $weights `,` $context `heads` `=` $heads `scale` `=` $scale attr-dict
    `:` type($query) `,` type($weights) `,` qualified(type($context)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Transformer_AttentionOp
    : Transformer_SymbolUser<"attention", [Pure, AllTypesMatch<["query", "result"]>]> {
  let summary = "causal attention with grouped heads";
  let description = [{
    Scaled dot-product attention (Vaswani et al., 2017) with grouped heads (Ainslie et al., 2023).
    `heads` query heads of D numbers read G key heads: query head h reads key head h / (heads/G),
    rounded down. For the row at position p:

        a[k]   = scale * dot(query[h], key[k])                  for every visible position k
        y[h]   = sum_k softmax(a)[k] value[k]

    With `cap = c` it is `c * tanh(a[k] / c)` in place of a[k] (Bello et al., 2016; transformers' `Gemma2Attention`).
    Visible are k <= p and, with `window = W`, of these only k > p - W: W positions with p itself. With
    `chunk = C` it is of these only k >= C floor(p / C) (transformers' `Llama4TextAttention`).

    With `sinks`, a vector of a number z[h] for each head, softmax is over z[h] too, which has no value and only
    adds to what the others are divided by; it is neither scaled nor capped (transformers'
    `GptOssAttention`).

    With a selection, of the visible positions only those that it has count (see `transformer.select`).

    Shapes: query and result [S, heads D], context of G x D.

    ```mlir
    func.func @f(%q: tensor<?x64xf32>, %kv: !transformer.context<2 x 16>) -> tensor<?x64xf32> {
      %a = transformer.attention %q, %kv heads = 4 scale = 0.25
          : tensor<?x64xf32>, !transformer.context<2 x 16>
      %b = transformer.attention %a, %kv heads = 4 scale = 0.25 window = 8
          : tensor<?x64xf32>, !transformer.context<2 x 16>
      return %b : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$query, Transformer_ContextType:$context,
                       Optional<Transformer_SelectionType>:$selection, I64Attr:$heads,
                       F32Attr:$scale, OptionalAttr<I64Attr>:$window, OptionalAttr<I64Attr>:$chunk,
                       OptionalAttr<F32Attr>:$cap, OptionalAttr<FlatSymbolRefAttr>:$sinks);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $query `,` $context (`of` $selection^)? `heads` `=` $heads `scale` `=` $scale (`window` `=` $window^)? (`chunk` `=` $chunk^)?
    (`cap` `=` $cap^)? (`sinks` $sinks^)? attr-dict
    `:` type($query) `,` qualified(type($context)) (`of` qualified(type($selection))^)?
  }];
  let hasVerifier = 1;
}

def Transformer_AddOp
    : Transformer_Op<"add", [Pure, Commutative, AllTypesMatch<["lhs", "rhs", "result"]>]> {
  let summary = "the residual sum";
  let description = [{
    `y = lhs + rhs`, element by element. Shapes: all [S, N].

    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %z = transformer.add %x, %y : tensor<?x64xf32>
      return %z : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$lhs, Transformer_Rows:$rhs);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Transformer_ScaleOp
    : Transformer_Op<"scale", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "a row times a number";
  let description = [{
    `y = factor * x`, element by element: what Granite's config calls multipliers (transformers'
    `GraniteDecoderLayer`). Shapes: all [S, N].

    ```mlir
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %y = transformer.scale %x by 0.25 : tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, F32Attr:$factor);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = "$input `by` $factor attr-dict `:` type($result)";
}

def Transformer_SoftcapOp
    : Transformer_Op<"softcap", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "a row between a bound and its negative";
  let description = [{
    `y = cap * tanh(x / cap)`, element by element: what Gemma 2 does to its logits (transformers'
    `Gemma2ForCausalLM`). Shapes: all [S, N].

    ```mlir
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %y = transformer.softcap %x at 30.0 : tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, F32Attr:$cap);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = "$input `at` $cap attr-dict `:` type($result)";
}

def Transformer_GluOp
    : Transformer_Op<"glu", [Pure, AllTypesMatch<["gate", "up", "result"]>]> {
  let summary = "gated linear unit";
  let description = [{
    `y = act(gate) * up`, element by element (Shazeer, 2020; transformers' `LlamaMLP`). Shapes: all
    [S, I].

    ```mlir
    func.func @f(%gate: tensor<?x96xf32>, %up: tensor<?x96xf32>) -> tensor<?x96xf32> {
      %h = transformer.glu %gate, %up silu : tensor<?x96xf32>
      %y = transformer.glu %gate, %h swiglu_oai limit = 7.0 : tensor<?x96xf32>
      return %y : tensor<?x96xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$gate, Transformer_Rows:$up,
                       Transformer_ActivationAttr:$activation, OptionalAttr<F32Attr>:$limit);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = [{
    $gate `,` $up `` $activation (`limit` `=` $limit^)? attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

def Transformer_ActivateOp
    : Transformer_Op<"activate", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "an activation function";
  let description = [{
    `y = act(x)`, element by element: between the two linears of an MLP without a gate
    (transformers' `GPT2MLP`). Shapes: all [S, I].

    ```mlir
    func.func @f(%x: tensor<?x96xf32>) -> tensor<?x96xf32> {
      %h = transformer.activate %x gelu_tanh : tensor<?x96xf32>
      return %h : tensor<?x96xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, Transformer_ActivationAttr:$activation);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = "$input `` $activation attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Transformer_LmHeadOp : Transformer_SymbolUser<"lm_head", [Pure]> {
  let summary = "logits of the next token";
  let description = [{
    `y[i] = W x[i]`, with W[V, H]: the embedding's own symbol where the model ties the two. It is an
    op apart from `linear` because a decoding step needs it for its last slot only, and because its
    rows are tokens. Shapes: x [S, H], y [S, V].

    ```mlir
    transformer.weight @embed_tokens [96, 64] bf16 from "model.embed_tokens.weight"
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
      %logits = transformer.lm_head %x, @embed_tokens : tensor<?x64xf32> -> tensor<?x96xf32>
      return %logits : tensor<?x96xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$input, FlatSymbolRefAttr:$weight);
  let results = (outs Transformer_Rows:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Transformer_ObserveOp
    : Transformer_Op<"observe", [MemoryEffects<[MemWrite]>]> {
  let summary = "names a value for whoever watches";
  let description = [{
    The interpreter reports `value` under `name`; a compiled program drops the op. Import names what
    enters layer 0 `hidden.0`, what leaves layer i-1 `hidden.i`, and the final norm `hidden.norm`, as
    transformers' `output_hidden_states` does up to its last. A value is named after the op that made
    it, whatever follows.

    ```mlir
    func.func @f(%x: tensor<?x64xf32>) {
      transformer.observe %x as "hidden.0" : tensor<?x64xf32>
      return
    }
    ```
  }];
  let arguments = (ins Transformer_Rows:$value, StrAttr:$name);
  let assemblyFormat = "$value `as` $name attr-dict `:` type($value)";
}

#endif
