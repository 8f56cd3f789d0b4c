//===- TransformerStages.td - ops that will be one stage ------*- tablegen -*-===//

#ifndef PIANOLA_DIALECTS_TRANSFORMERSTAGES_TD
#define PIANOLA_DIALECTS_TRANSFORMERSTAGES_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Transformer_StageOp : Transformer_Op<"stage", [SingleBlock, NoRegionArguments]> {
  let summary = "ops that will be one stage";
  let description = [{
    The ops of the region will be computed between two events: every tile of what they yield depends on
    whole rows of what was yielded by earlier stages, and on nothing that another tile of this stage
    computes. The meaning is that of the ops, in order. `fuse-stages` makes stages, `tile-stages` turns
    them into tiles.

    ```mlir
    transformer.weight @gate [96, 64] bf16 from "gate"
    transformer.weight @up [96, 64] bf16 from "up"
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
      %h = transformer.stage "mlp.gate" {
        %g = transformer.linear %x, @gate : tensor<?x64xf32> -> tensor<?x96xf32>
        %u = transformer.linear %x, @up : tensor<?x64xf32> -> tensor<?x96xf32>
        %0 = transformer.glu %g, %u silu : tensor<?x96xf32>
        transformer.yield %0 : tensor<?x96xf32>
      } : tensor<?x96xf32>
      return %h : tensor<?x96xf32>
    }
    ```
  }];
  let arguments = (ins StrAttr:$label);
  let regions = (region SizedRegion<1>:$body);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = "$label $body attr-dict (`:` type($results)^)?";
}

def Transformer_YieldOp
    : Transformer_Op<"yield", [HasParent<"StageOp">, Terminator, Pure]> {
  let summary = "ends a stage and names its results";
  let description = "See `transformer.stage` for an example.";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let hasVerifier = 1;
}

#endif
