// Refusals.cpp - what keeps a GPU from playing is said before, or instead.
#include "runtime/cuda/Driver.h"
#include "test/ReadFile.h"
#include "test/runtime/cuda/CudaTest.h"

#include <filesystem>
#include <fstream>

using namespace pianola;

namespace {

class Refusals : public CudaTest {};

TEST_F(Refusals, NoDriver) {
  options.device = DeviceKind::Auto;
  set("PIANOLA_CUDA_DRIVER", "/nowhere/libcuda.so.1");
  EXPECT_EQ(
      refusalOf(GpuRoll()),
      "the roll is for an NVIDIA GPU (h200): the CUDA driver '/nowhere/libcuda.so.1' cannot be "
      "opened: cannot open shared object file: No such file or directory");
}

TEST_F(Refusals, TheDriverThatTheEnvironmentNames) {
  options.device = DeviceKind::Cuda;
  set("PIANOLA_CUDA_DRIVER", *cuda::emulatorPath());
  EXPECT_TRUE(start()) << refusal;
}

TEST_F(Refusals, OtherTargets) {
  options.device = DeviceKind::Host;
  EXPECT_EQ(refusalOf(GpuRoll()), "the roll is compiled for a GPU, not for the host");
}

TEST_F(Refusals, OtherDevices) {
  GpuRoll tiny;
  tiny.manifest["target"]["capability"] = 100;
  tiny.manifest["target"]["chip"] = "sm_100a";
  tiny.manifest["target"]["device"] = "b200";
  EXPECT_EQ(refusalOf(tiny), "the roll is compiled for sm_100a (b200), and NVIDIA H200 is sm_90: "
                             "compile the model for this GPU");
  // Code for a chip that is not named with a letter runs on later ones.
  tiny.manifest["target"]["capability"] = 80;
  tiny.manifest["target"]["chip"] = "sm_80";
  EXPECT_TRUE(start(tiny)) << refusal;
  tiny = GpuRoll();
  tiny.manifest["target"]["workers"] = 133;
  tiny.manifest["tapes"] = nlohmann::json::array();
  for (int i = 0; i < 133; ++i)
    tiny.manifest["tapes"].push_back({{"offset", 0}, {"bytes", 2048}});
  for (auto &program : tiny.manifest["programs"])
    for (int i = 2; i < 133; ++i)
      program["records"].push_back({{"first", 0}, {"count", 0}});
  EXPECT_EQ(refusalOf(tiny), "the roll is compiled for 133 SMs, and NVIDIA H200 has 132: compile "
                             "the model for this GPU");
}

TEST_F(Refusals, BlocksThatAreTooLarge) {
  GpuRoll tiny;
  tiny.manifest["programs"][1]["kernel"]["shared"] = 300000;
  EXPECT_EQ(refusalOf(tiny),
            "kernel decode with 64 threads and 300000 bytes of shared memory cannot run on NVIDIA "
            "H200: a block may have 232448 bytes");
}

TEST_F(Refusals, MemoryIsCountedFirst) {
  GpuRoll tiny;
  tiny.manifest["contexts"][0]["heads"] = 1 << 20;
  tiny.manifest["max_model_len"] = 1 << 20;
  options.maxLen = 4096;
  std::string said = refusalOf(tiny);
  // 2 (keys and values) x 2^20 x 16 x 4096 x 4 bytes.
  EXPECT_EQ(said.rfind("not enough memory on NVIDIA H200: 5497", 0), 0u) << said;
  EXPECT_NE(said.find("(weights 6144, embeddings 1024, constants 64, context 549755813888, "
                      "rotations 32768, activations 512, events 128, state 168, tokens 16, "),
            std::string::npos)
      << said;
  uint64_t needed = 0, free = 0, missing = 0;
  ASSERT_EQ(std::sscanf(said.c_str() + 33, "%lu", &needed), 1);
  ASSERT_EQ(std::sscanf(said.c_str() + said.find("), ") + 3, "%lu bytes", &free), 1);
  ASSERT_EQ(std::sscanf(said.c_str() + said.rfind("free, ") + 6, "%lu", &missing), 1);
  EXPECT_EQ(needed, free + missing);
  EXPECT_EQ(free, 141'000'000'000u); // nothing was taken
}

TEST_F(Refusals, CodeThatDoesNotCompile) {
  GpuRoll tiny;
  size_t at = tiny.code.find("ld.param.u64");
  tiny.code.replace(at, 12, "ld.parm.u64 ");
  auto line = std::count(tiny.code.begin(), tiny.code.begin() + at, '\n') + 1;
  std::string said = refusalOf(tiny);
  EXPECT_EQ(said.rfind("the driver cannot compile the roll's code for NVIDIA H200: "
                       "CUDA_ERROR_INVALID_PTX",
                       0),
            0u)
      << said;
  EXPECT_NE(said.find(":" + std::to_string(line) + ":"), std::string::npos) << said;
  // The same without a place for compiled code.
  unsetenv("PIANOLA_CACHE");
  set("HOME", "");
  set("XDG_CACHE_HOME", "");
  EXPECT_NE(refusalOf(tiny).find(":" + std::to_string(line) + ":"), std::string::npos) << refusal;
}

TEST_F(Refusals, KernelsThatAreNotThere) {
  GpuRoll tiny;
  tiny.manifest["programs"][0]["kernel"]["stages"][2]["entry"] = "sample";
  EXPECT_EQ(refusalOf(tiny).rfind("the roll's code has no kernel sample: CUDA_ERROR_NOT_FOUND", 0),
            0u)
      << refusal;
}

TEST_F(Refusals, TheWatchdogSaysWhoWaitsForWhat) {
  GpuRoll tiny;
  tiny.manifest["programs"][0]["kernel"]["entry"] = "forgetful";
  options.watchdogSeconds = 0.25;
  ASSERT_TRUE(start(tiny)) << refusal;
  std::vector<int32_t> ids{1, 2, 3};
  std::string expected = "watchdog: worker 0 has waited 0.250000 s in step \"sample\" of program "
                         "prefill, play 0, for event 1: expected 2, seen 1";
  EXPECT_EQ(session->feed(ids.data(), ids.size()).message(), expected);
  EXPECT_EQ(session->position(), 0u);
  // The session is broken, and says why.
  EXPECT_EQ(session->feed(ids.data(), ids.size()).message(), expected);
  // Another one is not.
  ASSERT_TRUE(start()) << refusal;
  feed(ids);
}

class Cache : public CudaTest {
protected:
  std::vector<std::filesystem::path> entries() {
    std::vector<std::filesystem::path> all;
    std::error_code error;
    for (auto &entry : std::filesystem::directory_iterator(cache + "/cubin", error))
      all.push_back(entry.path());
    return all;
  }
  std::string content() { return readFile(entries().at(0)); }
  void change(const std::string &bytes) {
    std::ofstream(entries().at(0), std::ios::binary | std::ios::trunc) << bytes;
  }
  void startAndPlay(const GpuRoll &tiny = GpuRoll()) {
    ASSERT_TRUE(start(tiny)) << refusal;
    feed({1});
    EXPECT_EQ((*session->logits())[3], modelLogits({1})[0][3]);
  }
};

TEST_F(Cache, KeepsWhatWasCompiled) {
  startAndPlay();
  ASSERT_EQ(entries().size(), 1u);
  std::string kept = content();
  auto when = std::filesystem::last_write_time(entries()[0]);
  startAndPlay();
  EXPECT_EQ(std::filesystem::last_write_time(entries().at(0)), when);
  // What is found is what is played: under other names the kernels would not be found.
  GpuRoll other;
  other.code += "\n// another text";
  startAndPlay(other);
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(Cache, IsUsed) {
  startAndPlay();
  GpuRoll other;
  size_t at = other.code.find(".entry decode");
  ASSERT_NE(at, std::string::npos);
  other.code.replace(at, 13, ".entry decore");
  EXPECT_FALSE(start(other));
  // The entry of the bad text, whose digest is right, in place of the good one's.
  std::vector<std::string> texts;
  auto all = entries();
  ASSERT_EQ(all.size(), 2u);
  for (auto &path : all)
    texts.push_back(readFile(path));
  for (size_t i = 0; i < 2; ++i)
    std::ofstream(all[i], std::ios::binary | std::ios::trunc) << texts[1 - i];
  EXPECT_EQ(refusalOf(GpuRoll()).rfind("the roll's code has no kernel decode", 0), 0u) << refusal;
}

TEST_F(Cache, MendsDamagedEntries) {
  startAndPlay();
  std::string kept = content();
  std::string flipped = kept;
  flipped[kept.size() / 2] ^= 1;
  for (const std::string &bad : {flipped, kept.substr(0, 100), kept.substr(0, 10), std::string()}) {
    change(bad);
    startAndPlay();
    EXPECT_TRUE(content() == kept);
  }
}

TEST_F(Cache, IsNotNeeded) {
  set("PIANOLA_CACHE", "/proc/nothing/here");
  startAndPlay();
}

TEST_F(Cache, TheRollsOwnCodeComesFirst) {
  startAndPlay();
  GpuRoll tiny;
  // What the emulator's linker made, without the cache's header.
  tiny.cubin = content().substr(24);
  tiny.code = ".this is no PTX";
  std::filesystem::remove_all(cache + "/cubin");
  startAndPlay(tiny);
  EXPECT_TRUE(entries().empty());
  // One that this device does not take.
  tiny = GpuRoll();
  tiny.cubin = "\x7f"
               "ELF and so on";
  startAndPlay(tiny);
  EXPECT_EQ(entries().size(), 1u);
}

} // namespace
