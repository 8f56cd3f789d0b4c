// TileUnit.h - what AMX computes, one instruction at a time, as Intel's manual says it.
//
// From the Software Developer's Manual, volumes 1 (chapter 18) and 2: palette 1 has eight tiles of
// 16 rows of 64 bytes. Every method returns null, or what the processor would fault on.
#ifndef PIANOLA_TEST_RUNTIME_AMX_TILEUNIT_H
#define PIANOLA_TEST_RUNTIME_AMX_TILEUNIT_H

#include <cstdint>

namespace pianola::test {

class TileUnit {
public:
  static constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

  using Fault = const char *;

  Fault configure(const uint8_t *from); // 64 bytes
  void storeConfiguration(uint8_t *to) const;
  void release();
  Fault zero(int tile);
  Fault load(int tile, const uint8_t *from, int64_t stride);
  Fault store(int tile, uint8_t *to, int64_t stride);
  /// sums += left * right.
  Fault addBf16(int sums, int left, int right);
  Fault addBytes(int sums, int left, int right, bool leftSigned, bool rightSigned);

private:
  struct Shape {
    uint16_t rowBytes;
    uint8_t rows;
  };

  Fault check(int tile) const;
  Fault checkProduct(int sums, int left, int right) const;
  void keepOnlyShape(int tile);
  template <typename T> T *row(int tile, int r) { return reinterpret_cast<T *>(data[tile][r]); }

  uint8_t palette = 0, startRow = 0;
  Shape shapes[kTiles] = {};
  alignas(64) uint8_t data[kTiles][kRows][kRowBytes] = {};
};

} // namespace pianola::test

#endif
