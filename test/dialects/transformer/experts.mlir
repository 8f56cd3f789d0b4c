// Mixtures of experts: what prints as it is written, and what the verifiers refuse.
// RUN: pianola-opt %s -split-input-file -verify-diagnostics | FileCheck %s

transformer.weight @gate [8, 64] bf16 from "gate"
transformer.weight @bias [8] bf16 from "bias"
transformer.weight @up [256, 64] bf16 from "up"
transformer.weight @down [512, 32] bf16 from "down"
transformer.weight @down.bias [512] bf16 from "down.bias"
// CHECK-LABEL: func.func @all
func.func @all(%x: tensor<?x64xf32>, %g: tensor<?x1xf32>) -> tensor<?x64xf32> {
  // CHECK: transformer.route %{{.*}}, @gate bias @bias softmax normalised scale = 1.000000e+00 : tensor<?x64xf32> -> !transformer.routes<3 of 8>
  %r = transformer.route %x, @gate bias @bias softmax normalised scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<3 of 8>
  // CHECK: transformer.route %{{.*}}, @gate correction @bias groups = 4 keep = 2 by top_two sigmoid scale = 2.500000e+00
  %s = transformer.route %x, @gate correction @bias groups = 4 keep = 2 by top_two sigmoid scale = 2.5 : tensor<?x64xf32> -> !transformer.routes<3 of 8>
  // CHECK: transformer.routed_linear %{{.*}}, %{{.*}}, @up :
  %h = transformer.routed_linear %x, %r, @up : tensor<?x64xf32>, !transformer.routes<3 of 8> -> tensor<?x96xf32>
  // CHECK: transformer.routed_linear %{{.*}}, %{{.*}}, @down bias @down.bias weighted combined :
  %y = transformer.routed_linear %h, %r, @down bias @down.bias weighted combined : tensor<?x96xf32>, !transformer.routes<3 of 8> -> tensor<?x64xf32>
  // CHECK: transformer.gate %{{.*}} by %{{.*}} : tensor<?x64xf32>, tensor<?x1xf32>
  %z = transformer.gate %y by %g : tensor<?x64xf32>, tensor<?x1xf32>
  return %z : tensor<?x64xf32>
}

// -----

// expected-error @+1 {{routes: cannot choose 9 of 8 experts}}
func.func private @f(!transformer.routes<9 of 8>)

// -----

transformer.weight @gate [6, 64] bf16 from "gate"
func.func @f(%x: tensor<?x64xf32>) -> !transformer.routes<2 of 8> {
  // expected-error @+1 {{weight @gate is [6, 64], expected [8, 64]}}
  %r = transformer.route %x, @gate softmax scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<2 of 8>
  return %r : !transformer.routes<2 of 8>
}

// -----

transformer.weight @gate [8, 64] bf16 from "gate"
func.func @f(%x: tensor<?x64xf32>) -> !transformer.routes<2 of 8> {
  // expected-error @+1 {{cannot keep 4 of 3 groups of 8 experts}}
  %r = transformer.route %x, @gate groups = 3 keep = 4 by max softmax scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<2 of 8>
  return %r : !transformer.routes<2 of 8>
}

// -----

transformer.weight @gate [8, 64] bf16 from "gate"
func.func @f(%x: tensor<?x64xf32>) -> !transformer.routes<5 of 8> {
  // expected-error @+1 {{chooses 5 of the 4 experts that are kept}}
  %r = transformer.route %x, @gate groups = 4 keep = 2 by max softmax scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<5 of 8>
  return %r : !transformer.routes<5 of 8>
}

// -----

transformer.weight @gate [4, 64] bf16 from "gate"
func.func @f(%x: tensor<?x64xf32>) -> !transformer.routes<2 of 4> {
  // expected-error @+1 {{has groups of one expert, which have no two greatest scores}}
  %r = transformer.route %x, @gate groups = 4 keep = 2 by top_two softmax scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<2 of 4>
  return %r : !transformer.routes<2 of 4>
}

// -----

transformer.weight @up [256, 64] bf16 from "up"
func.func @f(%x: tensor<?x64xf32>, %r: !transformer.routes<2 of 8>) -> tensor<?x65xf32> {
  // expected-error @+1 {{rows of 65 are not those of 2 experts}}
  %h = transformer.routed_linear %x, %r, @up : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x65xf32>
  return %h : tensor<?x65xf32>
}

// -----

transformer.weight @up [256, 64] bf16 from "up"
func.func @f(%x: tensor<?x48xf32>, %r: !transformer.routes<2 of 8>) -> tensor<?x64xf32> {
  // expected-error @+1 {{weight @up is [256, 64], expected [256, 48]}}
  %h = transformer.routed_linear %x, %r, @up : tensor<?x48xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32>
  return %h : tensor<?x64xf32>
}

// -----

func.func @f(%x: tensor<?x64xf32>, %g: tensor<?x2xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{has 2 gates for rows of 64}}
  %y = transformer.gate %x by %g : tensor<?x64xf32>, tensor<?x2xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @f(%g: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{needs a limit}}
  %y = transformer.glu %g, %g swiglu_oai : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @f(%g: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{has a limit, which is swiglu_oai's alone}}
  %y = transformer.glu %g, %g silu limit = 7.0 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @f(%g: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{swiglu_oai needs a gate}}
  %y = transformer.activate %g swiglu_oai : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @f(%q: tensor<?x64xf32>, %c: !transformer.context<2 x 16>) -> tensor<?x64xf32> {
  // expected-error @+1 {{has both a window and chunks}}
  %y = transformer.attention %q, %c heads = 4 scale = 0.25 window = 8 chunk = 8 : tensor<?x64xf32>, !transformer.context<2 x 16>
  return %y : tensor<?x64xf32>
}

// -----

transformer.weight @sinks [3] bf16 from "sinks"
func.func @f(%q: tensor<?x64xf32>, %c: !transformer.context<2 x 16>) -> tensor<?x64xf32> {
  // expected-error @+1 {{weight @sinks is [3], expected [4]}}
  %y = transformer.attention %q, %c heads = 4 scale = 0.25 sinks @sinks : tensor<?x64xf32>, !transformer.context<2 x 16>
  return %y : tensor<?x64xf32>
}
