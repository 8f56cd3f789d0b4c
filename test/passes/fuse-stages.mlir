// RUN: pianola-opt %s -fuse-stages -split-input-file -verify-diagnostics | FileCheck %s

transformer.weight @embed [96, 64] bf16 from "embed"
transformer.weight @n [64] f32 from "n"
transformer.weight @qn [16] f32 from "qn"
transformer.weight @q [64, 64] bf16 from "q"
transformer.weight @k [16, 64] bf16 from "k"
transformer.weight @v [16, 64] bf16 from "v"
transformer.weight @o [64, 64] bf16 from "o"
transformer.weight @g [96, 64] bf16 from "g"
transformer.weight @u [96, 64] bf16 from "u"
transformer.weight @d [64, 96] bf16 from "d"
transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1> scale = 1.0
transformer.cache @cache heads = 1 head_size = 16
// CHECK-LABEL: func.func @forward
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
  // CHECK: %[[X:.*]] = transformer.stage "embed_tokens" {
  // CHECK-NEXT: transformer.embed
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed_tokens")
  // CHECK-NOT: transformer.observe
  transformer.observe %x as "hidden.0" : tensor<?x64xf32>
  // Queries, keys and values share a stage, because they read the same value; a norm of one head is
  // a norm of heads, and stays with the rows that it norms.
  // CHECK: %[[QKV:.*]]:2 = transformer.stage "q_proj" {
  // CHECK-NEXT: transformer.norm %[[X]], @n eps
  // CHECK-NEXT: transformer.linear
  // CHECK-NEXT: transformer.linear
  // CHECK-NEXT: transformer.linear
  // CHECK-NEXT: transformer.norm %{{.*}}, @qn heads = 4
  // CHECK-NEXT: transformer.norm %{{.*}}, @qn heads = 1
  // CHECK-NEXT: transformer.rope
  // CHECK-NEXT: transformer.rope
  // CHECK-NEXT: transformer.append
  // CHECK-NEXT: transformer.yield
  %n = transformer.norm %x, @n eps = 1.0e-6 : tensor<?x64xf32>
  %q = transformer.linear %n, @q : tensor<?x64xf32> -> tensor<?x64xf32> loc("q_proj")
  %k = transformer.linear %n, @k : tensor<?x64xf32> -> tensor<?x16xf32>
  %v = transformer.linear %n, @v : tensor<?x64xf32> -> tensor<?x16xf32>
  %qh = transformer.norm %q, @qn heads = 4 eps = 1.0e-6 : tensor<?x64xf32>
  %kh = transformer.norm %k, @qn heads = 1 eps = 1.0e-6 : tensor<?x16xf32>
  %qr = transformer.rope %qh, @rope heads = 4 : tensor<?x64xf32>
  %kr = transformer.rope %kh, @rope heads = 1 : tensor<?x16xf32>
  %kv = transformer.append %kr, %v to @cache : tensor<?x16xf32> -> !transformer.context<1 x 16>
  // CHECK: %[[A:.*]] = transformer.stage "attention" {
  // CHECK-NEXT: transformer.attention %[[QKV]]#0, %[[QKV]]#1
  %a = transformer.attention %qr, %kv heads = 4 scale = 0.25 : tensor<?x64xf32>, !transformer.context<1 x 16>
  // CHECK: %[[Y:.*]] = transformer.stage "o_proj" {
  // CHECK-NEXT: %[[O:.*]] = transformer.linear %[[A]], @o
  // CHECK-NEXT: transformer.add %[[X]], %[[O]]
  %o = transformer.linear %a, @o : tensor<?x64xf32> -> tensor<?x64xf32> loc("o_proj")
  %y = transformer.add %x, %o : tensor<?x64xf32>
  // CHECK: %[[H:.*]] = transformer.stage "gate_proj" {
  // CHECK-NEXT: transformer.norm %[[Y]]
  // CHECK: transformer.glu
  %m = transformer.norm %y, @n eps = 1.0e-6 : tensor<?x64xf32>
  %g = transformer.linear %m, @g : tensor<?x64xf32> -> tensor<?x96xf32> loc("gate_proj")
  %u = transformer.linear %m, @u : tensor<?x64xf32> -> tensor<?x96xf32>
  %h = transformer.glu %g, %u silu : tensor<?x96xf32>
  // CHECK: %[[Z:.*]] = transformer.stage "down_proj" {
  // CHECK-NEXT: transformer.linear %[[H]]
  // CHECK-NEXT: transformer.add %[[Y]]
  %d = transformer.linear %h, @d : tensor<?x96xf32> -> tensor<?x64xf32> loc("down_proj")
  %z = transformer.add %y, %d : tensor<?x64xf32>
  // CHECK: %[[L:.*]] = transformer.stage "lm_head" {
  // CHECK-NEXT: transformer.norm %[[Z]]
  // CHECK-NEXT: transformer.lm_head
  // CHECK: return %[[L]]
  %f = transformer.norm %z, @n eps = 1.0e-6 : tensor<?x64xf32>
  %logits = transformer.lm_head %f, @embed : tensor<?x64xf32> -> tensor<?x96xf32>
  return %logits : tensor<?x96xf32>
}

// -----

// expected-error @+1 {{the module has no function @forward}}
module {
}
