// Scheduler.cpp - texts that share plays and prompts are those that each gets alone.
#include "runtime/server/Scheduler.h"
#include "test/numeric/Seeded.h"

#include <future>

using namespace pianola;
using namespace pianola::server;

namespace {

// What was heard of a task.
struct Heard {
  std::vector<int32_t> tokens;
  Ending ending;
};

class Schedulers : public testing::Test {
protected:
  static constexpr uint64_t kChunk = 16, kMaxLen = 128;

  static void SetUpTestSuite() {
    model = new Seeded(kShapes[0], "x86-64-v3", {1, 8, kChunk}, 5);
    roll = model->roll().release();
  }
  static void TearDownTestSuite() {
    delete roll;
    delete model;
  }

  void SetUp() override {
    ASSERT_TRUE(roll);
    open({});
  }

  void open(SchedulerOptions options) {
    scheduler.reset();
    options.session.maxLen = kMaxLen;
    options.session.threads = 1;
    Result<std::unique_ptr<Scheduler>> made = Scheduler::create(*roll, options);
    ASSERT_TRUE(made) << made.message();
    scheduler = std::move(*made);
  }

  static std::vector<int32_t> textOf(size_t number, size_t length) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < length; ++i)
      ids.push_back(static_cast<int32_t>((i * 37 + i * i + 11 * (number + 1)) %
                                         roll->manifest().model.validVocabulary));
    return ids;
  }

  static Task taskOf(std::vector<int32_t> prompt, uint64_t most) {
    Task task;
    task.prompt = std::move(prompt);
    task.most = most;
    return task;
  }

  // What is heard of a task, once it has ended.
  std::future<Heard> listen(Task &task, std::function<void()> eachToken = [] {}) {
    auto heard = std::make_shared<Heard>();
    auto promise = std::make_shared<std::promise<Heard>>();
    task.take = [heard, eachToken](const ChosenToken &chosen) {
      heard->tokens.push_back(chosen.id);
      eachToken();
      return true;
    };
    task.done = [heard, promise](const Ending &ending) {
      heard->ending = ending;
      promise->set_value(*heard);
    };
    return promise->get_future();
  }

  std::shared_ptr<TaskGroup> submit(Task task) {
    std::vector<Task> tasks;
    tasks.push_back(std::move(task));
    return scheduler->submit(std::move(tasks));
  }

  std::future<Heard> start(Task task) {
    std::future<Heard> heard = listen(task);
    EXPECT_TRUE(submit(std::move(task)));
    return heard;
  }

  static inline Seeded *model = nullptr;
  static inline Roll *roll = nullptr;
  std::unique_ptr<Scheduler> scheduler;
};

TEST_F(Schedulers, TokensAreThoseThatEachGetsAlone) {
  std::vector<Task> tasks;
  for (size_t i = 0; i < 24; ++i) {
    std::vector<int32_t> prompt = textOf(i % 5, 1 + i * 29 % 90);
    Task task = taskOf(std::move(prompt), 1 + i * 7 % 30);
    task.sampling.temperature = i % 3 ? 0.7f * static_cast<float>(i % 3) : 0;
    task.sampling.topP = i % 2 ? 0.9f : 1;
    task.sampling.frequencyPenalty = i % 4 ? 0 : 0.5f;
    task.sampling.seed = i;
    tasks.push_back(std::move(task));
  }
  open({{}, 8, 2, 256});
  std::vector<std::future<Heard>> together;
  for (const Task &task : tasks)
    together.push_back(start(task));
  std::vector<Heard> heard;
  for (std::future<Heard> &one : together)
    heard.push_back(one.get());
  EXPECT_GT(scheduler->counts().turns, 2 * scheduler->counts().steps) << "plays were not shared";
  size_t cached = 0;
  for (size_t i = 0; i < tasks.size(); ++i) {
    open({{}, 8, 0, 256}); // knows nothing
    Heard alone = start(tasks[i]).get();
    EXPECT_EQ(alone.ending.cachedTokens, 0u);
    EXPECT_EQ(heard[i].tokens, alone.tokens) << "task " << i;
    EXPECT_EQ(heard[i].ending.reason, Ending::Length);
    EXPECT_EQ(heard[i].tokens.size(), tasks[i].most);
    cached += heard[i].ending.cachedTokens;
  }
  EXPECT_GT(cached, 0u) << "no prompt was shared";
}

TEST_F(Schedulers, KnowWhatOtherPromptsBeganWith) {
  std::vector<int32_t> first = textOf(1, 60), second = first;
  second.resize(40);
  second.insert(second.end(), {1, 2, 3, 4, 5, 6, 7, 8, 9});
  Heard alone = start(taskOf(second, 9)).get();
  open({});
  EXPECT_EQ(start(taskOf(first, 9)).get().ending.cachedTokens, 0u);
  Heard after = start(taskOf(second, 9)).get();
  EXPECT_EQ(after.ending.cachedTokens, 32u); // whole chunks of 40
  EXPECT_EQ(after.tokens, alone.tokens);
  // The same prompt again: all but the chunk that its last token is in.
  EXPECT_EQ(start(taskOf(first, 1)).get().ending.cachedTokens, 48u);
  std::vector<int32_t> whole(first.begin(), first.begin() + 48);
  EXPECT_EQ(start(taskOf(whole, 1)).get().ending.cachedTokens, 32u);
  // Tokens that were generated are not taken over: they have other bits.
  std::vector<int32_t> longer = second;
  longer.insert(longer.end(), after.tokens.begin(), after.tokens.end());
  longer.insert(longer.end(), 20, 7);
  EXPECT_EQ(start(taskOf(longer, 1)).get().ending.cachedTokens, 48u);
  SchedulerCounts counts = scheduler->counts();
  EXPECT_EQ(counts.prefixHits, 32u + 48 + 32 + 48);
  EXPECT_EQ(counts.promptTokens + counts.prefixHits, counts.prefixQueries);
}

TEST_F(Schedulers, FeedABeginningOnceToManyAtATime) {
  std::vector<Task> tasks;
  std::vector<std::future<Heard>> together;
  for (int32_t i = 0; i < 8; ++i) {
    std::vector<int32_t> prompt = textOf(2, 80);
    prompt.push_back(i);
    tasks.push_back(taskOf(std::move(prompt), 4));
    together.push_back(listen(tasks.back()));
  }
  ASSERT_TRUE(scheduler->submit(std::move(tasks)));
  for (std::future<Heard> &one : together)
    EXPECT_EQ(one.get().ending.generatedTokens, 4u);
  EXPECT_EQ(scheduler->counts().promptTokens, 80u + 8);
}

TEST_F(Schedulers, EndAtStopsAndWhereTheContextEnds) {
  Heard all = start(taskOf(textOf(3, 100), 1000)).get();
  EXPECT_EQ(all.ending.reason, Ending::Length);
  EXPECT_EQ(all.tokens.size(), kMaxLen - 100 + 1); // the last one is not fed
  Task task = taskOf(textOf(3, 100), 1000);
  task.stops = {all.tokens[5]};
  size_t place =
      std::find(all.tokens.begin(), all.tokens.end(), task.stops[0]) - all.tokens.begin();
  Heard stopped = start(task).get();
  EXPECT_EQ(stopped.ending.reason, Ending::Stop);
  EXPECT_EQ(stopped.tokens.size(), place + 1);
}

TEST_F(Schedulers, TellTheProbabilitiesOfTokens) {
  Task task = taskOf(textOf(4, 20), 3);
  task.probables = 5;
  std::vector<ChosenToken> tokens;
  std::promise<void> ended;
  task.take = [&](const ChosenToken &chosen) {
    tokens.push_back(chosen);
    return true;
  };
  task.done = [&](const Ending &) { ended.set_value(); };
  ASSERT_TRUE(submit(std::move(task)));
  ended.get_future().wait();
  ASSERT_EQ(tokens.size(), 3u);
  std::vector<float> logits = logitsOf(*roll, textOf(4, 20), /*oneByOne=*/false, 1);
  size_t vocabulary = roll->manifest().model.vocabulary;
  const float *last = &logits[19 * vocabulary];
  double sum = 0;
  for (int64_t id = 0; id < roll->manifest().model.validVocabulary; ++id)
    sum += std::exp(last[id]);
  EXPECT_EQ(tokens[0].probables.size(), 5u);
  EXPECT_EQ(tokens[0].probables[0].id, tokens[0].id); // greedy
  for (const TokenProbability &one : tokens[0].probables)
    EXPECT_NEAR(one.logprob, last[one.id] - std::log(sum), 1e-4);
  EXPECT_EQ(*tokens[0].logprob, tokens[0].probables[0].logprob);
}

TEST_F(Schedulers, ForgetWhatIsCancelled) {
  open({{}, 2, 0, 16});
  Task endless = taskOf(textOf(1, 5), 1000);
  std::promise<void> began;
  bool first = true;
  std::future<Heard> heard = listen(endless, [&] {
    if (std::exchange(first, false))
      began.set_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  std::shared_ptr<TaskGroup> group = submit(std::move(endless));
  began.get_future().wait();
  // One that waits for a sequence, and one that goes on beside.
  std::future<Heard> other = start(taskOf(textOf(2, 30), 40));
  Task waiting = taskOf(textOf(3, 5), 1000);
  std::future<Heard> waited = listen(waiting);
  std::shared_ptr<TaskGroup> later = submit(std::move(waiting));
  later->cancel();
  group->cancel();
  EXPECT_EQ(heard.get().ending.reason, Ending::Cancelled);
  EXPECT_EQ(waited.get().ending.reason, Ending::Cancelled);
  EXPECT_EQ(other.get().tokens.size(), 40u);
  EXPECT_EQ(scheduler->counts().running, 0u);
  EXPECT_EQ(scheduler->counts().waiting, 0u);
}

TEST_F(Schedulers, TakeNoMoreThanTheQueueHolds) {
  open({{}, 1, 0, 3});
  std::vector<Task> many;
  for (int i = 0; i < 4; ++i) {
    Task task = taskOf(textOf(1, 5), 1);
    listen(task);
    many.push_back(std::move(task));
  }
  EXPECT_FALSE(scheduler->submit(many));
  many.pop_back();
  EXPECT_TRUE(scheduler->submit(many));
  EXPECT_FALSE(scheduler->submit({}));
}

TEST_F(Schedulers, TakeTurnsBetweenGroups) {
  open({{}, 1, 0, 64});
  std::mutex mutex;
  std::vector<int> order;
  std::vector<std::future<void>> ended;
  auto groupOf = [&](int name, size_t size) {
    std::vector<Task> tasks;
    for (size_t i = 0; i < size; ++i) {
      Task task = taskOf(textOf(i, 3), 2);
      auto promise = std::make_shared<std::promise<void>>();
      ended.push_back(promise->get_future());
      task.take = [](const ChosenToken &) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return true;
      };
      task.done = [&, name, promise](const Ending &) {
        {
          std::lock_guard<std::mutex> lock(mutex);
          order.push_back(name);
        }
        promise->set_value();
      };
      tasks.push_back(std::move(task));
    }
    return tasks;
  };
  ASSERT_TRUE(scheduler->submit(groupOf(1, 10)));
  ASSERT_TRUE(scheduler->submit(groupOf(2, 2)));
  for (std::future<void> &one : ended)
    one.wait();
  // Two of the first may be through before the second group is there.
  auto last = std::find(order.rbegin(), order.rend(), 2);
  EXPECT_GE(last - order.rbegin(), 4) << "the small group waited for the large one";
}

TEST_F(Schedulers, EndEverythingWhenTheyShutDown) {
  open({{}, 1, 0, 16});
  std::vector<std::future<Heard>> heard;
  for (int i = 0; i < 3; ++i) {
    Task task = taskOf(textOf(1, 5), 1000);
    heard.push_back(
        listen(task, [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }));
    ASSERT_TRUE(submit(std::move(task)));
  }
  scheduler->shutDown(std::chrono::milliseconds(10));
  for (std::future<Heard> &one : heard)
    EXPECT_EQ(one.get().ending.reason, Ending::Shutdown);
  Task late = taskOf(textOf(1, 5), 1);
  listen(late);
  EXPECT_FALSE(submit(std::move(late)));
  scheduler.reset();

  open({});
  std::future<Heard> patient = start(taskOf(textOf(1, 5), 20));
  scheduler->shutDown(std::chrono::seconds(20));
  EXPECT_EQ(patient.get().tokens.size(), 20u);
}

} // namespace
