// Delta.cpp - layers that remember, of odd shapes, against the interpreter: heads whose rows lanes
// share, histories that go round, on CPUs and on the emulator; and that what is remembered is that
// of the text, whatever was played before or beside it.
#include "runtime/session/Ensemble.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

struct DeltaShape {
  const char *name;
  int keyHeads, valueHeads, keySize, valueSize, taps, workers;
  const char *weights, *keyValues;
  const char *device = "h200";
  int64_t slots = 8;
};

void PrintTo(const DeltaShape &shape, std::ostream *out) { *out << shape.name; }

// Rows of one lane, of two that divide them evenly, of four that do not, and of more columns than
// a warp has lanes; key heads for one value head and for eight; a convolution of no other position;
// and slots that a device's scratch memory has no room for at once.
constexpr DeltaShape kDeltaShapes[] = {
    {"wide", 2, 6, 72, 48, 3, 5, "keep", ""},
    {"odd", 3, 3, 13, 11, 5, 2, "int4", ""},
    {"deep", 1, 8, 134, 20, 4, 3, "int8", "bf16"},
    {"plain", 2, 2, 16, 80, 1, 4, "keep", "fp8"},
    {"long", 1, 2, 128, 112, 4, 3, "keep", "", "l40s", 16},
};

struct SeededDelta : Seeded {
  SeededDelta(const DeltaShape &shape, const std::string &target, std::vector<int64_t> slots)
      : Seeded(kShapes[0], target, std::move(slots), 7) {
    nlohmann::json config = {
        {"architectures", {"Qwen3_5ForCausalLM"}},
        {"model_type", "qwen3_5_text"},
        {"vocab_size", 97},
        {"hidden_size", 56},
        {"intermediate_size", 72},
        {"num_hidden_layers", 3},
        {"num_attention_heads", 3},
        {"num_key_value_heads", 1},
        {"head_dim", 24},
        {"hidden_act", "silu"},
        {"rms_norm_eps", 1e-5},
        {"max_position_embeddings", 512},
        {"rope_theta", 10000.0},
        {"layer_types", {"linear_attention", "full_attention", "linear_attention"}},
        {"linear_num_key_heads", shape.keyHeads},
        {"linear_num_value_heads", shape.valueHeads},
        {"linear_key_head_dim", shape.keySize},
        {"linear_value_head_dim", shape.valueSize},
        {"linear_conv_kernel_dim", shape.taps},
        {"tie_word_embeddings", true},
        {"eos_token_id", 1}};
    std::ofstream(model.path + "/config.json") << config;
    options.workers = shape.workers;
    options.weights = shape.weights;
    options.kv = shape.keyValues;
  }
  /// What the interpreter says that keeps keys and values in the roll's way.
  std::vector<float> rounded(const std::vector<int32_t> &ids) const {
    mlir::MLIRContext context;
    LoadedModel loaded =
        llvm::cantFail(loadModel(context, model.path, options.seed, options.weights));
    llvm::cantFail(encodeContexts(*loaded.module, options.kv));
    return llvm::cantFail(interpret(*loaded.module, *loaded.weights, ids)).logits.values;
  }
};

std::vector<int32_t> idsOf(int length, int number = 1) {
  std::vector<int32_t> ids;
  for (int i = 0; i < length; ++i)
    ids.push_back((i * 37 + i * i + 11 * number) % 97);
  return ids;
}

class Delta : public testing::TestWithParam<DeltaShape> {};

TEST_P(Delta, OnCpus) {
  std::vector<int32_t> ids = idsOf(90);
  for (const char *target : {"host", "x86-64-v3"}) {
    SeededDelta model(GetParam(), target, {1, 4, 16});
    std::unique_ptr<Roll> roll = model.roll();
    ASSERT_TRUE(roll);
    std::vector<float> wanted = model.rounded(ids);
    for (bool oneByOne : {false, true}) {
      std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
          << target << (oneByOne ? ", decode" : ", prefill");
    }
  }
}

TEST_P(Delta, OnGpus) {
  std::vector<int32_t> ids = idsOf(60);
  std::string device = GetParam().device;
  SeededDelta model(GetParam(), device, {1, GetParam().slots});
  EXPECT_EQ(model.tiles().find("run = 2") != std::string::npos, GetParam().slots == 16);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<float> wanted = model.rounded(ids);
  for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
    std::vector<float> logits = EmulatedSession(*roll, {device, launch}).logits(ids, 21, 5);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Delta, testing::ValuesIn(kDeltaShapes),
                         [](const auto &info) { return std::string(info.param.name); });

std::vector<float> lastLogits(Session &session) {
  Result<const float *> row = session.logits();
  EXPECT_TRUE(row) << row.message();
  return row ? std::vector<float>(*row, *row + 97) : std::vector<float>();
}

// What a text is cut back to is fed anew, and nothing that came after it is left.
void checkThatTextsForget(Session &session) {
  std::vector<int32_t> ids = idsOf(40), other = idsOf(33, 5);
  auto feed = [&](const std::vector<int32_t> &text, size_t from) {
    Status status = session.feed(&text[from], text.size() - from);
    EXPECT_TRUE(status.ok()) << status.message();
    return lastLogits(session);
  };
  std::vector<float> wanted = feed(ids, 0);
  ASSERT_TRUE(session.truncate(0).ok());
  feed(other, 0);
  ASSERT_TRUE(session.truncate(0).ok());
  EXPECT_EQ(feed(ids, 0), wanted) << "after another text";
  ASSERT_TRUE(session.truncate(16).ok());
  EXPECT_EQ(session.position(), 16u);
  EXPECT_EQ(feed(ids, 16), wanted) << "cut back";
  // A prompt that goes on where the text ends keeps all of it, and one that does not, nothing.
  std::vector<int32_t> longer = ids;
  longer.push_back(3);
  Result<uint64_t> kept = session.feedPrompt(longer.data(), longer.size());
  ASSERT_TRUE(kept) << kept.message();
  EXPECT_EQ(*kept, 40u);
  kept = session.feedPrompt(ids.data(), ids.size());
  ASSERT_TRUE(kept) << kept.message();
  EXPECT_EQ(*kept, 0u);
  EXPECT_EQ(lastLogits(session), wanted) << "a prompt with the same beginning";
}

TEST(DeltaTexts, ForgetWhatIsCutOffOnCpus) {
  SeededDelta model(kDeltaShapes[0], "host", {1, 8});
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  Result<std::unique_ptr<Session>> session = Session::create(*roll, {});
  ASSERT_TRUE(session) << session.message();
  checkThatTextsForget(**session);
}

TEST(DeltaTexts, ForgetWhatIsCutOffOnGpus) {
  SeededDelta model(kDeltaShapes[1], "h200", {1, 8});
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  EmulatedSession session(*roll, {"h200", LaunchKind::Persistent});
  ASSERT_TRUE(session.begun().ok());
  checkThatTextsForget(*session);
}

// What was generated up to a stop is there for the next prompt.
TEST(DeltaTexts, GoOnAfterStopsOnGpus) {
  SeededDelta model(kDeltaShapes[1], "h200", {1, 8});
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  EmulatedSession session(*roll, {"h200", LaunchKind::Persistent});
  ASSERT_TRUE(session.begun().ok());
  std::vector<int32_t> ids = idsOf(11);
  SamplingOptions sampling;
  sampling.temperature = 2;
  Sampler sampler(sampling, roll->manifest().model.validVocabulary), again = sampler;
  std::vector<int32_t> tokens;
  GenerateOptions options;
  options.most = 8;
  options.take = [&](int32_t token) {
    tokens.push_back(token);
    return true;
  };
  ASSERT_TRUE(session->feed(ids.data(), ids.size()).ok());
  ASSERT_TRUE(session->generate(sampler, options));
  ASSERT_EQ(tokens.size(), 8u);
  size_t place = 2;
  while (place < tokens.size() && std::count(&tokens[0], &tokens[place], tokens[place]))
    ++place;
  ASSERT_LT(place, tokens.size());
  int32_t stop = tokens[place];
  options.stops = {stop};
  ASSERT_TRUE(session->truncate(0).ok());
  ASSERT_TRUE(session->feed(ids.data(), ids.size()).ok());
  Result<GenerationEnd> end = session->generate(again, options);
  ASSERT_TRUE(end);
  EXPECT_EQ(*end, GenerationEnd::Stop);
  std::vector<int32_t> text = session->history();
  text.insert(text.end(), {stop, 5, 6});
  Result<uint64_t> kept = session->feedPrompt(text.data(), text.size());
  ASSERT_TRUE(kept) << kept.message();
  EXPECT_EQ(*kept, text.size() - 3);
}

// Plays that are cancelled leave the text as it was, those that feed it anew too.
TEST(DeltaTexts, OutliveCancellations) {
  SeededDelta model(kDeltaShapes[1], "host", {1, 4});
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  Result<std::unique_ptr<Session>> made = Session::create(*roll, {});
  ASSERT_TRUE(made) << made.message();
  Session &session = **made;
  std::vector<int32_t> ids = idsOf(16);
  ASSERT_TRUE(session.feed(ids.data(), 12).ok());
  ASSERT_TRUE(session.feed(&ids[12], 4).ok());
  std::vector<float> wanted = lastLogits(session);
  ASSERT_TRUE(session.truncate(12).ok());
  for (int round = 0; round < 3; ++round) {
    session.cancel();
    EXPECT_EQ(session.feed(&ids[12], 4).message(), "cancelled");
    EXPECT_EQ(session.position(), 12u) << "round " << round;
  }
  ASSERT_TRUE(session.feed(&ids[12], 4).ok());
  EXPECT_EQ(session.position(), 16u);
  EXPECT_EQ(lastLogits(session), wanted);

  EnsembleOptions options;
  options.sequences = 2;
  options.stepSlots = 4;
  Result<std::unique_ptr<Ensemble>> opened = Ensemble::create(*roll, options);
  ASSERT_TRUE(opened) << opened.message();
  Ensemble &all = **opened;
  ASSERT_TRUE(all.feed(0, ids.data(), 12).ok());
  ASSERT_TRUE(all.feed(1, ids.data(), 9).ok());
  for (int round = 0; round < 3; ++round) {
    all.cancel();
    EXPECT_EQ(all.step({{0, ids[12]}, {1, ids[9]}}).message(), "cancelled");
    EXPECT_EQ(all.position(0), 12u) << "round " << round;
    EXPECT_EQ(all.position(1), 9u) << "round " << round;
  }
  ASSERT_TRUE(all.step({{0, ids[12]}, {1, ids[9]}}).ok());
  ASSERT_TRUE(all.copy(0, 1, 13).ok());
  EXPECT_FALSE(all.keeps(0, 12));
  ASSERT_TRUE(all.step({{0, ids[13]}, {1, ids[13]}}).ok());
  Result<const float *> first = all.logits(0), second = all.logits(1);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(std::equal(*first, *first + 97, *second));
  ASSERT_TRUE(session.truncate(14).ok());
  ASSERT_TRUE(session.truncate(13).ok());
  ASSERT_TRUE(session.feed(&ids[13], 1).ok());
  std::vector<float> alone = lastLogits(session);
  EXPECT_LT(distance(*first, alone.data(), alone.size()), kHostTolerance);
}

// Each sequence remembers its own text: alone, beside others, copied, and cut back.
TEST(DeltaTexts, ShareStepsWithTheBitsOfEachAlone) {
  SeededDelta model(kDeltaShapes[2], "host", {1, 8});
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  constexpr size_t kSequences = 4, kSteps = 5;
  EnsembleOptions options;
  options.sequences = kSequences;
  Result<std::unique_ptr<Ensemble>> made = Ensemble::create(*roll, options);
  ASSERT_TRUE(made) << made.message();
  Ensemble &all = **made;
  auto logits = [&](size_t q) {
    Result<const float *> row = all.logits(q);
    EXPECT_TRUE(row) << row.message();
    return row ? std::vector<float>(*row, *row + 97) : std::vector<float>();
  };
  auto textOf = [](size_t q) { return idsOf(int(9 + 7 * q + kSteps), int(q) + 1); };
  std::vector<std::vector<float>> alone;
  for (size_t q = 0; q < kSequences; ++q) {
    std::vector<int32_t> ids = textOf(q);
    ASSERT_TRUE(all.truncate(0, 0).ok());
    ASSERT_TRUE(all.feed(0, ids.data(), ids.size() - kSteps).ok());
    for (size_t step = 0; step < kSteps; ++step)
      ASSERT_TRUE(all.step({{0, ids[ids.size() - kSteps + step]}}).ok());
    alone.push_back(logits(0));
  }
  ASSERT_TRUE(all.truncate(0, 0).ok());
  for (size_t q = 0; q < kSequences; ++q)
    ASSERT_TRUE(all.feed(q, textOf(q).data(), textOf(q).size() - kSteps).ok());
  for (size_t step = 0; step < kSteps; ++step) {
    std::vector<Turn> turns;
    for (size_t i = 0; i < kSequences; ++i) {
      size_t q = (i * 3 + step) % kSequences;
      turns.push_back({q, textOf(q)[textOf(q).size() - kSteps + step]});
    }
    ASSERT_TRUE(all.step(turns).ok());
  }
  for (size_t q = 0; q < kSequences; ++q)
    EXPECT_EQ(logits(q), alone[q]) << "sequence " << q;

  // All of a text, and a part of it.
  std::vector<int32_t> ids = textOf(3);
  ids.push_back(5);
  ASSERT_TRUE(all.copy(3, 0, ids.size() - 1).ok());
  ASSERT_TRUE(all.copy(3, 1, 10).ok());
  ASSERT_TRUE(all.step({{0, 5}, {3, 5}}).ok());
  EXPECT_EQ(logits(0), logits(3));
  std::vector<float> wanted = logits(3);
  ASSERT_TRUE(all.feed(1, &ids[10], ids.size() - 10).ok());
  std::vector<float> got = logits(1);
  EXPECT_LT(distance(got.data(), wanted.data(), wanted.size()), kHostTolerance);
}

} // namespace
