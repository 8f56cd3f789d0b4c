//===- Kernel.h - The frame that stages are played in -----------*- C++ -*-===//
//
// A block has `warps` consumer warps and one or two loader warps. The frame is what both do besides
// computing: a loader streams the worker's tape into a ring, the other one tiles of experts into
// another (Ring.h, Stream.cpp); the consumers go from card to card, wait for events and signal
// them. See docs/gpu.md.
//
// Shared memory, in bytes:
//
//     0     full barriers, empty barriers of the rings' slots
//     416   what the loader of experts is told
//     448   flags
//     512   two cards: the one that is played and the next
//     1024  zeros
//     1536  scratch memory of the stages
//     ...   the rings, each with its first bytes once more
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_KERNEL_H
#define PIANOLA_TARGETS_NVPTX_KERNEL_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "pianola/cuda.h"
#include "targets/nvptx/Emitter.h"
#include "targets/nvptx/Ring.h"
#include "targets/nvptx/Synchronise.h"
#include <optional>

namespace pianola::nvptx {

/// What all kernels of a roll have in common.
struct KernelShape {
  int64_t warps = 8;    // consumers
  int64_t chunk = 8192; // bytes of a slot of the ring
  int64_t shared = 0;   // bytes of shared memory a block may use
  bool bulk = false;    // sm_90: the copy engine fills the ring
  bool aligned = true;  // no panel lies across two slots of the ring
  int64_t mirror = 0;   // bytes of a ring's first slot that stand behind its last one, too
  int64_t loaders = 1;  // 2: with tiles of experts

  /// Of programs of so many slots, with experts or without. Eight warps in all can have 255
  /// registers each, nine to twelve have 168: sums of many slots need more, and so does all code
  /// for chips before sm_90.
  KernelShape forSlots(int64_t slots, bool hasExperts = false) const {
    KernelShape shape = *this;
    shape.loaders = hasExperts ? 2 : 1;
    shape.warps -= slots > 8 || !bulk ? shape.loaders : 0;
    return shape;
  }

  int64_t consumers() const { return warps * kWarp; }
  int64_t threads() const { return consumers() + loaders * kWarp; }
};

constexpr int64_t kFlagsAt = 448, kCardsAt = 512, kZerosAt = 1024, kScratchAt = 1536;

/// The parameters of a kernel, in order.
enum class Parameter { Cards, Ranges, Tape, Tapes, Events, State, Host, Watchdog };

class Kernel : public Emitter {
public:
  Kernel(mlir::OpBuilder &builder, mlir::Location loc, const KernelShape &shape, Value memory,
         mlir::ValueRange parameters);

  const KernelShape &shape;
  Value memory; // shared, byte 0
  Value thread, lane, warp, worker;
  Value state, host, events, tape; // pointers
  Value slots, firstOutput;        // of a play
  Value capacity;                  // i64
  Variable play;                   // number of the play
  Value card;                      // shared: the card that is played
  bool playsOneStage = false;      // and then ends: a stage kernel

  Value parameter(Parameter which) { return parameters[static_cast<size_t>(which)]; }
  /// Field of a struct in global or shared memory.
  Value field(Type type, Value base, size_t offset) { return load(type, at(base, offset)); }
  /// Position of slot 0, i64.
  Value position();

  /// Asks for the thread's number again, so that what is computed from it in a stage is not kept in
  /// registers through all others.
  void askAgain();
  /// The same, but for the number of the warp.
  void askLane();
  /// Gets `slots`, `firstOutput` and `capacity`.
  void readState();

  /// Consumers only: waits for all consumers.
  void meet() { barrier(*this, 1, shape.consumers()); }

  /// Of the worker's tape; and of experts, in programs that have any.
  Ring ring;
  std::optional<Ring> pieces;

  // The whole kernel around a function that plays the card's stage. Consumers come to it without
  // having waited for anything: it may take weights and read constants, then calls `whenReady`.
  void emitPersistent(bool loops, llvm::function_ref<void()> playStage);
  void emitStage(llvm::function_ref<void()> playStage);

  /// Whether the block is to end, as this thread sees it: others may not see it yet.
  Value isStopped();
  /// Waits for what the step depends on, and calls `body`, unless there is nothing to be played.
  void whenReady(llvm::function_ref<void()> body);

  struct Report {
    PianolaCudaWaitKind kind;
    Value event, expected, seen;
  };
  /// Spins until `test` holds, or gives up: the block is told to stop, or the watchdog's time is
  /// over. Then sets `flag`, a place in shared memory.
  void await(llvm::function_ref<Value()> test, llvm::function_ref<Report()> report,
             std::optional<int64_t> flag = std::nullopt);

  // What the loader of experts is told (Stream.cpp), by consumers that have met.
  /// An entry of a list: 64 bits.
  Value pieceEntry(Value address, int64_t bytes);
  /// Has the pieces of a list in shared memory brought, in its order.
  void tellPieces(Value list, Value count);
  /// Lets thread 0 wait until the list is read to its end.
  void awaitTaken();

private:
  void awaitLong(llvm::function_ref<Value()> test, llvm::function_ref<Report()> report,
                 std::optional<int64_t> flag);
  void report(const Report &report);
  void stop();

  void initialise();
  void beginRings(Value tapeBytes);
  /// What the loader of the tape does, and what consumers do.
  void deal(llvm::function_ref<void()> load, llvm::function_ref<void()> compute);
  void onLoader(llvm::function_ref<void()> stream);
  void streamTape(Value from, Value bytes, Value plays);
  void initialisePieces();
  void beginPieces();
  void streamPieces();

  void fetchCard(Value address, Value into);
  void awaitEvents();
  void awaitEvent(Value wait);
  void consume(bool loops, llvm::function_ref<void()> playStage);
  void mark(size_t offset);

  llvm::SmallVector<Value> parameters;
  Variable told; // parity of the phase of the barrier that ends when a list is read
};

/// A kernel that is not lowered yet: name, eight parameters. The builder stands in its body.
mlir::func::FuncOp createKernel(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef name);

} // namespace pianola::nvptx

#endif
