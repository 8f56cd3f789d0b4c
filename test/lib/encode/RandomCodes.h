// RandomCodes.h - a matrix of random codes, scales and zero points.
#ifndef PIANOLA_TEST_LIB_ENCODE_RANDOMCODES_H
#define PIANOLA_TEST_LIB_ENCODE_RANDOMCODES_H

#include "lib/checkpoint/WeightSource.h"

#include <cmath>
#include <random>

namespace pianola::test {

class RandomCodes : public WeightSource {
public:
  RandomCodes(int64_t rows, int64_t columns, Scaling scaling, unsigned seed, uint8_t mask)
      : tensor{"w", DType::U8, {rows, columns}, uint64_t(rows * columns), scaling} {
    all = emptyRows(tensor, rows);
    std::mt19937 engine(seed);
    if (scaling.code == Code::I4 || scaling.code == Code::F4E2M1)
      mask &= 15;
    auto random = [&] { return uint8_t(engine() & mask); };
    for (uint8_t &code : all.codes)
      do // e4m3 has two codes that are no numbers
        code = random();
      while (std::isnan(codeValue(scaling.code, code)));
    for (uint8_t &zero : all.zeros)
      zero = random();
    for (float &scale : all.scales) // exact in every type
      scale = scaling.scale == ScaleType::E8M0 ? std::ldexp(1.0f, int(engine() % 5) - 8)
                                               : float(1 + engine() % 100) / 1024;
  }

  const TensorInfo *find(llvm::StringRef) const override { return &tensor; }
  llvm::Expected<const TensorInfo *> require(llvm::StringRef, llvm::ArrayRef<int64_t>,
                                             TensorRole) override {
    return &tensor;
  }
  llvm::Error read(const TensorInfo &, uint64_t, llvm::MutableArrayRef<uint8_t>) const override {
    return llvm::createStringError("codes have no bytes");
  }
  llvm::Expected<EncodedRows> readRows(const TensorInfo &, int64_t first,
                                       int64_t count) const override {
    return all.slice(first, count);
  }
  std::vector<std::string> names() const override { return {"w"}; }
  std::string origin(llvm::StringRef) const override { return "memory"; }

  TensorInfo tensor;

private:
  EncodedRows all;
};

} // namespace pianola::test

#endif
