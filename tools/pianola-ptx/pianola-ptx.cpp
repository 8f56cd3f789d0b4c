// pianola-ptx.cpp - plays PTX text on the emulator.
#include "targets/nvptx/emulator/Code.h"
#include "targets/nvptx/emulator/Profile.h"
#include "tools/pianola-ptx/Arguments.h"

#include <CLI/CLI.hpp>

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <thread>

using namespace pianola;
using namespace pianola::ptx;

namespace {

struct Options {
  std::string file, device, kernel, grid = "1", block = "1", checks = "all";
  std::vector<std::string> arguments;
  uint32_t dynamicShared = 0, interleavings = 1, threads = 0;
  uint64_t seed = 0, budget = 0;
  bool cooperative = false, profile = false;
};

/// What a shell learns.
enum ExitCode : int {
  Clean = 0,
  Found = 1, ///< findings, or text that is no PTX
  Misuse = 2 ///< wrong arguments, or files that cannot be read or written
};

int fail(const std::string &message, ExitCode code = Misuse) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return code;
}

/// The named device, or the one that fits the text's .target best.
Result<const DeviceRow *> chooseDevice(const Options &options, std::string_view text) {
  if (!options.device.empty()) {
    if (const DeviceRow *row = findDevice(options.device))
      return row;
    std::string known;
    for (const DeviceRow &row : devices())
      known += " " + std::string(row.name);
    return Status::error("--device " + options.device + ": known devices are" + known);
  }
  size_t at = text.find(".target sm_");
  uint32_t capability =
      at == text.npos
          ? 0
          : uint32_t(std::strtoul(std::string(text.substr(at + 11, 4)).c_str(), nullptr, 10));
  const DeviceRow *best = nullptr;
  for (const char *name : {"h200", "a100"}) // the ones most often meant
    if (findDevice(name)->capability == capability)
      return findDevice(name);
  for (const DeviceRow &row : devices())
    if (row.capability >= capability && (!best || row.capability < best->capability))
      best = &row;
  return best ? best : findDevice("h200");
}

int check(const Options &options) {
  auto text = readFile(options.file);
  if (!text)
    return fail(text.message());
  auto row = chooseDevice(options, *text);
  if (!row)
    return fail(row.message());
  Device device(**row);
  auto module = device.load(*text, options.file);
  if (!module)
    return fail(module.message(), Found);
  const Syntax &syntax = *(*module)->syntax;
  std::printf("%s: PTX %u.%u for %s, plays on %s\n", options.file.c_str(), syntax.version / 10,
              syntax.version % 10, std::string(syntax.target).c_str(),
              std::string((*row)->name).c_str());
  for (const Variable &variable : syntax.variables)
    if ((*module)->addresses.count(&variable))
      std::printf("variable '%s': %" PRIu64 " bytes of %s memory\n",
                  std::string(variable.name).c_str(), variable.size,
                  variable.space == Space::Const ? "constant" : "global");
  for (const Kernel &kernel : (*module)->kernels()) {
    // A register file of the emulator has a line for each register: 32 lanes beside each other.
    std::printf("kernel '%s': %zu instructions, used %u registers, %u bytes of local memory, %u "
                "bytes of shared memory, %u bytes of parameters\n",
                kernel.name.c_str(), kernel.code.ops.size(),
                (kernel.registerBytes / warpSize + 3) / 4, kernel.localBytes, kernel.sharedBytes,
                kernel.parameterBytes);
    const Dim3 &required = kernel.requiredBlock, &maximum = kernel.maximumBlock;
    if (required.x)
      std::printf("    block of exactly %u x %u x %u threads\n", required.x, required.y,
                  required.z);
    if (maximum.x)
      std::printf("    block of at most %" PRIu64 " threads\n", maximum.count());
    for (const KernelParameter &parameter : kernel.parameters)
      std::printf("    parameter '%s': %u bytes at %u\n", std::string(parameter.name).c_str(),
                  parameter.size, parameter.offset);
  }
  return Clean;
}

/// The one that is named, or the only one.
Result<const Kernel *> chooseKernel(const Options &options, const Module &module) {
  if (options.kernel.empty() && module.kernels().size() == 1)
    return &module.kernels().front();
  if (const Kernel *kernel = module.findKernel(options.kernel))
    return kernel;
  std::string known;
  for (const Kernel &kernel : module.kernels())
    known += (known.empty() ? " '" : ", '") + kernel.name + "'";
  return Status::error("--kernel '" + options.kernel + "': " + options.file +
                       (known.empty() ? " has no kernel" : " has" + known));
}

/// What one seed played.
struct Take {
  Status failure;
  bool isPtx = true; ///< the text was understood
  Played played;
  std::vector<std::vector<uint8_t>> outputs;
};

Take play(const Options &options, const std::string &text, const DeviceRow &row,
          const Launch &launch, const std::vector<ArgumentSpec> &specs) {
  Take take;
  Device device(row, launch.seed);
  auto module = device.load(text, options.file);
  if (!module) {
    take.failure = module.status();
    take.isPtx = false;
    return take;
  }
  auto kernel = chooseKernel(options, **module);
  if (!kernel) {
    take.failure = kernel.status();
    return take;
  }
  Arguments arguments;
  std::vector<uint64_t> buffers;
  for (const ArgumentSpec &spec : specs) {
    if (!spec.isBuffer) {
      arguments.addBytes(spec.value.data(), spec.value.size());
      continue;
    }
    auto address =
        device.allocate(spec.bytes, "argument " + std::to_string(arguments.values.size()));
    take.failure = address ? Status() : address.status();
    if (take.failure.ok() && spec.isWritten)
      take.failure = device.write(*address, spec.contents.data(), spec.bytes);
    if (!take.failure.ok())
      return take;
    arguments.add(*address);
    buffers.push_back(*address);
  }
  auto played = device.play(*kernel, launch, arguments);
  if (!played) {
    take.failure = played.status();
    return take;
  }
  take.played = std::move(*played);
  size_t next = 0;
  for (const ArgumentSpec &spec : specs) {
    if (!spec.isBuffer)
      continue;
    std::vector<uint8_t> bytes(spec.bytes);
    take.failure = device.read(buffers[next++], bytes.data(), bytes.size());
    take.outputs.push_back(std::move(bytes));
  }
  return take;
}

void printProfile(const Options &options, const std::string &text, const DeviceRow &row,
                  const Profile &profile) {
  // The kernel is decoded once more, for its instructions' names.
  Device device(row);
  auto module = device.load(text, options.file);
  const Kernel *kernel = *chooseKernel(options, **module);
  auto table = [](const char *title, const std::vector<Profile::Sum> &sums) {
    if (sums.empty())
      return;
    std::printf("%-44s %14s %12s %14s %10s %10s\n", title, "threads", "warps", "bytes", "conflicts",
                "sectors");
    for (const Profile::Sum &sum : sums) {
      const Profile::Line &line = sum.line;
      std::printf("%-44s %14" PRIu64 " %12" PRIu64 " %14" PRIu64, sum.name.c_str(), line.threads,
                  line.warps, line.bytes);
      line.wavefronts
          ? std::printf(" %9.2fx", double(line.wavefronts) / double(line.leastWavefronts))
          : std::printf(" %10s", "");
      line.sectors ? std::printf(" %9.2fx\n", double(line.sectors) / double(line.leastSectors))
                   : std::printf("\n");
    }
    std::printf("\n");
  };
  table("stage", profile.byStage(kernel->code));
  table("instruction", profile.byInstruction(kernel->code));
  table("state space", profile.bySpace());
}

int run(const Options &options) {
  auto text = readFile(options.file);
  if (!text)
    return fail(text.message());
  auto row = chooseDevice(options, *text);
  auto grid = parseDim3("--grid", options.grid), block = parseDim3("--block", options.block);
  for (const Status &status : {row.status(), grid.status(), block.status()})
    if (!status.ok())
      return fail(status.message());
  std::vector<ArgumentSpec> specs;
  for (const std::string &argument : options.arguments) {
    auto spec = parseArgument(argument);
    if (!spec)
      return fail(spec.message());
    specs.push_back(std::move(*spec));
  }
  Launch launch;
  launch.grid = *grid, launch.block = *block;
  launch.dynamicShared = options.dynamicShared, launch.cooperative = options.cooperative;
  launch.budget = options.budget;
  if (options.checks == "none")
    launch.checks = Checks::none();
  Profile profile;
  std::vector<Take> takes(options.interleavings);
  std::atomic<uint32_t> next{0};
  auto work = [&] {
    for (uint32_t i; (i = next++) < takes.size();) {
      Launch mine = launch;
      mine.seed = options.seed + i;
      if (options.profile && i == 0)
        mine.profile = &profile;
      takes[i] = play(options, *text, **row, mine, specs);
    }
  };
  uint32_t threads =
      options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> workers;
  for (uint32_t i = 1; i < std::min<uint32_t>(threads, options.interleavings); ++i)
    workers.emplace_back(work);
  work();
  for (std::thread &worker : workers)
    worker.join();

  bool wrong = false;
  uint64_t instructions = 0;
  for (uint32_t i = 0; i < takes.size(); ++i) {
    const Take &take = takes[i];
    if (!take.failure.ok())
      return fail(take.failure.message(), take.isPtx ? Misuse : Found);
    instructions += take.played.threadInstructions;
    for (const Finding &finding : take.played.findings)
      std::printf("seed %" PRIu64 ": %s\n", options.seed + i, finding.text().c_str());
    wrong |= !take.played.findings.empty();
    if (i && take.outputs != takes[0].outputs && take.played.findings.empty() &&
        takes[0].played.findings.empty())
      std::printf("seed %" PRIu64 ": the results differ from those of seed %" PRIu64 "\n",
                  options.seed + i, options.seed);
  }
  std::fputs(takes[0].played.output.c_str(), stdout);
  if (options.profile)
    printProfile(options, *text, **row, profile);
  std::fflush(stdout);
  std::fprintf(stderr, "%u interleaving%s, %" PRIu64 " thread instructions, %s\n",
               options.interleavings, options.interleavings == 1 ? "" : "s", instructions,
               wrong ? "findings" : "no finding");
  if (wrong)
    return Found; // what such a kernel computes is nothing to keep
  size_t index = 0;
  for (const ArgumentSpec &spec : specs) {
    if (!spec.isBuffer)
      continue;
    const std::vector<uint8_t> &bytes = takes[0].outputs[index++];
    if (spec.outputFile.empty())
      continue;
    if (Status status = writeFile(spec.outputFile, bytes); !status.ok())
      return fail("--arg " + spec.text + ": " + status.message());
  }
  return Clean;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app{"Plays PTX on the CPU, and reports races, missing fences, bad accesses and waits "
               "that never end."};
  app.require_subcommand(1);
  app.footer("Exit status: 0 if nothing was found, 1 if something was or the text is no PTX, 2 for "
             "wrong arguments and for files that cannot be read or written.");
  Options options;
  int exitCode = 0;
  auto common = [&](CLI::App *verb) {
    verb->add_option("file", options.file, "PTX text")->required();
    verb->add_option("--device", options.device,
                     "Which GPU to be; by default one that fits the text's .target");
  };
  CLI::App *checkVerb = app.add_subcommand("check", "Parse, and list kernels and what they need");
  common(checkVerb);
  checkVerb->callback([&] { exitCode = check(options); });
  CLI::App *runVerb = app.add_subcommand("run", "Launch a kernel");
  common(runVerb);
  runVerb->add_option("--kernel", options.kernel,
                      "Which one; may be left out where there is only one");
  runVerb->add_option("--grid", options.grid, "Blocks: x, x,y or x,y,z")->capture_default_str();
  runVerb->add_option("--block", options.block, "Threads of a block: x, x,y or x,y,z")
      ->capture_default_str();
  runVerb->add_option("--shared", options.dynamicShared, "Bytes of dynamic shared memory");
  runVerb->add_flag("--cooperative", options.cooperative,
                    "All blocks at once, with a barrier over the grid");
  runVerb->add_option("--arg", options.arguments, "One argument of the kernel, in order")
      ->allow_extra_args(false);
  runVerb->footer(
      "Forms of --arg:\n"
      "  u8:V u16:V u32:V u64:V s8:V s16:V s32:V s64:V f32:V f64:V   a number\n"
      "  hex:0011AAFF          bytes, for a structure that is passed by value\n"
      "  in:FILE               a pointer to a buffer with the file's bytes\n"
      "  out:FILE:BYTES        to a buffer that nothing has written; its bytes go to the file\n"
      "  inout:FILE:FILE       to a buffer with the first file's bytes, which go to the second "
      "one\n"
      "  zero:BYTES[:FILE]     to a buffer of zeros, which may go to a file\n"
      "Files are written once the launch is over without a finding. Several interleavings begin "
      "with the same buffers; the first one's are written.");
  runVerb->add_option("--seed", options.seed, "Draws the interleaving; the same seed repeats it");
  runVerb
      ->add_option("--interleavings", options.interleavings,
                   "How many seeds to play, from --seed on")
      ->check(CLI::Range(1u, 1000000u));
  runVerb->add_option("--threads", options.threads,
                      "Threads of the CPU that play seeds; by default all");
  runVerb->add_option("--checks", options.checks, "all, or none: bounds and alignment only")
      ->check(CLI::IsMember({"all", "none"}));
  runVerb->add_option("--budget", options.budget, "Stop after so many warp instructions");
  runVerb->add_flag("--profile", options.profile,
                    "Count instructions, bytes, bank conflicts and sectors");
  runVerb->callback([&] { exitCode = run(options); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exitCode;
}
