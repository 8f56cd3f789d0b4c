// What the verifiers refuse, and in which words.
// RUN: pianola-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{model: vocabulary 0, hidden 64, layers 1 and max_positions 8 must all be at least 1}}
module attributes {transformer.model = #transformer.model<family = "x", vocabulary = 0, hidden = 64, layers = 1, max_positions = 8>} {}

// -----

// expected-error @+1 {{'transformer.model' is not a #transformer.model}}
module attributes {transformer.model = 3 : i32} {}

// -----

// expected-error @+1 {{carries 'transformer.model', which belongs on a module}}
func.func private @f() attributes {transformer.model = #transformer.model<family = "x", vocabulary = 1, hidden = 64, layers = 1, max_positions = 8>}

// -----

// expected-error @+1 {{'transformer.weight' op @w must have one or two dimensions of at least 1, found [2, 3, 4]}}
transformer.weight @w [2, 3, 4] bf16 from "w"

// -----

// expected-error @+1 {{@w must have one or two dimensions of at least 1, found [0, 4]}}
transformer.weight @w [0, 4] bf16 from "w"

// -----

// expected-error @+1 {{@w names no tensor}}
transformer.weight @w [4] bf16 from ""

// -----

// expected-error @+1 {{@rope has no frequencies}}
transformer.rope_table @rope inv_freq = array<f32> scale = 1.0

// -----

// expected-error @+1 {{@rope frequency 1 is negative or not finite}}
transformer.rope_table @rope inv_freq = array<f32: 1.0, -0.5> scale = 1.0

// -----

// expected-error @+1 {{@rope grows every 1 or more positions, from 0 or later}}
transformer.rope_table @rope inv_freq = array<f32: 1.0> scale = 1.0 growth = 0.1 every 0 from 0

// -----

// expected-error @+1 {{@cache.0 needs at least one head of at least one number}}
transformer.cache @cache.0 heads = 0 head_size = 16

// -----

// expected-error @+1 {{@cache.0 is of f32, bf16, i8 or f8E4M3FN, found 'f16'}}
transformer.cache @cache.0 heads = 2 head_size = 16 element = f16

// -----

// expected-error @+1 {{context: heads 0 and head size 4 must be at least 1}}
func.func private @f(!transformer.context<0 x 4>)

// -----

func.func @f(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{names @q_proj, which is not declared}}
  %y = transformer.linear %x, @q_proj : tensor<?x64xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

transformer.cache @q_proj heads = 1 head_size = 16
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{names @q_proj, which is not a transformer.weight but a transformer.cache}}
  %y = transformer.linear %x, @q_proj : tensor<?x64xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

transformer.weight @layers.0.q_proj [64, 32] bf16 from "q"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{'transformer.linear' op weight @layers.0.q_proj is [64, 32], expected [32, 64]}}
  %y = transformer.linear %x, @layers.0.q_proj : tensor<?x64xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

transformer.weight @q [32, 64] bf16 from "q"
transformer.weight @q.bias [64] bf16 from "b"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{weight @q.bias is [64], expected [32]}}
  %y = transformer.linear %x, @q bias @q.bias : tensor<?x64xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

transformer.weight @e [96, 32] bf16 from "e"
func.func @f(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{weight @e is [96, 32], expected rows of 64}}
  %y = transformer.embed %ids, @e : tensor<?xi32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @f(%x: tensor<?x?xf32>) {
  // expected-error @+1 {{must be activations, tensor<?xNxf32>}}
  transformer.observe %x as "x" : tensor<?x?xf32>
  return
}

// -----

transformer.weight @n [64] bf16 from "n"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{weight @n is [64], expected [16]}}
  %y = transformer.norm %x, @n heads = 4 eps = 1.0e-6 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

transformer.weight @n [64] bf16 from "n"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{rows of 64 do not divide into 7 heads}}
  %y = transformer.norm %x, @n heads = 7 eps = 1.0e-6 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1, 0.01> scale = 1.0
func.func @f(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error @+1 {{table @rope turns 6 lanes of a head that has 4}}
  %y = transformer.rope %x, @rope heads = 4 : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

transformer.cache @cache.0 heads = 2 head_size = 16
func.func @f(%k: tensor<?x16xf32>) {
  // expected-error @+1 {{cache @cache.0 has 2 heads of 16, the result is '!transformer.context<1 x 16>'}}
  %y = transformer.append %k, %k to @cache.0 : tensor<?x16xf32> -> !transformer.context<1 x 16>
  return
}

// -----

transformer.cache @cache.0 heads = 2 head_size = 16
func.func @f(%k: tensor<?x16xf32>) {
  // expected-error @+1 {{rows of 16 do not fill '!transformer.context<2 x 16>'}}
  %y = transformer.append %k, %k to @cache.0 : tensor<?x16xf32> -> !transformer.context<2 x 16>
  return
}

// -----

func.func @f(%q: tensor<?x48xf32>, %kv: !transformer.context<2 x 16>) {
  // expected-error @+1 {{3 query heads do not divide among 2 key heads}}
  %y = transformer.attention %q, %kv heads = 3 scale = 0.25 : tensor<?x48xf32>, !transformer.context<2 x 16>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %kv: !transformer.context<2 x 16>) {
  // expected-error @+1 {{query heads of 32 meet keys of 16}}
  %y = transformer.attention %q, %kv heads = 2 scale = 0.25 : tensor<?x64xf32>, !transformer.context<2 x 16>
  return
}

// -----

func.func @f(%q: tensor<?x64xf32>, %kv: !transformer.context<2 x 16>) {
  // expected-error @+1 {{window must be at least 1, found 0}}
  %y = transformer.attention %q, %kv heads = 4 scale = 0.25 window = 0 : tensor<?x64xf32>, !transformer.context<2 x 16>
  return
}

// -----

transformer.weight @e [96, 64] bf16 from "e"
func.func @f(%x: tensor<8x64xf32>) -> tensor<4x96xf32> {
  // expected-error @+1 {{changes the number of token slots}}
  %y = transformer.lm_head %x, @e : tensor<8x64xf32> -> tensor<4x96xf32>
  return %y : tensor<4x96xf32>
}

// -----

transformer.weight @embed [96, 64] bf16 from "wte.weight"
transformer.weight @positions [32, 48] bf16 from "wpe.weight"
func.func @f(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{positions @positions are [32, 48], expected rows of 64}}
  %x = transformer.embed %ids, @embed positions @positions : tensor<?xi32> -> tensor<?x64xf32>
  return %x : tensor<?x64xf32>
}

// -----

transformer.weight @w [16] f32 from "w"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{of each head is not centred}}
  %y = transformer.norm %x, @w heads = 4 eps = 1.0e-5 centred : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

transformer.weight @w [64] f32 from "w"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{has a bias, and is not centred}}
  %y = transformer.norm %x, @w bias @w eps = 1.0e-5 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @f(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>) -> tensor<?x80xf32> {
  // expected-error @+1 {{rows of 96 numbers are not joined to rows of 80}}
  %z = transformer.join %x, %y heads = 4 : tensor<?x64xf32>, tensor<?x32xf32> -> tensor<?x80xf32>
  return %z : tensor<?x80xf32>
}

// -----

func.func @f(%x: tensor<?x64xf32>, %y: tensor<?x30xf32>) -> tensor<?x94xf32> {
  // expected-error @+1 {{rows of 30 do not divide into 4 heads}}
  %z = transformer.join %x, %y heads = 4 : tensor<?x64xf32>, tensor<?x30xf32> -> tensor<?x94xf32>
  return %z : tensor<?x94xf32>
}

// -----

transformer.weight @w [96, 20] bf16 from "w"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
  // expected-error @+1 {{head_linear' op weight @w is [96, 20], expected [96, 16]}}
  %y = transformer.head_linear %x, @w heads = 4 : tensor<?x64xf32> -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// -----

transformer.weight @w [96, 16] bf16 from "w"
func.func @f(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
  // expected-error @+1 {{rows of 64 do not divide into 3 heads}}
  %y = transformer.head_linear %x, @w heads = 3 : tensor<?x64xf32> -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// -----

func.func @f(%q: tensor<?x48xf32>, %w: tensor<?x4xf32>, %index: !transformer.context<1 x 16>) {
  // expected-error @+1 {{3 query heads of 16 and 4 weights do not meet}}
  %s = transformer.select %q, %w, %index heads = 3 scale = 0.25
      : tensor<?x48xf32>, tensor<?x4xf32>, !transformer.context<1 x 16> -> !transformer.selection<8 of 64>
  return
}

// -----

func.func @f(%q: tensor<?x48xf32>, %w: tensor<?x3xf32>, %index: !transformer.context<1 x 16>) {
  // expected-error @+1 {{scale is not finite}}
  %s = transformer.select %q, %w, %index heads = 3 scale = 0x7F800000
      : tensor<?x48xf32>, tensor<?x3xf32>, !transformer.context<1 x 16> -> !transformer.selection<8 of 64>
  return
}

// -----

// expected-error @+1 {{selection: 0 of 64 positions, where there must be at least one of one}}
func.func private @f(!transformer.selection<0 of 64>)

// -----

func.func @f(%s: !transformer.selection<8 of 64>, %x: tensor<?x64xf32>, %kv: !transformer.context<2 x 16>) -> tensor<?x64xf32> {
  // expected-error @+1 {{has a selection, and a window or chunk}}
  %a = transformer.attention %x, %kv of %s heads = 4 scale = 0.25 window = 8
      : tensor<?x64xf32>, !transformer.context<2 x 16> of !transformer.selection<8 of 64>
  return %a : tensor<?x64xf32>
}
