// Gguf.cpp - GGUF files: what is there is found, what is hostile is refused in one line.
#include "GgufBytes.h"
#include "ScratchDirectory.h"
#include "lib/checkpoint/GgufCheckpoint.h"
#include "lib/checkpoint/GgufConfig.h"
#include "lib/checkpoint/GgufTokenizer.h"
#include "lib/checkpoint/ModelConfig.h"

#include <gtest/gtest.h>

using namespace pianola;

namespace {

std::string opened(const std::string &bytes) {
  ScratchDirectory scratch;
  return messageOf(GgufFile::open(scratch.write("m.gguf", bytes)));
}

TEST(Gguf, TakesVersions) {
  EXPECT_EQ(opened(ggufHead(0, 0, 2).bytes), "accepted");
  EXPECT_EQ(opened(ggufHead(0, 0, 3).bytes), "accepted");
  EXPECT_EQ(opened(ggufHead(0, 0, 1).bytes), "m.gguf: version: expected 2 or 3, found 1");
  EXPECT_EQ(opened(ggufHead(0, 0, 0x03000000).bytes),
            "m.gguf: version: expected 2 or 3, found 50331648, a file for big-endian machines");
}

TEST(Gguf, RefusesMetadata) {
  const std::pair<GgufBytes, const char *> cases[] = {
      {ggufHead(0, 1).texts("a", "b"), "accepted"},
      {ggufHead(0, 1).key("a", 9).u32(4).u64(2).u32(7).u32(8), "accepted"},
      {ggufHead(0, ~0ull), "m.gguf: metadata: 18446744073709551615 of them do not fit in the 0 "
                           "bytes that are left"},
      {ggufHead(~0ull, 0), "m.gguf: tensors: 18446744073709551615 of them do not fit in the 8 "
                           "bytes that are left"},
      {ggufHead(0, 1).u64(~0ull).u64(0),
       "m.gguf: metadata: key 0: a text of 18446744073709551615 bytes, where 8 are left"},
      {ggufHead(0, 1).key("a", 13).u64(0),
       R"(m.gguf: "a": expected a type from 0 to 12, found 13)"},
      {ggufHead(0, 1).key("a", 7).number(2, 1).u64(0),
       R"(m.gguf: "a": expected a truth value of 0 or 1, found 2)"},
      {ggufHead(0, 1).key("a", 4).number(1, 2), R"(m.gguf: "a": the file ends at byte 39)"},
      {ggufHead(0, 1).key("a", 9).u32(9).u64(1).u64(0).u64(0),
       R"(m.gguf: "a": an array of arrays, which no key is known to be)"},
      {ggufHead(0, 1).key("a", 9).u32(4).u64(1ull << 62).u64(0),
       R"(m.gguf: "a": 4611686018427387904 of them do not fit in the 8 bytes that are left)"},
      {ggufHead(0, 1).key("a", 9).u32(8).u64(2).text("b").number(1, 8),
       R"(m.gguf: "a": a text of 1 bytes, where 0 are left)"},
      {ggufHead(0, 2).texts("a", "b").texts("a", "c"), R"(m.gguf: "a": is there twice)"},
      {ggufHead(0, 1).integer("general.alignment", 48),
       R"(m.gguf: "general.alignment": expected a power of two up to 2^20)"},
      {ggufHead(0, 1).texts("general.alignment", "32"),
       R"(m.gguf: "general.alignment": expected a power of two up to 2^20)"},
  };
  for (const auto &[header, message] : cases)
    EXPECT_EQ(opened(header.bytes), message);
  EXPECT_EQ(opened(""), "m.gguf: expected a GGUF file, which begins with \"GGUF\"");
  EXPECT_EQ(opened("GGML and more"), "m.gguf: expected a GGUF file, which begins with \"GGUF\"");
}

TEST(Gguf, RefusesTensors) {
  const std::string data(64, '\0');
  auto one = [](std::initializer_list<uint64_t> dimensions, uint32_t type, uint64_t offset) {
    return ggufHead(1, 0).tensor("t", dimensions, type, offset);
  };
  const std::pair<GgufBytes, const char *> cases[] = {
      {one({4, 4}, 0, 0), "accepted"},
      {one({32}, 8, 0), "accepted"},
      {ggufHead(2, 0).tensor("t", {8}, 0, 0).tensor("u", {8}, 0, 32), "accepted"},
      {one({}, 0, 0), R"(m.gguf: tensor "t": expected 1 to 4 dimensions, found 0)"},
      {one({1, 1, 1, 1, 1}, 0, 0), R"(m.gguf: tensor "t": expected 1 to 4 dimensions, found 5)"},
      {one({0, 4}, 0, 0), R"(m.gguf: tensor "t": its shape is [4, 0])"},
      {one({1ull << 32, 1ull << 32}, 0, 0),
       R"(m.gguf: tensor "t": its shape is [4294967296, 4294967296])"},
      {one({~0ull, 2}, 0, 0), R"(m.gguf: tensor "t": its shape is [2, -1])"},
      {one({32}, 10, 0), R"(m.gguf: tensor "t": its type is Q2_K, supported are F32, F16, BF16, )"
                         R"(Q8_0, Q4_0, Q5_0, MXFP4, Q4_1, Q5_1, Q4_K, Q5_K, Q6_K)"},
      {one({32}, 99, 0),
       R"(m.gguf: tensor "t": its type is type 99, supported are F32, F16, BF16, )"
       R"(Q8_0, Q4_0, Q5_0, MXFP4, Q4_1, Q5_1, Q4_K, Q5_K, Q6_K)"},
      {one({40}, 8, 0),
       R"(m.gguf: tensor "t": its rows have 40 columns, and Q8_0 is for multiples of 32)"},
      {one({128, 2}, 14, 0),
       R"(m.gguf: tensor "t": its rows have 128 columns, and Q6_K is for multiples of 256)"},
      {one({4}, 0, 8), R"(m.gguf: tensor "t": begins at 8, which is no multiple of 32)"},
      {one({4}, 0, 64),
       R"(m.gguf: tensor "t": has 16 bytes from 64 of the data on, of which the file has 64)"},
      {one({17}, 0, 0),
       R"(m.gguf: tensor "t": has 68 bytes from 0 of the data on, of which the file has 64)"},
      {one({4}, 0, ~31ull), R"(m.gguf: tensor "t": has 16 bytes from 18446744073709551584 of the )"
                            R"(data on, of which the file has 64)"},
      {ggufHead(2, 0).tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32),
       R"(m.gguf: tensor "t": is there twice)"},
      {ggufHead(2, 0).tensor("t", {9}, 0, 0).tensor("u", {7}, 0, 32),
       R"(m.gguf: tensor "u": overlaps "t")"},
  };
  for (const auto &[header, message] : cases)
    EXPECT_EQ(opened(ggufFile(header, data)), message);
}

// Wherever it ends, a file is refused.
TEST(Gguf, RefusesWhatIsCutOff) {
  GgufBytes header = ggufHead(1, 2).texts("general.architecture", "llama");
  header.key("list", 9).u32(8).u64(2).text("x").text("yz");
  header.tensor("t", {32, 2}, 8, 0);
  std::string whole = ggufFile(header, std::string(68, '\0'));
  ASSERT_EQ(opened(whole), "accepted");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(opened(whole.substr(0, size)).rfind("m.gguf: ", 0), 0u) << size;
}

TEST(Gguf, RefusesScalesThatAreNoNumbers) {
  ScratchDirectory scratch;
  std::string data(2 * 34 + 4, '\0');
  data[34] = 0x00, data[35] = 0x7e;
  GgufBytes header = ggufHead(1, 1).texts("general.architecture", "llama");
  header.tensor("blk.0.ffn_up.weight", {32, 2}, 8, 0);
  auto checkpoint =
      llvm::cantFail(GgufCheckpoint::open(scratch.write("m.gguf", ggufFile(header, data))));
  const TensorInfo *tensor = checkpoint->find("model.layers.0.mlp.up_proj.weight");
  ASSERT_TRUE(tensor);
  EXPECT_EQ(messageOf(checkpoint->readRows(*tensor, 0, 1)), "accepted");
  EXPECT_EQ(
      messageOf(checkpoint->readRows(*tensor, 1, 1)),
      R"(m.gguf: tensor "blk.0.ffn_up.weight": block 1: a scale of Q8_0 is not a finite number)");
  EXPECT_EQ(messageOf(checkpoint->readRows(*tensor, 1, 2)),
            R"(m.gguf: tensor "model.layers.0.mlp.up_proj.weight": has no row 3)");
}

// Experts are slices, whose numbers begin within a block sequence.
TEST(Gguf, TakesExpertsApart) {
  ScratchDirectory scratch;
  std::string data;
  for (int block = 0; block < 6; ++block)
    data += std::string("\0\x3c", 2) + std::string(32, char(block)); // scale 1
  GgufBytes header = ggufHead(1, 2).texts("general.architecture", "qwen3moe");
  header.integer("qwen3moe.expert_count", 3);
  header.tensor("blk.5.ffn_down_exps.weight", {32, 2, 3}, 8, 0);
  auto checkpoint =
      llvm::cantFail(GgufCheckpoint::open(scratch.write("m.gguf", ggufFile(header, data))));
  EXPECT_EQ(checkpoint->names().size(), 3u);
  for (int expert = 0; expert < 3; ++expert) {
    std::string name = "model.layers.5.mlp.experts." + std::to_string(expert) + ".down_proj.weight";
    llvm::Expected<const TensorInfo *> tensor =
        checkpoint->require(name, {2, 32}, TensorRole::Matrix);
    ASSERT_TRUE(bool(tensor)) << llvm::toString(tensor.takeError());
    std::vector<float> values(64);
    llvm::cantFail(checkpoint->readFloats(**tensor, 0, values));
    EXPECT_EQ(values[0], 2 * expert);
    EXPECT_EQ(values[63], 2 * expert + 1);
  }
  EXPECT_EQ(
      messageOf(checkpoint->require("lm_head.weight", {1, 2}, TensorRole::Matrix)),
      R"(m.gguf: tensor "lm_head.weight" (as directories call it): missing, expected [1, 2])");
}

// As many as there are experts, and of as many dimensions: a few bytes must not become many
// tensors.
TEST(Gguf, LeavesTogetherWhatIsNoExperts) {
  ScratchDirectory scratch;
  GgufBytes header = ggufHead(3, 2).texts("general.architecture", "qwen3moe");
  header.integer("qwen3moe.expert_count", 3);
  header.tensor("blk.0.ffn_down_exps.weight", {4}, 0, 0);
  header.tensor("blk.1.ffn_down_exps.weight", {1, 1, 4}, 0, 32);
  header.tensor("x.*.weight", {1, 1, 3}, 0, 64);
  auto checkpoint = llvm::cantFail(
      GgufCheckpoint::open(scratch.write("m.gguf", ggufFile(header, std::string(96, '\0')))));
  EXPECT_EQ(checkpoint->names().size(), 3u);
}

// Of which almost all is a hole.
TEST(Gguf, RefusesEndlessHeaders) {
  ScratchDirectory scratch;
  std::string path =
      scratch.write("m.gguf", ggufHead(0, 1).key("a", 8).u64(uint64_t(900) << 30).bytes);
  llvm::sys::fs::file_t file = llvm::cantFail(llvm::sys::fs::openNativeFileForWrite(
      path, llvm::sys::fs::CD_OpenExisting, llvm::sys::fs::OF_Append));
  ASSERT_FALSE(llvm::sys::fs::resize_file(file, uint64_t(1) << 40));
  llvm::sys::fs::closeFile(file);
  EXPECT_EQ(messageOf(GgufFile::open(path)),
            R"(m.gguf: "a": lies behind the first 512 MiB, where a header ends)");
  std::string list = scratch.write("n.gguf", ggufHead(0, 1).key("a", 9).u32(0).u64(1 << 25).bytes);
  file = llvm::cantFail(llvm::sys::fs::openNativeFileForWrite(list, llvm::sys::fs::CD_OpenExisting,
                                                              llvm::sys::fs::OF_Append));
  ASSERT_FALSE(llvm::sys::fs::resize_file(file, uint64_t(1) << 26));
  llvm::sys::fs::closeFile(file);
  EXPECT_EQ(messageOf(GgufFile::open(list)),
            R"(n.gguf: "a": makes more than 16777216 elements of lists)");
}

// Of names that mean the same in a directory.
TEST(Gguf, RefusesTensorsThatAreOne) {
  ScratchDirectory scratch;
  GgufBytes header = ggufHead(2, 1).texts("general.architecture", "gpt-oss");
  header.tensor("blk.0.ffn_norm.weight", {4}, 0, 0);
  header.tensor("blk.0.post_attention_norm.weight", {4}, 0, 32);
  EXPECT_EQ(
      messageOf(
          GgufCheckpoint::open(scratch.write("m.gguf", ggufFile(header, std::string(48, '\0'))))),
      R"(m.gguf: tensor "blk.0.post_attention_norm.weight": is what "blk.0.ffn_norm.weight" is, )"
      R"("model.layers.0.post_attention_layernorm.weight" of a directory)");
}

std::string configOf(const GgufBytes &header, const std::string &data = "") {
  ScratchDirectory scratch;
  auto file = llvm::cantFail(GgufFile::open(scratch.write("m.gguf", ggufFile(header, data))));
  return messageOf(ggufConfig(*file));
}

TEST(Gguf, RefusesConfigs) {
  const char *const known =
      R"("gemma2", "gemma3", "gpt-oss", "llama", "qwen2", "qwen3", "qwen3moe")";
  EXPECT_EQ(configOf(ggufHead(0, 0)), std::string("m.gguf: \"general.architecture\": expected one "
                                                  "of ") +
                                          known + ", found none");
  EXPECT_EQ(configOf(ggufHead(0, 1).texts("general.architecture", "mamba")),
            std::string("m.gguf: \"general.architecture\": expected one of ") + known +
                ", found \"mamba\"");
  auto llama = [](uint64_t more) {
    return ggufHead(1, 1 + more).texts("general.architecture", "llama");
  };
  const std::string data(32, '\0');
  EXPECT_EQ(configOf(llama(1).integer("llama.expert_count", 8).tensor("x", {1}, 0, 0), data),
            R"(m.gguf: "llama.expert_count": expected none for llama, found 8)");
  EXPECT_EQ(configOf(llama(1).integer("split.count", 3).tensor("x", {1}, 0, 0), data),
            R"(m.gguf: "split.count": is a part of a model, and parts have to be merged into one )"
            "file first");
  EXPECT_EQ(configOf(llama(0).tensor("x", {1}, 0, 0), data),
            R"(m.gguf: tensor "token_embd.weight": missing)");
  auto sized = [&](uint64_t more) {
    return llama(6 + more)
        .key("llama.attention.layer_norm_rms_epsilon", 6)
        .u32(0x3a83126f) // 0.001
        .integer("llama.block_count", 1)
        .integer("llama.embedding_length", 8)
        .integer("llama.attention.head_count", 2)
        .integer("llama.context_length", 16)
        .integer("llama.feed_forward_length", 8);
  };
  EXPECT_EQ(configOf(sized(1)
                         .texts("llama.rope.scaling.type", "spiral")
                         .tensor("token_embd.weight", {1}, 0, 0),
                     data),
            "m.gguf: llama.rope.scaling.type: expected none, linear or yarn, found \"spiral\"");
  EXPECT_EQ(
      configOf(
          sized(1).integer("llama.rope.dimension_count", 2).tensor("token_embd.weight", {1}, 0, 0),
          data),
      "m.gguf: llama.rope.dimension_count: expected 4, all lanes of a head, found 2");
  EXPECT_EQ(configOf(sized(0).tensor("token_embd.weight", {1}, 0, 0), data), "accepted");
  EXPECT_EQ(configOf(sized(1)
                         .key("llama.attention.causal", 7)
                         .number(0, 1)
                         .tensor("token_embd.weight", {1}, 0, 0),
                     data),
            "m.gguf: llama.attention.causal: expected true, found false");
  // 2.0: what nobody applies.
  EXPECT_EQ(configOf(sized(1)
                         .key("llama.rope.scaling.attn_factor", 6)
                         .u32(0x40000000)
                         .tensor("token_embd.weight", {1}, 0, 0),
                     data),
            "m.gguf: llama.rope.scaling.attn_factor: expected 1, found 2.0");
  // A factor of 0 says that there is none, whatever the type.
  EXPECT_EQ(configOf(sized(2)
                         .texts("llama.rope.scaling.type", "linear")
                         .key("llama.rope.scaling.factor", 6)
                         .u32(0)
                         .tensor("token_embd.weight", {1}, 0, 0),
                     data),
            "accepted");
  // What nobody reads is there for import to name.
  auto file = llvm::cantFail(GgufFile::open(ScratchDirectory().write(
      "m.gguf",
      ggufFile(sized(1).integer("llama.attention.scale", 1).tensor("token_embd.weight", {1}, 0, 0),
               data))));
  EXPECT_NE(llvm::cantFail(ggufConfig(*file)).find(R"("llama.attention.scale":true)"),
            std::string::npos);
  // What is a rule of config.json is said of it, and of the file.
  ScratchDirectory scratch;
  GgufBytes odd = sized(1).integer("llama.attention.head_count_kv", 5);
  std::string path =
      scratch.write("m.gguf", ggufFile(odd.tensor("token_embd.weight", {1}, 0, 0), data));
  EXPECT_EQ(
      messageOf(ModelConfig::fromDirectory(path)),
      "m.gguf: as config.json: num_key_value_heads: expected an integer from 1 to 2, found 5");
}

// An answer of GPT-OSS is several messages.
TEST(Gguf, EndsAnswersAndNotMessages) {
  ScratchDirectory scratch;
  GgufBytes header = ggufHead(0, 2).integer("tokenizer.ggml.eot_token_id", 1);
  header.key("tokenizer.ggml.tokens", 9).u32(8).u64(4);
  for (const char *text : {"a", "<|end|>", "<|return|>", "<|call|>"})
    header.text(text);
  auto file = llvm::cantFail(GgufFile::open(scratch.write("m.gguf", header.bytes)));
  EXPECT_EQ(llvm::cantFail(ggufGeneration(*file)), R"({"eos_token_id":[2,3]})");
}

TEST(Gguf, RefusesTokenizers) {
  auto said = [](const GgufBytes &header) {
    ScratchDirectory scratch;
    auto file = llvm::cantFail(GgufFile::open(scratch.write("m.gguf", header.bytes)));
    return messageOf(ggufTokenizer(*file));
  };
  auto list = [](GgufBytes bytes, const std::string &name, std::vector<std::string> texts) {
    bytes.key("tokenizer.ggml." + name, 9).u32(8).u64(texts.size());
    for (const std::string &text : texts)
      bytes.text(text);
    return bytes;
  };
  EXPECT_EQ(said(ggufHead(0, 0)), "accepted");
  EXPECT_EQ(said(ggufHead(0, 1).texts("tokenizer.ggml.model", "bert")),
            R"(m.gguf: "tokenizer.ggml.model": expected one of "gpt2", "llama", found "bert")");
  EXPECT_EQ(said(ggufHead(0, 1).texts("tokenizer.ggml.model", "gpt2")),
            R"(m.gguf: "tokenizer.ggml.tokens": expected a list of texts)");
  auto gpt2 = [](uint64_t more) {
    return ggufHead(0, 2 + more).texts("tokenizer.ggml.model", "gpt2");
  };
  EXPECT_EQ(said(list(gpt2(0), "tokens", {"a", "b\xff"})),
            R"(m.gguf: "tokenizer.ggml.tokens": token 1 is not UTF-8: "b\377")");
  EXPECT_EQ(
      said(list(gpt2(0), "tokens", {"a", "b"})),
      R"(m.gguf: "tokenizer.ggml.pre": expected one of "deepseek-r1-qwen", "gpt-2", "gpt-4o", )"
      R"("llama-bpe", "qwen2", "smollm", "tekken", found none)");
  EXPECT_EQ(said(list(gpt2(1).texts("tokenizer.ggml.pre", "qwen2"), "tokens", {"a", "b"})),
            R"(m.gguf: "tokenizer.ggml.merges": expected a list of texts)");
  EXPECT_EQ(
      said(list(gpt2(1).key("tokenizer.ggml.token_type", 9).u32(5).u64(1).u32(1), "tokens",
                {"a", "b"})),
      R"(m.gguf: "tokenizer.ggml.token_type": expected 2 of them, one for each token, found 1)");
  EXPECT_EQ(said(list(ggufHead(0, 2).texts("tokenizer.ggml.model", "llama"), "tokens", {"a", "b"})),
            R"(m.gguf: "tokenizer.ggml.scores": expected 2 numbers, one for each token)");
}

} // namespace
