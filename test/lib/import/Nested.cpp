// Nested.cpp - text models inside of models for text and images.
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/SafeTensorsWriter.h"
#include "lib/checkpoint/TextConfig.h"
#include "lib/driver/LoadModel.h"
#include "lib/reference/Interpreter.h"
#include "test/lib/checkpoint/ScratchDirectory.h"

#include <gtest/gtest.h>

#include <deque>

using namespace pianola;
using nlohmann::json;

namespace {

const std::string kGolden = PIANOLA_SOURCE_DIR "/test/golden/";

std::vector<float> logitsOf(const std::string &directory, ImportNotes *notes = nullptr) {
  mlir::MLIRContext context;
  LoadedModel model = llvm::cantFail(loadModel(context, directory, std::nullopt, "", 0));
  if (notes)
    *notes = model.notes;
  return llvm::cantFail(interpret(*model.module, *model.weights, {3, 1, 4, 1, 5, 9, 2, 6, 5, 3}))
      .logits.values;
}

/// A model of the golden's text model and something else, whose tensors have names that begin so.
void nest(const std::string &golden, const std::string &architecture, const std::string &body,
          const std::string &head, const ScratchDirectory &to) {
  json text = json::parse(llvm::cantFail(readText(kGolden + golden + "/config.json", 1 << 20)));
  text.erase("architectures");
  json whole = {{"architectures", {architecture}},
                {"text_config", text},
                {"vision_config", {{"hidden_size", 1152}}},
                {"mm_tokens_per_image", 256}};
  to.write("config.json", whole.dump());
  auto checkpoint = llvm::cantFail(Checkpoint::open(kGolden + golden));
  std::deque<std::vector<float>> values;
  std::vector<TensorToWrite> list;
  for (const std::string &name : checkpoint->names()) {
    const TensorInfo &tensor = *checkpoint->find(name);
    llvm::cantFail(
        checkpoint->readFloats(tensor, 0, values.emplace_back(size_t(tensor.elements()))));
    llvm::StringRef rest = name;
    std::string renamed = rest.consume_front("model.") ? body + rest.str() : head + name;
    list.push_back({renamed, tensor.shape, values.back()});
  }
  values.push_back({1, 2});
  list.push_back({"vision_tower.patch_embedding.weight", {2}, values.back()});
  llvm::cantFail(writeSafeTensors(to.file("model.safetensors"), list));
}

TEST(Nested, ComputesWhatTheTextModelComputes) {
  struct Case {
    const char *golden, *architecture, *body, *head;
  };
  for (const Case &each :
       {Case{"gemma3_text", "Gemma3ForConditionalGeneration", "language_model.model.",
             "language_model."},
        Case{"gemma3_text", "Gemma3ForConditionalGeneration", "model.language_model.", ""},
        Case{"ministral3", "Mistral3ForConditionalGeneration", "language_model.model.",
             "language_model."},
        Case{"mistral", "Mistral3ForConditionalGeneration", "model.language_model.", ""}}) {
    ScratchDirectory scratch;
    nest(each.golden, each.architecture, each.body, each.head, scratch);
    ImportNotes notes;
    EXPECT_EQ(logitsOf(scratch.path, &notes), logitsOf(kGolden + each.golden)) << each.golden;
    EXPECT_TRUE(notes.unusedTensors.empty());
    EXPECT_EQ(notes.remarks, std::vector<std::string>{"only the text model is compiled"});
  }
}

TEST(Nested, FillsInWhatItsClassSays) {
  json config = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                 {"tie_word_embeddings", true},
                 {"text_config", {{"model_type", "gemma3_text"}, {"hidden_size", 2560}}}};
  ModelConfig text = llvm::cantFail(ModelConfig::fromText(config.dump()));
  EXPECT_EQ(text.architecture, "Gemma3ForCausalLM");
  EXPECT_EQ(text.hidden, 2560);
  EXPECT_EQ(text.vocabulary, 262208);
  EXPECT_EQ(text.headSize, 256);
  EXPECT_EQ(text.kvHeads, 4);
  EXPECT_EQ(text.tied, true);
}

TEST(Nested, RefusesByTheInnerField) {
  json config = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                 {"text_config", {{"model_type", "gemma3_text"}, {"hidden_size", 0}}}};
  EXPECT_EQ(
      messageOf(ModelConfig::fromText(config.dump())),
      "config.json: text_config: hidden_size: expected an integer from 1 to 1048576, found 0");
  // Of a text model that it is not known with, nothing is taken.
  config["text_config"]["model_type"] = "gemma9";
  EXPECT_FALSE(takeTextConfig(config));
}

} // namespace
