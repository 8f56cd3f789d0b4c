// PtxText.cpp - whatever the text, loading and playing it must neither crash nor hang.
//
// Seeds, beside corpus/ptx: test/targets/nvptx/emulator/fuzz/seeds.py FOLDER cuts the committed
// kernels into texts of one entry each.
#include "test/targets/nvptx/emulator/fuzz/Mutation.h"
#include "test/targets/nvptx/emulator/fuzz/Trial.h"

#include <algorithm>

using namespace pianola::ptx;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tryText(std::string_view(reinterpret_cast<const char *>(data), size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  Draw draw(seed);
  std::string text =
      mutated(std::string_view(reinterpret_cast<const char *>(data), size), draw, most);
  std::copy(text.begin(), text.end(), data);
  return text.size();
}

/// Some lines of one text in the middle of another one.
extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t firstSize,
                                            const uint8_t *second, size_t secondSize, uint8_t *out,
                                            size_t most, unsigned seed) {
  Draw draw(seed);
  std::string text(reinterpret_cast<const char *>(first), firstSize),
      other(reinterpret_cast<const char *>(second), secondSize);
  auto lineAt = [&](const std::string &in) {
    size_t at = in.empty() ? 0 : in.find('\n', draw.next() % in.size());
    return at == in.npos ? in.size() : at;
  };
  size_t begin = lineAt(other), length = draw.next() % 800;
  text.insert(lineAt(text), other.substr(begin, length));
  text.resize(std::min(text.size(), most));
  std::copy(text.begin(), text.end(), out);
  return text.size();
}
