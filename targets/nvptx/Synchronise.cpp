//===- Synchronise.cpp - What orders the threads of a kernel --------------===//

#include "targets/nvptx/Synchronise.h"

using namespace mlir;

namespace pianola::nvptx {

namespace {

Value inlinePtx(Emitter &emit, StringRef text, StringRef constraints, Type result,
                ValueRange operands) {
  auto op = emit.builder.create<LLVM::InlineAsmOp>(
      emit.loc, result ? TypeRange(result) : TypeRange(), operands, text, constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::AsmDialectAttr(), ArrayAttr());
  return result ? op.getResult(0) : Value();
}

// Addresses in shared memory are 32 bits in PTX.
Value inShared(Emitter &emit, Value pointer) { return emit.toInteger(pointer, emit.i32()); }

} // namespace

void initBarrier(Emitter &emit, Value barrier, int64_t count) {
  inlinePtx(emit, "mbarrier.init.shared::cta.b64 [$0], $1;", "r,r,~{memory}", {},
            {inShared(emit, barrier), emit.constant(count)});
}

void publishBarriers(Emitter &emit) {
  inlinePtx(emit, "fence.mbarrier_init.release.cluster;", "~{memory}", {}, {});
}

void arrive(Emitter &emit, Value barrier) {
  inlinePtx(emit, "mbarrier.arrive.shared::cta.b64 $0, [$1];", "=l,r,~{memory}", emit.i64(),
            inShared(emit, barrier));
}

void arriveExpecting(Emitter &emit, Value barrier, Value bytes) {
  inlinePtx(emit, "mbarrier.arrive.expect_tx.shared::cta.b64 $0, [$1], $2;", "=l,r,r,~{memory}",
            emit.i64(), {inShared(emit, barrier), bytes});
}

Value testBarrier(Emitter &emit, Value barrier, Value parity, bool mayWait) {
  StringRef text = mayWait
                       ? "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [$1], $2; "
                         "selp.b32 $0, 1, 0, p; }"
                       : "{ .reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [$1], "
                         "$2; selp.b32 $0, 1, 0, p; }";
  Value done =
      inlinePtx(emit, text, "=r,r,r,~{memory}", emit.i32(), {inShared(emit, barrier), parity});
  return emit.differ(done, 0);
}

void copyBulk(Emitter &emit, Value to, Value from, Value bytes, Value barrier) {
  inlinePtx(emit,
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, "
            "[$3];",
            "r,l,r,r,~{memory}", {}, {inShared(emit, to), from, bytes, inShared(emit, barrier)});
}

void copyAsync(Emitter &emit, Value to, Value from) {
  inlinePtx(emit, "cp.async.cg.shared.global [$0], [$1], 16;", "r,l,~{memory}", {},
            {inShared(emit, to), from});
}

void arriveAfterCopies(Emitter &emit, Value barrier) {
  inlinePtx(emit, "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [$0];", "r,~{memory}", {},
            inShared(emit, barrier));
}

void waitForCopies(Emitter &emit) { inlinePtx(emit, "cp.async.wait_all;", "~{memory}", {}, {}); }

Value loadAcquire(Emitter &emit, Value pointer) {
  return inlinePtx(emit, "ld.acquire.gpu.global.u32 $0, [$1];", "=r,l,~{memory}", emit.i32(),
                   pointer);
}

void addRelease(Emitter &emit, Value pointer, Value value) {
  inlinePtx(emit, "red.release.gpu.global.add.u32 [$0], $1;", "l,r,~{memory}", {},
            {pointer, value});
}

Value exchange(Emitter &emit, Value pointer, Value value) {
  return inlinePtx(emit, "atom.relaxed.gpu.global.exch.b32 $0, [$1], $2;", "=r,l,r,~{memory}",
                   emit.i32(), {pointer, value});
}

Value loadRelaxedSystem(Emitter &emit, Value pointer) {
  return inlinePtx(emit, "ld.relaxed.sys.global.u32 $0, [$1];", "=r,l,~{memory}", emit.i32(),
                   pointer);
}

void storeRelaxedSystem(Emitter &emit, Value value, Value pointer) {
  if (value.getType() == emit.i64())
    inlinePtx(emit, "st.relaxed.sys.global.u64 [$0], $1;", "l,l,~{memory}", {}, {pointer, value});
  else
    inlinePtx(emit, "st.relaxed.sys.global.u32 [$0], $1;", "l,r,~{memory}", {}, {pointer, value});
}

SmallVector<Value, 4> loadWords(Emitter &emit, Type word, int64_t count, Value pointer,
                                int64_t offset) {
  std::string type = word.isF32() ? "f32" : "u32", places, constraints;
  for (int64_t i = 0; i < count; ++i) {
    places += (i ? ", $" : "$") + std::to_string(i);
    constraints += word.isF32() ? "=f," : "=r,";
  }
  std::string from = "[$" + std::to_string(count) + "+" + std::to_string(offset) + "];";
  constraints += "l,~{memory}";
  if (count == 1)
    return {inlinePtx(emit, "ld.global." + type + " " + places + ", " + from, constraints, word,
                      pointer)};
  auto all =
      LLVM::LLVMStructType::getLiteral(emit.builder.getContext(), SmallVector<Type>(count, word));
  std::string vector = "v" + std::to_string(count) + ".";
  Value read = inlinePtx(emit, "ld.global." + vector + type + " {" + places + "}, " + from,
                         constraints, all, pointer);
  SmallVector<Value, 4> words;
  for (int64_t i = 0; i < count; ++i)
    words.push_back(emit.builder.create<LLVM::ExtractValueOp>(emit.loc, read, i));
  return words;
}

Value computeNow(Emitter &emit, Value value) {
  return inlinePtx(emit, "", "=f,0,~{memory}", emit.f32(), value);
}

Value fetchAdd(Emitter &emit, Value pointer, Value value) {
  return inlinePtx(emit, "atom.relaxed.cta.shared::cta.add.u32 $0, [$1], $2;", "=r,r,r,~{memory}",
                   emit.i32(), {inShared(emit, pointer), value});
}

void barrier(Emitter &emit, int64_t number, int64_t threads) {
  emit.builder.create<NVVM::BarrierOp>(emit.loc, emit.constant(number), emit.constant(threads));
}

void waitForPreviousKernel(Emitter &emit) {
  inlinePtx(emit, "griddepcontrol.wait;", "~{memory}", {}, {});
}

void letNextKernelBegin(Emitter &emit) {
  inlinePtx(emit, "griddepcontrol.launch_dependents;", "~{memory}", {}, {});
}

Value readTimer(Emitter &emit) {
  return inlinePtx(emit, "mov.u64 $0, %globaltimer;", "=l", emit.i64(), {});
}

Value readThread(Emitter &emit) {
  return inlinePtx(emit, "mov.u32 $0, %tid.x;", "=r", emit.i32(), {});
}

void comment(Emitter &emit, StringRef text) { inlinePtx(emit, ("// " + text).str(), "", {}, {}); }

} // namespace pianola::nvptx
