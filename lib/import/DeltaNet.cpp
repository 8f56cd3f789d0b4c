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
  auto linear = [&](const char *name, const char *stored, int64_t rows, int64_t first,
                    int64_t ofHead, int64_t width) {
    // `width` rows from `first` on of all `rows`, or of those of each key head.
    StoredRows part{self + "." + stored, rows, {}};
    for (int64_t begin = 0; begin < rows; begin += ofHead)
      for (int64_t row = 0; row < width; ++row)
        part.rows.push_back(begin + first + row);
    return decoder.linear(n, self + "." + name, int64_t(part.rows.size()), false, &part);
  };
  Value q, k, v, z, b, a;
  if (byKeyHead) {
    int64_t ofHead = 2 * keySize + 2 * shared * valueSize, rows = keyHeads * ofHead;
    auto some = [&](const char *name, int64_t first, int64_t width) {
      return linear(name, "in_proj_qkvz", rows, first, ofHead, width);
    };
    q = some("q", 0, keySize);
    k = some("k", keySize, keySize);
    v = some("v", 2 * keySize, shared * valueSize);
    z = some("z", 2 * keySize + shared * valueSize, shared * valueSize);
    b = linear("b", "in_proj_ba", 2 * valueHeads, 0, 2 * shared, shared);
    a = linear("a", "in_proj_ba", 2 * valueHeads, shared, 2 * shared, shared);
  } else {
    int64_t rows = 2 * keys + values;
    q = linear("q", "in_proj_qkv", rows, 0, rows, keys);
    k = linear("k", "in_proj_qkv", rows, keys, rows, keys);
    v = linear("v", "in_proj_qkv", rows, 2 * keys, rows, values);
    z = decoder.linear(n, self + ".in_proj_z", values, false);
    b = decoder.linear(n, self + ".in_proj_b", valueHeads, false);
    a = decoder.linear(n, self + ".in_proj_a", valueHeads, false);
  }
  int64_t channels = 2 * keys + values;
  auto convolve = [&](Value value, const char *name, int64_t first) {
    std::string location = self + ".conv1d." + name;
    value = decoder.convolve(value, location, self + ".conv1d", channels, first, taps);
    return decoder.activate(value, location, transformer::Activation::Silu);
  };
  // Vectors of length 1 are such with a mean of squares of 1, over the root of their number of
  // lanes. The length is the root of the sum of squares and 1e-6, whatever rms_norm_eps says.
  auto direct = [&](Value value, const char *name, double length) {
    std::string location = self + "." + name;
    value = decoder.headNorm(value, location, keyHeads, 1e-6 / double(keySize));
    return decoder.scale(value, length / std::sqrt(double(keySize)), location);
  };
  DecoderBuilder::Delta rule;
  rule.query = direct(convolve(q, "q", 0), "q_length", 1 / std::sqrt(double(keySize)));
  rule.key = direct(convolve(k, "k", keys), "k_length", 1);
  rule.value = convolve(v, "v", 2 * keys);
  rule.decay = a;
  rule.strength = b;
  rule.heads = valueHeads;
  rule.keyHeads = keyHeads;
  Value y = decoder.delta(rule, self);
  y = decoder.norm(y, self + ".norm", /*plusOne=*/false, valueHeads);
  y = decoder.glu(z, y, self + ".gated", transformer::Activation::Silu);
  return decoder.linear(y, self + ".out_proj", decoder.config().hidden, false);
}

} // namespace pianola
