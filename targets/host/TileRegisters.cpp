//===- TileRegisters.cpp - The eight tiles of AMX -------------------------===//

#include "targets/host/TileRegisters.h"

using namespace mlir;

namespace pianola::host {

static void call(Emitter &e, StringRef name, ArrayRef<Value> arguments) {
  e.builder.create<LLVM::CallIntrinsicOp>(e.loc, TypeRange(), ("llvm.x86." + name).str(),
                                          arguments);
}

static Value tileNumber(Emitter &e, int64_t number) {
  return e.builder.create<arith::ConstantOp>(e.loc, e.builder.getI8IntegerAttr(number));
}

// Palette 1: eight tiles of up to 16 rows of 64 bytes.
static LLVM::GlobalOp makeConfiguration(Emitter &e, ModuleOp module, TileShape shape) {
  StringRef name = shape == TileShape::Full ? "tile.configuration" : "tile.configuration.half";
  if (auto global = module.lookupSymbol<LLVM::GlobalOp>(name))
    return global;
  std::string bytes(64, '\0');
  bytes[0] = 1;
  auto set = [&](int64_t tile, int64_t rows, int64_t rowBytes) {
    bytes[16 + 2 * tile] = static_cast<char>(rowBytes); // in 16 bits
    bytes[48 + tile] = static_cast<char>(rows);
  };
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t rows = 0; rows < 2; ++rows)
      set(sumsOf(i, rows), kTileSide, 64);
    set(weightsOf(i), tileRowBytes(shape) / 4, 64);
    set(activationsOf(i), kTileSide, tileRowBytes(shape));
  }
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(module.getBody());
  Type type = LLVM::LLVMArrayType::get(e.builder.getI8Type(), bytes.size());
  return e.builder.create<LLVM::GlobalOp>(e.loc, type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                          name, e.builder.getStringAttr(bytes), /*alignment=*/64);
}

Value findConfiguration(Emitter &e, TileShape shape) {
  auto module = e.builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  return e.builder.create<LLVM::AddressOfOp>(e.loc, makeConfiguration(e, module, shape));
}

void configureTiles(Emitter &e, Value configuration) { call(e, "ldtilecfg", configuration); }

void releaseTiles(Emitter &e) { call(e, "tilerelease", {}); }

void zeroTile(Emitter &e, int64_t tile) { call(e, "tilezero", tileNumber(e, tile)); }

void loadTile(Emitter &e, int64_t tile, Value from, Value stride) {
  call(e, "tileloadd64", {tileNumber(e, tile), from, stride});
}

void passTile(Emitter &e, int64_t tile, Value from, Value stride) {
  call(e, "tileloaddt164", {tileNumber(e, tile), from, stride});
}

void storeTile(Emitter &e, int64_t tile, Value to, Value stride) {
  call(e, "tilestored64", {tileNumber(e, tile), to, stride});
}

void multiplyTiles(Emitter &e, StringRef name, int64_t sums, int64_t activations, int64_t weights) {
  call(e, name, {tileNumber(e, sums), tileNumber(e, activations), tileNumber(e, weights)});
}

} // namespace pianola::host
