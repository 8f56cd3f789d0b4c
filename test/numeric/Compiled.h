// Compiled.h - a model, compiled into a roll in a temporary file and opened.
#ifndef PIANOLA_TEST_NUMERIC_COMPILED_H
#define PIANOLA_TEST_NUMERIC_COMPILED_H

#include "lib/driver/Compile.h"
#include "runtime/session/Session.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace pianola {

/// A directory that goes away with the object.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string name = testing::TempDir() + "pianola.XXXXXX";
    path = mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::system(("rm -rf " + path).c_str()); }
  std::string path;
};

inline std::string compileError(const CompileOptions &options) {
  Progress progress(false);
  return llvm::toString(compile(options, progress, llvm::nulls(), llvm::nulls()));
}

/// A roll, and what its compilation said.
struct Compiled {
  std::unique_ptr<Roll> roll; ///< Null after a failed assertion.
  std::string notes;          ///< Without the table.
  std::string table;          ///< Of what weights became; empty where none was rounded.

  /// The bytes of its tapes.
  llvm::StringRef tapes() const {
    return {reinterpret_cast<const char *>(roll->section(PIANOLA_SECTION_TAPE)),
            roll->sectionBytes(PIANOLA_SECTION_TAPE)};
  }
};

inline Compiled compiled(CompileOptions options, const TemporaryDirectory &to) {
  options.output = to.path + "/model.roll";
  Compiled result;
  llvm::raw_string_ostream stream(result.notes);
  Progress progress(false);
  EXPECT_EQ(llvm::toString(compile(options, progress, llvm::nulls(), stream)), "");
  if (size_t table = result.notes.find("tensor "); table != std::string::npos) {
    result.table = result.notes.substr(table);
    result.notes.resize(table);
  }
  Result<std::unique_ptr<Roll>> roll = Roll::open(options.output);
  EXPECT_TRUE(roll) << roll.message();
  result.roll = roll ? std::move(*roll) : nullptr;
  return result;
}

/// Null after a failed assertion.
inline std::unique_ptr<Roll> compileAndOpen(const CompileOptions &options,
                                            const TemporaryDirectory &to) {
  return compiled(options, to).roll;
}

inline std::vector<float> logitsOf(const Roll &roll, const std::vector<int32_t> &ids, bool oneByOne,
                                   unsigned threads = 0) {
  SessionOptions sessionOptions;
  sessionOptions.threads = threads;
  Result<std::unique_ptr<Session>> session = Session::create(roll, sessionOptions);
  EXPECT_TRUE(session) << session.message();
  std::vector<float> logits(ids.size() * roll.manifest().model.vocabulary);
  FeedOptions feed;
  feed.oneByOne = oneByOne;
  feed.allLogits = logits.data();
  Status status = (*session)->feed(ids.data(), ids.size(), feed);
  EXPECT_TRUE(status.ok()) << status.message();
  return logits;
}

/// The greedy continuation of a prompt.
inline std::vector<int32_t> greedy(const Roll &roll, std::vector<int32_t> ids, size_t count,
                                   unsigned threads = 0) {
  SessionOptions sessionOptions;
  sessionOptions.threads = threads;
  Result<std::unique_ptr<Session>> session = Session::create(roll, sessionOptions);
  EXPECT_TRUE(session) << session.message();
  std::vector<int32_t> result;
  while (result.size() < count) {
    Status status = (*session)->feed(ids.data(), ids.size());
    EXPECT_TRUE(status.ok()) << status.message();
    const float *logits = *(*session)->logits();
    auto best = std::max_element(logits, logits + roll.manifest().model.vocabulary) - logits;
    result.push_back(static_cast<int32_t>(best));
    ids = {result.back()};
  }
  return result;
}

} // namespace pianola

#endif
