// TinyRoll.h - a roll of a few bytes, to be bent in tests.
//
// Two workers and two steps. Its code is one part, by hand: it adds one to the 64-bit number at the
// start of its first binding.
#ifndef PIANOLA_TEST_RUNTIME_ROLL_TINYROLL_H
#define PIANOLA_TEST_RUNTIME_ROLL_TINYROLL_H

#include "lib/roll/RollWriter.h"
#include "test/ReadFile.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <vector>

namespace pianola {

struct TinyRoll {
  nlohmann::json manifest = nlohmann::json::parse(R"({
    "pianola": "0.1.0",
    "model": {"family": "tiny", "name": "Tiny", "vocabulary": 16, "valid_vocabulary": 16,
              "hidden": 16, "layers": 1, "max_positions": 64, "parameters": 1},
    "target": {"name": "host", "architecture": "x86_64", "features": [], "workers": 2,
               "product": "f32", "bandwidth": 1000, "peak": 10, "event": 1, "step": 1},
    "max_model_len": 64,
    "generation": {"stop": [1]},
    "contexts": [{"heads": 1, "size": 16, "element": "f32"}],
    "rotations": [{"inv_freq": [1.0, 0.5], "scale": 1.0}],
    "tables": [],
    "parts": [{"name": "count", "entry": 0}],
    "tapes": [{"offset": 0, "bytes": 64}, {"offset": 64, "bytes": 64}],
    "programs": [{"name": "decode", "slots": 1, "arena": 256, "scratch": 64, "events": 1,
      "logits": {"at": 0, "columns": 16},
      "steps": [{"label": "first", "bindings": [{"space": "arena", "at": 64}],
                 "cost": {"tape": 0, "memory": 0, "flops": 0, "ns": 1}},
                {"label": "second", "bindings": [{"space": "arena", "at": 128}],
                 "cost": {"tape": 0, "memory": 0, "flops": 0, "ns": 1}}],
      "records": [{"first": 0, "count": 4}, {"first": 4, "count": 4}]}]})");
  // lock inc qword [*bindings[0]]; ret
  std::vector<uint8_t> code{0x48, 0x8b, 0x07, 0x48, 0x8b, 0x00, 0xf0, 0x48, 0xff, 0x00, 0xc3};
  // Each worker: first, signal, wait for both, second.
  std::vector<PianolaRollRecord> records = workers(2);

  std::string tokenizer, chatTemplate; // none

  static std::vector<PianolaRollRecord> workers(int count) {
    std::vector<PianolaRollRecord> all;
    for (int w = 0; w < count; ++w) {
      all.push_back({PIANOLA_RECORD_RUN, 0, 0, 0, 1, 0, 0, 0});
      all.push_back({PIANOLA_RECORD_SIGNAL, 0, 0, 0, 0, 0, 0, 0});
      all.push_back({PIANOLA_RECORD_WAIT, 1, 0, static_cast<uint32_t>(count), 0, 0, 0, 0});
      all.push_back({PIANOLA_RECORD_RUN, 1, 0, 0, 1, 0, 0, 0});
    }
    return all;
  }

  void write(const std::string &path) const {
    auto writer = RollWriter::create(path);
    ASSERT_TRUE(writer) << writer.message();
    std::string text = manifest.dump();
    std::vector<uint8_t> tape(128, 7);
    auto add = [&](PianolaSectionKind kind, const void *data, size_t bytes) {
      Status status = (*writer)->add(kind, data, bytes);
      ASSERT_TRUE(status.ok()) << status.message();
    };
    add(PIANOLA_SECTION_MANIFEST, text.data(), text.size());
    add(PIANOLA_SECTION_CODE, code.data(), code.size());
    add(PIANOLA_SECTION_RECORDS, records.data(), records.size() * sizeof(records[0]));
    add(PIANOLA_SECTION_TAPE, tape.data(), tape.size());
    if (!tokenizer.empty())
      add(PIANOLA_SECTION_TOKENIZER, tokenizer.data(), tokenizer.size());
    if (!chatTemplate.empty())
      add(PIANOLA_SECTION_TEMPLATE, chatTemplate.data(), chatTemplate.size());
    Status status = (*writer)->finish();
    ASSERT_TRUE(status.ok()) << status.message();
  }
};

inline void writeFile(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

} // namespace pianola

#endif
