// Random numbers: Philox4x32-10 (Salmon et al., SC 2011), uniform, normal (Box and Muller) and Bernoulli.
//
// Contract: element i of the result is number i % 4 of the block with counter (i / 4, call) under the key; the bits are
// the CPU's (src/backend/cpu/random). One thread makes one block of four. Bytes moved: 4 n out; some 100 integer
// operations and, for normals, 60 FLOP a block: bound by arithmetic.
#include "vmath.cuh"

struct Block {
    u32 w[4];
};

__device__ __forceinline__ Block philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        u32 h0 = __umulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
        u32 h1 = __umulhi(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {c0, c1, c2, c3};
}

// sqrt(-2 ln u), u uniform in (0, 1].
__device__ __forceinline__ float radius(u32 a) {
    const float STEP = 2.3283064365386963e-10f;  // 2^-32
    return sqrtf(-2.0f * log_normal<false>((float)a * STEP + STEP / 2.0f, 0.0f, 0.0f));
}

__device__ __forceinline__ float flipped(float x, u32 quarter) {
    return __uint_as_float(__float_as_uint(x) ^ (quarter & 2) << 30);
}

// cos and sin of 2 pi b / 2^32: the nearest quarter turn, and polynomials on what is left.
__device__ __forceinline__ void cos_sin(u32 b, float& cos, float& sin) {
    u32 quarter = (b + (1u << 29)) >> 30;
    float t = (float)(int)(b - (quarter << 30)) * 1.862645149230957e-9f;  // 2^-29
    float z = t * t;
    float s = t * (((-3.660915e-5f * z + 2.4910164e-3f) * z - 8.074583e-2f) * z + 0.785398163397448f);
    float c = (((3.494037e-6f * z - 3.2586866e-4f) * z + 1.5854284e-2f) * z - 3.0842513e-1f) * z + 1.0f;
    bool odd = quarter & 1;
    cos = flipped(odd ? s : c, quarter + 1);
    sin = flipped(odd ? c : s, quarter);
}

enum Kind { UNIFORM, NORMAL, BERNOULLI };

// Uniform: a = lo, b = hi - lo, c = the largest number below hi. Normal: a = mean, b = standard deviation. Bernoulli:
// a = value, last = the largest word that gives it.
struct Draw {
    u32 kind, last;
    float a, b, c;
};

KERNEL(256) random_f32(Draw draw, u32 k0, u32 k1, u64 call, float* out, u32 n) {
    u32 block = global_thread();
    u64 first = (u64)block * 4;
    if (first >= n) return;
    Block w = philox(block, 0, (u32)call, (u32)(call >> 32), k0, k1);
    float x[4];
    if (draw.kind == NORMAL) {
#pragma unroll
        for (int half = 0; half < 4; half += 2) {
            float r = radius(w.w[half]), cos, sin;
            cos_sin(w.w[half + 1], cos, sin);
            x[half] = draw.a + draw.b * (r * cos);
            x[half + 1] = draw.a + draw.b * (r * sin);
        }
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float u = (float)(int)(w.w[i] >> 8) * 5.9604644775390625e-8f;  // 2^-24
            float v = draw.a + u * draw.b;
            v = v > draw.c ? draw.c : v;
            x[i] = draw.kind == UNIFORM ? v : w.w[i] <= draw.last ? draw.a : 0.0f;
        }
    }
    if (first + 4 <= n && ((u64)out & 15) == 0) {
        *(float4*)(out + first) = make_float4(x[0], x[1], x[2], x[3]);
    } else {
        for (u32 i = 0; i < 4 && first + i < n; i++) out[first + i] = x[i];
    }
}
