// SafeTensorsWriter.h - writes a safetensors file.
#ifndef PIANOLA_LIB_CHECKPOINT_SAFETENSORSWRITER_H
#define PIANOLA_LIB_CHECKPOINT_SAFETENSORSWRITER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <variant>

namespace pianola {

struct TensorToWrite {
  std::string name;
  llvm::SmallVector<int64_t, 2> shape;
  std::variant<llvm::ArrayRef<float>, llvm::ArrayRef<int32_t>> values; // row by row
};

/// Writes the tensors, in this order, as F32 and I32. The file is written beside `path` under
/// another name and then renamed, so that `path` is either the whole new file or what it was.
/// Errors: a name twice, values that do not fill their shape, and what the file system says.
llvm::Error writeSafeTensors(llvm::StringRef path, llvm::ArrayRef<TensorToWrite> tensors);

} // namespace pianola

#endif
