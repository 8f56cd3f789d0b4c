// Locks, stacks, queues and flags as people write them, and kernels that stay.
#include "test/targets/nvptx/emulator/Rehearsal.h"

#include <cstddef>

using namespace pianola::ptx;

namespace {

using Words = std::vector<uint32_t>;

Words someWords(size_t n, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.next(); });
}

void fenceThenBarrier(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  const uint64_t counter = p.put(Words{0}, "counter"),
                 parts = p.room<uint32_t>(blocks * threads, "parts"),
                 sums = p.room<uint32_t>(threads, "sums");
  Arguments arguments;
  arguments.add(counter).add(parts).add(sums);
  p.play("fence_then_barrier", {blocks}, {threads}, arguments);
  p.expectSame(
      sums,
      listOf(threads,
             [&](size_t t) { return blocks * (blocks - 1) / 2 * 3 + blocks * uint32_t(t); }),
      "sums");
}

/// Block 0 hands a word to all others.
void handedOn(Rehearsal &p, const char *kernel, uint32_t word) {
  const uint64_t data = p.room<uint32_t>(1, "data"), flag = p.put(Words{0}, "flag"),
                 out = p.put(Words(4, word), "y");
  Arguments arguments;
  arguments.add(data).add(flag).add(out);
  p.play(kernel, {4}, {32}, arguments, 0, true);
  p.expectSame(out, Words(4, word), "y");
}

void lanesTellLane(Rehearsal &p) {
  const uint64_t out = p.room<uint32_t>(32, "y");
  p.play("lanes_tell_lane", {1}, {32}, Arguments().add(out));
  p.expectSame(out, Words(32, 7), "y");
}

void lanesMeetInBranches(Rehearsal &p) {
  const uint64_t out = p.room<uint32_t>(32, "y");
  p.play("lanes_meet_in_branches", {1}, {32}, Arguments().add(out));
  p.expectSame(out,
               listOf(32, [](size_t t) { return uint32_t(t < 16 ? (t + 16) * 2 : t - 16 + 1000); }),
               "y");
}

void ticketLock(Rehearsal &p, uint32_t blocks) {
  const uint64_t lock = p.put(Words{0, 0}, "lock"), sum = p.put(Words{0}, "sum");
  p.play("ticket_lock", {blocks}, {32}, Arguments().add(lock).add(sum), 0, true);
  p.expectSame(sum, Words{(1u << blocks) - 1}, "sum");
}

void treiberStack(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  const uint32_t n = blocks * threads;
  const uint64_t head = p.put(std::vector<uint64_t>{0}, "head"),
                 nodes = p.room<uint64_t>(n, "nodes"), sum = p.put(Words{0}, "sum");
  p.play("treiber_stack", {blocks}, {threads}, Arguments().add(head).add(nodes).add(sum), 0, true);
  p.expectSame(sum, Words{n * (n + 1) / 2}, "sum");
}

void seqlock(Rehearsal &p) {
  const uint64_t sequence = p.put(Words{0}, "sequence"), pair = p.put(Words{0, 0}, "pair"),
                 out = p.room<uint32_t>(4, "y");
  p.play("seqlock", {4}, {32}, Arguments().add(sequence).add(pair).add(out), 0, true);
  p.expectSame(out, Words(4, 0), "y");
}

void filledOnce(Rehearsal &p) {
  const uint64_t state = p.put(Words{0}, "state"), table = p.room<uint32_t>(8, "table"),
                 out = p.room<uint32_t>(256, "y");
  p.play("filled_once", {4}, {64}, Arguments().add(state).add(table).add(out), 0, true);
  p.expectSame(out, listOf(256, [](size_t i) { return uint32_t(i % 8 * (i % 8)); }), "y");
}

void workQueue(Rehearsal &p, uint32_t blocks, uint32_t items) {
  const Words x = someWords(items, 3);
  const uint64_t ticket = p.put(Words{0}, "ticket"), in = p.put(x, "x"),
                 out = p.room<uint32_t>(items * 64, "y");
  p.play("work_queue", {blocks}, {64}, Arguments().add(ticket).add(items).add(in).add(out));
  p.expectSame(out, listOf(items * 64, [&](size_t i) { return x[i / 64] * uint32_t(i % 64); }),
               "y");
}

void lamportQueue(Rehearsal &p) {
  const uint64_t slots = p.room<uint32_t>(8, "slots"), written = p.put(Words{0}, "written"),
                 read = p.put(Words{0}, "read"), out = p.room<uint32_t>(40, "y");
  p.play("lamport_queue", {2}, {32}, Arguments().add(slots).add(written).add(read).add(out), 0,
         true);
  p.expectSame(out, listOf(40, [](size_t i) { return uint32_t(i * 5); }), "y");
}

void patientLoops(Rehearsal &p) {
  const uint64_t never = p.put(Words{0}, "never"), out = p.room<uint32_t>(64, "y");
  p.play("patient_loops", {1}, {64}, Arguments().add(never).add(out));
  p.expectSame(out, Words(64, 4000), "y");
}

void vectorRows(Rehearsal &p, uint32_t rows, uint32_t n) {
  const Words x = someWords(rows * n, 4);
  const uint64_t in = p.put(x, "x"), middle = p.room<uint32_t>(rows * 8, "rows"),
                 out = p.room<uint32_t>(rows, "y");
  p.play("vector_rows", {rows}, {32}, Arguments().add(in).add(middle).add(out).add(n));
  p.expectSame(out,
               listOf(rows,
                      [&](size_t row) {
                        uint32_t sum = 0;
                        for (uint32_t i = 0; i < n; ++i)
                          sum += (x[row * n + i] + 1) * (i < n / 4 * 4 ? i % 4 + 1 : 1);
                        return sum;
                      }),
               "y");
}

void layers(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t count, uint32_t tokens) {
  const uint32_t n = blocks * threads;
  // The first token reads the last layer, which the host fills.
  Words values = someWords(count * n, 5);
  const uint64_t at = p.room<uint32_t>(count * n, "values"),
                 events = p.put(Words(count, 0), "events");
  p.write(at + uint64_t(count - 1) * n * 4, Words(values.end() - n, values.end()));
  p.play("layers", {blocks}, {threads}, Arguments().add(at).add(events).add(count).add(tokens), 0,
         true);
  for (uint32_t token = 0; token < tokens; ++token)
    for (uint32_t layer = 0; layer < count; ++layer) {
      const uint32_t *in = values.data() + (layer ? layer - 1 : count - 1) * n;
      Words fresh =
          listOf(n, [&](size_t i) { return in[(i + 1) % n] * 3 + in[(i + n - 5) % n] + layer; });
      std::copy(fresh.begin(), fresh.end(), values.begin() + layer * n);
    }
  p.expectSame(at, values, "values");
}

void ringOfItems(Rehearsal &p, uint32_t blocks, uint32_t items, uint32_t tiles) {
  const Words x = someWords(blocks * items * tiles * 128, 6);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(blocks * items * 128, "y");
  p.play("ring_of_items", {blocks}, {256}, Arguments().add(in).add(out).add(items).add(tiles));
  p.expectSame(out,
               listOf(blocks * items * 128,
                      [&](size_t i) {
                        const size_t t = i % 128;
                        uint32_t sum = 0;
                        for (uint32_t tile = 0; tile < tiles; ++tile) {
                          const uint32_t *row = x.data() + (i / 128 * tiles + tile) * 128;
                          sum += row[127 - t] * (tile + 1);
                          if (t % 2)
                            sum ^= row[t ^ 64];
                        }
                        return sum;
                      }),
               "y");
}

void expectedLate(Rehearsal &p) {
  const Words x = someWords(384, 7);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(384, "y");
  p.play("expected_late", {3}, {128}, Arguments().add(in).add(out));
  p.expectSame(out, listOf(384, [&](size_t i) { return x[i / 128 * 128 + 127 - i % 128]; }), "y");
}

void placeOfMbarrier(Rehearsal &p) {
  const uint64_t out = p.room<uint32_t>(256, "y");
  p.play("place_of_mbarrier", {2}, {128}, Arguments().add(out));
  p.expectSame(
      out, listOf(256, [](size_t i) { return uint32_t((127 - i % 128) * 7 + (i % 2 + 1) * 7); }),
      "y");
}

void relayStore(Rehearsal &p, uint32_t blocks) {
  const Words x = someWords(blocks * 128, 8);
  const uint64_t in = p.put(x, "x"), middle = p.room<uint32_t>(x.size(), "middle"),
                 events = p.put(Words(blocks, 0), "events"), out = p.room<uint32_t>(x.size(), "y");
  p.play("relay_store", {blocks}, {128}, Arguments().add(in).add(middle).add(events).add(out), 0,
         true);
  const auto passed = [&](size_t b, size_t t) { return x[b * 128 + t] * 5 + uint32_t(b); };
  p.expectSame(out,
               listOf(x.size(),
                      [&](size_t i) {
                        return passed((i / 128 + 1) % blocks, (i + 5) % 128) +
                               passed(i / 128, 127 - i % 128);
                      }),
               "y");
}

void bulkSum(Rehearsal &p, uint32_t blocks) {
  const uint64_t sums = p.put(std::vector<float>(64, 0.5f), "sums");
  p.play("bulk_sum", {blocks}, {64}, Arguments().add(sums));
  p.expectSame(
      sums,
      listOf(64, [&](size_t t) { return 0.5f + float(blocks * t + blocks * (blocks - 1) / 2); }),
      "sums");
}

void wideWords(Rehearsal &p) {
  Draw draw(9);
  const auto x = listOf(128, [&](size_t) { return uint64_t(draw.next()) << 32 | draw.next(); });
  const uint64_t in = p.put(x, "x"), swapped = p.put(std::vector<uint64_t>{0, 0}, "swapped");
  const uint64_t out = p.room<uint64_t>(128, "y");
  p.play("wide_words", {1}, {64}, Arguments().add(in).add(out).add(swapped));
  p.expectSame(out, x, "y");
  p.expectSame(swapped, std::vector<uint64_t>{64, 128}, "swapped");
}

void clusterOfOne(Rehearsal &p) {
  const uint64_t out = p.room<uint32_t>(192, "y");
  p.play("cluster_of_one", {3}, {64}, Arguments().add(out));
  p.expectSame(out, listOf(192, [](size_t i) { return uint32_t((63 - i % 64) * 9 + 1); }), "y");
}

void stackWords(Rehearsal &p, uint32_t n) {
  const uint64_t out = p.room<uint32_t>(64, "y");
  p.play("stack_words", {1}, {64}, Arguments().add(out).add(n));
  p.expectSame(out,
               listOf(64,
                      [&](size_t t) {
                        uint32_t sum = 0;
                        for (uint32_t i = 0; i < n; ++i)
                          sum = sum * 3 + i * 3 % n * uint32_t(t);
                        return sum;
                      }),
               "y");
}

void groupsAndArrivals(Rehearsal &p) {
  const Words x = someWords(512, 10);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(256, "y");
  p.play("groups_and_arrivals", {1}, {64}, Arguments().add(in).add(out));
  p.expectSame(out,
               listOf(256,
                      [&](size_t i) {
                        const size_t other = (63 - i / 4) * 4;
                        switch (i % 4) {
                        case 0:
                          return x[i];
                        case 1:
                          return x[other + 1];
                        case 2:
                          return x[256 + i];
                        default:
                          return x[i] ^ x[other + 3];
                        }
                      }),
               "y");
}

void structuresWithHoles(Rehearsal &p, int32_t k) {
  struct Holes {
    int8_t c;
    int32_t i;
    int16_t s;
    double d;
  };
  const uint64_t out = p.put(std::vector<uint8_t>(64 * sizeof(Holes), 0), "out");
  p.play("structures_with_holes", {1}, {64}, Arguments().add(out).add(k));
  std::vector<uint8_t> expected(64 * sizeof(Holes), 0);
  for (int32_t t = 0; t < 64; ++t) {
    const int32_t v = 63 - t + k, sum = v * 5;
    const double d = v;
    uint8_t *at = expected.data() + size_t(t) * sizeof(Holes);
    at[offsetof(Holes, c)] = uint8_t(v);
    std::memcpy(at + offsetof(Holes, i), &sum, 4);
    std::memcpy(at + offsetof(Holes, d), &d, 8);
  }
  p.expectSame(out, expected, "out");
}

} // namespace

void pianola::ptx::addIdioms(Repertoire &r) {
  r.file("idioms");
  r.add("fence_then_barrier_5x64", [](Rehearsal &p) { fenceThenBarrier(p, 5, 64); });
  r.add("fences_of_two_scopes", [](Rehearsal &p) { handedOn(p, "fences_of_two_scopes", 5); });
  r.add("release_then_relaxed", [](Rehearsal &p) { handedOn(p, "release_then_relaxed", 42); });
  r.add("lanes_tell_lane", lanesTellLane);
  r.add("lanes_meet_in_branches", lanesMeetInBranches);
  r.add("ticket_lock_6", [](Rehearsal &p) { ticketLock(p, 6); });
  r.add("treiber_stack_3x32", [](Rehearsal &p) { treiberStack(p, 3, 32); });
  r.add("seqlock", seqlock);
  r.add("filled_once", filledOnce);
  r.add("work_queue_3x20", [](Rehearsal &p) { workQueue(p, 3, 20); });
  r.add("lamport_queue", lamportQueue);
  r.add("patient_loops", patientLoops);
  r.add("vector_rows_3x6", [](Rehearsal &p) { vectorRows(p, 3, 6); });
  r.file("persistent");
  r.add("layers_4x32", [](Rehearsal &p) { layers(p, 4, 32, 3, 4); });
  r.add("layers_7x64", [](Rehearsal &p) { layers(p, 7, 64, 2, 3); });
  r.add("ring_of_items_2x3x5", [](Rehearsal &p) { ringOfItems(p, 2, 3, 5); });
  r.add("ring_of_items_1x4x1", [](Rehearsal &p) { ringOfItems(p, 1, 4, 1); });
  r.add("expected_late", expectedLate);
  r.add("place_of_mbarrier", placeOfMbarrier);
  r.add("relay_store_4", [](Rehearsal &p) { relayStore(p, 4); });
  r.add("bulk_sum_5", [](Rehearsal &p) { bulkSum(p, 5); });
  r.add("wide_words", wideWords);
  r.add("cluster_of_one", clusterOfOne);
  r.add("groups_and_arrivals", groupsAndArrivals);
  r.add("structures_with_holes_2", [](Rehearsal &p) { structuresWithHoles(p, 2); });
  r.add("stack_words_17", [](Rehearsal &p) { stackWords(p, 17); });
}
