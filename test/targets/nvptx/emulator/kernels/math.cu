// Functions of one number: accurate, fast, double, and on bits.
#include <cstdint>

extern "C" __global__ void math_accurate(const float *x, float *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const float v = x[i];
  float *r = y + i * 10;
  r[0] = expf(v);
  r[1] = sinf(v);
  r[2] = cosf(v * 3.0f);
  r[3] = tanhf(v);
  r[4] = rsqrtf(v * v + 0.5f);
  r[5] = logf(v * v + 0.25f);
  r[6] = erff(v);
  r[7] = powf(fabsf(v) + 0.1f, 1.7f);
  r[8] = sqrtf(fabsf(v)) + cbrtf(v);
  r[9] = v / (1.0f + expf(-v)); // silu
}

extern "C" __global__ void math_fast(const float *x, float *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const float v = x[i];
  float *r = y + i * 7;
  r[0] = __expf(v);
  r[1] = __sinf(v);
  r[2] = __cosf(v);
  r[3] = __logf(v * v + 0.25f);
  asm("tanh.approx.f32 %0, %1;" : "=f"(r[4]) : "f"(v));
  r[5] = __fdividef(v, 1.0f + __expf(-v));
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r[6]) : "f"(v));
}

// Every operation that IEEE rounds, with each way to round.
extern "C" __global__ void math_ieee(const float *x, const float *z, float *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const float v = x[i], w = z[i];
  float *r = y + i * 10;
  r[0] = v / w;
  r[1] = sqrtf(fabsf(v));
  r[2] = __fmaf_rn(v, w, -v);
  r[3] = __fadd_ru(v, w);
  r[4] = __fmul_rd(v, w);
  r[5] = __fadd_rz(v, -w);
  r[6] = fmaxf(v, w) - fminf(v, w);
  r[7] = rintf(v) + floorf(w) + ceilf(v) + truncf(w);
  r[8] = copysignf(v, w);
  r[9] = __frcp_rn(w) * v;
}

extern "C" __global__ void math_double(const double *x, const double *z, double *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const double v = x[i], w = z[i];
  double *r = y + i * 6;
  r[0] = v / w;
  r[1] = sqrt(fabs(v));
  r[2] = fma(v, w, -w);
  r[3] = v * w + fmin(v, w);
  r[4] = floor(v) - ceil(w);
  r[5] = exp(v * 0.1) + log(fabs(w) + 1.0);
}

extern "C" __global__ void math_bits(const uint32_t *x, const uint32_t *z, uint32_t *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t v = x[i], w = z[i];
  uint32_t *r = y + i * 12;
  r[0] = __umulhi(v, w);
  r[1] = static_cast<uint32_t>(__mulhi(static_cast<int>(v), static_cast<int>(w)));
  r[2] = __brev(v);
  r[3] = __clz(v) * 100 + __popc(w) + __ffs(v);
  r[4] = __funnelshift_l(v, w, 11);
  r[5] = __funnelshift_r(v, w, w & 31);
  r[6] = __byte_perm(v, w, 0x3715);
  r[7] = __usad(v, w, 9);
  r[8] = v / (w | 1) + v % (w | 1);
  r[9] = static_cast<uint32_t>(static_cast<int32_t>(v) >> (w & 31)) + (w << (v & 31));
  const uint64_t wide = uint64_t(v) * w + (uint64_t(w) << 32 | v);
  r[10] = static_cast<uint32_t>(wide / 1000003u);
  r[11] = static_cast<uint32_t>(wide >> 29) ^ __vadd4(v, w) ^ (v >> 5 & 0x3ff);
}
