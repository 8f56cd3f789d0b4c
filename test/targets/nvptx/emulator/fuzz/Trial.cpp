#include "test/targets/nvptx/emulator/fuzz/Trial.h"

#include "targets/nvptx/emulator/Code.h"
#include "targets/nvptx/emulator/Emulator.h"
#include "targets/nvptx/emulator/Profile.h"

#include <cstdlib>

namespace pianola::ptx {

namespace {

constexpr uint64_t bufferBytes = 4096;
constexpr uint32_t mostKernels = 6;

void require(bool holds) {
  if (!holds)
    std::abort(); // seen by a fuzzer as by a test
}

/// Every text must say something, and name the file.
void checkFinding(const Finding &finding) {
  require(!finding.text().empty() && finding.file == "fuzz.ptx" && finding.place.line != 0);
}

} // namespace

Trial tryText(std::string_view text) {
  Trial trial;
  uint64_t seed = 1469598103934665603u;
  for (char c : text)
    seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211u;
  Device device(*findDevice("h200"), seed);
  auto module = device.load(text, "fuzz.ptx");
  if (!module) {
    require(module.message().rfind("fuzz.ptx:", 0) == 0);
    return trial;
  }
  trial.loaded = true;
  auto written = device.allocate(bufferBytes, "written"), fresh = device.allocate(bufferBytes);
  require(written.status().ok() && fresh.status().ok());
  require(device.fill(*written, uint8_t(seed >> 8) & 3, bufferBytes).ok());
  for (const Kernel &kernel : (*module)->kernels()) {
    if (trial.launches == mostKernels)
      break;
    Arguments arguments;
    for (size_t i = 0; i < kernel.parameters.size(); ++i) {
      uint32_t size = kernel.parameters[i].size;
      if (size == 8)
        arguments.add((seed >> i & 3) ? *written : *fresh);
      else if (size == 4)
        arguments.add(uint32_t(seed >> (i + 4) & 63));
      else
        arguments.addBytes(std::vector<uint8_t>(size + 1, 1).data(), size);
    }
    Profile profile;
    Launch launch;
    launch.grid = {1 + uint32_t(seed >> 20 & 1), 1 + uint32_t(seed >> 21 & 1), 1};
    launch.block = kernel.requiredBlock.x ? kernel.requiredBlock
                   : seed >> 22 & 1       ? Dim3{70, 1, 1}
                                          : Dim3{8, 4, 2};
    launch.dynamicShared = seed >> 23 & 1 ? 8192 : 0;
    launch.cooperative = seed >> 24 & 1;
    launch.seed = seed;
    launch.budget = 3000, launch.patience = 1500;
    if (!(seed >> 25 & 7))
      launch.checks = Checks::none();
    if (!(seed >> 28 & 3))
      launch.profile = &profile;
    auto played = device.play(&kernel, launch, arguments);
    if (!played)
      continue;
    ++trial.launches;
    trial.findings += played->findings.size();
    for (const Finding &finding : played->findings)
      checkFinding(finding);
    if (launch.profile)
      profile.byStage(kernel.code), profile.byInstruction(kernel.code), profile.bySpace();
  }
  return trial;
}

} // namespace pianola::ptx
