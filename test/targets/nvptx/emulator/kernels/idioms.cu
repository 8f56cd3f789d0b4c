// What people write between blocks and between lanes: locks, stacks, queues, flags, fences of every scope.
#include "Ptx.cuh"

using Watched = volatile uint32_t;

// Everyone fences, then one thread of each block counts it: the order of fences does the rest.
extern "C" __global__ void fence_then_barrier(uint32_t *counter, uint32_t *parts, uint32_t *sums) {
  __shared__ bool last;
  parts[blockIdx.x * blockDim.x + threadIdx.x] = blockIdx.x * 3 + threadIdx.x;
  __threadfence_block();
  if (threadIdx.x == 5)
    atomicAdd(counter, 0u); // after a fence for the block alone
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0)
    last = atomicAdd(counter, 1u) == gridDim.x - 1;
  __syncthreads();
  if (last) {
    __threadfence();
    uint32_t sum = 0;
    for (uint32_t b = 0; b < gridDim.x; ++b)
      sum += parts[b * blockDim.x + threadIdx.x];
    sums[threadIdx.x] = sum;
  }
}

// The narrower of two fences does not undo the wider one.
extern "C" __global__ void fences_of_two_scopes(uint32_t *data, Watched *flag, uint32_t *y) {
  if (threadIdx.x)
    return;
  if (blockIdx.x == 0) {
    *data = 5;
    __threadfence();
    __threadfence_block();
    *flag = 1;
  } else {
    while (*flag == 0)
      ;
    __threadfence_block();
    __threadfence();
    y[blockIdx.x] = *data;
  }
}

// A relaxed store after the thread's own release still releases.
extern "C" __global__ void release_then_relaxed(uint32_t *data, uint32_t *flag, uint32_t *y) {
  if (threadIdx.x)
    return;
  if (blockIdx.x == 0) {
    *data = 42;
    storeRelease(flag, 1);
    *(Watched *)flag = 2;
  } else {
    while (loadAcquire(flag) != 2)
      ;
    y[blockIdx.x] = *data;
  }
}

// All lanes read a word; all but lane 0 tell so; lane 0 overwrites it.
extern "C" __global__ void lanes_tell_lane(uint32_t *y) {
  __shared__ uint32_t word, count;
  if (threadIdx.x == 0)
    word = 7, count = 0;
  __syncwarp();
  const uint32_t v = word;
  if (threadIdx.x) {
    __threadfence_block();
    atomicAdd(&count, 1);
  } else {
    while (*(Watched *)&count != 31)
      ;
    __threadfence_block();
    word = 9;
  }
  y[threadIdx.x] = v;
}

// Lanes meet at two different barriers of the warp.
extern "C" __global__ void lanes_meet_in_branches(uint32_t *y) {
  __shared__ uint32_t s[32];
  if (threadIdx.x < 16) {
    s[threadIdx.x] = threadIdx.x;
    __syncwarp();
    y[threadIdx.x] = s[threadIdx.x + 16];
  } else {
    s[threadIdx.x] = threadIdx.x * 2;
    __syncwarp();
    y[threadIdx.x] = s[threadIdx.x - 16] + 1000;
  }
}

extern "C" __global__ void ticket_lock(uint32_t *lock, uint32_t *sum) {
  if (threadIdx.x)
    return;
  const uint32_t ticket = atomicAdd(&lock[0], 1);
  while (((Watched *)lock)[1] != ticket)
    ;
  __threadfence();
  *sum = *sum * 2 + 1;
  __threadfence();
  atomicAdd(&lock[1], 1);
}

struct Node {
  int32_t next;
  uint32_t value;
};
// Treiber's stack, its head with a tag: each thread pushes, then pops.
extern "C" __global__ void treiber_stack(unsigned long long *head, Node *nodes, uint32_t *sum) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  nodes[i].value = i + 1;
  unsigned long long seen, old = *(volatile unsigned long long *)head;
  do {
    seen = old;
    *(volatile int32_t *)&nodes[i].next = int32_t(seen);
    __threadfence();
    old = atomicCAS(head, seen, ((seen >> 32) + 1) << 32 | (i + 1));
  } while (old != seen);
  old = atomicAdd(head, 0ull);
  do {
    seen = old;
    __threadfence();
    const uint32_t next = *(volatile int32_t *)&nodes[uint32_t(seen) - 1].next;
    old = atomicCAS(head, seen, ((seen >> 32) + 1) << 32 | next);
  } while (old != seen);
  __threadfence();
  atomicAdd(sum, nodes[uint32_t(seen) - 1].value);
}

extern "C" __global__ void seqlock(Watched *sequence, Watched *pair, uint32_t *y) {
  if (threadIdx.x)
    return;
  if (blockIdx.x == 0) {
    for (uint32_t i = 1; i < 6; ++i) {
      *sequence = 2 * i - 1;
      __threadfence();
      pair[0] = i, pair[1] = i * 3;
      __threadfence();
      *sequence = 2 * i;
    }
    y[0] = 0;
    return;
  }
  uint32_t before, after, a, b;
  do {
    before = *sequence;
    __threadfence();
    a = pair[0], b = pair[1];
    __threadfence();
    after = *sequence;
  } while (before != after || before % 2);
  y[blockIdx.x] = b - 3 * a;
}

// Whoever comes first fills the table; the others wait for him, or find it filled.
extern "C" __global__ void filled_once(uint32_t *state, uint32_t *table, uint32_t *y) {
  if (threadIdx.x == 0) {
    if (*(Watched *)state != 2) {
      if (atomicCAS(state, 0, 1) == 0) {
        for (uint32_t i = 0; i < 8; ++i)
          table[i] = i * i;
        __threadfence();
        atomicExch(state, 2);
      } else {
        while (*(Watched *)state != 2)
          ;
      }
    }
    __threadfence();
  }
  __syncthreads();
  y[blockIdx.x * blockDim.x + threadIdx.x] = table[threadIdx.x % 8];
}

// Blocks draw items until there are none left.
extern "C" __global__ void work_queue(uint32_t *ticket, uint32_t n, const uint32_t *x, uint32_t *y) {
  __shared__ uint32_t item;
  for (;;) {
    __syncthreads();
    if (threadIdx.x == 0)
      item = atomicAdd(ticket, 1);
    __syncthreads();
    const uint32_t mine = item;
    if (mine >= n)
      break;
    y[mine * blockDim.x + threadIdx.x] = x[mine] * threadIdx.x;
  }
}

// Lamport's queue of one producer and one consumer.
extern "C" __global__ void lamport_queue(uint32_t *slots, Watched *written, Watched *read, uint32_t *y) {
  if (threadIdx.x)
    return;
  for (uint32_t i = 0; i < 40; ++i) {
    if (blockIdx.x == 0) {
      while (i - *read >= 8)
        ;
      __threadfence();
      slots[i % 8] = i * 5;
      __threadfence();
      *written = i + 1;
    } else {
      while (*written <= i)
        ;
      __threadfence();
      y[i] = slots[i % 8];
      __threadfence();
      *read = i + 1;
    }
  }
}

// Loops that read one value, or sleep, often and in vain, but not for ever.
extern "C" __global__ void patient_loops(Watched *never, uint32_t *y) {
  uint32_t polls = 0, sum = 0;
  while (*never == 0 && polls < 3000)
    ++polls;
  for (int i = 0; i < 200; ++i)
    __nanosleep(100);
  for (int i = 0; i < 1000; ++i)
    sum += *never + 1;
  y[threadIdx.x] = polls + sum;
}

// Rows of five words, read as vectors of four and what is left.
extern "C" __global__ void vector_rows(const uint32_t *x, uint32_t *rows, uint32_t *y,
                                       uint32_t n) {
  const uint32_t t = threadIdx.x, row = blockIdx.x * 8;
  if (t < n)
    rows[row + t] = x[blockIdx.x * n + t] + 1;
  __syncthreads();
  if (t == 0) {
    uint32_t sum = 0, i = 0;
    for (; i + 4 <= n; i += 4) {
      const uint4 v = *reinterpret_cast<const uint4 *>(rows + row + i);
      sum += v.x + v.y * 2 + v.z * 3 + v.w * 4;
    }
    for (; i < n; ++i)
      sum += rows[row + i];
    y[blockIdx.x] = sum;
  }
}
