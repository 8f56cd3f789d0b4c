// GgufBlocks.h - element types of GGUF files, and what their blocks mean.
//
// A row is a sequence of blocks, each of so many bytes for so many columns. With d and m numbers of
// 16 bits, and s and t integers of a group of columns:
//
//     Q8_0   d q                        q in -128 .. 127
//     Q4_0   d (n - 8)                  n in 0 .. 15; the low halves of the bytes come first, then
//     Q5_0   d (n - 16)                 n in 0 .. 31                               the high ones
//     Q4_1   d n + m                    n in 0 .. 15
//     Q5_1   d n + m                    n in 0 .. 31
//     Q4_K   d s n - m t                n in 0 .. 15; s and t of 32 columns, in 6 bits
//     Q5_K   d s n - m t                n in 0 .. 31
//     Q6_K   d s (n - 32)               n in 0 .. 63; s of 16 columns, in 8 bits
//     MXFP4  2^(e - 127) f              f a number of OCP's e2m1, halves as in Q4_0
//
// Those of one scale in 32 columns are codes that Encoding.h has, and stay what they are. The
// others mean numbers that f32 holds (of Q4_1, Q5_1, Q4_K and Q5_K the last sum is rounded to it,
// as by everybody), for which codes of 8 bits come next.
#ifndef PIANOLA_LIB_CHECKPOINT_GGUFBLOCKS_H
#define PIANOLA_LIB_CHECKPOINT_GGUFBLOCKS_H

#include "lib/checkpoint/Encoding.h"
#include "lib/checkpoint/WeightSource.h"

namespace pianola {

struct GgufType {
  uint32_t id;
  llvm::StringLiteral name;
  int64_t columns, bytes; // of a block
  /// Each number by itself, as this.
  std::optional<DType> plain = std::nullopt;
  /// Blocks are codes of this scaling and a scale each.
  std::optional<Scaling> exact = std::nullopt;
};

/// Null for one that is not supported.
const GgufType *ggufType(uint32_t id);
/// "Q4_K", also of one that is not supported; "type 77" of one that nobody knows.
std::string ggufTypeName(uint32_t id);
/// Those supported, for messages.
std::string ggufTypeNames();

/// The numbers that a block means; whether all are finite. Not for plain types.
bool decodeBlock(const GgufType &type, const uint8_t *block, float *out);

/// The codes of a block and their scale, of a type that has them; whether the scale is finite.
bool readBlock(const GgufType &type, const uint8_t *block, uint8_t *codes, float &scale);

} // namespace pianola

#endif
