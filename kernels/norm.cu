// Batch normalisation (Ioffe and Szegedy 2015): statistics, application, gradient; per channel.
//
// x is [outer, channels, inner] without gaps: inner = 1 for matrices and channels-last images, outer = images for NCHW.
// Sums over a channel go as reductions by columns do (reduce.cu): 32 lanes take 32 neighbours of the faster of channel
// and inner dimension, 8 warps and the grid's parts share the rest; a second kernel combines the parts in order.
// Bytes moved: statistics 2 n in (a second pass sums squared deviations from the mean, so that a large mean costs no
// digits), application n in and n out, gradient 4 n in and n out; a few FLOP an element: bound by memory.
#include "common.cuh"

struct Channels {
    Divisor channels, inner;
    u32 outer;
};

// What is summed over a channel: one or two functions of (x, g) with the channel's mean and 1 / deviation.
enum Terms { VALUES, SQUARED_DEVIATIONS, GRADIENTS };

struct Pair {
    float a, b;
};

template <u32 TERMS>
__device__ __forceinline__ void add_terms(Pair& sum, float x, float g, float mean, float rstd) {
    if (TERMS == VALUES) {
        sum.a += x;
    } else if (TERMS == SQUARED_DEVIATIONS) {
        float d = x - mean;
        sum.a += d * d;
    } else {
        sum.a += g;
        sum.b += g * ((x - mean) * rstd);
    }
}

// partial[part][2][channels] = the sums over a part's elements of each channel. Channels fastest: the 32 lanes are 32
// channels, and a part is `length` rows.
template <u32 TERMS>
__device__ __forceinline__ void channel_columns(const float* x, const float* g, const float* mean, const float* rstd,
                                                float* partial, const Channels& shape, u32 length) {
    __shared__ Pair lines[8][32];
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, channels = shape.channels.d;
    u32 c = blockIdx.x * 32 + lane;
    u32 first = blockIdx.y * length, end = min(first + length, shape.outer);
    Pair sum = {0.0f, 0.0f};
    if (c < channels) {
        float m = TERMS == VALUES ? 0.0f : mean[c], r = TERMS == GRADIENTS ? rstd[c] : 0.0f;
        for (u32 row = first + warp; row < end; row += 8) {
            u32 i = row * channels + c;
            add_terms<TERMS>(sum, x[i], TERMS == GRADIENTS ? g[i] : 0.0f, m, r);
        }
    }
    lines[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && c < channels) {
        for (u32 w = 1; w < 8; w++) sum.a += lines[w][lane].a, sum.b += lines[w][lane].b;
        partial[(blockIdx.y * 2) * channels + c] = sum.a;
        if (TERMS == GRADIENTS) partial[(blockIdx.y * 2 + 1) * channels + c] = sum.b;
    }
}

// The same for planes: a block takes one channel of `length` images.
template <u32 TERMS>
__device__ __forceinline__ void channel_planes(const float* x, const float* g, const float* mean, const float* rstd,
                                               float* partial, const Channels& shape, u32 length) {
    __shared__ float warps[2][8];
    u32 c = blockIdx.x, channels = shape.channels.d, inner = shape.inner.d;
    u32 first = blockIdx.y * length, end = min(first + length, shape.outer);
    float m = TERMS == VALUES ? 0.0f : mean[c], r = TERMS == GRADIENTS ? rstd[c] : 0.0f;
    Pair sum = {0.0f, 0.0f};
    for (u32 j = threadIdx.x; j < (end - first) * inner; j += 256) {
        u32 image = quotient(j, shape.inner);
        u32 i = ((first + image) * channels + c) * inner + (j - image * inner);
        add_terms<TERMS>(sum, x[i], TERMS == GRADIENTS ? g[i] : 0.0f, m, r);
    }
    float a = block_reduce<Sum, 256>(sum.a, warps[0]);
    float b = TERMS == GRADIENTS ? block_reduce<Sum, 256>(sum.b, warps[1]) : 0.0f;
    if (threadIdx.x == 0) {
        partial[(blockIdx.y * 2) * channels + c] = a;
        if (TERMS == GRADIENTS) partial[(blockIdx.y * 2 + 1) * channels + c] = b;
    }
}

#define OF_TERMS(NAME, TERMS) \
    KERNEL(256) NAME##_columns(const float* x, const float* g, const float* mean, const float* rstd, float* partial, \
                               Channels shape, u32 length) { \
        channel_columns<TERMS>(x, g, mean, rstd, partial, shape, length); \
    } \
    KERNEL(256) NAME##_planes(const float* x, const float* g, const float* mean, const float* rstd, float* partial, \
                              Channels shape, u32 length) { \
        channel_planes<TERMS>(x, g, mean, rstd, partial, shape, length); \
    }
OF_TERMS(bn_sum, VALUES)
OF_TERMS(bn_deviation, SQUARED_DEVIATIONS)
OF_TERMS(bn_gradient, GRADIENTS)

// out0[c] and, where it is not null, out1[c] = scale times the sums over the parts.
KERNEL(256) bn_combine(const float* partial, float* out0, float* out1, u32 channels, u32 parts, float scale) {
    u32 c = global_thread();
    if (c >= channels) return;
    Pair sum = {0.0f, 0.0f};
    for (u32 p = 0; p < parts; p++) {
        sum.a += partial[(p * 2) * channels + c];
        if (out1) sum.b += partial[(p * 2 + 1) * channels + c];
    }
    out0[c] = sum.a * scale;
    if (out1) out1[c] = sum.b * scale;
}

__device__ __forceinline__ u32 channel_of(u32 i, const Channels& shape) {
    u32 row = shape.inner.d == 1 ? i : quotient(i, shape.inner);
    return row - quotient(row, shape.channels) * shape.channels.d;
}

// out = (x - mean) * (rstd * weight) + bias.
KERNEL(256) bn_apply(const float* x, const float* mean, const float* rstd, const float* weight, const float* bias,
                     float* out, Channels shape, u32 n) {
    u32 i = global_thread();
    if (i >= n) return;
    u32 c = channel_of(i, shape);
    out[i] = (x[i] - mean[c]) * (rstd[c] * weight[c]) + bias[c];
}

// dx = a g + (b (x - mean) + k) with a = rstd weight, b = -a rstd dw / count, k = -a db / count.
KERNEL(256) bn_input_grad(const float* g, const float* x, const float* mean, const float* rstd, const float* weight,
                          const float* dw, const float* db, float* dx, Channels shape, float scale, u32 n) {
    u32 i = global_thread();
    if (i >= n) return;
    u32 c = channel_of(i, shape);
    float a = rstd[c] * weight[c];
    float b = -(a * rstd[c] * dw[c] * scale), k = -(a * db[c] * scale);
    dx[i] = a * g[i] + (b * (x[i] - mean[c]) + k);
}
