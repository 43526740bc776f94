// Cross-entropy of logits for true classes, ln sum e^x - x[class], and its gradient.
//
// A line of logits is a row or a column as in rows.cuh, held in registers or read once for its largest and its sum; the
// two are left beside the loss, so that the gradient, (e^(x - largest) / sum - [class]) g, is a function of single elements.
// Bytes moved, n logits in m lines: 4 n + 8 m in and 12 m out, gradient 4 n + 20 m in and 4 n out; an exponential (some 20
// FLOPs) an element: bound by memory. A class that is none is noted (BadIndex), and counts as a logit of 0.
#include "rows.cuh"

// By the one thread of a line that writes.
__device__ __forceinline__ void finish(Exponentials e, const float* x, u32 step, u32 n, u32 line, const i64* classes,
                                       float* loss, float2* stats, BadIndex* bad) {
    i64 c = classes[line];
    float at = valid(c, n, bad) ? x[(u32)c * step] : 0.0f;
    loss[line] = vlog(e.sum) - (at - e.top);
    stats[line] = make_float2(e.top, e.sum);
}

template <int TEAM, int Q>
__device__ __forceinline__ void cross_entropy_held(const float* x, const i64* classes, float* loss, float2* stats, u32 n,
                                                   u32 rows, BadIndex* bad) {
    u32 row = own_row<TEAM>();
    if (row >= rows) return;
    x += (u64)row * n;
    float v[4 * Q];
    hold<TEAM, Q>(x, n, n % 4 == 0, NOTHING, v);
    Exponentials e = exponentials<TEAM, Q>(v);
    if (threadIdx.x % TEAM == 0) finish(e, x, 1, n, row, classes, loss, stats, bad);
}

#define OF_TEAM(NAME, TEAM, Q) \
    KERNEL(256) cross_entropy_##NAME(const float* x, const i64* classes, float* loss, float2* stats, u32 n, u32 rows, \
                                     BadIndex* bad) { \
        cross_entropy_held<TEAM, Q>(x, classes, loss, stats, n, rows, bad); \
    }
OF_TEAM(warp_128, 32, 1)
OF_TEAM(warp_1024, 32, 8)
OF_TEAM(block_4096, 256, 4)
OF_TEAM(block_8192, 256, 8)

// A row of any length by a block: it is read once here too.
KERNEL(256) cross_entropy_long(const float* x, const i64* classes, float* loss, float2* stats, u32 n, u32 rows,
                               BadIndex* bad) {
    u32 row = blockIdx.x;
    if (row >= rows) return;
    x += (u64)row * n;
    Exponentials e = exponentials_of_row(x, n, n % 4 == 0);
    if (threadIdx.x == 0) finish(e, x, 1, n, row, classes, loss, stats, bad);
}

// Lines as columns.
KERNEL(256) cross_entropy_columns(const float* x, const i64* classes, float* loss, float2* stats, Columns shape,
                                  BadIndex* bad) {
    __shared__ float lines[8][32];
    u32 c = blockIdx.x * 32 + threadIdx.x % 32, start = column_start(shape, c);
    bool there = c < shape.count;
    Exponentials e = exponentials_of_column(x, shape, start, there, lines);
    if (there && threadIdx.x < 32) finish(e, x + start, shape.inner.d, shape.n, c, classes, loss, stats, bad);
}

// One element: `entry` is its place along the line. g is read in steps of `step`, 0 if all lines have one.
__device__ __forceinline__ float grad_of(float x, float2 stats, u32 entry, i64 c, float g) {
    float p = vexp(x - stats.x) * (1.0f / stats.y);
    return (c == (i64)entry ? p - 1.0f : p) * g;
}

// Rows: a thread takes a quad where rows are made of quads, else four elements a block apart.
KERNEL(256) cross_entropy_grad_rows(const float* g, const float* x, const i64* classes, const float2* stats, float* out,
                                    Divisor n, u32 step, u32 total) {
    u32 first = blockIdx.x * 4 * BLOCK;
    bool quads = n.d % 4 == 0;
    float v[4];
    hold<BLOCK, 1>(x + first, total - first, quads, 0.0f, v);
    if (quads) {
        // All four are in one row.
        u32 i = first + threadIdx.x * 4;
        if (i >= total) return;
        u32 row = quotient(i, n), entry = i - row * n.d;
        float2 known = stats[row];
        i64 c = classes[row];
        float upstream = g[row * step];
#pragma unroll
        for (int j = 0; j < 4; j++) v[j] = grad_of(v[j], known, entry + j, c, upstream);
    } else {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            u32 i = first + j * BLOCK + threadIdx.x;
            if (i >= total) break;
            u32 row = quotient(i, n);
            v[j] = grad_of(v[j], stats[row], i - row * n.d, classes[row], g[row * step]);
        }
    }
    release<BLOCK, 1>(v, out + first, total - first, quads);
}

KERNEL(256) cross_entropy_grad_columns(const float* g, const float* x, const i64* classes, const float2* stats, float* out,
                                       Divisor n, Divisor inner, u32 step, u32 total) {
    u32 i = global_thread();
    if (i >= total) return;
    u32 row = quotient(i, inner), outer = quotient(row, n);
    u32 line = outer * inner.d + (i - row * inner.d);
    out[i] = grad_of(x[i], stats[line], row - outer * n.d, classes[line], g[line * step]);
}
