// GpuScheduleMutations.cpp - schedules that the checker refuses.
#include "test/numeric/GpuMutations.h"

#include "mlir/IR/AffineMap.h"

namespace pianola {

constexpr char kAttention[] = "layers.0.self_attn", kQueries[] = "layers.0.self_attn.q_proj",
               kOut[] = "layers.0.self_attn.o_proj", kGate[] = "layers.0.mlp.gate_proj",
               kDown[] = "layers.0.mlp.down_proj";

const std::vector<Mutation> &scheduleMutations() {
  static const std::vector<Mutation> all = {
      {"attention does not wait for queries",
       "h200",
       {"race", "uninitialised"},
       [](Bent &s) { s.dropWaits(kAttention); }},
      {"combining does not wait for attention",
       "a100",
       {"race", "uninitialised"},
       [](Bent &s) { s.dropWaits(kOut); }},
      {"the head does not wait",
       "h200",
       {"race", "uninitialised"},
       [](Bent &s) { s.dropWaits("lm_head"); }},
      {"the token is chosen before all logits are there",
       "h200",
       {"race", "uninitialised"},
       [](Bent &s) { s.setUntil("sample", 1); }},
      {"a wait for one worker less",
       "h200",
       {"race", "uninitialised"},
       [](Bent &s) { s.setUntil(kGate, kWorkers - 1); }},
      {"a wait for another event",
       "a100",
       {"race", "uninitialised"},
       [](Bent &s) {
         s.step(kDown).getWaitsMutable().assign(mlir::ValueRange(s.step(kOut).getSignals()));
       }},
      {"a wait for one signal more than there are",
       "h200",
       {kRefused},
       [](Bent &s) { s.setUntil(kGate, kWorkers + 1); }},
      {"no wait for the play before",
       "h200",
       {"race"},
       [](Bent &s) {
         for (schedule::ProgramOp program : s.module.getOps<schedule::ProgramOp>())
           for (schedule::StepOp step : program.getSteps())
             s.dropWaits(step.getLabel(), 0);
       },
       nullptr,
       false,
       true},
      {"queries lie where the sum lies that is read with them",
       "h200",
       {"race"},
       [](Bent &s) { s.buffer(kQueries).setAt(*s.buffer("embed_tokens").getAt()); }},
      {"statistics lie where attention's parts lie",
       "a100",
       {"race"},
       [](Bent &s) {
         s.buffer("layers.0.self_attn.statistics").setAt(*s.buffer(kAttention).getAt());
       }},
      {"two buffers that are alive share their last bytes",
       "h200",
       {"race"},
       [](Bent &s) { s.buffer(kGate).setAt(*s.buffer(kOut).getAt() - 320); }},
      {"the arena ends early",
       "h200",
       {"out-of-bounds", kRefused},
       [](Bent &s) {
         for (schedule::ProgramOp program : s.module.getOps<schedule::ProgramOp>())
           program.setArena(*program.getArena() - 64);
       }},
      {"two workers play the same tile",
       "h200",
       {"race"},
       [](Bent &s) { s.setTiles(kGate, 1, {2, 6}); }},
      {"nobody plays a tile",
       "h200",
       {"uninitialised"},
       [](Bent &s) { s.setTiles(kQueries, 0, {0, 1}); }},
      {"a step comes before the one that it waits for",
       "h200",
       {kRefused},
       [](Bent &s) { s.swapWith(kAttention, kQueries); }},
      {"a step comes too early, and does not wait",
       "h200",
       {"uninitialised", "race"},
       [](Bent &s) {
         s.swapWith(kAttention, kQueries);
         s.dropWaits(kAttention);
       }},
      {"tiles store over half of their neighbours",
       "h200",
       {"race", "uninitialised"},
       [](Bent &s) {
         s.step(kGate).getStageOp().walk([](tile::StoreOp store) {
           store.setColumnsAttr(mlir::AffineMapAttr::get(
               mlir::AffineMap::get(1, 0, mlir::getAffineDimExpr(0, store.getContext()) * 4)));
         });
       },
       nullptr,
       true},
  };
  return all;
}

} // namespace pianola
