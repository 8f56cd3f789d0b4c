// SafeTensors.cpp - single safetensors files: what is written is read, what is hostile is refused.
#include "ScratchDirectory.h"
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/SafeTensorsWriter.h"

#include <gtest/gtest.h>

#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace pianola;

namespace {

struct Case {
  std::string header;
  size_t data;
  std::string message;
};

TEST(SafeTensors, RefusesHeaders) {
  const std::string a = R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]})";
  auto tensor = [](const std::string &fields) { return R"({"a":{)" + fields + "}}"; };
  const Case cases[] = {
      {"{" + a + "}", 24, "accepted"},
      {"{" + a + "}    ", 24, "accepted"},
      {R"({"__metadata__":{"format":"pt"},)" + a + "}", 24, "accepted"},
      {"{}", 0, "accepted"},
      {R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4, "accepted"},
      {R"({"a":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]}})", 0, "accepted"},
      {"{" + a + "}\n", 24, "m: header: expected a JSON object padded with spaces"},
      {" {" + a + "}", 24, "m: header: expected a JSON object padded with spaces"},
      {"", 24, "m: header: expected a JSON object padded with spaces"},
      {"[]", 0, "m: header: expected a JSON object padded with spaces"},
      {"{" + a + ",}", 24, "m: header: not valid JSON at byte 58"},
      {"{\"\xff\":{}}", 0, "m: header: not valid JSON at byte 3"},
      {"{" + a + "," + a + "}", 24, R"(m: header: "a" appears twice)"},
      {tensor(R"("dtype":"F32","dtype":"F32")"), 0, R"(m: tensor "a": dtype: appears twice)"},
      {tensor(R"("kind":1)"), 0,
       R"(m: tensor "a": "kind": expected only dtype, shape and data_offsets)"},
      {R"({"a":3})", 0, R"(m: tensor "a": expected an object, found a number)"},
      {R"({"a":null})", 0, R"(m: tensor "a": expected an object, found null)"},
      {R"({"__metadata__":{"format":{}}})", 0,
       R"(m: header: __metadata__: "format": expected a string, found an object)"},
      {tensor(R"("dtype":32)"), 0, R"(m: tensor "a": dtype: expected a string, found a number)"},
      {tensor(R"("shape":"2")"), 0,
       R"(m: tensor "a": shape: expected an array of integers, found a string)"},
      {tensor(R"("shape":[2.5])"), 0,
       R"(m: tensor "a": shape: expected an integer from 0, found a number that is no integer of 64 bits)"},
      {tensor(R"("shape":[-1])"), 0,
       R"(m: tensor "a": shape: expected an integer from 0, found a negative integer)"},
      {tensor(R"("shape":[[1]])"), 0,
       R"(m: tensor "a": shape: expected an integer from 0, found an array)"},
      {tensor(R"("shape":[18446744073709551615])"), 0,
       R"(m: tensor "a": shape: expected an integer from 0, found an integer over 2^63 - 1)"},
      {tensor(R"("dtype":"F32","shape":[1])"), 0, R"(m: tensor "a": data_offsets: missing)"},
      {tensor(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"), 4,
       R"(m: tensor "a": dtype: expected one of BOOL, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, I16, U16, )"
       R"(F16, BF16, I32, U32, F32, F64, I64, U64, found "F31")"},
      {tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0,
       R"(m: tensor "a": shape: F32 [4294967296, 4294967296] is over 2^63 - 1 bytes)"},
      {tensor(R"("dtype":"F32","shape":[2,3],"data_offsets":[0,20])"), 20,
       R"(m: tensor "a": data_offsets: expected 24 bytes for F32 [2, 3], found [0, 20])"},
      {tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4,
       R"(m: tensor "a": data_offsets: expected 4 bytes for F32 [1], found [4, 0])"},
      {tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), 8,
       R"(m: tensor "a": data_offsets: expected two integers, found 3)"},
      {"{" + a + R"(,"b":{"dtype":"U8","shape":[4],"data_offsets":[25,29]}})", 29,
       R"(m: tensor "b": data_offsets: expected to begin at 24, where the tensor before ends, found 25)"},
      {"{" + a + R"(,"b":{"dtype":"U8","shape":[4],"data_offsets":[20,24]}})", 24,
       R"(m: tensor "b": data_offsets: expected to begin at 24, where the tensor before ends, found 20)"},
      {"{" + a + "}", 23,
       R"(m: tensor "a": data_offsets: ends at 24, but the file has 23 bytes of data)"},
      {"{" + a + "}", 25, "m: tensors end at 24, but the file has 25 bytes of data"},
  };
  ScratchDirectory scratch;
  for (const Case &c : cases)
    EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.write("m", safeTensors(c.header, c.data)))),
              c.message)
        << c.header;
}

TEST(SafeTensors, RefusesLengths) {
  ScratchDirectory scratch;
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.write("m", "abc"))),
            "m: expected eight bytes of header length, found 3");
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.write("m", std::string(9, '\xff')))),
            "m: header length: expected at most 100000000, found 18446744073709551615");
  std::string claims(10, '\0');
  claims[0] = 3;
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.write("m", claims))),
            "m: header length: expected at most 2 in a file of 10 bytes, found 3");
}

TEST(SafeTensors, EscapesAndCutsNames) {
  ScratchDirectory scratch;
  std::string header = R"({"\n)" + std::string(500, 'x') + R"(":3})";
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.write("m", safeTensors(header, 0)))),
            R"(m: tensor "\n)" + std::string(79, 'x') +
                R"(...": expected an object, found a number)");
}

TEST(SafeTensors, RefusesDeepNesting) {
  ScratchDirectory scratch;
  std::string deep = R"({"a":)" + std::string(200000, '[') + "}";
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.write("m", safeTensors(deep, 0)))),
            R"(m: tensor "a": expected an object, found an array)");
}

TEST(SafeTensors, RefusesWhatIsNoFile) {
  ScratchDirectory scratch;
  ASSERT_EQ(mkfifo(scratch.file("fifo").c_str(), 0600), 0);
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.file("fifo"))),
            "fifo: expected a regular file, found a FIFO");
  ASSERT_EQ(mkdir(scratch.file("folder").c_str(), 0700), 0);
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.file("folder"))),
            "folder: expected a regular file, found a directory");
  EXPECT_EQ(messageOf(Checkpoint::openFile(scratch.file("absent"))),
            "absent: No such file or directory");
}

TEST(SafeTensors, TruncatedAfterOpening) {
  ScratchDirectory scratch;
  std::string path = scratch.write(
      "m", safeTensors(R"({"a":{"dtype":"U8","shape":[9000],"data_offsets":[0,9000]}})", 9000));
  auto checkpoint = llvm::cantFail(Checkpoint::openFile(path));
  ASSERT_EQ(truncate(path.c_str(), 100), 0);
  std::vector<uint8_t> bytes(9000);
  EXPECT_EQ(messageOf(checkpoint->read(*checkpoint->find("a"), 0, bytes)),
            "m: ends at byte 100, but had 9067 bytes when it was opened");
}

TEST(SafeTensors, ReadsSlicesAndRefusesBeyondTheEnd) {
  ScratchDirectory scratch;
  std::vector<float> values = {1.5f, -2, 3e-9f, 4, 5, 6};
  std::vector<int32_t> ids = {7, -8};
  std::string path = scratch.file("m");
  ASSERT_EQ(messageOf(writeSafeTensors(path, {{"values", {2, 3}, llvm::ArrayRef<float>(values)},
                                              {"ids", {2}, llvm::ArrayRef<int32_t>(ids)}})),
            "accepted");
  auto checkpoint = llvm::cantFail(Checkpoint::openFile(path));
  EXPECT_EQ(checkpoint->names(), (std::vector<std::string>{"ids", "values"}));
  const TensorInfo &tensor = *checkpoint->find("values");
  EXPECT_EQ(tensor.shape, (llvm::SmallVector<int64_t, 2>{2, 3}));
  std::vector<float> row(3);
  ASSERT_EQ(messageOf(checkpoint->readFloats(tensor, 3, row)), "accepted");
  EXPECT_EQ(row, (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(messageOf(checkpoint->readFloats(tensor, 4, row)),
            R"(m: tensor "values": has 24 bytes, asked for 12 from 16)");
  EXPECT_EQ(messageOf(checkpoint->readFloats(*checkpoint->find("ids"), 0, row)),
            R"(m: tensor "ids": dtype: expected F32, BF16 or F16, found I32)");
  std::vector<uint8_t> bytes(8);
  ASSERT_EQ(messageOf(checkpoint->read(*checkpoint->find("ids"), 0, bytes)), "accepted");
  EXPECT_EQ(bytes, (std::vector<uint8_t>{7, 0, 0, 0, 0xF8, 0xFF, 0xFF, 0xFF}));
}

TEST(SafeTensors, DecodesHalvesAndBFloats) {
  ScratchDirectory scratch;
  std::string file = safeTensors(R"({"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},)"
                                 R"("h":{"dtype":"F16","shape":[4],"data_offsets":[4,12]}})",
                                 0);
  for (uint16_t bits : {0x3FC0, 0xC000, 0x3C01, 0x8001, 0x7BFF, 0xFC00})
    file += {char(bits & 0xFF), char(bits >> 8)};
  auto checkpoint = llvm::cantFail(Checkpoint::openFile(scratch.write("m", file)));
  std::vector<float> b(2), h(4);
  llvm::cantFail(checkpoint->readFloats(*checkpoint->find("b"), 0, b));
  llvm::cantFail(checkpoint->readFloats(*checkpoint->find("h"), 0, h));
  EXPECT_EQ(b, (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(h, (std::vector<float>{1 + 1.0f / 1024, -0x1p-24f, 65504, -INFINITY}));
}

TEST(SafeTensors, WriterRefusesAndLeavesNothingBehind) {
  ScratchDirectory scratch;
  std::vector<float> values(5);
  llvm::ArrayRef<float> five(values);
  EXPECT_EQ(messageOf(writeSafeTensors(scratch.file("m"), {{"a", {2, 3}, five}})),
            R"(m: tensor "a": 5 values do not fill [2, 3])");
  EXPECT_EQ(messageOf(writeSafeTensors(scratch.file("m"), {{"a", {5}, five}, {"a", {5}, five}})),
            R"(m: tensor "a": the name is taken)");
  EXPECT_NE(messageOf(writeSafeTensors(scratch.file("absent/m"), {{"a", {5}, five}})), "accepted");
  // Where the destination cannot be replaced, the temporary file is removed again.
  ASSERT_EQ(mkdir(scratch.file("folder").c_str(), 0700), 0);
  EXPECT_NE(messageOf(writeSafeTensors(scratch.file("folder"), {{"a", {5}, five}})), "accepted");
  ASSERT_EQ(rmdir(scratch.file("folder").c_str()), 0);
  EXPECT_EQ(rmdir(scratch.path.c_str()), 0) << "something is left";
}

/// Any change of any bytes either loads, and then everything can be read, or is an error.
TEST(SafeTensors, SurvivesMutations) {
  ScratchDirectory scratch;
  const std::string valid = safeTensors(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[4,8],"data_offsets":[0,64]},)"
      R"("b":{"dtype":"F32","shape":[8],"data_offsets":[64,96]}} )",
      96);
  const size_t headerEnd = valid.size() - 96;
  std::mt19937 random(20);
  size_t loaded = 0, refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = valid;
    for (int change = random() % 3; change >= 0; --change) {
      size_t at = random() % headerEnd;
      switch (random() % 4) {
      case 0:
        bytes[at] = char(random());
        break;
      case 1:
        bytes[at] = bytes[random() % headerEnd];
        break;
      case 2:
        bytes[at] = char(bytes[at] ^ (1 << random() % 8));
        break;
      case 3:
        bytes[at] = "0123456789{}[]\",: "[random() % 18];
        break;
      }
    }
    auto checkpoint = Checkpoint::openFile(scratch.write("m", bytes));
    if (!checkpoint) {
      EXPECT_FALSE(llvm::toString(checkpoint.takeError()).empty());
      ++refused;
      continue;
    }
    ++loaded;
    for (const std::string &name : (*checkpoint)->names()) {
      const TensorInfo &tensor = *(*checkpoint)->find(name);
      std::vector<uint8_t> out(tensor.bytes);
      EXPECT_EQ(messageOf((*checkpoint)->read(tensor, 0, out)), "accepted");
    }
  }
  EXPECT_GT(loaded, 20u);
  EXPECT_GT(refused, 500u);
}

} // namespace
