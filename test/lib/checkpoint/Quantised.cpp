// Quantised.cpp - numbers of few bits, and what is refused of quantised checkpoints.
#include "ScratchDirectory.h"
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/QuantisedCheckpoint.h"

#include <cmath>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace pianola;
using nlohmann::json;

namespace {

// Every number of a type is read and written, and what lies between two of them goes to the nearer
// one, or to the one whose code is even.
template <typename Bits> void checkRounding(int count, float (*from)(Bits), Bits (*to)(float)) {
  for (int bits = 0; bits < count; ++bits) {
    float value = from(Bits(bits));
    if (!std::isfinite(value))
      continue;
    ASSERT_EQ(to(value), bits) << value;
    ASSERT_EQ(from(to(-value)), -value);
    float next = from(Bits(bits + 1));
    if (bits + 1 == count || !std::isfinite(next) || next < value)
      continue;
    float middle = value + (next - value) / 2;
    EXPECT_EQ(to(middle), bits % 2 ? bits + 1 : bits) << middle;
    EXPECT_EQ(to(std::nextafter(middle, value)), bits);
    EXPECT_EQ(to(std::nextafter(middle, next)), bits + 1);
  }
}

TEST(Numbers, AreRoundedToTheNearest) {
  checkRounding<uint16_t>(0x7c00, fromF16, toF16);
  checkRounding<uint8_t>(0x7f, fromF8E4M3, toF8E4M3);
  checkRounding<uint16_t>(0x7f80, fromBf16, toBf16);
  checkRounding<uint8_t>(8, [](uint8_t bits) { return codeValue(Code::F4E2M1, bits); }, toF4E2M1);
}

TEST(Numbers, HaveTheirEnds) {
  EXPECT_EQ(fromF8E4M3(0x7e), 448);
  EXPECT_EQ(fromF8E4M3(1), std::ldexp(1.0f, -9));
  EXPECT_TRUE(std::isnan(fromF8E4M3(0xff)));
  EXPECT_EQ(toF8E4M3(1e9f), 0x7e);
  EXPECT_EQ(toF8E4M3(-INFINITY), 0xfe);
  EXPECT_EQ(toF4E2M1(-100), 15);
  EXPECT_EQ(toF16(65520), 0x7c00);
  EXPECT_EQ(fromE8M0(127), 1);
  EXPECT_EQ(fromE8M0(0), std::ldexp(1.0f, -127));
  EXPECT_TRUE(std::isnan(fromE8M0(255)));
}

std::string configMessage(const char *text) {
  return messageOf(Quantisation::fromJson(json::parse(text)));
}

TEST(Quantisation, RefusesWhatItDoesNotRead) {
  const std::string start = "config.json: quantization_config: ";
  const std::pair<const char *, std::string> cases[] = {
      {R"([])", "config.json: quantization_config: expected an object, found []"},
      {R"({})", start + "quant_method: expected a string, found nothing"},
      {R"({"quant_method": "bitsandbytes"})",
       start + "quant_method: expected one of gptq, awq, fp8, mxfp4, compressed-tensors, found "
               "\"bitsandbytes\""},
      {R"({"quant_method": "gptq", "bits": 3, "group_size": 128})",
       start + "bits: expected 4 or 8, found 3"},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 48})",
       start + "group_size: expected a multiple of 32, or -1, found 48"},
      {R"({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"})",
       start + "checkpoint_format: expected gptq or gptq_v2, found \"marlin\""},
      {R"({"quant_method": "gptq", "bits": 4, "dynamic": {"+:.*": {"bits": 8}}})",
       start + "dynamic: expected no exceptions by module, found an object"},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"})",
       start + "version: expected gemm, found \"gemv\""},
      {R"({"quant_method": "fp8", "fmt": "e5m2"})", start + "fmt: expected e4m3, found \"e5m2\""},
      {R"({"quant_method": "fp8", "weight_block_size": [128]})",
       start + "weight_block_size: expected two numbers, of rows and of columns, the second a "
               "multiple of 32, found [128]"},
      {R"({"quant_method": "compressed-tensors", "format": "marlin-24", "config_groups": {"a": {}}})",
       start + "format: expected one of pack-quantized, int-quantized, float-quantized, "
               "naive-quantized, mxfp4-pack-quantized, dense, found \"marlin-24\""},
      {R"({"quant_method": "compressed-tensors", "format": "dense", "sparsity_config":
           {"format": "sparse-24-bitmask", "sparsity_structure": "2:4"}})",
       start + "sparsity_config: expected nothing, or one whose format is dense, found an object"},
      {R"({"quant_method": "compressed-tensors", "format": "dense", "config_groups": {"a": {}}})",
       start + "config_groups: expected nothing, as the format is dense, found an object"},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})",
       start + "config_groups: expected an object with a group of linears, found nothing"},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
           {"a": {}}, "transform_config": {"R1": {}}})",
       start + "transform_config: expected nothing, found an object"},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
           {"a": {"weights": {"num_bits": 3, "type": "int"}}}})",
       start + "config_groups: \"a\": weights: num_bits: expected 4 or 8, found 3"},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
           {"a": {"weights": {"num_bits": 4, "type": "int", "strategy": "token"}}}})",
       start + "config_groups: \"a\": weights: strategy: expected one of tensor, channel, group, "
               "block, found \"token\""},
  };
  for (const auto &[text, message] : cases)
    EXPECT_EQ(configMessage(text), message) << text;
  EXPECT_EQ(configMessage(R"({"quant_method": "gptq", "bits": 8, "group_size": -1})"), "accepted");
  EXPECT_EQ(configMessage(R"({"quant_method": "compressed-tensors", "format": "dense",
                              "config_groups": {}, "sparsity_config": {"format": "dense",
                              "sparsity_structure": "2:4", "targets": ["Linear"]}})"),
            "accepted");
  EXPECT_EQ(configMessage(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})"),
            "accepted");
}

// A linear of 32 x 64 whose tensors are all zeros, but for what `change` does to their header.
std::string openMessage(const char *config, json header,
                        const std::function<void(std::string &)> &change = nullptr,
                        const char *name = "a.weight",
                        const llvm::SmallVector<int64_t, 3> &shape = {32, 64}) {
  ScratchDirectory scratch;
  size_t at = 0;
  const std::map<std::string, size_t> sizes = {{"I32", 4},  {"F16", 2},     {"F32", 4}, {"I8", 1},
                                               {"BF16", 2}, {"F8_E4M3", 1}, {"U8", 1}};
  for (auto &[name, tensor] : header.items()) {
    size_t bytes = sizes.at(tensor["dtype"]);
    for (const json &size : tensor["shape"])
      bytes *= size.get<size_t>();
    tensor["data_offsets"] = {at, at + bytes};
    at += bytes;
  }
  std::string bytes = safeTensors(header.dump(), at);
  if (change)
    change(bytes);
  std::string path = scratch.write("model.safetensors", bytes);
  QuantisedCheckpoint checkpoint(llvm::cantFail(Checkpoint::openFile(path)),
                                 llvm::cantFail(Quantisation::fromJson(json::parse(config))));
  llvm::Expected<const TensorInfo *> tensor = checkpoint.require(name, shape, TensorRole::Matrix);
  if (!tensor)
    return llvm::toString(tensor.takeError());
  std::vector<float> values(size_t((*tensor)->elements()));
  return messageOf(checkpoint.readFloats(**tensor, 0, values));
}

json gptq() {
  return {{"a.qweight", {{"dtype", "I32"}, {"shape", {8, 32}}}},
          {"a.qzeros", {{"dtype", "I32"}, {"shape", {2, 4}}}},
          {"a.scales", {{"dtype", "F16"}, {"shape", {2, 32}}}}};
}

TEST(QuantisedCheckpoint, RefusesTensorsThatDoNotFit) {
  constexpr const char *config = R"({"quant_method": "gptq", "bits": 4, "group_size": 32})";
  EXPECT_EQ(openMessage(config, gptq()), "accepted");
  json changed = gptq();
  changed.erase("a.scales");
  EXPECT_EQ(openMessage(config, changed),
            "model.safetensors: tensor \"a.scales\": missing, though the others of a gptq linear "
            "are there");
  changed = gptq();
  changed["a.qzeros"]["shape"] = {1, 4};
  EXPECT_EQ(openMessage(config, changed),
            "model.safetensors: tensor \"a.qzeros\": shape: expected [2, 4], found [1, 4]");
  changed = gptq();
  changed["a.scales"]["dtype"] = "I32";
  EXPECT_EQ(openMessage(config, changed), "model.safetensors: tensor \"a.scales\": dtype: expected "
                                          "F16 or BF16 or F32, found I32");
  // All columns in group 0; a group that there is not.
  changed = gptq();
  changed["a.g_idx"] = {{"dtype", "I32"}, {"shape", {64}}};
  EXPECT_EQ(openMessage(config, changed),
            "model.safetensors: tensor \"a.g_idx\": group 0: expected 32 columns, found 64");
  EXPECT_EQ(openMessage(config, changed,
                        [](std::string &bytes) {
                          size_t data = bytes.size() - (8 * 32 + 2 * 4 + 64) * 4 - 2 * 32 * 2;
                          bytes[data] = 9;
                        }),
            "model.safetensors: tensor \"a.g_idx\": column 0: expected a group from 0 to 1, found "
            "9");
}

// The experts of GPT-OSS: three matrices of 8 x 64.
TEST(QuantisedCheckpoint, RefusesBlocksThatDoNotFit) {
  constexpr const char *config = R"({"quant_method": "mxfp4"})";
  auto message = [&](const json &header, const llvm::SmallVector<int64_t, 3> &shape = {3, 8, 64}) {
    return openMessage(config, header, nullptr, "a", shape);
  };
  const json whole = {{"a_blocks", {{"dtype", "U8"}, {"shape", {3, 8, 2, 16}}}},
                      {"a_scales", {{"dtype", "U8"}, {"shape", {3, 8, 2}}}}};
  EXPECT_EQ(message(whole), "accepted");
  json changed = whole;
  changed.erase("a_scales");
  EXPECT_EQ(message(changed),
            "model.safetensors: tensor \"a_scales\": missing, though the others of "
            "a mxfp4 linear are there");
  changed = whole;
  changed["a_blocks"]["shape"] = {3, 8, 1, 32};
  EXPECT_EQ(message(changed),
            "model.safetensors: tensor \"a_blocks\": shape: expected [3, 8, 2, 16], "
            "found [3, 8, 1, 32]");
  EXPECT_EQ(message(whole, {3, 8, 48}),
            "model.safetensors: tensor \"a_blocks\": expected a multiple of 32 columns, found 48");
}

TEST(QuantisedCheckpoint, RefusesCodesThatAreNoNumbers) {
  json header = {{"a.weight", {{"dtype", "F8_E4M3"}, {"shape", {32, 64}}}},
                 {"a.weight_scale", {{"dtype", "F32"}, {"shape", json::array()}}}};
  constexpr const char *config = R"({"quant_method": "fp8"})";
  EXPECT_EQ(openMessage(config, header), "accepted");
  EXPECT_EQ(openMessage(config, header,
                        [](std::string &bytes) {
                          bytes[bytes.size() - 4 - 32 * 64 + 3 * 64 + 5] = '\x7f';
                        }),
            "model.safetensors: tensor \"a.weight\": row 3: is not a number");
  header["a.weight_scale"]["shape"] = {7};
  EXPECT_EQ(openMessage(config, header),
            "model.safetensors: tensor \"a.weight_scale\": shape: expected [32, 1] or [] or [1] or "
            "[32] or [1, 1], found [7]");
}

// Linears of a checkpoint may be of several kinds: the tensors' shapes say which.
TEST(QuantisedCheckpoint, FindsTheGroupOfALinear) {
  constexpr const char *config = R"({"quant_method": "compressed-tensors",
      "format": "pack-quantized", "config_groups": {
        "a": {"weights": {"num_bits": 8, "type": "int", "strategy": "channel"}},
        "b": {"weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}}}})";
  json eight = {{"a.weight_packed", {{"dtype", "I32"}, {"shape", {32, 16}}}},
                {"a.weight_scale", {{"dtype", "BF16"}, {"shape", {32, 1}}}}};
  json four = {{"a.weight_packed", {{"dtype", "I32"}, {"shape", {32, 8}}}},
               {"a.weight_scale", {{"dtype", "BF16"}, {"shape", {32, 2}}}}};
  EXPECT_EQ(openMessage(config, eight), "accepted");
  EXPECT_EQ(openMessage(config, four), "accepted");
  four["a.weight_scale"]["shape"] = {32, 3};
  EXPECT_EQ(openMessage(config, four), "model.safetensors: tensor \"a.weight_packed\": shape: "
                                       "expected [32, 16], found [32, 8]");
}

} // namespace
