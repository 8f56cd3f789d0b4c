//===- KernelFunctions.cpp - Functions that all parts share ---------------===//

#include "targets/host/KernelFunctions.h"

using namespace mlir;

namespace pianola::host {

void KernelFunctions::call(Emitter &emit, const std::string &name, ValueRange arguments,
                           llvm::function_ref<void(Emitter &, ValueRange)> write) {
  func::FuncOp &function = functions[name];
  if (!function) {
    Location loc = module.getLoc();
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    function =
        builder.create<func::FuncOp>(loc, name, builder.getFunctionType(arguments.getTypes(), {}));
    function->setAttr("llvm.linkage",
                      LLVM::LinkageAttr::get(builder.getContext(), LLVM::Linkage::Internal));
    function->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    Emitter inside(builder, loc, cpu);
    write(inside, function.getArguments());
    builder.create<func::ReturnOp>(loc);
  }
  emit.builder.create<func::CallOp>(emit.loc, function, arguments);
}

} // namespace pianola::host
