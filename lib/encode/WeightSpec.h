// WeightSpec.h - which weights are encoded how, as --weights says it.
#ifndef PIANOLA_LIB_ENCODE_WEIGHTSPEC_H
#define PIANOLA_LIB_ENCODE_WEIGHTSPEC_H

#include "lib/checkpoint/WeightSource.h"

#include "llvm/Support/GlobPattern.h"

namespace pianola {

/// What a matrix becomes.
struct WeightEncoding {
  std::string name;               // "int4/32"
  std::optional<Scaling> scaling; // or plain elements:
  DType dtype = DType::BF16;
  bool pruned = false; // to the two greatest of each four columns
};

/// As SPEC below has it; nothing for "keep".
llvm::Expected<std::optional<WeightEncoding>> parseWeightEncoding(llvm::StringRef text);

/// SPEC is entries with commas in between, [PATTERN=]ENCODING; the first whose pattern (a glob of
/// the tensor's name) matches counts. An encoding is one of
///
///     keep                                  as the checkpoint has it (alone: zeros are kept, too)
///     f32 bf16 f16
///     int8 int8/row int8/32 /64 /128        int8 is int8/128
///     int4 int4/32 int4/64 int4/128         int4 is int4/32; with a z behind: with zero points
///     fp8 fp8/row fp8/128                   fp8 is fp8/row
///     mxfp4
///     2:4                                   bf16, of each four columns only the two greatest
///
/// Where no entry names the embeddings, of tokens and positions, and the head, they are int8 under
/// int4 and mxfp4, and kept under 2:4: they are the matrices that forgive least.
class WeightSpec {
public:
  static llvm::Expected<WeightSpec> parse(llvm::StringRef text);
  /// Null: the tensor is kept. `isEnd`: of an embedding or a head.
  const WeightEncoding *find(llvm::StringRef tensor, bool isEnd = false) const;

private:
  struct Entry {
    std::optional<llvm::GlobPattern> pattern; // none: all tensors
    std::optional<WeightEncoding> encoding;   // none: kept
    bool ofEnds = false;                      // and of no others
  };
  std::vector<Entry> entries;
};

} // namespace pianola

#endif
