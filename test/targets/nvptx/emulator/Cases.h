// Cases.h - a table of instructions, their operands and what they give.
//
//     add.rn.ftz.f32 %d, %a, %b; : a=0x00000001 b=0x3f800000 -> d=0x3f800000   # why
//
// stands for one instruction, or several, with registers named after the operands. The digits of a
// value give the register's width: two or four for .b16, eight for .b32, sixteen for .b64; a single
// 0 or 1 is a predicate. {expression} is a .b32 and ?{expression} a predicate that depends on the
// lane: C's operators; `lane`, `g` for lane / 4 and `t` for lane % 4; and f16(n), bf16(n), f32(n),
// e4m3(n), e5m2(n), f16x2(upper,lower), bf16x2(upper,lower) of integers that fit. A result may be
// nan16, nan32 or nan64, any of them, or d~3=0x...: within three units in the last place.
//
// Lines `.version 8.6` and `.target sm_100a` change what the lines after them are compiled for.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_CASES_H
#define PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_CASES_H

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace pianola::ptx {

inline constexpr int warpLanes = 32;

struct CaseValue {
  std::string name;
  int bits = 32;       ///< of the register: 1 for a predicate
  bool anyNaN = false; ///< a result that only has to be NaN
  uint64_t ulps = 0;   ///< how far a result may be away
  std::array<uint64_t, warpLanes> lanes{};
};

struct Case {
  int line = 0; ///< of the file, from 1
  std::string text, instructions;
  std::vector<CaseValue> operands, results;
};

/// Consecutive cases for one version and target.
struct CaseGroup {
  std::string version = "8.5", target = "sm_90a";
  std::vector<Case> cases;
};

struct CaseFile {
  std::string path;
  std::vector<CaseGroup> groups;
  std::vector<std::pair<int, std::string>> errors; ///< lines that cannot be read
};

CaseFile readCases(const std::string &path);

/// One kernel `cases(.u64 in, .u64 out)` for one warp that executes [first, last). Value i of them
/// (operands, respectively results, in order) lies at 256 * i + 8 * lane.
struct CaseKernel {
  std::string ptx;
  std::vector<uint64_t> operands; ///< what `in` points at
  size_t results = 0;             ///< how many words `out` needs
  std::vector<uint32_t> lines;    ///< the first line of each case in the text, from 1
};
CaseKernel writeKernel(const CaseGroup &group, size_t first, size_t last);

/// What is wrong with a result, or empty.
std::string compareResult(const CaseValue &want, const uint64_t *lanes);

} // namespace pianola::ptx

#endif
