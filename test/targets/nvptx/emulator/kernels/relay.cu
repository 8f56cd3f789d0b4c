// architectures: sm_90a
// Generic writes of one block that another fetches with a bulk copy: both proxies meet in device memory.
#include "Ptx.cuh"

extern "C" __global__ void relay_bulk(const uint32_t *x, uint32_t *middle, uint32_t *events,
                                      uint32_t *y) {
  __shared__ __align__(16) uint32_t tile[128];
  __shared__ uint64_t full;
  const uint32_t t = threadIdx.x, b = blockIdx.x, next = (b + 1) % gridDim.x;
  if (t == 0) {
    initBarrier(&full, 1);
    fenceAsync();
  }
  middle[b * 128 + t] = x[b * 128 + t] * 7 + b;
  fenceAsync();
  __syncthreads();
  if (t == 0) {
    addRelease(&events[b], 1);
    while (loadAcquire(&events[next]) == 0)
      ;
    fenceAsync();
    arriveExpect(&full, 512);
    bulkLoad(tile, middle + next * 128, 512, &full);
  }
  wait(&full, 0);
  y[b * 128 + t] = tile[(t + 5) % 128] + tile[t];
}
