// Speed.cpp - how many thread instructions a second the PTX emulator executes: with all checks and
// without, on one core, and on every core at once (a seed each).
//
//     ninja -C build emulator-speed && build/bin/emulator-speed [seconds for each figure] [part of
//     a kernel's name]
//
// Kernels are those of the emulator's tests, larger.
#include "targets/nvptx/emulator/Code.h"
#include "targets/nvptx/emulator/Emulator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

using namespace pianola;
using namespace pianola::ptx;

namespace {

/// One launch, on a device of its own.
struct Workload {
  const char *name, *file, *kernel;
  uint32_t grid, block, dynamicShared;
  std::function<void(Device &, Arguments &)> prepare;
};

uint64_t words(Device &device, size_t count, uint32_t step, uint32_t most) {
  std::vector<uint32_t> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = uint32_t(i * step) % most;
  uint64_t at = *device.allocate(count * 4);
  (void)device.write(at, values.data(), count * 4).ok();
  return at;
}

uint64_t floats(Device &device, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = float(i % 17) - 8;
  uint64_t at = *device.allocate(count * 4);
  (void)device.write(at, values.data(), count * 4).ok();
  return at;
}

uint64_t zeros(Device &device, size_t bytes) {
  uint64_t at = *device.allocate(bytes);
  (void)device.fill(at, 0, bytes).ok();
  return at;
}

/// A persistent kernel: in each layer every block plays one record of its tape, and waits for all
/// of the layer before.
void prepareTape(Device &device, Arguments &arguments) {
  constexpr uint32_t blocks = 132, layers = 40, rows = 4, width = 64;
  struct Record {
    uint32_t source, target, awaits, until, signals, halve, unused[2];
    float weights[rows][width];
  };
  std::vector<Record> tape(blocks * layers);
  std::vector<uint32_t> begins(blocks + 1);
  for (uint32_t block = 0; block < blocks; ++block) {
    begins[block + 1] = (block + 1) * layers;
    for (uint32_t layer = 0; layer < layers; ++layer) {
      Record &record = tape[block * layers + layer];
      record.source = layer * blocks * rows;
      record.target = (layer + 1) * blocks * rows + block * rows;
      record.awaits = layer ? layer - 1 : ~0u;
      record.until = blocks;
      record.signals = layer;
      for (auto &row : record.weights)
        for (float &weight : row)
          weight = 1.0f / 64;
    }
  }
  uint64_t atTape = *device.allocate(tape.size() * sizeof(Record));
  (void)device.write(atTape, tape.data(), tape.size() * sizeof(Record)).ok();
  uint64_t atBegins = *device.allocate(begins.size() * 4);
  (void)device.write(atBegins, begins.data(), begins.size() * 4).ok();
  uint64_t activations = *device.allocate((layers + 1) * blocks * rows * 4);
  (void)device.fill(activations, 0, blocks * rows * 4).ok();
  arguments.add(atTape).add(atBegins).add(activations).add(zeros(device, layers * 4));
}

const std::vector<Workload> &workloads() {
  static const std::vector<Workload> all = {
      {"sum by shuffles", "reduce.sm_80", "reduce_shuffle", 64, 256, 0,
       [](Device &d, Arguments &a) { a.add(floats(d, 1 << 20)).add(zeros(d, 256)).add(1u << 20); }},
      {"sum in shared memory", "reduce.sm_80", "reduce_tree", 2048, 256, 0,
       [](Device &d, Arguments &a) {
         a.add(floats(d, 1 << 19)).add(zeros(d, 8192)).add(1u << 19);
       }},
      {"histogram", "atomics.sm_80", "histogram", 64, 256, 0,
       [](Device &d, Arguments &a) {
         a.add(words(d, 1 << 17, 2654435761u, ~0u)).add(zeros(d, 256)).add(1u << 19);
       }},
      {"divergent loops", "control.sm_80", "branch_collatz", 128, 256, 0,
       [](Device &d, Arguments &a) {
         a.add(words(d, 128 * 256, 7, 100003)).add(zeros(d, 128 * 256 * 4));
       }},
      {"product with mma", "gemm.sm_80", "gemm_f16", 0, 128, 0,
       [](Device &d, Arguments &a) {
         a.add(words(d, 256 * 128, 0, 1))
             .add(words(d, 256 * 128, 0, 1))
             .add(zeros(d, 256 * 256 * 4))
             .add(256u)
             .add(256u);
       }},
      {"matrix times vector", "gemv.sm_80", "gemv_bf16", 256, 128, 0,
       [](Device &d, Arguments &a) {
         a.add(words(d, 1024 * 512, 3, 16256))
             .add(words(d, 512, 5, 16256))
             .add(zeros(d, 4096))
             .add(1024u)
             .add(1024u);
       }},
      {"ring of bulk copies", "bulk.sm_90a", "bulk_ring", 132, 160, 0,
       [](Device &d, Arguments &a) {
         a.add(words(d, 132 * 64 * 256, 9, 1000)).add(zeros(d, 132 * 128 * 8)).add(64u);
       }},
      {"persistent kernel with a tape", "tape.sm_90a", "tape_player", 132, 160,
       3 * (32 + 4 * 64 * 4), prepareTape},
  };
  return all;
}

std::string textOf(const Workload &workload) {
  std::string path = std::string(PIANOLA_SOURCE_DIR "/test/targets/nvptx/emulator/kernels/") +
                     workload.file + ".ptx";
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

struct Count {
  double seconds = 0;
  uint64_t instructions = 0;
};

/// Plays for about so long. The time of preparation is not counted.
Count measure(const Workload &workload, const std::string &text, Checks checks, double seconds,
              uint64_t seed) {
  Count count;
  while (count.seconds < seconds) {
    bool hopper = std::string(workload.file).find("sm_90a") != std::string::npos;
    Device device(*findDevice(hopper ? "h200" : "a100"));
    auto module = device.load(text, workload.file);
    Arguments arguments;
    workload.prepare(device, arguments);
    Launch launch;
    launch.grid = workload.grid ? Dim3{workload.grid} : Dim3{8, 8};
    launch.block = {workload.block};
    launch.dynamicShared = workload.dynamicShared;
    launch.seed = seed++;
    launch.checks = checks;
    auto begin = std::chrono::steady_clock::now();
    auto played = device.play((*module)->findKernel(workload.kernel), launch, arguments);
    count.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!played || !played->findings.empty()) {
      std::fprintf(stderr, "%s: %s\n", workload.name,
                   played ? played->findings[0].text().c_str() : played.message().c_str());
      std::exit(1);
    }
    count.instructions += played->threadInstructions;
  }
  return count;
}

double millions(const Count &count) { return double(count.instructions) / count.seconds / 1e6; }

} // namespace

int main(int argc, char **argv) {
  double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  std::printf("Millions of thread instructions a second, %u cores\n\n", cores);
  std::printf("| kernel | all checks | no checks | all checks, every core |\n|---|---|---|---|\n");
  double sums[3] = {};
  int shown = 0;
  for (const Workload &workload : workloads()) {
    if (argc > 2 && !std::strstr(workload.kernel, argv[2]))
      continue;
    ++shown;
    std::string text = textOf(workload);
    double checked = millions(measure(workload, text, {}, seconds, 1));
    double unchecked = millions(measure(workload, text, Checks::none(), seconds, 1));
    std::vector<Count> counts(cores);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < cores; ++i)
      threads.emplace_back([&, i] { counts[i] = measure(workload, text, {}, seconds, 100 * i); });
    for (std::thread &thread : threads)
      thread.join();
    double together = 0;
    for (const Count &count : counts)
      together += millions(count);
    std::printf("| %s | %.0f | %.0f | %.0f |\n", workload.name, checked, unchecked, together);
    double all[3] = {checked, unchecked, together};
    for (int i = 0; i < 3; ++i)
      sums[i] += 1 / all[i];
  }
  double n = shown;
  std::printf("| harmonic mean | %.0f | %.0f | %.0f |\n", n / sums[0], n / sums[1], n / sums[2]);
  return 0;
}
