// Types.h - the vocabulary of PTX: types, state spaces, scopes, memory orders, special registers.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_TYPES_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_TYPES_H

#include "targets/nvptx/emulator/Finding.h"

#include <cstdint>
#include <string_view>

namespace pianola::ptx {

enum class Type : uint8_t {
  None,
  Pred,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  B8,
  B16,
  B32,
  B64,
  B128,
  S4, ///< only in matrices, eight to a register
  U4,
  F16,
  F16x2,
  BF16,
  BF16x2,
  TF32,
  F32,
  F64,
  E4M3,
  E5M2,
  E4M3x2,
  E5M2x2,
  U16x2,
  S16x2,
};

/// Bytes of a value in memory or in a register; 0 for None and Pred.
constexpr uint32_t sizeOf(Type type) {
  switch (type) {
  case Type::None:
  case Type::Pred:
    return 0;
  case Type::U8:
  case Type::S8:
  case Type::B8:
  case Type::E4M3:
  case Type::E5M2:
    return 1;
  case Type::U16:
  case Type::S16:
  case Type::B16:
  case Type::F16:
  case Type::BF16:
  case Type::E4M3x2:
  case Type::E5M2x2:
    return 2;
  case Type::U64:
  case Type::S64:
  case Type::B64:
  case Type::F64:
    return 8;
  case Type::B128:
    return 16;
  default:
    return 4;
  }
}

constexpr bool isSigned(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64;
}

constexpr bool isFloat(Type type) { return type >= Type::F16 && type <= Type::E5M2x2; }

/// The type that a word such as "u32" names, or None.
Type typeNamed(std::string_view word);

enum class Space : uint8_t { Generic, Global, Shared, Local, Const, Param };

/// Who takes part in a memory order: threads of the block, of the cluster, of the device, of all.
enum class Scope : uint8_t { None, Cta, Cluster, Gpu, Sys };

/// Weak accesses race with each other. The others are strong: they are atomic, and from Acquire on
/// they order what stands beside them.
enum class Order : uint8_t {
  Weak,
  Relaxed,
  Acquire,
  Release,
  AcquireRelease,
  SequentiallyConsistent
};

enum class SpecialRegister : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  LaneId,
  WarpId,
  NWarpId,
  SmId,
  NSmId,
  GridId,
  LaneMaskEq,
  LaneMaskLe,
  LaneMaskLt,
  LaneMaskGe,
  LaneMaskGt,
  Clock,
  ClockHi,
  Clock64,
  GlobalTimer,
  GlobalTimerLo,
  GlobalTimerHi,
  DynamicSharedSize,
  TotalSharedSize,
  EnvReg,
  EnvReg2,
  Zero,
  One,
};

} // namespace pianola::ptx

#endif
