// Branches and ends.
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Jumps.h"
#include "targets/nvptx/emulator/families/Lanes.h"

namespace pianola::ptx {

namespace {

Step branch(Warp &warp, const Op &op, uint32_t mask) { return jump(warp, mask, op.target); }

Step indexedBranch(Warp &warp, const Op &op, uint32_t mask) {
  const uint32_t *index = warp.in<uint32_t>(op.s[0]);
  uint32_t wild = 0;
  forLanes(mask, [&](uint32_t lane) { wild |= index[lane] >= op.value ? 1u << lane : 0; });
  if (wild) {
    warp.playing.report(FindingKind::Trap, warp, firstLane(wild),
                        "the index is beyond the list of targets");
    warp.playing.stop();
    return Step::Switch;
  }
  const Slot *targets = warp.playing.code.slots.data() + op.more;
  return jumpEach(warp, mask, [&](uint32_t lane) { return uint32_t(targets[index[lane]]); });
}

Step leave(Warp &warp, const Op &, uint32_t mask) {
  if (mask != warp.current().mask) {
    uint32_t rest = warp.current().mask & ~mask;
    uint32_t next = warp.current().pc + 1;
    warp.branchOff(rest, next);
  }
  warp.exitLanes(mask);
  return Step::Switch;
}

Step trap(Warp &warp, const Op &, uint32_t mask) {
  warp.playing.report(FindingKind::Trap, warp, firstLane(mask), "the program stopped itself");
  warp.playing.stop();
  return Step::Switch;
}

Step nothing(Warp &, const Op &, uint32_t) { return Step::Next; }

Step sleep(Warp &warp, const Op &, uint32_t mask) {
  if (mask != warp.current().mask)
    return Step::Next; // a sleep of no time is a sleep
  ++warp.current().pc;
  warp.playing.doze(warp, Group::State::Asleep);
  return Step::Switch;
}

} // namespace

bool decodeBranch(Decoder &decoder) {
  decoder.accept("uni");
  if (!decoder.expectOperands(1))
    return false;
  if (decoder.operands()[0].kind != Operand::Kind::Label)
    return decoder.fail("expected a label");
  decoder.branchesTo(decoder.operands()[0]);
  decoder.op.flow = Flow::Branch;
  return decoder.run(branch);
}

bool decodeIndexedBranch(Decoder &decoder) {
  if (!decoder.accept("idx"))
    return false;
  decoder.accept("uni");
  if (!decoder.expectOperands(2) || !decoder.use(0, Type::U32, decoder.op.s[0]))
    return false;
  const std::vector<Operand> &labels = decoder.operands()[1].elements;
  decoder.op.flow = Flow::Table;
  decoder.op.value = labels.size();
  decoder.op.more = uint32_t(decoder.code().slots.size());
  for (const Operand &label : labels)
    decoder.code().slots.push_back(Slot(label.index));
  Operand any;
  decoder.branchesTo(any);
  return decoder.run(indexedBranch);
}

bool decodeExit(Decoder &decoder) {
  decoder.op.flow = Flow::Leave;
  return decoder.expectOperands(0) && decoder.run(leave);
}

bool decodeTrap(Decoder &decoder) { return decoder.expectOperands(0) && decoder.run(trap); }

/// brkpt without a debugger, griddepcontrol where launches follow each other, setmaxnreg, pmevent,
/// discard: nothing that a program could see.
bool decodeNothing(Decoder &decoder) {
  for (const char *word :
       {"wait", "launch_dependents", "inc", "dec", "sync", "aligned", "u32", "mask"})
    decoder.accept(word);
  return decoder.run(nothing);
}

bool decodeSleep(Decoder &decoder) {
  if (!decoder.accept("u32") || !decoder.expectOperands(1) ||
      !decoder.use(0, Type::U32, decoder.op.s[0]))
    return false;
  return decoder.run(sleep);
}

} // namespace pianola::ptx
