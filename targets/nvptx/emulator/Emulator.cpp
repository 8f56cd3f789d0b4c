#include "targets/nvptx/emulator/Emulator.h"

#include "targets/nvptx/emulator/Decoder.h"
#include "targets/nvptx/emulator/DeviceState.h"
#include "targets/nvptx/emulator/Parser.h"
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/Profile.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

constexpr uint32_t mostThreads = 1024; ///< of a block, on every device
/// Of one module. What a text asks for must not be all that this machine has.
constexpr uint64_t mostVariableBytes = uint64_t(1) << 30;

/// Each kernel has its own copy of what it calls; so many are allowed.
constexpr size_t leastOps = 1 << 19, opsPerInstruction = 64;

/// The variables of a module that is being loaded: given back if it turns out to be wrong.
class Placement {
public:
  explicit Placement(Memory &memory) : memory(memory) {}
  ~Placement() {
    for (uint64_t address : addresses)
      (void)memory.release(address);
  }
  void add(uint64_t address) { addresses.push_back(address); }
  void keep() { addresses.clear(); }

private:
  Memory &memory;
  std::vector<uint64_t> addresses;
};

/// Whether code for `target` ("sm_90a") runs on a device of that capability. Targets with a letter
/// run on exactly their own.
Status checkTarget(const Syntax &syntax, const DeviceRow &row) {
  std::string_view target = syntax.target;
  uint32_t number = 0;
  size_t i = target.substr(0, 3) == "sm_" ? 3 : target.size();
  bool any = false;
  for (; i < target.size() && target[i] >= '0' && target[i] <= '9' && number < 10000; ++i)
    number = number * 10 + uint32_t(target[i] - '0'), any = true;
  if (!any)
    return Status::error(syntax.name + ": .target '" + std::string(target) + "' is no sm_NN");
  bool exact = i < target.size();
  if (number > row.capability || (exact && number != row.capability))
    return Status::error(syntax.name + ": code for " + std::string(target) + " does not run on " +
                         std::string(row.name) + ", which is sm_" + std::to_string(row.capability));
  return {};
}

} // namespace

const Kernel *Module::findKernel(std::string_view name) const {
  for (const Kernel &kernel : all)
    if (kernel.name == name)
      return &kernel;
  return nullptr;
}

Device::Device(const DeviceRow &row, uint64_t seed)
    : state(std::make_unique<DeviceState>(row, seed)) {}
Device::~Device() = default;

const DeviceRow &Device::row() const { return state->row; }

Result<std::shared_ptr<const Module>> Device::load(std::string_view text, std::string name) {
  auto syntax = parse(text, name);
  if (!syntax)
    return syntax.status();
  if (Status status = checkTarget(**syntax, state->row); !status.ok())
    return status;
  auto module = std::make_shared<Module>();
  module->syntax = *syntax;
  Placement placement(state->memory);
  uint64_t variableBytes = 0;
  for (const Variable &variable : module->syntax->variables) {
    if (variable.space != Space::Global && variable.space != Space::Const)
      continue;
    if (variable.isExtern)
      return Status::error(name + ":" + std::to_string(variable.line) + ": extern '" +
                           std::string(variable.name) + "': linking is not supported");
    variableBytes += variable.size;
    Buffer *buffer =
        variableBytes <= mostVariableBytes
            ? state->memory.allocate(variable.size, std::string(variable.name), /*zero=*/true)
            : nullptr;
    if (!buffer)
      return Status::error(name + ":" + std::to_string(variable.line) + ": no memory for '" +
                           std::string(variable.name) + "' of " + std::to_string(variable.size) +
                           " bytes");
    placement.add(buffer->base);
    if (!variable.value.empty())
      std::memcpy(buffer->bytes.get(), variable.value.data(), variable.value.size());
    buffer->shadow.markWritten(0, variable.size);
    buffer->readOnly = variable.space == Space::Const;
    module->addresses[&variable] = buffer->base;
  }
  size_t mostOps = leastOps, ops = 0;
  for (const Function &function : module->syntax->functions)
    mostOps += opsPerInstruction * function.instructions.size();
  for (const Function &function : module->syntax->functions) {
    if (!function.isEntry)
      continue;
    module->all.emplace_back();
    Kernel &kernel = module->all.back();
    kernel.name = function.name;
    kernel.module = module.get();
    kernel.requiredBlock = function.requiredBlock, kernel.maximumBlock = function.maximumBlock;
    Decoder decoder(*module, kernel);
    if (Status status = decoder.decode(function); !status.ok())
      return status;
    ops += kernel.code.ops.size();
    if (ops > mostOps)
      return Status::error(name + ":" + std::to_string(function.line) +
                           ": the kernels and what each of them calls are too long");
  }
  for (const Variable &variable : module->syntax->variables) {
    for (const Relocation &relocation : variable.relocations) {
      uint64_t address = 0;
      if (relocation.variable)
        address = module->addresses.count(relocation.variable)
                      ? module->addresses[relocation.variable]
                      : 0;
      else if (relocation.function)
        address = addressOf(*relocation.function);
      address += uint64_t(relocation.addend);
      std::memcpy(state->memory.find(module->addresses[&variable])->bytes.get() + relocation.offset,
                  &address, 8);
    }
  }
  placement.keep();
  return std::shared_ptr<const Module>(std::move(module));
}

Result<std::pair<uint64_t, uint64_t>> Device::variable(const Module &module,
                                                       std::string_view name) const {
  for (auto [variable, address] : module.addresses)
    if (variable->name == name)
      return std::pair(address, variable->size);
  return Status::error(module.name() + ": no variable '" + std::string(name) + "'");
}

Result<uint64_t> Device::allocate(uint64_t bytes, std::string name) {
  if (Buffer *buffer = state->memory.allocate(bytes, std::move(name)))
    return buffer->base;
  return Status::error("out of device memory: " + std::to_string(bytes) + " bytes are wanted, " +
                       std::to_string(state->memory.total() - state->memory.used()) + " are free");
}

Result<uint64_t> Device::adopt(void *memory, uint64_t bytes, std::string name) {
  if (!memory || !bytes)
    return Status::error("adopt: there is no memory");
  if (Buffer *buffer = state->memory.adopt(memory, bytes, std::move(name)))
    return buffer->base;
  return Status::error("adopt: no address is free");
}

Result<std::pair<uint64_t, uint64_t>> Device::extent(uint64_t address) const {
  auto buffer = state->memory.findRange(address, 0, "extent");
  if (!buffer)
    return buffer.status();
  return std::pair((*buffer)->base, (*buffer)->size);
}

uint64_t Device::usedBytes() const { return state->memory.used(); }

Status Device::release(uint64_t address) { return state->memory.release(address); }

Status Device::write(uint64_t address, const void *source, uint64_t bytes) {
  auto buffer = state->memory.findRange(address, bytes, "write");
  if (!buffer)
    return buffer.status();
  uint64_t offset = address - (*buffer)->base;
  if (bytes)
    std::memcpy((*buffer)->bytes.get() + offset, source, bytes);
  (*buffer)->shadow.markWritten(offset, bytes);
  return {};
}

Status Device::read(uint64_t address, void *target, uint64_t bytes) const {
  auto buffer = state->memory.findRange(address, bytes, "read");
  if (!buffer)
    return buffer.status();
  if (bytes)
    std::memcpy(target, (*buffer)->bytes.get() + (address - (*buffer)->base), bytes);
  return {};
}

Status Device::fill(uint64_t address, uint8_t value, uint64_t bytes) {
  auto buffer = state->memory.findRange(address, bytes, "fill");
  if (!buffer)
    return buffer.status();
  uint64_t offset = address - (*buffer)->base;
  std::memset((*buffer)->bytes.get() + offset, value, bytes);
  (*buffer)->shadow.markWritten(offset, bytes);
  return {};
}

Result<Played> Device::play(const Kernel *kernel, const Launch &launch,
                            const Arguments &arguments) {
  if (!kernel)
    return Status::error("no kernel was given");
  auto refuse = [&](const std::string &why) {
    return Status::error("'" + kernel->name + "': " + why);
  };
  const DeviceRow &row = state->row;
  const Dim3 &grid = launch.grid, &block = launch.block;
  uint64_t threads =
      block.x <= mostThreads && block.y <= mostThreads && block.z <= 64 ? block.count() : ~0u;
  uint64_t most = std::min<uint64_t>(
      mostThreads, kernel->maximumBlock.x ? kernel->maximumBlock.count() : mostThreads);
  if (!threads || threads > most)
    return refuse("a block must have 1 to " + std::to_string(most) + " threads");
  const Dim3 &required = kernel->requiredBlock;
  if (required.x && (required.x != block.x || required.y != block.y || required.z != block.z))
    return refuse(".reqntid states another size of block");
  if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 ||
      grid.count() >= mostBlocks)
    return refuse("a grid must have 1 to " + std::to_string(mostBlocks - 1) + " blocks");
  uint64_t shared = uint64_t(kernel->sharedBytes) + launch.dynamicShared;
  if (shared > row.sharedPerBlock)
    return refuse(std::to_string(shared) + " bytes of shared memory are wanted, a block on " +
                  std::string(row.name) + " has " + std::to_string(row.sharedPerBlock));
  if (launch.cooperative) {
    uint64_t perSm =
        std::min<uint64_t>({row.blocksPerSm, row.threadsPerSm / ((threads + 31) & ~31u),
                            row.sharedPerSm / (shared + reservedShared)});
    if (grid.count() > perSm * row.sms)
      return refuse("a cooperative launch of " + std::to_string(grid.count()) + " blocks, where " +
                    std::to_string(perSm * row.sms) + " fit on the device at once");
  }
  if (arguments.values.size() != kernel->parameters.size())
    return refuse(std::to_string(kernel->parameters.size()) + " parameters are expected, " +
                  std::to_string(arguments.values.size()) + " were given");
  std::vector<uint8_t> bank(kernel->parameterBytes);
  for (size_t i = 0; i < arguments.values.size(); ++i) {
    const KernelParameter &parameter = kernel->parameters[i];
    if (arguments.values[i].size() != parameter.size)
      return refuse("parameter " + std::to_string(i) + " has " + std::to_string(parameter.size) +
                    " bytes, " + std::to_string(arguments.values[i].size()) + " were given");
    if (parameter.size)
      std::memcpy(bank.data() + parameter.offset, arguments.values[i].data(), parameter.size);
  }
  if (launch.profile)
    launch.profile->begin(kernel->code);
  Playing playing(*state, *kernel, launch, std::move(bank));
  if (launch.cooperative) {
    // What cooperative_groups finds through %envreg: a size, then the counter of the grid's
    // barrier.
    if (!state->gridWorkspace) {
      Buffer *buffer = state->memory.allocate(64, "grid workspace");
      if (!buffer)
        return refuse("no memory for the grid's barrier");
      state->gridWorkspace = buffer->base;
    }
    if (Status status = fill(state->gridWorkspace, 0, 64); !status.ok())
      return status;
    playing.gridWorkspace = state->gridWorkspace;
  }
  Played played = playing.run();
  state->memory.settle();
  ++state->launches;
  return played;
}

} // namespace pianola::ptx
