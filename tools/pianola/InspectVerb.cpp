// InspectVerb.cpp - pianola inspect: what is in a roll.
#include "runtime/roll/Roll.h"
#include "runtime/timeline/PredictedPlay.h"
#include "runtime/timeline/StageKind.h"
#include "tools/pianola/Verbs.h"

#include <algorithm>
#include <map>

namespace pianola {

static std::string join(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

static void printContexts(const RollManifest &manifest) {
  uint64_t bytes = 0, all = 0, rings = 0;
  std::vector<std::string> elements;
  for (const RollContext &context : manifest.contexts) {
    bytes += context.positionBytes();
    all += context.positionBytes() * context.room(manifest.maxModelLen);
    rings += context.room(manifest.maxModelLen) < static_cast<uint64_t>(manifest.maxModelLen);
    if (std::find(elements.begin(), elements.end(), context.element) == elements.end())
      elements.push_back(context.element);
  }
  std::printf("context  %llu of %lld positions, of %llu bytes each: keys and values of %s\n",
              static_cast<unsigned long long>(manifest.maxModelLen),
              static_cast<long long>(manifest.model.maxPositions),
              static_cast<unsigned long long>(bytes), join(elements).c_str());
  if (rings)
    std::printf("          %llu of %zu layers keep the newest positions alone: %llu bytes in all\n",
                static_cast<unsigned long long>(rings), manifest.contexts.size(),
                static_cast<unsigned long long>(all));
}

static void printStates(const RollManifest &manifest) {
  uint64_t bytes = 0;
  for (uint64_t state : manifest.states)
    bytes += state;
  if (bytes)
    std::printf("state    %llu bytes that layers remember of a text, however long it is\n",
                static_cast<unsigned long long>(bytes));
}

static void printKernel(const RollProgram &program) {
  const RollKernel &kernel = program.kernel;
  std::printf("  kernel %s: %llu threads, %llu bytes of shared memory, ring of %llu x %llu bytes, "
              "%zu stages%s\n",
              kernel.entry.c_str(), static_cast<unsigned long long>(kernel.threads),
              static_cast<unsigned long long>(kernel.shared),
              static_cast<unsigned long long>(kernel.slots),
              static_cast<unsigned long long>(kernel.chunk), kernel.stages.size(),
              program.loops ? "; goes from token to token by itself" : "");
}

static void printProgram(const RollManifest &manifest, const RollProgram &program) {
  struct Kind {
    int count = 0;
    double tape = 0, flops = 0, ns = 0;
  };
  std::map<std::string, Kind> kinds;
  std::vector<std::string> order;
  Kind total;
  for (const RollStep &step : program.steps) {
    std::string name = stageKind(step.label);
    if (!kinds.count(name))
      order.push_back(name);
    for (Kind *kind : {&kinds[name], &total}) {
      ++kind->count;
      kind->tape += step.cost.tape;
      kind->flops += step.cost.flops;
      kind->ns += step.cost.ns;
    }
  }
  std::printf("\nprogram %s: %llu slots, %zu steps, %llu events, %.2f MB of activations\n",
              program.name.c_str(), static_cast<unsigned long long>(program.slots),
              program.steps.size(), static_cast<unsigned long long>(program.events),
              program.arena * 1e-6);
  if (manifest.target.isGpu())
    printKernel(program);
  std::printf("  %-24s %6s %12s %12s %14s %10s\n", "step", "times", "MB of tape", "GFLOP",
              "predicted us", "of floor");
  auto row = [&](const std::string &name, const Kind &kind) {
    double floor = kind.tape / manifest.target.bandwidth; // bytes at MB/s: us
    std::printf("  %-24s %6d %12.2f %12.3f %14.1f %8.0f %%\n", name.c_str(), kind.count,
                kind.tape * 1e-6, kind.flops * 1e-9, kind.ns * 1e-3,
                kind.ns > 0 ? floor / (kind.ns * 1e-3) * 100 : 0);
  };
  for (const std::string &name : order)
    row(name, kinds[name]);
  row("all", total);
}

static void print(const Roll &roll) {
  const RollManifest &manifest = roll.manifest();
  const RollModel &model = manifest.model;
  const RollTarget &target = manifest.target;
  std::printf("model    %s (%s), %.2f M parameters, %lld layers, hidden %lld, vocabulary %lld\n",
              model.name.c_str(), model.family.c_str(), model.parameters * 1e-6,
              static_cast<long long>(model.layers), static_cast<long long>(model.hidden),
              static_cast<long long>(model.vocabulary));
  printContexts(manifest);
  printStates(manifest);
  if (target.isGpu())
    std::printf("target   %s, %s (%s), %lld workers, products of %s\n", target.name.c_str(),
                target.device.c_str(), target.chip.c_str(), static_cast<long long>(target.workers),
                target.product.c_str());
  else
    std::printf("target   %s, %s, %lld workers, products of %s; needs %s\n", target.name.c_str(),
                target.architecture.c_str(), static_cast<long long>(target.workers),
                target.product.c_str(), join(target.features).c_str());
  std::printf("made by  pianola %s\n", manifest.pianola.c_str());
  std::printf("file     %.2f MB\n", roll.fileBytes() * 1e-6);
  for (int kind = 0; kind < PIANOLA_SECTION_COUNT; ++kind)
    if (uint64_t bytes = roll.sectionBytes(static_cast<PianolaSectionKind>(kind)))
      std::printf("  %-10s %14llu bytes\n", sectionName(static_cast<PianolaSectionKind>(kind)),
                  static_cast<unsigned long long>(bytes));
  // All SMs of a GPU would be a long list of nearly the same.
  if (target.isGpu()) {
    auto [least, most] =
        std::minmax_element(manifest.tapes.begin(), manifest.tapes.end(),
                            [](const RollTape &a, const RollTape &b) { return a.bytes < b.bytes; });
    std::printf("  tapes of workers: %.3f to %.3f MB\n", least->bytes * 1e-6, most->bytes * 1e-6);
  }
  for (size_t worker = 0; worker < manifest.tapes.size() && !target.isGpu(); ++worker)
    std::printf("  tape of worker %zu: %.2f MB\n", worker, manifest.tapes[worker].bytes * 1e-6);
  for (const RollProgram &program : manifest.programs)
    printProgram(manifest, program);
}

void addInspectVerb(CLI::App &app, int &exitCode) {
  auto path = std::make_shared<std::string>();
  auto html = std::make_shared<std::string>(), trace = std::make_shared<std::string>();
  CLI::App *verb = app.add_subcommand("inspect", "Say what is in a roll");
  verb->add_option("roll", *path)->required();
  verb->add_option("--html", *html,
                   "Of a roll for a GPU: write the predicted timeline of a token as a page");
  verb->add_option("--trace", *trace, "The same as a trace for Perfetto");
  verb->callback([=, &exitCode] {
    Result<std::unique_ptr<Roll>> roll = Roll::open(*path);
    if (!roll) {
      exitCode = fail(roll.message());
      return;
    }
    print(**roll);
    if (html->empty() && trace->empty())
      return;
    Result<DrawnPlay> play = predictedPlay(**roll);
    if (!play)
      exitCode = fail(play.message());
    else if (!html->empty() && !writeFile(*html, drawTimeline(*play)))
      exitCode = fail("--html " + *html + ": cannot be written");
    else if (!trace->empty() && !writeFile(*trace, writeTrace(*play)))
      exitCode = fail("--trace " + *trace + ": cannot be written");
  });
}

} // namespace pianola
