//===- Compile.cpp - From a model directory to a roll ---------------------===//

#include "lib/driver/Compile.h"
#include "dialects/schedule/Schedule.h"
#include "dialects/transformer/Transformer.h"
#include "lib/driver/DiagnosticText.h"
#include "lib/driver/KeptTypes.h"
#include "lib/driver/LoadModel.h"
#include "lib/driver/MemoryNeeds.h"
#include "lib/driver/Pipeline.h"
#include "lib/driver/Punch.h"
#include "lib/driver/WriteRoll.h"
#include "lib/encode/Budget.h"
#include "lib/encode/LeftOut.h"
#include "lib/encode/Pruned.h"
#include "lib/encode/TiedWeights.h"
#include "lib/encode/ZeroBlocks.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "targets/nvptx/Assemble.h"
#include "targets/nvptx/Machine.h"
#include "targets/nvptx/PtxCode.h"
#include <thread>

using namespace mlir;

namespace pianola {

// A token; as many as cost about what one does, for weights come from memory once; and a chunk of a
// prompt.
constexpr int64_t kUsualSlots[] = {1, 8, 64};

// The slots of a prompt's chunk share a block's memory with the ring: one key head of all of them
// may take half of it, or a third of one so wide that its queries take as much.
static int64_t chunkFor(ModuleOp module, tile::MachineAttr machine) {
  int64_t chunk = kUsualSlots[2];
  for (auto cache : module.getOps<transformer::CacheOp>()) {
    int64_t size = cache.getHeadSize(), part = size > 512 ? 3 : 2, least = size > 512 ? 8 : 16;
    while (chunk > least && chunk * size * 4 > machine.getRing() / part)
      chunk /= 2;
  }
  return chunk;
}

static llvm::Expected<llvm::SmallVector<int64_t>> slotsOf(const CompileOptions &options,
                                                          int64_t chunk = kUsualSlots[2]) {
  llvm::SmallVector<int64_t> slots(options.slots.empty() ? llvm::ArrayRef(kUsualSlots)
                                                         : llvm::ArrayRef(options.slots));
  if (options.slots.empty()) {
    slots.back() = chunk;
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  }
  llvm::sort(slots);
  if (slots.front() < 1 || slots.back() > kMostProgramSlots)
    return llvm::createStringError(
        "--slots " + llvm::Twine(slots.front() < 1 ? slots.front() : slots.back()) +
        ": a program has 1 to " + llvm::Twine(kMostProgramSlots) + " slots");
  // Above this, stages without inner products play slots in blocks.
  constexpr int64_t kBlock = 16;
  for (int64_t count : slots)
    if (count > kBlock && count % kBlock != 0)
      return llvm::createStringError("--slots " + llvm::Twine(count) + ": a program of more than " +
                                     llvm::Twine(kBlock) + " slots has a multiple of " +
                                     llvm::Twine(kBlock));
  if (auto twice = std::adjacent_find(slots.begin(), slots.end()); twice != slots.end())
    return llvm::createStringError("--slots: " + llvm::Twine(*twice) + " is there twice");
  if (slots.front() != 1)
    return llvm::createStringError("--slots: 1 is missing, which plays token after token");
  return slots;
}

static Proof proofOf(const CompileOptions &options, llvm::raw_ostream &notes) {
  if (!options.skipCheck)
    return Proof::Wanted;
  notes << "warning: --unsafe-skip-check: the schedule is not proven; whoever plays the roll may "
           "read and write what it should not\n";
  return Proof::Skipped;
}

static llvm::Expected<int64_t> checkMaxModelLen(const CompileOptions &options,
                                                const ModelConfig &config) {
  if (options.maxModelLen == 0)
    return config.maxPositions;
  if (options.maxModelLen < 1 || options.maxModelLen > config.maxPositions)
    return llvm::createStringError("--max-model-len " + llvm::Twine(options.maxModelLen) +
                                   ": the model has 1 to " + llvm::Twine(config.maxPositions) +
                                   " positions");
  return options.maxModelLen;
}

static void printNotes(const ImportNotes &found, llvm::raw_ostream &notes) {
  for (const std::string &tensor : found.unusedTensors)
    notes << "note: the model does not use tensor " << tensor << "\n";
  for (const std::string &remark : found.remarks)
    notes << "note: " << remark << "\n";
}

// With a budget nothing is decided yet.
static std::string weightSpec(const CompileOptions &options) {
  return !options.budget.empty() ? "" : !options.weights.empty() ? options.weights : "keep";
}

// What became of the weights, when all of them have been read.
static void printWeights(const CompileOptions &options, const LoadedModel &model, ModuleOp module,
                         llvm::raw_ostream &notes) {
  printKept(module, *model.weights, model.reencoded, notes);
  // What a GGUF file's types become by themselves is said by types.
  if (model.reencoded && !(options.weights.empty() && options.budget.empty())) {
    llvm::StringSet<> standing;
    for (auto op : module.getOps<transformer::WeightOp>())
      standing.insert(op.getTensor());
    model.reencoded->printErrors(notes, standing);
  }
}

// Of weights that are made up when a roll is played nothing is known; and what --weights keep names
// stands as it is, zeros and all.
static llvm::Error leaveOutZeros(const CompileOptions &options, LoadedModel &model) {
  if (options.weightsAtLoad || options.weights == "keep")
    return llvm::Error::success();
  if (llvm::Error error = findPruned(*model.module, *model.weights))
    return error;
  return findZeroBlocks(*model.module, *model.weights);
}

// Encodings within a budget, and codes on the activations of a text.
static llvm::Error encodeWeights(const CompileOptions &options, LoadedModel &model,
                                 Progress &progress) {
  std::optional<CalibrationText> text;
  if (!options.calibrate.empty()) {
    llvm::Expected<CalibrationText> read =
        readCalibrationText(options.calibrate, options.directory, model.config);
    if (!read)
      return read.takeError();
    text = std::move(*read);
  }
  if (!options.budget.empty()) {
    llvm::Expected<uint64_t> budget = parseBytes(options.budget);
    if (!budget)
      return budget.takeError();
    // What a matrix takes as it is, is less without zeros.
    if (llvm::Error error = leaveOutZeros(options, model))
      return error;
    llvm::Expected<llvm::StringMap<WeightEncoding>> chosen =
        encodeWithin(*budget, *model.module, *model.weights, text ? &*text : nullptr);
    if (!chosen)
      return chosen.takeError();
    reencode(model, [&](llvm::StringRef tensor) {
      auto it = chosen->find(tensor);
      return it == chosen->end() ? nullptr : &it->second;
    });
  } else if (text && !(model.reencoded && model.reencoded->hasCodes())) {
    return llvm::createStringError("--calibrate: no matrix becomes codes; give --weights, such as "
                                   "int4, or --budget");
  }
  if (!text || options.emit != Emit::Roll)
    return llvm::Error::success();
  return calibrate(*model.module, *model.reencoded, *text, progress);
}

static llvm::Error packWeights(const CompileOptions &options, LoadedModel &model,
                               llvm::raw_ostream &notes) {
  if (!options.weightsAtLoad)
    if (llvm::Error error = tieWeights(*model.module, *model.weights, notes))
      return error;
  if (llvm::Error error = leaveOutZeros(options, model))
    return error;
  if (model.reencoded)
    model.reencoded->forgetErrors();
  return llvm::Error::success();
}

// Slots of a program from which on its products take bf16; 0: none. Below this, weights that come
// from memory are the limit, and exact activations cost nothing; eight slots of them take a fifth
// longer than weights do.
static llvm::Expected<int64_t> narrowFrom(const CompileOptions &options) {
  constexpr int64_t kManySlots = 8;
  if (options.activations.empty() || options.activations == "f32")
    return 0;
  if (options.activations == "bf16")
    return kManySlots;
  return llvm::createStringError("--activations: expected f32 or bf16, found \"" +
                                 options.activations + "\"");
}

static llvm::Error checkWeightsAtLoad(const CompileOptions &options) {
  if (!options.weightsAtLoad)
    return llvm::Error::success();
  if (!options.seed || *options.seed > INT64_MAX)
    return llvm::createStringError(
        "--weights-at-load: expected --weights-from-seed of 0 to 2^63 - 1");
  if (!options.calibrate.empty() || !options.budget.empty())
    return llvm::createStringError(
        "--weights-at-load: there are no weights yet that --calibrate or "
        "--budget could look at");
  return llvm::Error::success();
}

// Contexts may be shorter than the model's: what cannot be is its weights.
static llvm::Error checkMemory(ModuleOp module, const DeviceRow &device, int64_t workers,
                               const CompileOptions &options) {
  MemoryNeeds needs = MemoryNeeds::of(module, workers, /*positions=*/64);
  if (needs.total() <= device.memoryBytes)
    return llvm::Error::success();
  return llvm::createStringError(options.directory + ": its weights take " +
                                 gigabytes(needs.weights) + ", and " + device.product.data() +
                                 " has " + gigabytes(device.memoryBytes) + " of memory" +
                                 (options.weights.empty() && options.budget.empty()
                                      ? "; --weights int4 would make them smaller"
                                      : ""));
}

// Of random bytes as scales of MXFP4 one in 256 is no number; as patterns they choose bytes of two
// numbers for one.
static llvm::Error checkMadeUp(ModuleOp module) {
  llvm::Error error = llvm::Error::success();
  module.walk([&](transformer::WeightOp op) {
    auto type = dyn_cast<encoding::ScaledType>(op.getEncoding());
    const char *what = nullptr;
    if (type && type.getScale() == encoding::Scale::E8M0)
      what = "scales that are powers of two";
    if (isa<encoding::TwoOfFourType>(op.getEncoding()))
      what = "patterns of two in four columns";
    if (what && !error)
      error =
          llvm::createStringError(llvm::Twine("--weights-at-load: ") + what +
                                  " cannot be made up, as " + op.getTensor() + " would need them");
  });
  return error;
}

static llvm::Error compileForDevice(const CompileOptions &options, const DeviceRow &device,
                                    Progress &progress, llvm::raw_ostream &text,
                                    llvm::raw_ostream &notes) {
  if (llvm::Error error = checkWeightsAtLoad(options))
    return error;
  if (!options.activations.empty() && options.activations != "f32")
    return llvm::createStringError("--activations " + options.activations +
                                   ": GPUs take activations as f32");
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<schedule::ScheduleDialect, tile::TileDialect>();
  DiagnosticText diagnostics(context);
  llvm::Expected<LoadedModel> model =
      loadModel(context, options.directory, options.seed, weightSpec(options), options.maxModelLen);
  if (!model)
    return model.takeError();
  printNotes(model->notes, notes);
  if (options.weightsAtLoad)
    if (llvm::Error error = checkMadeUp(*model->module))
      return error;
  llvm::Expected<int64_t> maxModelLen = checkMaxModelLen(options, model->config);
  if (!maxModelLen)
    return maxModelLen.takeError();
  if (llvm::Error error = encodeWeights(options, *model, progress))
    return error;
  ModelSummary summary = summarise(*model, *maxModelLen);
  if (llvm::Error error = packWeights(options, *model, notes))
    return error;
  tile::MachineAttr machine =
      machineFor(&context, device, options.workers ? options.workers : device.sms);
  llvm::Expected<llvm::SmallVector<int64_t>> slots =
      slotsOf(options, chunkFor(*model->module, machine));
  if (!slots)
    return slots.takeError();
  if (llvm::Error error = encodeContexts(*model->module, options.kv))
    return error;
  Proof proof = proofOf(options, notes);
  std::optional<PtxCode> code;
  while (!code) {
    OwningOpRef<ModuleOp> again = options.slots.empty() ? model->module->clone() : ModuleOp();
    ModuleOp module = *model->module;
    if (failed(runPipeline(module, machine, {*slots, 0, options.hiddenStates},
                           options.emit == Emit::Tile ? Phase::Tile : Phase::Schedule, proof)))
      return diagnostics.take(options.directory + ": cannot be scheduled");
    if (options.emit != Emit::Tile)
      if (llvm::Error error = checkMemory(module, device, machine.getWorkers(), options))
        return error;
    switch (options.emit) {
    case Emit::Tile:
    case Emit::Schedule:
      module.print(text);
      return llvm::Error::success();
    case Emit::Llvm:
      return emitPtxLlvm(module, device, text);
    default:
      break;
    }
    llvm::Expected<PtxCode> made = compilePtx(module, device);
    if (made) {
      code = std::move(*made);
      break;
    }
    bool isLargest = false;
    std::string problem;
    llvm::handleAllErrors(
        made.takeError(),
        [&](const NoRoomForRing &error) {
          isLargest = error.slots == slots->back();
          problem = error.message();
        },
        [&](const llvm::ErrorInfoBase &error) { problem = error.message(); });
    if (!again || slots->size() < 3 || !isLargest)
      return diagnostics.take(problem);
    notes << "note: programs of " << slots->back() << " slots need more memory than a block of "
          << device.product << " has: the largest has half as many\n";
    slots->back() /= 2;
    slots->erase(std::unique(slots->begin(), slots->end()), slots->end());
    model->module = std::move(again);
  }
  ModuleOp module = *model->module;
  printLeftOut(module, notes);
  if (options.emit == Emit::Ptx) {
    text << code->text;
    return llvm::Error::success();
  }
  RollCode rollCode = codeFor(device, *code);
  if (options.cubin) {
    llvm::Expected<std::vector<uint8_t>> cubin = assemble(code->text, device.capability, notes);
    if (!cubin)
      return cubin.takeError();
    rollCode.cubin = std::move(*cubin);
  }
  if (llvm::Error error =
          writeRoll(options, summary, machine, module, rollCode, *model->weights, progress, notes))
    return error;
  if (!options.weightsAtLoad)
    printWeights(options, *model, module, notes);
  return llvm::Error::success();
}

llvm::Error compile(const CompileOptions &options, Progress &progress, llvm::raw_ostream &text,
                    llvm::raw_ostream &notes) {
  if (const DeviceRow *device = findDevice(options.target))
    return compileForDevice(options, *device, progress, text, notes);
  if (options.cubin)
    return llvm::createStringError("--cubin: is for GPUs; give one as --target");
  if (options.weightsAtLoad)
    return llvm::createStringError("--weights-at-load: rolls for the host have their weights in "
                                   "them; give a GPU as --target");
  llvm::Expected<HostCpu> cpu = parseHostCpu(options.target);
  if (!cpu)
    return cpu.takeError();
  int64_t workers =
      options.workers ? options.workers : std::max<int64_t>(1, std::thread::hardware_concurrency());

  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<schedule::ScheduleDialect, tile::TileDialect>();
  DiagnosticText diagnostics(context);
  llvm::Expected<LoadedModel> model =
      loadModel(context, options.directory, options.seed, weightSpec(options), options.maxModelLen);
  if (!model)
    return model.takeError();
  printNotes(model->notes, notes);
  llvm::Expected<int64_t> maxModelLen = checkMaxModelLen(options, model->config);
  if (!maxModelLen)
    return maxModelLen.takeError();
  llvm::Expected<llvm::SmallVector<int64_t>> slots = slotsOf(options);
  if (!slots)
    return slots.takeError();
  llvm::Expected<int64_t> narrow = narrowFrom(options);
  if (!narrow)
    return narrow.takeError();
  if (llvm::Error error = encodeWeights(options, *model, progress))
    return error;
  ModelSummary summary = summarise(*model, *maxModelLen);
  if (llvm::Error error = packWeights(options, *model, notes))
    return error;
  ModuleOp module = *model->module;
  if (llvm::Error error = encodeContexts(module, options.kv))
    return error;
  if (options.emit == Emit::Transformer) {
    module.print(text);
    return llvm::Error::success();
  }

  tile::MachineAttr machine = machineFor(&context, *cpu, workers);
  Phase until = options.emit == Emit::Tile ? Phase::Tile : Phase::Schedule;
  if (failed(runPipeline(module, machine, {*slots, *narrow, options.hiddenStates}, until,
                         proofOf(options, notes))))
    return diagnostics.take(options.directory + ": cannot be scheduled");
  printLeftOut(module, notes);
  switch (options.emit) {
  case Emit::Tile:
  case Emit::Schedule:
    module.print(text);
    return llvm::Error::success();
  case Emit::Llvm:
    return emitHostLlvm(module, *cpu, text);
  case Emit::Assembly:
    return emitHostAssembly(module, *cpu, text);
  default:
    break;
  }
  llvm::Expected<HostImage> image = compileHost(module, *cpu);
  if (!image)
    return image.takeError();
  if (llvm::Error error = writeRoll(options, summary, machine, module, codeFor(*cpu, *image),
                                    *model->weights, progress, notes))
    return error;
  printWeights(options, *model, module, notes);
  return llvm::Error::success();
}

} // namespace pianola
