// bandwidth.cu - how fast this GPU reads its memory, and copies it: the floor of decoding.
//
// Prints one line of JSON, bytes a second, the median of the passes of the best of several ways:
// {"read": ..., "copy": ...}; a copy's bytes count twice, read and written.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

static void check(cudaError_t error, const char *what) {
  if (error == cudaSuccess)
    return;
  std::fprintf(stderr, "error: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

static __device__ uint4 stream(const uint4 *at) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(at));
  return v;
}

// Each block reads a part of its own from end to end, as the workers do with their tapes.
template <int kUnroll> __global__ void readAll(const uint4 *from, uint64_t count, uint32_t *sink) {
  uint64_t each = count / gridDim.x;
  const uint4 *begin = from + each * blockIdx.x;
  uint32_t sum = 0;
  for (uint64_t i = threadIdx.x; i + (kUnroll - 1) * blockDim.x < each; i += kUnroll * blockDim.x) {
    uint4 v[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u)
      v[u] = stream(begin + i + u * blockDim.x);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u)
      sum += v[u].x ^ v[u].y ^ v[u].z ^ v[u].w;
  }
  if (sum == 0x9e3779b9) // never; or else nothing would have to be read
    *sink = sum;
}

int main() {
  int sms = 0;
  check(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0), "cudaDeviceGetAttribute");
  const uint64_t bytes = uint64_t(4) << 30; // far larger than any L2
  char *from = nullptr, *to = nullptr;
  uint32_t *sink = nullptr;
  check(cudaMalloc(&from, bytes), "cudaMalloc");
  check(cudaMalloc(&to, bytes), "cudaMalloc");
  check(cudaMalloc(&sink, sizeof(*sink)), "cudaMalloc");
  std::vector<uint32_t> noise(1 << 22);
  for (size_t i = 0; i < noise.size(); ++i)
    noise[i] = static_cast<uint32_t>((i + 1) * 0x9e3779b97f4a7c15u >> 32);
  for (uint64_t at = 0; at < bytes; at += noise.size() * 4)
    check(cudaMemcpy(from + at, noise.data(), noise.size() * 4, cudaMemcpyHostToDevice), "cudaMemcpy");

  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  auto rate = [&](double moved, auto pass) {
    std::vector<double> seen;
    for (int i = 0; i < 12; ++i) {
      check(cudaEventRecord(begin), "cudaEventRecord");
      pass();
      check(cudaGetLastError(), "launch");
      check(cudaEventRecord(end), "cudaEventRecord");
      check(cudaEventSynchronize(end), "cudaEventSynchronize");
      float ms = 0;
      check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
      if (i >= 2) // the first ones warm up
        seen.push_back(moved / (ms * 1e-3));
    }
    std::sort(seen.begin(), seen.end());
    return seen[seen.size() / 2];
  };
  auto *words = reinterpret_cast<const uint4 *>(from);
  uint64_t count = bytes / sizeof(uint4);
  double read = 0;
  for (int blocks : {1, 2, 4})
    for (int threads : {256, 512, 1024}) {
      if (blocks * threads > 2048)
        continue;
      read = std::max(read, rate(double(bytes), [&] { readAll<4><<<sms * blocks, threads>>>(words, count, sink); }));
      read = std::max(read, rate(double(bytes), [&] { readAll<8><<<sms * blocks, threads>>>(words, count, sink); }));
    }
  double copy = rate(2.0 * bytes, [&] {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice), "cudaMemcpyAsync");
  });
  std::printf("{\"read\": %.0f, \"copy\": %.0f}\n", read, copy);
  return 0;
}
