// Ways through memory. All exact: floats are either moved or combined to whole multiples of 1/16.
#include "test/targets/nvptx/emulator/Rehearsal.h"

using namespace pianola::ptx;

namespace {

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

void transpose(Rehearsal &p, uint32_t rows, uint32_t columns) {
  const Floats x = listOf(rows * columns, [](size_t i) { return float(i) * 0.5f; });
  const uint64_t in = p.put(x, "x"), out = p.room<float>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(rows).add(columns);
  p.play("transpose", {(columns + 31) / 32, (rows + 31) / 32}, {32, 8}, arguments);
  p.expectSame(out, listOf(x.size(), [&](size_t i) { return x[i % rows * columns + i / rows]; }),
               "y");
}

void stencilLine(Rehearsal &p, uint32_t blocks, uint32_t n) {
  Draw draw(n);
  const Floats x = listOf(n, [&](size_t) { return float(draw.whole(-1000, 1000)); });
  const uint64_t in = p.put(x, "x"), out = p.room<float>(n, "y");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("stencil_line", {blocks}, {128}, arguments);
  const auto at = [&](size_t i) { return i < n ? x[i] : 0.0f; };
  p.expectSame(out,
               listOf(n,
                      [&](size_t i) {
                        return (at(i - 2) + 4 * at(i - 1) + 6 * at(i) + 4 * at(i + 1) + at(i + 2)) /
                               16;
                      }),
               "y");
}

void stencilSpace(Rehearsal &p, int32_t nx, int32_t ny, int32_t nz) {
  Draw draw(1);
  const auto x = listOf(nx * ny * nz, [&](size_t) { return draw.whole(-99, 99); });
  const uint64_t in = p.put(x, "x"), out = p.room<int32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(nx).add(ny).add(nz);
  const auto parts = [](int32_t n, int32_t size) { return uint32_t((n + size - 1) / size); };
  p.play("stencil_space", {parts(nx, 8), parts(ny, 4), parts(nz, 4)}, {8, 4, 4}, arguments);
  const auto at = [&](int32_t i, int32_t j, int32_t k) {
    const bool inside = i >= 0 && j >= 0 && k >= 0 && i < nx && j < ny && k < nz;
    return inside ? x[(k * ny + j) * nx + i] : 0;
  };
  p.expectSame(out,
               listOf(x.size(),
                      [&](size_t index) {
                        const int32_t i = int32_t(index) % nx, j = int32_t(index) / nx % ny,
                                      k = int32_t(index) / nx / ny;
                        return 6 * at(i, j, k) - at(i - 1, j, k) - at(i + 1, j, k) -
                               at(i, j - 1, k) - at(i, j + 1, k) - at(i, j, k - 1) -
                               at(i, j, k + 1);
                      }),
               "y");
}

void constantTable(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  const Floats weights = {0.5f,  -1.0f, 2.0f,   0.25f, 1.5f,  3.0f,   -0.75f, 4.0f,
                          -2.0f, 1.0f,  0.125f, 6.0f,  -5.0f, 0.375f, 8.0f,   -0.5f};
  const Words routes = {3, 0, 2, 1};
  Draw draw(2);
  const Floats x = listOf(blocks * threads, [&](size_t) { return draw.real(-1, 1); });
  const uint64_t in = p.put(x, "x"), out = p.room<float>(x.size(), "y"),
                 count = p.room<uint32_t>(1, "count");
  Arguments arguments;
  arguments.add(in).add(out).add(count);
  for (uint32_t times = 41; times < 43; ++times) { // the module's counter lives on between launches
    p.play("constant_table", {blocks}, {threads}, arguments);
    p.expectSame(count, Words{times}, "count");
    p.expectSame(
        out,
        listOf(x.size(),
               [&](size_t i) { return std::fma(x[i], weights[i % 16], weights[routes[i % 4]]); }),
        "y");
  }
}

void dynamicShared(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t n) {
  Draw draw(3);
  const auto x = listOf(blocks * n, [&](size_t) { return draw.real(-1, 1) / 3.0; });
  const uint64_t in = p.put(x, "x"), out = p.room<double>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("dynamic_shared", {blocks}, {threads}, arguments, n * 11);
  p.expectSame(out,
               listOf(x.size(),
                      [&](size_t i) {
                        const size_t from = (i % n * 7 + 3) % n;
                        return from % 2 ? -x[i / n * n + from] : x[i / n * n + from];
                      }),
               "y");
}

void localArray(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  Draw draw(4);
  const Words x = listOf(blocks * threads, [&](size_t) { return draw.next(); });
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  p.play("local_array", {blocks}, {threads}, Arguments().add(in).add(out));
  p.expectSame(out,
               listOf(x.size(),
                      [&](size_t i) {
                        Words a = listOf(16, [&](size_t k) { return uint32_t(k * k + i); });
                        uint32_t at = x[i];
                        for (int k = 0; k < 24; ++k) {
                          uint32_t &cell = a[at % 16];
                          at = at * 5 + cell;
                          cell ^= at >> 3;
                        }
                        for (uint32_t value : a)
                          at = at * 31 + value;
                        return at;
                      }),
               "y");
}

void copyBytes(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t from, uint32_t to,
               uint32_t n) {
  Draw draw(5);
  const auto x = listOf(from + n, [&](size_t) { return uint8_t(draw.next()); });
  std::vector<uint8_t> y(to + n + 9, 0xee);
  const uint64_t in = p.put(x, "x"), out = p.put(y, "y");
  Arguments arguments;
  arguments.add(in + from).add(out + to).add(n);
  p.play("copy_bytes", {blocks}, {threads}, arguments);
  for (uint32_t i = 0; i < n; ++i)
    y[to + i] = x[from + i];
  p.expectSame(out, y, "y");
}

} // namespace

void pianola::ptx::addMemory(Repertoire &r) {
  r.file("memory");
  r.add("transpose_70x45", [](Rehearsal &p) { transpose(p, 70, 45); });
  r.add("transpose_32x32", [](Rehearsal &p) { transpose(p, 32, 32); });
  r.add("stencil_line_3", [](Rehearsal &p) { stencilLine(p, 3, 300); });
  r.add("stencil_line_1", [](Rehearsal &p) { stencilLine(p, 1, 128); });
  r.add("stencil_space_10x9x5", [](Rehearsal &p) { stencilSpace(p, 10, 9, 5); });
  r.add("constant_table_2x48", [](Rehearsal &p) { constantTable(p, 2, 48); });
  r.add("dynamic_shared_2x64", [](Rehearsal &p) { dynamicShared(p, 2, 64, 150); });
  r.add("local_array_2x64", [](Rehearsal &p) { localArray(p, 2, 64); });
  r.add("copy_bytes_same", [](Rehearsal &p) { copyBytes(p, 2, 64, 3, 7, 1001); });
  r.add("copy_bytes_skewed", [](Rehearsal &p) { copyBytes(p, 2, 64, 1, 2, 300); });
  r.add("copy_bytes_short", [](Rehearsal &p) { copyBytes(p, 1, 32, 1, 1, 2); });
}
