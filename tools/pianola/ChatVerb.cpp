// ChatVerb.cpp - pianola chat: a conversation in the terminal.
#include "runtime/JsonShape.h"
#include "runtime/session/Session.h"
#include "tools/pianola/ModelText.h"
#include "tools/pianola/PlayedModel.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace pianola {

using nlohmann::ordered_json;

namespace {

using Clock = std::chrono::steady_clock;

struct ChatOptions {
  std::string model, system;
  RollFinder rollOf;
  int64_t most = -1;
  SessionOptions session;
  SamplingOptions sampling;
  RollRequest request; // if the model is a directory
};

constexpr const char *kHelp =
    "/help            this\n"
    "/reset           forget the conversation\n"
    "/system TEXT     the system's message from now on; without TEXT none\n"
    "/save FILE       write the conversation as JSON\n"
    "/load FILE       go on with a conversation that was saved\n"
    "/stats           tokens, speed, and what the context holds\n"
    "/exit            leave, as Ctrl-D does\n"
    "A line that ends with \\ goes on in the next one, and so does all\n"
    "between two lines of \"\"\". Ctrl-C stops an answer.\n";

// What Ctrl-C is for: the answer under way, or the line being written.
std::atomic<Session *> answering{nullptr};
void interrupt(int) {
  if (Session *session = answering.load())
    session->cancel();
}

class Conversation {
public:
  Conversation(ChatOptions &options, CLI::App &verb) : options(options), verb(verb) {}
  Status run();

private:
  Status open();
  bool readMessage(std::string &message);
  bool readLine(const char *prompt, std::string &line);
  void obey(const std::string &command);
  Status answer(const std::string &message);
  Result<std::vector<int32_t>> encode(const ordered_json &messages) const;
  Status feedPrompt(const std::vector<int32_t> &prompt);
  std::string generate();
  Status save(const std::string &path) const;
  Status load(const std::string &path);
  void printStats() const;

  ChatOptions &options;
  CLI::App &verb;
  std::unique_ptr<Roll> roll;
  std::unique_ptr<Session> session;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<Chat> chat;
  std::unique_ptr<Sampler> sampler;
  std::vector<int32_t> stops;
  ordered_json messages = ordered_json::array(); // without the system's
  bool asks = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO), dims = isatty(STDOUT_FILENO);

  // Of the last answer.
  size_t fed = 0, reused = 0, made = 0;
  double feedSeconds = 0, makeSeconds = 0;
};

Status Conversation::open() {
  Result<std::unique_ptr<Roll>> opened = openRoll(options.model, options.request, options.rollOf);
  if (!opened)
    return opened.status();
  roll = std::move(*opened);
  if (roll->tokenizer().empty())
    return Status::error(options.model + ": has no tokenizer");
  Result<std::unique_ptr<Tokenizer>> read = Tokenizer::fromJson(roll->tokenizer());
  if (!read)
    return Status::error(options.model + ": " + read.message());
  tokenizer = std::move(*read);
  Result<Chat> made = chatOf(*roll, *tokenizer);
  if (!made)
    return Status::error(options.model + ": " + made.message());
  chat = std::move(*made);
  Result<std::unique_ptr<Session>> created = Session::create(*roll, options.session);
  if (!created)
    return created.status();
  session = std::move(*created);
  takeDefaults(verb, roll->manifest().generation, options.sampling);
  auto vocabulary = static_cast<int32_t>(roll->manifest().model.validVocabulary);
  if (Status status = validate(options.sampling, vocabulary); !status.ok())
    return status;
  sampler = std::make_unique<Sampler>(options.sampling, vocabulary);
  stops = roll->manifest().generation.stop;
  stops.insert(stops.end(), chat->endsOfTurn().begin(), chat->endsOfTurn().end());
  return Status();
}

bool Conversation::readLine(const char *prompt, std::string &line) {
  for (;;) {
    if (asks) {
      std::fputs(prompt, stdout);
      std::fflush(stdout);
    }
    errno = 0;
    if (std::getline(std::cin, line))
      return true;
    if (errno != EINTR)
      return false;
    std::cin.clear();
    clearerr(stdin);
    std::fputs("\n(Ctrl-D or /exit leaves)\n", stderr);
  }
}

bool Conversation::readMessage(std::string &message) {
  if (!readLine("> ", message))
    return false;
  if (message == "\"\"\"") {
    message.clear();
    for (std::string line; readLine(". ", line) && line != "\"\"\"";)
      message += (message.empty() ? "" : "\n") + line;
    return true;
  }
  while (!message.empty() && message.back() == '\\') {
    message.back() = '\n';
    std::string line;
    if (!readLine(". ", line))
      break;
    message += line;
  }
  return true;
}

Result<std::vector<int32_t>> Conversation::encode(const ordered_json &turns) const {
  ordered_json all = ordered_json::array();
  if (!options.system.empty())
    all.push_back({{"role", "system"}, {"content", options.system}});
  all.insert(all.end(), turns.begin(), turns.end());
  return chat->encode({{"messages", all}, {"add_generation_prompt", true}});
}

// The context keeps what the new prompt shares with what was fed before.
Status Conversation::feedPrompt(const std::vector<int32_t> &prompt) {
  Clock::time_point start = Clock::now();
  Result<uint64_t> kept = session->feedPrompt(prompt.data(), prompt.size());
  feedSeconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (!kept)
    return kept.status();
  reused = *kept;
  fed = prompt.size() - reused;
  return Status();
}

std::string Conversation::generate() {
  StreamDecoder stream(*tokenizer, /*skipSpecial=*/true);
  std::optional<int32_t> thinks = tokenizer->tokenToId("<think>"),
                         thought = tokenizer->tokenToId("</think>");
  std::string text;
  auto print = [&](const std::string &more) {
    text += more;
    std::fputs(more.c_str(), stdout);
    std::fflush(stdout);
  };
  auto dim = [&](bool on) {
    if (dims)
      std::fputs(on ? "\033[2m" : "\033[0m", stdout);
  };
  GenerateOptions wanted;
  wanted.most = options.most < 0 ? UINT64_MAX : static_cast<uint64_t>(options.most);
  wanted.stops = stops;
  made = 0;
  wanted.take = [&](int32_t id) {
    ++made;
    if (std::count(stops.begin(), stops.end(), id))
      return true;
    if (id == thinks)
      dim(true);
    print(stream.feed(id));
    if (id == thought)
      dim(false);
    return true;
  };
  Clock::time_point start = Clock::now();
  Result<GenerationEnd> end = session->generate(*sampler, wanted);
  makeSeconds = std::chrono::duration<double>(Clock::now() - start).count();
  print(stream.finish());
  dim(false);
  std::fputs("\n", stdout);
  std::fflush(stdout);
  if (!end)
    std::fprintf(stderr, "(%s)\n",
                 end.message() == "cancelled" ? "stopped" : end.message().c_str());
  else if (*end == GenerationEnd::Full)
    std::fprintf(stderr, "(the context is full: /reset, or /save first)\n");
  return text;
}

Status Conversation::answer(const std::string &message) {
  ordered_json turns = messages;
  turns.push_back({{"role", "user"}, {"content", message}});
  Result<std::vector<int32_t>> prompt = encode(turns);
  if (!prompt)
    return prompt.status();
  // Nothing is dropped in silence: what does not fit is not taken.
  if (prompt->size() >= session->maxLen())
    return Status::error("the conversation would have " + std::to_string(prompt->size()) +
                         " tokens, and the context holds " + std::to_string(session->maxLen()) +
                         ": /reset, or /save first");
  answering = session.get();
  Status status = feedPrompt(*prompt);
  std::string text = status.ok() ? generate() : std::string();
  answering = nullptr;
  if (!status.ok())
    return status.message() == "cancelled" ? Status::error("stopped") : status;
  turns.push_back({{"role", "assistant"}, {"content", text}});
  messages = std::move(turns);
  if (asks)
    printStats();
  return Status();
}

void Conversation::printStats() const {
  std::fprintf(stderr,
               "(prompt %zu tokens, %zu of them known, %.0f tokens/s; answer %zu tokens, %.0f "
               "tokens/s; context %llu of %llu, %s)\n",
               fed + reused, reused, feedSeconds > 0 ? static_cast<double>(fed) / feedSeconds : 0.0,
               made, makeSeconds > 0 ? static_cast<double>(made) / makeSeconds : 0.0,
               static_cast<unsigned long long>(session->position()),
               static_cast<unsigned long long>(session->maxLen()), session->deviceName().c_str());
}

Status Conversation::save(const std::string &path) const {
  ordered_json all = {{"system", options.system}, {"messages", messages}};
  return writeFile(path, all.dump(1) + "\n") ? Status()
                                             : Status::error(path + ": cannot be written");
}

Status Conversation::load(const std::string &path) {
  Result<std::string> text = readTextFile(path);
  if (!text)
    return text.status();
  ordered_json all;
  if (jsonShape(*text).depth <= 64)
    all = ordered_json::parse(*text, nullptr, /*allow_exceptions=*/false);
  auto isText = [](const ordered_json &value, const char *name) {
    return value.is_object() && value.contains(name) && value[name].is_string();
  };
  bool isGood = isText(all, "system") && all.contains("messages") && all["messages"].is_array();
  for (size_t i = 0; isGood && i < all["messages"].size(); ++i)
    isGood = isText(all["messages"][i], "role") && isText(all["messages"][i], "content");
  if (!isGood)
    return Status::error(path + ": is no conversation that /save has written");
  options.system = all["system"].get<std::string>();
  messages = all["messages"];
  std::fprintf(stderr, "(%zu messages)\n", messages.size());
  return Status();
}

void Conversation::obey(const std::string &command) {
  size_t space = command.find(' ');
  std::string name = command.substr(0, space);
  std::string rest = space == std::string::npos ? std::string() : command.substr(space + 1);
  Status status;
  if (name == "/help")
    std::fputs(kHelp, stderr);
  else if (name == "/reset")
    messages = ordered_json::array();
  else if (name == "/system")
    options.system = rest;
  else if (name == "/save" || name == "/load")
    status = rest.empty()      ? Status::error(name + " takes a file")
             : name == "/save" ? save(rest)
                               : load(rest);
  else if (name == "/stats")
    printStats();
  else
    status = Status::error(name + " is not known; /help lists what is");
  if (!status.ok())
    fail(status.message());
}

Status Conversation::run() {
  if (Status status = open(); !status.ok())
    return status;
  struct sigaction action{};
  action.sa_handler = interrupt; // and reading a line comes back
  sigaction(SIGINT, &action, nullptr);
  if (asks)
    std::fprintf(stderr, "(%s on %s; /help lists the commands)\n",
                 roll->manifest().model.name.c_str(), session->deviceName().c_str());
  for (std::string message; readMessage(message);) {
    if (message == "/exit" || message == "/quit")
      break;
    if (message.empty())
      continue;
    if (message[0] == '/') {
      obey(message);
      continue;
    }
    if (Status status = answer(message); !status.ok())
      fail(status.message());
  }
  return Status();
}

} // namespace

void addChatVerb(CLI::App &app, int &exitCode, RollFinder rollOf) {
  auto options = std::make_shared<ChatOptions>();
  options->rollOf = std::move(rollOf);
  CLI::App *verb = app.add_subcommand("chat", "Talk with a model in the terminal");
  verb->add_option("-m,--model,model", options->model,
                   "A roll; or a model directory or GGUF file, which is compiled once into a cache")
      ->required();
  verb->add_option("--system", options->system, "The system's message");
  verb->add_option("-n,--n-predict,--max-tokens", options->most,
                   "Tokens of an answer at most (default: what the context holds)")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 31));
  addSamplingOptions(*verb, options->sampling);
  addDeviceOptions(*verb, options->session);
  addRequestOptions(*verb, options->request);
  verb->callback([=, &exitCode] {
    if (Status status = Conversation(*options, *verb).run(); !status.ok())
      exitCode = fail(status.message());
  });
}

} // namespace pianola
