// Ways through memory: shared, constant, local, read-only; blocks of two and three dimensions.
#include <cstdint>

// 32 x 32 tiles by blocks of 32 x 8, padded against bank conflicts; edges of any size.
extern "C" __global__ void transpose(const float *x, float *y, uint32_t rows, uint32_t columns) {
  __shared__ float tile[32][33];
  uint32_t c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
#pragma unroll
  for (uint32_t k = 0; k < 32; k += 8)
    if (c < columns && r + k < rows)
      tile[threadIdx.y + k][threadIdx.x] = x[size_t(r + k) * columns + c];
  __syncthreads();
  c = blockIdx.y * 32 + threadIdx.x, r = blockIdx.x * 32 + threadIdx.y;
#pragma unroll
  for (uint32_t k = 0; k < 32; k += 8)
    if (c < rows && r + k < columns)
      y[size_t(r + k) * rows + c] = tile[threadIdx.x][threadIdx.y + k];
}

// Five points on a line, with a halo in shared memory.
extern "C" __global__ void stencil_line(const float *x, float *y, uint32_t n) {
  __shared__ float s[128 + 4];
  const uint32_t t = threadIdx.x, i = blockIdx.x * 128 + t;
  auto at = [&](uint32_t j) { return j < n ? x[j] : 0.0f; }; // below zero wraps to a large number
  s[t + 2] = at(i);
  if (t < 2) {
    s[t] = at(i - 2);
    s[t + 130] = at(i + 128);
  }
  __syncthreads();
  if (i < n)
    y[i] = 0.0625f * (s[t] + s[t + 4]) + 0.25f * (s[t + 1] + s[t + 3]) + 0.375f * s[t + 2];
}

// Seven points in space, by blocks of 8 x 4 x 4.
extern "C" __global__ void stencil_space(const int32_t *x, int32_t *y, int32_t nx, int32_t ny,
                                         int32_t nz) {
  const int32_t i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y,
                k = blockIdx.z * blockDim.z + threadIdx.z;
  if (i >= nx || j >= ny || k >= nz)
    return;
  auto at = [&](int32_t a, int32_t b, int32_t c) {
    return a < 0 || b < 0 || c < 0 || a >= nx || b >= ny || c >= nz ? 0 : x[(c * ny + b) * nx + a];
  };
  y[(k * ny + j) * nx + i] = 6 * at(i, j, k) - at(i - 1, j, k) - at(i + 1, j, k) - at(i, j - 1, k) -
                             at(i, j + 1, k) - at(i, j, k - 1) - at(i, j, k + 1);
}

__constant__ float weights[16] = {0.5f,  -1.0f, 2.0f,  0.25f, 1.5f,  3.0f,  -0.75f, 4.0f,
                                  -2.0f, 1.0f,  0.125f, 6.0f, -5.0f, 0.375f, 8.0f,  -0.5f};
__constant__ uint16_t routes[4] = {3, 0, 2, 1};
__device__ uint32_t plays = 41;

// Tables in constant memory, the input through the read-only path, and a counter of the module.
extern "C" __global__ void constant_table(const float *__restrict__ x, float *y, uint32_t *count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const float v = __ldg(&x[i]);
  y[i] = v * weights[i % 16] + weights[routes[i % 4]];
  if (i == 0)
    *count = atomicAdd(&plays, 1u);
}

// Three arrays of different types in dynamic shared memory.
extern "C" __global__ void dynamic_shared(const double *x, double *y, uint32_t n) {
  extern __shared__ __align__(16) uint8_t memory[];
  double *d = reinterpret_cast<double *>(memory);
  uint16_t *order = reinterpret_cast<uint16_t *>(d + n);
  uint8_t *parity = reinterpret_cast<uint8_t *>(order + n);
  for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) {
    d[i] = x[blockIdx.x * n + i];
    order[i] = static_cast<uint16_t>((i * 7 + 3) % n);
    parity[i] = i & 1;
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < n; i += blockDim.x)
    y[blockIdx.x * n + i] = parity[order[i]] ? -d[order[i]] : d[order[i]];
}

// An array that the compiler cannot keep in registers.
extern "C" __global__ void local_array(const uint32_t *x, uint32_t *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  uint32_t a[16];
#pragma unroll 1
  for (uint32_t k = 0; k < 16; ++k)
    a[k] = k * k + i;
  uint32_t at = x[i];
#pragma unroll 1
  for (uint32_t k = 0; k < 24; ++k) {
    const uint32_t j = at % 16;
    at = at * 5 + a[j];
    a[j] ^= at >> 3;
  }
  uint32_t sum = at;
#pragma unroll 1
  for (uint32_t k = 0; k < 16; ++k)
    sum = sum * 31 + a[k];
  y[i] = sum;
}

// Bytes from one odd address to another: a head and a tail of bytes, words between where they line up.
extern "C" __global__ void copy_bytes(const uint8_t *x, uint8_t *y, uint32_t n) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x, all = gridDim.x * blockDim.x;
  const uint32_t skew = reinterpret_cast<uintptr_t>(x) % 4;
  if (skew != reinterpret_cast<uintptr_t>(y) % 4) {
    for (uint32_t k = i; k < n; k += all)
      y[k] = x[k];
    return;
  }
  const uint32_t head = min(n, (4 - skew) % 4), words = (n - head) / 4, tail = head + words * 4;
  for (uint32_t k = i; k < words; k += all)
    reinterpret_cast<uint32_t *>(y + head)[k] = reinterpret_cast<const uint32_t *>(x + head)[k];
  if (i < head)
    y[i] = x[i];
  if (tail + i < n)
    y[tail + i] = x[tail + i];
}
