// CudaTest.h - sessions on the emulator, with an environment and a cache of their own.
#ifndef PIANOLA_TEST_RUNTIME_CUDA_CUDATEST_H
#define PIANOLA_TEST_RUNTIME_CUDA_CUDATEST_H

#include "test/runtime/cuda/GpuRoll.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace pianola {

class CudaTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "cache.XXXXXX";
    cache = mkdtemp(name.data());
    setenv("PIANOLA_CACHE", cache.c_str(), 1);
    options.device = DeviceKind::Emulator;
  }
  void TearDown() override {
    for (const std::string &name : changed)
      unsetenv(name.c_str());
    (void)!std::system(("rm -rf " + cache).c_str());
  }
  void set(const char *name, const std::string &value) {
    setenv(name, value.c_str(), 1);
    changed.emplace_back(name);
  }

  /// Opens `tiny` and a session on it.
  bool start(const GpuRoll &tiny = GpuRoll()) {
    session.reset();
    auto opened = tiny.open();
    EXPECT_TRUE(opened) << opened.message();
    if (!opened)
      return false;
    roll = std::move(*opened);
    auto made = Session::create(*roll, options);
    refusal = made.message();
    if (made)
      session = std::move(*made);
    return session != nullptr;
  }
  std::string refusalOf(const GpuRoll &tiny) {
    EXPECT_FALSE(start(tiny));
    return refusal;
  }

  void feed(const std::vector<int32_t> &ids) {
    Status status = session->feed(ids.data(), ids.size());
    EXPECT_TRUE(status.ok()) << status.message();
  }
  std::vector<int32_t> generate(const SamplingOptions &sampling, uint64_t most,
                                std::vector<int32_t> stops = {}) {
    Sampler sampler(sampling, 15);
    std::vector<int32_t> heard;
    GenerateOptions wanted;
    wanted.most = most;
    wanted.stops = std::move(stops);
    wanted.take = [&](int32_t token) { return heard.push_back(token), true; };
    auto end = session->generate(sampler, wanted);
    message = end.message();
    EXPECT_TRUE(end) << end.message();
    if (end)
      ended = *end;
    return heard;
  }

  std::string cache, refusal, message;
  SessionOptions options;
  std::unique_ptr<Roll> roll;
  std::unique_ptr<Session> session;
  GenerationEnd ended = GenerationEnd::Length;
  std::vector<std::string> changed;
};

} // namespace pianola

#endif
