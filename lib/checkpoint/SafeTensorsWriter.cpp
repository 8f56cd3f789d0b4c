// SafeTensorsWriter.cpp - writes a safetensors file.
#include "lib/checkpoint/SafeTensorsWriter.h"

#include "lib/checkpoint/Refusal.h"
#include "lib/checkpoint/WeightSource.h"

#include "llvm/Support/EndianStream.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

namespace pianola {
namespace {

DType dtypeOf(const TensorToWrite &tensor) {
  return std::holds_alternative<llvm::ArrayRef<float>>(tensor.values) ? DType::F32 : DType::I32;
}

uint64_t bytesOf(const TensorToWrite &tensor) {
  return std::visit([](auto values) { return uint64_t(values.size()) * 4; }, tensor.values);
}

/// The JSON header, padded with spaces to a multiple of eight bytes.
llvm::Expected<std::string> makeHeader(llvm::StringRef file,
                                       llvm::ArrayRef<TensorToWrite> tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  uint64_t offset = 0;
  for (const TensorToWrite &tensor : tensors) {
    uint64_t bytes = bytesOf(tensor);
    if (tensorBytes(dtypeOf(tensor), tensor.shape) != bytes)
      return refuse(file + ": tensor " + inQuotes(tensor.name) + ": " + llvm::Twine(bytes / 4) +
                    " values do not fill " + showShape(tensor.shape));
    if (tensor.name == "__metadata__" || header.contains(tensor.name))
      return refuse(file + ": tensor " + inQuotes(tensor.name) + ": the name is taken");
    header[tensor.name] = {
        {"dtype", dtypeName(dtypeOf(tensor)).str()},
        {"shape", std::vector<int64_t>(tensor.shape.begin(), tensor.shape.end())},
        {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

} // namespace

llvm::Error writeSafeTensors(llvm::StringRef path, llvm::ArrayRef<TensorToWrite> tensors) {
  llvm::Expected<std::string> header = makeHeader(llvm::sys::path::filename(path), tensors);
  if (!header)
    return header.takeError();
  llvm::Expected<llvm::sys::fs::TempFile> temporary =
      llvm::sys::fs::TempFile::create(path + ".%%%%%%%%.tmp");
  if (!temporary)
    return temporary.takeError();
  {
    llvm::raw_fd_ostream stream(temporary->FD, /*shouldClose=*/false);
    llvm::support::endian::Writer writer(stream, llvm::endianness::little);
    writer.write<uint64_t>(header->size());
    stream << *header;
    for (const TensorToWrite &tensor : tensors)
      std::visit([&](auto values) { writer.write(values); }, tensor.values);
    stream.flush();
    if (std::error_code code = stream.error()) {
      stream.clear_error();
      return llvm::joinErrors(refuse(path + ": " + code.message()), temporary->discard());
    }
  }
  return temporary->keep(path);
}

} // namespace pianola
