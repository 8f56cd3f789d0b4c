// Launches: what is refused at once, and what the player hears.
#include "targets/nvptx/driver/State.h"

#include "targets/nvptx/emulator/DeviceState.h"

#include <algorithm>
#include <cstdio>

namespace pianola::cuda {

namespace {

constexpr double launchSeconds = 2e-6;
/// Launches look at who waits for the lock once in so many quanta.
constexpr uint32_t quantaOfTurn = 16;

/// What the hardware would say of a wrong note that ends the launch.
CUresult errorOf(const ptx::Finding &finding) {
  using ptx::FindingKind;
  switch (finding.kind) {
  case FindingKind::OutOfBounds:
  case FindingKind::UseAfterFree:
  case FindingKind::ReadOnly:
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  case FindingKind::Misaligned:
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  case FindingKind::Trap:
    return finding.message.find("assertion") != std::string::npos ? CUDA_ERROR_ASSERT
                                                                  : CUDA_ERROR_LAUNCH_FAILED;
  case FindingKind::Deadlock:
  case FindingKind::Livelock:
  case FindingKind::Budget:
    return CUDA_ERROR_LAUNCH_TIMEOUT;
  default:
    return CUDA_ERROR_LAUNCH_FAILED;
  }
}

/// Parameters as a launch hands them over: one pointer each, or one buffer for all.
CUresult takeParameters(const ptx::Kernel &kernel, void **parameters, void **extra,
                        ptx::Arguments &arguments) {
  if (parameters && extra)
    return CUDA_ERROR_INVALID_VALUE;
  if (parameters) {
    for (size_t i = 0; i < kernel.parameters.size(); ++i) {
      if (!parameters[i])
        return CUDA_ERROR_INVALID_VALUE;
      arguments.addBytes(parameters[i], kernel.parameters[i].size);
    }
    return CUDA_SUCCESS;
  }
  if (!extra)
    return kernel.parameters.empty() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  const uint8_t *buffer = nullptr;
  size_t bytes = 0;
  for (size_t i = 0; extra[i]; i += 2) {
    auto word = reinterpret_cast<uintptr_t>(extra[i]);
    if (word == 1)
      buffer = static_cast<const uint8_t *>(extra[i + 1]);
    else if (word == 2)
      bytes = *static_cast<const size_t *>(extra[i + 1]);
    else
      return CUDA_ERROR_INVALID_VALUE;
  }
  for (const ptx::KernelParameter &parameter : kernel.parameters) {
    if (!buffer || parameter.offset + parameter.size > bytes)
      return CUDA_ERROR_INVALID_VALUE;
    arguments.addBytes(buffer + parameter.offset, parameter.size);
  }
  return CUDA_SUCCESS;
}

/// Plays a launch that was checked, and tells what the context's error becomes.
CUresult play(Context &context, const ptx::Kernel &kernel, const ptx::Launch &like,
              const ptx::Arguments &arguments) {
  ptx::Launch launch = like;
  launch.seed = context.settings.seed + ++context.launches;
  launch.checks = context.settings.checks;
  launch.hostPatience = context.settings.patience;
  Turn &turn = library().turn;
  launch.pause = [&turn, quanta = 0u](uint32_t microseconds) mutable {
    if (microseconds)
      turn.sleep(microseconds);
    else if (++quanta % quantaOfTurn == 0)
      turn.giveWay();
  };
  auto played = context.device.play(&kernel, launch, arguments);
  if (!played) {
    complain(played.message());
    return CUDA_ERROR_LAUNCH_FAILED;
  }
  const DeviceRow &row = context.device.row();
  double sms = double(std::min<uint64_t>(launch.grid.count(), row.sms));
  context.clock += launchSeconds + double(played->warpInstructions) / (sms * row.clock);
  if (!played->output.empty()) {
    fwrite(played->output.data(), 1, played->output.size(), stdout);
    fflush(stdout);
  }
  for (const ptx::Finding &finding : played->findings)
    complain(finding.text());
  // The note that stopped the launch is the last one.
  if (played->stopped && !played->findings.empty())
    return errorOf(played->findings.back());
  if (!played->findings.empty() && !context.settings.reportOnly)
    context.heardWrongNotes = true;
  return CUDA_SUCCESS;
}

CUresult launch(CUfunction function, ptx::Launch wanted, CUstream streamHandle, void **parameters,
                void **extra) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(streamHandle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  Work work;
  if (CUresult result =
          makeLaunch(*call.context, function, std::move(wanted), parameters, extra, work))
    return result;
  return submit(*call.context, *stream, std::move(work));
}

} // namespace

void complain(const std::string &line) {
  fprintf(stderr, "%s\n", line.c_str());
  fflush(stderr);
}

uint32_t residentBlocks(const DeviceRow &row, const ptx::Kernel &kernel, uint64_t threads,
                        uint64_t dynamicShared) {
  uint64_t shared = kernel.sharedBytes + dynamicShared;
  if (!threads || shared > row.sharedPerBlock)
    return 0;
  return uint32_t(std::min<uint64_t>({row.blocksPerSm, row.threadsPerSm / ((threads + 31) & ~31u),
                                      row.sharedPerSm / (shared + ptx::reservedShared)}));
}

CUresult makeLaunch(Context &context, CUfunction handle, ptx::Launch launch, void **parameters,
                    void **extra, Work &work) {
  auto function = library().functions.find(handle);
  if (!function || function->module->context != &context)
    return CUDA_ERROR_INVALID_HANDLE;
  const DeviceRow &row = context.device.row();
  const ptx::Kernel &kernel = *function->kernel;
  const ptx::Dim3 &grid = launch.grid, &block = launch.block;
  if (!grid.count() || !block.count() || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535 ||
      block.x > 1024 || block.y > 1024 || block.z > 64 || block.count() > 1024)
    return CUDA_ERROR_INVALID_VALUE;
  const ptx::Dim3 &required = kernel.requiredBlock;
  if (required.x && (required.x != block.x || required.y != block.y || required.z != block.z))
    return CUDA_ERROR_INVALID_VALUE;
  if (kernel.maximumBlock.x && block.count() > kernel.maximumBlock.count())
    return CUDA_ERROR_INVALID_VALUE;
  if (launch.dynamicShared > function->maxDynamicShared)
    return CUDA_ERROR_INVALID_VALUE;
  uint32_t resident = residentBlocks(row, kernel, block.count(), launch.dynamicShared);
  if (!resident)
    return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  if (launch.cooperative && grid.count() > uint64_t(resident) * row.sms)
    return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
  ptx::Arguments arguments;
  if (CUresult result = takeParameters(kernel, parameters, extra, arguments))
    return result;
  work.plays = true;
  work.run = [code = function->code, &kernel, launch = std::move(launch),
              arguments = std::move(arguments)](Context &context) {
    return play(context, kernel, launch, arguments);
  };
  return CUDA_SUCCESS;
}

extern "C" {

CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,
                        unsigned blockX, unsigned blockY, unsigned blockZ, unsigned dynamicShared,
                        CUstream stream, void **parameters, void **extra) {
  ptx::Launch wanted;
  wanted.grid = {gridX, gridY, gridZ}, wanted.block = {blockX, blockY, blockZ};
  wanted.dynamicShared = dynamicShared;
  return launch(function, std::move(wanted), stream, parameters, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned gridX, unsigned gridY,
                                   unsigned gridZ, unsigned blockX, unsigned blockY,
                                   unsigned blockZ, unsigned dynamicShared, CUstream stream,
                                   void **parameters) {
  ptx::Launch wanted;
  wanted.grid = {gridX, gridY, gridZ}, wanted.block = {blockX, blockY, blockZ};
  wanted.dynamicShared = dynamicShared;
  wanted.cooperative = true;
  return launch(function, std::move(wanted), stream, parameters, nullptr);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                          void **extra) {
  if (!config || (config->numAttrs && !config->attrs))
    return CUDA_ERROR_INVALID_VALUE;
  ptx::Launch wanted;
  wanted.grid = {config->gridDimX, config->gridDimY, config->gridDimZ};
  wanted.block = {config->blockDimX, config->blockDimY, config->blockDimZ};
  wanted.dynamicShared = config->sharedMemBytes;
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute &attribute = config->attrs[i];
    switch (attribute.id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
      wanted.cooperative = attribute.value.cooperative;
      break;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: {
      const auto &cluster = attribute.value.clusterDim;
      if (cluster.x != 1 || cluster.y != 1 || cluster.z != 1)
        return CUDA_ERROR_INVALID_CLUSTER_SIZE;
      break;
    }
    // A launch may begin early; it need not.
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
      break;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
    }
  }
  return launch(function, std::move(wanted), config->hStream, parameters, extra);
}

} // extern "C"

} // namespace pianola::cuda
