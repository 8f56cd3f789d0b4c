// LogitSource.h - who says logits: a roll, or the reference interpreter on a model directory.
#ifndef PIANOLA_LIB_QUALITY_LOGITSOURCE_H
#define PIANOLA_LIB_QUALITY_LOGITSOURCE_H

#include "runtime/session/Session.h"
#include "runtime/text/Tokenizer.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace pianola {

class LogitSource {
public:
  /// A directory is interpreted in f32, by the book, which is slow; anything else is opened as a
  /// roll and played. An error if there is no tokenizer.
  static llvm::Expected<std::unique_ptr<LogitSource>> open(const std::string &path,
                                                           const SessionOptions &options);
  virtual ~LogitSource() = default;

  /// The logits after each of the ids, [ids][vocabulary], nothing having been fed before.
  virtual llvm::Error logits(llvm::ArrayRef<int32_t> ids, std::vector<float> &out) = 0;

  const std::string path;
  int64_t vocabulary = 0, maxPositions = 0;
  std::unique_ptr<Tokenizer> tokenizer;

protected:
  explicit LogitSource(std::string path) : path(std::move(path)) {}
};

/// Where an id does not mean the same to both: an error that names the first difference.
llvm::Error checkSameTokens(const LogitSource &a, const LogitSource &b);

} // namespace pianola

#endif
