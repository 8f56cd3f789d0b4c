// Small floats and integers: arithmetic and conversions.
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

// Eight results for each pair of halves.
extern "C" __global__ void half_arithmetic(const __half *a, const __half *b, __half *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const __half u = a[i], v = b[i];
  __half *r = y + i * 8;
  r[0] = __hadd(u, v);
  r[1] = __hsub(u, v);
  r[2] = __hmul(u, v);
  r[3] = __hfma(u, v, u);
  r[4] = __hmax(u, v);
  r[5] = __hmin(__hneg(u), v);
  r[6] = __hgt(u, v) ? __habs(u) : __float2half_rz(__half2float(v) * 1.001f);
  r[7] = __int2half_rn(__half2int_rz(u) * 3);
}

// Packed pairs, with a relu in the conversion and in the multiply-add.
extern "C" __global__ void half2_arithmetic(const float2 *x, __half2 *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const __half2 v = __float22half2_rn(x[i]);
  const __half2 w = __hfma2_relu(v, __float2half2_rn(2.0f), __floats2half2_rn(1.0f, -1.0f));
  y[2 * i] = __hadd2(w, __lowhigh2highlow(v));
  y[2 * i + 1] = __hmul2(__hmax2(v, w), __halves2half2(__high2half(v), __low2half(w)));
}

extern "C" __global__ void bf16_arithmetic(const __nv_bfloat16 *a, const __nv_bfloat16 *b,
                                           __nv_bfloat16 *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const __nv_bfloat16 u = a[i], v = b[i];
  __nv_bfloat16 *r = y + i * 6;
  r[0] = __hadd(u, v);
  r[1] = __hmul(u, v);
  r[2] = __hfma(u, v, v);
  r[3] = __hmax(u, v);
  r[4] = __float2bfloat16_rz(__bfloat162float(u) * 1.01f);
  r[5] = __int2bfloat16_rn(__bfloat162int_rn(v) * 257);
}

// Both kinds of eight bits, there and back.
extern "C" __global__ void fp8_convert(const float *x, uint8_t *e4m3, uint8_t *e5m2, __half *back) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const __nv_fp8_storage_t p = __nv_cvt_float_to_fp8(x[i], __NV_SATFINITE, __NV_E4M3);
  const __nv_fp8_storage_t q = __nv_cvt_float_to_fp8(x[i], __NV_SATFINITE, __NV_E5M2);
  e4m3[i] = p, e5m2[i] = q;
  back[2 * i] = __half(__nv_cvt_fp8_to_halfraw(p, __NV_E4M3));
  back[2 * i + 1] = __half(__nv_cvt_fp8_to_halfraw(q, __NV_E5M2));
}

// Eight unsigned nibbles of a word become halves less eight, by lop3 and the trick with the exponent of
// 1024; the upper nibbles of each pair are scaled down by a multiply-add.
extern "C" __global__ void int4_unpack(const uint32_t *x, __half2 *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  uint32_t w = x[i];
#pragma unroll
  for (int pair = 0; pair < 2; ++pair, w >>= 8) {
    uint32_t low, high;
    asm("lop3.b32 %0, %1, 0x000f000f, 0x64006400, 0xea;" : "=r"(low) : "r"(w));
    asm("lop3.b32 %0, %1, 0x00f000f0, 0x64006400, 0xea;" : "=r"(high) : "r"(w));
    const __half2 l = __hsub2(reinterpret_cast<__half2 &>(low), __float2half2_rn(1032.0f));
    const __half2 h = __hfma2(reinterpret_cast<__half2 &>(high), __float2half2_rn(0.0625f),
                              __float2half2_rn(-72.0f));
    y[i * 4 + pair * 2] = l, y[i * 4 + pair * 2 + 1] = h;
  }
}

// Conversions between integers and floats of all sizes: rounding, saturation, sign extension.
extern "C" __global__ void integer_convert(const double *x, int32_t *s32, uint8_t *u8, int64_t *s64,
                                           float *f32) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const double d = x[i];
  const float f = __double2float_rn(d);
  int32_t *r = s32 + i * 4;
  r[0] = __float2int_rn(f), r[1] = __float2int_rz(f), r[2] = __float2int_ru(f), r[3] = __float2int_rd(f);
  uint32_t u;
  asm("cvt.rni.sat.u8.f32 %0, %1;" : "=r"(u) : "f"(f));
  u8[i] = static_cast<uint8_t>(u);
  s64[i] = __double2ll_rn(d * 65536.0) + static_cast<int8_t>(r[1]);
  f32[2 * i] = __ll2float_rn(s64[i] * 12345);
  f32[2 * i + 1] = __uint2float_rz(static_cast<uint32_t>(r[0]) * 2654435761u);
}
