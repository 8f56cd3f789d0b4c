#include "test/runtime/cuda/GpuRoll.h"

#include "lib/roll/RollWriter.h"
#include "runtime/session/Rotations.h"
#include "test/ReadFile.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <unistd.h>

namespace pianola {

namespace {

// The two programs differ in little.
nlohmann::json program(const char *name, int slots, bool loops, int firstRecord) {
  auto step = [](const char *label, int stage, nlohmann::json bindings) {
    return nlohmann::json{{"label", label},
                          {"stage", stage},
                          {"bindings", std::move(bindings)},
                          {"cost", {{"tape", 4096}, {"memory", 64}, {"flops", 512}, {"ns", 100}}}};
  };
  auto at = [](const char *space, int byte) {
    return nlohmann::json{{"space", space}, {"at", byte}};
  };
  auto x = at("arena", 0), logits = at("arena", 256), context = at("context", 0);
  return {{"name", name},
          {"slots", slots},
          {"arena", 512},
          {"scratch", 0},
          {"events", 2},
          {"loops", loops},
          {"logits", {{"at", 256}, {"columns", kVocabulary}}},
          {"kernel",
           {{"entry", name},
            {"threads", 64},
            {"shared", 4096},
            {"chunk", 2048},
            {"slots", 2},
            {"stages",
             {{{"name", "embed"}, {"entry", "stage"}},
              {{"name", "head"}, {"entry", "stage"}},
              {{"name", "sample"}, {"entry", "stage"}}}}}},
          {"steps",
           {step("embed", 0, {at("table", 0), x, context}),
            step("head", 1, {x, logits, context, at("rotation", 0), at("constant", 0)}),
            step("sample", 2, nlohmann::json::array({logits}))}},
          {"records",
           {{{"first", firstRecord}, {"count", 7}}, {{"first", firstRecord + 7}, {"count", 3}}}}};
}

} // namespace

GpuRoll::GpuRoll(int capability) {
  manifest = nlohmann::json::parse(R"({
    "pianola": "0.1.0",
    "model": {"family": "tiny", "name": "Tiny", "vocabulary": 16, "valid_vocabulary": 15,
              "hidden": 16, "layers": 1, "max_positions": 64, "parameters": 512},
    "target": {"name": "nvptx", "device": "h200", "capability": 90, "chip": "sm_90a", "workers": 2,
               "product": "f32", "bandwidth": 1000, "peak": 10, "event": 1, "step": 1},
    "max_model_len": 64,
    "generation": {"stop": [15]},
    "contexts": [{"heads": 1, "size": 16, "element": "f32"}],
    "rotations": [{"inv_freq": [0.5], "scale": 1.0}],
    "tables": [{"space": "table", "offset": 0, "count": 1024}],
    "parts": [],
    "tapes": [{"offset": 0, "bytes": 2048}, {"offset": 2048, "bytes": 2048}]})");
  manifest["programs"] = {program("prefill", 4, false, 0), program("decode", 1, true, 10)};
  constexpr uint32_t run = PIANOLA_RECORD_RUN, wait = PIANOLA_RECORD_WAIT,
                     signal = PIANOLA_RECORD_SIGNAL;
  for (int i = 0; i < 2; ++i)
    for (PianolaRollRecord record :
         std::vector<PianolaRollRecord>{{run, 0, 0, 0, 1, 0, 0, 0},    // worker 0: embed
                                        {signal, 0, 0, 0, 0, 0, 0, 0}, //
                                        {run, 1, 0, 0, 1, 0, 0, 0},    // half of head
                                        {signal, 1, 1, 0, 0, 0, 0, 0}, //
                                        {wait, 2, 1, 2, 0, 0, 0, 0},   // both halves
                                        {run, 2, 0, 0, 1, 0, 0, 2048}, // sample
                                        {signal, 2, 1, 0, 0, 0, 0, 0}, // nobody listens
                                        {wait, 1, 0, 1, 0, 0, 0, 0},   // worker 1
                                        {run, 1, 0, 1, 2, 0, 0, 0},    //
                                        {signal, 1, 1, 0, 0, 0, 0, 0}})
      records.push_back(record);
  // Event 1 grows by three in a play: in a program that loops, the sample step waits for two of
  // this play's after all of the plays before.
  std::string chip = capability == 90 ? "sm_90a" : "sm_80";
  manifest["target"]["capability"] = capability;
  manifest["target"]["chip"] = chip;
  code = readFile(PIANOLA_SOURCE_DIR "/test/runtime/cuda/kernels/player." + chip + ".ptx");
  tape.resize(1024);
  table.resize(256);
  constant.resize(kVocabulary);
  // Numbers that repeat late and are exact.
  uint32_t state = 7;
  auto next = [&] {
    state = state * 1664525u + 1013904223u;
    return float(int32_t(state >> 24) - 128) / 64;
  };
  for (std::vector<float> *all : {&tape, &table, &constant})
    for (float &value : *all)
      value = next();
}

void GpuRoll::write(const std::string &path) const {
  auto writer = RollWriter::create(path);
  ASSERT_TRUE(writer) << writer.message();
  std::string text = manifest.dump();
  auto add = [&](PianolaSectionKind kind, const void *data, size_t bytes) {
    if (bytes == 0)
      return;
    Status status = (*writer)->add(kind, data, bytes);
    ASSERT_TRUE(status.ok()) << status.message();
  };
  add(PIANOLA_SECTION_MANIFEST, text.data(), text.size());
  add(PIANOLA_SECTION_CODE, code.data(), code.size());
  add(PIANOLA_SECTION_CUBIN, cubin.data(), cubin.size());
  add(PIANOLA_SECTION_RECORDS, records.data(), records.size() * sizeof(records[0]));
  add(PIANOLA_SECTION_TAPE, tape.data(), tape.size() * sizeof(float));
  add(PIANOLA_SECTION_TABLE, table.data(), table.size() * sizeof(float));
  add(PIANOLA_SECTION_CONSTANT, constant.data(), constant.size() * sizeof(float));
  Status status = (*writer)->finish();
  ASSERT_TRUE(status.ok()) << status.message();
}

Result<std::unique_ptr<Roll>> GpuRoll::open() const {
  std::string name = testing::TempDir() + "gpu.XXXXXX";
  close(mkstemp(name.data()));
  write(name);
  auto roll = Roll::open(name);
  unlink(name.c_str());
  return roll;
}

std::vector<std::vector<float>> modelLogits(const std::vector<int32_t> &ids) {
  const GpuRoll roll;
  std::vector<float> rotation(ids.size() * 2);
  fillRotation({{0.5f}, 1.0f}, 0, ids.size(), rotation.data());
  std::vector<std::vector<float>> all;
  for (size_t position = 0; position < ids.size(); ++position) {
    std::vector<float> logits;
    for (int id = 0; id < kVocabulary; ++id) {
      // Rows of worker 1 stand 2048 bytes later.
      const float *row = roll.tape.data() + (id / 8) * 512 + (id % 8) * 16;
      float sum = roll.constant[id];
      for (int c = 0; c < 16; ++c)
        sum = std::fma(row[c], roll.table[ids[position] * 16 + c], sum);
      for (size_t p = 0; p <= position; ++p)
        sum = std::fma(float(ids[p]) * 0.125f * float(id % 3), rotation[p * 2], sum);
      logits.push_back(sum);
    }
    all.push_back(logits);
  }
  return all;
}

std::vector<int32_t> modelTokens(std::vector<int32_t> ids, const SamplingOptions &options,
                                 size_t most, const std::vector<int32_t> &stops) {
  Sampler sampler(options, 15);
  std::vector<int32_t> chosen;
  while (chosen.size() < most) {
    chosen.push_back(*sampler.sample(modelLogits(ids).back().data(), ids));
    ids.push_back(chosen.back());
    if (std::count(stops.begin(), stops.end(), chosen.back()))
      break;
  }
  return chosen;
}

} // namespace pianola
