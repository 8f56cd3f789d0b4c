//===- Products.h - Inner products of packed weights ------------*- C++ -*-===//
//
// The kernels of the host target: weights of tiles, keys and values all are vectors of 16 rows,
// step of k by step of k. A vector of activations is broadcast, element by element, to all of a
// weight vector's lanes. Every accumulator runs over k in order, so that what a vector gets does
// not depend on how many vectors there are.
// With AMX, weight tiles are multiplied with 16 slots at once instead (TileProducts.cpp, and for
// codes CodeTiles.cpp).
//
// Each kind of kernel is one function of the image, which all stages call.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_PRODUCTS_H
#define PIANOLA_TARGETS_HOST_PRODUCTS_H

#include "targets/host/KernelFunctions.h"

namespace pianola::host {

/// How activations stand in memory for inner products.
///
/// With AVX512-BF16 one instruction adds 32 products of bf16. An activation rounded to bf16 keeps 8
/// of the 24 bits of f32, which moves the logits of small models by more than one percent; so there
/// an f32 activation is *split*: the sum of two bf16 numbers, which takes two such instructions and
/// keeps 16 bits. It costs nothing where memory is the limit. In memory, a row in split form is
/// blocks of 128 bytes: the greater parts of 32 elements, and then their lesser parts. So either
/// parts of several rows can be loaded as a tile of AMX; of a last half block half is used.
enum class Form { F32, Bf16, Split };

/// The form in which products of `weights` (an element type) with `values` are taken.
Form formFor(const HostCpu &cpu, Type weights, Type values);
inline int64_t bytesOf(Form form) { return form == Form::Bf16 ? 2 : 4; }
constexpr int64_t kSplitBlock = 32;  // elements
constexpr int64_t kLesserParts = 64; // bytes from a greater part to its lesser one
/// Bytes from one row to the next.
inline int64_t rowBytes(Form form, int64_t columns) {
  if (form == Form::Split)
    columns = (columns + kSplitBlock - 1) / kSplitBlock * kSplitBlock;
  return columns * bytesOf(form);
}
/// The byte of a row at which an element, or its greater part, stands.
Value offsetIn(Emitter &emit, Form form, Value column);
/// Writes 16 lanes of f32 to a row, from `column` on, a multiple of 16.
void storeForm(Emitter &emit, Value lanes, Form form, Value row, Value column);

struct ProductKind {
  Type weights;           // bf16 (a step is two k), f16, f32 or a context's codes (one), or two of
                          // four columns
  Form form;              // of the vectors
  int64_t registers;      // weight vectors of 16 rows: 1, 2 or 4
  int64_t stepStride;     // bytes from one step's weights to the next step's
  int64_t registerStride; // bytes from one weight vector to the next of the step
  int64_t ahead;          // bytes from what a step reads to what it asks memory for, or 0
  /// There is only one vector, and the weights come from memory: chains of their own for every
  /// fourth step, added up at the end, hide the latency of additions.
  bool single = false;
  /// Through tiles of AMX, for vectors of bf16 or in split form: steps and vectors are multiples of
  /// 16.
  bool tiles = false;
  /// How often the weights of a call pass by when there are as many vectors as there may be. From
  /// twice on each pass asks for its part of the weights of the next call, which stand behind: only
  /// the first pass would wait for memory otherwise, and in the others memory would have a rest.
  int64_t passes = 1;
  int64_t columns = 0; // of a step of two of four: 32, or 16

  bool isPruned() const { return mlir::isa<encoding::TwoOfFourType>(weights); }
  int64_t perStep() const { return isPruned() ? columns : weights.isBF16() ? 2 : 1; }
  std::string name() const;
};

/// result[v][r] = (result[v][r] or 0) + sum_k weight[r][k] * vector[v][k], in f32, for `count`
/// vectors and 16 * registers rows. Strides in bytes; `fresh` (i1): from 0.
struct Products {
  Value weights, vectors, vectorStride, results, resultStride, steps, count, fresh;
};

/// Vectors that weights are multiplied with as they pass by.
int64_t vectorsAtOnce(const HostCpu &cpu, int64_t registers);

void callProducts(KernelFunctions &kernels, Emitter &emit, const ProductKind &kind,
                  const Products &products);

} // namespace pianola::host

#endif
