// Player.cpp - records are played in order, by any number of threads, and stop when they must.
#include "runtime/host/Player.h"

#include "runtime/session/Session.h"
#include "test/runtime/roll/TinyRoll.h"

#include <unistd.h>

using namespace pianola;

namespace {

class PlayerTest : public testing::Test {
protected:
  std::unique_ptr<Roll> open(const TinyRoll &tiny) {
    std::string name = testing::TempDir() + "player.XXXXXX";
    close(mkstemp(name.data()));
    tiny.write(name);
    auto roll = Roll::open(name);
    unlink(name.c_str());
    EXPECT_TRUE(roll) << roll.message();
    return roll ? std::move(*roll) : nullptr;
  }

  // A roll of `workers` workers whose steps count at numbers[0] and numbers[8].
  TinyRoll tinyOf(int workers) {
    TinyRoll tiny;
    tiny.records = TinyRoll::workers(workers);
    tiny.manifest["target"]["workers"] = workers;
    tiny.manifest["tapes"] = nlohmann::json::array();
    auto &records = tiny.manifest["programs"][0]["records"] = nlohmann::json::array();
    for (int w = 0; w < workers; ++w) {
      tiny.manifest["tapes"].push_back({{"offset", 0}, {"bytes", 64}});
      records.push_back({{"first", 4 * w}, {"count", 4}});
    }
    return tiny;
  }

  HostPlay play() {
    HostPlay play;
    bindings = {{numbers}, {numbers + 8}};
    play.play = &one;
    play.bindings = &bindings;
    return play;
  }

  alignas(64) uint64_t numbers[16] = {};
  Play one;
  std::vector<std::vector<void *>> bindings;
};

TEST_F(PlayerTest, PlaysAllStreamsWithAnyNumberOfThreads) {
  for (int workers : {1, 2, 5})
    for (unsigned threads : {1u, 2u, 3u, 8u}) {
      std::unique_ptr<Roll> roll = open(tinyOf(workers));
      ASSERT_TRUE(roll);
      Player player(*roll, threads, 20);
      EXPECT_EQ(player.threads(), std::min<unsigned>(threads, workers));
      numbers[0] = numbers[8] = 0;
      for (int i = 1; i <= 50; ++i) {
        Status status = player.play(play());
        ASSERT_TRUE(status.ok()) << status.message();
        EXPECT_EQ(numbers[0], uint64_t(i) * workers);
        EXPECT_EQ(numbers[8], uint64_t(i) * workers);
      }
    }
}

TEST_F(PlayerTest, StopsWhenCancelled) {
  std::unique_ptr<Roll> roll = open(tinyOf(2));
  ASSERT_TRUE(roll);
  for (unsigned threads : {1u, 2u}) {
    Player player(*roll, threads, 20);
    numbers[0] = 0;
    player.cancel();
    EXPECT_EQ(player.play(play()).message(), "cancelled");
    EXPECT_TRUE(player.wasCancelled());
    EXPECT_EQ(numbers[0], 0u);
    // And goes on as if nothing had been.
    EXPECT_TRUE(player.play(play()).ok());
    EXPECT_FALSE(player.wasCancelled());
    EXPECT_EQ(numbers[0], 2u);
  }
}

TEST_F(PlayerTest, WatchdogSaysWhoWaitsForWhat) {
  // The records are right, so the loader lets them pass; the first part of worker 1 takes too long:
  // `jmp` to itself would never end, so it counts to 2^30 instead.
  TinyRoll tiny = tinyOf(2);
  // mov ecx, 0x7fffffff; L: dec ecx; jnz L; ret
  tiny.code.resize(16, 0x90);
  for (uint8_t byte : {0xb9, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xc9, 0x75, 0xfc, 0xc3})
    tiny.code.push_back(byte);
  tiny.manifest["parts"].push_back({{"name", "slow"}, {"entry", 16}});
  tiny.records[4].index = 1;
  std::unique_ptr<Roll> roll = open(tiny);
  ASSERT_TRUE(roll);
  Player player(*roll, 2, 0.05);
  EXPECT_EQ(
      player.play(play()).message(),
      "watchdog: worker 0 has waited 0.050000 s in step \"second\" of program decode for event "
      "0: expected 2, seen 1");
}

TEST_F(PlayerTest, ASessionFeedsAndIsBrokenByTheWatchdog) {
  std::unique_ptr<Roll> roll = open(tinyOf(2));
  ASSERT_TRUE(roll);
  auto session = Session::create(*roll, {});
  ASSERT_TRUE(session) << session.message();
  std::vector<int32_t> ids(5, 3);
  EXPECT_EQ((*session)->logits().message(), "there are no logits yet: feed a token first");
  Status status = (*session)->feed(ids.data(), ids.size());
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ((*session)->position(), 5u);
  EXPECT_TRUE((*session)->logits());
  EXPECT_TRUE((*session)->truncate(2).ok());
  EXPECT_EQ((*session)->position(), 2u);
  EXPECT_EQ((*session)->truncate(3).message(), "cannot keep 3 positions of 2");
}

} // namespace
