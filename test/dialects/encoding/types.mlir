// RUN: pianola-opt %s | pianola-opt | FileCheck %s
// RUN: pianola-opt %s -emit-bytecode | pianola-opt | FileCheck %s

// CHECK: transformer.weight @row [8, 64] !encoding.scaled<code = i8, scale = f32> from "row"
transformer.weight @row [8, 64] !encoding.scaled<code = i8, scale = f32> from "row"
// CHECK: transformer.weight @group [8, 64] !encoding.scaled<code = i4, group = 32, scale = f16, zeros = true> from "group"
transformer.weight @group [8, 64] !encoding.scaled<code = i4, group = 32, scale = f16, zeros = true> from "group"
// CHECK: transformer.weight @ordered [8, 64] !encoding.scaled<code = i4, group = 32, scale = bf16, order = true> from "ordered"
transformer.weight @ordered [8, 64] !encoding.scaled<code = i4, group = 32, scale = bf16, order = true> from "ordered"
// CHECK: transformer.weight @floats [8, 256] !encoding.scaled<code = f8e4m3, group = 128, scale = f32> from "floats"
transformer.weight @floats [8, 256] !encoding.scaled<code = f8e4m3, group = 128, scale = f32> from "floats"
// CHECK: transformer.weight @mx [8, 64] !encoding.scaled<code = f4e2m1, group = 32, scale = e8m0> from "mx"
transformer.weight @mx [8, 64] !encoding.scaled<code = f4e2m1, group = 32, scale = e8m0> from "mx"
// CHECK: transformer.weight @pruned [8, 64] !encoding.two_of_four<bf16> from "pruned"
transformer.weight @pruned [8, 64] !encoding.two_of_four<bf16> from "pruned"
// CHECK: transformer.weight @blocks [64, 256] !encoding.blocks<bf16, kept = 3> from "blocks"
transformer.weight @blocks [64, 256] !encoding.blocks<bf16, kept = 3> from "blocks"
