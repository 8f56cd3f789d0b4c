// What import and the interpreter know and no target computes is refused before anything is made of it.
// RUN: pianola-opt %s -fuse-stages -split-input-file -verify-diagnostics
// RUN: not pianola compile %golden/mixtral -o %t.roll 2>&1 | FileCheck %s
// CHECK: layers.0.block_sparse_moe.gate{{.*}} of a mixture of experts can be imported and interpreted, but not compiled yet

transformer.weight @embed [96, 64] bf16 from "embed"
transformer.weight @gate [8, 64] bf16 from "gate"
transformer.weight @up [256, 64] bf16 from "up"
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32>
  // expected-error @+1 {{of a mixture of experts can be imported and interpreted, but not compiled yet}}
  %r = transformer.route %x, @gate softmax scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<2 of 8>
  %y = transformer.routed_linear %x, %r, @up : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

transformer.weight @embed [96, 64] bf16 from "embed"
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32>
  // expected-error @+1 {{without a weight can be imported and interpreted, but not compiled yet}}
  %y = transformer.norm %x heads = 4 eps = 1.0e-6 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

transformer.weight @embed [96, 64] bf16 from "embed"
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32>
  // expected-error @+1 {{with a limit can be imported and interpreted, but not compiled yet}}
  %y = transformer.glu %x, %x swiglu_oai limit = 7.0 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

transformer.weight @sinks [4] bf16 from "sinks"
transformer.weight @embed [96, 64] bf16 from "embed"
transformer.weight @k [32, 64] bf16 from "k"
transformer.cache @cache heads = 2 head_size = 16
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32>
  %k = transformer.linear %x, @k : tensor<?x64xf32> -> tensor<?x32xf32>
  %c = transformer.append %k, %k to @cache : tensor<?x32xf32> -> !transformer.context<2 x 16>
  // expected-error @+1 {{with sinks can be imported and interpreted, but not compiled yet}}
  %y = transformer.attention %x, %c heads = 4 scale = 0.25 sinks @sinks : tensor<?x64xf32>, !transformer.context<2 x 16>
  return %y : tensor<?x64xf32>
}

// -----

transformer.weight @embed [96, 64] bf16 from "embed"
transformer.weight @k [32, 64] bf16 from "k"
transformer.cache @cache heads = 2 head_size = 16
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32>
  %k = transformer.linear %x, @k : tensor<?x64xf32> -> tensor<?x32xf32>
  %c = transformer.append %k, %k to @cache : tensor<?x32xf32> -> !transformer.context<2 x 16>
  // expected-error @+1 {{of chunks can be imported and interpreted, but not compiled yet}}
  %y = transformer.attention %x, %c heads = 4 scale = 0.25 chunk = 8 : tensor<?x64xf32>, !transformer.context<2 x 16>
  return %y : tensor<?x64xf32>
}
