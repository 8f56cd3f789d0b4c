// Atomic operations: integers, floats whose sums are whole numbers and so exact in any order, a
// histogram.
#include "test/targets/nvptx/emulator/Rehearsal.h"
#include "test/targets/nvptx/emulator/SmallFloat.h"

#include <algorithm>

using namespace pianola::ptx;

namespace {

using Words = std::vector<uint32_t>;
using Wides = std::vector<uint64_t>;

void atomicsInteger(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t n) {
  Draw draw(n);
  const Words x = listOf(n, [&](size_t) { return draw.next(); });
  Words cells{0, ~0u, 0, 0x7fffffff, 0x80000000, ~0u, 0, 0, 0, 0, 100};
  Wides wide{1, 2, 3};
  const uint64_t in = p.put(x, "x"), atCells = p.put(cells, "cells"), atWide = p.put(wide, "wide");
  Arguments arguments;
  arguments.add(in).add(atCells).add(atWide).add(n);
  p.play("atomics_integer", {blocks}, {threads}, arguments);
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t v = x[i];
    cells[0] += v;
    cells[1] = std::min(cells[1], v), cells[2] = std::max(cells[2], v);
    cells[3] = uint32_t(std::min(int32_t(cells[3]), int32_t(v)));
    cells[4] = uint32_t(std::max(int32_t(cells[4]), int32_t(v)));
    cells[5] &= v | 0xff, cells[6] |= v & 0xf0f0, cells[7] ^= v;
    cells[10] -= v & 15;
    wide[0] += uint64_t(v) << 20, wide[1] = std::max(wide[1], uint64_t(v) * v);
    wide[2] ^= uint64_t(v) << (i % 32);
  }
  cells[8] = n % 13, cells[9] = (11 - n % 11) % 11;
  p.expectSame(atCells, cells, "cells");
  p.expectSame(atWide, wide, "wide");
}

void atomicsTicket(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  const uint32_t n = blocks * threads;
  const uint64_t next = p.put(Words{0}, "next"), owners = p.put(Words(n, 0), "owners");
  p.play("atomics_ticket", {blocks}, {threads}, Arguments().add(next).add(owners));
  p.expectSame(next, Words{n}, "next");
  if (!p.good())
    return;
  Words found = p.get<uint32_t>(owners, n);
  std::sort(found.begin(), found.end());
  p.expect(found == listOf(n, [](size_t i) { return uint32_t(i + 1); }),
           "every thread has one number");
}

void atomicsFloat(Rehearsal &p, uint32_t blocks) {
  const uint32_t n = blocks * 64;
  Draw draw(n);
  const auto x = listOf(n, [&](size_t) { return float(draw.whole(-4, 4)); });
  float sum = 3;
  double wide = -1;
  std::vector<double> halves(32, 0.0), brains(64, 0.0);
  for (uint32_t i = 0; i < n; ++i) {
    sum += x[i], wide += x[i] * 0.25;
    halves[i % 16 * 2] += x[i], halves[i % 16 * 2 + 1] -= 1;
    brains[i % 32 * 2] += 1, brains[i % 32 * 2 + 1] += x[i];
  }
  const uint64_t in = p.put(x, "x"), atSum = p.put(std::vector<float>{3}, "sum"),
                 atWide = p.put(std::vector<double>{-1}, "wide"),
                 atMost = p.put(std::vector<float>{-INFINITY}, "most"),
                 atHalves = p.put(std::vector<uint16_t>(32, 0), "halves"),
                 atBrains = p.put(std::vector<uint16_t>(64, 0), "brains");
  Arguments arguments;
  arguments.add(in).add(atSum).add(atWide).add(atMost).add(atHalves).add(atBrains);
  p.play("atomics_float", {blocks}, {64}, arguments);
  p.expectSame(atSum, std::vector<float>{sum}, "sum");
  p.expectSame(atWide, std::vector<double>{wide}, "wide");
  p.expectSame(atMost, std::vector<float>{*std::max_element(x.begin(), x.end())}, "most");
  p.expectSame(atHalves, listOf(32, [&](size_t i) { return Half.of(halves[i]); }), "halves");
  p.expectSame(atBrains, listOf(64, [&](size_t i) { return Brain.of(brains[i]); }), "brains");
}

void histogram(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t n) {
  Draw draw(n);
  // Most values are alike, so that lanes meet in one bin.
  const auto x =
      listOf(n, [&](size_t) { return uint8_t(draw.next() % 3 == 0 ? draw.whole(0, 255) : 77); });
  Words bins(64, 5);
  const uint64_t in = p.put(x, "x"), out = p.put(bins, "bins");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("histogram", {blocks}, {threads}, arguments);
  for (uint8_t v : x)
    ++bins[v >> 2];
  p.expectSame(out, bins, "bins");
}

} // namespace

void pianola::ptx::addAtomics(Repertoire &r) {
  r.file("atomics");
  r.add("atomics_integer_3x64", [](Rehearsal &p) { atomicsInteger(p, 3, 64, 190); });
  r.add("atomics_ticket_2x64", [](Rehearsal &p) { atomicsTicket(p, 2, 64); });
  r.add("atomics_float_3", [](Rehearsal &p) { atomicsFloat(p, 3); });
  r.add("histogram_3x96", [](Rehearsal &p) { histogram(p, 3, 96, 1000); });
  r.add("histogram_1x64", [](Rehearsal &p) { histogram(p, 1, 64, 10); });
}
