// Losses of pairs (prediction p, target t): the sum over all pairs in one read of both, and the gradient in one pass.
//
// Contract of the sum: out[0] = scale * sum l(p, t). The pairs are cut into parts of `length`, a multiple of 1024; a
// block takes one and leaves its sum, which loss_total adds up where there are several parts.
//
//   dense    p and t in one order without gaps, 16-byte aligned; a thread takes a quad of each every 1024 elements
//
//              part:  [t0: 0-3][t1: 4-7] ... [t255: 1020-1023]   [t0: 1024-1027] ...
//              a quad's losses as (0 + 1) + (2 + 3), quads in order, threads by shuffles, warps by shuffles
//
//   strided  any layouts and float types: a thread takes an element every 256, places from a Nest
//
// How many parts there are depends on the number of pairs alone, so the order of the additions does too, and on whether
// the pairs lie dense. Contract of the gradient: out = scale * g * dl/dp, g one number or one for each pair; scale * g is
// rounded first.
//
// Bytes moved (f32): the sum 8 n in; the gradient 8 n in (12 n with a g for each pair) and 4 n out; at most some fifty
// FLOP a pair: bound by memory. Which loss it is, is an argument, the same for all threads.
#include "losses.cuh"

typedef float f32;

template <u32 ID>
__device__ __forceinline__ float dense_terms(const f32* p, const f32* t, u32 first, u32 end) {
    float sum = 0.0f;
    u32 i = first + threadIdx.x * 4;
    for (; i + 4 <= end; i += 1024) {
        float4 a = *(const float4*)(p + i), b = *(const float4*)(t + i);
        sum += (loss_value<ID>(a.x, b.x) + loss_value<ID>(a.y, b.y)) +
               (loss_value<ID>(a.z, b.z) + loss_value<ID>(a.w, b.w));
    }
    for (; i < end; i++) sum += loss_value<ID>(p[i], t[i]);
    return sum;
}

template <u32 ID, class T>
__device__ __forceinline__ float strided_terms(const T* p, const T* t, const Nest<2>& nest, u32 first, u32 end) {
    float sum = 0.0f;
    for (u32 i = first + threadIdx.x; i < end; i += 256) {
        u32 at[2];
        locate(nest, i, at);
        sum += loss_value<ID>(widen(p[at[0]]), widen(t[at[1]]));
    }
    return sum;
}

#define EACH_LOSS(DO) DO(LOSS_BCE) DO(LOSS_BCE_WITH_LOGITS) DO(LOSS_SQUARED_ERROR) DO(LOSS_ABSOLUTE_ERROR)

#define DENSE_TERMS(ID) case ID: sum = dense_terms<ID>(p, t, first, end); break;
#define STRIDED_TERMS(ID) case ID: sum = strided_terms<ID>(p, t, nest, first, end); break;

// out[block] = scale times the sum of the block's part.
KERNEL(256) loss_dense(u32 id, const f32* p, const f32* t, f32* out, u32 length, f32 scale, u32 n) {
    __shared__ float warps[8];
    u32 first = blockIdx.x * length, end = min(first + length, n);
    float sum = 0.0f;
    switch (id) { EACH_LOSS(DENSE_TERMS) }
    sum = block_reduce<Sum, 256>(sum, warps);
    if (threadIdx.x == 0) out[blockIdx.x] = scale * sum;
}

#define STRIDED(T) \
    KERNEL(256) loss_strided_##T(u32 id, const T* p, const T* t, f32* out, Nest<2> nest, u32 length, f32 scale, u32 n) { \
        __shared__ float warps[8]; \
        u32 first = blockIdx.x * length, end = min(first + length, n); \
        float sum = 0.0f; \
        switch (id) { EACH_LOSS(STRIDED_TERMS) } \
        sum = block_reduce<Sum, 256>(sum, warps); \
        if (threadIdx.x == 0) out[blockIdx.x] = scale * sum; \
    }
STRIDED(f32)
STRIDED(f16)
STRIDED(bf16)

// out[0] = scale times the sum of the n parts' sums; one block.
KERNEL(256) loss_total(const f32* partial, f32* out, f32 scale, u32 n) {
    __shared__ float warps[8];
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < n; i += 256) sum += partial[i];
    sum = block_reduce<Sum, 256>(sum, warps);
    if (threadIdx.x == 0) out[0] = scale * sum;
}

template <u32 ID>
__device__ __forceinline__ void dense_slopes(const f32* g, const f32* p, const f32* t, f32* out, u32 each, f32 scale,
                                             u32 n) {
    u32 i = global_thread() * 4;
    if (i + 4 <= n) {
        float4 a = *(const float4*)(p + i), b = *(const float4*)(t + i), c;
        if (each) {
            c = *(const float4*)(g + i);
        } else {
            c.x = c.y = c.z = c.w = g[0];
        }
        *(float4*)(out + i) =
            make_float4(loss_slope<ID>(scale * c.x, a.x, b.x), loss_slope<ID>(scale * c.y, a.y, b.y),
                        loss_slope<ID>(scale * c.z, a.z, b.z), loss_slope<ID>(scale * c.w, a.w, b.w));
    } else {
        for (; i < n; i++) out[i] = loss_slope<ID>(scale * g[each ? i : 0], p[i], t[i]);
    }
}

template <u32 ID, class T>
__device__ __forceinline__ void strided_slopes(const T* g, const T* p, const T* t, T* out, const Nest<4>& nest,
                                               f32 scale, u32 n) {
    u32 i = global_thread(), at[4];
    if (i >= n) return;
    locate(nest, i, at);
    narrow(loss_slope<ID>(scale * widen(g[at[1]]), widen(p[at[2]]), widen(t[at[3]])), out[at[0]]);
}

#define DENSE_SLOPES(ID) case ID: return dense_slopes<ID>(g, p, t, out, each, scale, n);
#define STRIDED_SLOPES(ID) case ID: return strided_slopes<ID>(g, p, t, out, nest, scale, n);

// out = scale g dl/dp; `each` says whether g has a number for each pair.
KERNEL(256) loss_grad_dense(u32 id, const f32* g, const f32* p, const f32* t, f32* out, u32 each, f32 scale, u32 n) {
    switch (id) { EACH_LOSS(DENSE_SLOPES) }
}

// The nest goes over out, g, p and t; a g of one number has strides 0.
#define STRIDED_GRAD(T) \
    KERNEL(256) loss_grad_strided_##T(u32 id, const T* g, const T* p, const T* t, T* out, Nest<4> nest, f32 scale, \
                                      u32 n) { \
        switch (id) { EACH_LOSS(STRIDED_SLOPES) } \
    }
STRIDED_GRAD(f32)
STRIDED_GRAD(f16)
STRIDED_GRAD(bf16)
