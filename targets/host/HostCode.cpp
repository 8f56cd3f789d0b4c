//===- HostCode.cpp - From stages to machine code -------------------------===//

#include "targets/host/HostCode.h"
#include "dialects/tile/Tile.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

namespace pianola {

namespace {

constexpr llvm::StringLiteral kTriple = "x86_64-unknown-linux-gnu";

struct Compiled {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  uint64_t scratch;
};

std::unique_ptr<llvm::TargetMachine> createMachine(const HostCpu &cpu) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  std::string error, features;
  for (const std::string &feature : cpu.features)
    features += (features.empty() ? "+" : ",+") + feature;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(kTriple.str(), error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      kTriple, "x86-64", features, llvm::TargetOptions(), llvm::Reloc::PIC_, llvm::CodeModel::Small,
      llvm::CodeGenOptLevel::Aggressive));
}

// What all functions say: full vectors, and nothing that needs a library or an address table.
void setAttributes(llvm::Module &module, llvm::TargetMachine &machine) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.setDSOLocal(true);
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("no-builtins");
    function.addFnAttr("no-jump-tables", "true");
    function.addFnAttr("prefer-vector-width", "512");
    function.addFnAttr("min-legal-vector-width", "512");
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    if (function.hasLocalLinkage())
      continue;
    function.addParamAttr(0, llvm::Attribute::NoAlias); // the call
    function.addParamAttr(0, llvm::Attribute::ReadOnly);
  }
}

void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false; // what should be vectors is
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  // A loop that copies must stay a loop: there is no memcpy to call.
  auto library = std::make_unique<llvm::TargetLibraryInfoImpl>(machine.getTargetTriple());
  library->disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(*library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

llvm::Expected<Compiled> compileModule(mlir::ModuleOp module, const HostCpu &cpu) {
  llvm::Expected<host::LoweredStages> lowered = host::lowerStages(module, cpu);
  if (!lowered)
    return lowered.takeError();
  if (auto machine = module->getAttrOfType<tile::MachineAttr>("tile.machine");
      machine && lowered->scratch > static_cast<uint64_t>(machine.getScratch()))
    return llvm::createStringError(
        llvm::inconvertibleErrorCode(), "a stage needs %llu bytes of scratch; the machine has %lld",
        (unsigned long long)lowered->scratch, (long long)machine.getScratch());
  Compiled compiled;
  compiled.scratch = lowered->scratch;
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  compiled.context = std::make_unique<llvm::LLVMContext>();
  compiled.module = mlir::translateModuleToLLVMIR(*lowered->module, *compiled.context, "pianola");
  compiled.machine = createMachine(cpu);
  if (!compiled.module || !compiled.machine)
    return llvm::createStringError("LLVM cannot make code for " + kTriple);
  compiled.module->setTargetTriple(kTriple);
  compiled.module->setDataLayout(compiled.machine->createDataLayout());
  compiled.module->setPICLevel(llvm::PICLevel::BigPIC);
  setAttributes(*compiled.module, *compiled.machine);
  optimise(*compiled.module, *compiled.machine);
  return compiled;
}

llvm::Error generate(Compiled &compiled, llvm::CodeGenFileType type,
                     llvm::SmallVectorImpl<char> &out) {
  llvm::raw_svector_ostream stream(out);
  llvm::legacy::PassManager passes;
  if (compiled.machine->addPassesToEmitFile(passes, stream, nullptr, type))
    return llvm::createStringError("LLVM cannot emit this kind of file");
  passes.run(*compiled.module);
  return llvm::Error::success();
}

// LLVM takes tiles nowhere by itself, so they are used where their intrinsics are declared.
std::vector<std::string> featuresOf(const llvm::Module &module, const HostCpu &cpu) {
  std::vector<std::string> features;
  for (const std::string &feature : cpu.features) {
    llvm::StringRef use = llvm::StringSwitch<llvm::StringRef>(feature)
                              .Case("amx-tile", "llvm.x86.ldtilecfg")
                              .Case("amx-bf16", "llvm.x86.tdpbf16ps")
                              .Case("amx-int8", "llvm.x86.tdpbs")
                              .Default("");
    if (llvm::any_of(module, [&](const llvm::Function &function) {
          return function.getName().starts_with(use);
        }))
      features.push_back(feature);
  }
  return features;
}

} // namespace

llvm::Expected<HostImage> compileHost(mlir::ModuleOp module, const HostCpu &cpu) {
  llvm::Expected<Compiled> compiled = compileModule(module, cpu);
  if (!compiled)
    return compiled.takeError();
  std::vector<std::string> parts;
  for (const llvm::Function &function : *compiled->module)
    if (!function.isDeclaration() && !function.hasLocalLinkage())
      parts.push_back(function.getName().str());
  llvm::SmallString<0> object;
  if (llvm::Error error = generate(*compiled, llvm::CodeGenFileType::ObjectFile, object))
    return std::move(error);
  llvm::Expected<HostImage> image = host::makeImage(object, parts);
  if (image) {
    image->scratch = compiled->scratch;
    image->features = featuresOf(*compiled->module, cpu);
  }
  return image;
}

llvm::Error emitHostLlvm(mlir::ModuleOp module, const HostCpu &cpu, llvm::raw_ostream &out) {
  llvm::Expected<Compiled> compiled = compileModule(module, cpu);
  if (!compiled)
    return compiled.takeError();
  out << *compiled->module;
  return llvm::Error::success();
}

llvm::Error emitHostAssembly(mlir::ModuleOp module, const HostCpu &cpu, llvm::raw_ostream &out) {
  llvm::Expected<Compiled> compiled = compileModule(module, cpu);
  if (!compiled)
    return compiled.takeError();
  llvm::SmallString<0> text;
  if (llvm::Error error = generate(*compiled, llvm::CodeGenFileType::AssemblyFile, text))
    return error;
  out << text;
  return llvm::Error::success();
}

} // namespace pianola
