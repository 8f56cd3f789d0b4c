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
     I32EnumAttrCase<"Gelu", 2, "gelu">]> {
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
  }];
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

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
