// PlantVerb.cpp - pianola-play plant: a roll for a GPU whose workers never signal, for trying out
// what a player does when a kernel goes wrong.
#include "lib/roll/RollWriter.h"
#include "runtime/roll/Roll.h"
#include "tools/pianola-play/PlayVerbs.h"

namespace pianola {

namespace {

Status plant(const std::string &from, const std::string &to) {
  Result<std::unique_ptr<Roll>> roll = Roll::open(from);
  if (!roll)
    return roll.status();
  if ((*roll)->manifest().weights)
    return Status::error(from + ": has no weights to be copied");
  std::string code((*roll)->code());
  constexpr std::string_view kSignal = "red.release.gpu.global.add.u32";
  size_t signals = 0;
  for (size_t at = 0; (at = code.find(kSignal, at)) != std::string::npos; at += 2, ++signals)
    code.replace(at, 2, "//");
  if (signals == 0)
    return Status::error(from + ": its code has no " + std::string(kSignal));
  Result<std::unique_ptr<RollWriter>> writer = RollWriter::create(to);
  if (!writer)
    return writer.status();
  for (int number = 0; number < PIANOLA_SECTION_COUNT; ++number) {
    auto kind = static_cast<PianolaSectionKind>(number);
    uint64_t bytes = (*roll)->sectionBytes(kind);
    if (bytes == 0 || kind == PIANOLA_SECTION_CUBIN) // machine code does signal
      continue;
    const void *data = kind == PIANOLA_SECTION_CODE
                           ? static_cast<const void *>(code.data())
                           : static_cast<const void *>((*roll)->section(kind));
    if (Status status = (*writer)->add(kind, data, bytes); !status.ok())
      return status;
  }
  return (*writer)->finish();
}

} // namespace

void addPlantVerb(CLI::App &app, int &exitCode) {
  struct Options {
    std::string from, to;
  };
  auto options = std::make_shared<Options>();
  CLI::App *verb =
      app.add_subcommand("plant", "Write a roll whose workers wait forever for each other");
  verb->add_option("roll", options->from, "A roll for a GPU")->required();
  verb->add_option("-o,--output", options->to, "The roll to write")->required();
  verb->callback([=, &exitCode] {
    if (Status status = plant(options->from, options->to); !status.ok())
      exitCode = fail(status.message());
  });
}

} // namespace pianola
