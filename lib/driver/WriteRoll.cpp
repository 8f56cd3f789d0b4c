//===- WriteRoll.cpp - Put a roll together --------------------------------===//

#include "lib/driver/WriteRoll.h"
#include "dialects/schedule/Timeline.h"
#include "dialects/transformer/Transformer.h"
#include "lib/checkpoint/GenerationConfig.h"
#include "lib/checkpoint/ModelTexts.h"
#include "lib/driver/Punch.h"
#include "lib/driver/Version.h"
#include "lib/encode/PackTile.h"
#include "lib/roll/RollWriter.h"
#include "runtime/template/ChatConfig.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include <thread>

using namespace mlir;
using nlohmann::json;

namespace pianola {

static llvm::Error toError(const Status &status) {
  return status.ok() ? llvm::Error::success() : llvm::createStringError(status.message());
}

ModelSummary summarise(const LoadedModel &model, int64_t maxModelLen) {
  ModuleOp module = *model.module;
  auto attr = module->getAttrOfType<transformer::ModelAttr>(transformer::modelAttrName);
  ModelSummary summary;
  summary.family = attr.getFamily().str();
  summary.name = model.config.architecture;
  summary.vocabulary = attr.getVocabulary();
  summary.hidden = attr.getHidden();
  summary.layers = attr.getLayers();
  summary.maxPositions = model.config.maxPositions;
  summary.maxModelLen = maxModelLen;
  summary.parameters = 0;
  module.walk([&](transformer::WeightOp weight) {
    int64_t count = 1;
    for (int64_t extent : weight.getShape())
      count *= extent;
    summary.parameters += count;
  });
  return summary;
}

namespace {

// A piece of work for one thread: bytes of a section, to be packed and written.
struct Job {
  PianolaSectionKind section;
  uint64_t offset, bytes;
  const schedule::TapeUse *use = nullptr; // or rows of a table
  const PunchedTable *table = nullptr;
  int64_t row = 0, rows = 0;
};

std::vector<Job> jobsOf(const Punched &punched) {
  std::vector<Job> jobs;
  for (auto [tape, offset] : llvm::zip(punched.tapes, punched.tapeOffsets))
    for (const schedule::TapeUse &use : tape)
      jobs.push_back({PIANOLA_SECTION_TAPE, offset + use.offset, uint64_t(use.bytes), &use});
  for (const schedule::TapeUse &use : punched.pools)
    jobs.push_back({PIANOLA_SECTION_TAPE, uint64_t(use.offset), uint64_t(use.bytes), &use});
  for (const schedule::TapeUse &use : punched.constants)
    jobs.push_back({PIANOLA_SECTION_CONSTANT, uint64_t(use.offset), uint64_t(use.bytes), &use});
  for (const PunchedTable &table : punched.tables) {
    if (table.type.getTileRows() != 0)
      continue;
    int64_t rowBytes = table.count / table.type.getRows();
    int64_t rows = std::max<int64_t>(1, (int64_t(1) << 20) / rowBytes);
    for (int64_t row = 0; row < table.type.getRows(); row += rows) {
      int64_t count = std::min(rows, table.type.getRows() - row);
      jobs.push_back({PIANOLA_SECTION_TABLE, table.offset + row * rowBytes,
                      uint64_t(count * rowBytes), nullptr, &table, row, count});
    }
  }
  return jobs;
}

// Packs all weights, one tile in memory for each thread.
class Packer {
public:
  Packer(ModuleOp module, const WeightSource &weights, RollWriter &writer, Progress &progress)
      : weights(weights), writer(writer), progress(progress) {
    module.walk([&](transformer::WeightOp op) {
      tensors[FlatSymbolRefAttr::get(op.getSymNameAttr())] = weights.find(op.getTensor());
    });
  }

  llvm::Error run(const std::vector<Job> &jobs) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      threads.emplace_back([&] { work(jobs); });
    for (std::thread &thread : threads)
      thread.join();
    return error.empty() ? llvm::Error::success() : llvm::createStringError(error);
  }

private:
  void work(const std::vector<Job> &jobs) {
    std::vector<uint8_t> bytes;
    while (!failed) {
      size_t number = next++;
      if (number >= jobs.size())
        return;
      const Job &job = jobs[number];
      bytes.resize(job.bytes);
      std::string message = llvm::toString(pack(job, bytes));
      if (message.empty())
        message = llvm::toString(
            toError(writer.write(job.section, job.offset, bytes.data(), bytes.size())));
      if (!message.empty()) {
        std::lock_guard lock(mutex);
        error = message;
        failed = true;
      }
      progress.advance(job.bytes);
    }
  }

  llvm::Error pack(const Job &job, MutableArrayRef<uint8_t> bytes) {
    Attribute symbol = job.use ? job.use->weight : job.table->weight;
    const TensorInfo *tensor = tensors.lookup(symbol);
    if (job.use)
      return packPiece(*job.use, weights, *tensor, bytes);
    return packTableRows(job.table->type, job.row, job.rows, weights, *tensor, bytes);
  }

  const WeightSource &weights;
  RollWriter &writer;
  Progress &progress;
  llvm::DenseMap<Attribute, const TensorInfo *> tensors;
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::string error;
};

json generationOf(const GenerationConfig &config) {
  json result = {{"stop", json::array()}};
  for (const Setting<int32_t> &id : config.stopIds)
    result["stop"].push_back(id.value);
  auto add = [&](const char *name, const auto &setting) {
    if (setting)
      result[name] = {{"value", setting->value}, {"from", setting->from}};
  };
  add("bos", config.bosId);
  add("pad", config.padId);
  add("do_sample", config.doSample);
  add("temperature", config.temperature);
  add("top_k", config.topK);
  add("top_p", config.topP);
  add("min_p", config.minP);
  add("repetition_penalty", config.repetitionPenalty);
  return result;
}

// A text that need not be there, and is then empty.
llvm::Expected<std::string> readOptional(StringRef model, StringRef name) {
  llvm::Expected<std::optional<std::string>> text = findModelText(model, name, uint64_t(256) << 20);
  if (!text)
    return text.takeError();
  return text->value_or("");
}

// One past the greatest id that the tokenizer knows: logits beyond are never sampled.
llvm::Expected<int64_t> tokenizerSize(StringRef text) {
  json tokenizer = json::parse(text.begin(), text.end(), nullptr, false);
  if (!tokenizer.is_object() || !tokenizer.contains("model") || !tokenizer["model"].is_object() ||
      !tokenizer["model"].contains("vocab"))
    return llvm::createStringError("tokenizer.json: model.vocab: missing");
  int64_t size = 0;
  auto add = [&](const json &id) {
    constexpr int64_t most = std::numeric_limits<int32_t>::max();
    if (id.is_number_integer())
      size = std::max(size, std::clamp<int64_t>(id.get<int64_t>(), -1, most) + 1);
  };
  for (const json &id : tokenizer["model"]["vocab"])
    add(id);
  if (tokenizer.contains("added_tokens"))
    for (const json &token : tokenizer["added_tokens"])
      if (token.is_object() && token.contains("id"))
        add(token["id"]);
  return size;
}

// The chat template stands in a file of its own or in tokenizer_config.json.
llvm::Expected<ChatConfig> readChatConfig(StringRef directory) {
  llvm::Expected<std::string> file = readOptional(directory, "chat_template.jinja");
  if (!file)
    return file.takeError();
  llvm::Expected<std::string> text = readOptional(directory, "tokenizer_config.json");
  if (!text)
    return text.takeError();
  Result<ChatConfig> config = ChatConfig::read(*text, *file);
  if (!config)
    return llvm::createStringError(directory + ": " + config.message());
  return *config;
}

// How the play of a token is predicted: of the first program that loops.
std::vector<uint8_t> timelineOf(ModuleOp module, tile::MachineAttr machine, int64_t maxPositions) {
  std::vector<uint8_t> bytes;
  auto append = [&](const auto &value) {
    auto *begin = reinterpret_cast<const uint8_t *>(&value);
    bytes.insert(bytes.end(), begin, begin + sizeof(value));
  };
  uint32_t number = 0;
  for (auto program : module.getOps<schedule::ProgramOp>()) {
    if (!program.getLoops()) {
      ++number;
      continue;
    }
    int64_t positions = std::min(schedule::kUsualPositions, maxPositions);
    auto timeline = schedule::Timeline::predict(program, machine, positions);
    std::vector<schedule::StepOp> steps = program.getSteps();
    uint32_t spans = 0;
    for (const std::vector<schedule::Span> &lane : timeline.workers)
      spans += lane.size();
    append(PianolaRollTimeline{number,
                               static_cast<uint32_t>(positions),
                               static_cast<uint32_t>(timeline.ring),
                               spans,
                               static_cast<float>(timeline.ns),
                               {}});
    for (auto [worker, lane] : llvm::enumerate(timeline.workers))
      for (const schedule::Span &span : lane) {
        auto tiles = static_cast<uint32_t>(steps[span.step].getTilesOf(worker).size());
        append(PianolaRollSpan{static_cast<uint32_t>(worker), static_cast<uint32_t>(span.step),
                               tiles, 0, float(span.arrive), float(span.ready), float(span.work),
                               float(span.end), float(span.starved), float(span.filledBefore),
                               float(span.filledAfter), 0});
      }
    break;
  }
  return bytes;
}

} // namespace

RollCode codeFor(const HostCpu &cpu, const HostImage &image) {
  RollCode code;
  code.target = {{"name", "host"},
                 {"architecture", "x86_64"},
                 {"features", image.features},
                 {"product", cpu.hasBf16Products() ? "bf16" : "f32"}};
  code.stages.host = &image;
  code.code = image.code;
  return code;
}

RollCode codeFor(const DeviceRow &device, const PtxCode &ptx) {
  RollCode code;
  code.target = {{"name", "nvptx"},
                 {"device", device.name},
                 {"capability", device.capability},
                 {"chip", ptx.chip},
                 {"product", "f32"}};
  code.stages.ptx = &ptx;
  code.code = ArrayRef(reinterpret_cast<const uint8_t *>(ptx.text.data()), ptx.text.size());
  return code;
}

llvm::Error writeRoll(const CompileOptions &options, const ModelSummary &summary,
                      tile::MachineAttr machine, ModuleOp module, const RollCode &code,
                      const WeightSource &weights, Progress &progress, llvm::raw_ostream &notes) {
  llvm::Expected<GenerationConfig> generation = GenerationConfig::fromDirectory(options.directory);
  if (!generation)
    return generation.takeError();
  llvm::Expected<std::string> tokenizer = readOptional(options.directory, "tokenizer.json");
  if (!tokenizer)
    return tokenizer.takeError();
  llvm::Expected<ChatConfig> chat = readChatConfig(options.directory);
  if (!chat)
    return chat.takeError();
  int64_t validVocabulary = summary.vocabulary;
  if (!tokenizer->empty()) {
    llvm::Expected<int64_t> size = tokenizerSize(*tokenizer);
    if (!size)
      return size.takeError();
    validVocabulary = std::min(validVocabulary, *size);
  }

  llvm::Expected<Punched> made = punch(module, machine.getWorkers(), code.stages);
  if (!made)
    return made.takeError();
  Punched &punched = *made;
  if (punched.sharedBytes)
    notes << llvm::format("note: tied layers: %.2f MB of weights stand once for several layers\n",
                          punched.sharedBytes / 1e6);
  json &manifest = punched.manifest;
  manifest["pianola"] = kVersion;
  manifest["model"] = {{"family", summary.family},
                       {"name", summary.name},
                       {"vocabulary", summary.vocabulary},
                       {"valid_vocabulary", validVocabulary},
                       {"hidden", summary.hidden},
                       {"layers", summary.layers},
                       {"max_positions", summary.maxPositions},
                       {"parameters", summary.parameters}};
  manifest["target"] = code.target;
  manifest["target"].update({{"workers", machine.getWorkers()},
                             {"bandwidth", machine.getBandwidth()},
                             {"peak", machine.getPeak()},
                             {"event", machine.getEvent()},
                             {"step", machine.getStep()}});
  if (options.weightsAtLoad)
    manifest["weights"] = {{"seed", *options.seed},
                           {"tape", punched.tapeBytes},
                           {"table", punched.tableBytes},
                           {"constant", punched.constantBytes}};
  manifest["max_model_len"] = summary.maxModelLen;
  manifest["generation"] = generationOf(*generation);
  for (const auto &[name, token] : chat->tokens)
    manifest["chat_tokens"].push_back({{"name", name}, {"text", token}});
  std::string text = manifest.dump();

  Result<std::unique_ptr<RollWriter>> created = RollWriter::create(options.output);
  if (!created)
    return llvm::createStringError(created.message());
  RollWriter &writer = **created;
  auto add = [&](PianolaSectionKind kind, const void *data, size_t bytes) {
    return bytes ? toError(writer.add(kind, data, bytes)) : llvm::Error::success();
  };
  if (llvm::Error error = add(PIANOLA_SECTION_MANIFEST, text.data(), text.size()))
    return error;
  if (llvm::Error error = add(PIANOLA_SECTION_CODE, code.code.data(), code.code.size()))
    return error;
  if (llvm::Error error = add(PIANOLA_SECTION_CUBIN, code.cubin.data(), code.cubin.size()))
    return error;
  if (llvm::Error error = add(PIANOLA_SECTION_RECORDS, punched.records.data(),
                              punched.records.size() * sizeof(PianolaRollRecord)))
    return error;
  if (llvm::Error error =
          add(PIANOLA_SECTION_TILES, punched.tiles.data(), punched.tiles.size() * sizeof(uint64_t)))
    return error;
  if (llvm::Error error = add(PIANOLA_SECTION_TOKENIZER, tokenizer->data(), tokenizer->size()))
    return error;
  if (llvm::Error error = add(PIANOLA_SECTION_TEMPLATE, chat->source.data(), chat->source.size()))
    return error;
  std::vector<uint8_t> timeline;
  if (machine.getChunk())
    timeline = timelineOf(module, machine, summary.maxPositions);
  if (llvm::Error error = add(PIANOLA_SECTION_TIMELINE, timeline.data(), timeline.size()))
    return error;
  if (options.weightsAtLoad)
    return toError(writer.finish());
  for (auto [kind, bytes] : {std::pair(PIANOLA_SECTION_CONSTANT, punched.constantBytes),
                             std::pair(PIANOLA_SECTION_TABLE, punched.tableBytes),
                             std::pair(PIANOLA_SECTION_TAPE, punched.tapeBytes)})
    if (bytes)
      if (llvm::Error error = toError(writer.reserve(kind, bytes)))
        return error;

  progress.begin("packing", punched.constantBytes + punched.tableBytes + punched.tapeBytes);
  if (llvm::Error error = Packer(module, weights, writer, progress).run(jobsOf(punched)))
    return error;
  progress.end();
  return toError(writer.finish());
}

} // namespace pianola
