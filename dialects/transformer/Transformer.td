//===- Transformer.td - the model, one op per thing its card names -*- tablegen -*-===//
//
// The first dialect of the pipeline: import writes it, the reference interpreter runs it, the passes
// fuse its ops into stages. See TransformerTypes.td for what the values and weights are, and
// TransformerSymbols.td and TransformerOps.td for the ops.

#ifndef PIANOLA_DIALECTS_TRANSFORMER_TD
#define PIANOLA_DIALECTS_TRANSFORMER_TD

include "mlir/IR/OpBase.td"

def Transformer_Dialect : Dialect {
  let name = "transformer";
  let cppNamespace = "::pianola::transformer";
  let dependentDialects = ["::pianola::encoding::EncodingDialect"];
  let summary = "a decoder-only transformer as a value-semantics graph";
  let description = [{
    One op per thing that a model card names, and no word on how it is computed.

    **Values** are activations, `tensor<?xNxf32>`: one row of N numbers for each *token slot* of a
    call. The number of slots is not known here, and nothing depends on it: a prompt of a thousand
    tokens and one decoded token run the same function. Row i of a call stands at *position*
    base + i, where base is the number of tokens fed before; base is implicit (the interpreter
    starts from 0). All arithmetic means f32; later stages may compute more coarsely.

    **Weights** are symbols: a shape, an encoding and the name of the tensor in the checkpoint. Their
    bytes are never in the IR.

    **State** is the key/value cache, one symbol per layer, which only `append` changes; and of layers
    that remember a fixed number of numbers these, which `record` and `delta` change.

    The module carries `transformer.model`, a `#transformer.model` attribute, and one function
    `@forward` from token ids to logits. Every op carries a name location, such as
    `loc("layers.3.self_attn.q_proj")`, which diagnostics show.

    A model of one layer without an MLP:

    ```mlir
    module attributes {transformer.model = #transformer.model<family = "example", vocabulary = 96,
                       hidden = 64, layers = 1, max_positions = 128>} {
      transformer.weight @embed_tokens [96, 64] bf16 from "model.embed_tokens.weight"
      transformer.weight @q_proj [64, 64] bf16 from "model.layers.0.self_attn.q_proj.weight"
      transformer.weight @k_proj [32, 64] bf16 from "model.layers.0.self_attn.k_proj.weight"
      transformer.weight @v_proj [32, 64] bf16 from "model.layers.0.self_attn.v_proj.weight"
      transformer.weight @o_proj [64, 64] bf16 from "model.layers.0.self_attn.o_proj.weight"
      transformer.weight @input_layernorm [64] f32 from "model.layers.0.input_layernorm.weight"
      transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1, 0.01, 0.001, 1.0e-4, 1.0e-5, 1.0e-6, 1.0e-7> scale = 1.0
      transformer.cache @cache.0 heads = 2 head_size = 16
      func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
        %x = transformer.embed %ids, @embed_tokens : tensor<?xi32> -> tensor<?x64xf32>
        %n = transformer.norm %x, @input_layernorm eps = 1.0e-6 : tensor<?x64xf32>
        %q = transformer.linear %n, @q_proj : tensor<?x64xf32> -> tensor<?x64xf32>
        %k = transformer.linear %n, @k_proj : tensor<?x64xf32> -> tensor<?x32xf32>
        %v = transformer.linear %n, @v_proj : tensor<?x64xf32> -> tensor<?x32xf32>
        %qr = transformer.rope %q, @rope heads = 4 : tensor<?x64xf32>
        %kr = transformer.rope %k, @rope heads = 2 : tensor<?x32xf32>
        %kv = transformer.append %kr, %v to @cache.0
            : tensor<?x32xf32> -> !transformer.context<2 x 16>
        %a = transformer.attention %qr, %kv heads = 4 scale = 0.25
            : tensor<?x64xf32>, !transformer.context<2 x 16>
        %o = transformer.linear %a, @o_proj : tensor<?x64xf32> -> tensor<?x64xf32>
        %y = transformer.add %x, %o : tensor<?x64xf32>
        %logits = transformer.lm_head %y, @embed_tokens : tensor<?x64xf32> -> tensor<?x96xf32>
        return %logits : tensor<?x96xf32>
      }
    }
    ```
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
}

include "dialects/transformer/TransformerTypes.td"
include "dialects/transformer/TransformerSymbols.td"
include "dialects/transformer/TransformerOps.td"
include "dialects/transformer/TransformerExperts.td"
include "dialects/transformer/TransformerStates.td"
include "dialects/transformer/TransformerStages.td"

#endif
