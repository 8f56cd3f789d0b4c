// Asynchronous copies, mbarriers, and the small player of tapes. All exact.
#include "test/targets/nvptx/emulator/Rehearsal.h"

using namespace pianola::ptx;

namespace {

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

Words someWords(size_t n, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.next(); });
}

void copyStages(Rehearsal &p, uint32_t blocks, uint32_t tiles) {
  Draw draw(tiles);
  const Floats x = listOf(blocks * tiles * 256, [&](size_t) { return draw.real(-1, 1); });
  const uint64_t in = p.put(x, "x"), out = p.room<float>(blocks * 256, "y");
  Arguments arguments;
  arguments.add(in).add(out).add(tiles);
  p.play("copy_stages", {blocks}, {64}, arguments);
  p.expectSame(out,
               listOf(blocks * 256,
                      [&](size_t i) {
                        float sum = 0;
                        for (size_t t = 0; t < tiles; ++t) // four floats a thread, of its neighbour
                          sum += x[(i / 256 * tiles + t) * 256 + (i + 4) % 256];
                        return sum;
                      }),
               "y");
}

void copyTail(Rehearsal &p, uint32_t blocks, uint32_t n) {
  const Words x = someWords(n, 1);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(blocks * 128, "y");
  Arguments arguments;
  arguments.add(in).add(out).add(n);
  p.play("copy_tail", {blocks}, {128}, arguments);
  p.expectSame(out,
               listOf(blocks * 128,
                      [&](size_t i) {
                        const size_t from = i / 128 * 128 + 127 - i % 128;
                        return from < n ? x[from] : 0u;
                      }),
               "y");
}

void copyBarrier(Rehearsal &p, uint32_t blocks, uint32_t tiles) {
  const Words x = someWords(blocks * tiles * 256, 2);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(tiles);
  p.play("copy_barrier", {blocks}, {64}, arguments);
  p.expectSame(
      out,
      listOf(x.size(), [&](size_t i) { return x[i / 256 * 256 + (63 - i / 4 % 64) * 4 + i % 4]; }),
      "y");
}

void bulkRing(Rehearsal &p, uint32_t blocks, uint32_t tiles) {
  const Words x = someWords(blocks * tiles * 256, 3);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(blocks * 256, "y");
  Arguments arguments;
  arguments.add(in).add(out).add(tiles);
  p.play("bulk_ring", {blocks}, {160}, arguments);
  Words expected;
  for (uint32_t b = 0; b < blocks; ++b)
    for (uint32_t c = 0; c < 128; ++c) {
      uint32_t sum = 0, mix = 0;
      for (uint32_t i = 0; i < tiles; ++i) {
        const uint32_t *tile = &x[(b * tiles + i) * 256];
        sum += tile[c] * (i + 1), mix ^= tile[255 - c];
      }
      expected.insert(expected.end(), {sum, mix});
    }
  p.expectSame(out, expected, "y");
}

void bulkStore(Rehearsal &p, uint32_t blocks, uint32_t tiles) {
  const uint64_t out = p.room<uint32_t>(blocks * tiles * 128, "y");
  p.play("bulk_store", {blocks}, {128}, Arguments().add(out).add(tiles));
  p.expectSame(
      out,
      listOf(blocks * tiles * 128, [](size_t i) { return uint32_t(i / 128 * 1000 + i % 128); }),
      "y");
}

void bulkInPlace(Rehearsal &p, uint32_t blocks, uint32_t tiles) {
  Draw draw(4);
  const Floats x = listOf(blocks * tiles * 256, [&](size_t) { return draw.real(-1, 1); });
  const uint64_t in = p.put(x, "x"), out = p.room<float>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(tiles);
  p.play("bulk_in_place", {blocks}, {128}, arguments);
  p.expectSame(
      out,
      listOf(x.size(),
             [&](size_t i) { return i % 256 < 128 ? x[i] + x[i + 128] : x[i - 128] - x[i]; }),
      "y");
}

void relayBulk(Rehearsal &p, uint32_t blocks) {
  const Words x = someWords(blocks * 128, 5);
  const uint64_t in = p.put(x, "x"), middle = p.room<uint32_t>(x.size(), "middle"),
                 events = p.put(Words(blocks, 0), "events"), out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(middle).add(events).add(out);
  p.play("relay_bulk", {blocks}, {128}, arguments, 0, true);
  p.expectSame(out,
               listOf(x.size(),
                      [&](size_t i) {
                        const uint32_t next = uint32_t(i / 128 + 1) % blocks;
                        const auto tile = [&](size_t j) {
                          return x[next * 128 + j % 128] * 7 + next;
                        };
                        return tile(i % 128 + 5) + tile(i % 128);
                      }),
               "y");
}

void mbarrierHalves(Rehearsal &p, uint32_t blocks, uint32_t rounds) {
  const Words x = someWords(blocks * rounds * 64, 6);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(rounds);
  p.play("mbarrier_halves", {blocks}, {128}, arguments);
  p.expectSame(out,
               listOf(x.size(),
                      [&](size_t i) {
                        return x[i / 64 * 64 + 63 - i % 64] * 3 + uint32_t(i / 64 % rounds);
                      }),
               "y");
}

void mbarrierState(Rehearsal &p, uint32_t blocks) {
  const Words x = someWords(blocks * 128, 7);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out);
  p.play("mbarrier_state", {blocks}, {128}, arguments);
  p.expectSame(out,
               listOf(x.size(),
                      [&](size_t i) {
                        uint32_t sum = uint32_t(i % 128);
                        for (size_t t = 0; t < 128; ++t)
                          sum += x[i / 128 * 128 + t] * uint32_t(t / 32 + 1);
                        return sum;
                      }),
               "y");
}

// As the kernel lays it out.
struct Record {
  uint32_t source, target, awaits, until, signals, halve, unused[2];
  float weights[4][64];
};

void tapePlayer(Rehearsal &p, uint32_t blocks) {
  constexpr uint32_t Layers = 3, Width = 64;
  Draw draw(8);
  std::vector<std::vector<Record>> tapes(blocks);
  Floats activations(Width * (Layers + 1), 0.0f);
  for (uint32_t i = 0; i < Width; ++i)
    activations[i] = draw.real(-1, 1);
  const Floats input(activations.begin(), activations.begin() + Width);
  for (uint32_t layer = 0; layer < Layers; ++layer)
    for (uint32_t part = 0; part < Width / 4; ++part) {
      Record record{layer * Width,
                    (layer + 1) * Width + part * 4,
                    layer ? layer - 1 : ~0u,
                    Width / 4,
                    layer,
                    layer + 1 < Layers,
                    {0, 0},
                    {}};
      for (uint32_t row = 0; row < 4; ++row) {
        for (float &weight : record.weights[row])
          weight = draw.real(-1, 1);
        Floats lanes(32);
        for (uint32_t l = 0; l < 32; ++l) {
          const float *w = record.weights[row], *x = &activations[record.source];
          lanes[l] = std::fma(w[l + 32], x[l + 32], w[l] * x[l]);
        }
        for (uint32_t d = 16; d > 0; d /= 2)
          for (uint32_t l = 0; l < d; ++l)
            lanes[l] += lanes[l + d]; // every lane of the butterfly has this sum
        activations[record.target + row] =
            record.halve ? std::fmax(lanes[0], 0.0f) * 0.5f : lanes[0];
      }
      tapes[(layer * 5 + part) % blocks].push_back(record);
    }
  std::vector<uint8_t> tape;
  Words begins{0};
  for (const auto &records : tapes) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(records.data());
    tape.insert(tape.end(), bytes, bytes + records.size() * sizeof(Record));
    begins.push_back(begins.back() + uint32_t(records.size()));
  }
  const uint64_t atTape = p.put(tape, "tape"), atBegins = p.put(begins, "begins"),
                 at = p.room<float>(activations.size(), "activations"),
                 events = p.put(Words(Layers, 0), "events");
  p.write(at, input);
  Arguments arguments;
  arguments.add(atTape).add(atBegins).add(at).add(events);
  p.play("tape_player", {blocks}, {160}, arguments, 3 * sizeof(Record), true);
  p.expectSame(at, activations, "activations");
}

} // namespace

void pianola::ptx::addCopies(Repertoire &r) {
  r.file("copy_async");
  r.add("copy_stages_2x9", [](Rehearsal &p) { copyStages(p, 2, 9); });
  r.add("copy_stages_1x2", [](Rehearsal &p) { copyStages(p, 1, 2); });
  r.add("copy_tail_3", [](Rehearsal &p) { copyTail(p, 3, 300); });
  r.add("copy_barrier_2x5", [](Rehearsal &p) { copyBarrier(p, 2, 5); });
  r.file("bulk");
  r.add("bulk_ring_2x21", [](Rehearsal &p) { bulkRing(p, 2, 21); });
  r.add("bulk_ring_1x3", [](Rehearsal &p) { bulkRing(p, 1, 3); });
  r.add("bulk_store_2x7", [](Rehearsal &p) { bulkStore(p, 2, 7); });
  r.add("bulk_in_place_2x5", [](Rehearsal &p) { bulkInPlace(p, 2, 5); });
  r.file("relay");
  r.add("relay_bulk_4", [](Rehearsal &p) { relayBulk(p, 4); });
  r.file("mbarrier");
  r.add("mbarrier_halves_2x9", [](Rehearsal &p) { mbarrierHalves(p, 2, 9); });
  r.add("mbarrier_state_3", [](Rehearsal &p) { mbarrierState(p, 3); });
  r.file("tape");
  r.add("tape_player_3", [](Rehearsal &p) { tapePlayer(p, 3); });
  r.add("tape_player_1", [](Rehearsal &p) { tapePlayer(p, 1); });
}
