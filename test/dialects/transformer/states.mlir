// What the verifiers of layers that remember refuse, and in which words.
// RUN: pianola-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{@s of [4] is neither [K, N] nor [H, D, E]}}
transformer.state @s [4]

// -----

// expected-error @+1 {{@s of [4, 0] is neither [K, N] nor [H, D, E]}}
transformer.state @s [4, 0]

// -----

transformer.state @h [4, 32]
func.func @f(%x: tensor<?x48xf32>) -> !transformer.history<48> {
  // expected-error @+1 {{state @h is [4, 32], expected [4, 48]}}
  %h = transformer.record %x to @h : tensor<?x48xf32> -> !transformer.history<48>
  return %h : !transformer.history<48>
}

// -----

transformer.state @h [4, 32]
func.func @f(%x: tensor<?x48xf32>) -> !transformer.history<32> {
  // expected-error @+1 {{rows of 48 do not fill '!transformer.history<32>'}}
  %h = transformer.record %x to @h : tensor<?x48xf32> -> !transformer.history<32>
  return %h : !transformer.history<32>
}

// -----

transformer.state @h [4, 32]
transformer.weight @w [3, 32] bf16 from "w"
func.func @f(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %h = transformer.record %x to @h : tensor<?x32xf32> -> !transformer.history<32>
  // expected-error @+1 {{state @h is [4, 32], expected [3, 32]}}
  %y = transformer.convolve %h, @w : !transformer.history<32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

transformer.weight @w [3, 48] bf16 from "w"
func.func @f(%h: !transformer.history<32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{weight @w is [3, 48], expected [3, 32]}}
  %y = transformer.convolve %h, @w : !transformer.history<32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

func.func @f(%h: !transformer.history<32>) -> tensor<?x48xf32> {
  // expected-error @+1 {{rows of 48 are not made of '!transformer.history<32>'}}
  %y = transformer.convolve %h, @w : !transformer.history<32> -> tensor<?x48xf32>
  return %y : tensor<?x48xf32>
}

// -----

func.func @f(%qk: tensor<?x64xf32>, %v: tensor<?x48xf32>, %ba: tensor<?x8xf32>) -> tensor<?x48xf32> {
  // expected-error @+1 {{4 value heads do not divide among 8 key heads}}
  %y = transformer.delta %qk, %v gates %ba, @a, @d in @s key_heads = 8 scale = 0.25
      : tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x8xf32>
  return %y : tensor<?x48xf32>
}

// -----

func.func @f(%qk: tensor<?x64xf32>, %v: tensor<?x48xf32>, %ba: tensor<?x10xf32>) -> tensor<?x48xf32> {
  // expected-error @+1 {{rows of 48 do not divide into 5 heads}}
  %y = transformer.delta %qk, %v gates %ba, @a, @d in @s key_heads = 2 scale = 0.25
      : tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x10xf32>
  return %y : tensor<?x48xf32>
}

// -----

transformer.state @s [4, 16, 16]
transformer.weight @a [4] f32 from "a"
func.func @f(%qk: tensor<?x64xf32>, %v: tensor<?x48xf32>, %ba: tensor<?x8xf32>) -> tensor<?x48xf32> {
  // expected-error @+1 {{state @s is [4, 16, 16], expected [4, 16, 12]}}
  %y = transformer.delta %qk, %v gates %ba, @a, @a in @s key_heads = 2 scale = 0.25
      : tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x8xf32>
  return %y : tensor<?x48xf32>
}
