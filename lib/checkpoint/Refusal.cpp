// Refusal.cpp - errors about files from outside.
#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

namespace pianola {

llvm::Error refuse(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

std::string inQuotes(llvm::StringRef text) {
  constexpr size_t longest = 80;
  std::string result = "\"";
  llvm::raw_string_ostream stream(result);
  stream.write_escaped(text.take_front(longest));
  stream << (text.size() > longest ? "..." : "") << '"';
  return result;
}

std::string showShape(llvm::ArrayRef<int64_t> shape) {
  std::string result = "[";
  llvm::raw_string_ostream stream(result);
  llvm::interleaveComma(shape, stream);
  stream << "]";
  return result;
}

} // namespace pianola
