//===- PtxCode.cpp - From programs to PTX ---------------------------------===//

#include "targets/nvptx/PtxCode.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/InferAlignment.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

namespace pianola {

namespace {

constexpr llvm::StringLiteral kTriple = "nvptx64-nvidia-cuda";

// Newer chips than sm_90 play sm_90's code: LLVM 19 knows none, and what is used here is portable.
llvm::StringRef chipFor(const nvptx::KernelShape &shape) { return shape.bulk ? "sm_90" : "sm_80"; }

std::unique_ptr<llvm::TargetMachine> createMachine(llvm::StringRef chip) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  // Shared memory has addresses of 32 bits; LLVM has no other switch for it.
  auto &options = llvm::cl::getRegisteredOptions();
  if (auto found = options.find("nvptx-short-ptr"); found != options.end())
    static_cast<llvm::cl::opt<bool> *>(found->second)->setValue(true);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(kTriple.str(), error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(kTriple, chip, "+ptx80", llvm::TargetOptions(), std::nullopt,
                                  std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

// Kernels call nothing, and what should be unrolled or vectors is: of LLVM's passes those remain
// that make addresses and loops simple. The whole of -O2 takes three times as long, and what it
// hoists out of loops the persistent kernel then holds in registers that it does not have: with it
// ptxas spills in gpt-oss-20b's for an H200, without it not.
void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);

  llvm::LoopPassManager loop;
  loop.addPass(llvm::LoopRotatePass());
  loop.addPass(llvm::IndVarSimplifyPass());
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loop)));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::InferAlignmentPass()); // wide loads are made of narrow ones by it
  passes.addPass(llvm::SimplifyCFGPass());
  llvm::ModulePassManager whole;
  whole.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(passes)));
  whole.run(module, modules);
}

// What should be unrolled is; ptxas would unroll more, until a kernel's registers do not suffice.
void keepLoops(llvm::Module &module) {
  llvm::LLVMContext &context = module.getContext();
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    llvm::DominatorTree tree(function);
    llvm::LoopInfo loops(tree);
    for (llvm::Loop *loop : loops.getLoopsInPreorder())
      loop->setLoopID(llvm::makePostTransformationMetadata(
          context, loop->getLoopID(), {"llvm.loop.unroll."},
          {llvm::MDNode::get(context, llvm::MDString::get(context, "llvm.loop.unroll.disable"))}));
  }
}

struct Compiled {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::vector<PtxProgram> programs;
};

llvm::Expected<Compiled> compileModule(mlir::ModuleOp module, const nvptx::KernelShape &shape) {
  llvm::Expected<nvptx::LoweredPrograms> lowered = nvptx::lowerPrograms(module, shape);
  if (!lowered)
    return lowered.takeError();
  Compiled compiled;
  compiled.programs = std::move(lowered->programs);
  compiled.machine = createMachine(chipFor(shape));
  if (!compiled.machine)
    return llvm::createStringError("LLVM cannot make code for " + kTriple);
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  mlir::registerNVVMDialectTranslation(*module.getContext());
  compiled.context = std::make_unique<llvm::LLVMContext>();
  compiled.module = mlir::translateModuleToLLVMIR(*lowered->module, *compiled.context, "pianola");
  if (!compiled.module)
    return llvm::createStringError("the kernels cannot be translated to LLVM IR");
  compiled.module->setTargetTriple(kTriple);
  compiled.module->setDataLayout(compiled.machine->createDataLayout());
  optimise(*compiled.module, *compiled.machine);
  keepLoops(*compiled.module);
  return compiled;
}

} // namespace

nvptx::KernelShape nvptx::shapeFor(const DeviceRow &device) {
  KernelShape shape;
  shape.shared = device.sharedPerBlock;
  shape.bulk = device.capability >= 90;
  return shape;
}

llvm::Expected<PtxCode> compilePtx(mlir::ModuleOp module, const DeviceRow &device) {
  nvptx::KernelShape shape = nvptx::shapeFor(device);
  llvm::Expected<Compiled> compiled = compileModule(module, shape);
  if (!compiled)
    return compiled.takeError();
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  for (const PtxProgram &program : compiled->programs)
    stream << "// " << program.name << ": " << program.threads << " threads, " << program.shared
           << " bytes of shared memory, of these a ring of " << program.slots << " x "
           << program.chunk << "\n";
  llvm::legacy::PassManager passes;
  if (compiled->machine->addPassesToEmitFile(passes, stream, nullptr,
                                             llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM cannot emit PTX");
  passes.run(*compiled->module);
  return PtxCode{text.str().str(), chipFor(shape).str(), std::move(compiled->programs)};
}

llvm::Error emitPtxLlvm(mlir::ModuleOp module, const DeviceRow &device, llvm::raw_ostream &out) {
  llvm::Expected<Compiled> compiled = compileModule(module, nvptx::shapeFor(device));
  if (!compiled)
    return compiled.takeError();
  out << *compiled->module;
  return llvm::Error::success();
}

} // namespace pianola
