// PlayedStage.cpp - compiles the text of stages, maps the image and calls its parts.
#include "test/targets/host/PlayedStage.h"
#include "dialects/tile/Tile.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "test/runtime/amx/Emulation.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <sys/mman.h>

namespace pianola::test {

std::vector<std::string> runnableTargets() {
  std::vector<std::string> targets;
  llvm::Expected<HostCpu> here = parseHostCpu("host");
  if (!here) {
    llvm::consumeError(here.takeError());
    return targets;
  }
  targets.push_back("x86-64-v3");
  if (here->hasAvx512())
    targets.push_back("x86-64-v4");
  if (here->hasBf16Products()) {
    targets.push_back("x86-64-v4+avx512bf16");
    targets.push_back("x86-64-v4+amx-bf16");
  }
  return targets;
}

std::string nameOf(std::string target) {
  std::replace_if(target.begin(), target.end(), [](char c) { return !std::isalnum(c); }, '_');
  return target;
}

bool hasBf16Products(const std::string &target) {
  return llvm::cantFail(parseHostCpu(target)).hasBf16Products();
}

constexpr size_t kPage = 4096;

GuardedMemory::GuardedMemory(size_t bytes) {
  // The end lies on a page's end if `bytes` is a multiple of 64, the start on a cache line always.
  size_t lines = (bytes + 63) / 64 * 64;
  mapped = (lines + kPage - 1) / kPage * kPage + kPage;
  mapping = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    abort();
  uint8_t *guard = static_cast<uint8_t *>(mapping) + mapped - kPage;
  std::memset(mapping, 0xff, mapped - kPage);
  mprotect(guard, kPage, PROT_NONE);
  begin = guard - lines;
}

GuardedMemory::~GuardedMemory() { munmap(mapping, mapped); }

PlayedStage::PlayedStage(const std::string &text, const std::string &target) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module) {
    ADD_FAILURE() << "cannot parse\n" << text;
    return;
  }
  llvm::Expected<HostCpu> cpu = parseHostCpu(target);
  if (!cpu) {
    ADD_FAILURE() << llvm::toString(cpu.takeError());
    return;
  }
  if (cpu->hasTiles())
    provideAmx();
  llvm::Expected<HostImage> compiled = compileHost(*module, *cpu);
  if (!compiled) {
    ADD_FAILURE() << llvm::toString(compiled.takeError()) << "\n" << text;
    return;
  }
  image = std::move(*compiled);
  codeBytes = image.code.size();
  code = mmap(nullptr, codeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED)
    abort();
  std::memcpy(code, image.code.data(), codeBytes);
  mprotect(code, codeBytes, PROT_READ | PROT_EXEC);
  scratch = std::make_unique<GuardedMemory>(image.scratch);
}

PlayedStage::~PlayedStage() {
  if (code)
    munmap(code, codeBytes);
}

void PlayedStage::placeSlots(uint64_t position, uint64_t count) {
  std::vector<uint64_t> consecutive(count);
  std::iota(consecutive.begin(), consecutive.end(), position);
  placeSlots(consecutive, std::vector<uint32_t>(count));
}

void PlayedStage::placeSlots(std::vector<uint64_t> places, std::vector<uint32_t> owners) {
  positions = std::move(places);
  sequences = std::move(owners);
  call.positions = positions.data();
  call.sequences = sequences.data();
  call.slots = positions.size();
}

void PlayedStage::run(const std::string &suffix, uint64_t begin, uint64_t end) {
  for (const HostImage::Part &part : image.parts) {
    if (llvm::StringRef(part.name).rsplit('.').second != suffix)
      continue;
    call.bindings = bindings.data();
    call.scratch = scratch->data();
    call.begin = begin;
    call.end = end;
    reinterpret_cast<PianolaHostPart>(static_cast<uint8_t *>(code) + part.entry)(&call);
    return;
  }
  ADD_FAILURE() << "the stage has no part " << suffix;
}

std::string buffer(int64_t slots, int64_t columns, const char *element) {
  return llvm::formatv("!tile.buffer<{0} x {1} x {2}>", slots, columns, element);
}
std::string tensor(int64_t slots, int64_t columns, const char *element) {
  return llvm::formatv("tensor<{0}x{1}x{2}>", slots, columns, element);
}
std::string oneTile(const std::string &arguments, const std::string &body) {
  return "tile.stage @s(" + arguments + ") {\ntile.section grid = [1] {\n^bb0(%t: index):\n" +
         body + "}\n}\n";
}

std::vector<float> randomNumbers(size_t count, unsigned seed, bool exact) {
  std::mt19937 engine(seed);
  std::vector<float> numbers(count);
  for (float &number : numbers) {
    number = static_cast<float>(engine() % 20001) / 10000.0f - 1.0f;
    if (exact)
      number = std::round(number * 64) / 64;
  }
  return numbers;
}

std::vector<uint8_t> packTile(const std::vector<float> &weights, int64_t rows, int64_t depth,
                              const std::string &element) {
  int64_t bytes = element == "f32" ? 4 : 2;
  std::vector<uint8_t> packed(rows * depth * bytes);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t k = 0; k < depth; ++k) {
      // Groups of 32 rows, and last perhaps one of 16.
      int64_t group = row / 32, in = row % 32;
      int64_t width = rows - group * 32 >= 32 ? 32 : 16;
      int64_t start = group * 32 * depth;
      int64_t at =
          element == "bf16" ? start + ((k / 2) * width + in) * 2 + k % 2 : start + k * width + in;
      float value = weights[row * depth + k];
      if (element == "f32") {
        std::memcpy(&packed[at * 4], &value, 4);
      } else if (element == "bf16") {
        uint16_t bits = toBf16(value);
        std::memcpy(&packed[at * 2], &bits, 2);
      } else {
        auto half = static_cast<_Float16>(value);
        std::memcpy(&packed[at * 2], &half, 2);
      }
    }
  return packed;
}

} // namespace pianola::test
