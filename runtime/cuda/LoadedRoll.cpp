// LoadedRoll.cpp - what sessions of a roll share on a GPU: the weights and the kernels.
#include "runtime/cuda/LoadedRoll.h"

#include "runtime/cuda/LoadModule.h"

#include <algorithm>
#include <map>
#include <mutex>

namespace pianola::cuda {

Result<std::shared_ptr<LoadedRoll>> LoadedRoll::open(const Roll &roll, const std::string &driver) {
  static std::mutex mutex;
  static auto *opened =
      new std::map<std::pair<const Roll *, std::string>, std::weak_ptr<LoadedRoll>>;
  std::lock_guard<std::mutex> lock(mutex);
  // A roll outlives its sessions, so what lives on here is of this very roll.
  std::weak_ptr<LoadedRoll> &known = (*opened)[{&roll, driver}];
  if (std::shared_ptr<LoadedRoll> there = known.lock())
    return there;
  Result<std::unique_ptr<Gpu>> gpu = Gpu::open(driver, roll.manifest().target);
  if (!gpu)
    return gpu.status();
  std::shared_ptr<LoadedRoll> made(new LoadedRoll(roll, std::move(*gpu)));
  known = made;
  return made;
}

LoadedRoll::~LoadedRoll() {
  if (module && gpu->enter().ok())
    gpu->driver.cuModuleUnload(module);
}

// Loaders copy whole slots of their ring, so the last one may reach beyond the tape.
static uint64_t slackOf(const RollManifest &manifest) {
  uint64_t slack = 0;
  for (const RollProgram &program : manifest.programs)
    slack = std::max(slack, program.kernel.chunk);
  return slack;
}

void LoadedRoll::plan(MemoryPlan &plan) {
  if (isLoaded)
    return;
  plan.add("weights", roll.sectionBytes(PIANOLA_SECTION_TAPE) + slackOf(roll.manifest()), tapes);
  plan.add("embeddings", roll.sectionBytes(PIANOLA_SECTION_TABLE), rows);
  plan.add("constants", roll.sectionBytes(PIANOLA_SECTION_CONSTANT), constant);
  plan.add("tile addresses", roll.sectionBytes(PIANOLA_SECTION_TILES), tiles);
}

Status LoadedRoll::load() {
  if (isLoaded)
    return Status();
  Result<CUmodule> loaded = loadModule(*gpu, roll);
  if (!loaded)
    return loaded.status();
  module = *loaded;
  if (Status status = findKernels(); !status.ok())
    return status;
  for (auto [kind, to] :
       {std::pair(PIANOLA_SECTION_TAPE, &tapes), std::pair(PIANOLA_SECTION_TABLE, &rows),
        std::pair(PIANOLA_SECTION_CONSTANT, &constant)})
    if (Status status = upload(kind, *to); !status.ok())
      return status;
  if (Status status = placeTables(); !status.ok())
    return status;
  isLoaded = true;
  return Status();
}

Status LoadedRoll::upload(PianolaSectionKind kind, const DeviceMemory &to) {
  uint64_t bytes = roll.sectionBytes(kind);
  if (Status status = to.write(0, roll.section(kind), bytes); !status.ok())
    return status;
  return to.clear(bytes, to.size() - bytes);
}

Status LoadedRoll::placeTables() {
  uint64_t count = roll.sectionBytes(PIANOLA_SECTION_TILES) / sizeof(uint64_t);
  auto *offsets = reinterpret_cast<const uint64_t *>(roll.section(PIANOLA_SECTION_TILES));
  std::vector<uint64_t> addresses(offsets, offsets + count);
  for (uint64_t &address : addresses)
    address += tape();
  for (const RollTable &table : roll.manifest().tables)
    tables.push_back(table.onTapes ? tiles.address() + table.offset * sizeof(uint64_t)
                                   : rows.address() + table.offset);
  return tiles.write(0, addresses.data(), addresses.size() * sizeof(uint64_t));
}

Status LoadedRoll::findKernels() {
  for (const RollProgram &program : roll.manifest().programs) {
    Kernels found;
    Result<CUfunction> function = findKernel(program.kernel, program.kernel.entry);
    if (!function)
      return function.status();
    found.persistent = *function;
    for (const RollStage &stage : program.kernel.stages) {
      function = findKernel(program.kernel, stage.entry);
      if (!function)
        return function.status();
      found.stages.push_back(*function);
    }
    functions.push_back(std::move(found));
  }
  return Status();
}

Result<CUfunction> LoadedRoll::findKernel(const RollKernel &kernel, const std::string &entry) {
  const Driver &driver = gpu->driver;
  CUfunction function = nullptr;
  if (CUresult result = driver.cuModuleGetFunction(&function, module, entry.c_str()))
    return Status::error("the roll's code has no kernel " + entry + ": " + driver.describe(result));
  auto fails = [&](const std::string &why) {
    return Status::error("kernel " + entry + " with " + std::to_string(kernel.threads) +
                         " threads and " + std::to_string(kernel.shared) +
                         " bytes of shared memory cannot run on " + gpu->name + ": " + why);
  };
  CUresult result = driver.cuFuncSetAttribute(
      function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(kernel.shared));
  if (result != CUDA_SUCCESS)
    return fails("a block may have " + std::to_string(gpu->sharedPerBlock) + " bytes");
  int blocks = 0;
  result = driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(
      &blocks, function, static_cast<int>(kernel.threads), kernel.shared);
  if (result != CUDA_SUCCESS)
    return fails(driver.describe(result));
  if (blocks < 1)
    return fails("an SM has not enough registers or shared memory for a block");
  return function;
}

} // namespace pianola::cuda
