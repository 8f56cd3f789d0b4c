// SafeTensors.cpp - any bytes as a safetensors file: refused, or every tensor can be read.
#include "lib/checkpoint/Checkpoint.h"
#include "test/fuzz/Input.h"

using namespace pianola;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::MemoryFile file(fuzz::textOf(data, size));
  llvm::Expected<std::unique_ptr<Checkpoint>> checkpoint = Checkpoint::openFile(file.path());
  if (!checkpoint) {
    fuzz::expect(!llvm::toString(checkpoint.takeError()).empty(), "a refusal says why");
    return 0;
  }
  uint64_t all = 0;
  for (const std::string &name : (*checkpoint)->names()) {
    const TensorInfo &tensor = *(*checkpoint)->find(name);
    all += tensor.bytes;
    std::vector<uint8_t> bytes(tensor.bytes);
    fuzz::expect(!(*checkpoint)->read(tensor, 0, bytes), "a tensor that is declared is there");
    std::vector<float> floats(tensor.elements());
    llvm::consumeError((*checkpoint)->readFloats(tensor, 0, floats));
  }
  fuzz::expect(all <= size, "tensors do not overlap");
  return 0;
}
