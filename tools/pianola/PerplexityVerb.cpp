// PerplexityVerb.cpp - pianola perplexity: how well a model knows a text, and what encoding its
// weights has cost.
#include "lib/quality/LogitSource.h"
#include "lib/quality/Perplexity.h"
#include "lib/quality/TextTokens.h"
#include "tools/pianola/Verbs.h"

#include "llvm/Support/Parallel.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace pianola {

namespace {

constexpr int64_t kUsualContext = 512;

struct PerplexityOptions {
  std::string model, against, file, format = "md";
  int64_t context = 0;
  SessionOptions session;
};

struct Score {
  double surprise = 0, otherSurprise = 0, divergence = 0;
  bool agree = false;
};

class Comparison {
public:
  explicit Comparison(const PerplexityOptions &options) : options(options) {}
  llvm::Error run();
  void print() const;

private:
  llvm::Error open();
  llvm::Error play(const Window &window);
  nlohmann::json describe() const;

  const PerplexityOptions &options;
  std::unique_ptr<LogitSource> model, against;
  std::vector<int32_t> ids, begin; // of the text; what stands before each window
  int64_t context = 0;
  std::vector<float> ofModel, ofOther;
  std::vector<double> surprises, otherSurprises, ratios, divergences; // of each token scored
  size_t agreed = 0;
};

llvm::Error Comparison::open() {
  auto openOne = [&](const std::string &path, std::unique_ptr<LogitSource> &to) -> llvm::Error {
    llvm::Expected<std::unique_ptr<LogitSource>> source = LogitSource::open(path, options.session);
    if (!source)
      return source.takeError();
    to = std::move(*source);
    return llvm::Error::success();
  };
  if (llvm::Error error = openOne(options.model, model))
    return error;
  if (!options.against.empty()) {
    if (llvm::Error error = openOne(options.against, against))
      return error;
    if (llvm::Error error = checkSameTokens(*model, *against))
      return error;
  }
  llvm::Expected<std::vector<int32_t>> read = readTokens(options.file, *model->tokenizer);
  if (!read)
    return read.takeError();
  ids = std::move(*read);
  begin = model->tokenizer->beginning();
  context = options.context ? options.context : kUsualContext;
  for (const LogitSource *source : {model.get(), against.get()}) {
    if (!source || context <= source->maxPositions)
      continue;
    if (options.context)
      return llvm::createStringError("--context " + llvm::Twine(context) + ": " + source->path +
                                     " has " + llvm::Twine(source->maxPositions) + " positions");
    context = source->maxPositions;
  }
  if (context < int64_t(begin.size()) + 2)
    return llvm::createStringError("--context " + llvm::Twine(context) + ": expected at least " +
                                   llvm::Twine(begin.size() + 2));
  return llvm::Error::success();
}

llvm::Error Comparison::play(const Window &window) {
  std::vector<int32_t> fed = begin;
  // Nobody is scored by the logits after the last token.
  fed.insert(fed.end(), ids.begin() + window.first, ids.begin() + window.end - 1);
  if (llvm::Error error = model->logits(fed, ofModel))
    return error;
  if (against)
    if (llvm::Error error = against->logits(fed, ofOther))
      return error;
  size_t vocabulary = model->vocabulary;
  std::vector<Score> scores(window.end - window.scored);
  llvm::parallelFor(0, scores.size(), [&](size_t number) {
    size_t i = window.scored + number, at = (begin.size() + i - 1 - window.first) * vocabulary;
    llvm::ArrayRef<float> mine = llvm::ArrayRef(ofModel).slice(at, vocabulary);
    scores[number].surprise = surprise(mine, ids[i]);
    if (!against)
      return;
    llvm::ArrayRef<float> other = llvm::ArrayRef(ofOther).slice(at, vocabulary);
    scores[number].otherSurprise = surprise(other, ids[i]);
    scores[number].divergence = divergence(other, mine);
    scores[number].agree = topToken(mine) == topToken(other);
  });
  for (const Score &score : scores) {
    for (auto [value, source] :
         {std::pair(score.surprise, model.get()), std::pair(score.otherSurprise, against.get())})
      if (std::isnan(value))
        return llvm::createStringError(source->path + ": a logit is not a number");
    surprises.push_back(score.surprise);
    otherSurprises.push_back(score.otherSurprise);
    ratios.push_back(score.surprise - score.otherSurprise);
    divergences.push_back(score.divergence);
    agreed += score.agree;
  }
  return llvm::Error::success();
}

llvm::Error Comparison::run() {
  if (llvm::Error error = open())
    return error;
  for (const Window &window : windowsOf(ids.size(), context - begin.size()))
    if (llvm::Error error = play(window))
      return error;
  return llvm::Error::success();
}

nlohmann::json Comparison::describe() const {
  auto perplexity = [](llvm::ArrayRef<double> logarithms) -> nlohmann::json {
    Mean mean = expOf(meanOf(logarithms));
    return {{"value", mean.value}, {"error", mean.error}};
  };
  nlohmann::json result = {{"model", options.model}, {"file", options.file},
                           {"tokens", ids.size()},   {"scored", surprises.size()},
                           {"context", context},     {"perplexity", perplexity(surprises)}};
  if (!against)
    return result;
  Mean mean = meanOf(divergences);
  result["against"] = {{"model", options.against},
                       {"perplexity", perplexity(otherSurprises)},
                       {"ratio", perplexity(ratios)},
                       {"kl",
                        {{"mean", mean.value},
                         {"error", mean.error},
                         {"median", quantileOf(divergences, 0.5)},
                         {"p99", quantileOf(divergences, 0.99)},
                         {"max", quantileOf(divergences, 1)}}},
                       {"top1", double(agreed) / surprises.size()}};
  return result;
}

void Comparison::print() const {
  nlohmann::json result = describe();
  if (options.format == "json") {
    std::printf("%s\n", result.dump(2).c_str());
    return;
  }
  std::printf("%s: %zu tokens, %zu scored, windows of %lld\n\n", options.file.c_str(), ids.size(),
              surprises.size(), static_cast<long long>(context));
  std::printf("| | perplexity | ± |\n| --- | ---: | ---: |\n");
  auto row = [](const std::string &name, const nlohmann::json &mean) {
    std::printf("| %s | %.5g | %.2g |\n", name.c_str(), mean["value"].get<double>(),
                mean["error"].get<double>());
  };
  row(options.model, result["perplexity"]);
  if (!against)
    return;
  const nlohmann::json &other = result["against"], &kl = other["kl"];
  row(options.against, other["perplexity"]);
  row("ratio", other["ratio"]);
  std::printf("\n| KL divergence: mean | ± | median | p99 | max | same top token |\n"
              "| ---: | ---: | ---: | ---: | ---: | ---: |\n"
              "| %.3g | %.2g | %.3g | %.3g | %.3g | %.2f %% |\n",
              kl["mean"].get<double>(), kl["error"].get<double>(), kl["median"].get<double>(),
              kl["p99"].get<double>(), kl["max"].get<double>(), other["top1"].get<double>() * 100);
}

} // namespace

void addPerplexityVerb(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App *verb = app.add_subcommand(
      "perplexity", "Measure how well a model knows a text, and how far it is from another");
  verb->add_option("model", options->model,
                   "A roll; or a model directory or GGUF file, for the f32 reference interpreter, "
                   "which is slow")
      ->required();
  verb->add_option("-f,--file", options->file,
                   "The text. Windows of the context begin every half of it, each with what the "
                   "tokenizer puts before a text; every token but the text's first is scored "
                   "once, in the first window that it is in")
      ->required();
  verb->add_option(
      "--against", options->against,
      "Another roll, model directory or GGUF file: KL divergence D(it || model) at each token "
      "scored, and how often both find the same token likeliest");
  verb->add_option("-c,--context", options->context,
                   "Tokens of a window (default: 512, or what the models allow)")
      ->check(CLI::PositiveNumber);
  addDeviceOptions(*verb, options->session);
  verb->add_option("-o,--output", options->format, "md or json")
      ->check(CLI::IsMember({"md", "json"}));
  verb->callback([=, &exitCode] {
    Comparison comparison(*options);
    if (llvm::Error error = comparison.run())
      exitCode = fail(llvm::toString(std::move(error)));
    else
      comparison.print();
  });
}

} // namespace pianola
