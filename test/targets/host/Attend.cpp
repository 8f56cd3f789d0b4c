// Attend.cpp - attention of generated code against softmax in double precision.
#include "lib/checkpoint/Encoding.h"
#include "test/targets/host/PlayedStage.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>

namespace pianola::test {
namespace {

struct Shape {
  int64_t group, size;
  const char *queries, *element; // of queries and context
  int64_t slots, valid, position, window, splits;
};

std::ostream &operator<<(std::ostream &out, const Shape &s) {
  return out << s.group << " x " << s.size << " " << s.queries << " queries, context of "
             << s.element << ", " << s.valid << " of " << s.slots << " slots at " << s.position
             << ", window " << s.window << ", " << s.splits << " splits";
}

constexpr int64_t kHeads = 2;
constexpr float kScale = 0.25f;
constexpr float kUntouched = -77.0f;

int64_t statisticColumns(const Shape &s) { return (2 * s.group + 15) / 16 * 16; }

// One tile for each key/value head, block of slots, and split.
std::string stageText(const Shape &s, int64_t block) {
  int64_t width = s.group * s.size, columns = statisticColumns(s), blocks = s.slots / block;
  std::string q =
      llvm::formatv("!tile.buffer<{0} x {1} x {2}>", s.slots, kHeads * width, s.queries);
  std::string c = llvm::formatv("!tile.context<{0} x {1} x {2}>", kHeads, s.size, s.element);
  std::string o =
      llvm::formatv("!tile.buffer<{0} x {1} x f32>", s.slots, s.splits * kHeads * width);
  std::string m =
      llvm::formatv("!tile.buffer<{0} x {1} x f32>", s.slots, s.splits * kHeads * columns);
  std::string in = llvm::formatv("tensor<{0}x{1}x{2}>", block, width, s.queries);
  std::string out = llvm::formatv("tensor<{0}x{1}xf32>", block, width);
  std::string stats = llvm::formatv("tensor<{0}x{1}xf32>", block, columns);
  std::string slots = llvm::formatv("slots affine_map<(h, b, p) -> (b * {0})>", block);
  auto part = [&](int64_t w) {
    return llvm::formatv("{0} columns affine_map<(h, b, p) -> (p * {1} + h * {2})>", slots,
                         kHeads * w, w)
        .str();
  };
  std::string text =
      "tile.stage @s(%q: " + q + ", %c: " + c + ", %o: " + o + ", %m: " + m + ") {\n";
  text += llvm::formatv("tile.section grid = [{0}, {1}, {2}] {{\n^bb0(%h: index, %b: index, %p: "
                        "index):\n%0 = tile.load %q {3} columns affine_map<(h, b, p) -> (h * {4})> "
                        ": {5} -> {6}\n",
                        kHeads, blocks, s.splits, slots, width, q, in);
  text += s.splits > 1 ? "%1, %2 = tile.attend " : "%1 = tile.attend ";
  text += "%0, %c head affine_map<(h, b, p) -> (h)> " + slots;
  if (s.splits > 1)
    text += " split affine_map<(h, b, p) -> (p)>";
  text += llvm::formatv(" scale = {0:F6} window = {1} splits = {2} : ", kScale, s.window, s.splits);
  text += in + ", " + c + " -> " + out + (s.splits > 1 ? ", " + stats : "") + "\n";
  text += "tile.store %1, %o " + part(width) + " : " + out + ", " + o + "\n";
  if (s.splits > 1)
    text += "tile.store %2, %m " + part(columns) + " : " + stats + ", " + m + "\n";
  return text + "}\n}\n";
}

bool isCodes(const Shape &s) { return s.element[1] == '8'; }

uint8_t codeOf(const Shape &s, float scaled) {
  return s.element[0] == 'i' ? uint8_t(int8_t(std::nearbyint(scaled))) : toF8E4M3(scaled);
}
float numberOf(const Shape &s, uint8_t code) {
  return s.element[0] == 'i' ? float(int8_t(code)) : fromF8E4M3(code);
}
// Any scale will do; position by position another one.
float scaleOf(const Shape &s, int64_t position) {
  return (s.element[0] == 'i' ? 1.0f / 127 : 1.0f / 448) * float(1 + position % 3);
}

std::vector<uint8_t> packCodes(const Shape &s, int64_t capacity, int64_t appended,
                               const std::vector<float> &keys, const std::vector<float> &values) {
  int64_t half = capacity * (s.size + 4);
  std::vector<uint8_t> packed(2 * kHeads * half, 0xff);
  for (int64_t part = 0; part < 2; ++part)
    for (int64_t h = 0; h < kHeads; ++h)
      for (int64_t p = 0; p < appended; ++p) {
        uint8_t *group = &packed[(part * kHeads + h) * half + p / 16 * 16 * (s.size + 4)];
        float scale = scaleOf(s, p);
        std::memcpy(group + p % 16 * 4, &scale, 4);
        for (int64_t d = 0; d < s.size; ++d)
          group[64 + (part ? p % 16 * s.size + d : d * 16 + p % 16)] =
              codeOf(s, (part ? values : keys)[(h * appended + p) * s.size + d] / scale);
      }
  return packed;
}

// keys and values: [head][position][lane]; what was never appended is NaN.
std::vector<uint8_t> packContext(const Shape &s, int64_t capacity, int64_t appended,
                                 const std::vector<float> &keys, const std::vector<float> &values) {
  if (isCodes(s))
    return packCodes(s, capacity, appended, keys, values);
  bool isPair = std::string(s.element) == "bf16";
  int64_t bytes = isPair ? 2 : 4, size = s.size;
  std::vector<uint8_t> packed(2 * kHeads * capacity * size * bytes, 0xff);
  auto put = [&](int64_t at, float value) {
    uint16_t half = toBf16(value);
    std::memcpy(&packed[at * bytes], isPair ? static_cast<void *>(&half) : &value, bytes);
  };
  for (int64_t h = 0; h < kHeads; ++h)
    for (int64_t p = 0; p < appended; ++p)
      for (int64_t d = 0; d < size; ++d) {
        int64_t from = (h * appended + p) * size + d;
        int64_t k = isPair ? ((p / 16) * size / 2 + d / 2) * 32 + (p % 16) * 2 + d % 2
                           : ((p / 16) * size + d) * 16 + p % 16;
        int64_t v = isPair ? ((p / 2) * size + d) * 2 + p % 2 : p * size + d;
        put(h * capacity * size + k, keys[from]);
        put((kHeads + h) * capacity * size + v, values[from]);
      }
  return packed;
}

// What one query head of one slot sees of positions begin .. end-1.
struct Seen {
  double most = -INFINITY, sum = 0;
  std::vector<double> output; // not normalised
};

Seen attend(const Shape &s, const float *query, const float *keys, const float *values, int64_t at,
            int64_t begin, int64_t end) {
  Seen seen;
  seen.output.assign(s.size, 0);
  std::vector<double> scores;
  begin = std::max(begin, s.window ? at - s.window + 1 : 0);
  end = std::min(end, at + 1);
  for (int64_t p = begin; p < end; ++p) {
    double score = 0;
    for (int64_t d = 0; d < s.size; ++d)
      score += double(query[d]) * keys[p * s.size + d];
    scores.push_back(score * kScale);
    seen.most = std::max(seen.most, scores.back());
  }
  for (int64_t p = begin; p < end; ++p) {
    double weight = std::exp(scores[p - begin] - seen.most);
    seen.sum += weight;
    for (int64_t d = 0; d < s.size; ++d)
      seen.output[d] += weight * values[p * s.size + d];
  }
  return seen;
}

// Errors are of the order of the largest value, 1. Products of f32: 1e-5. Probabilities rounded to
// bf16: 2^-8.
double boundOf(const Shape &s, const std::string &target) {
  bool halves = std::string(s.element) == "bf16" && std::string(s.queries) == "bf16";
  return halves && hasBf16Products(target) ? 4e-3 : 1e-5;
}

void check(const Shape &s, const std::string &target) {
  SCOPED_TRACE(::testing::Message() << s << ", for " << target);
  int64_t appended = s.position + s.valid, capacity = (appended + 63) / 64 * 64;
  int64_t width = s.group * s.size, block = std::min<int64_t>(s.slots, 16);
  bool halfQueries = std::string(s.queries) == "bf16", halves = std::string(s.element) == "bf16";
  std::vector<float> queries = randomNumbers(s.slots * kHeads * width, 1);
  std::vector<float> keys = randomNumbers(kHeads * appended * s.size, 2);
  std::vector<float> values = randomNumbers(kHeads * appended * s.size, 3);
  std::vector<uint16_t> queryHalves;
  for (float &q : queries) {
    q *= 4; // so that some positions matter much more than others
    queryHalves.push_back(toBf16(q));
    if (halfQueries)
      q = fromBf16(queryHalves.back());
  }
  if (halves)
    for (std::vector<float> *numbers : {&keys, &values})
      for (float &number : *numbers)
        number = fromBf16(toBf16(number));
  if (isCodes(s))
    for (std::vector<float> *numbers : {&keys, &values})
      for (size_t i = 0; i < numbers->size(); ++i) {
        float scale = scaleOf(s, int64_t(i) / s.size % appended);
        (*numbers)[i] = scale * numberOf(s, codeOf(s, (*numbers)[i] / scale));
      }

  AlignedBytes q = halfQueries ? AlignedBytes(queryHalves) : AlignedBytes(queries);
  AlignedBytes context(packContext(s, capacity, appended, keys, values));
  int64_t outColumns = s.splits * kHeads * width;
  int64_t statColumns = s.splits * kHeads * statisticColumns(s);
  AlignedBytes output(std::vector<float>(s.slots * outColumns, kUntouched));
  AlignedBytes statistics(std::vector<float>(s.slots * statColumns, kUntouched));
  // Stages that differ in positions only are the same code.
  static std::map<std::string, std::unique_ptr<PlayedStage>> compiled;
  std::string text = stageText(s, block);
  std::unique_ptr<PlayedStage> &known = compiled[target + text];
  if (!known)
    known = std::make_unique<PlayedStage>(text, target);
  PlayedStage &stage = *known;
  stage.unbind();
  for (const AlignedBytes *bytes : {&q, &context, &output, &statistics})
    stage.bind(bytes->data());
  stage.placeSlots(s.position, s.valid);
  stage.call.capacity = capacity;
  stage.run("0", 0, kHeads * (s.slots / block) * s.splits);

  double bound = boundOf(s, target);
  const auto *got = reinterpret_cast<const float *>(output.data());
  const auto *stats = reinterpret_cast<const float *>(statistics.data());
  for (int64_t slot = 0; slot < s.slots; ++slot) {
    if (slot >= s.valid) {
      ASSERT_EQ(got[slot * outColumns], kUntouched) << "slot " << slot;
      continue;
    }
    // Chunks of 64 that the block of slots sees, dealt out evenly, the first parts first.
    int64_t low = slot / block * block, high = std::min(low + block, s.valid);
    int64_t from = s.window ? std::max<int64_t>(s.position + low - s.window + 1, 0) / 64 : 0;
    int64_t chunks = (s.position + high + 63) / 64 - from;
    for (int64_t split = 0; split < s.splits; ++split) {
      int64_t before = 0, mine = 0;
      for (int64_t part = 0; part <= split; ++part) {
        before += mine;
        mine = chunks / s.splits + (part < chunks % s.splits);
      }
      for (int64_t h = 0; h < kHeads; ++h)
        for (int64_t g = 0; g < s.group; ++g) {
          Seen seen = attend(s, &queries[slot * kHeads * width + h * width + g * s.size],
                             &keys[h * appended * s.size], &values[h * appended * s.size],
                             s.position + slot, (from + before) * 64, (from + before + mine) * 64);
          const float *out =
              got + slot * outColumns + split * kHeads * width + h * width + g * s.size;
          double scale = 1 / seen.sum;
          if (s.splits > 1) {
            const float *pair =
                stats + slot * statColumns + (split * kHeads + h) * statisticColumns(s) + 2 * g;
            if (seen.sum == 0) {
              ASSERT_EQ(pair[0], -INFINITY) << "slot " << slot << " saw nothing of " << split;
              ASSERT_EQ(pair[1], 0);
              for (int64_t d = 0; d < s.size; ++d)
                ASSERT_EQ(out[d], 0);
              continue;
            }
            ASSERT_NEAR(pair[0], seen.most, bound * s.size / 4);
            ASSERT_NEAR(pair[1] / seen.sum, 1, bound * s.size);
          }
          for (int64_t d = 0; d < s.size; ++d)
            ASSERT_NEAR(out[d] * (s.splits > 1 ? 1 / seen.sum : 1), seen.output[d] * scale,
                        bound * (s.splits > 1 ? s.size : 1))
                << "slot " << slot << " head " << h << "." << g << " lane " << d;
        }
    }
  }
}

// Slots `begin` .. `end`-1 of a play.
struct SlotRun {
  uint32_t sequence;
  int64_t position, begin, end;
};

// What the runs give together and what each gives alone, its sequence being the only one, must be
// the same bits.
void checkRuns(const Shape &s, const std::vector<SlotRun> &runs, const std::string &target) {
  SCOPED_TRACE(::testing::Message() << s << ", for " << target);
  constexpr int64_t kCapacity = 320, kSequences = 3;
  int64_t width = kHeads * s.group * s.size;
  std::vector<float> queries = randomNumbers(s.slots * width, 1);
  std::vector<uint16_t> halves;
  for (float query : queries)
    halves.push_back(toBf16(query));
  std::vector<uint8_t> contexts;
  for (int64_t q = 0; q < kSequences; ++q) {
    size_t numbers = kHeads * kCapacity * s.size;
    std::vector<uint8_t> one = packContext(s, kCapacity, kCapacity, randomNumbers(numbers, 10 + q),
                                           randomNumbers(numbers, 20 + q));
    contexts.insert(contexts.end(), one.begin(), one.end());
  }
  AlignedBytes context(contexts);
  PlayedStage stage(stageText(s, s.slots), target);
  int64_t bytes = std::string(s.queries) == "bf16" ? 2 : 4;
  const auto *from = bytes == 2 ? reinterpret_cast<const uint8_t *>(halves.data())
                                : reinterpret_cast<const uint8_t *>(queries.data());
  int64_t outputs = s.splits * width, statistics = s.splits * kHeads * statisticColumns(s);
  // The rows of output and statistics that the runs get.
  auto play = [&](const std::vector<SlotRun> &some, bool alone) {
    std::vector<uint8_t> rows(s.slots * width * bytes);
    std::vector<uint64_t> positions;
    std::vector<uint32_t> sequences;
    for (const SlotRun &run : some)
      for (int64_t slot = run.begin; slot < run.end; ++slot) {
        std::memcpy(&rows[positions.size() * width * bytes], from + slot * width * bytes,
                    width * bytes);
        positions.push_back(run.position + slot - run.begin);
        sequences.push_back(alone ? 0 : run.sequence);
      }
    AlignedBytes q(rows), output(std::vector<float>(s.slots * outputs, kUntouched)),
        more(std::vector<float>(s.slots * statistics, kUntouched));
    size_t first = alone ? some[0].sequence * (contexts.size() / kSequences) : 0,
           size = positions.size();
    stage.unbind();
    for (uint8_t *place : {q.data(), context.data() + first, output.data(), more.data()})
      stage.bind(place);
    stage.placeSlots(positions, sequences);
    stage.call.capacity = kCapacity;
    stage.run("0", 0, kHeads * s.splits);
    const auto *out = reinterpret_cast<const float *>(output.data());
    const auto *stats = reinterpret_cast<const float *>(more.data());
    std::vector<float> got(out, out + size * outputs);
    got.insert(got.end(), stats, stats + (s.splits > 1 ? size * statistics : 0));
    return std::pair(got, size);
  };
  auto [all, count] = play(runs, false);
  for (const SlotRun &run : runs) {
    auto [alone, size] = play({run}, true);
    const float *out = &all[run.begin * outputs];
    EXPECT_EQ(std::vector<float>(out, out + size * outputs),
              std::vector<float>(alone.begin(), alone.begin() + size * outputs))
        << "run of slot " << run.begin;
    if (s.splits == 1)
      continue;
    const float *stats = &all[count * outputs + run.begin * statistics];
    EXPECT_EQ(std::vector<float>(stats, stats + size * statistics),
              std::vector<float>(alone.begin() + size * outputs, alone.end()))
        << "run of slot " << run.begin;
  }
}

class Attend : public ::testing::TestWithParam<std::string> {
protected:
  void each(Shape s) {
    for (auto [queries, element] : {std::pair{"f32", "f32"},
                                    {"f32", "bf16"},
                                    {"bf16", "bf16"},
                                    {"f32", "i8"},
                                    {"f32", "f8E4M3FN"}}) {
      s.queries = queries;
      s.element = element;
      check(s, GetParam());
      if (HasFatalFailure())
        return;
    }
  }
};

TEST_P(Attend, Positions) {
  // The first, around groups of 16 and chunks of 64, odd and even.
  for (int64_t position : {0, 1, 15, 16, 62, 63, 64, 65, 127, 200})
    each({4, 32, "", "", 1, 1, position, 0, 1});
}

TEST_P(Attend, HeadSizes) {
  for (int64_t size : {16, 48, 80, 128, 256})
    each({3, size, "", "", 1, 1, 70, 0, 1});
}

TEST_P(Attend, Groups) {
  for (int64_t group : {1, 2, 5, 8})
    each({group, 32, "", "", 1, 1, 77, 0, 1});
}

TEST_P(Attend, SeveralSlots) {
  for (int64_t valid : {1, 15, 17, 64})
    each({2, 32, "", "", 64, valid, 90, 0, 1});
  each({3, 48, "", "", 16, 13, 0, 0, 1});
  each({1, 16, "", "", 16, 9, 55, 0, 1}); // into the next chunk
}

TEST_P(Attend, Windows) {
  for (int64_t window : {1, 16, 64, 65, 1000})
    each({2, 32, "", "", 1, 1, 150, window, 1});
  for (int64_t window : {5, 70})
    each({2, 32, "", "", 16, 11, 120, window, 1});
}

TEST_P(Attend, Splits) {
  for (int64_t position : {0, 63, 64, 300}) // fewer chunks than parts, and more
    each({2, 32, "", "", 1, 1, position, 0, 3});
  each({2, 32, "", "", 16, 7, 250, 100, 2});
  each({9, 16, "", "", 1, 1, 400, 0, 4}); // statistics of 32 columns
}

TEST_P(Attend, RunsOfSeveralSequences) {
  // A chunk; the position after it, of another sequence; two single slots of one sequence, apart;
  // the same position of another one; and the last slots, into the next chunk.
  std::vector<SlotRun> runs = {{2, 100, 0, 3}, {0, 103, 3, 4}, {1, 7, 4, 5},
                               {1, 250, 5, 6}, {0, 250, 6, 7}, {2, 190, 7, 12}};
  for (auto [queries, element] :
       {std::pair{"f32", "f32"}, {"f32", "bf16"}, {"bf16", "bf16"}, {"f32", "i8"}})
    for (int64_t window : {0, 70})
      for (int64_t splits : {1, 3})
        checkRuns({2, 32, queries, element, 16, 12, 0, window, splits}, runs, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Host, Attend, ::testing::ValuesIn(runnableTargets()),
                         [](const auto &info) { return nameOf(info.param); });

} // namespace
} // namespace pianola::test
