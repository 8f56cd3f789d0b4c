//===- HostCpu.h - Which CPU the host target compiles for -------*- C++ -*-===//
#ifndef PIANOLA_TARGETS_HOST_HOSTCPU_H
#define PIANOLA_TARGETS_HOST_HOSTCPU_H

#include "dialects/tile/Tile.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace pianola {

/// An x86-64 CPU by its features, as LLVM spells them, sorted: "avx2", "avx512bf16", ... A roll
/// needs all of them to be played.
struct HostCpu {
  std::vector<std::string> features;

  bool has(llvm::StringRef feature) const;
  /// 512-bit vectors.
  bool hasAvx512() const { return has("avx512vl") && has("avx512bw"); }
  /// Pairwise products of bf16.
  bool hasBf16Products() const { return hasAvx512() && has("avx512bf16"); }
  /// Products of unsigned by signed bytes, four at a time.
  bool hasByteProducts() const { return hasAvx512() && has("avx512vnni"); }
  /// Products of bf16 in tiles.
  bool hasTileProducts() const { return hasBf16Products() && has("amx-bf16"); }
  /// Products of bytes in tiles.
  bool hasByteTiles() const { return hasByteProducts() && has("amx-int8"); }
  bool hasTiles() const { return hasTileProducts() || hasByteTiles(); }
};

/// "host" (this machine's CPU), "x86-64-v3" or "x86-64-v4", followed by any number of "+feature"
/// and "-feature", which count in order. Features that the code generator does not use are left
/// out, and AVX-512 altogether if a part of it is missing; "+avx512bf16" and "+avx512vnni" bring
/// the AVX-512 that they need, "+amx-bf16" the former and amx-tile, "+amx-int8" the latter and
/// amx-tile. An error names what is known.
llvm::Expected<HostCpu> parseHostCpu(llvm::StringRef text);

/// The machine that passes see. Activations are f32 everywhere: where products are of bf16, the
/// code takes an activation as the sum of two bf16 numbers (see Form), which is as quick as
/// products of f32. Bandwidth and peak are those of one core of a server of 2024 (20 GB/s streamed
/// by one core; 120 GFLOP/s with AVX-512, 60 with AVX2, about half of what Zen 5 reaches at 4.1
/// GHz; 500 with AMX, half of what 1024 a cycle are for split activations at 2 GHz, where bytes
/// would be twice as quick) times workers: estimates for the schedule, which `pianola bench`
/// replaces by measurements.
tile::MachineAttr machineFor(mlir::MLIRContext *context, const HostCpu &cpu, int64_t workers);

} // namespace pianola

#endif
