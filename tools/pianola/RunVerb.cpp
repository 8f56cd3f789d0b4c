// RunVerb.cpp - pianola run: a prompt goes in, text comes out.
#include "runtime/session/Session.h"
#include "tools/pianola/PlayedModel.h"
#include "tools/pianola/TraceOptions.h"

#include <algorithm>
#include <chrono>
#include <csignal>

namespace pianola {

namespace {

using Clock = std::chrono::steady_clock;

struct RunOptions {
  std::string model, prompt, system;
  RollFinder rollOf;
  std::vector<int32_t> ids;
  int64_t most = 256;
  bool printIds = false, chat = false, ignoreStop = false;
  SessionOptions session;
  TraceOptions trace;
  SamplingOptions sampling;
  RollRequest request; // if the model is a directory
};

Session *interrupted = nullptr;

class Run {
public:
  Run(RunOptions &options, CLI::App &verb) : options(options), verb(verb) {}
  Status run();

private:
  Status open();
  Status readPrompt();
  Status generate();
  void show(int32_t id, StreamDecoder *stream);

  RunOptions &options;
  CLI::App &verb;
  std::unique_ptr<Roll> roll;
  std::unique_ptr<Session> session;
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<int32_t> ids; // of the prompt
  std::vector<int32_t> stop;
  size_t shown = 0;
};

Status Run::open() {
  Result<std::unique_ptr<Roll>> opened = openRoll(options.model, options.request, options.rollOf);
  if (!opened)
    return opened.status();
  roll = std::move(*opened);
  options.session.tracePlays = options.trace.wanted() ? kTracePlays : 0;
  Result<std::unique_ptr<Session>> created = Session::create(*roll, options.session);
  if (!created)
    return created.status();
  session = std::move(*created);
  if (roll->tokenizer().empty())
    return Status();
  Result<std::unique_ptr<Tokenizer>> read = Tokenizer::fromJson(roll->tokenizer());
  // Without text in or out an unknown tokenizer does no harm.
  if (!read)
    return options.ids.empty() || !options.printIds ? read.status() : Status();
  tokenizer = std::move(*read);
  return Status();
}

Status Run::readPrompt() {
  stop = roll->manifest().generation.stop;
  if (!options.ids.empty()) {
    ids = options.ids;
    return Status();
  }
  if (!tokenizer)
    return Status::error("the model has no tokenizer: give the prompt as --ids");
  Result<std::vector<int32_t>> encoded = std::vector<int32_t>();
  if (options.chat) {
    Result<Chat> chat = chatOf(*roll, *tokenizer);
    if (!chat)
      return chat.status();
    encoded = chat->encode(options.system, options.prompt);
    stop.insert(stop.end(), chat->endsOfTurn().begin(), chat->endsOfTurn().end());
  } else {
    encoded = tokenizer->encode(options.prompt);
  }
  if (!encoded)
    return encoded.status();
  ids = std::move(*encoded);
  return ids.empty() ? Status::error("the prompt is empty") : Status();
}

void Run::show(int32_t id, StreamDecoder *stream) {
  if (options.printIds)
    std::printf("%s%d", shown == 0 ? "" : ",", id);
  else if (stream)
    std::fputs(stream->feed(id).c_str(), stdout);
  ++shown;
  std::fflush(stdout);
}

Status Run::generate() {
  const RollManifest &manifest = roll->manifest();
  auto vocabulary = static_cast<int32_t>(manifest.model.validVocabulary);
  if (Status status = validate(options.sampling, vocabulary); !status.ok())
    return status;
  Sampler sampler(options.sampling, vocabulary);
  std::optional<StreamDecoder> stream;
  if (tokenizer)
    stream.emplace(*tokenizer, /*skipSpecial=*/true);
  Clock::time_point start = Clock::now();
  if (Status status = session->feed(ids.data(), ids.size()); !status.ok())
    return status;
  Clock::time_point fed = Clock::now();
  int64_t count = 0;
  GenerateOptions wanted;
  wanted.most = static_cast<uint64_t>(options.most);
  if (!options.ignoreStop)
    wanted.stops = stop;
  wanted.take = [&](int32_t id) {
    ++count;
    bool isStop = std::count(wanted.stops.begin(), wanted.stops.end(), id) != 0;
    if (!isStop)
      show(id, stream ? &*stream : nullptr);
    else if (options.printIds)
      show(id, nullptr);
    return true;
  };
  Result<GenerationEnd> ended = session->generate(sampler, wanted);
  if (!ended && ended.message() != "cancelled")
    return ended.status();
  const char *reason = !ended                          ? "interrupted"
                       : *ended == GenerationEnd::Stop ? "stop"
                       : *ended == GenerationEnd::Full ? "the context is full"
                                                       : "length";
  Clock::time_point end = Clock::now();
  if (stream && !options.printIds)
    std::fputs(stream->finish().c_str(), stdout);
  std::printf("\n");
  double prefill = std::chrono::duration<double>(fed - start).count();
  double decode = std::chrono::duration<double>(end - fed).count();
  std::fprintf(stderr,
               "prompt %zu tokens in %.1f ms (%.0f tokens/s); generated %lld in %.1f ms (%.0f "
               "tokens/s), %s; ended by: %s\n",
               ids.size(), prefill * 1e3, ids.size() / prefill, static_cast<long long>(count),
               decode * 1e3, count > 1 ? (count - 1) / decode : 0.0, session->deviceName().c_str(),
               reason);
  return writeRecording(options.trace, *roll, *session);
}

Status Run::run() {
  if (Status status = open(); !status.ok())
    return status;
  if (Status status = readPrompt(); !status.ok())
    return status;
  takeDefaults(verb, roll->manifest().generation, options.sampling);
  interrupted = session.get();
  std::signal(SIGINT, [](int) { interrupted->cancel(); });
  return generate();
}

} // namespace

void addRunVerb(CLI::App &app, int &exitCode, RollFinder rollOf) {
  auto options = std::make_shared<RunOptions>();
  options->rollOf = std::move(rollOf);
  CLI::App *verb = app.add_subcommand("run", "Generate text from a prompt");
  verb->add_option("-m,--model,model", options->model,
                   "A roll; or a model directory or GGUF file, which is compiled once into a cache")
      ->required();
  CLI::Option *prompt = verb->add_option("-p,--prompt", options->prompt, "The prompt");
  CLI::Option *ids = verb->add_option("--ids", options->ids, "The prompt as token ids: 1,2,3")
                         ->delimiter(',')
                         ->excludes(prompt);
  verb->add_option("-n,--n-predict,--max-tokens", options->most, "Tokens to generate at most")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 31));
  verb->add_flag("--print-ids", options->printIds, "Print token ids in place of text");
  verb->add_flag("--chat", options->chat, "Lay the prompt out as a user's message");
  verb->add_option("--system", options->system, "With --chat: the system's message");
  verb->add_flag("--ignore-eos", options->ignoreStop, "Go on after a stop token");
  addSamplingOptions(*verb, options->sampling);
  addDeviceOptions(*verb, options->session);
  addTraceOptions(*verb, options->trace);
  addRequestOptions(*verb, options->request);
  verb->callback([=, &exitCode] {
    if (prompt->empty() == ids->empty()) {
      exitCode = failUsage("run: give the prompt as -p TEXT or --ids 1,2,3");
      return;
    }
    if (Status status = Run(*options, *verb).run(); !status.ok())
      exitCode = fail(status.message());
  });
}

} // namespace pianola
