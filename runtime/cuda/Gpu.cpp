// Gpu.cpp - one GPU, opened: the driver, a context of its own, and what the device is.
#include "runtime/cuda/Gpu.h"

namespace pianola::cuda {

Result<std::unique_ptr<Gpu>> Gpu::open(const std::string &path, const RollTarget &target) {
  std::string front = "the roll is for an NVIDIA GPU (" + target.device + "): ";
  Result<const Driver *> driver = openDriver(path);
  if (!driver)
    return Status::error(front + driver.message());
  std::unique_ptr<Gpu> gpu(new Gpu(**driver));
  CUresult result = gpu->driver.cuInit(0);
  int count = 0;
  if (result == CUDA_SUCCESS)
    result = gpu->driver.cuDeviceGetCount(&count);
  if (result == CUDA_ERROR_NO_DEVICE || (result == CUDA_SUCCESS && count == 0))
    return Status::error(front + "this machine has none");
  if (result != CUDA_SUCCESS)
    return Status::error(front + gpu->driver.failure("cuInit", result).message());

  CUdevice device = 0;
  if (Status status = gpu->check("cuDeviceGet", gpu->driver.cuDeviceGet(&device, 0)); !status.ok())
    return status;
  if (Status status = gpu->describe(device); !status.ok())
    return status;
  if (Status status = gpu->suits(target); !status.ok())
    return status;
  // A context of its own: what breaks it breaks nothing else of the process.
  if (Status status =
          gpu->check("cuCtxCreate", gpu->driver.cuCtxCreate_v2(&gpu->context, 0, device));
      !status.ok())
    return status;
  return gpu;
}

Gpu::~Gpu() {
  if (context)
    driver.cuCtxDestroy_v2(context);
}

Status Gpu::enter() const { return check("cuCtxSetCurrent", driver.cuCtxSetCurrent(context)); }

Status Gpu::describe(CUdevice device) {
  char text[256] = {};
  if (Status status = check("cuDeviceGetName", driver.cuDeviceGetName(text, sizeof(text), device));
      !status.ok())
    return status;
  name = text;
  int major = 0, minor = 0;
  struct {
    CUdevice_attribute attribute;
    int *value;
  } wanted[] = {{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
                {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
                {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &sms},
                {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &sharedPerBlock}};
  for (auto &[attribute, value] : wanted)
    if (Status status =
            check("cuDeviceGetAttribute", driver.cuDeviceGetAttribute(value, attribute, device));
        !status.ok())
      return status;
  capability = major * 10 + minor;
  return check("cuDriverGetVersion", driver.cuDriverGetVersion(&driverVersion));
}

Status Gpu::suits(const RollTarget &target) const {
  // Code for sm_90a runs on 9.0 alone; code for sm_80 on everything later, too.
  char last = target.chip.back();
  bool isExact = last == 'a' || last == 'f';
  if (isExact ? capability != target.capability : capability < target.capability)
    return Status::error("the roll is compiled for " + target.chip + " (" + target.device +
                         "), and " + name + " is sm_" + std::to_string(capability) +
                         ": compile the model for this GPU");
  if (sms < target.workers)
    return Status::error("the roll is compiled for " + std::to_string(target.workers) +
                         " SMs, and " + name + " has " + std::to_string(sms) +
                         ": compile the model for this GPU");
  return Status();
}

} // namespace pianola::cuda
