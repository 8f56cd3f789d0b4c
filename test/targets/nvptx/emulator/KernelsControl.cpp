// Branches, calls, barriers of some threads, clocks, messages.
#include "test/targets/nvptx/emulator/Rehearsal.h"

#include <algorithm>
#include <sstream>

using namespace pianola::ptx;

namespace {

using Words = std::vector<uint32_t>;

Words someWords(size_t n, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.next(); });
}

/// Plays a kernel of words in and words out, one of each a thread.
void each(Rehearsal &p, const char *kernel, uint32_t blocks, uint32_t threads, const Words &x,
          const std::function<uint32_t(uint32_t, uint32_t)> &f) {
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  p.play(kernel, {blocks}, {threads}, Arguments().add(in).add(out));
  p.expectSame(out, listOf(x.size(), [&](size_t i) { return f(x[i], uint32_t(i)); }), "y");
}

void branchCollatz(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  Draw draw(1);
  const Words x = listOf(blocks * threads, [&](size_t) { return uint32_t(draw.whole(1, 3000)); });
  each(p, "branch_collatz", blocks, threads, x, [](uint32_t v, uint32_t) {
    uint32_t steps = 0;
    for (; v != 1 && steps < 200; ++steps) {
      if (v % 2 && v % 3 == 0)
        steps += 0x10000;
      v = v % 2 ? v * 3 + 1 : v / 2;
    }
    return steps;
  });
}

void branchSwitch(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t length) {
  Draw draw(2);
  const uint32_t n = blocks * threads;
  const auto programs = listOf(
      n * length, [&](size_t) { return uint8_t(draw.whole(0, 20) == 7 ? 7 : draw.whole(0, 6)); });
  const uint64_t in = p.put(programs, "programs"), out = p.room<uint32_t>(n, "y");
  Arguments arguments;
  arguments.add(in).add(out).add(length);
  p.play("branch_switch", {blocks}, {threads}, arguments);
  p.expectSame(out,
               listOf(n,
                      [&](size_t i) {
                        uint32_t a = uint32_t(i), b = 1;
                        for (uint32_t pc = 0; pc < length; ++pc) {
                          const uint8_t op = programs[i * length + pc];
                          if (op == 0)
                            a += b;
                          else if (op == 1)
                            a -= b * 2;
                          else if (op == 2)
                            a ^= b << 3;
                          else if (op == 3)
                            b = a & 63;
                          else if (op == 4)
                            std::swap(a, b);
                          else if (op == 5)
                            a = b == 0 ? ~0u : a % b;
                          else if (op == 6)
                            pc += int32_t(a) > int32_t(b);
                          else
                            return a - b;
                        }
                        return a + b;
                      }),
               "y");
}

void callFunctions(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  const auto mix = [](uint32_t a, uint32_t b) {
    a ^= b * 0x9e3779b9u;
    return (a << 13 | a >> 19) * 5 + 0xe6546b64u;
  };
  const auto power = [](uint32_t base, uint32_t e) {
    uint32_t result = 1;
    for (; e > 0; --e)
      result *= base;
    return result;
  };
  Draw draw(3);
  // The exponent of the call through the table is at most 3^10.
  const Words x = listOf(blocks * threads, [&](size_t) { return draw.next() % 1000; });
  each(p, "call_functions", blocks, threads, x, [&](uint32_t v, uint32_t i) {
    const uint32_t a = mix(v, i), b = power(3, v % 11);
    return v % 3 == 0 ? mix(a, b) : v % 3 == 1 ? power(a, b) : a - b;
  });
}

void namedBarriers(Rehearsal &p, uint32_t blocks, uint32_t rounds) {
  const Words x = someWords(blocks * rounds * 64, 4);
  const uint64_t in = p.put(x, "x"), out = p.room<uint32_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(rounds);
  p.play("named_barriers", {blocks}, {128}, arguments);
  p.expectSame(
      out,
      listOf(x.size(),
             [&](size_t i) { return x[i / 64 * 64 + 63 - i % 64] + uint32_t(i / 64 % rounds); }),
      "y");
}

void barrierVotes(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  Draw draw(5);
  Words x = listOf(blocks * threads, [&](size_t) { return uint32_t(draw.whole(8, 999)); });
  x[3] = 7, x[threads + 1] = 5000; // in the first and in the second block
  each(p, "barrier_votes", blocks, threads, x, [&](uint32_t, uint32_t i) {
    uint32_t odd = 0, small = 1, seven = 0;
    for (uint32_t t = 0; t < threads; ++t) {
      const uint32_t v = x[i / threads * threads + t];
      odd += v & 1, small &= v < 1000, seven |= v == 7;
    }
    return odd * 4 + small * 2 + seven;
  });
}

void clocks(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  const uint64_t out = p.room<uint32_t>(blocks * threads, "y");
  p.play("clocks", {blocks}, {threads}, Arguments().add(out));
  p.expectSame(out, Words(blocks * threads, 7), "y");
}

void printLines(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  Draw draw(6);
  const auto x = listOf(blocks * threads, [&](size_t) { return draw.real(-100, 100); });
  p.play("print_lines", {blocks}, {threads}, Arguments().add(p.put(x, "x")));
  std::vector<std::string> expected, found;
  for (uint32_t i = 0; i < x.size(); i += 4) {
    char line[100];
    std::snprintf(line, sizeof line, "%u: %.3f %s %c 0x%llx %5d|%-4d|", i, double(x[i]),
                  i % 8 ? "odd" : "even", int('a' + i % 26), (unsigned long long)i << 36, -int(i),
                  int(i));
    expected.push_back(line);
  }
  std::istringstream output(p.outcome.output);
  for (std::string line; std::getline(output, line);)
    found.push_back(line);
  // Whose line comes first is open.
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  p.expect(found == expected, "printed:\n" + p.outcome.output);
}

void assertHolds(Rehearsal &p, uint32_t blocks, uint32_t threads) {
  Draw draw(7);
  const Words x = listOf(blocks * threads, [&](size_t) { return uint32_t(draw.whole(0, 999)); });
  each(p, "assert_holds", blocks, threads, x, [](uint32_t v, uint32_t) { return v + 1; });
}

} // namespace

void pianola::ptx::addControl(Repertoire &r) {
  r.file("control");
  r.add("branch_collatz_2x64", [](Rehearsal &p) { branchCollatz(p, 2, 64); });
  r.add("branch_collatz_1x50", [](Rehearsal &p) { branchCollatz(p, 1, 50); });
  r.add("branch_switch_2x64", [](Rehearsal &p) { branchSwitch(p, 2, 64, 24); });
  r.add("call_functions_2x64", [](Rehearsal &p) { callFunctions(p, 2, 64); });
  r.add("named_barriers_2x6", [](Rehearsal &p) { namedBarriers(p, 2, 6); });
  r.add("barrier_votes_2x96", [](Rehearsal &p) { barrierVotes(p, 2, 96); });
  r.add("clocks_2x40", [](Rehearsal &p) { clocks(p, 2, 40); });
  r.add("print_lines_2x48", [](Rehearsal &p) { printLines(p, 2, 48); });
  r.add("assert_holds_2x64", [](Rehearsal &p) { assertHolds(p, 2, 64); });
}
