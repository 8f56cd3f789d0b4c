// LogitSource.cpp - who says logits: a roll, or the reference interpreter on a model directory.
#include "lib/quality/LogitSource.h"

#include "lib/checkpoint/GgufFile.h"
#include "lib/checkpoint/Refusal.h"
#include "lib/driver/LoadModel.h"
#include "lib/quality/TextTokens.h"
#include "lib/reference/Interpreter.h"

#include "mlir/IR/MLIRContext.h"

#include "llvm/Support/FileSystem.h"

namespace pianola {
namespace {

class PlayedLogits : public LogitSource {
public:
  explicit PlayedLogits(const std::string &path) : LogitSource(path) {}

  llvm::Error open(const SessionOptions &options) {
    Result<std::unique_ptr<Roll>> opened = Roll::open(path);
    if (!opened)
      return llvm::createStringError(opened.message());
    roll = std::move(*opened);
    Result<std::unique_ptr<Session>> created = Session::create(*roll, options);
    if (!created)
      return llvm::createStringError(created.message());
    session = std::move(*created);
    vocabulary = roll->manifest().model.vocabulary;
    maxPositions = session->maxLen();
    llvm::Expected<std::unique_ptr<Tokenizer>> read = parseTokenizer(path, roll->tokenizer());
    if (!read)
      return read.takeError();
    tokenizer = std::move(*read);
    return llvm::Error::success();
  }

  llvm::Error logits(llvm::ArrayRef<int32_t> ids, std::vector<float> &out) override {
    out.resize(ids.size() * vocabulary);
    FeedOptions feed;
    feed.allLogits = out.data();
    Status status = session->truncate(0);
    if (status.ok())
      status = session->feed(ids.data(), ids.size(), feed);
    return status.ok() ? llvm::Error::success()
                       : llvm::createStringError(path + ": " + status.message());
  }

private:
  std::unique_ptr<Roll> roll;
  std::unique_ptr<Session> session;
};

class InterpretedLogits : public LogitSource {
public:
  explicit InterpretedLogits(const std::string &path)
      : LogitSource(path), context(mlir::MLIRContext::Threading::DISABLED) {}

  llvm::Error open() {
    llvm::Expected<LoadedModel> loaded = loadModel(context, path, std::nullopt);
    if (!loaded)
      return loaded.takeError();
    model = std::move(*loaded);
    interpreter = std::make_unique<Interpreter>(*model.module, *model.weights);
    vocabulary = model.config.vocabulary;
    maxPositions = model.config.maxPositions;
    llvm::Expected<std::unique_ptr<Tokenizer>> read = readTokenizer(path);
    if (!read)
      return read.takeError();
    tokenizer = std::move(*read);
    return llvm::Error::success();
  }

  llvm::Error logits(llvm::ArrayRef<int32_t> ids, std::vector<float> &out) override {
    interpreter->rewind();
    llvm::Expected<ReferenceResult> result = interpreter->feed(ids);
    if (!result)
      return result.takeError();
    out = std::move(result->logits.values);
    return llvm::Error::success();
  }

private:
  mlir::MLIRContext context;
  LoadedModel model;
  std::unique_ptr<Interpreter> interpreter;
};

} // namespace

llvm::Expected<std::unique_ptr<LogitSource>> LogitSource::open(const std::string &path,
                                                               const SessionOptions &options) {
  if (llvm::sys::fs::is_directory(path) || isGguf(path)) {
    auto source = std::make_unique<InterpretedLogits>(path);
    if (llvm::Error error = source->open())
      return std::move(error);
    return source;
  }
  auto source = std::make_unique<PlayedLogits>(path);
  if (llvm::Error error = source->open(options))
    return std::move(error);
  return source;
}

llvm::Error checkSameTokens(const LogitSource &a, const LogitSource &b) {
  auto differ = [&](const llvm::Twine &how) {
    return llvm::createStringError(b.path + " and " + a.path + " cannot be compared: " + how);
  };
  if (a.vocabulary != b.vocabulary)
    return differ("their vocabularies have " + llvm::Twine(b.vocabulary) + " and " +
                  llvm::Twine(a.vocabulary) + " tokens");
  const Tokenizer &ofA = *a.tokenizer, &ofB = *b.tokenizer;
  for (int32_t id = 0, end = std::max(ofA.vocabularySize(), ofB.vocabularySize()); id < end; ++id)
    if (ofA.bytesOf(id, false) != ofB.bytesOf(id, false))
      return differ("their tokenizers have " + inQuotes(ofB.bytesOf(id, false)) + " and " +
                    inQuotes(ofA.bytesOf(id, false)) + " as token " + llvm::Twine(id));
  return llvm::Error::success();
}

} // namespace pianola
