//===- LowerPrograms.cpp - Kernels of the LLVM dialect --------------------===//

#include "dialects/schedule/Schedule.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "targets/nvptx/PtxCode.h"
#include "targets/nvptx/Stage.h"
#include "targets/nvptx/WeightPanels.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include <cstddef>

using namespace mlir;

namespace pianola {
char NoRoomForRing::ID = 0;
} // namespace pianola

namespace pianola::nvptx {

namespace {

constexpr StringLiteral kMemoryName = "pianola_memory";

// Names of PTX have no dots.
std::string entryOf(StringRef name) {
  std::string entry = name.str();
  std::replace(entry.begin(), entry.end(), '.', '$');
  return entry;
}

bool isSample(tile::StageOp stage) {
  return stage.walk([](tile::SampleOp) { return WalkResult::interrupt(); }).wasInterrupted();
}

// All kernels of one program.
class ProgramLowering {
public:
  ProgramLowering(schedule::ProgramOp program, const KernelShape &device, OpBuilder &builder)
      : program(program), builder(builder) {
    bool hasExperts = false;
    for (schedule::StepOp step : program.getSteps())
      stages.insert(step.getStageOp());
    auto matrixOf = [](Type type) {
      auto pool = dyn_cast<tile::PoolType>(type);
      return pool ? pool.getMatrix() : dyn_cast<tile::MatrixType>(type);
    };
    for (tile::StageOp stage : stages)
      hasExperts |= llvm::any_of(stage.getBody().getArgumentTypes(),
                                 [](Type type) { return isa<tile::PoolType>(type); });
    shape = device.forSlots(program.getSlots(), hasExperts);
    for (tile::StageOp stage : stages)
      for (Type type : stage.getBody().getArgumentTypes())
        if (tile::MatrixType matrix = matrixOf(type)) {
          shape.aligned &= matrix.isPlain();
          shape.mirror = std::max({shape.mirror, matrix.getFirstPanel(),
                                   panelsTogether(shape, matrix) * matrix.getPanelBytes()});
        }
    shape.mirror = shape.aligned ? 0 : (shape.mirror + 127) / 128 * 128;
  }

  llvm::Expected<PtxProgram> run() {
    PtxProgram result;
    result.name = program.getSymName().str();
    result.entry = entryOf(result.name);
    persistent(result.entry);
    for (tile::StageOp stage : stages) {
      result.stages.push_back({stage.getSymName().str(), entryOf(stage.getSymName().str())});
      single(stage, result.stages.back().entry);
    }
    int64_t begin = (kScratchAt + scratch + 127) / 128 * 128;
    // Each loader has a ring; that of experts comes second.
    int64_t rings = shape.loaders, mirrors = rings * shape.mirror;
    int64_t slots = std::min(kMostSlots, (shape.shared - begin - mirrors) / shape.chunk);
    if (slots < 2 * rings)
      return llvm::make_error<NoRoomForRing>(
          program.getSlots(), "program " + result.name + ": its stages need " +
                                  llvm::Twine(begin + mirrors) +
                                  " bytes of shared memory besides " + llvm::Twine(2 * rings) +
                                  " slots of " + llvm::Twine(shape.chunk) +
                                  " bytes for weights; a block has " + llvm::Twine(shape.shared));
    int64_t ofTape = slots - slots / 2 * (rings - 1);
    int64_t behind = begin + ofTape * shape.chunk + shape.mirror;
    for (std::unique_ptr<Kernel> &kernel : kernels) {
      kernel->ring.setPlace(begin, 0, ofTape);
      if (kernel->pieces)
        kernel->pieces->setPlace(behind, ofTape, slots - ofTape);
    }
    result.threads = shape.threads();
    result.chunk = shape.chunk;
    result.slots = slots;
    result.shared = begin + slots * shape.chunk + mirrors;
    return result;
  }

private:
  Kernel &open(StringRef entry) {
    func::FuncOp function = createKernel(builder, program.getLoc(), entry);
    Value memory = builder.create<LLVM::AddressOfOp>(
        program.getLoc(), LLVM::LLVMPointerType::get(builder.getContext(), 3), kMemoryName);
    kernels.push_back(std::make_unique<Kernel>(builder, program.getLoc(), shape, memory,
                                               function.getArguments()));
    return *kernels.back();
  }

  void play(Kernel &kernel, tile::StageOp stage) {
    StageEmitter emitter(kernel, stage);
    emitter.lower();
    scratch = std::max(scratch, emitter.scratchBytes());
  }

  void persistent(StringRef entry) {
    OpBuilder::InsertionGuard guard(builder);
    Kernel &kernel = open(entry);
    kernel.emitPersistent(program.getLoops(), [&] {
      Value wanted = kernel.field(kernel.i32(), kernel.card, offsetof(PianolaCudaCard, stage));
      for (auto [number, stage] : llvm::enumerate(stages)) {
        // Nothing is chosen in a program that does not loop: who wants a token launches the stage.
        if (!program.getLoops() && isSample(stage))
          continue;
        kernel.when(kernel.equal(wanted, number), [&, stage = stage] { play(kernel, stage); });
      }
    });
    builder.create<func::ReturnOp>(program.getLoc());
  }

  void single(tile::StageOp stage, StringRef entry) {
    OpBuilder::InsertionGuard guard(builder);
    Kernel &kernel = open(entry);
    kernel.emitStage([&] { play(kernel, stage); });
    builder.create<func::ReturnOp>(program.getLoc());
  }

  schedule::ProgramOp program;
  KernelShape shape;
  OpBuilder &builder;
  llvm::SetVector<tile::StageOp> stages;
  std::vector<std::unique_ptr<Kernel>> kernels;
  int64_t scratch = 0;
};

} // namespace

llvm::Expected<LoweredPrograms> lowerPrograms(ModuleOp module, const KernelShape &shape) {
  MLIRContext *context = module.getContext();
  context->loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, NVVM::NVVMDialect,
                       scf::SCFDialect>();
  bool fits = true;
  for (tile::StageOp stage : module.getOps<tile::StageOp>())
    fits &= succeeded(checkStage(stage, shape));
  if (!fits)
    return llvm::createStringError("the nvptx target cannot make code for these stages");

  LoweredPrograms lowered;
  lowered.module = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(lowered.module->getBody());
  builder.create<LLVM::GlobalOp>(module.getLoc(), LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
                                 /*isConstant=*/false, LLVM::Linkage::External, kMemoryName,
                                 Attribute(), /*alignment=*/1024, /*addrSpace=*/3);
  for (schedule::ProgramOp program : module.getOps<schedule::ProgramOp>()) {
    llvm::Expected<PtxProgram> result = ProgramLowering(program, shape, builder).run();
    if (!result)
      return result.takeError();
    lowered.programs.push_back(std::move(*result));
  }

  PassManager passes(context);
  passes.addPass(createCSEPass());
  passes.addPass(createConvertSCFToCFPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  if (failed(passes.run(*lowered.module)))
    return llvm::createStringError("the kernels cannot be lowered to the LLVM dialect");
  llvm::StringMap<int64_t> threads;
  for (const PtxProgram &program : lowered.programs) {
    threads[program.entry] = program.threads;
    for (const PtxProgram::Stage &stage : program.stages)
      threads[stage.entry] = program.threads;
  }
  for (auto kernel : lowered.module->getOps<LLVM::LLVMFuncOp>()) {
    kernel->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
    kernel->setAttr(
        NVVM::NVVMDialect::getMaxntidAttrName(),
        builder.getDenseI32ArrayAttr({static_cast<int32_t>(threads.lookup(kernel.getSymName()))}));
    // One block has a whole SM: registers need not be saved for others.
    kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), builder.getI32IntegerAttr(1));
  }
  return lowered;
}

} // namespace pianola::nvptx
