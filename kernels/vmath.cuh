// Elementary functions, the same as the CPU's (src/backend/cpu/vmath, where their errors are stated), operation for
// operation: with the fused multiply-adds of its AVX2 and AVX-512 tiers they give the same bits.
#pragma once
#include "common.cuh"

#define LN2_HI __uint_as_float(0x3f317200)
#define LN2_LO 1.4286068e-6f
#define INFINITY_F __uint_as_float(0x7f800000)
#define NAN_F __uint_as_float(0x7fc00000)

// a b + c, fused or rounded twice.
template <bool FMA>
__device__ __forceinline__ float mul_add(float a, float b, float c) {
    return FMA ? fmaf(a, b, c) : a * b + c;
}

// 2^n for -126 <= n <= 127.
__device__ __forceinline__ float power_of_two(int n) { return __uint_as_float((u32)(n + 127) << 23); }

// e^x = p 2^n, n = round(x / ln 2), for |x| <= 104: a polynomial of degree 6 on the reduced argument.
__device__ __forceinline__ float exp_split(float x, int& n) {
    const float ROUND = 12582912.0f;  // 1.5 * 2^23
    float shifted = fmaf(x, 1.44269504f, ROUND);
    float k = shifted - ROUND;
    float r = fmaf(k, -LN2_LO, fmaf(k, -LN2_HI, x));
    float q = fmaf(1.3818939e-3f, r, 8.368704e-3f);
    q = fmaf(q, r, 4.166829e-2f);
    q = fmaf(q, r, 1.6666521e-1f);
    q = fmaf(q, r, 4.9999994e-1f);
    n = __float_as_int(shifted) - __float_as_int(ROUND);
    return 1.0f + fmaf(r * r, q, r);
}

// e^x; inf above 88.72, 0 below -103.97, denormal results rounded gradually.
__device__ __forceinline__ float vexp(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    int n;
    float p = exp_split(x, n);
    int half = n >> 1;
    return p * power_of_two(half) * power_of_two(n - half);
}

// ln x + k0 ln 2 + c for a positive, normal, finite x.
template <bool FMA>
__device__ __forceinline__ float log_normal(float x, float k0, float c) {
    const u32 SQRT_HALF = 0x3f3504f3;
    u32 bits = __float_as_uint(x) - SQRT_HALF;
    float k = (float)((int)bits >> 23) + k0;
    float f = __uint_as_float((bits & 0x007fffff) + SQRT_HALF) - 1.0f;
    float p = mul_add<FMA>(-7.641028e-2f, f, 1.2766421e-1f);
    p = mul_add<FMA>(p, f, -1.3160032e-1f);
    p = mul_add<FMA>(p, f, 1.4201091e-1f);
    p = mul_add<FMA>(p, f, -1.6623312e-1f);
    p = mul_add<FMA>(p, f, 2.0001255e-1f);
    p = mul_add<FMA>(p, f, -2.5000823e-1f);
    p = mul_add<FMA>(p, f, 3.333333e-1f);
    float tail = mul_add<FMA>(f * f, mul_add<FMA>(p, f, -0.5f), mul_add<FMA>(k, LN2_LO, c));
    float high = k * LN2_HI;
    float sum = high + f;
    return sum + (tail + (f - (sum - high)));
}

// ln x; -inf for zeros, NaN below.
__device__ __forceinline__ float vlog(float x) {
    bool tiny = x < 1.17549435e-38f;
    float y = log_normal<true>(tiny ? x * 8388608.0f : x, tiny ? -23.0f : 0.0f, 0.0f);
    y = x == 0.0f ? -INFINITY_F : y;
    y = x >= 0.0f ? y : NAN_F;
    return x == INFINITY_F ? x : y;
}

// ln(1 + x).
__device__ __forceinline__ float vlog1p(float x) {
    float u = 1.0f + x;
    float c = x > 1.0f ? 1.0f - (u - x) : x - (u - 1.0f);
    float y = log_normal<true>(u, 0.0f, c / u);
    y = fabsf(x) < 5.96046448e-8f ? x : y;
    y = x == -1.0f ? -INFINITY_F : y;
    y = x >= -1.0f ? y : NAN_F;
    return x == INFINITY_F ? x : y;
}

__device__ __forceinline__ float vtanh(float x) {
    float a = fabsf(x), z = a * a;
    float p = fmaf(-5.896549e-3f, z, 2.0797629e-2f);
    p = fmaf(p, z, -5.3784497e-2f);
    p = fmaf(p, z, 1.3331935e-1f);
    p = fmaf(p, z, -3.33333e-1f);
    float small = fmaf(a * z, p, a);
    int n;
    p = exp_split(a > 10.0f ? 20.0f : a + a, n);
    float large = 1.0f - 2.0f / fmaf(p, power_of_two(n), 1.0f);
    return copysignf(a < 0.6f ? small : large, x);
}

// 1 / (1 + e^-x).
__device__ __forceinline__ float vsigmoid(float x) {
    float e = vexp(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// ln(1 + e^x).
__device__ __forceinline__ float vsoftplus(float x) {
    float e = vexp(-fabsf(x)), u = 1.0f + e;
    return (x > 0.0f ? x : 0.0f) + log_normal<true>(u, 0.0f, (e - (u - 1.0f)) / u);
}
