// Shards.cpp - directories of several safetensors files and an index.
#include "ScratchDirectory.h"
#include "lib/checkpoint/Checkpoint.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

using namespace pianola;

namespace {

const std::string indexName = "model.safetensors.index.json";

std::string shard(const std::string &tensor) {
  return safeTensors("{\"" + tensor + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4);
}

std::string openWithIndex(const ScratchDirectory &scratch, const std::string &index) {
  scratch.write(indexName, index);
  return messageOf(Checkpoint::open(scratch.path));
}

TEST(Shards, ReadsWhatTheIndexNames) {
  ScratchDirectory scratch;
  scratch.write("one.safetensors", shard("a"));
  scratch.write("two.safetensors", shard("b"));
  scratch.write("consolidated.safetensors", "not even a header");
  scratch.write(indexName, R"({"metadata":{"total_size":8},"weight_map":
      {"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_TRUE(Checkpoint::present(scratch.path));
  auto checkpoint = llvm::cantFail(Checkpoint::open(scratch.path));
  EXPECT_EQ(checkpoint->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint->origin("b"), "two.safetensors");
  EXPECT_EQ(messageOf(checkpoint->require("b", {4}, TensorRole::Bias)), "accepted");
  EXPECT_EQ(messageOf(checkpoint->require("b", {2, 2}, TensorRole::Matrix)),
            R"(two.safetensors: tensor "b": shape: expected [2, 2], found [4])");
  EXPECT_EQ(messageOf(checkpoint->require("c", {4}, TensorRole::Bias)),
            R"(model.safetensors.index.json: tensor "c": missing, expected [4])");
}

TEST(Shards, RefusesIndexes) {
  ScratchDirectory scratch;
  scratch.write("one.safetensors", shard("a"));
  for (std::string name : {"../one.safetensors", "/etc/passwd", "a/b", "a\\\\b", "..", ".", "",
                           "one.safetensors\\u0000x"})
    EXPECT_EQ(
        openWithIndex(scratch, R"({"weight_map":{"a":")" + name + "\"}}"),
        R"(model.safetensors.index.json: weight_map: "a": expected the name of a file in the )"
        "same directory, found \"" +
            name + "\"");
  EXPECT_EQ(openWithIndex(scratch, R"({"weight_map":{"a":7}})"),
            R"(model.safetensors.index.json: weight_map: "a": expected the name of a file in the )"
            "same directory, found 7");
  EXPECT_EQ(openWithIndex(scratch, R"({"weight_map":[]})"),
            "model.safetensors.index.json: weight_map: expected an object, found []");
  EXPECT_EQ(openWithIndex(scratch, "{}"),
            "model.safetensors.index.json: weight_map: expected an object, found nothing");
  EXPECT_EQ(openWithIndex(scratch, "{"), "model.safetensors.index.json: not valid JSON at byte 2");
  EXPECT_EQ(openWithIndex(scratch, R"({"weight_map":{"a":"gone.safetensors"}})"),
            "gone.safetensors: No such file or directory");
  EXPECT_EQ(
      openWithIndex(scratch, R"({"weight_map":{"z":"one.safetensors"}})"),
      R"(one.safetensors: tensor "z": missing, though model.safetensors.index.json places it )"
      "here");
  ASSERT_EQ(mkfifo(scratch.file("fifo").c_str(), 0600), 0);
  EXPECT_EQ(openWithIndex(scratch, R"({"weight_map":{"a":"fifo"}})"),
            "fifo: expected a regular file, found a FIFO");
}

TEST(Shards, RefusesADirectoryWithoutWeights) {
  ScratchDirectory scratch;
  scratch.write("consolidated.safetensors", shard("a"));
  EXPECT_FALSE(Checkpoint::present(scratch.path));
  EXPECT_EQ(messageOf(Checkpoint::open(scratch.path)),
            scratch.path +
                ": expected model.safetensors or model.safetensors.index.json, found neither");
}

} // namespace
