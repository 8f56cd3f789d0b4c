// KernelSpeed.cpp - how fast generated code is beside what this machine can do: inner products and
// attention, on all cores, against a streaming read and against products held in registers.
//
//   host-kernel-speed [TARGET]      (default: host)
#include "dialects/tile/Tile.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "pianola/roll.h"
#include "targets/host/HostCode.h"
#include "test/targets/host/Roofs.h"
#include "llvm/Support/FormatVariadic.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace pianola {
namespace {

using Clock = std::chrono::steady_clock;

unsigned threads() { return std::max(1u, std::thread::hardware_concurrency()); }

// Pages of 2 MiB if there are any, full of a small number.
uint8_t *reserve(size_t bytes) {
  void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    exit(1);
  }
  madvise(memory, bytes, MADV_HUGEPAGE);
  std::memset(memory, 0x3c, bytes); // 0.0115 as f32 and as bf16
  return static_cast<uint8_t *>(memory);
}

class Code {
public:
  Code(const std::string &text, const HostCpu &cpu) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    context.loadDialect<tile::TileDialect>();
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    Clock::time_point start = Clock::now();
    image = llvm::cantFail(compileHost(*module, cpu));
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
    code = reserve(image.code.size());
    std::memcpy(code, image.code.data(), image.code.size());
    mprotect(code, image.code.size(), PROT_READ | PROT_EXEC);
  }
  // The last part, which is the only section of these stages.
  void run(const PianolaHostCall &call) const {
    reinterpret_cast<PianolaHostPart>(code + image.parts.back().entry)(&call);
  }
  HostImage image;
  double seconds;

private:
  uint8_t *code;
};

// The best of several runs of `work(thread)` on all cores, in seconds.
double bestOfTeam(unsigned repetitions, const std::function<void(unsigned)> &work) {
  double best = 1e9;
  for (unsigned r = 0; r < repetitions; ++r) {
    Clock::time_point start = Clock::now();
    std::vector<std::thread> team;
    for (unsigned t = 0; t < threads(); ++t)
      team.emplace_back(work, t);
    for (std::thread &thread : team)
      thread.join();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

struct Speed {
  double seconds, readSeconds;
  double bf16Peak, f32Peak; // flops a second of products held in registers
};

// The best time of several runs on all cores, each of which gets its share of the tiles; and what
// the machine does at best: just reading the `bytes` of `memory`, and products held in registers.
// That changes from second to second on a shared machine, so they take turns.
Speed bestOf(const Code &code, const PianolaHostCall &shared, uint64_t tiles, uint64_t tapeBytes,
             const uint8_t *memory, size_t bytes, unsigned repetitions) {
  std::vector<uint8_t *> scratch;
  for (unsigned t = 0; t < threads(); ++t)
    scratch.push_back(reserve(code.image.scratch + 64));
  Speed best{1e9, 1e9, 0, 0};
  constexpr int64_t kCount = 400'000;
  double products = double(threads()) * kCount * test::kRoofChains;
  bool hasBf16 = llvm::cantFail(parseHostCpu("host")).hasBf16Products();
  size_t part = bytes / threads() / 4096 * 4096;
  for (unsigned r = 0; r < repetitions; ++r) {
    for (bool prefetch : {false, true})
      best.readSeconds = std::min(best.readSeconds, bestOfTeam(1, [&](unsigned t) {
                                    test::streamRead(memory + t * part, part, prefetch);
                                  }));
    best.f32Peak = std::max(
        best.f32Peak, products * 32 / bestOfTeam(1, [&](unsigned) { test::f32Products(kCount); }));
    if (hasBf16)
      best.bf16Peak =
          std::max(best.bf16Peak,
                   products * 64 / bestOfTeam(1, [&](unsigned) { test::bf16Products(kCount); }));
    best.seconds = std::min(best.seconds, bestOfTeam(1, [&](unsigned t) {
                              PianolaHostCall call = shared;
                              call.begin = tiles * t / threads();
                              call.end = tiles * (t + 1) / threads();
                              call.tape += call.begin * tapeBytes;
                              call.scratch = scratch[t];
                              code.run(call);
                            }));
  }
  for (uint8_t *worker : scratch)
    munmap(worker, code.image.scratch + 64);
  return best;
}

void print(const Speed &speed, double bytes, double flops, double compiled) {
  auto share = [&](double peak) { return peak > 0 ? 100 * flops / speed.seconds / peak : 0; };
  std::printf(
      ": %8.1f us, %4.1f of %4.1f GB/s = %3.0f %%, %5.1f GFLOP/s = %3.0f %% of bf16 (%.0f), "
      "%3.0f %% of f32 (%.0f), compiled in %.0f ms\n",
      speed.seconds * 1e6, bytes / speed.seconds * 1e-9, bytes / speed.readSeconds * 1e-9,
      100 * speed.readSeconds / speed.seconds, flops / speed.seconds * 1e-9, share(speed.bf16Peak),
      speed.bf16Peak * 1e-9, share(speed.f32Peak), speed.f32Peak * 1e-9, compiled * 1e3);
}

void contract(const HostCpu &cpu, int64_t slots, int64_t valid, int64_t depth, int64_t rows,
              const char *values, const char *weights, int64_t tileRows = 32) {
  int64_t tiles = rows / tileRows, bytes = std::strcmp(weights, "f32") ? 2 : 4;
  std::string text = llvm::formatv(
      "tile.stage @s(%x: !tile.buffer<{0} x {1} x {2}>, %w: !tile.matrix<rows = {6}, row_pad = "
      "{6}, blocks = 1, columns = {1}, column_pad = {1}, element = {3}>, %y: !tile.buffer<{0} x "
      "{4} "
      "x f32>) {{\ntile.section grid = [{5}] {{\n^bb0(%t: index):\n%0 = tile.load %x : "
      "!tile.buffer<{0} x {1} x {2}> -> tensor<{0}x{1}x{2}>\n%1 = tile.contract %w, %0 : "
      "!tile.matrix<rows = {6}, row_pad = {6}, blocks = 1, columns = {1}, column_pad = {1}, "
      "element "
      "= {3}>, tensor<{0}x{1}x{2}> -> tensor<{0}x{6}xf32>\ntile.store %1, %y columns "
      "affine_map<(t) -> (t * {6})> : tensor<{0}x{6}xf32>, !tile.buffer<{0} x {4} x f32>\n}\n}\n",
      slots, depth, values, weights, rows, tiles, tileRows);
  // A value that several tiles use is split in the prologue, as a norm's result would be.
  if (!std::strcmp(values, "f32")) {
    std::string load = llvm::formatv(
        "%0 = tile.load %x : !tile.buffer<{0} x {1} x f32> -> tensor<{0}x{1}xf32>\n", slots, depth);
    size_t at = text.find(load);
    text.erase(at, load.size());
    text.insert(text.find("tile.section"),
                llvm::formatv("%0 = tile.prologue {{\n%p = tile.load %x : !tile.buffer<{0} x {1} x "
                              "f32> -> tensor<{0}x{1}xf32>\n%q = tile.add %p, %p : "
                              "tensor<{0}x{1}xf32>\ntile.yield %q : tensor<{0}x{1}xf32>\n} : "
                              "tensor<{0}x{1}xf32>\n",
                              slots, depth)
                    .str());
  }
  Code code(text, cpu);
  uint8_t *tape = reserve(rows * depth * bytes + 8192), *x = reserve(slots * depth * 4),
          *y = reserve(slots * rows * 4);
  void *bindings[] = {x, y};
  PianolaHostCall call{};
  call.bindings = bindings;
  call.tape = tape;
  call.slots = valid;
  size_t total = rows * depth * bytes;
  Speed speed = bestOf(code, call, tiles, tileRows * depth * bytes, tape, total, 7);
  std::printf("%6d x %4d %-4s %2d of %2d slots of %-4s", int(rows), int(depth), weights, int(valid),
              int(slots), values);
  print(speed, total, 2.0 * rows * depth * valid, code.seconds);
  munmap(tape, rows * depth * bytes + 8192);
  munmap(x, slots * depth * 4);
  munmap(y, slots * rows * 4);
}

void attend(const HostCpu &cpu, int64_t slots, int64_t position, int64_t group, int64_t size,
            const char *element) {
  constexpr int64_t kHeads = 8;
  int64_t bytes = std::strcmp(element, "f32") ? 2 : 4, width = group * size;
  int64_t block = std::min<int64_t>(slots, 16);
  std::string text = llvm::formatv(
      "tile.stage @s(%q: !tile.buffer<{0} x {1} x f32>, %c: !tile.context<{2} x {3} x {4}>, %o: "
      "!tile.buffer<{0} x {1} x f32>) {{\ntile.section grid = [{2}, {5}] {{\n^bb0(%h: index, %b: "
      "index):\n%0 = tile.load %q slots affine_map<(h, b) -> (b * {6})> columns affine_map<(h, b) "
      "-> (h * {7})> : !tile.buffer<{0} x {1} x f32> -> tensor<{6}x{7}xf32>\n%1 = tile.attend %0, "
      "%c head affine_map<(h, b) -> (h)> slots affine_map<(h, b) -> (b * {6})> scale = 0.1 window "
      "= 0 splits = 1 : tensor<{6}x{7}xf32>, !tile.context<{2} x {3} x {4}> -> "
      "tensor<{6}x{7}xf32>\ntile.store %1, %o slots affine_map<(h, b) -> (b * {6})> columns "
      "affine_map<(h, b) -> (h * {7})> : tensor<{6}x{7}xf32>, !tile.buffer<{0} x {1} x "
      "f32>\n}\n}\n",
      slots, kHeads * width, kHeads, size, element, slots / block, block, width);
  Code code(text, cpu);
  int64_t capacity = (position + slots + 63) / 64 * 64;
  size_t contextBytes = 2 * kHeads * capacity * size * bytes;
  uint8_t *context = reserve(contextBytes), *q = reserve(slots * kHeads * width * 4),
          *o = reserve(slots * kHeads * width * 4);
  void *bindings[] = {q, context, o};
  PianolaHostCall call{};
  call.bindings = bindings;
  std::vector<uint64_t> positions(slots);
  std::iota(positions.begin(), positions.end(), position);
  std::vector<uint32_t> sequences(slots);
  call.positions = positions.data();
  call.sequences = sequences.data();
  call.slots = slots;
  call.capacity = capacity;
  Speed speed = bestOf(code, call, kHeads * (slots / block), 0, context, contextBytes, 7);
  std::printf("attend %4s %d x %3d, %2d slots at %6d", element, int(group), int(size), int(slots),
              int(position));
  print(speed, contextBytes, 4.0 * kHeads * group * slots * position * size, code.seconds);
  munmap(context, contextBytes);
  munmap(q, slots * kHeads * width * 4);
  munmap(o, slots * kHeads * width * 4);
}

} // namespace
} // namespace pianola

int main(int argc, char **argv) {
  using namespace pianola;
  llvm::Expected<HostCpu> cpu = parseHostCpu(argc > 1 ? argv[1] : "host");
  if (!cpu) {
    std::fprintf(stderr, "%s\n", llvm::toString(cpu.takeError()).c_str());
    return 1;
  }
  if (!cpu->hasAvx512() && !llvm::cantFail(parseHostCpu("host")).hasAvx512()) {
    std::fprintf(stderr, "the roofs need AVX-512\n");
    return 1;
  }
  for (const char *weights : {"bf16", "f32"})
    for (int64_t slots : {1, 64})
      contract(*cpu, slots, 1, 2048, slots == 1 ? 131072 : 65536, "f32", weights);
  contract(*cpu, 64, 4, 2048, 65536, "f32", "bf16");
  contract(*cpu, 64, 8, 2048, 65536, "f32", "bf16");
  for (const char *values : {"f32", "bf16"})
    for (auto [rows, depth] : {std::pair{8192, 2048}, {2048, 8192}, {2048, 2048}})
      contract(*cpu, 64, 64, depth, rows, values, "bf16");
  contract(*cpu, 64, 64, 2048, 8192, "f32", "f32");
  for (const char *element : {"f32", "bf16"}) {
    attend(*cpu, 1, 32767, 4, 128, element);
    attend(*cpu, 1, 32767, 1, 64, element);
    attend(*cpu, 64, 4032, 4, 128, element);
    attend(*cpu, 64, 4032, 2, 64, element);
  }
  return 0;
}
