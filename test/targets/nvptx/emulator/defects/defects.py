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

# --- Kernels that stay: events, rings, relays ---
VALUES = [("race uninitialised", "ld.global.u32 \t%r26"), ("race uninitialised", "ld.global.u32 \t%r29"),
          ("race", "st.global.u32 \t[%rd17]")]
defect("event_of_wrong_epoch", "persistent", "layers", "layers_4x32.sm_90a",
       "Layers wait for what the event counted one token ago.",
       [("change", "add.s32 \t%r22, %r33, %r21", "add.s32 \t%r22, %r33, 0")], VALUES)
defect("event_released_relaxed", "persistent", "layers", "layers_4x32.sm_90a",
       "Events are counted by a relaxed reduction.",
       [("change", "red.release", "red.relaxed")], VALUES)
defect("event_released_to_block", "persistent", "layers", "layers_4x32.sm_90a",
       "Events are released to the own block only.",
       [("change", "red.release.gpu", "red.release.cta")],
       VALUES + [("race", "red.release.cta"), ("race", "ld.acquire.gpu")])
defect("event_acquired_by_one_thread", "persistent", "layers", "layers_4x32.sm_90a",
       "Thread 0 waits for the event, the others go on.",
       [("drop", "bar.sync", 1)], VALUES)
defect("event_before_stores", "persistent", "layers", "layers_7x64.sm_90a",
       "Thread 0 counts the event while other warps still store.",
       [("drop", "bar.sync", 2)], VALUES)
RING = "race slot-reuse uninitialised"
RING_READS = [(RING, "ld.shared.u32 \t%r72"), (RING, "ld.shared.u32 \t%r78"),
              (RING, "cp.async.bulk.shared")]
RING_WAITS = [("deadlock livelock phase-overrun", pattern) for pattern in (
    "mbarrier.try_wait", "selp.u32 %r64", "selp.u32 %r96", "setp.eq.s32 \t%p7", "@%p7 bra",
    "setp.eq.s32 \t%p16", "@%p16 bra")]
defect("parity_stale_after_lap", "persistent", "ring_of_items", "ring_of_items_2x3x5.sm_90a",
       "The consumers' parity stays that of the first lap.",
       [("change", "xor.b32  \t%r121, %r121, %r85", "xor.b32 %r121, %r121, 0")],
       RING_READS + RING_WAITS)
defect("slot_freed_without_syncwarp", "persistent", "ring_of_items", "ring_of_items_2x3x5.sm_90a",
       "One lane frees the slot while others of its warp may still read.",
       [("drop", "bar.warp.sync")], RING_READS)
defect("slot_freed_before_branch", "persistent", "ring_of_items", "ring_of_items_2x3x5.sm_90a",
       "The slot is freed before the odd lanes have read it a second time.",
       [("drop", "mbarrier.arrive.release.cluster"),
        ("before", "setp.eq.s32 \t%p8, %r5, 0", "{\n.reg .b32 early;\n.reg .pred q;\nmov.u32 early, %laneid;\n"
         "setp.eq.u32 q, early, 0;\nmov.u32 early, _ZZ13ring_of_itemsPKjPjjjE5empty;\n"
         "add.u32 early, early, %r62;\n@q mbarrier.arrive.shared::cta.b64 _, [early];\n}")],
       RING_READS)
defect("two_producers", "persistent", "ring_of_items", "ring_of_items_2x3x5.sm_90a",
       "Four warps fill slots whose barriers count on one.",
       [("change", "setp.ne.s32 \t%p13, %r2, 4", "setp.lt.s32 \t%p13, %r2, 4")],
       [("mbarrier-misuse", "mbarrier.arrive.expect_tx"), (RING, "cp.async.bulk.shared"),
        ("phase-overrun", "mbarrier.try_wait")])
defect("bytes_not_expected", "persistent", "ring_of_items", "ring_of_items_2x3x5.sm_90a",
       "The producer arrives without a word of the bytes to come.",
       [("change", "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r103], %r102",
         "mbarrier.arrive.shared::cta.b64 _, [%r103]")],
       RING_READS + RING_WAITS)
defect("init_not_fenced", "persistent", "ring_of_items", "ring_of_items_1x4x1.sm_90a",
       "The mbarriers are initialised, but not for the asynchronous proxy.",
       [("drop", "fence.mbarrier_init"),
        ("change", "barrier.cluster.arrive.relaxed", "barrier.cluster.arrive.release")],
       [("proxy-race", "mbarrier.init"), ("proxy-race", "cp.async.bulk.shared")])
defect("shuffle_mask_too_small", "persistent", "ring_of_items", "ring_of_items_1x4x1.sm_90a",
       "The mask of a shuffle names half of the lanes that execute it.",
       [("change", "mov.u32 \t%r40, -1", "mov.u32 \t%r40, 65535")],
       [("barrier-divergence", "shfl.sync.idx")])
defect("cluster_arrival_relaxed", "persistent", "cluster_of_one", "cluster_of_one.sm_90a",
       "The cluster's barrier is reached without releasing what was stored.",
       [("change", "barrier.cluster.arrive.release", "barrier.cluster.arrive.relaxed")],
       [("race", "st.shared.u32"), ("race", "ld.shared.u32")])
defect("cluster_not_awaited", "persistent", "cluster_of_one", "cluster_of_one.sm_90a",
       "The cluster's barrier is reached, but not waited for.",
       [("drop", "barrier.cluster.wait")],
       [("race", "st.shared.u32"), ("race uninitialised", "ld.shared.u32")])
defect("mbarrier_invalidated_too_early", "persistent", "place_of_mbarrier", "place_of_mbarrier.sm_90a",
       "Thread 0 ends the mbarrier while other warps may still look at it.",
       [("drop", "bar.sync", 2)],
       [("race mbarrier-misuse", "mbarrier.inval"), ("race mbarrier-misuse", "mbarrier.try_wait")])
defect("mbarrier_overwritten", "persistent", "place_of_mbarrier", "place_of_mbarrier.sm_90a",
       "Data is stored where an mbarrier is still alive.",
       [("drop", "mbarrier.inval")],
       [("mbarrier-misuse", "st.shared.u32 \t[%r22]"), ("mbarrier-misuse", "ld.shared.u32 \t%r27")])
defect("arrival_counted_twice", "persistent", "place_of_mbarrier", "place_of_mbarrier.sm_90a",
       "Every thread arrives twice.",
       [("after", "mbarrier.arrive.shared.b64", "mbarrier.arrive.shared.b64 state, [%r6];")],
       [("race uninitialised", "ld.shared.u32 \t%r3"), ("race", "st.shared.u32 \t[%r2]"),
        ("phase-overrun", "mbarrier.try_wait"), ("race mbarrier-misuse", "mbarrier.arrive"),
        ("race mbarrier-misuse", "mbarrier.inval")])
defect("shared_address_as_global", "persistent", "place_of_mbarrier", "place_of_mbarrier.sm_90a",
       "An address of shared memory is used as one of device memory.",
       [("change", "st.shared.u32 \t[%r2], %r9",
         "{ .reg .b64 a; cvt.u64.u32 a, %r2; st.global.u32 [a], %r9; }")],
       [("out-of-bounds", "st.global.u32 [a]")])
defect("generic_address_as_shared", "persistent", "place_of_mbarrier", "place_of_mbarrier.sm_90a",
       "A generic address is used as one of shared memory.",
       [("change", "st.shared.u32 \t[%r2], %r9",
         "{ .reg .b64 a; cvt.u64.u32 a, %r2; cvta.shared.u64 a, a; st.shared.u32 [a], %r9; }")],
       [("out-of-bounds", "st.shared.u32 [a]")])
RELAY = [("race uninitialised", "ld.global.u32 \t%r26"), ("race uninitialised", "cp.async.bulk.global")]
defect("bulk_commit_forgotten", "persistent", "relay_store", "relay_store_4.sm_90a",
       "The store is in no group, so waiting for groups does not wait for it.",
       [("drop", "cp.async.bulk.commit_group")],
       RELAY + [("async-misuse", "cp.async.bulk.global"), ("async-misuse", "ret;")])
defect("bulk_wait_for_source_only", "persistent", "relay_store", "relay_store_4.sm_90a",
       "The flag says that the store is done where only its source has been read.",
       [("change", "cp.async.bulk.wait_group 0", "cp.async.bulk.wait_group.read 0")], RELAY)
defect("bulk_sum_not_fenced", "persistent", "bulk_sum", "bulk_sum_5.sm_90a",
       "The copy engine adds what threads wrote, with no fence between the proxies.",
       [("drop", "fence.proxy.async")],
       [("proxy-race", "st.shared.f32"), ("proxy-race", "cp.reduce.async.bulk")])

# --- Idioms ---
defect("lock_taken_without_fence", "idioms", "ticket_lock", "ticket_lock_6.sm_80",
       "Nothing orders the reads inside of the lock after the wait for it.",
       [("drop", "membar.gl", 1)], [("race", "ld.global.u32 \t%r4"), ("race", "st.global.u32")])
defect("lock_left_without_fence", "idioms", "ticket_lock", "ticket_lock_6.sm_80",
       "Nothing orders the store inside of the lock before it is left.",
       [("drop", "membar.gl", 2)], [("race", "ld.global.u32 \t%r4"), ("race", "st.global.u32")])
defect("node_pushed_without_fence", "idioms", "treiber_stack", "treiber_stack_3x32.sm_80",
       "A node is pushed before what it holds is visible.",
       [("drop", "membar.gl", 1)],
       [("race", "st.global.u32"), ("race uninitialised", "ld.global.u32"),
        ("race uninitialised", "ld.volatile.global.u32")])
defect("table_announced_without_fence", "idioms", "filled_once", "filled_once.sm_80",
       "The table is announced as filled with no fence behind the stores.",
       [("drop", "membar.gl", 1)], [("race", "st.global.u32"), ("race", "ld.global.u32 \t%r17")])
defect("table_used_without_fence", "idioms", "filled_once", "filled_once.sm_80",
       "The table is read with no fence behind the look at its state.",
       [("drop", "membar.gl", 2)], [("race", "st.global.u32"), ("race", "ld.global.u32 \t%r17")])
defect("table_used_without_barrier", "idioms", "filled_once", "filled_once.sm_80",
       "Thread 0 looks at the state, all threads read the table.",
       [("drop", "bar.sync")],
       [("race", "st.global.u32"), ("race uninitialised", "ld.global.u32 \t%r17")])
defect("queue_item_overwritten", "idioms", "work_queue", "work_queue_3x20.sm_80",
       "One barrier for each item: the next one is drawn while others still read this one.",
       [("drop", "bar.sync", 1)], [("race", "st.shared.u32"), ("race", "ld.shared.u32")])
defect("queue_item_read_early", "idioms", "work_queue", "work_queue_3x20.sm_80",
       "The item is read before it is drawn.",
       [("drop", "bar.sync", 2)], [("race", "st.shared.u32"), ("race uninitialised", "ld.shared.u32")])
defect("ballot_in_divergent_code", "idioms", "work_queue", "work_queue_3x20.sm_80",
       "One lane asks all lanes for their votes.",
       [("before", "atom.global.add.u32", "{\n.reg .b32 v;\nvote.sync.ballot.b32 v, %p1, -1;\n}")],
       [("barrier-divergence deadlock", "vote.sync.ballot"), ("barrier-divergence deadlock", "bar.sync")])
defect("barrier_too_narrow", "idioms", "work_queue", "work_queue_3x20.sm_80",
       "A barrier of one warp where two take part.",
       [("change", "bar.sync \t0", "bar.sync \t0, 32", 2)],
       [("race", "st.shared.u32"), ("race uninitialised", "ld.shared.u32"),
        ("barrier-divergence", "bar.sync")])
defect("slot_read_after_release", "idioms", "lamport_queue", "lamport_queue.sm_80",
       "The consumer says that it has read with nothing behind the read.",
       [("drop", "membar.gl", 2)], [("race", "ld.global.u32"), ("race", "st.global.u32 \t[%rd16]")])
defect("slot_written_before_acquire", "idioms", "lamport_queue", "lamport_queue.sm_80",
       "The producer writes a slot with nothing behind its look at the consumer.",
       [("drop", "membar.gl", 3)], [("race", "ld.global.u32"), ("race", "st.global.u32 \t[%rd16]")])
defect("fence_of_block_before_flag", "grid", "message_fence", "message_fence_96.sm_80",
       "A fence for the own block, and a flag for another.",
       [("change", "membar.gl", "membar.cta", 2)],
       [("race", "st.global.u32 \t[%rd3]"), ("race", "ld.global.u32 \t%r4")])
defect("fence_of_block_after_flag", "grid", "message_fence", "message_fence_96.sm_80",
       "A flag of another block, and a fence for the own one.",
       [("change", "membar.gl", "membar.cta", 1)],
       [("race", "st.global.u32 \t[%rd3]"), ("race", "ld.global.u32 \t%r4")])
defect("parts_not_fenced", "idioms", "fence_then_barrier", "fence_then_barrier_5x64.sm_80",
       "The parts are fenced for the block alone.",
       [("drop", "membar.gl", 1)], [("race", "st.global.u32 \t[%rd7]"), ("race", "ld.global.u32")])
defect("parts_counted_too_early", "idioms", "fence_then_barrier", "fence_then_barrier_5x64.sm_80",
       "Thread 0 counts its block while other warps still store.",
       [("drop", "bar.sync", 1)], [("race", "st.global.u32 \t[%rd7]"), ("race uninitialised", "ld.global.u32")])
defect("lanes_tell_without_fence", "idioms", "lanes_tell_lane", "lanes_tell_lane.sm_80",
       "Lanes say that they have read with nothing behind the read.",
       [("drop", "membar.cta", 1)],
       [("race", "ld.shared.u32"), ("race", "st.shared.u32 \t[_ZZ15lanes_tell_laneE4word], %r8")])
defect("syncwarp_in_one_branch", "idioms", "lanes_meet_in_branches", "lanes_meet_in_branches.sm_80",
       "Half of the warp does not come to the meeting.",
       [("drop", "bar.warp.sync", 1)],
       [("race uninitialised", "ld.shared.u32"), ("race", "st.shared.u32"),
        ("barrier-divergence deadlock", "bar.warp.sync")])
defect("vector_tail_not_initialised", "idioms", "vector_rows", "vector_rows_3x6.sm_80",
       "The last vector of a row reaches over what was written.",
       [("change", "setp.le.u32 \t%p4, %r50", "setp.le.u32 \t%p4, %r70")],
       [("uninitialised", "ld.global.v4.u32")])
defect("exit_before_barrier", "idioms", "vector_rows", "vector_rows_3x6.sm_80",
       "Threads without work leave before the barrier of the others.",
       [("change", "@%p1 bra \t$L__BB12_2", "@%p1 ret")],
       [("barrier-divergence deadlock", "bar.sync")])
defect("index_overflows", "idioms", "vector_rows", "vector_rows_3x6.sm_80",
       "The product of two sizes does not fit into 32 bits.",
       [("before", "mul.wide.u32 \t%rd10, %r29, 4", "mad.lo.s32 %r29, %r29, 65535, 65535;\n"
         "mul.lo.s32 %r29, %r29, 65535;"),
        ("change", "mul.wide.u32 \t%rd10", "mul.wide.s32 \t%rd10")],
       [("out-of-bounds misaligned", "ld.global.u32 \t%r30")])
defect("tiles_read_early", "wmma", "wmma_tiles", "wmma_tiles_48.sm_80",
       "Matrices are loaded from tiles that other warps have not filled.",
       [("drop", "bar.sync", 1)],
       [("race uninitialised", "wmma.load"), ("race", "st.shared.u16")])
defect("tiles_overwritten", "wmma", "wmma_tiles", "wmma_tiles_48.sm_80",
       "Tiles are filled again while other warps still load from them.",
       [("drop", "bar.sync", 2)],
       [("race", "wmma.load"), ("race", "st.shared.u16")])
defect("commit_group_forgotten", "copy_async", "copy_stages", "copy_stages_2x9.sm_80",
       "The copies are in no group, so waiting for groups does not wait for them.",
       [("drop", "cp.async.commit_group", None)],
       [(COPY, "cp.async.cg"), (COPY, "ld.shared.v4")])
defect("wait_group_in_one_thread", "copy_async", "copy_stages", "copy_stages_2x9.sm_80",
       "One thread waits for its own copies; nobody waits for those of the others.",
       [("change", "cp.async.wait_group 2;", "{ .reg .pred q; .reg .b32 l; mov.u32 l, %tid.x; setp.eq.u32 q, l, 0; "
         "@q cp.async.wait_group 2; }")],
       [(COPY, "cp.async.cg"), (COPY, "ld.shared.v4")])
defect("group_counted_as_two", "persistent", "groups_and_arrivals", "groups_and_arrivals.sm_90a",
       "A thread reads the copy of the last group, which may be pending.",
       [("change", "cp.async.wait_group 0", "cp.async.wait_group 1")],
       [(COPY, "cp.async.cg.shared.global", 2), (COPY, "ld.shared.v4.u32"), (COPY, "ld.shared.u32"),
        ("async-misuse", "cp.async.mbarrier.arrive")])

# --- Products of four warps ---
PRODUCT = [("proxy-race", "wgmma.mma_async"), ("proxy-race", "st.shared.v4.u32")]
defect("product_not_fenced", "wgmma", "wgmma_swizzled", "wgmma_swizzled.sm_90a",
       "Tiles are written by threads and read by the asynchronous proxy, with no fence between.",
       [("drop", "fence.proxy.async")], PRODUCT)
defect("product_before_barrier", "wgmma", "wgmma_swizzled", "wgmma_swizzled.sm_90a",
       "A warp multiplies what other warps have not stored.",
       [("drop", "bar.sync")],
       [("race uninitialised", "wgmma.mma_async"), ("race", "st.shared.v4.u32")])
defect("product_still_reads", "wgmma", "wgmma_ring", "wgmma_ring_5.sm_90a",
       "A slot is fetched again while the product that reads it may go on.",
       [("change", "wgmma.wait_group.sync.aligned 0", "wgmma.wait_group.sync.aligned 1")],
       [("race slot-reuse", "wgmma.mma_async"), ("race slot-reuse", "cp.async.bulk.shared")])
