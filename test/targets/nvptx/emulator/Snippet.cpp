#include "test/targets/nvptx/emulator/Snippet.h"

#include "targets/nvptx/emulator/Code.h"

namespace pianola::ptx {

Left playSnippet(const std::string &lines, uint32_t threads, uint64_t seed, const char *device) {
  bool hopper = std::string(device) == "h200";
  std::string text = std::string(".version 8.5\n.target ") + (hopper ? "sm_90a" : "sm_80") +
                     "\n.address_size 64\n"
                     ".visible .entry snippet(.param .u64 left, .param .u64 memory) {\n"
                     ".reg .pred %p<10>; .reg .b16 %h<20>; .reg .b32 %r<40>; .reg .b64 %d<40>;\n"
                     ".shared .align 128 .b8 s[1024];\n"
                     "mov.u32 %r39, %tid.x; mov.u32 %r38, %laneid; ld.param.u64 %d9, [memory];\n"
                     "mov.u32 %r0, 0;\n" +
                     lines +
                     "\nmul.wide.u32 %d38, %r39, 4; ld.param.u64 %d39, [left];\n"
                     "add.u64 %d38, %d38, %d39; st.global.u32 [%d38], %r0; ret;\n}\n";
  Left out;
  Device gpu(*findDevice(device), seed);
  auto module = gpu.load(text, "snippet.ptx");
  if (!module) {
    out.error = module.message();
    return out;
  }
  uint64_t left = *gpu.allocate(threads * 4, "left"), memory = *gpu.allocate(1024, "memory");
  std::vector<uint32_t> counting(256);
  for (uint32_t i = 0; i < 256; ++i)
    counting[i] = i;
  Status status = gpu.write(memory, counting.data(), 1024);
  Arguments arguments;
  arguments.add(left).add(memory);
  Launch launch;
  launch.block = {threads};
  launch.seed = seed;
  launch.patience = 100'000;
  auto played = gpu.play((*module)->findKernel("snippet"), launch, arguments);
  if (!played) {
    out.error = played.message();
    return out;
  }
  out.findings = played->findings;
  out.words.resize(threads);
  out.memory.resize(256);
  status = gpu.read(left, out.words.data(), threads * 4);
  status = gpu.read(memory, out.memory.data(), 1024);
  return out;
}

} // namespace pianola::ptx
