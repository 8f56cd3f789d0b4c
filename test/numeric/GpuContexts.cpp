// GpuContexts.cpp - keys and values as --kv says on GPUs, played by the emulator, against the
// interpreter that rounds them so too.
#include "test/numeric/Emulated.h"
#include "test/numeric/Kept.h"
#include "test/numeric/Seeded.h"

using namespace pianola;

namespace {

// Positions of a chunk are read from where the linears left them, those of earlier plays from the
// context: both rounded alike, or else chunks say something else than single tokens.
void agree(const CompileOptions &options, const std::vector<int32_t> &ids,
           const std::vector<float> &wanted, const Kept &kept, unsigned number) {
  TemporaryDirectory temporary;
  setenv("PIANOLA_CACHE", temporary.path.c_str(), 1);
  std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
  ASSERT_TRUE(roll);
  size_t chunk = options.slots.back() == 64 ? 70 : 2 * options.slots.back() - 1;
  for (unsigned play = 0; play < interleavings(1); ++play) {
    bool graph = (play + number) % 2;
    Emulation emulation{options.target, graph ? LaunchKind::Graph : LaunchKind::Persistent,
                        play * 1000 + number};
    std::vector<float> logits = EmulatedSession(*roll, emulation).logits(ids, chunk, 5);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kept.tolerance)
        << options.slots.back() << " slots on " << testing::PrintToString(emulation);
  }
}

// The second has a window of eight positions.
class GpuContexts : public testing::TestWithParam<std::tuple<const char *, Kept, int64_t>> {};

TEST_P(GpuContexts, AgreeWithTheInterpreter) {
  auto [model, kept, slots] = GetParam();
  unsigned number = *kept.name + slots / 4 + *model; // neighbours are launched in another way
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + model;
  options.workers = 3;
  options.kv = kept.name;
  options.target = number % 4 < 2 ? "h200" : "a100";
  options.slots = {1, slots};
  std::vector<int32_t> ids = goldenIds(slots == 64 ? 72 : 18);
  agree(options, ids, interpretedAs(options, kept.name, ids), kept, number);
}

INSTANTIATE_TEST_SUITE_P(Few, GpuContexts,
                         testing::Combine(testing::Values("llama"), testing::ValuesIn(kKept),
                                          testing::Values(4)));
INSTANTIATE_TEST_SUITE_P(Many, GpuContexts,
                         testing::Combine(testing::Values("mistral"), testing::ValuesIn(kKept),
                                          testing::Values(64)));

// Heads whose columns lanes share in different ways, more than a lane has registers for, groups
// that are no power of two, and windows that begin anywhere.
constexpr Shape kHeads[] = {
    {"size_16_of_5", "LlamaForCausalLM", 48, 32, 5, 1, 16, 61, 0, 2, true},
    {"size_48_of_3", "Qwen3ForCausalLM", 48, 32, 6, 2, 48, 61, 0, 3, true},
    {"size_64_of_4", "LlamaForCausalLM", 48, 32, 4, 1, 64, 61, 13, 3, true},
    {"size_80_of_1", "LlamaForCausalLM", 48, 32, 2, 2, 80, 61, 0, 2, true},
    {"size_128_of_7", "Qwen2ForCausalLM", 48, 32, 7, 1, 128, 61, 0, 2, true},
    {"size_128_of_2", "MistralForCausalLM", 48, 32, 4, 2, 128, 61, 18, 2, true},
    {"size_256_of_2", "LlamaForCausalLM", 48, 32, 2, 1, 256, 61, 0, 3, true},
};

class GpuContextHeads : public testing::TestWithParam<std::tuple<Shape, Kept>> {};

TEST_P(GpuContextHeads, AgreeWithTheInterpreter) {
  auto [shape, kept] = GetParam();
  unsigned number = shape.headSize / 16 + (kept.name[0] == 'i');
  const char *device = number % 4 < 2 ? "h200" : "a100";
  Seeded model(shape, device, {1, 8}, 3);
  model.options.kv = kept.name;
  std::vector<int32_t> ids = someIds(shape, 26);
  agree(model.options, ids, interpretedAs(model.options, kept.name, ids), kept, number);
}

// Codes of both kinds are read alike.
INSTANTIATE_TEST_SUITE_P(All, GpuContextHeads,
                         testing::Combine(testing::ValuesIn(kHeads),
                                          testing::Values(kKept[0], kKept[1])));

// Blocks that are read ahead of those that a warp is at, over several rounds of it.
TEST(GpuContexts, OfManyPositions) {
  constexpr Shape kLong{"long", "LlamaForCausalLM", 32, 40, 4, 1, 32, 64, 0, 2, true};
  for (const Kept &kept : kKept) {
    Seeded model(kLong, "h200", {1, 64}, 2);
    model.options.kv = kept.name;
    std::vector<int32_t> ids = someIds(kLong, 300);
    std::vector<float> wanted = interpretedAs(model.options, kept.name, ids);
    std::unique_ptr<Roll> roll = model.roll();
    ASSERT_TRUE(roll);
    std::vector<float> logits = EmulatedSession(*roll, {"h200"}).logits(ids, 117, 9);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kept.tolerance) << kept.name;
  }
}

} // namespace
