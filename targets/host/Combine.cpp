//===- Combine.cpp - Joining the parts of a split attention ---------------===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

void PartEmitter::lowerCombine(tile::CombineOp op) {
  Place partials = places.lookup(op.getPartials()), statistics = places.lookup(op.getStatistics());
  Place to = place(op.getResult());
  int64_t heads = op.getHeads(), group = op.getGroup(), splits = op.getSplits();
  int64_t size = to.columns / (heads * group), stride = tile::padToLanes(2 * group);
  loop(low, high, 1, [&](Value slot) {
    loop(constant(0), constant(heads * group), 1, [&](Value query) {
      Value head = div(query, group), inGroup = rem(query, group);
      auto statistic = [&](int64_t split, int64_t which) {
        Value column = add(mul(add(head, split * heads), stride), mul(inGroup, 2));
        return load(f32(), at(row(statistics, slot), mul(add(column, which), 4)));
      };
      Value greatest = statistic(0, 0);
      for (int64_t s = 1; s < splits; ++s)
        greatest = fmax(greatest, statistic(s, 0));
      SmallVector<Value> weights;
      Value sum = real(0);
      for (int64_t s = 0; s < splits; ++s) {
        weights.push_back(exp(fsub(statistic(s, 0), greatest)));
        sum = fma(weights.back(), statistic(s, 1), sum);
      }
      Value inverse = fdiv(real(1), sum);
      loop(constant(0), constant(size), 16, [&](Value lane) {
        Value column = add(mul(query, size), lane);
        Value total = real(vector(f32()), 0);
        for (int64_t s = 0; s < splits; ++s)
          total = fma(splat(weights[s]),
                      lanes(partials, slot, add(column, s * heads * group * size)), total);
        setLanes(fmul(total, splat(inverse)), to, slot, column);
      });
    });
  });
}

} // namespace pianola::host
