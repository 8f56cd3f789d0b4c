// PredictVerb.cpp - pianola predict: how fast a model will be on a GPU that need not be there.
#include "lib/driver/Predict.h"
#include "tools/pianola/Verbs.h"

#include <algorithm>
#include <map>

namespace pianola {

void listTargets() {
  std::printf("host, x86-64-v3, x86-64-v4: CPUs, each with +feature and -feature. GPUs:\n\n");
  std::printf("%-10s %-26s %6s %5s %11s %10s %12s\n", "name", "product", "sm", "SMs", "memory GB",
              "TB/s", "KiB a block");
  for (const DeviceRow &row : devices())
    std::printf("%-10.*s %-26.*s %6u %5u %11.0f %10.2f %12u\n", int(row.name.size()),
                row.name.data(), int(row.product.size()), row.product.data(), row.capability,
                row.sms, row.memoryBytes * 1e-9, row.bandwidth * 1e-12, row.sharedPerBlock >> 10);
}

static void print(const Prediction &prediction) {
  const schedule::Timeline &timeline = prediction.timeline;
  std::printf("model    %s\n", prediction.model.c_str());
  std::printf("target   %.*s, %lld workers, %.2f TB/s, ring of %lld KiB each\n",
              int(prediction.device->product.size()), prediction.device->product.data(),
              static_cast<long long>(prediction.workers), prediction.bandwidth * 1e-3,
              static_cast<long long>(timeline.ring >> 10));
  std::printf("context  %lld positions, %lld slot%s\n",
              static_cast<long long>(prediction.positions),
              static_cast<long long>(prediction.slots), prediction.slots == 1 ? "" : "s");
  std::printf(
      "memory   %s of weights; keys and values: %s, of all %lld positions %s; of %s%s\n\n",
      gigabytes(prediction.needs.weights).c_str(), gigabytes(prediction.needs.contexts).c_str(),
      static_cast<long long>(prediction.maxPositions), gigabytes(prediction.most.contexts).c_str(),
      gigabytes(prediction.device->memoryBytes).c_str(),
      prediction.needs.total() > prediction.device->memoryBytes ? ": it does not fit" : "");

  struct Kind {
    int count = 0;
    schedule::StepCost cost;
  };
  std::map<std::string, Kind> kinds;
  std::vector<std::string> order;
  for (size_t s = 0; s < prediction.steps.size(); ++s) {
    const std::string &name = prediction.steps[s].kind;
    if (!kinds.count(name))
      order.push_back(name);
    Kind &kind = kinds[name];
    ++kind.count;
    kind.cost.tape += timeline.steps[s].tape;
    kind.cost.floor += timeline.steps[s].floor;
    kind.cost.ns += timeline.steps[s].ns;
    kind.cost.waiting += timeline.steps[s].waiting;
  }
  std::printf("%-24s %6s %12s %12s %14s %12s\n", "step", "times", "MB of tape", "floor us",
              "predicted us", "waiting us");
  for (const std::string &name : order) {
    const Kind &kind = kinds[name];
    std::printf("%-24s %6d %12.2f %12.1f %14.1f %12.1f\n", name.c_str(), kind.count,
                kind.cost.tape * 1e-6, kind.cost.floor * 1e-3, kind.cost.ns * 1e-3,
                kind.cost.waiting * 1e-3);
  }
  std::printf(
      "\n%-9s%.1f us predicted, floor %.1f us: %.1f %% of the floor's speed, %.0f tokens/s\n",
      prediction.slots == 1 ? "token" : "chunk", timeline.ns * 1e-3, timeline.floor * 1e-3,
      timeline.floor / timeline.ns * 100, prediction.slots * 1e9 / timeline.ns);
  std::printf("tapes    the longest is %.2f %% longer than the mean\n", timeline.imbalance * 100);
}

void addPredictVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<PredictOptions>();
  auto html = std::make_shared<std::string>(), trace = std::make_shared<std::string>();
  CLI::App *verb = app.add_subcommand(
      "predict", "Predict how fast a model will be on a GPU; config.json alone is enough");
  verb->add_option("model", options->directory, "Directory with config.json, or a GGUF file");
  verb->add_option("--target", options->target, "A GPU, or list")->capture_default_str();
  verb->add_option("--weights", options->weights, "Encode weights, as compile --weights does");
  verb->add_option("--kv", options->kv, "Keep keys and values as compile --kv does");
  verb->add_option("--workers", options->workers, "Workers (default: the SMs of the GPU)")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--context", options->positions, "Positions before the play")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--slots", options->slots, "Token slots: 1 for a token, more for a prompt")
      ->capture_default_str()
      ->check(CLI::Range(1, 512));
  verb->add_option("--html", *html, "Write the timeline of all workers as a page to look at");
  verb->add_option("--trace", *trace, "Write it as a trace for Perfetto");
  verb->callback([=, &exitCode] {
    if (options->target == "list")
      return listTargets();
    if (options->directory.empty()) {
      exitCode = failUsage("predict: which model? A directory with config.json is wanted");
      return;
    }
    llvm::Expected<Prediction> prediction = predict(*options);
    if (!prediction) {
      exitCode = fail(llvm::toString(prediction.takeError()));
      return;
    }
    print(*prediction);
    if (!html->empty() && !writeFile(*html, drawTimeline(drawn(*prediction))))
      exitCode = fail("--html " + *html + ": cannot be written");
    if (!trace->empty() && !writeFile(*trace, writeTrace(drawn(*prediction))))
      exitCode = fail("--trace " + *trace + ": cannot be written");
  });
}

} // namespace pianola
