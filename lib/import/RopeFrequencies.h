// RopeFrequencies.h - rotary frequencies out of theta and a scaling rule.
//
// After transformers' modeling_rope_utils.py, and in f32 as there: at position 100 000 a rounding
// of the first frequencies turns an angle visibly. With d lanes and f_i = theta^(-2i/d), i < d/2:
//
//     default   f_i
//     linear    f_i / factor
//     llama3    by wavelength w = 2 pi / f_i, with o = original_max_position_embeddings:
//               f_i for w < o/high, f_i / factor for w > o/low, and in between the blend
//               (1-s) f_i / factor + s f_i with s = (o/w - low) / (high - low)
//     yarn      (Peng et al., 2023) the blend f_i / factor * r_i + f_i (1 - r_i) with
//               r_i = clamp((i - lo) / (hi - lo), 0, 1), lo and hi the pairs that turn beta_fast
//               and beta_slow times over o positions, d ln(o / (2 pi beta)) / (2 ln theta), rounded
//               outwards if `truncate`; cos and sin are scaled by attention_factor
//     longrope  (Ding et al., 2024) f_i / short_factor[i], or f_i / long_factor[i] for sequences
//     longer
//               than o; cos and sin are scaled by attention_factor, sqrt(1 + ln(factor) / ln(o)) if
//               absent, in both cases. transformers goes from one to the other within a sequence,
//               and keys that are cached cannot follow: here it is one or the other
#ifndef PIANOLA_LIB_IMPORT_ROPEFREQUENCIES_H
#define PIANOLA_LIB_IMPORT_ROPEFREQUENCIES_H

#include "lib/checkpoint/ModelConfig.h"

namespace pianola {

struct RopeTable {
  std::vector<float> inverseFrequencies; // lanes/2 of them
  float scale;                           // on both cos and sin
};

/// `positions`: of the longest sequence.
RopeTable ropeFrequencies(double theta, int64_t lanes, const RopeScaling &scaling,
                          int64_t positions);

} // namespace pianola

#endif
