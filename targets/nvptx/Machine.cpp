//===- Machine.cpp - A GPU as passes see it -------------------------------===//
//
// What the device table does not have is derived here, each number with its source. No number is
// fitted to a prediction that one would like to see.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Machine.h"
#include "mlir/IR/BuiltinTypes.h"
#include "targets/nvptx/Products.h"
#include "targets/nvptx/PtxCode.h"

namespace pianola {

namespace {

// Of the data sheet's bandwidth, what streaming reads get: 4.3 of 4.8 TB/s on an H200, and about
// nine tenths on other devices with HBM or GDDR.
constexpr double kReadShare = 0.9;

// From a worker's signal to the end of the wait in another: the signal's fence and reduction, the
// poll's round trip, and a barrier. Persistent kernels that are measured report 2 to 3 us for a
// dependent phase with its work.
constexpr int64_t kEventNs = 2000;

// Barriers of the consumer warps after the prologue, the products and the last of what follows
// them, about 200 cycles.
constexpr int64_t kStepNs = 100;

// A panel of 16 rows and 32 columns of bf16 (1 KiB) is 8 reads of shared memory of 128 bytes, one a
// clock, and its activations are one more.
constexpr double kConsumedPerClock = 1024.0 / 9;

// Two panels of 16 rows of 4 bits in groups of 32 (2304 bytes), which a warp takes at a time, are
// 145 to 149 instructions of it for one slot, as ptxas 13 makes them for sm_90a. The ring adds 44:
// 7 for whether all is there, 15 for each of the 9 slots that four such pairs go on by (eight warps
// share them), and 10 where the pair lies across two slots, 2 times in 7. An SM issues four
// instructions a clock: 48 bytes; two panels of 8 bits (2112 bytes), 82 and 42, are 68. Of the
// first, what is left when one issue slot in seven is lost.
// In dialects/schedule/Work.cpp: two panels of 8 rows are 90 and 25; of eight slots one panel is
// 157 and 24, and 254 where activations are read from a buffer.
constexpr double kUnpackedPerClock = 41;

// An SM gets 64 bytes a clock from the second-level cache at most (Jia et al., Dissecting the
// NVIDIA Volta GPU architecture via microbenchmarking, 2018; the same since).
constexpr double kPortPerClock = 64;

// A block's shared memory begins with barriers, cards and zeros.
constexpr int64_t kFrameBytes = nvptx::kScratchAt;

// Of an SM, each clock.
struct Rates {
  double flops; // of mma.sync with bf16 operands and f32 sums
  double cache; // bytes from the second-level cache when all SMs read
};

Rates ratesOf(uint32_t capability) {
  // Flops: architecture papers of A100 (1024 multiply-adds), GA102, AD102 and GB202 (256, with f32
  // sums). On sm_90 mma.sync reaches 62 % of the 2048 multiply-adds that wgmma has (Luo et al.,
  // Benchmarking and dissecting the Nvidia Hopper GPU architecture, 2024); sm_100 is taken for no
  // better.
  // Cache: 9.8 TB/s of an H200 with 132 SMs at 1.98 GHz, 5.4 of an A100 with 108 at 1.41, 5.2 of an
  // L40 with 142 at 2.49: data sets of 10 to 25 MB, read by all (gpu-benches of the computing
  // centre in Erlangen, gpu-l2-cache/{h200,a100_80,l40}.txt); others are taken for no better than
  // their like.
  switch (capability / 10) {
  case 8:
    return capability == 80 ? Rates{2048, 35} : Rates{512, 15};
  case 9:
  case 10:
    return {2540, 37};
  default:
    return {512, 15};
  }
}

} // namespace

tile::MachineAttr machineFor(mlir::MLIRContext *context, const DeviceRow &device, int64_t workers) {
  Rates rates = ratesOf(device.capability);
  double clocks = workers * device.clock;
  double bandwidth = std::min(device.bandwidth * kReadShare, clocks * kPortPerClock);
  auto megabytes = [](double bytesPerSecond) { return static_cast<int64_t>(bytesPerSecond / 1e6); };
  int64_t ring = device.sharedPerBlock - kFrameBytes;
  // The results of a prologue leave as much for the ring as a worker streams in two events, or less
  // than half of it where there is not so much.
  int64_t scratch = std::max<int64_t>(ring - (80 << 10), ring / 2 - (16 << 10));
  // A product takes two multiply-adds in bf16, of the greater and the lesser half of an activation.
  auto peak = static_cast<int64_t>(clocks * rates.flops / 2 / 1e9);
  // What the kernels do: see preloadRegisters.
  nvptx::KernelShape shape = nvptx::shapeFor(device).forSlots(1);
  int64_t early = nvptx::preloadRegisters(shape, 1) * 4 * shape.consumers();
  return tile::MachineAttr::get(
      context, std::string(device.name), workers, mlir::Float32Type::get(context), ring, scratch,
      megabytes(bandwidth), peak, kEventNs, kStepNs,
      /*rows=*/8, /*panel=*/32, shape.chunk, megabytes(clocks * kConsumedPerClock),
      megabytes(clocks * rates.cache), /*loops=*/true, /*waits=*/4,
      megabytes(device.clock * kPortPerClock), early, shape.warps,
      /*codes=*/true, megabytes(clocks * kUnpackedPerClock));
}

} // namespace pianola
