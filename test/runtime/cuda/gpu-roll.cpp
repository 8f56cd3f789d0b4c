// gpu-roll.cpp - writes the roll of GpuRoll.h to a file, for tools to play.
#include "test/runtime/cuda/GpuRoll.h"

#include <cstdio>

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gpu-roll FILE\n");
    return 2;
  }
  pianola::GpuRoll().write(argv[1]);
}
