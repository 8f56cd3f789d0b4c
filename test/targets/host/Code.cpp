// Code.cpp - what an image is: whole, and the same every time.
#include "dialects/tile/Tile.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "test/targets/host/PlayedStage.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <gtest/gtest.h>

namespace pianola::test {
namespace {

// Every op, in two stages; context of bf16, so that rounding and pairs occur.
const char *kText = R"(
tile.stage @all(%x: !tile.buffer<64 x 64 x f32>, %c: !tile.context<1 x 64 x bf16>, %r: !tile.rotation<20>,
    %b: !tile.vector<blocks = 1, size = 64, pad = 64, per_tile = true>, %y: !tile.buffer<64 x 64 x bf16>,
    %e: !tile.table<rows = 99, columns = 64, column_pad = 64, tile_rows = 32, element = f16>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.gather %e scale = 2.0 : !tile.table<rows = 99, columns = 64, column_pad = 64, tile_rows = 32, element = f16> -> tensor<64x64xf32>
    %1 = tile.bias %0, %b : tensor<64x64xf32>, !tile.vector<blocks = 1, size = 64, pad = 64, per_tile = true>
    %2 = tile.rotate %1, %r groups = 1 : tensor<64x64xf32>, !tile.rotation<20>
    tile.append %2, %c key head affine_map<(t) -> (t)> : tensor<64x64xf32>, !tile.context<1 x 64 x bf16>
    tile.append %1, %c value head affine_map<(t) -> (t)> : tensor<64x64xf32>, !tile.context<1 x 64 x bf16>
    %3 = tile.attend %2, %c head affine_map<(t) -> (t)> scale = 0.1 window = 7 splits = 1 : tensor<64x64xf32>, !tile.context<1 x 64 x bf16> -> tensor<64x64xf32>
    %4 = tile.activate %3, %1 gelu : tensor<64x64xf32>
    %5 = tile.add %4, %2 : tensor<64x64xf32>
    tile.store %5, %y : tensor<64x64xf32>, !tile.buffer<64 x 64 x bf16>
  }
}
tile.stage @join(%p: !tile.buffer<64 x 64 x f32>, %s: !tile.buffer<64 x 32 x f32>, %y: !tile.buffer<64 x 32 x f32>,
    %n: !tile.vector<blocks = 1, size = 20, pad = 32, per_tile = false>,
    %w: !tile.matrix<rows = 30, row_pad = 32, blocks = 1, columns = 20, column_pad = 32, element = bf16>) {
  %a = tile.prologue {
    %0 = tile.load %p : !tile.buffer<64 x 64 x f32> -> tensor<64x64xf32>
    %1 = tile.load %s : !tile.buffer<64 x 32 x f32> -> tensor<64x32xf32>
    %2 = tile.combine %0, %1 heads = 1 group = 2 splits = 2 : tensor<64x64xf32>, tensor<64x32xf32> -> tensor<64x32xf32>
    %3 = tile.normalise %2, %n groups = 1 size = 20 eps = 1.0e-6 : tensor<64x32xf32>, !tile.vector<blocks = 1, size = 20, pad = 32, per_tile = false> -> tensor<64x32xf32>
    tile.yield %3 : tensor<64x32xf32>
  } : tensor<64x32xf32>
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.contract %w, %a : !tile.matrix<rows = 30, row_pad = 32, blocks = 1, columns = 20, column_pad = 32, element = bf16>, tensor<64x32xf32> -> tensor<64x32xf32>
    tile.store %0, %y : tensor<64x32xf32>, !tile.buffer<64 x 32 x f32>
  }
}
)";

HostImage imageOf(const std::string &target) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(kText, &context);
  llvm::Expected<HostImage> image = compileHost(*module, llvm::cantFail(parseHostCpu(target)));
  if (!image) {
    ADD_FAILURE() << target << ": " << llvm::toString(image.takeError());
    return {};
  }
  return std::move(*image);
}

// compileHost refuses any symbol from outside and any relocation that needs an address; so it is
// enough that every op compiles for every target.
TEST(HostImage, StandsByItself) {
  for (const char *target : {"x86-64-v3", "x86-64-v4", "x86-64-v4+avx512bf16"}) {
    HostImage image = imageOf(target);
    std::string names;
    for (const HostImage::Part &part : image.parts) {
      EXPECT_LT(part.entry, image.code.size());
      names += part.name + " ";
    }
    EXPECT_EQ(names, "all.0 join.prologue join.0 ") << target;
    EXPECT_LT(image.code.size(), 64u << 10) << target;
  }
}

TEST(HostImage, SameBytesEveryTime) {
  HostImage first = imageOf("x86-64-v4+avx512bf16"), again = imageOf("x86-64-v4+avx512bf16");
  EXPECT_EQ(first.code, again.code);
  EXPECT_EQ(first.scratch, again.scratch);
}

// The error of making an image of this LLVM IR's object, or what it has.
std::string imageOfIr(const std::string &text) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, diagnostic, context);
  if (!module)
    return "cannot parse: " + diagnostic.getMessage().str();
  std::string error, triple = "x86_64-unknown-linux-gnu";
  std::unique_ptr<llvm::TargetMachine> machine(
      llvm::TargetRegistry::lookupTarget(triple, error)
          ->createTargetMachine(triple, "x86-64", "", {}, llvm::Reloc::PIC_));
  module->setDataLayout(machine->createDataLayout());
  llvm::SmallString<0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager passes;
  machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile);
  passes.run(*module);
  llvm::Expected<HostImage> image = host::makeImage(object, {"part"});
  return image ? std::to_string(image->parts.size()) + " parts" : llvm::toString(image.takeError());
}

TEST(HostImage, NamesWhatIsMissing) {
  EXPECT_EQ(imageOfIr("define void @part() nounwind { ret void }"), "1 parts");
  EXPECT_EQ(imageOfIr("declare float @expf(float)\n"
                      "define float @part(float %x) nounwind {\n"
                      "  %y = call float @expf(float %x)\n  %z = fadd float %y, %x\n"
                      "  ret float %z\n}"),
            "generated code refers to expf, which is not part of it");
  EXPECT_EQ(imageOfIr("@state = internal global i32 7\n"
                      "define i32 @part() nounwind {\n  %x = load i32, ptr @state\n"
                      "  store i32 8, ptr @state\n  ret i32 %x\n}"),
            "generated code has a writable section .data");
  // An address in a constant would have to be filled in where the image is mapped.
  std::string table =
      imageOfIr("@table = internal constant [2 x ptr] [ptr @part, ptr @part]\n"
                "define ptr @part(i64 %i) nounwind {\n"
                "  %at = getelementptr ptr, ptr @table, i64 %i\n  %x = load ptr, ptr %at\n"
                "  ret ptr %x\n}");
  EXPECT_TRUE(llvm::StringRef(table).starts_with("generated code has a ")) << table;
}

} // namespace
} // namespace pianola::test
