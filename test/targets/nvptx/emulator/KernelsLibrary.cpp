// What libraries make: barriers, pipelines and groups of CUDA C++, and matrices by <mma.h>.
#include "test/targets/nvptx/emulator/Rehearsal.h"
#include "test/targets/nvptx/emulator/WholeProduct.h"

#include <algorithm>
#include <numeric>

using namespace pianola::ptx;

namespace {

using Words = std::vector<uint32_t>;

Words someWords(size_t n, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.next(); });
}

void barrier(Rehearsal &p) {
  const uint64_t out = p.room<uint32_t>(256, "y");
  p.play("library_barrier", {2}, {128}, Arguments().add(out));
  p.expectSame(out, listOf(256, [](size_t i) { return uint32_t((i + 37) % 128 * 15); }), "y");
}

/// Rows of 128 words, reversed.
void reversedRows(Rehearsal &p, const char *kernel, uint32_t rows, uint32_t threads) {
  const Words x = someWords(rows * 128, rows);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  p.play(kernel, {1}, {threads}, Arguments().add(in).add(out));
  p.expectSame(out, listOf(x.size(), [&](size_t i) { return x[i / 128 * 128 + 127 - i % 128]; }),
               "y");
}

void orders(Rehearsal &p) {
  const uint64_t counter = p.put(Words{0}, "p"), bytes = p.put(Words{0}, "y");
  p.play("library_orders", {3}, {60}, Arguments().add(counter).add(bytes));
  p.expectSame(counter, Words{180 * 8}, "p");
  p.expectSame(bytes, Words{60 | 60 << 8 | 60 << 16}, "y");
}

void semaphore(Rehearsal &p) {
  const uint64_t out = p.room<uint32_t>(128, "y");
  p.play("library_semaphore", {2}, {64}, Arguments().add(out));
  p.expectSame(out, Words(128, 63 * 32), "y");
}

void latch(Rehearsal &p) {
  const uint64_t out = p.room<uint32_t>(128, "y");
  p.play("library_latch", {2}, {64}, Arguments().add(out));
  p.expectSame(out, listOf(128, [](size_t i) { return uint32_t(63 - i % 64); }), "y");
}

void groups(Rehearsal &p) {
  Words before(129, 0);
  const uint64_t out = p.put(before, "y");
  p.play("library_groups", {1}, {128}, Arguments().add(out));
  before = listOf(129, [](size_t i) {
    if (i == 128)
      return uint32_t(43);
    const size_t lane = i % 32, first = i / 32 * 32;
    size_t sum = 16 * (i / 16 * 16) + 120 + (i | 3) + lane * (lane - 1) / 2 * 3 + i % 16 + 1;
    for (size_t other = first; other < first + 32; ++other)
      sum += (other % 5 == 0) == (i % 5 == 0) ? other : 0;
    return uint32_t(sum);
  });
  p.expectSame(out, before, "y");
}

void grid(Rehearsal &p) {
  const uint64_t a = p.room<uint32_t>(384, "a"), out = p.room<uint32_t>(384, "y");
  p.play("library_grid", {4}, {96}, Arguments().add(a).add(out), 0, true);
  p.expectSame(out, listOf(384, [](size_t i) { return uint32_t((383 - i + 99) % 384); }), "y");
}

void sort(Rehearsal &p) {
  Words x = someWords(512, 3);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(512, "y");
  p.play("library_sort", {1}, {128}, Arguments().add(in).add(out));
  std::sort(x.begin(), x.end());
  std::partial_sum(x.begin(), x.end(), x.begin());
  p.expectSame(out, x, "y");
}

/// 2 (a b + c)
template <typename In, typename Sum, typename ToSum>
void fragment(Rehearsal &p, const char *kernel, const WholeProduct &product,
              const std::vector<In> &a, const std::vector<In> &b, ToSum toSum,
              bool byColumns = false) {
  const std::vector<Sum> c = toSum(product.c);
  const uint64_t atA = p.put(a, "a"), atB = p.put(b, "b"), atC = p.put(c, "c"),
                 atD = p.room<Sum>(c.size(), "d");
  p.play(kernel, {1}, {32}, Arguments().add(atA).add(atB).add(atC).add(atD));
  p.expectSame(atD,
               toSum(listOf(c.size(),
                            [&](size_t i) {
                              const size_t row = byColumns ? i % product.m : i / product.n,
                                           column = byColumns ? i / product.m : i % product.n;
                              return 2 * (product.at(row, column) +
                                          product.c[row * product.n + column]);
                            })),
               "d");
}

void wmmaTiles(Rehearsal &p, size_t k) {
  const WholeProduct product(32, 32, k);
  const uint64_t a = p.put(halves(product.a), "a"), b = p.put(halves(product.b), "b"),
                 c = p.room<float>(1024, "c");
  p.play("wmma_tiles", {1}, {128}, Arguments().add(a).add(b).add(c).add(int32_t(k)));
  p.expectSame(c, listOf(1024, [&](size_t i) { return float(product.at(i / 32, i % 32)); }), "c");
}

/// A row of A and a column of B lie in four lanes that follow each other; of D each lane has two
/// neighbours of a row.
void mmaF64(Rehearsal &p) {
  const WholeProduct product(8, 8, 4);
  const uint64_t a = p.put(as<double>(product.a), "a"),
                 b = p.put(as<double>(product.columnsOfB()), "b"), d = p.room<double>(64, "d");
  p.play("mma_f64", {1}, {32}, Arguments().add(a).add(b).add(d));
  p.expectSame(
      d, listOf(64, [&](size_t i) { return double(product.at(i / 8, i % 8) + 1 + int(i % 2)); }),
      "d");
}

void mmaEightRows(Rehearsal &p) {
  const WholeProduct product(8, 8, 16);
  const uint64_t a = p.put(as<int8_t>(product.a), "a"),
                 b = p.put(as<int8_t>(product.columnsOfB()), "b"), d = p.room<int32_t>(64, "d");
  p.play("mma_eight_rows", {1}, {32}, Arguments().add(a).add(b).add(d));
  p.expectSame(d, listOf(64, [&](size_t i) { return product.at(i / 8, i % 8) + 3 + int(i % 2); }),
               "d");
}

void mmaNibbles(Rehearsal &p) {
  const WholeProduct product(16, 8, 32);
  const auto packed = [](const std::vector<int> &values, size_t first) {
    uint32_t word = 0;
    for (size_t i = 0; i < 8; ++i)
      word |= (uint32_t(values[first + i]) & 15) << (4 * i);
    return word;
  };
  const std::vector<int> columns = product.columnsOfB();
  const uint64_t a = p.put(listOf(64,
                                  [&](size_t i) {
                                    const size_t lane = i / 2, row = lane / 4 + 8 * (i % 2);
                                    return packed(product.a, row * 32 + lane % 4 * 8);
                                  }),
                           "a"),
                 b = p.put(listOf(32, [&](size_t lane) { return packed(columns, lane * 8); }), "b"),
                 d = p.room<int32_t>(128, "d");
  p.play("mma_nibbles", {1}, {32}, Arguments().add(a).add(b).add(d));
  p.expectSame(d,
               listOf(128,
                      [&](size_t i) {
                        const size_t lane = i / 4, e = i % 4;
                        return product.at(lane / 4 + e / 2 * 8, lane % 4 * 2 + e % 2) + int(e);
                      }),
               "d");
}

void matrixTurned(Rehearsal &p) {
  const auto x = listOf(64, [](size_t i) { return uint16_t(i * 3 + 1); });
  const uint64_t in = p.put(x, "x"), out = p.room<uint16_t>(64, "y");
  p.play("matrix_turned", {1}, {32}, Arguments().add(in).add(out));
  p.expectSame(out, listOf(64, [&](size_t i) { return x[i % 8 * 8 + i / 8]; }), "y");
}

} // namespace

void pianola::ptx::addLibraries(Repertoire &r) {
  r.file("library");
  r.add("library_barrier", barrier);
  r.add("library_pipeline", [](Rehearsal &p) { reversedRows(p, "library_pipeline", 8, 128); });
  r.add("library_roles", [](Rehearsal &p) { reversedRows(p, "library_roles", 9, 128); });
  r.add("library_orders", orders);
  r.add("library_semaphore", semaphore);
  r.add("library_latch", latch);
  r.add("library_groups", groups);
  r.add("library_grid", grid);
  r.add("library_sort", sort);
  r.file("wmma");
  r.add("wmma_f16", [](Rehearsal &p) {
    const WholeProduct product(16, 16, 16);
    fragment<uint16_t, float>(p, "wmma_f16", product, halves(product.a),
                              halves(product.columnsOfB()), as<float>);
  });
  r.add("wmma_tall", [](Rehearsal &p) {
    const WholeProduct product(32, 8, 16);
    fragment<uint16_t, float>(p, "wmma_tall", product, halves(product.a), halves(product.b),
                              as<float>, true);
  });
  r.add("wmma_half", [](Rehearsal &p) {
    const WholeProduct product(8, 32, 16);
    fragment<uint16_t, uint16_t>(p, "wmma_half", product, halves(product.a), halves(product.b),
                                 halves);
  });
  r.add("wmma_bf16", [](Rehearsal &p) {
    const WholeProduct product(16, 16, 16);
    fragment<uint16_t, float>(p, "wmma_bf16", product, brains(product.a), brains(product.b),
                              as<float>);
  });
  r.add("wmma_s8", [](Rehearsal &p) {
    const WholeProduct product(16, 16, 16);
    fragment<int8_t, int32_t>(p, "wmma_s8", product, as<int8_t>(product.a),
                              as<int8_t>(product.columnsOfB()), as<int32_t>);
  });
  r.add("wmma_f64", [](Rehearsal &p) {
    const WholeProduct product(8, 8, 4);
    fragment<double, double>(p, "wmma_f64", product, as<double>(product.a),
                             as<double>(product.columnsOfB()), as<double>);
  });
  r.add("wmma_tiles_48", [](Rehearsal &p) { wmmaTiles(p, 48); });
  r.add("mma_f64", mmaF64);
  r.add("mma_eight_rows", mmaEightRows);
  r.add("mma_nibbles", mmaNibbles);
  r.add("matrix_turned", matrixTurned);
}
