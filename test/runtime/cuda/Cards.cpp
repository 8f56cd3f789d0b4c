// Cards.cpp - cards say what records say; and records that fit on none are refused.
#include "runtime/cuda/Cards.h"

#include "test/runtime/cuda/GpuRoll.h"

#include <functional>
#include <gtest/gtest.h>

using namespace pianola;

namespace {

cuda::Addresses addresses() {
  cuda::Addresses made;
  made.arena = 0x10000;
  made.constants = 0x20000;
  made.contexts = {0x30000};
  made.rotations = {0x40000};
  made.tables = {0x50000};
  return made;
}

TEST(Cards, SayWhatRecordsSay) {
  auto roll = GpuRoll().open();
  ASSERT_TRUE(roll) << roll.message();
  const RollProgram &program = (*roll)->manifest().programs[1];
  auto cards = cuda::makeCards(**roll, program, addresses());
  ASSERT_EQ(cards.size(), 2u);
  ASSERT_EQ(cards[0].size(), 3u);
  ASSERT_EQ(cards[1].size(), 1u);
  const PianolaCudaCard &embed = cards[0][0], &sample = cards[0][2], &head = cards[1][0];
  EXPECT_EQ(embed.waits, 0u);
  EXPECT_EQ(embed.signal, 0u);
  EXPECT_EQ(embed.binding[0], 0x50000u);
  EXPECT_EQ(embed.binding[1], 0x10000u);
  EXPECT_EQ(embed.tape_bytes, 0u);
  EXPECT_EQ(cards[0][1].tape, 0u);
  EXPECT_EQ(cards[0][1].tape_bytes, 2048u);
  EXPECT_EQ(sample.stage, 2u);
  EXPECT_EQ(sample.waits, 1u);
  EXPECT_EQ(sample.wait[0].event, 1u);
  EXPECT_EQ(sample.wait[0].growth, 3u);
  EXPECT_EQ(sample.wait[0].until, 2);
  EXPECT_EQ(sample.tape_bytes, 0u);
  EXPECT_EQ(head.step, 1u);
  EXPECT_EQ(head.tiles[0].begin, 1u);
  EXPECT_EQ(head.tiles[0].end, 2u);
  EXPECT_EQ(head.tape_bytes, 2048u);
  EXPECT_EQ(head.binding[1], 0x10100u);
  EXPECT_EQ(head.binding[2], 0x30000u);
  EXPECT_EQ(head.binding[3], 0x40000u);
  EXPECT_EQ(head.binding[4], 0x20000u);

  auto stage = cuda::stageCards(cards, 2);
  ASSERT_EQ(stage.size(), 2u);
  EXPECT_EQ(stage[0].stage, 2u);
  EXPECT_EQ(stage[0].waits, 0u);
  EXPECT_EQ(stage[0].signal, PIANOLA_CUDA_NONE);
  EXPECT_EQ(stage[1].stage, PIANOLA_CUDA_NONE);
}

class GpuRecords : public testing::Test {
protected:
  std::string refusalOf(const std::function<void(GpuRoll &)> &change) {
    GpuRoll tiny;
    change(tiny);
    auto roll = tiny.open();
    std::string message = roll.message();
    size_t at = message.find(": ");
    return roll ? "accepted" : message.substr(at + 2);
  }
  std::string set(const char *pointer, nlohmann::json value) {
    return refusalOf([&](GpuRoll &tiny) {
      tiny.manifest[nlohmann::json::json_pointer(pointer)] = std::move(value);
    });
  }
  std::string replace(size_t number, PianolaRollRecord record) {
    return refusalOf([&](GpuRoll &tiny) { tiny.records[number] = record; });
  }
};

TEST_F(GpuRecords, RefusesBadManifests) {
  EXPECT_EQ(set("/target/name", "moon"), "manifest: target.name: expected \"host\" or \"nvptx\"");
  EXPECT_EQ(set("/target/device", 1), "manifest: target.device: expected a string");
  for (const char *chip : {"sm_100", "sm_80a", "sm_", "90"})
    EXPECT_EQ(set("/target/chip", chip),
              "manifest: target.chip: expected code that capability 90 plays");
  EXPECT_EQ(set("/weights", {{"seed", 1}, {"tape", 4096}, {"table", 0}, {"constant", 0}}),
            "manifest: weights: section tape is there, and would be made up");
  EXPECT_EQ(set("/weights", {{"seed", -1}, {"tape", 0}, {"table", 0}, {"constant", 0}}),
            "manifest: weights.seed: expected an integer from 0 to 9223372036854775807");
  EXPECT_EQ(set("/parts", {{{"name", "x"}, {"entry", 0}}}),
            "manifest: parts: expected none in a roll for nvptx");
  EXPECT_EQ(
      set("/programs/0/loops", true),
      "manifest: programs[0].loops: expected false: the program has 4 slots, and a token that "
      "was chosen is one");
  EXPECT_EQ(set("/programs/1/loops", 1), "manifest: programs[1].loops: expected true or false");
  EXPECT_EQ(set("/programs/1/kernel/entry", nullptr),
            "manifest: programs[1].kernel.entry: expected a string");
  EXPECT_EQ(set("/programs/1/kernel/threads", 100),
            "manifest: programs[1].kernel.threads: expected a multiple of 32");
  EXPECT_EQ(set("/programs/1/kernel/chunk", 3000),
            "manifest: programs[1].kernel.chunk: expected a multiple of 64");
  EXPECT_EQ(set("/programs/1/kernel/slots", 3),
            "manifest: program decode: a ring of 3 times 2048 bytes does not fit in 4096 bytes of "
            "shared memory");
  EXPECT_EQ(set("/programs/1/kernel/stages/1/entry", 1),
            "manifest: programs[1].kernel.stages[1].entry: expected a string");
  EXPECT_EQ(set("/programs/1/steps/1/stage", 3),
            "manifest: program decode: steps[1] plays stage 3 of 3");
  EXPECT_EQ(set("/programs/1/steps/1/stage", nullptr),
            "manifest: programs[1].steps[1].stage: expected an integer from 0 to 65536");
  EXPECT_EQ(set("/programs/1/steps", nlohmann::json::array()),
            "manifest: programs[1].steps: expected at least one, which chooses the token");
  EXPECT_EQ(set("/programs/1/steps/1/bindings/4/at", 64),
            "manifest: program decode: steps[1] binds 64, which is not there");
  EXPECT_EQ(set("/programs/1/steps/1/bindings/4/at", 4),
            "manifest: program decode: steps[1] binds 4, which is not there");
  nlohmann::json many;
  for (int i = 0; i < 15; ++i)
    many.push_back({{"space", "arena"}, {"at", 0}});
  EXPECT_EQ(set("/programs/1/steps/1/bindings", many),
            "manifest: program decode: steps[1] has 15 bindings, more than 14");
  EXPECT_EQ(set("/tapes/0/bytes", 1040),
            "manifest: tapes[0] is 1040 bytes long, which is no multiple of 64");
}

TEST_F(GpuRecords, RefusesBadRecords) {
  constexpr uint32_t run = PIANOLA_RECORD_RUN, wait = PIANOLA_RECORD_WAIT;
  std::string front = "section records: record ";
  EXPECT_EQ(replace(0, {run, 0, 6, 0, 1, 0, 0, 0}), front + "0: section 6 of at most 6");
  EXPECT_EQ(replace(0, {run, 2, 0, 0, 1, 0, 0, 0}), front + "1: comes after step 2");
  EXPECT_EQ(replace(1, {run, 0, 0, 1, 2, 0, 0, 0}), front + "1: section 0 comes after section 0");
  EXPECT_EQ(replace(1, {wait, 0, 0, 1, 0, 0, 0, 0}), front + "1: waits after tiles of its step");
  EXPECT_EQ(replace(4, {run, 1, 1, 0, 1, 0, 0, 0}), front + "4: follows the signal of its step");
  EXPECT_EQ(replace(0, {wait, 0, 0, 0, 0, 0, 0, 0}), front + "1: its step has no tiles");
  EXPECT_EQ(replace(5, {run, 2, 0, 0, 1, 0, 0, 32}),
            front + "5: does not lie on the worker's tape");
  EXPECT_EQ(replace(0, {run, 0, 0, 0, 1, 0, 0, 64}),
            front + "2: starts at byte 0 of the tape, the step before at 64");
  EXPECT_EQ(replace(2, {run, 1, 0, 0, 1, 0, 0, 4096}),
            front + "2: does not lie on the worker's tape");
  EXPECT_EQ(refusalOf([](GpuRoll &tiny) {
              for (int i : {7, 8})
                tiny.records[i] = {wait, 1, 0, 1, 0, 0, 0, 0};
              tiny.records.insert(tiny.records.begin() + 9, 3, {wait, 1, 0, 1, 0, 0, 0, 0});
              tiny.manifest["programs"][0]["records"][1]["count"] = 5;
            }),
            front + "11: its step waits for more than 4 events");
}

TEST_F(GpuRecords, RefusesEndlessWaits) {
  constexpr uint32_t wait = PIANOLA_RECORD_WAIT;
  EXPECT_EQ(replace(4, {wait, 2, 1, 3, 0, 0, 0, 0}),
            "section records: in program prefill worker 0 would wait forever at record 4");
  // A program that loops may wait for the play before.
  EXPECT_EQ(replace(17, {wait, 1, 1, uint32_t(-1), 0, 0, 0, 0}), "accepted");
  EXPECT_EQ(replace(17, {wait, 1, 1, 0, 0, 0, 0, 0}), "accepted");
  EXPECT_EQ(replace(17, {wait, 1, 1, 2, 0, 0, 0, 0}),
            "section records: in program decode worker 0 would wait forever at record 14");
}

} // namespace
