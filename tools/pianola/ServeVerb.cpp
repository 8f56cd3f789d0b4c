// ServeVerb.cpp - pianola serve: an OpenAI-compatible server.
#include "runtime/server/HttpServer.h"
#include "runtime/server/Service.h"
#include "tools/pianola/PlayedModel.h"

#include <csignal>
#include <filesystem>
#include <future>
#include <new>
#include <pthread.h>

namespace pianola {

namespace {

using namespace server;

struct ServeOptions {
  std::string model, host = "127.0.0.1", alias;
  RollFinder rollOf;
  uint16_t port = 8080;
  std::vector<std::string> keys, hosts, origins;
  int64_t patience = 30; // seconds
  bool isQuiet = false;
  SchedulerOptions scheduler;
  RollRequest request; // if the model is a directory
};

bool isLoopback(const std::string &host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

// SIGINT and SIGTERM, in a thread of its own: all threads made later never see them. Before wait()
// is called, and after it has returned, one of them ends the program.
class Signals {
public:
  Signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::thread([state = state, set] {
      for (int signal; sigwait(&set, &signal) == 0;) {
        if (!state->isAwaited.exchange(false))
          std::_Exit(128 + signal);
        state->came.set_value(signal);
      }
    }).detach();
  }
  int wait() {
    std::future<int> signal = state->came.get_future();
    state->isAwaited = true;
    return signal.get();
  }

private:
  struct State {
    std::atomic<bool> isAwaited{false};
    std::promise<int> came;
  };
  std::shared_ptr<State> state = std::make_shared<State>();
};

class Serving {
public:
  explicit Serving(ServeOptions &options) : options(options), log(options.isQuiet) {}
  Status run();

private:
  Status load();

  ServeOptions &options;
  Log log;
  std::unique_ptr<ServedModel> model;
  std::optional<Service> service;
  // Ends before what its tasks speak to.
  std::unique_ptr<Scheduler> scheduler;
};

Status Serving::load() {
  Result<std::unique_ptr<Roll>> roll = openRoll(options.model, options.request, options.rollOf);
  if (!roll)
    return roll.status();
  std::filesystem::path path(options.model);
  std::string name = options.alias;
  if (name.empty())
    name = path.has_stem() ? path.stem().string() : path.parent_path().stem().string();
  if (options.request.hiddenStates && !(*roll)->manifest().hasHiddenStates())
    return Status::error(options.model +
                         ": keeps no hidden states: compile the model with --hidden-states");
  Result<std::unique_ptr<ServedModel>> opened = ServedModel::create(std::move(*roll), name);
  if (!opened)
    return opened.status();
  model = std::move(*opened);
  Result<std::unique_ptr<Scheduler>> created = Scheduler::create(model->roll(), options.scheduler);
  if (!created)
    return created.status();
  scheduler = std::move(*created);
  service->open(*model, *scheduler);
  return Status();
}

Status Serving::run() {
  std::set_new_handler(nullptr); // who asks for too much is refused, and the others go on
  Signals signals;
  Access access{options.keys, options.hosts, options.origins};
  if (access.hosts.empty() && isLoopback(options.host))
    access.hosts = {"localhost", "[::1]", options.host, "127.0.0.1"};
  service.emplace(std::move(access), log, 2);
  HttpServer http(HttpLimits{}, [this](HttpRequest request, std::shared_ptr<Reply> reply) {
    service->handle(std::move(request), std::move(reply));
  });
  service->connections = [&http] { return http.connections(); };
  if (Status status = http.listen(options.host, options.port); !status.ok())
    return status;
  http.start();
  std::string shown =
      options.host.find(':') != std::string::npos ? "[" + options.host + "]" : options.host;
  std::string url = "http://" + shown + ":" + std::to_string(http.port());
  log.write("listening", {{"url", url}});
  if (Status status = load(); !status.ok()) {
    http.stop(std::chrono::seconds(0)); // it speaks to the service
    service.reset();
    return status;
  }
  log.write("ready", {{"url", url},
                      {"model", model->name()},
                      {"device", scheduler->deviceName()},
                      {"max_model_len", scheduler->maxLen()},
                      {"parallel", scheduler->parallel()},
                      {"context_bytes", scheduler->contextBytes()}});

  int signal = signals.wait();
  log.write("closing", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
  service->close();
  http.close();
  scheduler->shutDown(std::chrono::seconds(options.patience));
  http.stop(std::chrono::seconds(5));
  service.reset();
  log.write("closed", ordered_json::object());
  return Status();
}

} // namespace

void addServeVerb(CLI::App &app, int &exitCode, RollFinder rollOf) {
  auto options = std::make_shared<ServeOptions>();
  options->rollOf = std::move(rollOf);
  CLI::App *verb = app.add_subcommand("serve", "Serve a model to OpenAI's clients");
  verb->add_option("-m,--model,model", options->model,
                   "A roll; or a model directory or GGUF file, which is compiled once into a cache")
      ->required();
  verb->add_option("--host", options->host, "IP address to listen on")->capture_default_str();
  verb->add_option("--port", options->port, "0: any that is free")->capture_default_str();
  verb->add_option("--api-key", options->keys, "Clients must send it; several may be given")
      ->check([](const std::string &key) { return key.empty() ? "expected a key" : ""; });
  verb->add_option("-a,--alias,--served-model-name", options->alias,
                   "The model's name (default: that of the file)");
  verb->add_option("--allowed-host", options->hosts,
                   "A name that the Host field may have (default: those of loopback, or any if "
                   "the address is another)");
  verb->add_option("--allowed-origin", options->origins,
                   "An origin whose pages may ask, as https://example.org; *: all");
  verb->add_option("--parallel,--max-num-seqs", options->scheduler.parallel,
                   "Texts under way at once (default: 8, or as memory has room; 1 on a GPU)")
      ->check(CLI::Range(1, 64));
  verb->add_option("--kept-prompts", options->scheduler.kept,
                   "Sequences beside those, which remember prompts (default: the same; 0 on a GPU)")
      ->check(CLI::Range(0, 1024));
  verb->add_option("--queue", options->scheduler.queue, "Texts that may wait")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_flag("--embeddings", options->request.hiddenStates,
                 "Serve embeddings, too: a directory is compiled with --hidden-states, a roll must "
                 "have been");
  verb->add_option("--max-len", options->scheduler.session.maxLen,
                   "Positions of each sequence (default: all that the roll has)");
  verb->add_option("--shutdown-timeout", options->patience,
                   "Seconds that texts under way have after SIGTERM")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  verb->add_flag("-q,--quiet", options->isQuiet, "No log on standard error");
  addDeviceOptions(*verb, options->scheduler.session);
  addRequestOptions(*verb, options->request);
  verb->callback([=, &exitCode] {
    if (Status status = Serving(*options).run(); !status.ok())
      exitCode = fail(status.message());
  });
}

} // namespace pianola
