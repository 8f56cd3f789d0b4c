// Calls and returns. Parameters lie in each thread's local memory, a frame for each function;
// return addresses are a register, because lanes return to different places.
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/Printf.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Jumps.h"
#include "targets/nvptx/emulator/families/Lanes.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

Step returnFromCall(Warp &warp, const Op &op, uint32_t mask) {
  const uint32_t *address = warp.in<uint32_t>(op.s[0]);
  return jumpEach(warp, mask, [&](uint32_t lane) { return address[lane]; });
}

/// Copies the parameters, which lie in each thread's local memory: op.more lists source, target,
/// bytes. Like any instruction this may run for some lanes only.
void copyParameters(Warp &warp, const Op &op, uint32_t mask) {
  const Slot *list = warp.playing.code.slots.data() + op.more;
  for (uint64_t i = 0; i < op.value; ++i, list += 3)
    forLanes(mask, [&](uint32_t lane) {
      warp.copyLocal(lane, uint32_t(list[1]), uint32_t(list[0]), uint32_t(list[2]));
    });
}

Step call(Warp &warp, const Op &op, uint32_t mask) {
  copyParameters(warp, op, mask);
  uint32_t back = warp.current().pc + 1;
  Slot returnAddress = warp.playing.kernel.callFrames[op.value2].returnAddress;
  forLanes(mask, [&](uint32_t lane) { warp.out<uint32_t>(returnAddress)[lane] = back; });
  return jump(warp, mask, op.target);
}

Step takeResult(Warp &warp, const Op &op, uint32_t mask) {
  copyParameters(warp, op, mask);
  return Step::Next;
}

/// vprintf(format, arguments): both are generic addresses in the caller's parameters.
Step print(Warp &warp, const Op &op, uint32_t mask) {
  const Slot *list = warp.playing.code.slots.data() + op.more;
  forLanes(mask, [&](uint32_t lane) {
    uint64_t format, arguments;
    std::memcpy(&format, warp.localOf(lane) + list[0], 8);
    std::memcpy(&arguments, warp.localOf(lane) + list[1], 8);
    int32_t count = printFormatted(warp, lane, format, arguments);
    if (list[2] >= 0)
      std::memcpy(warp.localOf(lane) + list[2], &count, 4);
  });
  return Step::Next;
}

/// __assertfail(message, file, line, function, size of a character)
Step assertFail(Warp &warp, const Op &op, uint32_t mask) {
  const Slot *list = warp.playing.code.slots.data() + op.more;
  uint32_t lane = firstLane(mask), line;
  uint64_t message, file;
  std::memcpy(&message, warp.localOf(lane) + list[0], 8);
  std::memcpy(&file, warp.localOf(lane) + list[1], 8);
  std::memcpy(&line, warp.localOf(lane) + list[2], 4);
  warp.playing.report(FindingKind::Trap, warp, lane,
                      "assertion failed: " + stringAt(warp, lane, message) + " (" +
                          stringAt(warp, lane, file) + ":" + std::to_string(line) + ")");
  warp.playing.stop();
  return Step::Switch;
}

/// Where a parameter of a call, a .param variable of the caller, lies in local memory.
bool parameterPlace(Decoder &decoder, const Operand &operand, uint64_t &place, uint64_t &size) {
  if (operand.kind != Operand::Kind::Variable || operand.variable->space != Space::Param)
    return decoder.fail("what is passed must be a .param variable");
  Space space;
  size = operand.variable->size;
  if (!decoder.placeOf(*operand.variable, place, space))
    return false;
  return space == Space::Local || decoder.fail("a kernel's parameter cannot be passed on");
}

struct CallWords {
  const Operand *results = nullptr, *callee = nullptr, *arguments = nullptr, *prototype = nullptr;
};

bool readCall(Decoder &decoder, CallWords &out) {
  size_t i = 0, count = decoder.operandCount();
  const auto &operands = decoder.operands();
  if (i < count && operands[i].kind == Operand::Kind::List)
    out.results = &operands[i++];
  if (i == count)
    return decoder.fail("no callee");
  out.callee = &operands[i++];
  if (i < count && operands[i].kind == Operand::Kind::List)
    out.arguments = &operands[i++];
  if (i < count)
    out.prototype = &operands[i++];
  return i == count || decoder.fail("too many operands");
}

const std::vector<Operand> &elementsOf(const Operand *list) {
  static const std::vector<Operand> none;
  return list ? list->elements : none;
}

bool decodeBuiltin(Decoder &decoder, const CallWords &words) {
  bool isPrint = words.callee->function->name == "vprintf";
  const auto &arguments = elementsOf(words.arguments), &results = elementsOf(words.results);
  if (arguments.size() < (isPrint ? 2u : 3u) || results.size() > 1)
    return decoder.fail("'" + std::string(words.callee->function->name) + "' has " +
                        (isPrint ? "2" : "5") + " parameters and one result at most, the call " +
                        std::to_string(arguments.size()) + " and " +
                        std::to_string(results.size()));
  std::vector<Slot> list;
  uint64_t place, size;
  for (size_t i = 0; i < (isPrint ? 2u : 3u); ++i) {
    if (!parameterPlace(decoder, arguments[i], place, size))
      return false;
    if (size != (isPrint || i < 2 ? 8u : 4u))
      return decoder.fail("parameter " + std::to_string(i + 1) + " of '" +
                          std::string(words.callee->function->name) + "' has " +
                          (isPrint || i < 2 ? "8" : "4") + " bytes, what is passed " +
                          std::to_string(size));
    list.push_back(Slot(place));
  }
  if (isPrint) {
    list.push_back(-1);
    if (!results.empty()) {
      if (!parameterPlace(decoder, results[0], place, size))
        return false;
      list.back() = Slot(place);
    }
  }
  decoder.op.more = uint32_t(decoder.code().slots.size());
  decoder.code().slots.insert(decoder.code().slots.end(), list.begin(), list.end());
  return decoder.run(isPrint ? print : assertFail);
}

/// Through a pointer: callees differ from lane to lane, and so do the places of their parameters.
Step callThroughPointer(Warp &warp, const Op &op, uint32_t mask) {
  const uint64_t *address = warp.in<uint64_t>(op.s[0]);
  const Kernel &kernel = warp.playing.kernel;
  const Slot *list = warp.playing.code.slots.data() + op.more;
  uint32_t back = warp.current().pc + 1;
  std::array<uint32_t, 32> target{};
  bool wild = false;
  forLanes(mask, [&](uint32_t lane) {
    uint64_t index = (address[lane] - codeWindow) / codeStride;
    bool callable = address[lane] >= codeWindow && address[lane] % codeStride == 0 &&
                    index < kernel.pointees.size() && kernel.pointees[index].first;
    const CallFrame *frame = callable ? &kernel.callFrames[kernel.pointees[index].frame] : nullptr;
    if (!frame || frame->parameters.size() != op.value || wild) {
      if (!wild)
        warp.playing.report(FindingKind::Trap, warp, lane,
                            "the pointer is that of no function with these parameters");
      wild = true;
      return;
    }
    for (size_t i = 0; i < op.value; ++i)
      warp.copyLocal(lane, frame->parameters[i].first, uint32_t(list[2 * i]),
                     std::min(frame->parameters[i].second, uint32_t(list[2 * i + 1])));
    warp.out<uint32_t>(frame->returnAddress)[lane] = back;
    target[lane] = kernel.pointees[index].first;
  });
  if (wild) {
    warp.playing.stop();
    return Step::Switch;
  }
  return jumpEach(warp, mask, [&](uint32_t lane) { return target[lane]; });
}

Step takeResultThroughPointer(Warp &warp, const Op &op, uint32_t mask) {
  const uint64_t *address = warp.in<uint64_t>(op.s[0]);
  const Slot *list = warp.playing.code.slots.data() + op.more;
  forLanes(mask, [&](uint32_t lane) {
    const Kernel &kernel = warp.playing.kernel;
    const CallFrame &frame =
        kernel.callFrames[kernel.pointees[(address[lane] - codeWindow) / codeStride].frame];
    for (size_t i = 0; i < op.value && i < frame.results.size(); ++i)
      warp.copyLocal(lane, uint32_t(list[2 * i]), frame.results[i].first,
                     std::min(frame.results[i].second, uint32_t(list[2 * i + 1])));
  });
  return Step::Next;
}

bool listPlaces(Decoder &decoder, const std::vector<Operand> &variables) {
  std::vector<Slot> list;
  for (const Operand &operand : variables) {
    uint64_t place, size;
    if (!parameterPlace(decoder, operand, place, size))
      return false;
    list.push_back(Slot(place)), list.push_back(Slot(size));
  }
  decoder.op.more = uint32_t(decoder.code().slots.size());
  decoder.op.value = variables.size();
  decoder.code().slots.insert(decoder.code().slots.end(), list.begin(), list.end());
  return true;
}

/// Source and target of each, and its size, for copyParameters().
bool listCopies(Decoder &decoder, const std::vector<Operand> &variables,
                const std::vector<Variable *> &formals, const Decoder::Frame &frame,
                bool isResult) {
  if (variables.size() != formals.size())
    return decoder.fail("the function has " + std::to_string(formals.size()) +
                        (isResult ? " results" : " parameters") + ", the call " +
                        std::to_string(variables.size()));
  std::vector<Slot> list;
  for (size_t i = 0; i < formals.size(); ++i) {
    uint64_t place, size;
    if (!parameterPlace(decoder, variables[i], place, size))
      return false;
    if (size != formals[i]->size)
      return decoder.fail("'" + std::string(formals[i]->name) + "' has " +
                          std::to_string(formals[i]->size) + " bytes, what is passed " +
                          std::to_string(size));
    auto formal = Slot(frame.locals.at(formals[i]));
    list.insert(list.end(),
                {isResult ? formal : Slot(place), isResult ? Slot(place) : formal, Slot(size)});
  }
  decoder.op.more = uint32_t(decoder.code().slots.size());
  decoder.op.value = formals.size();
  decoder.code().slots.insert(decoder.code().slots.end(), list.begin(), list.end());
  return true;
}

} // namespace

bool decodeReturn(Decoder &decoder) {
  decoder.accept("uni");
  if (decoder.function().isEntry)
    return decodeExit(decoder);
  if (!decoder.expectOperands(0))
    return false;
  decoder.op.flow = Flow::Leave;
  decoder.op.s[0] = decoder.frameOf(decoder.function()).returnAddress;
  return decoder.run(returnFromCall);
}

bool decodeCall(Decoder &decoder) {
  decoder.accept("uni");
  CallWords words;
  if (!readCall(decoder, words))
    return false;
  const Operand &callee = *words.callee;
  const auto &arguments = elementsOf(words.arguments), &results = elementsOf(words.results);
  if (callee.kind == Operand::Kind::Function) {
    const Function &function = *callee.function;
    if (function.isDeclared)
      return decodeBuiltin(decoder, words);
    const Decoder::Frame &frame = decoder.frameOf(function);
    if (!listCopies(decoder, arguments, function.parameters, frame, false))
      return false;
    decoder.op.value2 = frame.number;
    decoder.callsTo(function);
    decoder.run(call);
    if (!decoder.emit())
      return false;
    decoder.op = {};
    return listCopies(decoder, results, function.results, frame, true) && decoder.run(takeResult);
  }
  if (callee.kind == Operand::Kind::Name)
    return decoder.fail("'" + std::string(callee.text) + "' is not declared");
  Slot pointer;
  if (!decoder.use(callee, Type::U64, pointer))
    return false;
  decoder.op.s[0] = pointer;
  if (!listPlaces(decoder, arguments))
    return false;
  decoder.run(callThroughPointer);
  if (!decoder.emit())
    return false;
  decoder.op = {};
  decoder.op.s[0] = pointer;
  return listPlaces(decoder, results) && decoder.run(takeResultThroughPointer);
}

} // namespace pianola::ptx
