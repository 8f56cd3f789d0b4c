// A token is chosen by instructions that come to the same bits as the host's sampler.
// RUN: pianola compile %golden/llama --target h200 --workers 4 --emit ptx > %t.h200
// RUN: pianola compile %golden/llama --target a100 --workers 4 --emit ptx > %t.a100
// RUN: FileCheck %s < %t.h200
// RUN: FileCheck %s < %t.a100
// RUN: FileCheck %s --check-prefix=EXACT < %t.h200
// RUN: FileCheck %s --check-prefix=PERSISTENT < %t.h200

// CHECK: .visible .entry decode$sample(
// The host's word is asked for early.
// CHECK: ld.relaxed.sys.global.u32
// CHECK: st.relaxed.sys.global.u64
// Greedy: ten reads of 16 bytes are on their way before the first is used.
// CHECK: ld.global.v4.f32
// CHECK-NOT: max.f32
// CHECK-COUNT-9: ld.global.v4.f32
// CHECK-NOT: ld.global.v4.f32
// CHECK: max.f32
// CHECK: redux.sync.max.u32
// CHECK: bar.sync
// Selection: whole numbers, added in shared memory.
// CHECK: atom.relaxed.cta.shared::cta.add.u32
// CHECK: ret;

// EXACT: .visible .entry decode$sample(
// EXACT-NOT: {{fma\.|\.ftz|\.approx|div\.full}}
// EXACT: div.rn.f32
// EXACT: max.f32 {{%f[0-9]+}}, {{%f[0-9]+}}, 0fC2000000;
// EXACT-NEXT: mul.rn.f32
// EXACT-NEXT: add.rn.f32
// EXACT-NOT: {{fma\.|\.ftz|\.approx|div\.full}}
// EXACT: cvt.rzi.u64.f32
// EXACT-NOT: {{fma\.|\.ftz|\.approx|div\.full}}
// EXACT: .visible .entry

// The token first, because somebody waits for it; then where the plays end.
// PERSISTENT: .visible .entry decode(
// PERSISTENT: // stage: decode.sample
// PERSISTENT: st.relaxed.sys.global.u64
// PERSISTENT: st.volatile.global.u32
// PERSISTENT: .visible .entry
