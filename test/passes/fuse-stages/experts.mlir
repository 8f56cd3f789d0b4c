// RUN: pianola-opt %s -fuse-stages | FileCheck %s

// A router shares its stage with the linears that read the same rows; experts with the same routes
// share one too, and compute the norm for themselves as these do. The last linear of the one for all
// tokens is taken together with theirs, to which it is added.

transformer.weight @embed [96, 64] bf16 from "embed"
transformer.weight @n [64] f32 from "n"
transformer.weight @gate [8, 64] bf16 from "gate"
transformer.weight @g [256, 64] bf16 from "g"
transformer.weight @u [256, 64] bf16 from "u"
transformer.weight @d [512, 32] bf16 from "d"
transformer.weight @sg [1, 64] bf16 from "sg"
transformer.weight @s [64, 64] bf16 from "s"
transformer.weight @s2 [64, 64] bf16 from "s2"
// CHECK-LABEL: func.func @forward
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed_tokens")
  // CHECK: %[[R:.*]]:3 = transformer.stage "gate" {
  // CHECK-NEXT: transformer.norm
  // CHECK-NEXT: transformer.route
  // CHECK-NEXT: transformer.linear
  // CHECK-NEXT: transformer.linear
  // CHECK-NEXT: transformer.yield
  // CHECK: %[[H:.*]] = transformer.stage "experts.gate" {
  // CHECK-NEXT: transformer.norm
  // CHECK-NEXT: transformer.routed_linear %{{.*}}, %[[R]]#0, @g
  // CHECK-NEXT: transformer.routed_linear %{{.*}}, %[[R]]#0, @u
  // CHECK-NEXT: transformer.glu
  // CHECK-NEXT: transformer.yield
  // CHECK: transformer.stage "experts.down" {
  // CHECK-NEXT: transformer.routed_linear %[[H]], %[[R]]#0, @d weighted combined
  // CHECK-NEXT: transformer.linear %[[R]]#1, @s2
  // CHECK-NEXT: transformer.gate %{{.*}} by %[[R]]#2
  // CHECK-NEXT: transformer.add
  // CHECK-NEXT: transformer.yield
  %n = transformer.norm %x, @n eps = 1.0e-6 : tensor<?x64xf32>
  %r = transformer.route %n, @gate softmax scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<2 of 8> loc("gate")
  %s = transformer.linear %n, @s : tensor<?x64xf32> -> tensor<?x64xf32>
  %sg = transformer.linear %n, @sg : tensor<?x64xf32> -> tensor<?x1xf32>
  %g = transformer.routed_linear %n, %r, @g : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32> loc("experts.gate")
  %u = transformer.routed_linear %n, %r, @u : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32>
  %h = transformer.glu %g, %u silu : tensor<?x64xf32>
  %y = transformer.routed_linear %h, %r, @d weighted combined : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32> loc("experts.down")
  %s2 = transformer.linear %s, @s2 : tensor<?x64xf32> -> tensor<?x64xf32> loc("shared")
  %shared = transformer.gate %s2 by %sg : tensor<?x64xf32>, tensor<?x1xf32>
  %z = transformer.add %y, %shared : tensor<?x64xf32>
  return %z : tensor<?x64xf32>
}
