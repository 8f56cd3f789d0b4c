"""The defects: which good kernel, what is changed, and where which finding may be reported.

edits: ("drop", pattern[, nth]), ("change", pattern, new[, nth]), ("before"/"after", pattern, lines[, nth]);
       nth counts from 1 below the kernel's name, None means all.
marks: (kinds, pattern[, nth]): of the two accesses of a conflict either may be reported.
"""
DEFECTS = {}


def defect(name, file, kernel, case, what, edits, marks):
    assert name not in DEFECTS
    DEFECTS[name] = {"file": file, "kernel": kernel, "as": case, "what": what, "edits": edits,
                     "marks": marks}


# --- Barriers of a block ---
defect("barrier_missing_before_read", "reduce", "reduce_tree", "reduce_tree_4.sm_80",
       "No barrier between the first writes and the reads of other threads.",
       [("drop", "bar.sync", 1)],
       [("race", "st.shared.f32", 1), ("race", "ld.shared.f32 \t%f5"), ("race", "ld.shared.f32 \t%f4")])
defect("barrier_missing_in_loop", "reduce", "reduce_tree", "reduce_tree_4.sm_80",
       "No barrier between the steps of the tree.",
       [("drop", "bar.sync", 2)],
       [("race", "st.shared.f32", 2), ("race", "ld.shared.f32")])
defect("barrier_missing_after_read", "scan", "scan_u64", "scan_u64.sm_80",
       "The next round writes what slower warps still read.",
       [("drop", "bar.sync", 2)],
       [("race", "st.shared.u64"), ("race", "ld.shared.u64")])
defect("barrier_missing_in_transpose", "memory", "transpose", "transpose_70x45.sm_80",
       "Columns are read before all rows are there.",
       [("drop", "bar.sync")],
       [("race", "st.shared.f32"), ("race", "ld.shared.f32")])
defect("barrier_missing_around_lock", "grid", "spin_lock", "spin_lock_4x64.sm_80",
       "The lock is released before the other warps are done with what it guards.",
       [("drop", "bar.sync", 2)],
       [("race", "ld.global.u32"), ("race", "st.global.u32")])
defect("barrier_in_divergent_code", "reduce", "reduce_tree", "reduce_tree_4.sm_80",
       "Only the threads that add reach the barrier.",
       [("drop", "$L__BB0_5:"), ("after", "bar.sync", "$L__BB0_5:", 2)],
       [("barrier-divergence deadlock", "bar.sync", 2)])
defect("shuffle_lane_missing", "reduce", "reduce_shuffle", "reduce_shuffle_3x128.sm_80",
       "Lane 5 goes straight to the barrier, past the shuffles that wait for it.",
       [("before", "shfl.sync.down", "{\n.reg .pred q;\n.reg .b32 l;\nmov.u32 l, %laneid;\n"
         "setp.eq.u32 q, l, 5;\n@q bra $L__BB1_5;\n}", 1)],
       [("barrier-divergence deadlock", "shfl.sync.down", 1),
        ("barrier-divergence deadlock", "bar.sync", 1)])
defect("barrier_wrong_count", "control", "named_barriers", "named_barriers_2x6.sm_80",
       "The consumers wait for 160 threads where 128 take part.",
       [("change", "bar.sync 1, 128", "bar.sync 1, 160")],
       [("deadlock barrier-divergence", "bar.sync 1, 160"),
        ("deadlock barrier-divergence", "bar.arrive 1, 128"), ("deadlock", "bar.sync 2, 128")])
defect("barrier_mixed_up", "control", "named_barriers", "named_barriers_2x6.sm_80",
       "The consumers wait at a barrier where nobody arrives.",
       [("change", "bar.sync 1, 128", "bar.sync 3, 128")],
       [("deadlock", "bar.sync 3, 128"), ("deadlock", "bar.sync 2, 128")])
defect("barrier_arrive_too_early", "control", "named_barriers", "named_barriers_2x6.sm_80",
       "The producers say full before they write.",
       [("drop", "bar.arrive 1, 128"), ("after", "bar.sync 2, 128", "bar.arrive 1, 128;")],
       [("race", "st.shared.u32"), ("race", "ld.shared.u32")])

# --- Warps ---
defect("syncwarp_missing", "sort", "warp_exchange", "warp_exchange_2.sm_80",
       "Lanes read what other lanes of the warp wrote, with nothing between.",
       [("drop", "bar.warp.sync", 1)],
       [("race", "st.shared.u32", 1), ("race", "ld.shared.u32", 1)])
defect("syncwarp_missing_after_read", "sort", "warp_exchange", "warp_exchange_2.sm_80",
       "Lanes overwrite what other lanes of the warp may still read.",
       [("drop", "bar.warp.sync", 2)],
       [("race", "st.shared.u32", 2), ("race", "ld.shared.u32", 1)])

# --- Between blocks ---
defect("fence_missing_before_flag", "grid", "message_fence", "message_fence_96.sm_80",
       "The flag may overtake the data.",
       [("drop", "membar.gl", 2)],
       [("race", "st.global.u32 \t[%rd3]"), ("race", "ld.global.u32 \t%r4")])
defect("fence_missing_after_flag", "grid", "message_fence", "message_fence_96.sm_80",
       "The data may be read before the flag was.",
       [("drop", "membar.gl", 1)],
       [("race", "st.global.u32 \t[%rd3]"), ("race", "ld.global.u32 \t%r4")])
defect("fence_missing_last_block", "attention", "attend_split", "attend_split_2x3.sm_80",
       "Parts are counted as finished without a fence behind them.",
       [("drop", "membar.gl", 1)],
       [("race", "st.global.f32 \t[%rd8"), ("race", "st.global.f32 \t[%rd38"),
        ("race", "ld.global.f32 \t%f81"), ("race", "ld.global.f32 \t%f86"),
        ("race", "ld.global.f32 \t%f90"), ("race", "ld.global.f32 \t%f91")])
defect("acquire_relaxed", "grid", "message_ring", "message_ring_7.sm_80",
       "The consumer's wait is relaxed.",
       [("change", "ld.acquire.gpu.global.u32 %r13", "ld.relaxed.gpu.global.u32 %r13")],
       [("race", "ld.global.u32 \t%r14"), ("race", "st.global.u32 \t[%rd24]")])
defect("release_relaxed", "grid", "grid_counter", "grid_counter_4x64.sm_80",
       "Blocks arrive at the grid's barrier without releasing what they wrote.",
       [("change", "red.release", "red.relaxed")],
       [("race", "ld.global.u32"), ("race", "st.global.u32")])
defect("scope_of_block", "grid", "message_ring", "message_ring_7.sm_80",
       "A release for the own block only, where another block acquires.",
       [("change", "st.release.gpu.global.u32 [%rd8]", "st.release.cta.global.u32 [%rd8]")],
       [("race", "ld.global.u32 \t%r14"), ("race", "st.global.u32 \t[%rd24]"),
        ("race", "st.release.cta"), ("race", "ld.acquire.gpu.global.u32 %r13")])
defect("flag_before_data", "scan", "scan_lookback", "scan_lookback_40.sm_80",
       "The sum is stored after the state that announces it.",
       [("drop", "st.global.u32 \t[%rd18], %r4"),
        ("after", "st.release.gpu.global.u32 [%rd16]", "st.global.u32 [%rd18], %r4;")],
       [("race", "st.global.u32 [%rd18]"), ("race uninitialised", "ld.global.u32 \t%r62")])
defect("grid_target_too_low", "grid", "grid_counter", "grid_counter_4x64.sm_80",
       "The grid's barrier opens one block too early.",
       [("after", "mul.lo.s32 \t%r4", "sub.u32 %r4, %r4, 1;")],
       [("race", "ld.global.u32"), ("race", "st.global.u32")])
defect("lock_never_released", "grid", "spin_lock", "spin_lock_4x64.sm_80",
       "The lock is taken and kept.",
       [("drop", "st.release")],
       [("livelock deadlock", "atom.acquire"), ("livelock deadlock", "nanosleep"),
        ("livelock deadlock", "setp.eq.s32 \t%p3"), ("livelock deadlock", "bra \t$L__BB5_5", 2),
        ("livelock deadlock", "bra.uni \t$L__BB5_4"), ("livelock deadlock", "mov.u32 \t%r9"),
        ("livelock deadlock", "bar.sync", 1)])
defect("flag_never_set", "grid", "message_chain", "message_chain_5.sm_80",
       "Everyone waits for the block before, which never says that it is done.",
       [("drop", "st.release")],
       [("livelock deadlock", "ld.acquire"), ("livelock deadlock", "setp.eq.s32"),
        ("livelock deadlock", "bra")])
defect("counter_not_atomic", "votes", "compact_odd", "compact_odd_4.sm_80",
       "Warps draw their places by a load and a store.",
       [("change", "atom.global.add.u32 \t%r28, [%rd7], %r17;", "ld.global.u32 \t%r28, [%rd7];"),
        ("after", "ld.global.u32 \t%r28", "add.u32 %r17, %r17, %r28;\nst.global.u32 [%rd7], %r17;")],
       [("race", "ld.global.u32 \t%r28"), ("race", "st.global.u32 [%rd7], %r17")])
defect("blocks_write_one_word", "reduce", "reduce_tree", "reduce_tree_4.sm_80",
       "Every block leaves its sum in the same word.",
       [("change", "mul.wide.u32 \t%rd7, %r1, 4", "mul.wide.u32 \t%rd7, %r1, 0")],
       [("race", "st.global.f32")])
defect("tape_signals_too_early", "tape", "tape_player", "tape_player_3.sm_90a",
       "One thread counts the record while other warps have not stored their rows.",
       [("drop", "bar.sync 1, 128", 2)],
       [("race", "st.global.f32"), ("race uninitialised", "ld.global.f32")])
defect("tape_ignores_events", "tape", "tape_player", "tape_player_3.sm_90a",
       "Records are played without waiting for what they read.",
       [("change", "setp.eq.s32 \t%p5, %r43, -1", "setp.ne.s32 \t%p5, %r43, -2")],
       [("race", "st.global.f32"), ("race uninitialised", "ld.global.f32")])

# --- Asynchronous copies (sm_80) ---
COPY = "race slot-reuse uninitialised"
defect("wait_group_missing", "copy_async", "copy_stages", "copy_stages_2x9.sm_80",
       "Nobody waits for the copies.",
       [("drop", "cp.async.wait_group")],
       [(COPY, "cp.async.cg"), (COPY, "ld.shared.v4")])
defect("wait_group_too_lax", "copy_async", "copy_stages", "copy_stages_2x9.sm_80",
       "One group more may be pending than the tile allows.",
       [("change", "wait_group 2", "wait_group 3")],
       [(COPY, "cp.async.cg"), (COPY, "ld.shared.v4")])
defect("wait_group_without_barrier", "copy_async", "copy_stages", "copy_stages_2x9.sm_80",
       "A thread waits for its own copies and reads its neighbour's.",
       [("drop", "bar.sync")],
       [(COPY, "cp.async.cg"), (COPY, "ld.shared.v4")])
defect("stage_overwritten", "gemm", "gemm_f16", "gemm_f16_64x64x128.sm_80",
       "The next tile is fetched into a stage that other warps still read.",
       [("drop", "bar.sync", 2)],
       [(COPY, "cp.async.cg"), (COPY, "ldmatrix")])
defect("copy_tail_without_wait", "copy_async", "copy_tail", "copy_tail_3.sm_80",
       "A barrier, but no wait for the copies before it.",
       [("drop", "cp.async.wait_all")],
       [(COPY, "cp.async.ca"), (COPY, "ld.shared.u32")])
defect("copy_not_counted", "copy_async", "copy_barrier", "copy_barrier_2x5.sm_80",
       "The copies do not arrive on the mbarrier that everyone waits at.",
       [("drop", "cp.async.mbarrier.arrive")],
       [(COPY, "cp.async.cg"), (COPY, "ld.shared.v4")])

# --- mbarriers and bulk copies (sm_90) ---
SLOT = "race slot-reuse uninitialised"
READS = [(SLOT, "ld.shared.u32 \t%r59"), (SLOT, "ld.shared.u32 \t%r62"), (SLOT, "cp.async.bulk.shared")]
WAIT = "deadlock livelock"


def waits(label_bra):
    return [(WAIT, "mbarrier.try_wait"), (WAIT, "selp.u32"), (WAIT, "setp.eq.s32 \t%p4"),
            (WAIT, label_bra)]


defect("full_not_awaited", "bulk", "bulk_ring", "bulk_ring_2x21.sm_90a",
       "The consumers look at the full barrier once, and read whatever it says.",
       [("drop", "@%p4 bra")], READS)
defect("parity_wrong", "bulk", "bulk_ring", "bulk_ring_2x21.sm_90a",
       "The consumers wait for the parity of the lap before.",
       [("after", "and.b32  \t%r9, %r47, 1", "xor.b32 %r9, %r9, 1;")], READS)
defect("arrivals_too_many_expected", "bulk", "bulk_ring", "bulk_ring_2x21.sm_90a",
       "The empty barriers count five warps where there are four.",
       [("change", "mov.u32 \t%r39, 4", "mov.u32 \t%r39, 5")],
       waits("@%p4 bra") + [(WAIT, "setp.eq.s32 \t%p11"), (WAIT, "@%p11 bra")])
defect("arrivals_too_few_expected", "bulk", "bulk_ring", "bulk_ring_2x21.sm_90a",
       "The empty barriers open with three of four warps.",
       [("change", "mov.u32 \t%r39, 4", "mov.u32 \t%r39, 3")], READS)
defect("empty_not_awaited", "bulk", "bulk_ring", "bulk_ring_2x21.sm_90a",
       "The producer does not wait until a slot is free.",
       [("drop", "@%p11 bra")], READS)
defect("empty_before_read", "bulk", "bulk_ring", "bulk_ring_2x21.sm_90a",
       "A warp frees the slot, then reads it.",
       [("drop", "mbarrier.arrive.shared.b64 state"),
        ("before", "ld.shared.u32 \t%r59", "{\n.reg .b64 early;\nshl.b32 %r64, %r10, 3;\n"
         "mov.u32 %r65, _ZZ9bulk_ringE5empty;\nadd.s32 %r63, %r65, %r64;\n"
         "@!%p5 mbarrier.arrive.shared.b64 early, [%r63];\n}")], READS)
defect("empty_by_one_warp", "bulk", "bulk_ring", "bulk_ring_2x21.sm_90a",
       "One warp frees the slot for four that read it.",
       [("change", "mov.u32 \t%r39, 4", "mov.u32 \t%r39, 1"),
        ("change", "setp.ne.s32 \t%p5, %r2, 0", "setp.ne.s32 \t%p5, %r1, 32")], READS)
defect("bytes_too_few_expected", "bulk", "bulk_in_place", "bulk_in_place_2x5.sm_90a",
       "The full barrier counts the bytes of the first copy only.",
       [("change", "mov.u32 \t%r14, 1024", "mov.u32 \t%r14, 768")],
       [("race uninitialised slot-reuse", "ld.shared.f32"),
        ("race slot-reuse mbarrier-misuse phase-overrun", "cp.async.bulk.shared"),
        ("mbarrier-misuse phase-overrun deadlock livelock", "mbarrier.try_wait"),
        ("deadlock livelock", "setp.eq.s32 \t%p4"), ("deadlock livelock", "@%p4 bra"),
        ("race", "st.shared.f32")])
defect("bytes_too_many_expected", "bulk", "bulk_in_place", "bulk_in_place_2x5.sm_90a",
       "The full barrier waits for sixteen bytes that never come.",
       [("change", "mov.u32 \t%r14, 1024", "mov.u32 \t%r14, 1040")], waits("@%p4 bra"))
defect("proxy_fence_missing_before_store", "bulk", "bulk_store", "bulk_store_2x7.sm_90a",
       "The copy engine reads shared memory that threads wrote, with no fence between the proxies.",
       [("drop", "fence.proxy.async")],
       [("proxy-race", "st.shared.u32"), ("proxy-race", "cp.async.bulk.global")])
defect("proxy_fence_missing_in_relay", "relay", "relay_bulk", "relay_bulk_4.sm_90a",
       "A bulk copy fetches what another block wrote, with no fence between the proxies.",
       [("drop", "fence.proxy.async", 3), ("drop", "fence.proxy.async", 2)],
       [("proxy-race", "st.global.u32 \t[%rd12]"), ("proxy-race", "cp.async.bulk.shared")])
defect("barrier_missing_before_store", "bulk", "bulk_store", "bulk_store_2x7.sm_90a",
       "The store begins while other threads still write its source.",
       [("drop", "bar.sync", 2)],
       [("race proxy-race", "st.shared.u32"), ("race proxy-race uninitialised", "cp.async.bulk.global")])
defect("source_reused_too_early", "bulk", "bulk_store", "bulk_store_2x7.sm_90a",
       "Threads overwrite what a bulk store may still be reading.",
       [("drop", "cp.async.bulk.wait_group.read")],
       [("race proxy-race slot-reuse", "st.shared.u32"),
        ("race proxy-race slot-reuse", "cp.async.bulk.global")])
defect("exit_with_store_in_flight", "bulk", "bulk_store", "bulk_store_2x7.sm_90a",
       "The block ends while its stores still read its shared memory.",
       [("drop", "cp.async.bulk.wait_group 0")],
       [("async-misuse", "cp.async.bulk.global"), ("async-misuse", "ret;")])
defect("exit_with_load_in_flight", "relay", "relay_bulk", "relay_bulk_4.sm_90a",
       "One bulk copy more, that nobody waits for.",
       [("before", "ret;", "bar.sync 0;\n@!%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r14], %r17;\n"
         "@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
         "[%r16], [%rd17], %r17, [%r14];")],
       [("async-misuse", "@!%p1 cp.async.bulk"), ("async-misuse", "ret;")])
defect("bulk_address_misaligned", "bulk", "bulk_in_place", "bulk_in_place_2x5.sm_90a",
       "The source of a bulk copy is no multiple of sixteen.",
       [("change", "add.s64 \t%rd8, %rd7, 768", "add.s64 \t%rd8, %rd7, 764")],
       [("async-misuse misaligned", "cp.async.bulk.shared", 2)])
defect("bulk_size_odd", "bulk", "bulk_in_place", "bulk_in_place_2x5.sm_90a",
       "A bulk copy of 248 bytes.",
       [("change", "mov.u32 \t%r19, 256", "mov.u32 \t%r19, 248"),
        ("change", "mov.u32 \t%r14, 1024", "mov.u32 \t%r14, 1016")],
       [("async-misuse misaligned", "cp.async.bulk.shared", 2)])
USE = "mbarrier-misuse race uninitialised"
defect("mbarrier_used_before_init", "mbarrier", "mbarrier_halves", "mbarrier_halves_2x9.sm_80",
       "No barrier between the initialisation and the first use by other warps.",
       [("drop", "bar.sync")],
       [(USE, "mbarrier.init"), (USE, "mbarrier.test_wait"), (USE, "mbarrier.arrive")])
defect("arrivals_of_one_warp_expected", "mbarrier", "mbarrier_halves", "mbarrier_halves_2x9.sm_80",
       "The empty mbarriers open with the arrivals of one of two warps.",
       [("before", "mbarrier.init.shared.b64 [%r21]", "mov.u32 %r22, 32;")],
       [("race slot-reuse mbarrier-misuse phase-overrun", "mbarrier.arrive", 2),
        ("race", "st.shared.u32"), ("race", "ld.shared.u32"),
        ("phase-overrun deadlock livelock", "mbarrier.test_wait", 1)])

# --- Memory ---
defect("shared_overrun", "memory", "stencil_line", "stencil_line_3.sm_80",
       "The halo on the right has no room.",
       [("change", "s[528]", "s[520]")],
       [("out-of-bounds", "st.shared.f32 \t[%r3+520]")])
defect("global_overrun", "reduce", "reduce_tree", "reduce_tree_4.sm_80",
       "The last block reads behind the end.",
       [("drop", "@%p1 bra")],
       [("out-of-bounds", "ld.global.f32")])
defect("vector_misaligned", "reduce", "reduce_last_block", "reduce_last_block_6.sm_80",
       "Four floats from an address that is a multiple of four only.",
       [("change", "[%rd12]", "[%rd12+4]")],
       [("misaligned", "ld.global.v4.f32")])
defect("shared_not_initialised", "atomics", "histogram", "histogram_3x96.sm_80",
       "Counts start from whatever shared memory holds.",
       [("drop", "st.shared.u32")],
       [("uninitialised", "atom.shared.add"), ("uninitialised", "ld.shared.u32")])
defect("global_not_initialised", "grid", "message_fence", "message_fence_96.sm_80",
       "The message is announced, but never written.",
       [("drop", "st.global.u32 \t[%rd3]")],
       [("uninitialised", "ld.global.u32 \t%r4")])
defect("read_only_path_stale", "grid", "grid_counter", "grid_counter_4x64.sm_80",
       "The read-only path for data that this launch writes.",
       [("change", "ld.global.u32 \t%r17", "ld.global.nc.u32 \t%r17")],
       [("stale-read", "ld.global.nc.u32"), ("stale-read", "st.global.u32")])
defect("constant_written", "memory", "constant_table", "constant_table_2x48.sm_80",
       "A store to constant memory by its generic address.",
       [("after", "ld.const.f32 \t%f2",
         "{\n.reg .b64 w;\nmov.u64 w, weights;\ncvta.const.u64 w, w;\nst.f32 [w], %f1;\n}")],
       [("read-only", "st.f32 [w]")])
defect("assertion_fails", "control", "assert_holds", "assert_holds_2x64.sm_80",
       "The input is not in range.",
       [("change", "setp.lt.u32 \t%p1, %r9, 1000", "setp.lt.u32 \t%p1, %r9, 500")],
       [("trap", "call.uni"), ("trap", "__assertfail, ")])
defect("trap_reached", "reduce", "reduce_redux", "reduce_redux_2.sm_80",
       "A trap.",
       [("before", "redux.sync.add", "trap;")],
       [("trap", "trap;")])
