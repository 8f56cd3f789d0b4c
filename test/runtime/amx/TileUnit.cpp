// TileUnit.cpp - what AMX computes, one instruction at a time.
#include "test/runtime/amx/TileUnit.h"

#include <cmath>
#include <cstring>
#include <immintrin.h>
#include <initializer_list>

namespace pianola::test {

TileUnit::Fault TileUnit::configure(const uint8_t *from) {
  if (from[0] == 0) {
    release();
    return nullptr;
  }
  if (from[0] != 1)
    return "there is no such palette";
  for (int byte = 2; byte < 64; ++byte) {
    bool used = (byte >= 16 && byte < 16 + 2 * kTiles) || (byte >= 48 && byte < 48 + kTiles);
    if (!used && from[byte] != 0)
      return "a reserved byte of the configuration is not zero";
  }
  Shape next[kTiles];
  for (int tile = 0; tile < kTiles; ++tile) {
    std::memcpy(&next[tile].rowBytes, from + 16 + 2 * tile, 2);
    next[tile].rows = from[48 + tile];
    if (next[tile].rowBytes > kRowBytes || next[tile].rows > kRows)
      return "a tile is larger than the palette has";
    if ((next[tile].rowBytes == 0) != (next[tile].rows == 0))
      return "a tile has rows or bytes, and not both";
  }
  release();
  palette = 1;
  startRow = from[1];
  std::memcpy(shapes, next, sizeof(shapes));
  return nullptr;
}

void TileUnit::storeConfiguration(uint8_t *to) const {
  std::memset(to, 0, 64);
  to[0] = palette;
  to[1] = startRow;
  for (int tile = 0; tile < kTiles; ++tile) {
    std::memcpy(to + 16 + 2 * tile, &shapes[tile].rowBytes, 2);
    to[48 + tile] = shapes[tile].rows;
  }
}

void TileUnit::release() {
  palette = startRow = 0;
  std::memset(shapes, 0, sizeof(shapes));
  std::memset(data, 0, sizeof(data));
}

TileUnit::Fault TileUnit::check(int tile) const {
  if (palette == 0)
    return "tiles are not configured";
  if (tile >= kTiles)
    return "there is no such tile";
  return shapes[tile].rows == 0 ? "the tile has no shape" : nullptr;
}

// What lies outside of a tile's shape is zero after whatever writes it.
void TileUnit::keepOnlyShape(int tile) {
  for (int r = 0; r < kRows; ++r) {
    int keep = r < shapes[tile].rows ? shapes[tile].rowBytes : 0;
    std::memset(data[tile][r] + keep, 0, kRowBytes - keep);
  }
}

TileUnit::Fault TileUnit::zero(int tile) {
  if (Fault fault = check(tile))
    return fault;
  std::memset(data[tile], 0, sizeof(data[tile]));
  startRow = 0;
  return nullptr;
}

TileUnit::Fault TileUnit::load(int tile, const uint8_t *from, int64_t stride) {
  if (Fault fault = check(tile))
    return fault;
  for (int r = startRow; r < shapes[tile].rows; ++r)
    std::memcpy(data[tile][r], from + r * stride, shapes[tile].rowBytes);
  keepOnlyShape(tile);
  startRow = 0;
  return nullptr;
}

TileUnit::Fault TileUnit::store(int tile, uint8_t *to, int64_t stride) {
  if (Fault fault = check(tile))
    return fault;
  for (int r = startRow; r < shapes[tile].rows; ++r)
    std::memcpy(to + r * stride, data[tile][r], shapes[tile].rowBytes);
  startRow = 0;
  return nullptr;
}

TileUnit::Fault TileUnit::checkProduct(int sums, int left, int right) const {
  for (int tile : {sums, left, right}) {
    if (Fault fault = check(tile))
      return fault;
    if (shapes[tile].rowBytes % 4 != 0)
      return "rows are not a multiple of 4 bytes";
  }
  if (sums == left || left == right || sums == right)
    return "a tile is named twice";
  if (startRow != 0)
    return "the start row is not 0";
  if (shapes[sums].rows != shapes[left].rows || shapes[sums].rowBytes != shapes[right].rowBytes ||
      shapes[left].rowBytes / 4 != shapes[right].rows)
    return "shapes do not fit each other";
  return nullptr;
}

// The even and the odd products of each sum have chains of fused additions of their own, which
// begin at zero and are added up at the end. Denormals are zero, before and after.
__attribute__((noinline, target("avx2,fma"))) static void
addRow(float *sums, const uint16_t *left, const uint16_t (*right)[32], int pairs) {
  auto widen = [](uint16_t half) {
    uint32_t bits = uint32_t(half) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  };
  float chains[32] = {};
  for (int k = 0; k < pairs; ++k) {
    float even = widen(left[2 * k]), odd = widen(left[2 * k + 1]);
    for (int n = 0; n < 32; n += 2) {
      chains[n] = std::fma(even, widen(right[k][n]), chains[n]);
      chains[n + 1] = std::fma(odd, widen(right[k][n + 1]), chains[n + 1]);
    }
  }
  for (int n = 0; n < 16; ++n)
    sums[n] += chains[2 * n] + chains[2 * n + 1];
}

TileUnit::Fault TileUnit::addBf16(int sums, int left, int right) {
  if (Fault fault = checkProduct(sums, left, right))
    return fault;
  // To the nearest even, no exceptions, denormals as zeros; whatever the thread has set.
  unsigned before = _mm_getcsr();
  _mm_setcsr(0x1f80 | _MM_FLUSH_ZERO_ON | 0x40);
  for (int m = 0; m < shapes[sums].rows; ++m)
    addRow(row<float>(sums, m), row<uint16_t>(left, m),
           reinterpret_cast<const uint16_t(*)[32]>(data[right]), shapes[right].rows);
  _mm_setcsr(before);
  keepOnlyShape(sums);
  return nullptr;
}

TileUnit::Fault TileUnit::addBytes(int sums, int left, int right, bool leftSigned,
                                   bool rightSigned) {
  if (Fault fault = checkProduct(sums, left, right))
    return fault;
  auto number = [](uint8_t byte, bool isSigned) {
    return isSigned ? int32_t(int8_t(byte)) : int32_t(byte);
  };
  for (int m = 0; m < shapes[sums].rows; ++m)
    for (int k = 0; k < shapes[right].rows; ++k)
      for (int n = 0; n < 16; ++n)
        for (int i = 0; i < 4; ++i) // sums wrap around
          row<uint32_t>(sums, m)[n] += uint32_t(number(data[left][m][4 * k + i], leftSigned) *
                                                number(data[right][k][4 * n + i], rightSigned));
  keepOnlyShape(sums);
  return nullptr;
}

} // namespace pianola::test
