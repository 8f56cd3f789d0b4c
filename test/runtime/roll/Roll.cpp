// Roll.cpp - a roll is read back as written, and a bad one is refused with its reason.
#include "runtime/roll/Roll.h"

#include "runtime/roll/CpuFeatures.h"
#include "runtime/roll/Digest.h"
#include "test/runtime/amx/Emulation.h"
#include "test/runtime/roll/TinyRoll.h"

#include <cstring>
#include <dirent.h>
#include <functional>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace pianola;

namespace {

class RollFile : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "roll.XXXXXX";
    directory = mkdtemp(name.data());
    path = directory + "/x.roll";
  }
  void TearDown() override { (void)!std::system(("rm -rf " + directory).c_str()); }

  // The message without the file's name, which must stand in front.
  std::string refusal() {
    auto roll = Roll::open(path);
    if (roll)
      return "accepted";
    EXPECT_EQ(roll.message().rfind(path + ": ", 0), 0u) << roll.message();
    return roll.message().substr(path.size() + 2);
  }
  std::string refusalOf(const std::function<void(TinyRoll &)> &change) {
    TinyRoll tiny;
    change(tiny);
    tiny.write(path);
    return refusal();
  }
  // Changes the header and makes its digest right again.
  std::string refusalOfHeader(const std::function<void(PianolaRollHeader &)> &change) {
    TinyRoll().write(path);
    std::string bytes = readFile(path);
    PianolaRollHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    change(header);
    header.digest = 0;
    header.digest = sectionDigest(reinterpret_cast<uint8_t *>(&header), sizeof(header), 1);
    std::memcpy(bytes.data(), &header, sizeof(header));
    writeFile(path, bytes);
    return refusal();
  }

  std::string directory, path;
};

TEST_F(RollFile, IsReadBackAsWritten) {
  EXPECT_EQ(refusalOf([](TinyRoll &) {}), "accepted");
  auto roll = std::move(*Roll::open(path));
  EXPECT_EQ(roll->manifest().model.family, "tiny");
  EXPECT_EQ(roll->manifest().programs[0].steps[1].bindings[0].at, 128u);
  EXPECT_EQ(roll->manifest().rotations[0].invFreq[1], 0.5f);
  EXPECT_EQ(roll->records()[2].begin, 2u);
  EXPECT_EQ(roll->section(PIANOLA_SECTION_TAPE)[127], 7);
  EXPECT_TRUE(roll->tokenizer().empty());
  std::string first = readFile(path);
  TinyRoll().write(path);
  EXPECT_TRUE(readFile(path) == first);
}

TEST_F(RollFile, NothingStaysOfAFailure) {
  {
    auto writer = std::move(*RollWriter::create(path));
    ASSERT_TRUE(writer->add(PIANOLA_SECTION_CODE, "x", 1).ok());
  }
  int files = 0;
  DIR *list = opendir(directory.c_str());
  while (dirent *entry = readdir(list))
    files += entry->d_name[0] != '.';
  closedir(list);
  EXPECT_EQ(files, 0);
  EXPECT_EQ(RollWriter::create(directory + "/none/x.roll").message(),
            directory + "/none/x.roll: cannot be written: No such file or directory");
  EXPECT_EQ(RollWriter::create(directory).message(),
            directory + ": is not a regular file, and would be replaced");
}

TEST_F(RollFile, RefusesOtherFiles) {
  EXPECT_EQ(refusal(), "cannot be opened: No such file or directory");
  writeFile(path, "short");
  EXPECT_EQ(refusal(), "is not a roll: it is only 5 bytes long");
  writeFile(path, std::string(10000, 'x'));
  EXPECT_EQ(refusal(), "is not a roll");
  unlink(path.c_str());
  mkfifo(path.c_str(), 0600);
  EXPECT_EQ(refusal(), "is not a regular file");
  path = directory;
  EXPECT_EQ(refusal(), "is not a regular file");
}

TEST_F(RollFile, RefusesBadHeaders) {
  EXPECT_EQ(refusalOfHeader([](auto &header) { header.version = 7; }),
            "is a roll of version 7; this runtime plays version 5: compile the model again");
  EXPECT_EQ(refusalOfHeader([](auto &header) { header.header_bytes = 8; }),
            "has a header of 8 bytes, expected 296");
  EXPECT_EQ(refusalOfHeader([](auto &header) { header.file_bytes += 4096; }),
            "is 20480 bytes long, expected 24576: truncated?");
  EXPECT_EQ(refusalOfHeader([](auto &header) { header.sections[1].offset += 64; }),
            "section code: bytes 8256 to 8267 do not lie in the file");
  EXPECT_EQ(refusalOfHeader([](auto &header) { header.sections[1].bytes = ~0ull; }),
            "section code: bytes 8192 to 8191 do not lie in the file");
  EXPECT_EQ(refusalOfHeader([](auto &header) { header.sections[1] = header.sections[0]; }),
            "section code overlaps section manifest");
  EXPECT_EQ(refusalOfHeader([](auto &header) { header.sections[2] = {}; }),
            "has no section records");
}

TEST_F(RollFile, RefusesOtherMachines) {
  EXPECT_EQ(refusalOf([](TinyRoll &t) { t.manifest["target"]["features"] = {"sse9"}; }),
            "needs the CPU feature sse9, which this CPU does not have: compile the model for this "
            "machine (--target host)");
  EXPECT_EQ(refusalOf([](TinyRoll &t) { t.manifest["target"]["architecture"] = "aarch64"; }),
            "is compiled for host on aarch64; this is a host of x86_64: compile the model for this "
            "machine (--target host)");
}

TEST_F(RollFile, RefusesTilesThatAreNotThere) {
  if (test::hasAmx())
    GTEST_SKIP() << "this CPU has AMX, and the system permits it";
  for (std::string feature : {"amx-bf16", "amx-int8"}) {
    auto refusalOfTiles = [&] {
      return refusalOf([&](TinyRoll &t) { t.manifest["target"]["features"] = {feature}; });
    };
    EXPECT_EQ(refusalOfTiles(),
              "needs the CPU feature " + feature +
                  ", which this CPU does not have: compile the model for this machine "
                  "(--target host)");
    // As if the CPU had it: then it is Linux that refuses.
    takeAsThere({feature}, /*permitted=*/false);
    std::string fromLinux = refusalOfTiles();
    takeAsThere({feature});
    EXPECT_EQ(refusalOfTiles(), "accepted");
    takeAsThere({}, /*permitted=*/false);
    EXPECT_EQ(fromLinux.rfind("needs the CPU feature amx-tile, which this CPU has and the system "
                              "refuses (",
                              0),
              0u)
        << fromLinux;
  }
}

TEST_F(RollFile, RefusesBadManifests) {
  auto set = [&](const char *pointer, nlohmann::json value) {
    return refusalOf([&](TinyRoll &tiny) {
      tiny.manifest[nlohmann::json::json_pointer(pointer)] = std::move(value);
    });
  };
  EXPECT_EQ(set("/model", 3), "manifest: model: expected an object");
  EXPECT_EQ(set("/model/vocabulary", "16"),
            "manifest: model.vocabulary: expected an integer from 1 to 2147483648");
  EXPECT_EQ(set("/max_model_len", 1e30),
            "manifest: max_model_len: expected an integer from 1 to 2147483648");
  EXPECT_EQ(set("/contexts/0/size", 17), "manifest: contexts[0].size: expected a multiple of 16");
  EXPECT_EQ(set("/contexts/0/element", "i4"),
            "manifest: contexts[0].element: expected \"f32\", \"bf16\", \"i8\" or \"f8e4m3\"");
  EXPECT_EQ(set("/contexts/0/element", "i8"), "accepted");
  EXPECT_EQ(set("/contexts/0/window", 0),
            "manifest: contexts[0].window: expected an integer from 1 to 281474976710656");
  EXPECT_EQ(set("/contexts/0/ring", 72), "manifest: contexts[0].ring: expected a multiple of 64");
  EXPECT_EQ(set("/contexts/0/ring", 64),
            "manifest: contexts[0].ring: expected more positions than those of a window");
  EXPECT_EQ(set("/pools", nlohmann::json::array({{{"offset", 64}, {"bytes", 1 << 20}}})),
            "manifest: pools[0] does not lie in the tape section");
  EXPECT_EQ(set("/contexts/0/heads", 1048576),
            "accepted"); // 8 GiB of address space are nothing
  EXPECT_EQ(set("/rotations/0/inv_freq", nlohmann::json::array()),
            "manifest: rotations[0].inv_freq: expected 1 to 4096 numbers");
  EXPECT_EQ(set("/parts/0/entry", 11), "manifest: part count starts at byte 11 of a code of 11");
  EXPECT_EQ(set("/tapes/1/bytes", 65), "manifest: tapes[1] does not lie in the tape section");
  EXPECT_EQ(set("/tapes", nlohmann::json::array()),
            "manifest: tapes: expected one for each of 2 workers, found 0");
  EXPECT_EQ(set("/programs/0/logits/at", 256), "manifest: program decode: logits do not lie in the "
                                               "arena");
  EXPECT_EQ(set("/programs/0/hidden_states", {{"at", 64}, {"columns", 16}}), "accepted");
  for (int at : {8, 256})
    EXPECT_EQ(set("/programs/0/hidden_states", {{"at", at}, {"columns", 16}}),
              "manifest: program decode: hidden states do not lie in the arena");
  EXPECT_EQ(set("/programs/0/hidden_states", {{"at", 0}, {"columns", 15}}),
            "manifest: program decode: hidden states do not lie in the arena");
  EXPECT_EQ(set("/programs/0/hidden_states", {{"at", 0}}),
            "manifest: programs[0].hidden_states.columns: expected an integer from 1 to "
            "281474976710656");
  EXPECT_EQ(set("/programs/0/steps/1/bindings/0/at", 256),
            "manifest: program decode: steps[1] binds 256, which is not there");
  EXPECT_EQ(set("/programs/0/steps/1/bindings/0/space", "state"),
            "manifest: program decode: steps[1] binds 128, which is not there");
  EXPECT_EQ(set("/states", {{{"bytes", 8}}}),
            "manifest: states[0].bytes: expected an integer from 64 to 1073741824");
  EXPECT_EQ(set("/states", {{{"bytes", 100}}}),
            "manifest: states[0].bytes: expected a multiple of 64");
  EXPECT_EQ(set("/states", {{{"bytes", 4096}}}), "accepted");
  EXPECT_EQ(set("/programs/0/steps/1/bindings/0/space", "moon"),
            "manifest: programs[0].steps[1].bindings[0].space: expected \"arena\", \"context\", "
            "\"state\", "
            "\"rotation\", \"table\", \"constant\" or \"pool\"");
  EXPECT_EQ(set("/programs/0/records/1/count", 5),
            "manifest: program decode: records of worker 1 do not lie in their section");
  EXPECT_EQ(set("/programs/0/arena", int64_t(1) << 45),
            "manifest: program decode: needs 35184372088832 bytes of activations");
  EXPECT_EQ(set("/programs/0/events", 100000),
            "manifest: program decode: has 100000 events, and the roll 8 records");
  EXPECT_EQ(set("/programs/0/scratch", int64_t(1) << 30),
            "manifest: program decode: wants 1073741824 bytes of scratch for each worker, more "
            "than 256 MiB");
  nlohmann::json deep;
  for (int i = 0; i < 40; ++i)
    deep = nlohmann::json::array({deep});
  EXPECT_EQ(set("/generation/stop", deep), "manifest: is nested too deeply");
}

TEST_F(RollFile, RefusesBadRecords) {
  auto set = [&](size_t number, PianolaRollRecord record) {
    return refusalOf([&](TinyRoll &tiny) { tiny.records[number] = record; });
  };
  std::string front = "section records: record ";
  EXPECT_EQ(set(0, {9, 0, 0, 0, 1, 0, 0, 0}), front + "0: kind 9");
  EXPECT_EQ(set(0, {0, 2, 0, 0, 1, 0, 0, 0}), front + "0: step 2 of 2");
  EXPECT_EQ(set(0, {0, 0, 1, 0, 1, 0, 0, 0}), front + "0: part 1 of 1");
  EXPECT_EQ(set(0, {0, 0, 0, 1, 1, 0, 0, 0}), front + "0: tiles 1 to 1");
  EXPECT_EQ(set(0, {0, 0, 0, 0, 1, 5, 0, 0}), front + "0: reserved bytes are not zero");
  EXPECT_EQ(set(0, {0, 0, 0, 0, 1, 0, 0, 128}), front + "0: does not lie on the worker's tape");
  EXPECT_EQ(set(1, {2, 0, 1, 0, 0, 0, 0, 0}), front + "1: event 1 of 1");
  EXPECT_EQ(set(2, {1, 1, 0, 3, 0, 0, 0, 0}),
            "section records: in program decode worker 0 would wait forever at record 2");
}

TEST_F(RollFile, FindsEveryFlippedBit) {
  TinyRoll().write(path);
  const std::string bytes = readFile(path);
  std::vector<std::pair<size_t, size_t>> parts{{0, sizeof(PianolaRollHeader)}};
  PianolaRollHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  for (const PianolaSection &section : header.sections)
    parts.push_back({section.offset, section.bytes});
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    auto [offset, size] = parts[random() % parts.size()];
    if (size == 0)
      continue;
    std::string flipped = bytes;
    flipped[offset + random() % size] ^= 1 << random() % 8;
    writeFile(path, flipped);
    EXPECT_NE(refusal(), "accepted");
  }
  std::string damaged = bytes;
  damaged[header.sections[PIANOLA_SECTION_TAPE].offset] ^= 1;
  writeFile(path, damaged);
  EXPECT_EQ(refusal(), "is damaged: section tape does not match its digest");
}

TEST_F(RollFile, RefusesEveryTruncation) {
  TinyRoll().write(path);
  const std::string bytes = readFile(path);
  for (size_t size = 0; size < bytes.size(); size += size < 300 ? 1 : 997) {
    writeFile(path, bytes.substr(0, size));
    EXPECT_NE(refusal(), "accepted") << size;
  }
}

} // namespace
