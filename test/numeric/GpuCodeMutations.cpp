// GpuCodeMutations.cpp - kernels that leave out a piece of their own order.
#include "test/numeric/GpuMutations.h"

namespace pianola {

const std::vector<Mutation> &codeMutations() {
  static const std::vector<Mutation> all = {
      {"signals release nothing",
       "h200",
       {"race"},
       nullptr,
       [](KernelText &t) { return t.replace("red.release.gpu", "red.relaxed.gpu"); }},
      {"polls acquire nothing",
       "a100",
       {"race"},
       nullptr,
       [](KernelText &t) { return t.replace("ld.acquire.gpu", "ld.relaxed.gpu"); }},
      {"polls are weak",
       "h200",
       {"race"},
       nullptr,
       [](KernelText &t) { return t.replace("ld.acquire.gpu.global", "ld.global"); }},
      {"signals are of the block's scope",
       "h200",
       {"race"},
       nullptr,
       [](KernelText &t) { return t.replace("red.release.gpu", "red.release.cta"); }},
      {"the copy engine does not hear of the barriers",
       "h200",
       {"proxy-race"},
       nullptr,
       [](KernelText &t) { return t.leaveOut("fence.mbarrier_init"); }},
      {"nobody waits until the ring is there",
       "h200",
       {"race", "mbarrier-misuse", "uninitialised"},
       nullptr,
       [](KernelText &t) { return t.leaveOutBehind("mbarrier.init", "bar.sync"); }},
      {"nobody waits until the ring is there",
       "a100",
       {"race", "mbarrier-misuse", "uninitialised"},
       nullptr,
       [](KernelText &t) { return t.leaveOutBehind("mbarrier.init", "bar.sync"); }},
      {"a row is multiplied before it is there",
       "h200",
       {"race", "uninitialised"},
       nullptr,
       [](KernelText &t) {
         // The barrier behind the loop in which the row is scaled and stored.
         size_t scale = t.find("rsqrt", t.find("// stage: decode.gate_proj"));
         size_t stored = t.jump(t.find("bra.uni", scale));
         size_t all = t.jump(t.find("bra.uni", stored));
         t.lines[t.find("bar.sync", all)].clear();
         return 1;
       }},
      {"cards are overwritten while they are read",
       "a100",
       {"race"},
       nullptr,
       [](KernelText &t) { return t.leaveOutBefore("red.release", 1, "bar.sync"); }},
      {"a slot counts fewer warps than there are",
       "h200",
       {"slot-reuse", "mbarrier-misuse", "race"},
       nullptr,
       [](KernelText &t) {
         // The second one of a slot's two barriers is that of its consumers.
         size_t at = t.find("mbarrier.init", t.find("mbarrier.init") + 1);
         t.lines[at] = t.lines[at].substr(0, t.lines[at].rfind(',')) + ", 7;";
         return 1;
       }},
      {"a slot counts more warps than there are",
       "a100",
       {kWatchdog},
       nullptr,
       [](KernelText &t) {
         size_t at = t.find("mbarrier.init", t.find("mbarrier.init") + 1);
         t.lines[at] = t.lines[at].substr(0, t.lines[at].rfind(',')) + ", 9;";
         return 1;
       }},
      {"a slot is filled before it is empty",
       "h200",
       {"slot-reuse", "mbarrier-misuse"},
       nullptr,
       [](KernelText &t) {
         // The loader's wait is the first of all.
         std::string &line = t.lines[t.find("mbarrier.try_wait")];
         line.replace(line.find(", 1, 0, p"), 9, ", 1, 1, p");
         return 1;
       }},
      // Given back before they are full, too: then they may be filled again meanwhile.
      {"slots are read before they are full",
       "h200",
       {"race", "uninitialised", "phase-overrun", "slot-reuse"},
       nullptr,
       [](KernelText &t) {
         int count = -1; // without the loader's
         for (std::string &line : t.lines)
           if (line.find("mbarrier.try_wait") != std::string::npos && ++count > 0)
             line.replace(line.find(", 1, 0, p"), 9, ", 1, 1, p");
         return count;
       }},
      {"a slot is given back while lanes still read it",
       "h200",
       {"slot-reuse", "race"},
       nullptr,
       [](KernelText &t) { return t.leaveOut("bar.warp.sync"); }},
      {"a slot is given back while lanes still read it",
       "a100",
       {"slot-reuse", "race"},
       nullptr,
       [](KernelText &t) { return t.leaveOut("bar.warp.sync"); }},
      {"weights that were taken early are read late",
       "h200",
       {"slot-reuse", "race"},
       nullptr,
       [](KernelText &t) { return t.readWeightsLate(); }},
      {"weights that were taken early are read late",
       "a100",
       {"slot-reuse", "race"},
       nullptr,
       [](KernelText &t) { return t.readWeightsLate(); }},
      {"fewer bytes are expected than come",
       "h200",
       {"mbarrier-misuse", kWatchdog},
       nullptr,
       [](KernelText &t) { return t.replaceLast("mbarrier.arrive.expect_tx", "4096"); }},
      {"more bytes are expected than come",
       "h200",
       {kWatchdog},
       nullptr,
       [](KernelText &t) { return t.replaceLast("mbarrier.arrive.expect_tx", "16384"); }},
      {"cards are read before they are there",
       "h200",
       {"race", "uninitialised"},
       nullptr,
       [](KernelText &t) { return t.leaveOut("cp.async.wait_all"); }},
      {"the loader arrives before its copies",
       "a100",
       {"race", "uninitialised"},
       nullptr,
       [](KernelText &t) {
         return t.replace("cp.async.mbarrier.arrive.noinc.shared::cta.b64 ",
                          "mbarrier.arrive.shared::cta.b64 _, ");
       }},
      {"the loader does not arrive",
       "a100",
       {kWatchdog},
       nullptr,
       [](KernelText &t) { return t.leaveOut("cp.async.mbarrier.arrive"); }},
      {"nobody waits for another to choose a token",
       "h200",
       {"race", "uninitialised"},
       nullptr,
       [](KernelText &t) { return t.leaveOutAllBehind("// stage: decode.sample", "bar.sync"); }},
  };
  return all;
}

} // namespace pianola
