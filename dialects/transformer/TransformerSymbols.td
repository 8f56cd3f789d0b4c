//===- TransformerSymbols.td - weights, tables and caches -----*- tablegen -*-===//

#ifndef PIANOLA_DIALECTS_TRANSFORMERSYMBOLS_TD
#define PIANOLA_DIALECTS_TRANSFORMERSYMBOLS_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"

class Transformer_Op<string mnemonic, list<Trait> traits = []>
    : Op<Transformer_Dialect, mnemonic, traits>;

def Transformer_Encoding
    : Type<CPred<"::pianola::encoding::isEncoding($_self)">, "f32, bf16, f16 or an encoding of the encoding dialect">;

def Transformer_WeightOp : Transformer_Op<"weight", [Symbol]> {
  let summary = "a tensor of the checkpoint, by name";
  let description = [{
    Declares a weight: its symbol, its shape of one or two dimensions, how it is encoded, and the
    tensor of the checkpoint that holds it. Matrices are `[out, in]`, as PyTorch stores the weight of
    `nn.Linear`; the shape is of the numbers, whatever the encoding (see the encoding dialect) does to the bytes.

    ```mlir
    transformer.weight @layers.0.input_layernorm [256] bf16 from "model.layers.0.input_layernorm.weight"
    transformer.weight @layers.0.self_attn.q_proj [256, 128] f32 from "model.layers.0.self_attn.q_proj.weight"
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseI64ArrayAttr:$shape,
                       TypeAttrOf<Transformer_Encoding>:$encoding, StrAttr:$tensor);
  let assemblyFormat = "$sym_name $shape $encoding `from` $tensor attr-dict";
  let hasVerifier = 1;
}

def Transformer_RopeTableOp : Transformer_Op<"rope_table", [Symbol]> {
  let summary = "rotary frequencies";
  let description = [{
    The d/2 inverse frequencies of a rotary embedding over d lanes, and the factor on both its cosines
    and sines. At position p, pair i turns by the angle `p * inv_freq[i]`, a product in f32 as in
    transformers' `LlamaRotaryEmbedding`:

        c[p, i] = scale * cos(p * inv_freq[i])        s[p, i] = scale * sin(p * inv_freq[i])

    How the frequencies come about (plain, linear, llama3, yarn) is settled at import.

    With `growth = b every n from f`, which models put on queries for the sake of long contexts, both are
    multiplied by `1 + b ln(1 + floor((p + f) / n))` too, computed in f32 (transformers'
    `get_llama_4_attn_scale` has f = 0, `Llama4TextAttention` f = 1). A table of zeros alone does not turn.

    ```mlir
    transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1, 0.01, 0.001> scale = 1.0
    transformer.rope_table @rope.query inv_freq = array<f32: 1.0, 0.1, 0.01, 0.001> scale = 1.0 growth = 0.1 every 8192 from 0
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseF32ArrayAttr:$inv_freq, F32Attr:$scale,
                       OptionalAttr<F32Attr>:$growth, OptionalAttr<I64Attr>:$period,
                       OptionalAttr<I64Attr>:$from);
  // qualified: the bare form would print six digits and lose the rest.
  let assemblyFormat = [{
    $sym_name `inv_freq` `=` qualified($inv_freq) `scale` `=` $scale
    (`growth` `=` $growth^ `every` $period `from` $from)? attr-dict
  }];
  let hasVerifier = 1;
}

def Transformer_CacheOp : Transformer_Op<"cache", [Symbol]> {
  let summary = "the keys and values of one layer";
  let description = [{
    Declares the key/value cache of one layer: for every position, `heads` keys and as many values of
    `head_size` numbers. Keys are kept as attention reads them: after their norm, after rope.

    `element` says as what: f32, bf16, or i8 or f8E4M3FN with a scale for each head of a position
    (`!tile.context` has the rounding). Attention reads what was so rounded, of the tokens just fed as of
    all before. Without it the target chooses.

    ```mlir
    transformer.cache @cache.0 heads = 2 head_size = 64
    transformer.cache @cache.1 heads = 2 head_size = 64 element = i8
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$heads, I64Attr:$head_size,
                       OptionalAttr<TypeAttr>:$element);
  let assemblyFormat = [{
    $sym_name `heads` `=` $heads `head_size` `=` $head_size (`element` `=` $element^)? attr-dict
  }];
  let hasVerifier = 1;
}

#endif
