// CompileVerb.cpp - pianola compile: a model directory or a GGUF file becomes a roll.
#include "lib/driver/Compile.h"
#include "tools/pianola/Verbs.h"

#include <map>

namespace pianola {

void addCompileVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<CompileOptions>();
  auto seed = std::make_shared<uint64_t>();
  CLI::App *verb =
      app.add_subcommand("compile", "Compile a model directory or a GGUF file into a roll");
  verb->add_option("model", options->directory,
                   "Directory with config.json, *.safetensors, "
                   "tokenizer.json; or a GGUF file");
  verb->add_option("-o,--output", options->output, "The roll to write (default: MODEL.roll)");
  verb->add_option("--target", options->target,
                   "host, x86-64-v3 or x86-64-v4, with +feature and -feature; or a GPU; list: "
                   "which there are")
      ->capture_default_str();
  verb->add_option("-t,--threads,--workers", options->workers,
                   "Workers to schedule for (default: the cores of this machine)")
      ->check(CLI::Range(1, 1024));
  verb->add_option("-c,--max-model-len", options->maxModelLen,
                   "Positions a session can hold (default: what the model allows)")
      ->check(CLI::PositiveNumber);
  verb->add_option(
          "--slots", options->slots,
          "Token slots of the programs, 1 among them: a prompt is played by the program of "
          "the fewest slots that has one for each token left, or else the most (default: "
          "1,8,64)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, static_cast<int>(kMostProgramSlots)));
  verb->add_flag("--unsafe-skip-check", options->skipCheck,
                 "Do not prove the schedule: the roll may wait forever, or play what nobody wrote");
  CLI::Option *weights = verb->add_option(
      "--weights", options->weights,
      "Encodings of matrices, [PATTERN=]ENCODING with commas in between: keep, f32, "
      "bf16, f16, int8[/row|/32|/64|/128], int4[/32|/64|/128][z], fp8[/row|/128], mxfp4 or "
      "2:4 (bf16, of each four columns the two greatest); the first whose pattern matches the "
      "tensor's name counts (unless named, embeddings and head are int8 under int4 and mxfp4, and "
      "kept under 2:4)");
  verb->add_option("--budget", options->budget,
                   "Bytes that all weights may take, such as 700MB or 1.5GiB: each matrix gets the "
                   "encoding (as it is, bf16, int8 or int4) that serves best for its bytes")
      ->excludes(weights);
  verb->add_option("--calibrate", options->calibrate,
                   "A text like those that the model is for: codes are chosen to change least what "
                   "the model makes of its first 65536 tokens (slow)");
  verb->add_option(
      "--kv", options->kv,
      "What keys and values are kept as: f32, bf16 (each within 1/256 of itself), int8 "
      "(within 1/254 of the greatest of its head) or fp8 (within 1/16 of itself) (default: "
      "f32)");
  verb->add_option("--activations", options->activations,
                   "What the weights are multiplied with where a prompt is played 8 tokens or more "
                   "at a time: f32 (16 of its bits), or bf16 (as integers of 8 bits beside integer "
                   "codes), which is up to twice as fast; GPUs take f32 (default: f32)");
  CLI::Option *seeded = verb->add_option("--weights-from-seed", *seed,
                                         "Make the weights up; config.json alone is enough");
  verb->add_flag("--weights-at-load", options->weightsAtLoad,
                 "Leave the weights out of a roll for a GPU: who opens it makes up others, to "
                 "measure its speed")
      ->needs(seeded);
  verb->add_flag("--cubin", options->cubin,
                 "Put machine code into a roll for a GPU too, by CUDA's ptxas");
  verb->add_flag("--hidden-states", options->hiddenStates,
                 "Have each token's last hidden state at hand, which embeddings are made of");
  static const std::map<std::string, Emit> kEmit = {
      {"roll", Emit::Roll}, {"transformer", Emit::Transformer},
      {"tile", Emit::Tile}, {"schedule", Emit::Schedule},
      {"llvm", Emit::Llvm}, {"asm", Emit::Assembly},
      {"ptx", Emit::Ptx}};
  verb->add_option("--emit", options->emit, "Print a stage of the compilation instead")
      ->transform(CLI::CheckedTransformer(kEmit).description("roll, transformer, tile, schedule, "
                                                             "llvm, asm or ptx"));
  verb->callback([=, &exitCode] {
    if (options->target == "list")
      return listTargets();
    if (options->directory.empty()) {
      exitCode = failUsage("compile: which model? A directory with config.json is wanted");
      return;
    }
    if (seeded->count())
      options->seed = *seed;
    if (options->output.empty()) {
      std::string name = options->directory;
      while (name.size() > 1 && name.back() == '/')
        name.pop_back();
      llvm::StringRef last = llvm::StringRef(name).substr(name.rfind('/') + 1);
      last.consume_back(".gguf");
      options->output = last.str() + ".roll";
    }
    Progress progress(true);
    if (llvm::Error error = compile(*options, progress, llvm::outs(), llvm::errs()))
      exitCode = fail(llvm::toString(std::move(error)));
    else if (options->emit == Emit::Roll)
      llvm::errs() << "wrote " << options->output << "\n";
  });
}

} // namespace pianola
