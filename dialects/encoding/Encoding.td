//===- Encoding.td - How the bytes of a weight mean numbers ----*- tablegen -*-===//
#ifndef PIANOLA_DIALECTS_ENCODING_TD
#define PIANOLA_DIALECTS_ENCODING_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Encoding_Dialect : Dialect {
  let name = "encoding";
  let cppNamespace = "::pianola::encoding";
  let summary = "how the bytes of a weight mean numbers";
  let description = [{
    A weight has the same encoding from the checkpoint to the tape, and it is a type: `f32`, `bf16` or
    `f16` where every number stands for itself, `!encoding.scaled` where numbers share scales,
    `!encoding.two_of_four` where every other number is known to be zero and does not stand there, and
    `!encoding.blocks` where that is so of whole blocks.
    What a code means is said here; how codes and scales lie in memory is said by whoever lays them out
    (`!tile.matrix`).
  }];
  let useDefaultTypePrinterParser = 1;
}

def Encoding_Code : I32EnumAttr<"Code", "a number before its scale", [
    I32EnumAttrCase<"I8", 0, "i8">, I32EnumAttrCase<"I4", 1, "i4">,
    I32EnumAttrCase<"F8E4M3", 2, "f8e4m3">, I32EnumAttrCase<"F4E2M1", 3, "f4e2m1">]> {
  let cppNamespace = "::pianola::encoding";
  let genSpecializedAttr = 0;
}

def Encoding_Scale : I32EnumAttr<"Scale", "how a scale is stored", [
    I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"BF16", 1, "bf16">,
    I32EnumAttrCase<"F16", 2, "f16">, I32EnumAttrCase<"E8M0", 3, "e8m0">]> {
  let cppNamespace = "::pianola::encoding";
  let genSpecializedAttr = 0;
}

def Encoding_ScaledType : TypeDef<Encoding_Dialect, "Scaled"> {
  let mnemonic = "scaled";
  let summary = "codes of four or eight bits that share scales";
  let description = [{
    Each row of a matrix has a scale s for every `group` columns, the last group perhaps with fewer, or,
    with a group of 0, one for the whole row. A code q of the group means, in f32 and rounded nowhere
    else:

    ```
      i8       s * (q - z), q in 0 .. 255     z is the group's zero point with `zeros`, 128 without
      i4       s * (q - z), q in 0 .. 15      the same; 8 without
      f8e4m3   s * q, q a float of 4 bits of exponent (bias 7) and 3 of mantissa, which has no
               infinities (Micikevicius et al., "FP8 formats for deep learning", 2022)
      f4e2m1   s * q, q = 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, the sign being bit 3 (OCP
               Microscaling Formats, version 1.0, 2023)
    ```

    A scale of `e8m0` is a power of two, 2^(byte - 127), of the same specification. With `order` the
    columns stand in another order than the model's, so that those of a group stand together.

    ```mlir
    transformer.weight @w [64, 96] !encoding.scaled<code = i4, group = 32, scale = f16, zeros = true> from "w"
    ```
  }];
  let parameters = (ins EnumParameter<Encoding_Code>:$code,
                        DefaultValuedParameter<"int64_t", "0">:$group,
                        EnumParameter<Encoding_Scale>:$scale,
                        DefaultValuedParameter<"bool", "false">:$zeros,
                        DefaultValuedParameter<"bool", "false">:$order);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getCodeBits() const;
    /// Bytes of a scale, and of the zero point beside it if there are any.
    int64_t getScaleBytes() const;
    int64_t getZeroBytes() const { return getZeros() ? 1 : 0; }
    /// The columns that share a scale, of so many in a row.
    int64_t getGroupOf(int64_t columns) const { return getGroup() ? getGroup() : columns; }
    int64_t getGroups(int64_t columns) const {
      return (columns + getGroupOf(columns) - 1) / getGroupOf(columns);
    }
    bool isInteger() const { return getCode() == Code::I8 || getCode() == Code::I4; }
  }];
}

def Encoding_TwoOfFourType : TypeDef<Encoding_Dialect, "TwoOfFour"> {
  let mnemonic = "two_of_four";
  let summary = "of each four columns at most two are not zero, and two stand there";
  let description = [{
    The pattern that models are pruned to for tensor cores (Mishra et al., "Accelerating Sparse Deep
    Neural Networks", 2021): in each row, of columns 4i .. 4i + 3 two have an `element`, bf16, and the
    others are zero. Which two is a *pattern* of four bits; those of 32 columns, or of what is left,
    are four bytes. So a number takes 9 bits in place of 16, and sums are the same, as long as what is
    left out is not multiplied with an infinity.

    ```mlir
    transformer.weight @w [64, 96] !encoding.two_of_four<bf16> from "w"
    ```
  }];
  let parameters = (ins "::mlir::Type":$element);
  let assemblyFormat = "`<` $element `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes of the patterns of so many columns of a row.
    static int64_t getPatternBytes(int64_t columns) { return (columns + 31) / 32 * 4; }
  }];
}

def Encoding_BlocksType : TypeDef<Encoding_Dialect, "Blocks"> {
  let mnemonic = "blocks";
  let summary = "blocks of 32 rows and 32 columns, of which those that are zero do not stand there";
  let description = [{
    What is left of a model whose weights were pruned in blocks (Lagunas et al., "Block Pruning for
    Faster Transformers", 2021). Of rows 32i .. 32i + 31 as many blocks as of any other rows stand
    there, `kept`, each with the number of its columns: those that are not zero, and where there are
    fewer of these, zeros. So all tiles of a matrix have as many bytes. An `element` is f32, bf16 or
    f16. Sums are the same, again without infinities.

    ```mlir
    transformer.weight @w [64, 256] !encoding.blocks<bf16, kept = 3> from "w"
    ```
  }];
  let parameters = (ins "::mlir::Type":$element, "int64_t":$kept);
  let assemblyFormat = "`<` $element `,` `kept` `=` $kept `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Rows, and columns, of a block.
    static constexpr int64_t kSide = 32;
    /// Bytes that a block's number takes of each row: 16 for every 8 rows of a panel, and of other
    /// tiles (`!tile.matrix`) hardly any but where few blocks are kept.
    static constexpr int64_t kNumberBytes = 2;
  }];
}

#endif
