//===- Synchronise.h - What orders the threads of a kernel ------*- C++ -*-===//
//
// All synchronisation of generated kernels. LLVM 19's NVPTX backend cannot select acquire loads or
// release stores of the device's scope, and makes relaxed atomics of `atomicrmw release` without a
// word, so it is inline PTX, and all of it is here: one function, one instruction.
//
// Instructions are those of the PTX ISA: mbarrier and cp.async (sm_80), cp.async.bulk and try_wait
// (sm_90), ld.acquire, red.release, atom (sm_70).
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_SYNCHRONISE_H
#define PIANOLA_TARGETS_NVPTX_SYNCHRONISE_H

#include "targets/nvptx/Emitter.h"

namespace pianola::nvptx {

// Barriers of the block's memory (mbarriers), in shared memory.

/// A barrier whose phase ends after `count` arrivals (and all bytes that were announced).
void initBarrier(Emitter &emit, Value barrier, int64_t count);
/// Makes initialised barriers known to the copy engine (sm_90).
void publishBarriers(Emitter &emit);
void arrive(Emitter &emit, Value barrier);
/// Arrives and announces bytes that the copy engine will write (sm_90).
void arriveExpecting(Emitter &emit, Value barrier, Value bytes);
/// Whether the phase of the given parity has ended; acquires what came before its arrivals. With
/// `mayWait` (sm_90) the hardware may take its time to answer no.
Value testBarrier(Emitter &emit, Value barrier, Value parity, bool mayWait);

// Copies from global to shared memory.

/// `bytes`, a multiple of 16, by the copy engine, which counts them on the barrier (sm_90).
void copyBulk(Emitter &emit, Value to, Value from, Value bytes, Value barrier);
/// 16 bytes, past the first cache, by this thread (sm_80).
void copyAsync(Emitter &emit, Value to, Value from);
/// Arrives at the barrier when all earlier copies of this thread have landed.
void arriveAfterCopies(Emitter &emit, Value barrier);
/// Waits for all earlier copies of this thread.
void waitForCopies(Emitter &emit);

// Words in global memory.

Value loadAcquire(Emitter &emit, Value pointer);            // u32, the device's scope
void addRelease(Emitter &emit, Value pointer, Value value); // u32, the device's scope
Value exchange(Emitter &emit, Value pointer, Value value);  // u32, the device's scope, relaxed
Value loadRelaxedSystem(Emitter &emit, Value pointer);      // u32 that the host writes
void storeRelaxedSystem(Emitter &emit, Value value, Value pointer); // u32 or u64 for the host

/// One, two or four words, f32 or i32, by one read that stands where it is written: a load of
/// LLVM's would be taken apart and its parts merged with those of other branches, so that none
/// would begin before these meet.
llvm::SmallVector<Value, 4> loadWords(Emitter &emit, Type word, int64_t count, Value pointer,
                                      int64_t offset = 0);

/// The f32 value, computed before what is written behind it: LLVM moves work down past such reads,
/// to where its result is wanted, and keeps in registers what goes into it.
Value computeNow(Emitter &emit, Value value);

// Words in shared memory.

Value fetchAdd(Emitter &emit, Value pointer, Value value); // u32, the block's scope, relaxed

// Groups of threads.

/// All of `threads` threads of the block (whole warps) that name the same barrier, 0 to 15.
void barrier(Emitter &emit, int64_t number, int64_t threads);
/// Waits for the kernel before this one, launched with programmatic serialisation (sm_90).
void waitForPreviousKernel(Emitter &emit);
/// Lets the next kernel begin before this one has ended (sm_90).
void letNextKernelBegin(Emitter &emit);

/// Nanoseconds since some moment, the same for the whole device.
Value readTimer(Emitter &emit);
/// The thread's number in its block, read exactly here.
Value readThread(Emitter &emit);
/// A comment in the PTX, at this place.
void comment(Emitter &emit, llvm::StringRef text);

} // namespace pianola::nvptx

#endif
