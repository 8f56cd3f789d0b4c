//===- TransformerTypes.td - attributes, enums and types ------*- tablegen -*-===//

#ifndef PIANOLA_DIALECTS_TRANSFORMERTYPES_TD
#define PIANOLA_DIALECTS_TRANSFORMERTYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

def Transformer_ModelAttr : AttrDef<Transformer_Dialect, "Model"> {
  let mnemonic = "model";
  let summary = "what the whole model is";
  let description = [{
    The facts of a model that belong to no single op. `family` is the name of the importer that wrote
    the module (`llama`, `qwen3`, ...). `vocabulary` is the number of rows of the head, which may be
    more than the tokenizer has ids. `max_positions` is the largest number of positions the rope
    tables are right for.

    ```mlir
    module attributes {transformer.model = #transformer.model<family = "qwen3", vocabulary = 4096,
                       hidden = 256, layers = 8, max_positions = 1024>} {}
    ```
  }];
  let parameters = (ins StringRefParameter<"importer that wrote the module">:$family,
                        "int64_t":$vocabulary, "int64_t":$hidden, "int64_t":$layers,
                        "int64_t":$max_positions);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Transformer_Activation : I32EnumAttr<"Activation", "the nonlinearity of a gated unit",
    [I32EnumAttrCase<"Silu", 0, "silu">, I32EnumAttrCase<"GeluTanh", 1, "gelu_tanh">,
     I32EnumAttrCase<"Gelu", 2, "gelu">, I32EnumAttrCase<"SwigluOai", 3, "swiglu_oai">]> {
  let cppNamespace = "::pianola::transformer";
  let genSpecializedAttr = 0;
}

def Transformer_ActivationAttr
    : EnumAttr<Transformer_Dialect, Transformer_Activation, "activation"> {
  let summary = "the nonlinearity of a gated unit";
  let description = [{
    - `silu`: x / (1 + exp(-x)).
    - `gelu_tanh`: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
    - `gelu`: 0.5 x (1 + erf(x / sqrt(2))).
    - `swiglu_oai`, of `glu` alone, with its `limit` L (transformers' `GptOssExperts`): with g = min(gate, L)
      and u = max(-L, min(up, L)) it is (u + 1) g / (1 + exp(-1.702 g)).
  }];
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

def Transformer_SelectionType : TypeDef<Transformer_Dialect, "Selection"> {
  let mnemonic = "selection";
  let summary = "for each row, the positions that it attends to";
  let description = [{
    At most `top` positions of each row, of a text of `positions` at most. Example:
    `!transformer.selection<2048 of 163840>`.
  }];
  let parameters = (ins "int64_t":$top, "int64_t":$positions);
  let assemblyFormat = "`<` $top `of` $positions `>`";
  let genVerifyDecl = 1;
}

def Transformer_ContextType : TypeDef<Transformer_Dialect, "Context"> {
  let mnemonic = "context";
  let summary = "all keys and values of one layer up to now";
  let description = [{
    `!transformer.context<H x D>`: for every position fed so far, the key and the value of H heads of
    D numbers each. A value of this type is a view of the cache as `append` left it.

    ```mlir
    func.func private @takes(!transformer.context<2 x 64>)
    ```
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$head_size);
  let assemblyFormat = "`<` $heads `x` $head_size `>`";
  let genVerifyDecl = 1;
}

def Transformer_HistoryType : TypeDef<Transformer_Dialect, "History"> {
  let mnemonic = "history";
  let summary = "the newest rows of one value of a layer";
  let description = [{
    `!transformer.history<N>`: rows of N numbers, of this call's positions and of some before.

    ```mlir
    func.func private @takes(!transformer.history<32>)
    ```
  }];
  let parameters = (ins "int64_t":$columns);
  let assemblyFormat = "`<` $columns `>`";
}

def Transformer_RoutesType : TypeDef<Transformer_Dialect, "Routes"> {
  let mnemonic = "routes";
  let summary = "which experts each slot has chosen, and how much each counts";
  let description = [{
    `!transformer.routes<K of E>`: for every token slot, K numbers of experts out of 0 .. E-1, no two of
    them the same, the one with the greatest score first, and a weight for each.

    ```mlir
    func.func private @takes(!transformer.routes<8 of 128>)
    ```
  }];
  let parameters = (ins "int64_t":$chosen, "int64_t":$experts);
  let assemblyFormat = "`<` $chosen `of` $experts `>`";
  let genVerifyDecl = 1;
}

def Transformer_Score : I32EnumAttr<"Score", "how a router scores experts",
    [I32EnumAttrCase<"Softmax", 0, "softmax">, I32EnumAttrCase<"Sigmoid", 1, "sigmoid">]> {
  let cppNamespace = "::pianola::transformer";
  let genSpecializedAttr = 0;
}

def Transformer_ScoreAttr : EnumAttr<Transformer_Dialect, Transformer_Score, "score"> {
  let summary = "how a router scores experts";
  let description = [{
    - `softmax`: over the logits of all experts.
    - `sigmoid`: 1 / (1 + exp(-l)), each by itself.
  }];
}

def Transformer_GroupScore : I32EnumAttr<"GroupScore", "how a router scores groups of experts",
    [I32EnumAttrCase<"Max", 0, "max">, I32EnumAttrCase<"TopTwo", 1, "top_two">]> {
  let cppNamespace = "::pianola::transformer";
  let genSpecializedAttr = 0;
}

def Transformer_GroupScoreAttr
    : EnumAttr<Transformer_Dialect, Transformer_GroupScore, "group_score"> {
  let summary = "how a router scores groups of experts";
  let description = [{
    - `max`: by the greatest of their experts' scores.
    - `top_two`: by the sum of the two greatest.
  }];
}

def Transformer_Rows
    : Type<And<[CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">,
                CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getRank() == 2">,
                CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).isDynamicDim(1)">,
                CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getDimSize(1) > 0">,
                CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getElementType().isF32()">]>,
           "activations, tensor<?xNxf32>", "::mlir::RankedTensorType">;

def Transformer_Ids
    : Type<And<[CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">,
                CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getRank() == 1">,
                CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getElementType()"
                      ".isSignlessInteger(32)">]>,
           "token ids, tensor<?xi32>", "::mlir::RankedTensorType">;

#endif
