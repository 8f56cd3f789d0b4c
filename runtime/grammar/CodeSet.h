// CodeSet.h - sets of Unicode's characters, and their bytes.
#ifndef PIANOLA_RUNTIME_GRAMMAR_CODESET_H
#define PIANOLA_RUNTIME_GRAMMAR_CODESET_H

#include <cstdint>
#include <vector>

namespace pianola::grammar {

/// Of code points, both ends included.
struct CodeRange {
  uint32_t first, last;
};

/// Of bytes, both ends included.
struct ByteRange {
  uint8_t first, last;
};

/// Scalar values: there are no surrogates in it, whatever it is made from.
class CodeSet {
public:
  CodeSet() = default;
  CodeSet(std::vector<CodeRange> ranges);
  static CodeSet all() { return CodeSet({{0, 0x10ffff}}); }

  /// In order, neither touching nor empty.
  const std::vector<CodeRange> &ranges() const { return parts; }
  bool empty() const { return parts.empty(); }
  bool contains(uint32_t code) const;

  CodeSet operator~() const;
  CodeSet operator|(const CodeSet &other) const;
  CodeSet operator&(const CodeSet &other) const { return ~(~*this | ~other); }
  CodeSet operator-(const CodeSet &other) const { return *this & ~other; }

  /// Its characters in UTF-8: each entry stands for the sequences of bytes that are in its ranges,
  /// and no sequence is in two entries.
  std::vector<std::vector<ByteRange>> byteSequences() const;

private:
  std::vector<CodeRange> parts;
};

} // namespace pianola::grammar

#endif
