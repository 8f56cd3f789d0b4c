// Ensembles.cpp - sequences that share plays get the bits that each gets alone, and those are near
// the interpreter's.
#include "runtime/session/Ensemble.h"
#include "targets/host/HostCpu.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"
#include "test/runtime/amx/Emulation.h"

using namespace pianola;

namespace {

struct Played {
  const char *target, *weights, *kv, *activations;
};

void PrintTo(const Played &played, std::ostream *out) {
  *out << played.target << ", " << played.weights << ", keys and values " << played.kv
       << ", activations " << played.activations;
}

// Each form of products, of contexts and of attention over them.
constexpr Played kPlayed[] = {
    {"host", "keep", "f32", "f32"},
    {"host", "int8", "bf16", "f32"},
    {"host", "int4", "int8", "bf16"},
    {"host", "keep", "bf16", "bf16"},
    {"host", "fp8", "fp8", "bf16"},
    {"x86-64-v3", "int8", "int8", "f32"},
    {"x86-64-v3", "keep", "bf16", "bf16"},
    {"x86-64-v4+avx512bf16+amx-bf16", "keep", "bf16", "f32"},
    {"x86-64-v4+amx-bf16+amx-int8", "int8", "int8", "bf16"},
    {"x86-64-v4+amx-bf16+amx-int8", "int4z", "f32", "f32"},
};

// Rows that divide by nothing, a window of more than a chunk of attention, and more workers than
// heads, where attention is split.
constexpr Shape kFewHeads = {"few_heads", "LlamaForCausalLM", 64, 96, 4, 1, 32, 131, 0, 4, true};
constexpr Shape kModels[] = {kShapes[0], kShapes[5], kFewHeads};

// Lengths of prompts, fed in chunks of 16 and attended in chunks of 64. Sequences 0 and 3, and 4
// and 7, stand side by side in steps and are at positions that follow each other.
constexpr int kLengths[] = {3, 150, 16, 4, 127, 64, 33, 128};
constexpr size_t kSequences = std::size(kLengths), kSteps = 5;

class Ensembles : public testing::TestWithParam<std::tuple<Shape, Played>> {
protected:
  void SetUp() override {
    auto [shape, played] = GetParam();
    if (!test::canRun(llvm::cantFail(parseHostCpu(played.target)).features))
      GTEST_SKIP() << "this CPU lacks what " << played.target << " has";
    model = std::make_unique<Seeded>(shape, played.target, std::vector<int64_t>{1, 8, 16}, 5);
    model->options.weights = played.weights;
    model->options.kv = played.kv;
    model->options.activations = played.activations;
    roll = model->roll();
    ASSERT_TRUE(roll);
    vocabulary = roll->manifest().model.vocabulary;
  }

  std::unique_ptr<Ensemble> ensemble(uint64_t sequences, unsigned threads = 2) {
    EnsembleOptions options;
    options.sequences = sequences;
    options.session.maxLen = 200;
    options.session.threads = threads;
    Result<std::unique_ptr<Ensemble>> made = Ensemble::create(*roll, options);
    EXPECT_TRUE(made) << made.message();
    return made ? std::move(*made) : nullptr;
  }

  // A text of its own for each sequence.
  std::vector<int32_t> textOf(size_t number, int length) {
    std::vector<int32_t> ids;
    for (int i = 0; i < length; ++i)
      ids.push_back((i * 37 + i * i + 11 * (int(number) + 1)) % vocabulary);
    return ids;
  }

  std::vector<float> logitsOf(Ensemble &of, uint64_t sequence) {
    Result<const float *> row = of.logits(sequence);
    EXPECT_TRUE(row) << row.message();
    return row ? std::vector<float>(*row, *row + vocabulary) : std::vector<float>();
  }

  // The logits of each step of sequence `number` alone, which has another number then.
  std::vector<std::vector<float>> alone(size_t number, unsigned threads) {
    std::unique_ptr<Ensemble> single = ensemble(2, threads);
    std::vector<int32_t> ids = textOf(number, kLengths[number] + kSteps);
    EXPECT_TRUE(single->feed(1, ids.data(), kLengths[number]).ok());
    std::vector<std::vector<float>> all = {logitsOf(*single, 1)};
    for (size_t step = 0; step < kSteps; ++step) {
      EXPECT_TRUE(single->step({{1, ids[kLengths[number] + step]}}).ok());
      all.push_back(logitsOf(*single, 1));
    }
    return all;
  }

  // The same of all sequences together: sequence q joins at step q / 4, and slots change from step
  // to step.
  std::vector<std::vector<std::vector<float>>> together(unsigned threads) {
    std::unique_ptr<Ensemble> all = ensemble(kSequences, threads);
    std::vector<std::vector<std::vector<float>>> logits(kSequences);
    for (size_t step = 0; step < kSteps + kSequences / 4; ++step) {
      std::vector<Turn> turns;
      for (size_t i = 0; i < kSequences; ++i) {
        size_t q = (i * 3 + step) % kSequences, done = logits[q].size();
        std::vector<int32_t> ids = textOf(q, kLengths[q] + kSteps);
        if (done == 0 && step >= q / 4) {
          EXPECT_TRUE(all->feed(q, ids.data(), kLengths[q]).ok());
          logits[q].push_back(logitsOf(*all, q));
        } else if (done > 0 && done <= kSteps) {
          turns.push_back({q, ids[all->position(q)]});
        }
      }
      if (turns.empty())
        continue;
      Status status = all->step(turns);
      EXPECT_TRUE(status.ok()) << status.message();
      for (const Turn &turn : turns)
        logits[turn.sequence].push_back(logitsOf(*all, turn.sequence));
    }
    return logits;
  }

  std::unique_ptr<Seeded> model;
  std::unique_ptr<Roll> roll;
  size_t vocabulary = 0;
};

TEST_P(Ensembles, HaveTheBitsOfEachSequenceAlone) {
  std::vector<std::vector<std::vector<float>>> shared = together(1);
  EXPECT_EQ(together(2), shared) << "two threads";
  for (size_t q = 0; q < kSequences; ++q) {
    std::vector<std::vector<float>> single = alone(q, 1 + q % 2);
    ASSERT_EQ(shared[q].size(), single.size());
    for (size_t step = 0; step < single.size(); ++step)
      EXPECT_EQ(shared[q][step], single[step]) << "sequence " << q << ", step " << step;
  }
}

TEST_P(Ensembles, AgreeWithASession) {
  // Which plays other programs, token by token, without a step's company.
  std::vector<std::vector<std::vector<float>>> shared = together(2);
  bool narrow = model->options.activations == "bf16";
  for (size_t q : {3, 5}) {
    std::vector<int32_t> ids = textOf(q, kLengths[q] + kSteps);
    std::vector<float> wanted = pianola::logitsOf(*roll, ids, /*oneByOne=*/true, /*threads=*/2);
    const float *last = &wanted[(ids.size() - 1) * vocabulary];
    EXPECT_LT(distance(shared[q].back().data(), last, vocabulary), narrow ? 0.07 : kHostTolerance)
        << "sequence " << q;
  }
}

TEST_P(Ensembles, ContinueWhereAChunkEndsWithTheSameBits) {
  std::vector<int32_t> ids = textOf(1, 150);
  std::unique_ptr<Ensemble> all = ensemble(4);
  EXPECT_EQ(all->chunkSlots(), 16u);
  ASSERT_TRUE(all->feed(0, ids.data(), 150).ok());
  std::vector<float> wanted = logitsOf(*all, 0);
  // In parts; from another's positions; and where other positions have been.
  ASSERT_TRUE(all->feed(1, ids.data(), 64).ok());
  EXPECT_FALSE(all->logits(0));
  ASSERT_TRUE(all->copy(1, 2, 48).ok());
  ASSERT_TRUE(all->feed(1, &ids[64], 86).ok());
  EXPECT_EQ(logitsOf(*all, 1), wanted);
  ASSERT_TRUE(all->feed(2, &ids[48], 102).ok());
  EXPECT_EQ(logitsOf(*all, 2), wanted);
  std::vector<int32_t> other = textOf(6, 100);
  ASSERT_TRUE(all->feed(3, other.data(), 100).ok());
  ASSERT_TRUE(all->copy(0, 3, 33).ok());
  ASSERT_TRUE(all->truncate(3, 32).ok());
  ASSERT_TRUE(all->feed(3, &ids[32], 118).ok());
  EXPECT_EQ(logitsOf(*all, 3), wanted);
  EXPECT_EQ(all->history(3), ids);
}

std::string nameOf(const testing::TestParamInfo<std::tuple<Shape, Played>> &info) {
  return std::string(std::get<0>(info.param).name) + "_" +
         std::to_string(info.index % std::size(kPlayed));
}

INSTANTIATE_TEST_SUITE_P(All, Ensembles,
                         testing::Combine(testing::ValuesIn(kModels), testing::ValuesIn(kPlayed)),
                         nameOf);

} // namespace
