// Quantisation.h - quantization_config, with its spellings made one.
//
// It says how the tensors of a quantised linear are to be read; whether a linear is quantised at
// all is seen from which tensors there are. Formats, with who defines them:
//
//     gptq        AutoGPTQ and GPTQModel: qweight, qzeros, scales, g_idx
//     awq         AutoAWQ, version gemm: qweight, qzeros, scales
//     packed      compressed-tensors pack-quantized: weight_packed, weight_scale, weight_shape, and
//                 perhaps weight_zero_point, weight_g_idx
//     codes       compressed-tensors int-quantized, float-quantized and naive-quantized: weight,
//                 weight_scale, perhaps weight_zero_point; and fp8 as DeepSeek and Qwen publish it:
//                 weight, weight_scale_inv
//     mxfp4       compressed-tensors mxfp4-pack-quantized: weight_packed, weight_scale
//     blocks      the same numbers as GPT-OSS publishes them, of all experts together: X_blocks
//     [experts,
//                 rows, columns / 32, 16], X_scales
#ifndef PIANOLA_LIB_CHECKPOINT_QUANTISATION_H
#define PIANOLA_LIB_CHECKPOINT_QUANTISATION_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace pianola {

struct Quantisation {
  enum class Format { Gptq, Awq, Packed, Codes, Mxfp4, Blocks };

  /// What the weights of one group of linears are.
  struct Weights {
    Format format;
    int64_t bits = 4;
    int64_t group = 0;     // columns that share a scale; 0: the whole row, or the whole tensor
    int64_t blockRows = 1; // rows that share it
  };

  std::string method;                     // "gptq"
  bool zerosLessOne = false;              // gptq: a stored zero point is one less than it means
  llvm::SmallVector<Weights, 2> variants; // which of them a linear is, its tensors' shapes tell

  /// Reads the field of config.json of this name. Without variants nothing is quantised.
  static llvm::Expected<Quantisation> fromJson(const nlohmann::json &field);
};

} // namespace pianola

#endif
