// InertFields.cpp - fields of config.json that say nothing about what a model computes.
#include "lib/import/InertFields.h"

#include "llvm/ADT/StringSet.h"

namespace pianola {

bool isInert(llvm::StringRef field) {
  static const llvm::StringSet<> inert = {
      // Names, versions, and the type in which tensors are stored: each tensor says it itself.
      "_attn_implementation",
      "_attn_implementation_autoset",
      "_name_or_path",
      "auto_map",
      "dtype",
      "model_type",
      "tokenizer_class",
      "torch_dtype",
      "transformers.js_config",
      "transformers_version",
      "unsloth_fixed",
      "unsloth_version",
      // Training.
      "attention_dropout",
      "aux_loss_alpha",
      "attn_pdrop",
      "classifier_dropout",
      "embd_pdrop",
      "ep_size",
      "gradient_checkpointing",
      "hidden_dropout",
      "initializer_range",
      "output_router_logits",
      "resid_pdrop",
      "router_aux_loss_coef",
      "router_jitter_noise",
      "router_z_loss_coef",
      "moe_router_dtype",
      "seq_aux",
      // How linears are split where it is trained (Llama 2), which is the same sum.
      "pretraining_tp",
      // How a program runs it.
      "cache_implementation",
      "is_llama_config",
      "output_attentions",
      "output_hidden_states",
      "return_dict",
      "use_cache",
      // Heads other than a language model's.
      "id2label",
      "label2id",
      "problem_type",
      "summary_activation",
      "summary_first_dropout",
      "summary_proj_to_labels",
      "summary_type",
      "summary_use_proj",
      "task_specific_params",
      // Tokens.
      "bos_token_id",
      "eos_token_id",
      "pad_token_id",
      "sep_token_id",
      "unk_token_id",
      "forced_bos_token_id",
      "forced_eos_token_id",
      "suppress_tokens",
      "begin_suppress_tokens",
  };
  return inert.contains(field);
}

} // namespace pianola
