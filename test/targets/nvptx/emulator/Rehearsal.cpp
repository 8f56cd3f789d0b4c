#include "test/targets/nvptx/emulator/Rehearsal.h"

#include "targets/nvptx/emulator/Code.h"

#include <fstream>
#include <sstream>

using namespace pianola;
using namespace pianola::ptx;

std::string Outcome::text() const {
  std::string all = wrong;
  for (const Finding &finding : findings)
    all += (all.empty() ? "" : "\n") + finding.text();
  return all;
}

std::string ptx::kernelFolder() {
  return PIANOLA_SOURCE_DIR "/test/targets/nvptx/emulator/kernels/";
}
std::string ptx::defectFolder() {
  return PIANOLA_SOURCE_DIR "/test/targets/nvptx/emulator/defects/";
}

std::string ptx::readText(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return file ? text.str() : "";
}

Rehearsal::Rehearsal(const std::string &path, const std::string &deviceName, const Launch &like)
    : device(*findDevice(deviceName), like.seed), like(like) {
  auto loaded = device.load(readText(path), path.substr(path.rfind('/') + 1));
  if (loaded)
    module = *loaded;
  else
    outcome.wrong = loaded.message();
}

void Rehearsal::need(const Status &status) {
  if (!status.ok() && outcome.wrong.empty())
    outcome.wrong = status.message();
}

uint64_t Rehearsal::allocate(uint64_t bytes, const char *name) {
  auto at = device.allocate(bytes, name);
  need(at.status());
  return at ? *at : 0;
}

void Rehearsal::play(const char *kernel, Dim3 grid, Dim3 block, const Arguments &arguments,
                     uint32_t dynamicShared, bool cooperative) {
  if (!good())
    return;
  Launch launch = like;
  launch.grid = grid, launch.block = block;
  launch.dynamicShared = dynamicShared, launch.cooperative = cooperative;
  const Kernel *found = module->findKernel(kernel);
  expect(found, std::string("no kernel ") + kernel);
  if (!found)
    return;
  auto played = device.play(found, launch, arguments);
  need(played.status());
  if (!played)
    return;
  outcome.findings = played->findings;
  outcome.output += played->output;
  outcome.threadInstructions += played->threadInstructions;
}

void Rehearsal::expect(bool condition, const std::string &what) {
  if (!condition && outcome.wrong.empty())
    outcome.wrong = what;
}

void Rehearsal::digest(const void *bytes, size_t size) {
  for (size_t i = 0; i < size; ++i)
    outcome.digest = (outcome.digest ^ static_cast<const uint8_t *>(bytes)[i]) * 1099511628211u;
}

std::string Case::path() const { return kernelFolder() + file + "." + architecture + ".ptx"; }

Outcome Case::play(const std::string &path, const Launch &like) const {
  Rehearsal rehearsal(path, deviceName(), like);
  if (rehearsal.good())
    body(rehearsal);
  return std::move(rehearsal.outcome);
}

void Repertoire::add(const std::string &name, const std::function<void(Rehearsal &)> &body) {
  for (const char *architecture : {"sm_80", "sm_90a"}) {
    Case made{name + "." + architecture, current, architecture, body};
    if (std::ifstream(made.path()))
      cases.push_back(std::move(made));
  }
}

const std::vector<Case> &ptx::goodKernels() {
  static const std::vector<Case> all = [] {
    std::vector<Case> cases;
    Repertoire repertoire(cases);
    addReductions(repertoire);
    addMatrices(repertoire);
    addNorms(repertoire);
    addCopies(repertoire);
    addGrids(repertoire);
    addIdioms(repertoire);
    addLibraries(repertoire);
    addWarpgroups(repertoire);
    addAtomics(repertoire);
    addControl(repertoire);
    addMemory(repertoire);
    addNumbers(repertoire);
    return cases;
  }();
  return all;
}

const Case *ptx::findCase(const std::string &name) {
  for (const Case &one : goodKernels())
    if (one.name == name)
      return &one;
  return nullptr;
}
