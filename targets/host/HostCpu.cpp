//===- HostCpu.cpp - Which CPU the host target compiles for ---------------===//

#include "targets/host/HostCpu.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Errc.h"
#include "llvm/TargetParser/Host.h"
#include <set>

namespace pianola {

// What generated code uses: two levels, each of which is there as a whole or not at all; products
// of bf16 and of bytes beside the upper one; and either in tiles. Other features of these CPUs may
// be named, and change nothing: a roll must not ask for what it does not use.
static constexpr llvm::StringLiteral kLevel3[] = {"avx",  "avx2", "bmi",   "bmi2",
                                                  "f16c", "fma",  "popcnt"};
static constexpr llvm::StringLiteral kLevel4[] = {"avx512bw", "avx512dq", "avx512f", "avx512vl"};
static constexpr llvm::StringLiteral kBf16 = "avx512bf16";
static constexpr llvm::StringLiteral kVnni = "avx512vnni";
static constexpr llvm::StringLiteral kTiles = "amx-tile";
static constexpr llvm::StringLiteral kTilesOfBf16 = "amx-bf16";
static constexpr llvm::StringLiteral kTilesOfBytes = "amx-int8";
static constexpr llvm::StringLiteral kUnused[] = {"avx512cd", "avxvnni"};

bool HostCpu::has(llvm::StringRef feature) const {
  return std::binary_search(features.begin(), features.end(), feature.str());
}

static llvm::Error refuse(const llvm::Twine &message) {
  return llvm::createStringError(llvm::errc::invalid_argument, message);
}

llvm::Expected<HostCpu> parseHostCpu(llvm::StringRef text) {
  std::set<std::string> known, features;
  for (auto list : {llvm::ArrayRef(kLevel3), llvm::ArrayRef(kLevel4), llvm::ArrayRef(kBf16),
                    llvm::ArrayRef(kVnni), llvm::ArrayRef(kTiles), llvm::ArrayRef(kTilesOfBf16),
                    llvm::ArrayRef(kTilesOfBytes), llvm::ArrayRef(kUnused)})
    for (llvm::StringRef feature : list)
      known.insert(feature.str());

  llvm::StringRef base, rest = text;
  for (llvm::StringRef name : {"host", "x86-64-v3", "x86-64-v4"})
    if (text.starts_with(name) &&
        (text.size() == name.size() || text[name.size()] == '+' || text[name.size()] == '-')) {
      base = name;
      rest = text.substr(name.size());
    }
  if (base == "host") {
    llvm::StringMap<bool> here = llvm::sys::getHostCPUFeatures();
    for (const std::string &feature : known)
      if (here.lookup(feature))
        features.insert(feature);
  } else if (base == "x86-64-v3" || base == "x86-64-v4") {
    features.insert(std::begin(kLevel3), std::end(kLevel3));
    if (base == "x86-64-v4")
      features.insert(std::begin(kLevel4), std::end(kLevel4));
  } else {
    return refuse("target \"" + text +
                  "\": unknown; known are host, x86-64-v3 and x86-64-v4, each with +feature or "
                  "-feature");
  }
  while (!rest.empty()) {
    bool add = rest.front() == '+';
    rest = rest.drop_front();
    // Features have minus signs of their own: the longest known name counts.
    std::string name;
    for (const std::string &candidate : known)
      if (rest.starts_with(candidate) && candidate.size() > name.size() &&
          (rest.size() == candidate.size() || rest[candidate.size()] == '+' ||
           rest[candidate.size()] == '-'))
        name = candidate;
    if (name.empty())
      return refuse("target \"" + text + "\": unknown feature \"" +
                    rest.take_until([](char c) { return c == '+'; }) + "\"; known are " +
                    llvm::join(known, ", "));
    if (add)
      features.insert(name);
    else
      features.erase(name);
    // Each is nothing without what is below it.
    bool bf16Tiles = name == kTilesOfBf16, byteTiles = name == kTilesOfBytes;
    if (add && (bf16Tiles || byteTiles)) {
      features.insert(kTiles.str());
      features.insert((bf16Tiles ? kBf16 : kVnni).str());
    }
    if (add && (bf16Tiles || byteTiles || name == kBf16 || name == kVnni))
      features.insert(std::begin(kLevel4), std::end(kLevel4));
    rest = rest.drop_front(name.size());
  }
  for (llvm::StringRef feature : kLevel3)
    if (!features.count(feature.str()))
      return refuse("target \"" + text + "\": has no " + feature +
                    "; the least that code is made for is x86-64-v3");
  auto has = [&](llvm::StringRef feature) { return features.count(feature.str()) != 0; };
  if (!llvm::all_of(kLevel4, has)) {
    for (llvm::StringRef feature : kLevel4)
      features.erase(feature.str());
    features.erase(kBf16.str());
    features.erase(kVnni.str());
  }
  if (!has(kBf16) || !has(kTiles))
    features.erase(kTilesOfBf16.str());
  if (!has(kVnni) || !has(kTiles))
    features.erase(kTilesOfBytes.str());
  if (!has(kTilesOfBf16) && !has(kTilesOfBytes))
    features.erase(kTiles.str());
  for (llvm::StringRef feature : kUnused)
    features.erase(feature.str());
  HostCpu cpu;
  cpu.features.assign(features.begin(), features.end());
  return cpu;
}

tile::MachineAttr machineFor(mlir::MLIRContext *context, const HostCpu &cpu, int64_t workers) {
  int64_t peak = cpu.hasTiles() ? 500 : cpu.hasAvx512() ? 120 : 60;
  return tile::MachineAttr::get(context, "host", workers, mlir::Float32Type::get(context),
                                /*ring=*/0,
                                /*scratch=*/int64_t(64) << 20, 20000 * workers, peak * workers,
                                /*event=*/300, /*step=*/200, /*rows=*/0, /*panel=*/0,
                                /*chunk=*/0, /*consume=*/0, /*cache=*/0, /*loops=*/false,
                                /*waits=*/0, /*port=*/0, /*early=*/0, /*warps=*/1,
                                /*codes=*/true, /*unpack=*/0);
}

} // namespace pianola
