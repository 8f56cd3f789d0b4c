// Products of four warps.
#include "test/targets/nvptx/emulator/WholeProduct.h"

using namespace pianola::ptx;

namespace {

/// d = sign (a b) + first, at each place of a thread's part: `first(i)`.
template <typename D, typename A, typename B, typename First>
void product(Rehearsal &p, const char *kernel, const WholeProduct &product, const std::vector<A> &a,
             const std::vector<B> &b, int sign, First first) {
  const uint64_t atA = p.put(a, "a"), atB = p.put(b, "b"),
                 d = p.room<D>(product.m * product.n, "d");
  p.play(kernel, {1}, {128}, Arguments().add(atA).add(atB).add(d));
  p.expectSame(d,
               listOf(product.m * product.n,
                      [&](size_t i) {
                        const size_t row = i / product.n, column = i % product.n;
                        return D(sign * product.at(row, column) +
                                 first(column / 8 * 4 + row % 16 / 8 * 2 + column % 2));
                      }),
               "d");
}

int nothing(size_t) { return 0; }

std::vector<uint8_t> eights(const std::vector<int> &values) {
  return listOf(values.size(), [&](size_t i) { return uint8_t(E4M3.encode(values[i])); });
}

void ring(Rehearsal &p, uint32_t tiles) {
  const WholeProduct whole(64, 8, 16 * tiles);
  const std::vector<uint16_t> a = halves(whole.a), b = halves(whole.columnsOfB());
  std::vector<uint16_t> tilesOfA, tilesOfB;
  // Blocks of eight rows by eight numbers: first along k, then along the rows.
  for (uint32_t tile = 0; tile < tiles; ++tile) {
    for (size_t i = 0; i < 64 * 16; ++i)
      tilesOfA.push_back(
          a[(i / 128 * 8 + i / 8 % 8) * whole.k + tile * 16 + i / 64 % 2 * 8 + i % 8]);
    for (size_t i = 0; i < 8 * 16; ++i)
      tilesOfB.push_back(b[i / 8 % 8 * whole.k + tile * 16 + i / 64 * 8 + i % 8]);
  }
  const uint64_t atA = p.put(tilesOfA, "a"), atB = p.put(tilesOfB, "b"),
                 d = p.room<float>(512, "d");
  p.play("wgmma_ring", {1}, {128}, Arguments().add(atA).add(atB).add(d).add(tiles));
  p.expectSame(d, listOf(512, [&](size_t i) { return float(whole.at(i / 8, i % 8)); }), "d");
}

} // namespace

void pianola::ptx::addWarpgroups(Repertoire &r) {
  r.file("wgmma");
  r.add("wgmma_swizzled", [](Rehearsal &p) {
    const WholeProduct whole(64, 32, 64);
    product<float>(p, "wgmma_swizzled", whole, brains(whole.a), brains(whole.columnsOfB()), 1,
                   nothing);
  });
  r.add("wgmma_registers", [](Rehearsal &p) {
    const WholeProduct whole(64, 64, 16);
    product<float>(p, "wgmma_registers", whole, halves(whole.a), halves(whole.b), -1, nothing);
  });
  r.add("wgmma_bytes", [](Rehearsal &p) {
    const WholeProduct whole(64, 16, 32);
    product<int32_t>(p, "wgmma_bytes", whole, as<int8_t>(whole.a), as<int8_t>(whole.columnsOfB()),
                     1, nothing);
  });
  r.add("wgmma_eights", [](Rehearsal &p) {
    const WholeProduct whole(64, 16, 32);
    product<float>(p, "wgmma_eights", whole, eights(whole.a), eights(whole.columnsOfB()), 1,
                   [](size_t i) { return int(i) + 1; });
  });
  r.add("wgmma_ring_5", [](Rehearsal &p) { ring(p, 5); });
}
