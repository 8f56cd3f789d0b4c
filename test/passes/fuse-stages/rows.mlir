// A norm of whole rows that others than linears read begins a stage, a tile of which is a row; what is
// done to whole heads of such rows is a stage behind it, or the attention's where that is for readers.
// RUN: pianola-opt %s -fuse-stages | FileCheck %s --check-prefixes=CHECK,HOST

transformer.weight @q [64, 64] bf16 from "q"
transformer.weight @k [16, 64] bf16 from "k"
transformer.weight @v [16, 64] bf16 from "v"
transformer.weight @o [64, 64] bf16 from "o"
transformer.weight @qn [64] f32 from "qn"
transformer.weight @kn [16] f32 from "kn"
transformer.weight @after [64] f32 from "after"
transformer.weight @embed [96, 64] bf16 from "embed"
transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1> scale = 1.0
transformer.cache @cache heads = 1 head_size = 16
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed_tokens")
  // CHECK: %[[QKV:.*]]:3 = transformer.stage "q_proj"
  // CHECK-NOT: transformer.norm
  %q = transformer.linear %x, @q : tensor<?x64xf32> -> tensor<?x64xf32> loc("q_proj")
  %k = transformer.linear %x, @k : tensor<?x64xf32> -> tensor<?x16xf32>
  %v = transformer.linear %x, @v : tensor<?x64xf32> -> tensor<?x16xf32>
  // CHECK: %[[N:.*]]:2 = transformer.stage "q_norm" {
  // CHECK-NEXT: transformer.norm %[[QKV]]#0, @qn
  // CHECK-NEXT: transformer.norm %[[QKV]]#1, @kn
  %qw = transformer.norm %q, @qn eps = 1.0e-6 : tensor<?x64xf32> loc("q_norm")
  %kw = transformer.norm %k, @kn eps = 1.0e-6 : tensor<?x16xf32>
  // HOST: transformer.stage "q_rope" {
  // HOST-NEXT: transformer.rope %[[N]]#0
  // HOST-NEXT: transformer.rope %[[N]]#1
  // HOST-NEXT: transformer.append %{{.*}}, %[[QKV]]#2
  %qr = transformer.rope %qw, @rope heads = 4 : tensor<?x64xf32> loc("q_rope")
  %kr = transformer.rope %kw, @rope heads = 1 : tensor<?x16xf32>
  %kv = transformer.append %kr, %v to @cache : tensor<?x16xf32> -> !transformer.context<1 x 16>
  // CHECK: transformer.stage "attention"
  %a = transformer.attention %qr, %kv heads = 4 scale = 0.25 : tensor<?x64xf32>, !transformer.context<1 x 16> loc("attention")
  // CHECK: %[[O:.*]] = transformer.stage "o_proj" {
  // CHECK-NEXT: transformer.linear
  // CHECK-NEXT: transformer.yield
  %o = transformer.linear %a, @o : tensor<?x64xf32> -> tensor<?x64xf32> loc("o_proj")
  // CHECK: transformer.stage "after" {
  // CHECK-NEXT: transformer.norm %[[O]], @after
  // CHECK-NEXT: transformer.add
  %n = transformer.norm %o, @after eps = 1.0e-6 : tensor<?x64xf32> loc("after")
  %y = transformer.add %x, %n : tensor<?x64xf32>
  %logits = transformer.lm_head %y, @embed : tensor<?x64xf32> -> tensor<?x96xf32> loc("lm_head")
  return %logits : tensor<?x96xf32>
}
