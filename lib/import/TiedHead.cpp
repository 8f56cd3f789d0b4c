// TiedHead.cpp - a head that is stored although the embedding serves as head.
#include "lib/import/TiedHead.h"

#include "lib/checkpoint/Refusal.h"

#include <algorithm>

namespace pianola {

llvm::Error checkTiedHead(const WeightSource &weights, llvm::StringRef head,
                          llvm::StringRef embedding) {
  auto differ = [&](const llvm::Twine &how) {
    return refuse(weights.origin(head) + ": tensor " + inQuotes(head) + ": " + how + " " +
                  inQuotes(embedding) + ", though config.json says tie_word_embeddings");
  };
  const TensorInfo *first = weights.find(head), *second = weights.find(embedding);
  if (!first || !second)
    return llvm::Error::success();
  if (first->shape != second->shape)
    return differ(showShape(first->shape) + " is another shape than " + showShape(second->shape) +
                  " of");
  constexpr uint64_t atOnce = 1 << 18;
  std::vector<float> a(atOnce), b(atOnce);
  for (uint64_t begin = 0; begin < first->elements(); begin += atOnce) {
    size_t count = size_t(std::min(atOnce, first->elements() - begin));
    if (llvm::Error error = weights.readFloats(*first, begin, {a.data(), count}))
      return error;
    if (llvm::Error error = weights.readFloats(*second, begin, {b.data(), count}))
      return error;
    if (!std::equal(a.begin(), a.begin() + count, b.begin()))
      return differ("differs from");
  }
  return llvm::Error::success();
}

} // namespace pianola
