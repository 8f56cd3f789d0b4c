// Ops.cpp - arithmetic but contract and attend, against its definition in double precision.
#include "test/targets/host/PlayedStage.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>

namespace pianola::test {
namespace {

class Ops : public ::testing::TestWithParam<std::string> {
protected:
  // y = op(x) for an op text that uses %0 and makes %1; of the valid slots.
  std::vector<float> apply(const std::vector<float> &x, int64_t slots, int64_t columns,
                           const std::string &op, const std::string &weight = "",
                           const std::vector<float> &resident = {}, void *bound = nullptr,
                           int64_t position = 0) {
    std::string b = buffer(slots, columns), t = tensor(slots, columns);
    PlayedStage played(
        oneTile("%x: " + b + (weight.empty() ? "" : ", %w: " + weight) + ", %y: " + b,
                "%0 = tile.load %x : " + b + " -> " + t + "\n%1 = " + op +
                    "\ntile.store %1, %y : " + t + ", " + b + "\n"),
        GetParam());
    AlignedBytes from(x), weights(resident), to(std::vector<float>(x.size(), -77.0f));
    played.bind(from.data());
    if (bound)
      played.bind(bound);
    played.bind(to.data());
    played.placeSlots(position, slots);
    played.call.resident = weights.data();
    played.run("0", 0, 1);
    const auto *y = reinterpret_cast<const float *>(to.data());
    return {y, y + x.size()};
  }
};

// Three heads of 24 that are padded to 32, turned around; then padding is zero.
TEST_P(Ops, Reorder) {
  constexpr int64_t kSlots = 3, kCount = 72, kFrom = 96, kTo = 80;
  const std::string order =
      "!tile.vector<order = true, blocks = 3, size = 24, pad = 32, per_tile = false>";
  std::string x = buffer(kSlots, kFrom), y = buffer(kSlots, kTo);
  PlayedStage played(oneTile("%x: " + x + ", %o: " + order + ", %y: " + y,
                             "%0 = tile.load %x : " + x + " -> " + tensor(kSlots, kFrom) +
                                 "\n%1 = tile.reorder %0, %o : " + tensor(kSlots, kFrom) + ", " +
                                 order + " -> " + tensor(kSlots, kTo) +
                                 "\ntile.store %1, %y : " + tensor(kSlots, kTo) + ", " + y + "\n"),
                     GetParam());
  std::vector<int32_t> places(kFrom);
  for (int32_t j = 0; j < kCount; ++j)
    places[j] = (kCount - 1 - j) / 24 * 32 + (kCount - 1 - j) % 24;
  std::vector<float> values = randomNumbers(kSlots * kFrom, 5);
  AlignedBytes from(values), resident(places), to(std::vector<float>(kSlots * kTo, -77.0f));
  played.bind(from.data());
  played.bind(to.data());
  played.call.slots = 2;
  played.call.resident = resident.data();
  played.run("0", 0, 1);
  const auto *got = reinterpret_cast<const float *>(to.data());
  for (int64_t slot = 0; slot < kSlots; ++slot)
    for (int64_t j = 0; j < kTo; ++j) {
      float want = j < kCount ? values[slot * kFrom + places[j]] : 0;
      ASSERT_EQ(got[slot * kTo + j], slot < 2 ? want : -77) << slot << ", " << j;
    }
}

TEST_P(Ops, Activations) {
  // gate: all magnitudes, either sign; up: 1, so that the result is the activation.
  std::vector<float> gate;
  for (int i = 0; i < 240; ++i)
    gate.push_back((i % 2 ? -1 : 1) * std::exp2((i / 2 - 80) / 10.0f));
  for (float x : {0.0f, -0.0f, 1e-30f, -1e-30f, 60.0f, -60.0f, 300.0f, -300.0f, 1e9f, -1e9f})
    gate.push_back(x);
  gate.resize(256, 0.5f);
  auto exact = [](const std::string &name, double x) {
    if (name == "silu")
      return x / (1 + std::exp(-x));
    if (name == "gelu")
      return x / 2 * std::erfc(-x / std::sqrt(2.0));
    double y = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); // x/2 (1 + tanh y)
    return x / (1 + std::exp(-2 * y));
  };
  for (const char *name : {"silu", "gelu_tanh", "gelu"}) {
    std::string b = buffer(1, 256), t = tensor(1, 256);
    PlayedStage played(oneTile("%g: " + b + ", %u: " + b + ", %y: " + b,
                               "%0 = tile.load %g : " + b + " -> " + t + "\n%1 = tile.load %u : " +
                                   b + " -> " + t + "\n%2 = tile.activate %0, %1 " + name + " : " +
                                   t + "\ntile.store %2, %y : " + t + ", " + b + "\n"),
                       GetParam());
    AlignedBytes g(gate), u(std::vector<float>(256, 1.0f)), y(gate);
    for (AlignedBytes *bytes : {&g, &u, &y})
      played.bind(bytes->data());
    played.call.slots = 1;
    played.run("0", 0, 1);
    for (size_t i = 0; i < gate.size(); ++i) {
      double want = exact(name, gate[i]), got = reinterpret_cast<float *>(y.data())[i];
      // Far out the argument of the exponential is itself rounded: 2^-24 of it, times 1 + x^2 / 2.
      double x = gate[i], slope = std::min(x * x, 180.0);
      // The exponential of more than 88 is that of 88, so that silu ends 1e-38 from zero.
      double least = std::fabs(x) * 1e-38;
      ASSERT_NEAR(got, want, std::fabs(want) * (1e-6 + 1e-7 * slope) + least)
          << name << " of " << gate[i];
    }
  }
}

TEST_P(Ops, NormaliseGroups) {
  struct Case {
    int64_t groups, size, pad;
  };
  for (Case c : {Case{1, 57, 64}, {1, 2048, 2048}, {3, 24, 32}, {2, 128, 128}}) {
    int64_t columns = c.groups * c.pad, slots = 3;
    std::vector<float> x = randomNumbers(slots * columns, 5), weight = randomNumbers(c.pad, 6);
    for (int64_t i = 0; i < slots * columns; ++i)
      if (i % c.pad >= c.size)
        x[i] = 0;
    for (int64_t i = c.size; i < c.pad; ++i)
      weight[i] = 0;
    std::string vector = llvm::formatv(
        "!tile.vector<blocks = 1, size = {0}, pad = {1}, per_tile = false>", c.size, c.pad);
    std::vector<float> y =
        apply(x, slots, columns,
              llvm::formatv("tile.normalise %0, %w groups = {0} size = {1} eps = 1.0e-5 : {2}, {3} "
                            "-> {2}",
                            c.groups, c.size, tensor(slots, columns), vector),
              vector, weight);
    for (int64_t row = 0; row < slots * c.groups; ++row) {
      double squares = 0;
      for (int64_t i = 0; i < c.pad; ++i)
        squares += double(x[row * c.pad + i]) * x[row * c.pad + i];
      double factor = 1 / std::sqrt(squares / c.size + 1e-5);
      for (int64_t i = 0; i < c.pad; ++i)
        ASSERT_NEAR(y[row * c.pad + i], x[row * c.pad + i] * factor * weight[i], 2e-6)
            << c.groups << " groups of " << c.size << ", row " << row << " lane " << i;
    }
  }
}

TEST_P(Ops, RotateHalves) {
  struct Case {
    int64_t groups, columns, pairs;
  };
  for (Case c : {Case{1, 32, 12}, {2, 64, 32}, {3, 48, 20}, {2, 32, 4}, {1, 128, 64}}) {
    int64_t slots = 3, position = 5, width = c.groups * c.columns;
    std::vector<float> x = randomNumbers(slots * width, 7);
    std::vector<float> table = randomNumbers((position + slots) * 2 * c.pairs, 8);
    AlignedBytes bound(table);
    std::vector<float> y =
        apply(x, slots, width,
              llvm::formatv("tile.rotate %0, %w groups = {0} : {1}, !tile.rotation<{2}>", c.groups,
                            tensor(slots, width), c.pairs),
              llvm::formatv("!tile.rotation<{0}>", c.pairs), {}, bound.data(), position);
    for (int64_t s = 0; s < slots; ++s)
      for (int64_t g = 0; g < c.groups; ++g)
        for (int64_t i = 0; i < c.columns; ++i) {
          const float *in = &x[s * width + g * c.columns];
          const float *cosines = &table[(position + s) * 2 * c.pairs], *sines = cosines + c.pairs;
          double want = in[i];
          if (i < c.pairs)
            want = double(in[i]) * cosines[i] - double(in[i + c.pairs]) * sines[i];
          else if (i < 2 * c.pairs)
            want =
                double(in[i]) * cosines[i - c.pairs] + double(in[i - c.pairs]) * sines[i - c.pairs];
          ASSERT_NEAR(y[s * width + g * c.columns + i], want, 3e-7)
              << c.pairs << " pairs, slot " << s << " group " << g << " lane " << i;
        }
  }
}

TEST_P(Ops, Combine) {
  constexpr int64_t kHeads = 2, kSize = 32, kSlots = 2;
  for (auto parts : {std::pair{3, 2}, {9, 3}, {1, 1}}) {
    int64_t group = parts.first, splits = parts.second;
    int64_t pad = (2 * group + 15) / 16 * 16, width = kHeads * group * kSize;
    std::vector<float> partials = randomNumbers(kSlots * splits * width, 13);
    std::vector<float> statistics(kSlots * splits * kHeads * pad, 0.0f);
    std::vector<float> random = randomNumbers(statistics.size(), 14);
    for (int64_t s = 0; s < kSlots; ++s)
      for (int64_t split = 0; split < splits; ++split)
        for (int64_t query = 0; query < kHeads * group; ++query) {
          int64_t head = query / group;
          int64_t at = ((s * splits + split) * kHeads + head) * pad + 2 * (query % group);
          bool sawNone = split > 0 && query % 2 == 1;
          statistics[at] = sawNone ? -INFINITY : 20 * random[at];
          statistics[at + 1] = sawNone ? 0 : 2 + random[at + 1];
          for (int64_t d = 0; d < kSize && sawNone; ++d)
            partials[((s * splits + split) * kHeads * group + query) * kSize + d] = 0;
        }
    std::string p = buffer(kSlots, splits * width), m = buffer(kSlots, splits * kHeads * pad);
    std::string pt = tensor(kSlots, splits * width), mt = tensor(kSlots, splits * kHeads * pad);
    std::string y = buffer(kSlots, width), yt = tensor(kSlots, width);
    PlayedStage played(
        oneTile(
            "%p: " + p + ", %m: " + m + ", %y: " + y,
            "%0 = tile.load %p : " + p + " -> " + pt + "\n%1 = tile.load %m : " + m + " -> " + mt +
                llvm::formatv("\n%2 = tile.combine %0, %1 heads = {0} group = {1} splits = {2} : ",
                              kHeads, group, splits)
                    .str() +
                pt + ", " + mt + " -> " + yt + "\ntile.store %2, %y : " + yt + ", " + y + "\n"),
        GetParam());
    AlignedBytes a(partials), b(statistics), out(std::vector<float>(kSlots * width));
    for (AlignedBytes *bytes : {&a, &b, &out})
      played.bind(bytes->data());
    played.call.slots = kSlots;
    played.run("0", 0, 1);
    for (int64_t s = 0; s < kSlots; ++s)
      for (int64_t query = 0; query < kHeads * group; ++query)
        for (int64_t d = 0; d < kSize; ++d) {
          double most = -INFINITY, sum = 0, total = 0;
          auto statistic = [&](int64_t split, int64_t which) {
            return statistics[((s * splits + split) * kHeads + query / group) * pad +
                              2 * (query % group) + which];
          };
          for (int64_t split = 0; split < splits; ++split)
            most = std::max<double>(most, statistic(split, 0));
          for (int64_t split = 0; split < splits; ++split) {
            double weight = std::exp(statistic(split, 0) - most);
            sum += weight * statistic(split, 1);
            total += weight * partials[((s * splits + split) * kHeads * group + query) * kSize + d];
          }
          ASSERT_NEAR(reinterpret_cast<float *>(out.data())[s * width + query * kSize + d],
                      total / sum, 1e-6)
              << group << " x " << splits << " slot " << s << " query " << query << " lane " << d;
        }
  }
}

INSTANTIATE_TEST_SUITE_P(Host, Ops, ::testing::ValuesIn(runnableTargets()),
                         [](const auto &info) { return nameOf(info.param); });

} // namespace
} // namespace pianola::test
