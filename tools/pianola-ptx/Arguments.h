// Arguments.h - kernel arguments as a command line states them.
#ifndef PIANOLA_TOOLS_PIANOLA_PTX_ARGUMENTS_H
#define PIANOLA_TOOLS_PIANOLA_PTX_ARGUMENTS_H

#include "targets/nvptx/emulator/Emulator.h"

#include <string>
#include <vector>

namespace pianola::ptx {

/// One --arg: a value, or a buffer whose address is passed.
struct ArgumentSpec {
  std::string text;           ///< as it was written
  std::vector<uint8_t> value; ///< of a scalar
  bool isBuffer = false;
  bool isWritten = false; ///< the buffer begins with `contents`; otherwise nothing has written it
  std::vector<uint8_t> contents;
  uint64_t bytes = 0;
  std::string outputFile; ///< where the buffer goes afterwards, or empty
};

/// u8:V u16:V u32:V u64:V s8:V s16:V s32:V s64:V f32:V f64:V   a value
/// hex:0011AAFF             bytes, for a structure
/// in:FILE                  a buffer with the file's bytes
/// out:FILE:BYTES           a buffer that nothing has written; its bytes go to the file
/// inout:FILE:FILE          both
/// zero:BYTES[:FILE]        a buffer of zeros; its bytes go to the file
Result<ArgumentSpec> parseArgument(const std::string &text);

/// "4", "4,2", "4,2,1"
Result<Dim3> parseDim3(const char *option, const std::string &text);

Result<std::string> readFile(const std::string &path);
/// The whole file, or none.
Status writeFile(const std::string &path, const std::vector<uint8_t> &bytes);

} // namespace pianola::ptx

#endif
