// Reductions: sums and maxima over any dimensions, sums of squares, and what goes along rows (argmax, order, running
// sums).
//
// Every result is combined in an order that depends on sizes and strides alone: same bits from run to run, no atomics.
#include "common.cuh"

// x as [outputs, terms] by two nests: where output o starts (in the result and in x), and where its terms lie from there.
//
// rows     the terms lie side by side: a block an output; its threads stride over the terms
//
//              output o:  t0 t1 t2 ... t255 t0 t1 ...        shuffles, then one value a warp through shared memory
//
// columns  the outputs lie side by side: 32 lanes take 32 outputs, 8 warps share the terms
//
//              term 0:    [lane 0 .. lane 31]  warp 0        each line one access of 128 bytes
//              term 1:    [lane 0 .. lane 31]  warp 1
//
// Terms are cut into `parts`, a block each, and a second launch combines the parts where there are several. Bytes
// moved: x once in (4 n), n operations: bound by memory.
struct Part {
    u32 outputs, terms, length;  // length: terms of a part
};

template <class Op>
__device__ __forceinline__ void reduce_rows(const float* x, float* out, const Nest<2>& kept, const Nest<1>& terms,
                                            Part p) {
    __shared__ float warps[8];
    u32 output = blockIdx.x, at[2], term[1];
    locate(kept, output, at);
    u32 first = blockIdx.y * p.length, end = min(first + p.length, p.terms);
    float sum = Op::none();
    for (u32 i = first + threadIdx.x; i < end; i += 256) {
        locate(terms, i, term);
        sum = Op::join(sum, x[at[1] + term[0]]);
    }
    sum = block_reduce<Op, 256>(sum, warps);
    if (threadIdx.x == 0) out[blockIdx.y * p.outputs + at[0]] = sum;
}

template <class Op>
__device__ __forceinline__ void reduce_columns(const float* x, float* out, const Nest<2>& kept, const Nest<1>& terms,
                                               Part p) {
    __shared__ float lines[8][32];
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    u32 output = blockIdx.x * 32 + lane, at[2] = {0, 0}, term[1];
    u32 first = blockIdx.y * p.length, end = min(first + p.length, p.terms);
    float sum = Op::none();
    if (output < p.outputs) {
        locate(kept, output, at);
        for (u32 i = first + warp; i < end; i += 8) {
            locate(terms, i, term);
            sum = Op::join(sum, x[at[1] + term[0]]);
        }
    }
    lines[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && output < p.outputs) {
        for (u32 w = 1; w < 8; w++) sum = Op::join(sum, lines[w][lane]);
        out[blockIdx.y * p.outputs + at[0]] = sum;
    }
}

#define OF_OP(NAME, OP) \
    KERNEL(256) NAME##_rows(const float* x, float* out, Nest<2> kept, Nest<1> terms, Part p) { \
        reduce_rows<OP>(x, out, kept, terms, p); \
    } \
    KERNEL(256) NAME##_columns(const float* x, float* out, Nest<2> kept, Nest<1> terms, Part p) { \
        reduce_columns<OP>(x, out, kept, terms, p); \
    }
OF_OP(sum, Sum)
OF_OP(max, Max)

__device__ __forceinline__ double warp_sum(double x) {
#pragma unroll
    for (int lane = 16; lane > 0; lane >>= 1) x += __shfl_xor_sync(FULL_WARP, x, lane);
    return x;
}

__device__ __forceinline__ double block_sum(double x, double* warps) {
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
    __syncthreads();
    return threadIdx.x < 32 ? warp_sum(threadIdx.x < 8 ? warps[threadIdx.x] : 0.0) : 0.0;
}

// partial[block] = the sum of squares of the block's 16384 elements of x, in f64.
KERNEL(256) squares_partial(const float* x, double* partial, u32 n) {
    __shared__ double warps[8];
    u32 first = blockIdx.x * 16384, end = min(first + 16384u, n);
    double sum = 0.0;
    for (u32 i = first + threadIdx.x; i < end; i += 256) {
        double v = x[i];
        sum += v * v;
    }
    sum = block_sum(sum, warps);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// out[0] = the sum of n partial sums; one block.
KERNEL(256) squares_total(const double* partial, double* out, u32 n) {
    __shared__ double warps[8];
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < n; i += 256) sum += partial[i];
    sum = block_sum(sum, warps);
    if (threadIdx.x == 0) out[0] = sum;
}

// The keys that rows are ordered by: every element as an integer of the same order, NaN above all numbers, and zeros of
// either sign equal.
__device__ __forceinline__ i64 key(float x) {
    if (x != x) return 0x7fffffff;
    int b = __float_as_int(x);
    return b < 0 ? -(i64)(b & 0x7fffffff) : b;
}
__device__ __forceinline__ i64 key(f16 x) { return key(widen(x)); }
__device__ __forceinline__ i64 key(bf16 x) { return key(widen(x)); }
__device__ __forceinline__ i64 key(i64 x) { return x; }
__device__ __forceinline__ i64 key(u8 x) { return x; }

// out[row] = the first position of the largest of the row's `length` elements. A block a row; of two candidates the one
// with the larger key stays, and of equal ones the one further in front.
template <class T>
__device__ __forceinline__ void argmax(const T* x, i64* out, u32 length) {
    __shared__ i64 keys[8];
    __shared__ u32 places[8];
    const T* row = x + (u64)blockIdx.x * length;
    bool any = threadIdx.x < length;
    u32 place = any ? threadIdx.x : length;
    i64 best = any ? key(row[threadIdx.x]) : 0;
    for (u32 i = threadIdx.x + 256; i < length; i += 256) {
        i64 k = key(row[i]);
        if (k > best) best = k, place = i;
    }
    auto meet = [&](i64 k, u32 p) {
        // A place of `length` stands for no element.
        if (p < length && (place == length || k > best || (k == best && p < place))) best = k, place = p;
    };
#pragma unroll
    for (int lane = 16; lane > 0; lane >>= 1) {
        i64 k = __shfl_xor_sync(FULL_WARP, best, lane);
        u32 p = __shfl_xor_sync(FULL_WARP, place, lane);
        meet(k, p);
    }
    if (threadIdx.x % 32 == 0) keys[threadIdx.x / 32] = best, places[threadIdx.x / 32] = place;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (u32 w = 1; w < 8; w++) meet(keys[w], places[w]);
        out[blockIdx.x] = place;
    }
}

// out[row] = the row's positions in order of their elements. Each element counts those that come before it: its rank is
// its place. length^2 comparisons a row, which rows of some thousands bear; no order is left to chance.
template <class T>
__device__ __forceinline__ void argsort(const T* x, i64* out, u32 length, u32 descending) {
    u64 start = (u64)blockIdx.x * length;
    u32 i = blockIdx.y * 256 + threadIdx.x;
    if (i >= length) return;
    i64 own = key(x[start + i]);
    u32 rank = 0;
    for (u32 j = 0; j < length; j++) {
        i64 other = key(x[start + j]);
        bool before = descending ? other > own : other < own;
        rank += before || (other == own && j < i);
    }
    out[start + rank] = i;
}

#define OF_TYPE(NAME, T) \
    KERNEL(256) argmax_##NAME(const T* x, i64* out, u32 length) { argmax(x, out, length); } \
    KERNEL(256) argsort_##NAME(const T* x, i64* out, u32 length, u32 descending) { argsort(x, out, length, descending); }
OF_TYPE(f32, float)
OF_TYPE(f16, f16)
OF_TYPE(bf16, bf16)
OF_TYPE(i64, i64)
OF_TYPE(u8, u8)

// out = the running sums of rows of `length` elements. A block a row, 256 elements at a time: each warp scans its 32 by
// shuffles, the warps' totals are scanned by the first, and the total so far is carried on.
KERNEL(256) cumsum_f32(const float* x, float* out, u32 length) {
    __shared__ float totals[8];
    u64 start = (u64)blockIdx.x * length;
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float carried = 0.0f;
    for (u32 first = 0; first < length; first += 256) {
        u32 i = first + threadIdx.x;
        float sum = i < length ? x[start + i] : 0.0f;
#pragma unroll
        for (int d = 1; d < 32; d <<= 1) {
            float left = __shfl_up_sync(FULL_WARP, sum, d);
            if (lane >= d) sum = left + sum;
        }
        if (lane == 31) totals[warp] = sum;
        __syncthreads();
        float before = carried;
        for (u32 w = 0; w < 8; w++) {
            if (w < warp) before += totals[w];
            carried += totals[w];
        }
        if (i < length) out[start + i] = before + sum;
        __syncthreads();
    }
}
