// Manifest.cpp - parses the manifest of a roll.
#include "runtime/roll/Manifest.h"

#include "pianola/roll.h"
#include "runtime/JsonShape.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::json;

namespace {

constexpr int64_t kMost = int64_t(1) << 48; // of any size or offset

// A value and where it stands. The first failure is kept; reading goes on with harmless values, so
// that readers need not check at every step.
class Reader {
public:
  Reader(const json &value, std::string path, std::string &failure)
      : value(value), path(std::move(path)), failure(failure) {}

  Reader operator[](const char *name) const {
    static const json kNothing;
    std::string inner = path.empty() ? name : path + "." + name;
    if (!value.is_object()) {
      fail("expected an object");
      return Reader(kNothing, inner, failure);
    }
    auto found = value.find(name);
    return Reader(found == value.end() ? kNothing : *found, inner, failure);
  }
  bool present() const { return !value.is_null(); }

  int64_t integer(int64_t low, int64_t high) const {
    if (value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(high)
                                   : value.is_number_integer()) {
      auto number = value.get<int64_t>();
      if (number >= low && number <= high)
        return number;
    }
    fail("expected an integer from " + std::to_string(low) + " to " + std::to_string(high));
    return low;
  }
  uint64_t size(int64_t low = 0, int64_t high = kMost) const {
    return static_cast<uint64_t>(integer(low, high));
  }
  double number() const {
    if (value.is_number() && std::isfinite(value.get<double>()))
      return value.get<double>();
    fail("expected a finite number");
    return 0;
  }
  bool boolean() const {
    if (value.is_boolean())
      return value.get<bool>();
    fail("expected true or false");
    return false;
  }
  std::string text() const {
    if (value.is_string())
      return value.get<std::string>();
    fail("expected a string");
    return {};
  }
  template <typename Read> void each(Read read) const {
    if (!value.is_array())
      return fail("expected a list");
    for (size_t i = 0; i < value.size() && failure.empty(); ++i)
      read(Reader(value[i], path + "[" + std::to_string(i) + "]", failure));
  }
  void fail(const std::string &what) const {
    if (failure.empty())
      failure = path + ": " + what;
  }

private:
  const json &value;
  std::string path;
  std::string &failure;
};

RollModel readModel(Reader in) {
  RollModel model;
  model.family = in["family"].text();
  model.name = in["name"].text();
  model.vocabulary = in["vocabulary"].integer(1, int64_t(1) << 31);
  model.validVocabulary = in["valid_vocabulary"].integer(1, std::max<int64_t>(1, model.vocabulary));
  model.hidden = in["hidden"].integer(1, kMost);
  model.layers = in["layers"].integer(1, kMost);
  model.maxPositions = in["max_positions"].integer(1, int64_t(1) << 31);
  model.parameters = in["parameters"].integer(1, kMost);
  return model;
}

RollTarget readTarget(Reader in) {
  RollTarget target;
  target.name = in["name"].text();
  target.product = in["product"].text();
  if (target.name == "host") {
    target.architecture = in["architecture"].text();
    in["features"].each([&](Reader feature) { target.features.push_back(feature.text()); });
  } else if (target.name == "nvptx") {
    target.device = in["device"].text();
    target.capability = in["capability"].integer(10, 999);
    target.chip = in["chip"].text();
    // Newer GPUs play older code, but for that of one chip alone: sm_90a.
    int chip = 0;
    char letter = 0;
    int parts = std::sscanf(target.chip.c_str(), "sm_%3d%c", &chip, &letter);
    if (parts < 1 || chip < 10 || chip > target.capability ||
        (parts == 2 && chip != target.capability))
      in["chip"].fail("expected code that capability " + std::to_string(target.capability) +
                      " plays");
  } else {
    in["name"].fail("expected \"host\" or \"nvptx\"");
  }
  target.workers = in["workers"].integer(1, 4096);
  target.bandwidth = in["bandwidth"].integer(1, kMost);
  target.peak = in["peak"].integer(1, kMost);
  target.event = in["event"].integer(0, kMost);
  target.step = in["step"].integer(0, kMost);
  return target;
}

template <typename T, typename Read>
void readSetting(Reader in, std::optional<RollSetting<T>> &to, Read read) {
  if (in.present())
    to = RollSetting<T>{read(in["value"]), in["from"].text()};
}

RollGeneration readGeneration(Reader in) {
  RollGeneration generation;
  in["stop"].each([&](Reader id) {
    generation.stop.push_back(static_cast<int32_t>(id.integer(0, INT32_MAX)));
  });
  auto integer = [](Reader value) { return value.integer(0, INT32_MAX); };
  auto number = [](Reader value) { return value.number(); };
  readSetting(in["bos"], generation.bos, integer);
  readSetting(in["pad"], generation.pad, integer);
  readSetting(in["top_k"], generation.topK, integer);
  readSetting(in["do_sample"], generation.doSample, [](Reader value) { return value.boolean(); });
  readSetting(in["temperature"], generation.temperature, number);
  readSetting(in["top_p"], generation.topP, number);
  readSetting(in["min_p"], generation.minP, number);
  readSetting(in["repetition_penalty"], generation.repetitionPenalty, number);
  return generation;
}

RollContext readContext(Reader in) {
  RollContext context{in["heads"].size(1, 1 << 20), in["size"].size(16, 1 << 20),
                      in["element"].text(), 1, 4};
  if (context.size % 16 != 0)
    in["size"].fail("expected a multiple of 16");
  if (context.element == "f32" || context.element == "bf16") {
    context.elementBytes = context.element == "f32" ? 4 : 2;
    context.scaleBytes = 0;
  } else if (context.element != "i8" && context.element != "f8e4m3") {
    in["element"].fail("expected \"f32\", \"bf16\", \"i8\" or \"f8e4m3\"");
  }
  if (in["window"].present())
    context.window = in["window"].size(1);
  if (in["ring"].present()) {
    context.ring = in["ring"].size(64);
    if (*context.ring % 64 != 0)
      in["ring"].fail("expected a multiple of 64");
    if (!context.window || *context.window >= *context.ring)
      in["ring"].fail("expected more positions than those of a window");
  }
  return context;
}

RollRotation readRotation(Reader in) {
  RollRotation rotation;
  in["inv_freq"].each([&](Reader frequency) {
    rotation.invFreq.push_back(static_cast<float>(frequency.number()));
  });
  if (rotation.invFreq.empty() || rotation.invFreq.size() > 4096)
    in["inv_freq"].fail("expected 1 to 4096 numbers");
  rotation.scale = static_cast<float>(in["scale"].number());
  if (Reader growth = in["growth"]; growth.present()) {
    rotation.growth = static_cast<float>(growth["factor"].number());
    rotation.period = growth["period"].size(1);
    rotation.from = growth["from"].size();
  }
  return rotation;
}

RollTable readTable(Reader in) {
  std::string space = in["space"].text();
  if (space != "table" && space != "tiles")
    in["space"].fail("expected \"table\" or \"tiles\"");
  return {space == "tiles", in["offset"].size(), in["count"].size(1)};
}

RollStep readStep(Reader in, bool onGpu) {
  RollStep step;
  step.label = in["label"].text();
  in["bindings"].each([&](Reader binding) {
    std::string space = binding["space"].text();
    RollBinding to{RollSpace::Arena, binding["at"].size()};
    if (space == "context")
      to.space = RollSpace::Context;
    else if (space == "state")
      to.space = RollSpace::State;
    else if (space == "rotation")
      to.space = RollSpace::Rotation;
    else if (space == "table")
      to.space = RollSpace::Table;
    else if (space == "constant")
      to.space = RollSpace::Constant;
    else if (space == "pool")
      to.space = RollSpace::Pool;
    else if (space != "arena")
      binding["space"].fail("expected \"arena\", \"context\", \"state\", \"rotation\", "
                            "\"table\", \"constant\" or \"pool\"");
    step.bindings.push_back(to);
  });
  Reader cost = in["cost"];
  step.cost = {cost["tape"].integer(0, kMost), cost["memory"].integer(0, kMost),
               cost["flops"].integer(0, INT64_MAX), cost["ns"].integer(0, INT64_MAX)};
  if (onGpu)
    step.stage = in["stage"].size(0, 1 << 16);
  return step;
}

RollKernel readKernel(Reader in) {
  RollKernel kernel;
  kernel.entry = in["entry"].text();
  kernel.threads = in["threads"].size(32, 1024);
  if (kernel.threads % 32 != 0)
    in["threads"].fail("expected a multiple of 32");
  kernel.shared = in["shared"].size(0, 1 << 20);
  kernel.chunk = in["chunk"].size(PIANOLA_ROLL_TAPE_UNIT, 1 << 20);
  if (kernel.chunk % PIANOLA_ROLL_TAPE_UNIT != 0)
    in["chunk"].fail("expected a multiple of " + std::to_string(PIANOLA_ROLL_TAPE_UNIT));
  kernel.slots = in["slots"].size(1, 1024);
  in["stages"].each([&](Reader stage) {
    kernel.stages.push_back({stage["name"].text(), stage["entry"].text()});
  });
  return kernel;
}

RollProgram readProgram(Reader in, bool onGpu) {
  RollProgram program;
  program.name = in["name"].text();
  program.slots = in["slots"].size(1, 1 << 16);
  program.arena = in["arena"].size();
  program.scratch = in["scratch"].size(0, int64_t(1) << 32);
  program.events = in["events"].size(0, 1 << 24);
  auto rows = [&](const char *name) -> RollRows {
    return {in[name]["at"].size(), in[name]["columns"].size(1)};
  };
  program.logits = rows("logits");
  if (in["hidden_states"].present())
    program.hiddenStates = rows("hidden_states");
  in["steps"].each([&](Reader step) { program.steps.push_back(readStep(step, onGpu)); });
  in["records"].each([&](Reader range) {
    program.records.push_back({range["first"].size(), range["count"].size()});
  });
  if (!onGpu)
    return program;
  program.loops = in["loops"].boolean();
  program.kernel = readKernel(in["kernel"]);
  if (program.loops && program.slots != 1)
    in["loops"].fail("expected false: the program has " + std::to_string(program.slots) +
                     " slots, and a token that was chosen is one");
  if (program.steps.empty())
    in["steps"].fail("expected at least one, which chooses the token");
  return program;
}

} // namespace

Result<RollManifest> parseManifest(std::string_view text) {
  if (jsonShape(text).depth > 16) // deeper than any manifest
    return Status::error("is nested too deeply");
  json root = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded())
    return Status::error("is not JSON");
  std::string failure;
  Reader in(root, "", failure);
  RollManifest manifest;
  manifest.pianola = in["pianola"].text();
  manifest.model = readModel(in["model"]);
  manifest.target = readTarget(in["target"]);
  manifest.maxModelLen = in["max_model_len"].size(1, int64_t(1) << 31);
  manifest.generation = readGeneration(in["generation"]);
  if (Reader tokens = in["chat_tokens"]; tokens.present())
    tokens.each([&](Reader token) {
      manifest.chatTokens.emplace_back(token["name"].text(), token["text"].text());
    });
  in["contexts"].each([&](Reader item) { manifest.contexts.push_back(readContext(item)); });
  if (in["states"].present())
    in["states"].each([&](Reader item) {
      manifest.states.push_back(item["bytes"].size(64, 1 << 30));
      if (manifest.states.back() % 64 != 0)
        item["bytes"].fail("expected a multiple of 64");
    });
  in["rotations"].each([&](Reader item) { manifest.rotations.push_back(readRotation(item)); });
  in["tables"].each([&](Reader item) { manifest.tables.push_back(readTable(item)); });
  if (in["pools"].present())
    in["pools"].each([&](Reader item) {
      manifest.pools.push_back({item["offset"].size(), item["bytes"].size()});
    });
  in["parts"].each(
      [&](Reader item) { manifest.parts.push_back({item["name"].text(), item["entry"].size()}); });
  in["tapes"].each([&](Reader item) {
    manifest.tapes.push_back({item["offset"].size(), item["bytes"].size()});
  });
  bool onGpu = manifest.target.isGpu();
  if (Reader weights = in["weights"]; weights.present()) {
    manifest.weights = RollMadeUp{weights["seed"].size(0, INT64_MAX), weights["tape"].size(),
                                  weights["table"].size(), weights["constant"].size()};
    if (!onGpu)
      weights.fail("expected none in a roll for the host");
  }
  if (onGpu && !manifest.parts.empty())
    in["parts"].fail("expected none in a roll for nvptx");
  in["programs"].each([&](Reader item) { manifest.programs.push_back(readProgram(item, onGpu)); });
  if (failure.empty() && manifest.programs.empty())
    failure = "programs: expected at least one";
  if (failure.empty() && manifest.tapes.size() != static_cast<size_t>(manifest.target.workers))
    failure = "tapes: expected one for each of " + std::to_string(manifest.target.workers) +
              " workers, found " + std::to_string(manifest.tapes.size());
  if (!failure.empty())
    return Status::error(failure);
  return manifest;
}

} // namespace pianola
