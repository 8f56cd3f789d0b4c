// ReadFile.h - what a file holds.
#ifndef PIANOLA_TEST_READFILE_H
#define PIANOLA_TEST_READFILE_H

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

namespace pianola {

/// All bytes of a file, which must be there.
inline std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

} // namespace pianola

#endif
