// Sums, prefix sums, sorting, votes. Integers are compared exactly; floats too, since the order of
// every addition is known.
#include "test/targets/nvptx/emulator/Rehearsal.h"

#include <algorithm>
#include <map>

using namespace pianola::ptx;

namespace {

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

Floats someFloats(size_t n, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.real(-1, 1); });
}
Words someWords(size_t n, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.next(); });
}

float tree(Floats s) {
  for (size_t half = s.size() / 2; half > 0; half /= 2)
    for (size_t t = 0; t < half; ++t)
      s[t] += s[t + half];
  return s[0];
}

float foldWarp(Floats v) {
  for (size_t d = 16; d > 0; d /= 2) {
    const Floats before = v;
    for (size_t l = 0; l < 32; ++l)
      v[l] = before[l] + before[l + d < 32 ? l + d : l];
  }
  return v[0];
}

void reduceTree(Rehearsal &p, uint32_t blocks, uint32_t n) {
  const Floats x = someFloats(n, n);
  const uint64_t in = p.put(x, "x"), out = p.room<float>(blocks, "partial");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("reduce_tree", {blocks}, {256}, arguments);
  p.expectSame(out,
               listOf(blocks,
                      [&](size_t b) {
                        return tree(listOf(256, [&](size_t t) {
                          return b * 256 + t < n ? x[b * 256 + t] : 0.0f;
                        }));
                      }),
               "partial");
}

void reduceShuffle(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t n) {
  const Floats x = someFloats(n, n + 1);
  const uint64_t in = p.put(x, "x"), out = p.room<float>(blocks, "partial");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("reduce_shuffle", {blocks}, {threads}, arguments);
  Floats expected;
  for (uint32_t b = 0; b < blocks; ++b) {
    Floats sums(32, 0.0f);
    for (uint32_t w = 0; w < threads / 32; ++w) {
      Floats lanes(32, 0.0f);
      for (uint32_t l = 0; l < 32; ++l)
        for (uint32_t i = b * threads + w * 32 + l; i < n; i += blocks * threads)
          lanes[l] += x[i];
      sums[w] = foldWarp(lanes);
    }
    expected.push_back(foldWarp(sums));
  }
  p.expectSame(out, expected, "partial");
}

void reduceLastBlock(Rehearsal &p, uint32_t blocks, uint32_t n4) {
  const Floats x = someFloats(n4 * 4, n4);
  const uint64_t in = p.put(x, "x"), partial = p.room<float>(blocks, "partial"),
                 finished = p.put(Words{0}, "finished"), total = p.room<float>(1, "total");
  Arguments arguments;
  arguments.add(in).add(partial).add(finished).add(total).add(n4);
  float sum = 0;
  for (uint32_t b = 0; b < blocks; ++b) {
    Floats s(128, 0.0f);
    for (uint32_t t = 0; t < 128; ++t)
      for (uint32_t i = b * 128 + t; i < n4; i += blocks * 128)
        s[t] += (x[4 * i] + x[4 * i + 1]) + (x[4 * i + 2] + x[4 * i + 3]);
    sum += tree(s);
  }
  for (int twice = 0; twice < 2; ++twice) { // the kernel leaves its counter as it found it
    p.play("reduce_last_block", {blocks}, {128}, arguments);
    p.expectSame(total, Floats{sum}, "total");
  }
}

void reduceRedux(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  const uint32_t warps = blocks * threads / 32;
  const Words x = someWords(warps * 32, 5);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(warps * 6, "out");
  Arguments arguments;
  arguments.add(in).add(out);
  p.play("reduce_redux", {blocks}, {threads}, arguments);
  Words expected;
  for (uint32_t w = 0; w < warps; ++w) {
    uint32_t sum = 0, least = ~0u, all = ~0u, any = 0, odd = 0;
    int32_t most = INT32_MIN;
    for (uint32_t l = 0; l < 32; ++l) {
      const uint32_t v = x[w * 32 + l];
      sum += v, least = std::min(least, v), most = std::max(most, int32_t(v));
      all &= v, any |= v, odd ^= v;
    }
    expected.insert(expected.end(), {sum, least, uint32_t(most), all, any, odd});
  }
  p.expectSame(out, expected, "out");
}

/// Prefix sums that begin anew every `segment` values.
template <typename T> std::vector<T> prefixes(std::vector<T> x, size_t segment) {
  for (size_t i = 0; i < x.size(); ++i)
    if (i % segment != 0)
      x[i] += x[i - 1];
  return x;
}

void scanBlock(Rehearsal &p, uint32_t blocks) {
  const Words x = someWords(blocks * 128, 6);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out);
  p.play("scan_block", {blocks}, {128}, arguments);
  p.expectSame(out, prefixes(x, 128), "y");
}

void scanWarp(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t n) {
  const Words x = someWords(n, 7);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(n, "y");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("scan_warp", {blocks}, {threads}, arguments);
  p.expectSame(out, prefixes(x, 32), "y");
}

void scanLookback(Rehearsal &p, uint32_t blocks) {
  const Words x = someWords(blocks * 128, 8);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y"),
                 ticket = p.put(Words{0}, "ticket"), state = p.put(Words(blocks, 0), "state"),
                 sums = p.room<uint32_t>(blocks, "sums"),
                 known = p.room<uint32_t>(blocks, "prefixes");
  Arguments arguments;
  arguments.add(in).add(out).add(ticket).add(state).add(sums).add(known);
  p.play("scan_lookback", {blocks}, {128}, arguments);
  p.expectSame(out, prefixes(x, x.size()), "y");
}

void scanWide(Rehearsal &p, uint32_t n) {
  Draw draw(9);
  const auto x = listOf(n, [&](size_t) { return uint64_t(draw.next()) << 16 | draw.next(); });
  const uint64_t in = p.put(x, "x"), out = p.room<uint64_t>(n, "y");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("scan_u64", {1}, {128}, arguments);
  p.expectSame(out, prefixes(x, n), "y");
}

void sortBitonic(Rehearsal &p, uint32_t blocks) {
  Draw draw(10);
  auto x = listOf(blocks * 256, [&](size_t) { return draw.whole(-500, 500); });
  const uint64_t at = p.put(x, "x");
  p.play("sort_bitonic", {blocks}, {128}, Arguments().add(at));
  for (uint32_t b = 0; b < blocks; ++b)
    std::sort(x.begin() + b * 256, x.begin() + (b + 1) * 256);
  p.expectSame(at, x, "x");
}

void sortRadixPass(Rehearsal &p, uint32_t blocks, uint32_t shift) {
  const Words keys = someWords(blocks * 128, 11);
  const Words loads = listOf(keys.size(), [](size_t i) { return uint32_t(i); });
  const uint64_t in = p.put(keys, "keys"), carried = p.put(loads, "payloads"),
                 out = p.room<uint32_t>(keys.size(), "sorted"),
                 outLoads = p.room<uint32_t>(keys.size(), "carried");
  Arguments arguments;
  arguments.add(in).add(carried).add(out).add(outLoads).add(shift);
  p.play("sort_radix_pass", {blocks}, {128}, arguments);
  // Stable within each block: by block, digit, and place.
  const auto rank = [&](uint32_t i) {
    return uint64_t(i / 128) << 40 | uint64_t(keys[i] >> shift & 15) << 32 | i;
  };
  Words order = loads;
  std::sort(order.begin(), order.end(), [&](uint32_t i, uint32_t j) { return rank(i) < rank(j); });
  p.expectSame(out, listOf(keys.size(), [&](size_t i) { return keys[order[i]]; }), "sorted");
  p.expectSame(outLoads, order, "carried");
}

void warpExchange(Rehearsal &p, uint32_t blocks) {
  const Words x = someWords(blocks * 128, 12);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out);
  p.play("warp_exchange", {blocks}, {128}, arguments);
  const auto at = [&](size_t warp, size_t lane) { return x[warp * 32 + (32 - lane) % 32] * 2; };
  p.expectSame(
      out, listOf(x.size(), [&](size_t i) { return at(i / 32, i % 32) + at(i / 32, i % 32 ^ 1); }),
      "y");
}

void compactOdd(Rehearsal &p, uint32_t blocks, uint32_t n) {
  Draw draw(13);
  // Distinct and growing, so that the order within a warp shows.
  const Words x = listOf(n, [&](size_t i) { return uint32_t(i * 2 + (draw.next() >> 7 & 1)); });
  Words expected;
  std::copy_if(x.begin(), x.end(), std::back_inserter(expected), [](uint32_t v) { return v & 1; });
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(expected.size(), "out"),
                 count = p.put(Words{0}, "count");
  Arguments arguments;
  arguments.add(in).add(out).add(count).add(n);
  p.play("compact_odd", {blocks}, {128}, arguments);
  p.expectSame(count, Words{uint32_t(expected.size())}, "count");
  if (!p.good())
    return;
  // Warps come in any order; with each warp put in its place, everything must stand in its own.
  std::map<uint32_t, Words> warps;
  for (uint32_t v : p.get<uint32_t>(out, expected.size()))
    warps[v / 64].push_back(v);
  Words found;
  for (const auto &[warp, values] : warps)
    found.insert(found.end(), values.begin(), values.end());
  p.expect(found == expected, "the odd values, warp by warp");
}

void matchKeys(Rehearsal &p, uint32_t blocks) {
  Words keys = someWords(blocks * 64, 14);
  std::fill(keys.begin(), keys.begin() + 32, 11u); // one warp of the same keys
  const uint64_t in = p.put(keys, "keys"), sums = p.put(Words(8, 0), "sums"),
                 alike = p.room<uint32_t>(blocks * 2, "alike");
  Arguments arguments;
  arguments.add(in).add(sums).add(alike);
  p.play("match_keys", {blocks}, {64}, arguments);
  Words counts(8, 0), same;
  for (uint32_t key : keys)
    ++counts[key % 8];
  for (size_t w = 0; w < blocks * 2; ++w) {
    bool all = true;
    for (size_t l = 1; l < 32; ++l)
      all &= keys[w * 32 + l] % 8 == keys[w * 32] % 8;
    same.push_back(w % 2 || all ? ~0u + 1u : 0u);
  }
  p.expectSame(sums, counts, "sums");
  p.expectSame(alike, same, "alike");
}

void voteKinds(Rehearsal &p, uint32_t blocks) {
  Draw draw(15);
  Words x = listOf(blocks * 64, [&](size_t) { return uint32_t(draw.whole(0, 255)); });
  for (size_t i = 0; i < 32; ++i)
    x[i] = uint32_t(i + 101 + i % 3), x[32 + i] = 77;
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "out");
  Arguments arguments;
  arguments.add(in).add(out);
  p.play("vote_kinds", {blocks}, {64}, arguments);
  Words expected;
  for (size_t w = 0; w < x.size() / 32; ++w) {
    const uint32_t *v = &x[w * 32];
    const auto all = [&](auto test) { return std::all_of(v, v + 32, test); };
    uint32_t r = all([](uint32_t a) { return a < 200; }) ? 1 : 0, odd = 0;
    r |= all([](uint32_t a) { return a != 77; }) ? 0 : 2;
    r |=
        all([](uint32_t a) { return a > 100; }) || all([](uint32_t a) { return a <= 100; }) ? 4 : 0;
    for (uint32_t l = 0; l < 16; ++l)
      odd |= (v[l] & 1) << l;
    for (uint32_t l = 0; l < 32; ++l)
      expected.push_back(r | (l < 16 ? odd : v[l + 3 < 32 ? l + 3 : l]) << 8);
  }
  p.expectSame(out, expected, "out");
}

} // namespace

void pianola::ptx::addReductions(Repertoire &r) {
  r.file("reduce");
  r.add("reduce_tree_4", [](Rehearsal &p) { reduceTree(p, 4, 1000); });
  r.add("reduce_tree_1", [](Rehearsal &p) { reduceTree(p, 1, 256); });
  r.add("reduce_shuffle_3x128", [](Rehearsal &p) { reduceShuffle(p, 3, 128, 1001); });
  r.add("reduce_shuffle_2x1024", [](Rehearsal &p) { reduceShuffle(p, 2, 1024, 5000); });
  r.add("reduce_shuffle_5x32", [](Rehearsal &p) { reduceShuffle(p, 5, 32, 999); });
  r.add("reduce_last_block_6", [](Rehearsal &p) { reduceLastBlock(p, 6, 2500); });
  r.add("reduce_last_block_1", [](Rehearsal &p) { reduceLastBlock(p, 1, 100); });
  r.add("reduce_redux_2", [](Rehearsal &p) { reduceRedux(p, 2, 128); });
  r.file("scan");
  r.add("scan_block_3", [](Rehearsal &p) { scanBlock(p, 3); });
  r.add("scan_warp_2x96", [](Rehearsal &p) { scanWarp(p, 2, 96, 170); });
  r.add("scan_lookback_6", [](Rehearsal &p) { scanLookback(p, 6); });
  r.add("scan_lookback_40", [](Rehearsal &p) { scanLookback(p, 40); });
  r.add("scan_u64", [](Rehearsal &p) { scanWide(p, 500); });
  r.file("sort");
  r.add("sort_bitonic_2", [](Rehearsal &p) { sortBitonic(p, 2); });
  r.add("sort_radix_pass_3_0", [](Rehearsal &p) { sortRadixPass(p, 3, 0); });
  r.add("sort_radix_pass_2_28", [](Rehearsal &p) { sortRadixPass(p, 2, 28); });
  r.add("warp_exchange_2", [](Rehearsal &p) { warpExchange(p, 2); });
  r.file("votes");
  r.add("compact_odd_4", [](Rehearsal &p) { compactOdd(p, 4, 500); });
  r.add("match_keys_3", [](Rehearsal &p) { matchKeys(p, 3); });
  r.add("vote_kinds_2", [](Rehearsal &p) { voteKinds(p, 2); });
}
