// Softmax along a dimension, its logarithm, and the gradients of both.
//
// Rows of up to 8192 elements are held in registers by a warp or a block, longer ones are read twice, once for the largest
// and the sum, once for the result; columns likewise, up to 128 elements in registers (the drawings are in rows.cuh).
// Bytes moved, n elements: 4 n in and 4 n out, gradient 8 n in and 4 n out; the second reading of long lines adds the
// input once more, from L2 where it fits. FLOPs: an exponential (some 20) and 4 others an element: bound by memory.
#include "rows.cuh"

// y from x, with the line's largest and sum.
struct Value {
    bool log;
    float top, scale;

    __device__ __forceinline__ Value(u32 log, Exponentials e)
        : log(log != 0), top(e.top), scale(log ? vlog(e.sum) : 1.0f / e.sum) {}
    __device__ __forceinline__ float of(float x) const { return log ? (x - top) - scale : vexp(x - top) * scale; }
};

// A row by a team, which holds it.
template <int TEAM, int Q>
__device__ __forceinline__ void softmax_held(const float* x, float* out, u32 n, u32 rows, u32 log) {
    u32 row = own_row<TEAM>();
    if (row >= rows) return;
    bool quads = n % 4 == 0;
    float v[4 * Q];
    hold<TEAM, Q>(x + row * n, n, quads, NOTHING, v);
    Value y(log, exponentials<TEAM, Q>(v));
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) v[j] = y.of(v[j]);
    release<TEAM, Q>(v, out + row * n, n, quads);
}

// dx = y (g - sum g y), or g - e^y sum g for the logarithm: what is summed, and what becomes of the sum.
__device__ __forceinline__ float grad_term(float g, float y, u32 log) { return log ? g : g * y; }
__device__ __forceinline__ float grad_of(float g, float y, float sum, u32 log) {
    return log ? g - vexp(y) * sum : y * (g - sum);
}

template <int TEAM, int Q>
__device__ __forceinline__ void softmax_grad_held(const float* g, const float* y, float* out, u32 n, u32 rows, u32 log) {
    u32 row = own_row<TEAM>();
    if (row >= rows) return;
    bool quads = n % 4 == 0;
    float vg[4 * Q], vy[4 * Q], sum = 0.0f;
    hold<TEAM, Q>(g + row * n, n, quads, 0.0f, vg);
    hold<TEAM, Q>(y + row * n, n, quads, 0.0f, vy);
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) sum += grad_term(vg[j], vy[j], log);
    sum = team_reduce<Sum, TEAM>(sum);
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) vg[j] = grad_of(vg[j], vy[j], sum, log);
    release<TEAM, Q>(vg, out + row * n, n, quads);
}

#define OF_TEAM(NAME, TEAM, Q) \
    KERNEL(256) softmax_##NAME(const float* x, float* out, u32 n, u32 rows, u32 log) { \
        softmax_held<TEAM, Q>(x, out, n, rows, log); \
    } \
    KERNEL(256) softmax_grad_##NAME(const float* g, const float* y, float* out, u32 n, u32 rows, u32 log) { \
        softmax_grad_held<TEAM, Q>(g, y, out, n, rows, log); \
    }
OF_TEAM(warp_128, 32, 1)
OF_TEAM(warp_1024, 32, 8)
OF_TEAM(block_4096, 256, 4)
OF_TEAM(block_8192, 256, 8)

// A row of any length by a block.
KERNEL(256) softmax_long(const float* x, float* out, u32 n, u32 rows, u32 log) {
    u32 row = blockIdx.x;
    if (row >= rows) return;
    x += (u64)row * n, out += (u64)row * n;
    bool quads = n % 4 == 0;
    Value y(log, exponentials_of_row(x, n, quads));
    float v[4 * STEP_QUADS];
    for (u32 first = 0; first < n; first += STEP) {
        hold<BLOCK, STEP_QUADS>(x + first, n - first, quads, NOTHING, v);
#pragma unroll
        for (int j = 0; j < 4 * STEP_QUADS; j++) v[j] = y.of(v[j]);
        release<BLOCK, STEP_QUADS>(v, out + first, n - first, quads);
    }
}

KERNEL(256) softmax_grad_long(const float* g, const float* y, float* out, u32 n, u32 rows, u32 log) {
    u32 row = blockIdx.x;
    if (row >= rows) return;
    g += (u64)row * n, y += (u64)row * n, out += (u64)row * n;
    bool quads = n % 4 == 0;
    float vg[4 * STEP_QUADS], vy[4 * STEP_QUADS], sum = 0.0f;
    for (u32 first = 0; first < n; first += STEP) {
        hold<BLOCK, STEP_QUADS>(g + first, n - first, quads, 0.0f, vg);
        hold<BLOCK, STEP_QUADS>(y + first, n - first, quads, 0.0f, vy);
#pragma unroll
        for (int j = 0; j < 4 * STEP_QUADS; j++) sum += grad_term(vg[j], vy[j], log);
    }
    sum = team_reduce<Sum, BLOCK>(sum);
    for (u32 first = 0; first < n; first += STEP) {
        hold<BLOCK, STEP_QUADS>(g + first, n - first, quads, 0.0f, vg);
        hold<BLOCK, STEP_QUADS>(y + first, n - first, quads, 0.0f, vy);
#pragma unroll
        for (int j = 0; j < 4 * STEP_QUADS; j++) vg[j] = grad_of(vg[j], vy[j], sum, log);
        release<BLOCK, STEP_QUADS>(vg, out + first, n - first, quads);
    }
}

// Lines as columns, of up to 128 elements.
KERNEL(256) softmax_columns_128(const float* x, float* out, Columns shape, u32 log) {
    __shared__ float lines[8][32];
    u32 c = blockIdx.x * 32 + threadIdx.x % 32, start = column_start(shape, c);
    bool there = c < shape.count;
    float v[HELD];
    hold_column(x, shape, start, there, NOTHING, v);
    Value y(log, exponentials_of_held_column(v, lines));
#pragma unroll
    for (int j = 0; j < HELD; j++) {
        u32 row = j * 8 + threadIdx.x / 32;
        if (there && row < shape.n) out[start + row * shape.inner.d] = y.of(v[j]);
    }
}

KERNEL(256) softmax_columns(const float* x, float* out, Columns shape, u32 log) {
    __shared__ float lines[8][32];
    u32 c = blockIdx.x * 32 + threadIdx.x % 32, start = column_start(shape, c);
    bool there = c < shape.count;
    Value y(log, exponentials_of_column(x, shape, start, there, lines));
    if (!there) return;
    for (u32 row = threadIdx.x / 32; row < shape.n; row += 8) {
        u32 i = start + row * shape.inner.d;
        out[i] = y.of(x[i]);
    }
}

KERNEL(256) softmax_grad_columns_128(const float* g, const float* y, float* out, Columns shape, u32 log) {
    __shared__ float lines[8][32];
    u32 c = blockIdx.x * 32 + threadIdx.x % 32, start = column_start(shape, c);
    bool there = c < shape.count;
    float vg[HELD], vy[HELD], sum = 0.0f;
    hold_column(g, shape, start, there, 0.0f, vg);
    hold_column(y, shape, start, there, 0.0f, vy);
#pragma unroll
    for (int j = 0; j < HELD; j++) sum += grad_term(vg[j], vy[j], log);
    sum = column_reduce<Sum>(sum, lines);
#pragma unroll
    for (int j = 0; j < HELD; j++) {
        u32 row = j * 8 + threadIdx.x / 32;
        if (there && row < shape.n) out[start + row * shape.inner.d] = grad_of(vg[j], vy[j], sum, log);
    }
}

KERNEL(256) softmax_grad_columns(const float* g, const float* y, float* out, Columns shape, u32 log) {
    __shared__ float lines[8][32];
    u32 c = blockIdx.x * 32 + threadIdx.x % 32, start = column_start(shape, c);
    bool there = c < shape.count;
    float sum = 0.0f;
    if (there) {
        for (u32 row = threadIdx.x / 32; row < shape.n; row += 8) {
            u32 i = start + row * shape.inner.d;
            sum += grad_term(g[i], y[i], log);
        }
    }
    sum = column_reduce<Sum>(sum, lines);
    if (!there) return;
    for (u32 row = threadIdx.x / 32; row < shape.n; row += 8) {
        u32 i = start + row * shape.inner.d;
        out[i] = grad_of(g[i], y[i], sum, log);
    }
}
