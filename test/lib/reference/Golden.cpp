// Golden.cpp - import and the interpreter against what transformers computes in float32.
//
// The tolerance is 2e-5 in relative L2: transformers itself is within 3e-6 of exact arithmetic on
// these models, and the mildest misreading of a config moves their logits by 1.5e-4.
#include "lib/checkpoint/Checkpoint.h"
#include "lib/driver/LoadModel.h"
#include "lib/reference/Interpreter.h"
#include "test/GoldenModels.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>

using namespace pianola;
using reference::Rows;

namespace {

constexpr double tolerance = 2e-5;
const std::string source = PIANOLA_SOURCE_DIR;

/// A model directory, imported.
struct Model {
  mlir::MLIRContext context;
  LoadedModel loaded;

  explicit Model(const std::string &directory, int64_t positions = 0)
      : loaded(llvm::cantFail(loadModel(context, directory, std::nullopt, "", positions))) {}
};

// As PyTorch's topk on a CPU, which says nothing of equal scores and is the same each time: of an
// index's scores, which are often 0 all, goldens depend on that. There are `length` positions, seen
// or not.
reference::Chooser likeTorch(size_t length) {
  return [length](llvm::ArrayRef<float> scores, size_t top) {
    std::vector<std::pair<float, int64_t>> order;
    for (size_t i = 0; i < std::max(length, scores.size()); ++i)
      order.emplace_back(i < scores.size() ? scores[i] : -INFINITY, i);
    auto isBetter = [](const auto &a, const auto &b) { return a.first > b.first; };
    top = std::min(top, order.size());
    if (top * 64 <= order.size())
      std::partial_sort(order.begin(), order.begin() + int64_t(top), order.end(), isBetter);
    else
      std::nth_element(order.begin(), order.begin() + int64_t(top) - 1, order.end(), isBetter);
    std::vector<int64_t> chosen;
    for (size_t i = 0; i < top; ++i)
      chosen.push_back(order[i].second);
    return chosen;
  };
}

std::vector<float> floats(const Checkpoint &file, llvm::StringRef name) {
  const TensorInfo *tensor = file.find(name);
  if (!tensor)
    return {};
  std::vector<float> values(tensor->elements());
  llvm::cantFail(file.readFloats(*tensor, 0, values));
  return values;
}

std::vector<int32_t> integers(const Checkpoint &file, llvm::StringRef name) {
  const TensorInfo *tensor = file.find(name);
  std::vector<int32_t> values(tensor->elements());
  llvm::cantFail(
      file.read(*tensor, 0, {reinterpret_cast<uint8_t *>(values.data()), size_t(tensor->bytes)}));
  return values;
}

double distance(const std::vector<float> &found, const std::vector<float> &expected) {
  if (found.size() != expected.size() || expected.empty())
    return INFINITY;
  double difference = 0, size = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    difference += std::pow(double(found[i]) - double(expected[i]), 2);
    size += std::pow(double(expected[i]), 2);
  }
  return std::sqrt(difference / size);
}

int32_t likeliest(const Rows &logits) {
  llvm::ArrayRef<float> last = logits.row(logits.rows - 1);
  return int32_t(std::max_element(last.begin(), last.end()) - last.begin());
}

std::vector<int32_t> greedy(Model &model, llvm::ArrayRef<int32_t> prompt, size_t count) {
  Interpreter interpreter(*model.loaded.module, *model.loaded.weights);
  std::vector<int32_t> next(prompt.begin(), prompt.end()), result;
  while (result.size() < count) {
    ReferenceResult step = llvm::cantFail(interpreter.feed(next));
    next = {likeliest(step.logits)};
    result.push_back(next.front());
  }
  return result;
}

class Golden : public testing::TestWithParam<const char *> {
protected:
  std::string directory = source + "/test/golden/" + GetParam();
  std::unique_ptr<Checkpoint> golden =
      llvm::cantFail(Checkpoint::openFile(directory + "/golden.safetensors"));
};

TEST_P(Golden, LogitsAndHiddenStates) {
  Model model(directory, positionsOf(GetParam()));
  EXPECT_TRUE(model.loaded.notes.unusedTensors.empty());
  std::vector<int32_t> ids = integers(*golden, "input_ids");
  Interpreter interpreter(*model.loaded.module, *model.loaded.weights);
  interpreter.setChooser(likeTorch(ids.size()));
  ReferenceResult result = llvm::cantFail(interpreter.feed(ids));
  EXPECT_EQ(result.logits.rows, int64_t(ids.size()));
  EXPECT_LT(distance(result.logits.values, floats(*golden, "logits")), tolerance);
  size_t compared = 0;
  for (const std::string &name : golden->names()) {
    if (!llvm::StringRef(name).starts_with("hidden."))
      continue;
    ++compared;
    EXPECT_LT(distance(result.observed[name].values, floats(*golden, name)), tolerance) << name;
  }
  EXPECT_EQ(compared, result.observed.size());
}

TEST_P(Golden, GreedyFromTheStartEachStep) {
  Model model(directory, positionsOf(GetParam()));
  std::vector<int32_t> ids = integers(*golden, "input_ids");
  ids.resize(12);
  for (int32_t expected : integers(*golden, "greedy_ids")) {
    Interpreter interpreter(*model.loaded.module, *model.loaded.weights);
    interpreter.setChooser(likeTorch(ids.size()));
    ReferenceResult step = llvm::cantFail(interpreter.feed(ids));
    ASSERT_EQ(likeliest(step.logits), expected) << "after " << ids.size() << " ids";
    ids.push_back(expected);
  }
}

TEST_P(Golden, FedInPiecesAndRewound) {
  Model model(directory, positionsOf(GetParam()));
  std::vector<int32_t> ids = integers(*golden, "input_ids");
  Interpreter interpreter(*model.loaded.module, *model.loaded.weights);
  interpreter.setChooser(likeTorch(ids.size()));
  for (int round = 0; round < 2; ++round) {
    std::vector<float> logits;
    llvm::ArrayRef<int32_t> rest = ids;
    for (size_t piece = 1; !rest.empty(); ++piece) {
      size_t count = std::min(piece, rest.size());
      ReferenceResult step = llvm::cantFail(interpreter.feed(rest.take_front(count)));
      logits.insert(logits.end(), step.logits.values.begin(), step.logits.values.end());
      rest = rest.drop_front(count);
    }
    EXPECT_LT(distance(logits, floats(*golden, "logits")), tolerance);
    interpreter.rewind();
  }
}

std::string nameOf(const testing::TestParamInfo<const char *> &info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Models, Golden, testing::ValuesIn(kGoldenModels), nameOf);
INSTANTIATE_TEST_SUITE_P(Quantised, Golden, testing::ValuesIn(kQuantisedGoldens), nameOf);
INSTANTIATE_TEST_SUITE_P(Routed, Golden, testing::ValuesIn(kRoutedGoldens), nameOf);
INSTANTIATE_TEST_SUITE_P(Choosing, Golden, testing::ValuesIn(kChoosingGoldens), nameOf);
INSTANTIATE_TEST_SUITE_P(Delta, Golden, testing::ValuesIn(kDeltaGoldens), nameOf);

/// Compiled for no more positions than the model was first trained for, longrope has other factors.
TEST(LongRope, TakesShortFactorsForShortTexts) {
  std::string directory = source + "/test/golden/phi3";
  auto golden = llvm::cantFail(Checkpoint::openFile(directory + "/golden_short.safetensors"));
  std::vector<int32_t> ids = integers(*golden, "input_ids");
  for (int64_t positions : {8, 9}) {
    Model model(directory, positions);
    ReferenceResult result =
        llvm::cantFail(interpret(*model.loaded.module, *model.loaded.weights, ids));
    double error = distance(result.logits.values, floats(*golden, "logits"));
    EXPECT_EQ(error < tolerance, positions == 8) << error;
    EXPECT_EQ(model.loaded.notes.remarks.size(), size_t(positions == 9));
  }
}

TEST(PocketDictionary, ContinuesAsTransformersDoes) {
  std::string directory = source + "/models/pocket-dictionary";
  Model model(directory);
  std::ifstream samples(directory + "/samples.jsonl");
  std::string line;
  for (int checked = 0; checked < 2;) {
    ASSERT_TRUE(std::getline(samples, line)) << "too few short samples";
    auto sample = nlohmann::json::parse(line);
    auto completion = sample["completion_ids"].get<std::vector<int32_t>>();
    if (completion.size() > 25)
      continue;
    ++checked;
    EXPECT_EQ(greedy(model, sample["prompt_ids"].get<std::vector<int32_t>>(), completion.size()),
              completion)
        << sample["completion_text"];
  }
}

/// What goes into the products of several sequences at once is what goes into those of each alone.
TEST(Interpreter, WalksSequences) {
  for (const char *name : {"llama", "qwen2_win"}) {
    Model model(source + "/test/golden/" + name);
    Interpreter interpreter(*model.loaded.module, *model.loaded.weights);
    std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    using Heard = std::vector<std::pair<std::string, std::vector<float>>>;
    auto walk = [&](llvm::ArrayRef<int32_t> some) {
      Heard heard;
      llvm::cantFail(
          interpreter.walk(some, 5, [&](mlir::Operation *op, mlir::Value, const Rows &x) {
            heard.emplace_back(weightOf(op).getTensor().str(), x.values);
            return llvm::Error::success();
          }));
      return heard;
    };
    Heard all = walk(ids), joined = walk(llvm::ArrayRef(ids).take_front(5));
    for (auto rest : {llvm::ArrayRef(ids).slice(5, 5), llvm::ArrayRef(ids).slice(10)})
      for (auto [to, from] : llvm::zip_equal(joined, walk(rest)))
        to.second.insert(to.second.end(), from.second.begin(), from.second.end());
    EXPECT_EQ(all, joined);
    ReferenceResult last = llvm::cantFail(interpreter.feed(llvm::ArrayRef(ids).slice(10)));
    llvm::ArrayRef<float> head = all.back().second;
    EXPECT_EQ(last.observed["hidden.norm"].values,
              head.take_back(last.observed["hidden.norm"].values.size()).vec());
    EXPECT_EQ(all.size(), size_t(7 * model.loaded.config.layers + 1)); // and the head
  }
}

/// An op with a region that only groups others changes nothing: here every residual sum is put into
/// one, with its operands as block arguments.
TEST(Interpreter, LooksIntoStages) {
  Model model(source + "/test/golden/qwen2");
  std::vector<int32_t> ids = {1, 2, 3, 4};
  ReferenceResult before =
      llvm::cantFail(interpret(*model.loaded.module, *model.loaded.weights, ids));
  std::vector<transformer::AddOp> sums;
  model.loaded.module->walk([&](transformer::AddOp op) { sums.push_back(op); });
  ASSERT_EQ(sums.size(), 4u);
  for (transformer::AddOp sum : sums) {
    mlir::OpBuilder builder(sum);
    mlir::OperationState state(sum.getLoc(), "transformer.stage");
    state.addOperands(sum.getOperands());
    state.addTypes(sum.getType());
    mlir::Block *block = new mlir::Block;
    state.addRegion()->push_back(block);
    for (mlir::Value operand : sum.getOperands())
      block->addArgument(operand.getType(), sum.getLoc());
    mlir::Operation *stage = builder.create(state);
    sum.getResult().replaceAllUsesWith(stage->getResult(0));
    sum->moveBefore(block, block->end());
    sum->setOperands(block->getArguments());
    builder.setInsertionPointToEnd(block);
    mlir::OperationState yield(sum.getLoc(), "transformer.yield");
    yield.addOperands(sum.getResult());
    builder.create(yield);
  }
  ReferenceResult after =
      llvm::cantFail(interpret(*model.loaded.module, *model.loaded.weights, ids));
  EXPECT_EQ(after.logits.values, before.logits.values);
  EXPECT_EQ(after.observed.size(), before.observed.size());
}

TEST(Interpreter, RefusesOpsWithoutMeaning) {
  Model model(source + "/test/golden/qwen2");
  model.loaded.module->walk([&](transformer::GluOp op) {
    mlir::OpBuilder builder(op);
    mlir::OperationState state(op.getLoc(), "transformer.unheard_of");
    builder.create(state);
  });
  llvm::Expected<ReferenceResult> result =
      interpret(*model.loaded.module, *model.loaded.weights, {1});
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(llvm::toString(result.takeError()),
            "the interpreter has no meaning for transformer.unheard_of");
}

TEST(Interpreter, RefusesIds) {
  Model model(source + "/test/golden/qwen2");
  auto message = [&](llvm::ArrayRef<int32_t> ids) {
    llvm::Expected<ReferenceResult> result =
        interpret(*model.loaded.module, *model.loaded.weights, ids);
    return result ? std::string("accepted") : llvm::toString(result.takeError());
  };
  EXPECT_EQ(message({1, 322}), "id 1: expected 0 to 321, found 322");
  EXPECT_EQ(message({-1}), "id 0: expected 0 to 321, found -1");
  EXPECT_EQ(message({}), "no ids to run @forward on");
  EXPECT_EQ(message(std::vector<int32_t>(257, 1)), "257 positions are more than the model's 256");
  EXPECT_EQ(message({321}), "accepted");
}

} // namespace
