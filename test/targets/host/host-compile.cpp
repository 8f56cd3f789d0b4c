// host-compile.cpp - stages as text to code of the host target as text.
//
//   host-compile FILE [--target T] [--emit asm|llvm|parts|nothing] [--verify-diagnostics]
#include "dialects/tile/Tile.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "targets/host/HostCode.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace pianola;

static llvm::Error print(mlir::ModuleOp module, const std::string &target,
                         const std::string &form) {
  llvm::Expected<HostCpu> cpu = parseHostCpu(target);
  if (!cpu)
    return cpu.takeError();
  if (form == "asm")
    return emitHostAssembly(module, *cpu, llvm::outs());
  if (form == "llvm")
    return emitHostLlvm(module, *cpu, llvm::outs());
  llvm::Expected<HostImage> image = compileHost(module, *cpu);
  if (!image)
    return image.takeError();
  if (form == "parts") {
    for (const HostImage::Part &part : image->parts)
      llvm::outs() << part.name << "\n";
    llvm::outs() << "scratch " << image->scratch << "\n" << "features";
    for (const std::string &feature : image->features)
      llvm::outs() << " " << feature;
    llvm::outs() << "\n";
  }
  return llvm::Error::success();
}

int main(int argc, char **argv) {
  std::string file = "-", target = "x86-64-v3", form = "asm", message;
  bool verify = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--verify-diagnostics")
      verify = true;
    else if (argument == "--target" && i + 1 < argc)
      target = argv[++i];
    else if (argument == "--emit" && i + 1 < argc)
      form = argv[++i];
    else
      file = argument;
  }
  auto input = mlir::openInputFile(file, &message);
  if (!input) {
    llvm::errs() << message << "\n";
    return 1;
  }
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(input), llvm::SMLoc());
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  context.loadDialect<tile::TileDialect>();
  if (verify) {
    mlir::SourceMgrDiagnosticVerifierHandler handler(sources, &context);
    auto module = mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
    if (module)
      llvm::consumeError(print(*module, target, form));
    return failed(handler.verify());
  }
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
  if (!module)
    return 1;
  if (llvm::Error error = print(*module, target, form)) {
    llvm::errs() << "error: " << llvm::toString(std::move(error)) << "\n";
    return 1;
  }
  return 0;
}
