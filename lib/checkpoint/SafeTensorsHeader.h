// SafeTensorsHeader.h - what a safetensors file says it holds.
//
// The format (https://github.com/huggingface/safetensors): eight bytes of header length N, little-
// endian; N bytes of JSON, {name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__":
// {..}}; the data. Offsets count from the end of the header. Refused, as in the reference
// implementation: N over 100 MB, a duplicate key, padding other than spaces, sizes that disagree
// with shapes, and tensors that leave a gap, overlap, or do not end where the file does.
#ifndef PIANOLA_LIB_CHECKPOINT_SAFETENSORSHEADER_H
#define PIANOLA_LIB_CHECKPOINT_SAFETENSORSHEADER_H

#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/WeightSource.h"

namespace pianola {

struct SafeTensorsEntry {
  TensorInfo tensor;
  uint64_t begin; // in bytes from the start of the file
};

/// Reads and checks the header. The entries are in the order of their offsets.
llvm::Expected<std::vector<SafeTensorsEntry>> readSafeTensorsHeader(const InputFile &file);

} // namespace pianola

#endif
