// Blocks that wait for each other.
#include "test/targets/nvptx/emulator/Rehearsal.h"

using namespace pianola::ptx;

namespace {

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

Words someWords(size_t n, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.next(); });
}

void gridSync(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t n, uint32_t steps) {
  Draw draw(n);
  Floats a = listOf(n, [&](size_t) { return draw.real(-1, 1); }), b = a;
  const uint64_t atA = p.put(a, "a"), atB = p.room<float>(n, "b");
  Arguments arguments;
  arguments.add(atA).add(atB).add(n).add(steps);
  p.play("grid_sync", {blocks}, {threads}, arguments, 0, true);
  for (uint32_t s = 0; s < steps; ++s, a.swap(b))
    for (uint32_t i = 0; i < n; ++i)
      b[i] = i > 0 && i + 1 < n ? (a[i - 1] + a[i + 1]) * 0.5f : a[i];
  p.expectSame(steps % 2 ? atB : atA, a, "result");
}

void gridCounter(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t steps) {
  const uint32_t n = blocks * threads;
  Words a = someWords(n, n), b = a;
  const uint64_t atA = p.put(a, "a"), atB = p.room<uint32_t>(n, "b"),
                 counter = p.put(Words{0}, "counter");
  Arguments arguments;
  arguments.add(atA).add(atB).add(counter).add(steps);
  p.play("grid_counter", {blocks}, {threads}, arguments, 0, true);
  for (uint32_t s = 0; s < steps; ++s, a.swap(b))
    for (uint32_t i = 0; i < n; ++i)
      b[i] = a[(i + n - 1) % n] + a[(i + 1) % n] * 3;
  p.expectSame(steps % 2 ? atB : atA, a, "result");
  p.expectSame(counter, Words{steps * blocks}, "counter");
}

void messageRing(Rehearsal &p, uint32_t messages) {
  const Words x = someWords(messages * 128, 1);
  const uint64_t in = p.put(x, "x"), ring = p.room<uint32_t>(256, "ring"),
                 sent = p.put(Words{0}, "sent"), taken = p.put(Words{0}, "taken"),
                 out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(ring).add(sent).add(taken).add(out).add(messages);
  p.play("message_ring", {2}, {128}, arguments, 0, true);
  p.expectSame(
      out,
      listOf(x.size(),
             [&](size_t i) { return x[i / 128 * 128 + 127 - i % 128] ^ uint32_t(i / 128); }),
      "y");
}

void messageFence(Rehearsal &p, uint32_t threads) {
  const Words x = someWords(threads, 2);
  const uint64_t in = p.put(x, "x"), data = p.room<uint32_t>(threads, "data"),
                 flag = p.put(Words{0}, "flag"), out = p.room<uint32_t>(threads, "y");
  Arguments arguments;
  arguments.add(in).add(data).add(flag).add(out);
  p.play("message_fence", {2}, {threads}, arguments, 0, true);
  p.expectSame(out, listOf(threads, [&](size_t i) { return x[i] * 5 + 2; }), "y");
}

void messageChain(Rehearsal &p, uint32_t blocks) {
  const Words x = someWords(blocks, 3);
  const uint64_t in = p.put(x, "x"), links = p.put(Words(blocks, 0), "links"),
                 sums = p.room<uint32_t>(blocks, "sums");
  Arguments arguments;
  arguments.add(in).add(links).add(sums);
  p.play("message_chain", {blocks}, {32}, arguments, 0, true);
  Words expected = x;
  for (uint32_t b = 1; b < blocks; ++b)
    expected[b] += expected[b - 1];
  p.expectSame(sums, expected, "sums");
}

void spinLock(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t rounds) {
  const Words before = someWords(threads, 4);
  const uint64_t lock = p.put(Words{0}, "lock"), words = p.put(before, "words");
  Arguments arguments;
  arguments.add(lock).add(words).add(rounds);
  p.play("spin_lock", {blocks}, {threads}, arguments, 0, true);
  p.expectSame(words,
               listOf(threads,
                      [&](size_t t) {
                        uint32_t sum = before[t];
                        for (uint32_t b = 0; b < blocks; ++b)
                          for (uint32_t r = 0; r < rounds; ++r)
                            sum += b + r + uint32_t(t);
                        return sum;
                      }),
               "words");
}

} // namespace

void pianola::ptx::addGrids(Repertoire &r) {
  r.file("grid");
  r.add("grid_sync_4x64", [](Rehearsal &p) { gridSync(p, 4, 64, 250, 7); });
  r.add("grid_sync_1x32", [](Rehearsal &p) { gridSync(p, 1, 32, 32, 2); });
  r.add("grid_counter_4x64", [](Rehearsal &p) { gridCounter(p, 4, 64, 6); });
  r.add("grid_counter_9x32", [](Rehearsal &p) { gridCounter(p, 9, 32, 3); });
  r.add("message_ring_7", [](Rehearsal &p) { messageRing(p, 7); });
  r.add("message_fence_96", [](Rehearsal &p) { messageFence(p, 96); });
  r.add("message_chain_5", [](Rehearsal &p) { messageChain(p, 5); });
  r.add("spin_lock_4x64", [](Rehearsal &p) { spinLock(p, 4, 64, 3); });
}
