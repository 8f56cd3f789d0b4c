// DeltaNet.cpp - a layer that remembers a matrix in place of keys and values.
#include "lib/import/DeltaNet.h"

#include "lib/checkpoint/JsonFields.h"

#include <cmath>

using mlir::Value;

namespace pianola {

DeltaNet DeltaNet::read(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  DeltaNet net;
  net.keyHeads = fields.integerOr("linear_num_key_heads", 1, 4096, 16);
  net.valueHeads = fields.integerOr("linear_num_value_heads", 1, 4096, 32);
  net.keySize = fields.integerOr("linear_key_head_dim", 1, 1024, 128);
  net.valueSize = fields.integerOr("linear_value_head_dim", 1, 1024, 128);
  net.taps = fields.integerOr("linear_conv_kernel_dim", 1, 64, 4);
  if (net.valueHeads % net.keyHeads)
    fields.wrong("linear_num_value_heads",
                 "a multiple of linear_num_key_heads, " + llvm::Twine(net.keyHeads));
  return net;
}

Value DeltaNet::build(DecoderBuilder &decoder, Value n, const std::string &self) const {
  int64_t shared = valueHeads / keyHeads; // value heads of a key head
  int64_t keys = keyHeads * keySize, values = valueHeads * valueSize;
  auto linear = [&](const char *name, llvm::ArrayRef<StoredRows> parts) {
    int64_t rows = 0;
    for (const StoredRows &part : parts)
      rows += int64_t(part.rows.size());
    return decoder.linear(n, self + "." + name, rows, parts);
  };
  Value qk, v, z, ba;
  if (byKeyHead) {
    // `width` rows from `first` on of the `ofHead` of each key head.
    auto append = [&](StoredRows &part, int64_t ofHead, int64_t first, int64_t width) {
      part.count = keyHeads * ofHead;
      for (int64_t head = 0; head < keyHeads; ++head)
        for (int64_t row = 0; row < width; ++row)
          part.rows.push_back(head * ofHead + first + row);
    };
    StoredRows ofKeys{self + ".in_proj_qkvz", 0, {}}, ofValues = ofKeys, ofGate = ofKeys;
    StoredRows ofRule{self + ".in_proj_ba", 0, {}};
    int64_t width = shared * valueSize, ofHead = 2 * keySize + 2 * width;
    append(ofKeys, ofHead, 0, keySize);
    append(ofKeys, ofHead, keySize, keySize);
    append(ofValues, ofHead, 2 * keySize, width);
    append(ofGate, ofHead, 2 * keySize + width, width);
    append(ofRule, 2 * shared, 0, shared);
    append(ofRule, 2 * shared, shared, shared);
    qk = linear("qk", ofKeys);
    v = linear("v", ofValues);
    z = linear("z", ofGate);
    ba = linear("ba", ofRule);
  } else {
    auto range = [&](const char *name, int64_t count, int64_t first, int64_t width) {
      return StoredRows::range(self + "." + name, count, first, width);
    };
    int64_t rows = 2 * keys + values;
    qk = linear("qk", range("in_proj_qkv", rows, 0, 2 * keys));
    v = linear("v", range("in_proj_qkv", rows, 2 * keys, values));
    z = decoder.linear(n, self + ".in_proj_z", values, false);
    ba = linear("ba", {range("in_proj_b", valueHeads, 0, valueHeads),
                       range("in_proj_a", valueHeads, 0, valueHeads)});
  }
  auto convolve = [&](Value value, const char *name, int64_t first) {
    std::string location = self + ".conv1d." + name;
    value = decoder.convolve(value, location, self + ".conv1d", 2 * keys + values, first, taps);
    return decoder.activate(value, location, transformer::Activation::Silu);
  };
  qk = convolve(qk, "qk", 0);
  v = convolve(v, "v", 2 * keys);
  // A vector of length 1 is one with a mean of squares of 1, over the root of its number of lanes.
  // The length is the root of the sum of squares and 1e-6, whatever rms_norm_eps says.
  std::string length = self + ".length";
  qk = decoder.headNorm(qk, length, 2 * keyHeads, 1e-6 / double(keySize));
  qk = decoder.scale(qk, 1 / std::sqrt(double(keySize)), length);
  Value y = decoder.delta(qk, v, ba, self, keyHeads);
  y = decoder.norm(y, self + ".norm", /*plusOne=*/false, valueHeads);
  y = decoder.glu(z, y, self + ".gated", transformer::Activation::Silu);
  return decoder.linear(y, self + ".out_proj", decoder.config().hidden, false);
}

} // namespace pianola
