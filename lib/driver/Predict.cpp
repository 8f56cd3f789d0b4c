//===- Predict.cpp - How fast a model will be on a GPU --------------------===//

#include "lib/driver/Predict.h"
#include "lib/checkpoint/GgufFile.h"
#include "lib/driver/DiagnosticText.h"
#include "lib/driver/LoadModel.h"
#include "lib/driver/Pipeline.h"
#include "lib/driver/WriteRoll.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/timeline/StageKind.h"
#include "targets/nvptx/Machine.h"

using namespace mlir;

namespace pianola {

static std::vector<PredictedStep> stepsOf(schedule::ProgramOp program, int64_t workers) {
  std::vector<PredictedStep> steps;
  for (schedule::StepOp step : program.getSteps()) {
    PredictedStep &to = steps.emplace_back();
    to.label = step.getLabel().str();
    to.kind = stageKind(to.label);
    for (int64_t w = 0; w < workers; ++w)
      to.tiles.push_back(step.getTilesOf(w).size());
  }
  return steps;
}

llvm::Expected<Prediction> predict(const PredictOptions &options) {
  const DeviceRow *device = findDevice(options.target);
  if (!device)
    return llvm::createStringError("--target " + options.target +
                                   ": no such GPU; --target list names those there are");
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<schedule::ScheduleDialect, tile::TileDialect>();
  DiagnosticText diagnostics(context);
  // A directory need not have its weights; a GGUF file does, and says their types.
  std::optional<uint64_t> seed;
  if (!isGguf(options.directory))
    seed = 0;
  llvm::Expected<LoadedModel> model = loadModel(context, options.directory, seed,
                                                options.weights.empty() ? "keep" : options.weights);
  if (!model)
    return model.takeError();
  if (options.positions > model->config.maxPositions)
    return llvm::createStringError("--context " + llvm::Twine(options.positions) +
                                   ": the model has 1 to " +
                                   llvm::Twine(model->config.maxPositions) + " positions");
  if (llvm::Error error = encodeContexts(*model->module, options.kv))
    return error;
  ModelSummary summary = summarise(*model, model->config.maxPositions);

  Prediction result;
  result.device = device;
  result.workers = options.workers ? options.workers : device->sms;
  result.slots = options.slots;
  result.positions = options.positions;
  tile::MachineAttr machine = machineFor(&context, *device, result.workers);
  result.bandwidth = machine.getBandwidth() * 1e-3;
  if (failed(runPipeline(*model->module, machine, {{options.slots}})))
    return diagnostics.take(options.directory + ": cannot be scheduled");
  schedule::ProgramOp program = *model->module->getOps<schedule::ProgramOp>().begin();
  llvm::raw_string_ostream(result.model)
      << summary.name << ", " << llvm::format("%.1f", summary.parameters * 1e-6) << " M parameters";
  result.needs = MemoryNeeds::of(*model->module, result.workers, options.positions);
  result.maxPositions = model->config.maxPositions;
  result.most = MemoryNeeds::of(*model->module, result.workers, result.maxPositions);
  result.steps = stepsOf(program, result.workers);
  result.timeline = schedule::Timeline::predict(program, machine, options.positions);
  return result;
}

DrawnPlay drawn(const Prediction &prediction) {
  DrawnPlay play;
  play.model = prediction.model;
  play.device = prediction.device->product;
  play.slots = prediction.slots;
  play.positions = prediction.positions;
  play.ns = prediction.timeline.ns;
  play.floor = prediction.timeline.floor;
  play.ring = prediction.timeline.ring;
  for (auto [step, cost] : llvm::zip(prediction.steps, prediction.timeline.steps))
    play.steps.push_back({step.label, step.kind, cost.tape, cost.floor, cost.ns});
  for (auto [worker, spans] : llvm::enumerate(prediction.timeline.workers)) {
    std::vector<DrawnSpan> &lane = play.workers.emplace_back();
    for (const schedule::Span &span : spans)
      lane.push_back({span.step, prediction.steps[span.step].tiles[worker], span.arrive, span.ready,
                      span.work, span.end, span.starved, span.filledBefore, span.filledAfter});
  }
  return play;
}

} // namespace pianola
