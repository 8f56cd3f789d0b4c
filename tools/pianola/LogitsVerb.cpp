// LogitsVerb.cpp - pianola logits: what the model says at every position, to compare with.
#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/SafeTensorsWriter.h"
#include "lib/driver/LoadModel.h"
#include "lib/reference/Interpreter.h"
#include "runtime/session/Session.h"
#include "tools/pianola/Verbs.h"

#include "mlir/IR/MLIRContext.h"

#include <nlohmann/json.hpp>

namespace pianola {

namespace {

struct LogitsOptions {
  std::string roll, reference, ids, output;
  bool decode = false;
  SessionOptions session;
  uint64_t seed = 0;
  bool seeded = false;
};

llvm::Expected<std::vector<int32_t>> readIds(const std::string &path) {
  llvm::Expected<std::string> text = readText(path, uint64_t(256) << 20);
  if (!text)
    return text.takeError();
  auto refuse = [&](const std::string &what) {
    return llvm::createStringError(path + ": " + what);
  };
  nlohmann::json list = nlohmann::json::parse(*text, nullptr, false);
  if (!list.is_array() || list.empty())
    return refuse("expected a list of token ids, such as [1, 2, 3]");
  std::vector<int32_t> ids;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_number_integer() || list[i] < 0 || list[i] > INT32_MAX)
      return refuse("[" + std::to_string(i) + "]: expected a token id, found " + list[i].dump());
    ids.push_back(list[i].get<int32_t>());
  }
  return ids;
}

llvm::Error runReference(const LogitsOptions &options, llvm::ArrayRef<int32_t> ids) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  std::optional<uint64_t> seed;
  if (options.seeded)
    seed = options.seed;
  llvm::Expected<LoadedModel> model = loadModel(context, options.reference, seed);
  if (!model)
    return model.takeError();
  llvm::Expected<ReferenceResult> result = interpret(*model->module, *model->weights, ids);
  if (!result)
    return result.takeError();
  std::vector<TensorToWrite> tensors;
  auto add = [&](const std::string &name, const reference::Rows &rows) {
    tensors.push_back({name,
                       {static_cast<int64_t>(rows.rows), static_cast<int64_t>(rows.columns)},
                       llvm::ArrayRef<float>(rows.values)});
  };
  add("logits", result->logits);
  for (const auto &[name, rows] : result->observed)
    add(name, rows);
  return writeSafeTensors(options.output, tensors);
}

llvm::Error runRoll(const LogitsOptions &options, llvm::ArrayRef<int32_t> ids) {
  Result<std::unique_ptr<Roll>> roll = Roll::open(options.roll);
  if (!roll)
    return llvm::createStringError(roll.message());
  Result<std::unique_ptr<Session>> session = Session::create(**roll, options.session);
  if (!session)
    return llvm::createStringError(session.message());
  int64_t vocabulary = (*roll)->manifest().model.vocabulary;
  std::vector<float> logits(ids.size() * vocabulary);
  FeedOptions feed;
  feed.oneByOne = options.decode;
  feed.allLogits = logits.data();
  if (Status status = (*session)->feed(ids.data(), ids.size(), feed); !status.ok())
    return llvm::createStringError(status.message());
  return writeSafeTensors(
      options.output,
      {{"logits", {static_cast<int64_t>(ids.size()), vocabulary}, llvm::ArrayRef<float>(logits)}});
}

} // namespace

void addLogitsVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<LogitsOptions>();
  CLI::App *verb = app.add_subcommand("logits", "Write the logits of every position");
  CLI::Option *roll = verb->add_option("roll", options->roll, "The roll to play");
  CLI::Option *reference = verb->add_option(
      "--reference", options->reference,
      "A model directory or GGUF file, for the f32 reference interpreter in place of a roll; "
      "writes hidden.0 ... hidden.L and hidden.norm too");
  roll->excludes(reference);
  verb->add_option("--ids-file", options->ids, "JSON list of token ids")->required();
  verb->add_option("-o,--output", options->output, "safetensors file to write")->required();
  verb->add_flag("--decode", options->decode, "Feed one token at a time");
  addDeviceOptions(*verb, options->session);
  CLI::Option *seed = verb->add_option("--weights-from-seed", options->seed,
                                       "With --reference: make the weights up");
  verb->callback([=, &exitCode] {
    options->seeded = seed->count() != 0;
    if (options->roll.empty() == options->reference.empty()) {
      exitCode = failUsage("logits: give a roll or --reference DIR");
      return;
    }
    llvm::Expected<std::vector<int32_t>> ids = readIds(options->ids);
    llvm::Error error = !ids                    ? ids.takeError()
                        : options->roll.empty() ? runReference(*options, *ids)
                                                : runRoll(*options, *ids);
    if (error)
      exitCode = fail(llvm::toString(std::move(error)));
  });
}

} // namespace pianola
