// BenchVerb.cpp - pianola bench: how fast a roll plays, beside what the machine could do.
//
// The table is llama-bench's (pp: tokens of a prompt; tg: generated tokens; @ d: after d tokens of
// context; x s: of s sequences that share plays), with what that lacks: the median and slowest
// token, the bytes that a token reads, of weights and of context, the read bandwidth measured in
// the same run, the share of the floor that it sets, and the prediction of the cost model for this
// machine's figures.
#include "runtime/host/Probe.h"
#include "runtime/roll/CpuFeatures.h"
#include "runtime/session/Ensemble.h"
#include "runtime/session/Session.h"
#include "tools/pianola/Measurement.h"
#include "tools/pianola/TraceOptions.h"
#include "tools/pianola/Verbs.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

namespace pianola {

namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string roll, format = "md";
  std::vector<int64_t> prompts{512}, generated{128}, depths{0}, sequences{1};
  int64_t repetitions = 5;
  SessionOptions session;
  TraceOptions trace; // of the last test
};

struct Machine {
  double bf16Peak, f32Peak; // flops a second
};

class Bench {
public:
  Bench(const BenchOptions &options, const Roll &roll, Session &session)
      : options(options), roll(roll), session(session) {}

  Status run();
  void print() const;

private:
  Status measure(int64_t prompt, int64_t generated, int64_t depth);
  Status measureSteps(int64_t sequences, int64_t generated, int64_t depth);
  std::vector<int32_t> tokens(int64_t count);
  Status feed(int64_t count, bool oneByOne, std::vector<double> *times);
  Status generate(int64_t count, std::vector<double> &times);
  double bandwidth();
  const RollProgram &programOf(bool decode) const;
  double contextBytes(int64_t positions, int64_t slots) const;
  double predict(const RollProgram &program, double contextBytes, double bandwidth) const;
  nlohmann::json describe(const Measurement &measured) const;

  const BenchOptions &options;
  const Roll &roll;
  Session &session;
  Machine machine;
  std::optional<BandwidthProbe> probe;
  std::vector<Measurement> results;
  uint64_t state = 1; // of the token generator
};

// Tokens are arbitrary: speed does not depend on them.
std::vector<int32_t> Bench::tokens(int64_t count) {
  std::vector<int32_t> ids(count);
  int64_t vocabulary = roll.manifest().model.vocabulary;
  for (int32_t &id : ids) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    id = static_cast<int32_t>((state >> 33) % vocabulary);
  }
  return ids;
}

Status Bench::feed(int64_t count, bool oneByOne, std::vector<double> *times) {
  std::vector<int32_t> ids = tokens(count);
  size_t chunk = oneByOne ? 1 : programOf(false).slots;
  for (size_t i = 0; i < ids.size(); i += chunk) {
    Clock::time_point start = Clock::now();
    size_t n = std::min(chunk, ids.size() - i);
    if (Status status = session.feed(ids.data() + i, n); !status.ok())
      return status;
    if (times)
      times->push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  return Status();
}

// As a program does that wants text: a GPU goes from token to token by itself. The first token is
// chosen by what was fed before.
Status Bench::generate(int64_t count, std::vector<double> &times) {
  Clock::time_point last = Clock::now();
  GenerateOptions options;
  options.most = count + 1;
  options.take = [&](int32_t) {
    Clock::time_point now = Clock::now();
    times.push_back(std::chrono::duration<double, std::micro>(now - last).count());
    last = now;
    return true;
  };
  Sampler sampler({}, static_cast<int32_t>(roll.manifest().model.validVocabulary));
  Result<GenerationEnd> end = session.generate(sampler, options);
  if (end && *end == GenerationEnd::Full)
    return Status::error(std::to_string(count) + " tokens do not fit in the context");
  return end.status();
}

// Bytes a second: measured now, or a GPU's of the data sheet.
double Bench::bandwidth() { return probe ? probe->pass() : roll.manifest().target.bandwidth * 1e6; }

const RollProgram &Bench::programOf(bool decode) const {
  const auto &programs = roll.manifest().programs;
  auto less = [](const RollProgram &a, const RollProgram &b) { return a.slots < b.slots; };
  return decode ? *std::min_element(programs.begin(), programs.end(), less)
                : *std::max_element(programs.begin(), programs.end(), less);
}

// What a play reads of keys and values that has so many positions in the end, and of states, which
// it writes, too.
double Bench::contextBytes(int64_t positions, int64_t slots) const {
  double bytes = 0;
  for (const RollContext &context : roll.manifest().contexts) {
    int64_t seen = positions;
    if (context.window)
      seen = std::min<int64_t>(seen, *context.window + slots - 1);
    bytes += static_cast<double>(context.positionBytes()) * seen;
  }
  for (uint64_t state : roll.manifest().states)
    bytes += 2 * static_cast<double>(state);
  return bytes;
}

// As predict-cost does, with measured figures in place of the table's.
double Bench::predict(const RollProgram &program, double contextBytes, double bandwidth) const {
  const RollTarget &target = roll.manifest().target;
  double peak =
      machine.bf16Peak > 0 && target.product == "bf16" ? machine.bf16Peak / 2 : machine.f32Peak;
  if (target.isGpu())
    peak = machine.f32Peak;
  double ns = contextBytes / bandwidth * 1e9;
  for (const RollStep &step : program.steps)
    ns += std::max(step.cost.tape / bandwidth, step.cost.flops / peak) * 1e9 + target.step +
          target.event;
  return ns * 1e-3;
}

Status Bench::measure(int64_t prompt, int64_t generated, int64_t depth) {
  Measurement measured;
  measured.prompt = prompt;
  measured.generated = generated;
  measured.depth = depth;
  bool decode = generated > 0;
  int64_t count = decode ? generated : prompt;
  for (int64_t r = -1; r < options.repetitions; ++r) { // the first warms up
    // A GPU generates; the choice of the first token, by a token fed before, is not measured.
    bool generates = decode && roll.manifest().target.isGpu();
    // What was fed before will do as context, but for what a token is chosen by.
    int64_t wanted = generates ? std::max<int64_t>(depth - 1, 0) : depth;
    auto kept = std::min<int64_t>(session.position(), wanted);
    if (Status status = session.truncate(kept); !status.ok())
      return status;
    if (depth > kept)
      if (Status status = feed(depth - kept, false, nullptr); !status.ok())
        return status;
    if (generates && depth == 0)
      if (Status status = feed(1, true, nullptr); !status.ok())
        return status;
    std::vector<double> times;
    measured.bandwidths.push_back(bandwidth());
    Clock::time_point start = Clock::now();
    if (Status status = generates ? generate(count, times) : feed(count, decode, &times);
        !status.ok())
      return status;
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (generates) {
      seconds -= times.front() * 1e-6;
      times.erase(times.begin());
    }
    measured.bandwidths.push_back(bandwidth());
    if (r < 0)
      continue;
    measured.rates.push_back(count / seconds);
    measured.tokens.insert(measured.tokens.end(), times.begin(), times.end());
  }
  const RollProgram &program = programOf(decode);
  auto slots = static_cast<int64_t>(program.slots);
  for (const RollStep &step : program.steps) {
    measured.bytesPerToken += static_cast<double>(step.cost.tape) / slots;
    measured.flopsPerToken += static_cast<double>(step.cost.flops) / slots;
  }
  int64_t plays = 0;
  for (int64_t at = 0; at < count; at += slots, ++plays) {
    int64_t end = std::min(at + slots, count);
    measured.contextBytesPerToken += contextBytes(depth + end, end - at) / count;
  }
  measured.bytesPerToken += measured.contextBytesPerToken;
  double eachPlay = measured.contextBytesPerToken * count / plays;
  measured.predicted = predict(program, eachPlay, median(measured.bandwidths)) / slots;
  results.push_back(std::move(measured));
  return Status();
}

// One token of each sequence in each play.
Status Bench::measureSteps(int64_t sequences, int64_t generated, int64_t depth) {
  Measurement measured;
  measured.generated = generated;
  measured.depth = depth;
  measured.sequences = sequences;
  EnsembleOptions settings;
  settings.session = options.session;
  settings.sequences = sequences;
  settings.stepSlots = std::max<uint64_t>(settings.stepSlots, sequences);
  Result<std::unique_ptr<Ensemble>> ensemble = Ensemble::create(roll, settings);
  if (!ensemble)
    return ensemble.status();
  std::vector<Turn> turns(sequences);
  for (int64_t r = -1; r < options.repetitions; ++r) { // the first warms up
    for (int64_t s = 0; s < sequences; ++s) {
      auto kept = std::min<int64_t>((*ensemble)->position(s), depth);
      std::vector<int32_t> ids = tokens(depth - kept);
      if (Status status = (*ensemble)->truncate(s, kept); !status.ok())
        return status;
      if (!ids.empty())
        if (Status status = (*ensemble)->feed(s, ids.data(), ids.size()); !status.ok())
          return status;
    }
    double before = bandwidth(), seconds = 0;
    for (int64_t i = 0; i < generated; ++i) {
      std::vector<int32_t> ids = tokens(sequences);
      for (int64_t s = 0; s < sequences; ++s)
        turns[s] = {static_cast<uint64_t>(s), ids[s]};
      Clock::time_point start = Clock::now();
      if (Status status = (*ensemble)->step(turns); !status.ok())
        return status;
      double took = std::chrono::duration<double>(Clock::now() - start).count();
      seconds += took;
      if (r >= 0)
        measured.tokens.push_back(took * 1e6);
    }
    measured.bandwidths.insert(measured.bandwidths.end(), {before, bandwidth()});
    if (r >= 0)
      measured.rates.push_back(generated * sequences / seconds);
  }
  const RollProgram &program = (*ensemble)->stepProgram();
  for (const RollStep &step : program.steps) {
    measured.bytesPerToken += static_cast<double>(step.cost.tape) / sequences;
    measured.flopsPerToken += static_cast<double>(step.cost.flops) / program.slots;
  }
  measured.contextBytesPerToken = contextBytes(depth + (generated + 1) / 2, 1);
  measured.bytesPerToken += measured.contextBytesPerToken;
  measured.predicted =
      predict(program, measured.contextBytesPerToken * sequences, median(measured.bandwidths)) /
      sequences;
  results.push_back(std::move(measured));
  return Status();
}

Status Bench::run() {
  if (const RollTarget &target = roll.manifest().target; target.isGpu()) {
    machine = {target.product == "bf16" ? target.peak * 1e9 : 0, target.peak * 1e9};
  } else {
    unsigned threads = session.threads();
    Result<BandwidthProbe> created = BandwidthProbe::create(threads);
    if (!created)
      return created.status();
    probe.emplace(std::move(*created));
    const std::vector<std::string> &features = target.features;
    // A roll for tiles of bytes is measured by those of bf16 too.
    RollTarget ofBf16 = target;
    ofBf16.features = {"amx-bf16"};
    bool tiles = std::find(features.begin(), features.end(), "amx-tile") != features.end() &&
                 checkCpu(ofBf16).ok();
    machine = {measureBf16Peak(threads, tiles), measureF32Peak(threads)};
  }
  for (int64_t depth : options.depths) {
    for (int64_t prompt : options.prompts)
      if (prompt > 0)
        if (Status status = measure(prompt, 0, depth); !status.ok())
          return status;
    for (int64_t generated : options.generated)
      for (int64_t sequences : options.sequences)
        if (generated > 0)
          if (Status status = sequences == 1 ? measure(0, generated, depth)
                                             : measureSteps(sequences, generated, depth);
              !status.ok())
            return status;
  }
  return Status();
}

nlohmann::json Bench::describe(const Measurement &measured) const {
  double rate = mean(measured.rates);
  const RollManifest &manifest = roll.manifest();
  nlohmann::json row = {{"model", manifest.model.family},
                        {"n_params", manifest.model.parameters},
                        {"model_size", roll.fileBytes()},
                        {"n_threads", session.threads()},
                        {"device", session.deviceName()},
                        {"n_prompt", measured.prompt},
                        {"n_gen", measured.generated},
                        {"n_depth", measured.depth},
                        {"n_sequences", measured.sequences},
                        {"avg_ts", rate},
                        {"stddev_ts", deviation(measured.rates)},
                        {"median_ts", median(measured.rates)},
                        {"p99_us", quantile(measured.tokens, 0.99)},
                        {"median_us", median(measured.tokens)},
                        {"bytes_per_token", measured.bytesPerToken},
                        {"context_bytes_per_token", measured.contextBytesPerToken},
                        {"read_bandwidth", median(measured.bandwidths)},
                        {"bf16_peak", machine.bf16Peak},
                        {"f32_peak", machine.f32Peak},
                        {"flops_per_token", measured.flopsPerToken},
                        {"predicted_us", measured.predicted}};
  // The floor of decoding is its bytes, that of a prompt its products.
  double peak = std::max(machine.bf16Peak, machine.f32Peak);
  row["share_of_floor"] = measured.generated > 0
                              ? rate * measured.bytesPerToken / median(measured.bandwidths)
                              : rate * measured.flopsPerToken / peak;
  return row;
}

void Bench::print() const {
  nlohmann::json rows = nlohmann::json::array();
  for (const Measurement &measured : results)
    rows.push_back(describe(measured));
  if (options.format == "json") {
    std::printf("%s\n", rows.dump(2).c_str());
    return;
  }
  const RollManifest &manifest = roll.manifest();
  std::printf("bf16 peak %.0f GFLOP/s, f32 peak %.0f GFLOP/s\n\n", machine.bf16Peak * 1e-9,
              machine.f32Peak * 1e-9);
  std::printf("| model | size | params | threads | test | t/s | median t/s | p99 us | MB/token | "
              "read GB/s | share of floor | predicted us | measured us |\n");
  std::printf("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: "
              "| ---: |\n");
  for (const nlohmann::json &row : rows) {
    std::string test =
        row["n_gen"] > 0 ? "tg" + row["n_gen"].dump() : "pp" + row["n_prompt"].dump();
    if (row["n_depth"] > 0)
      test += " @ d" + row["n_depth"].dump();
    if (row["n_sequences"] > 1)
      test += " x " + row["n_sequences"].dump();
    std::printf(
        "| %s | %.2f GB | %.2f M | %u | %s | %.2f ± %.2f | %.2f | %.0f | %.1f | %.1f | %.0f %% | "
        "%.1f | %.1f |\n",
        manifest.model.family.c_str(), roll.fileBytes() * 1e-9, manifest.model.parameters * 1e-6,
        session.threads(), test.c_str(), row["avg_ts"].get<double>(),
        row["stddev_ts"].get<double>(), row["median_ts"].get<double>(), row["p99_us"].get<double>(),
        row["bytes_per_token"].get<double>() * 1e-6, row["read_bandwidth"].get<double>() * 1e-9,
        row["share_of_floor"].get<double>() * 100, row["predicted_us"].get<double>(),
        1e6 / row["avg_ts"].get<double>());
  }
}

int runBench(const BenchOptions &options) {
  Result<std::unique_ptr<Roll>> roll = Roll::open(options.roll);
  if (!roll)
    return fail(roll.message());
  SessionOptions settings = options.session;
  settings.tracePlays = options.trace.wanted() ? kTracePlays : 0;
  Result<std::unique_ptr<Session>> session = Session::create(**roll, settings);
  if (!session)
    return fail(session.message());
  Bench bench(options, **roll, **session);
  if (Status status = bench.run(); !status.ok())
    return fail(status.message());
  bench.print();
  if (Status status = writeRecording(options.trace, **roll, **session); !status.ok())
    return fail(status.message());
  return 0;
}

} // namespace

void addBenchVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *verb = app.add_subcommand("bench", "Measure a roll's speed");
  verb->add_option("-m,--model,roll", options->roll, "The roll to play")->required();
  CLI::Range tokens(int64_t(0), int64_t(1) << 24);
  verb->add_option("-p,--n-prompt", options->prompts, "Tokens of the prompt; 0: none")
      ->delimiter(',')
      ->check(tokens);
  verb->add_option("-n,--n-gen", options->generated, "Tokens to generate; 0: none")
      ->delimiter(',')
      ->check(tokens);
  verb->add_option("-d,--n-depth", options->depths, "Tokens of context before the measurement")
      ->delimiter(',')
      ->check(tokens);
  verb->add_option("-s,--sequences", options->sequences,
                   "Sequences that generate at once, a token of each in a play")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  verb->add_option("-r,--repetitions", options->repetitions)->check(CLI::Range(1, 10000));
  addDeviceOptions(*verb, options->session);
  addTraceOptions(*verb, options->trace);
  verb->add_option("-o,--output", options->format, "md or json")
      ->check(CLI::IsMember({"md", "json"}));
  verb->callback([=, &exitCode] { exitCode = runBench(*options); });
}

} // namespace pianola
