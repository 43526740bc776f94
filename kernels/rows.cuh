// What kernels along lines share: a line is the elements along one dimension, or a group that is normalised together.
//
// Lines that lie side by side in memory (rows) are taken by a team, a warp or a block of 256, which holds its row in
// registers: Q quads a thread, so that x is read once.
//
//     quads    thread t:  [4t .. 4t+3]  [4(t + TEAM) .. ]  ...      n % 4 == 0: accesses of 16 bytes
//     scalars  thread t:  t   t + TEAM   t + 2 TEAM  ...            else: neighbouring lanes, neighbouring elements
//
// Lines whose neighbours lie side by side (columns) are taken 32 at a time by a block, a lane a line; its 8 warps share
// the elements.
//
//     element 0:    [lane 0 .. lane 31]  warp 0                     each access one line of 128 bytes
//     element 1:    [lane 0 .. lane 31]  warp 1
//
// Every thread combines its own elements in order, then the threads are combined as a tree: the order depends on n and on
// which kernel is launched, which the host chooses by sizes.
#pragma once
#include "vmath.cuh"

#define BLOCK 256

// The row of this thread's team.
template <int TEAM>
__device__ __forceinline__ u32 own_row() {
    return TEAM == BLOCK ? blockIdx.x : blockIdx.x * (BLOCK / TEAM) + threadIdx.x / TEAM;
}

// Combines the team's values; every thread gets the result.
template <class Op, int TEAM>
__device__ __forceinline__ float team_reduce(float x) {
    x = warp_reduce<Op>(x);
    if (TEAM == 32) return x;
    __shared__ float warps[BLOCK / 32];
    __syncthreads();  // An earlier call's values have been read.
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
    __syncthreads();
    x = warps[0];
#pragma unroll
    for (int w = 1; w < BLOCK / 32; w++) x = Op::join(x, warps[w]);
    return x;
}

// v = the thread's part of n elements, at most 4 Q TEAM; `none` where there is no element.
template <int TEAM, int Q>
__device__ __forceinline__ void hold(const float* x, u32 n, bool quads, float none, float (&v)[4 * Q]) {
    u32 t = threadIdx.x % TEAM;
    if (quads) {
#pragma unroll
        for (int q = 0; q < Q; q++) {
            u32 e = (q * TEAM + t) * 4;
            float4 f = make_float4(none, none, none, none);
            if (e < n) f = *(const float4*)(x + e);
            v[4 * q] = f.x, v[4 * q + 1] = f.y, v[4 * q + 2] = f.z, v[4 * q + 3] = f.w;
        }
    } else {
#pragma unroll
        for (int j = 0; j < 4 * Q; j++) {
            u32 e = j * TEAM + t;
            v[j] = e < n ? x[e] : none;
        }
    }
}

// One access of 16 bytes: of a float4 the compiler has been seen to make four of 4.
__device__ __forceinline__ void store_quad(float* to, float a, float b, float c, float d) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "f"(a), "f"(b), "f"(c), "f"(d)
                 : "memory");
}

// The opposite of hold.
template <int TEAM, int Q>
__device__ __forceinline__ void release(const float (&v)[4 * Q], float* out, u32 n, bool quads) {
    u32 t = threadIdx.x % TEAM;
    if (quads) {
#pragma unroll
        for (int q = 0; q < Q; q++) {
            u32 e = (q * TEAM + t) * 4;
            if (e < n) store_quad(out + e, v[4 * q], v[4 * q + 1], v[4 * q + 2], v[4 * q + 3]);
        }
    } else {
#pragma unroll
        for (int j = 0; j < 4 * Q; j++) {
            u32 e = j * TEAM + t;
            if (e < n) out[e] = v[j];
        }
    }
}

// Elements that a block of a long row holds at a time.
#define STEP_QUADS 2
#define STEP (4 * STEP_QUADS * BLOCK)

// Lines as columns: line c starts at c / inner * n * inner + c % inner, and its elements are `inner` apart.
struct Columns {
    Divisor inner;
    u32 n, count;
};

__device__ __forceinline__ u32 column_start(const Columns& shape, u32 c) {
    u32 outer = quotient(c, shape.inner);
    return outer * shape.n * shape.inner.d + (c - outer * shape.inner.d);
}

// Combines the values of the 8 warps for each lane's line; every thread gets its line's.
template <class Op>
__device__ __forceinline__ float column_reduce(float x, float (*lines)[32]) {
    u32 lane = threadIdx.x % 32;
    __syncthreads();
    lines[threadIdx.x / 32][lane] = x;
    __syncthreads();
    x = lines[0][lane];
#pragma unroll
    for (int w = 1; w < BLOCK / 32; w++) x = Op::join(x, lines[w][lane]);
    return x;
}

#define NOTHING __uint_as_float(0xff800000)  // -inf: e^NOTHING is 0, and it is below any other

// The largest of some elements and the sum of e^(x - largest), taken in one pass: the sum is scaled anew where a larger
// element comes (Milakov and Gimelshein, 2018, arXiv:1805.02867).
struct Exponentials {
    float top, sum;

    __device__ __forceinline__ Exponentials() : top(NOTHING), sum(0.0f) {}

    // What is subtracted while nothing has been seen but -inf.
    static __device__ __forceinline__ float base(float top) { return top == NOTHING ? 0.0f : top; }

    template <int N>
    __device__ __forceinline__ void take(const float (&v)[N]) {
        float larger = top;
#pragma unroll
        for (int j = 0; j < N; j++) larger = Max::join(larger, v[j]);
        float b = base(larger);
        sum *= vexp(top - b);
#pragma unroll
        for (int j = 0; j < N; j++) sum += vexp(v[j] - b);
        top = larger;
    }

    // This thread's sum as a part of the whole whose largest is `whole`.
    __device__ __forceinline__ float part(float whole) const { return sum * vexp(top - base(whole)); }
};

// Of a row held in registers.
template <int TEAM, int Q>
__device__ __forceinline__ Exponentials exponentials(const float (&v)[4 * Q]) {
    Exponentials e;
    float top = v[0];
#pragma unroll
    for (int j = 1; j < 4 * Q; j++) top = Max::join(top, v[j]);
    e.top = team_reduce<Max, TEAM>(top);
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) sum += vexp(v[j] - e.top);
    e.sum = team_reduce<Sum, TEAM>(sum);
    return e;
}

// Of a row of any length; the whole block.
__device__ __forceinline__ Exponentials exponentials_of_row(const float* x, u32 n, bool quads) {
    Exponentials own, all;
    float v[4 * STEP_QUADS];
    for (u32 first = 0; first < n; first += STEP) {
        hold<BLOCK, STEP_QUADS>(x + first, n - first, quads, NOTHING, v);
        own.take(v);
    }
    all.top = team_reduce<Max, BLOCK>(own.top);
    all.sum = team_reduce<Sum, BLOCK>(own.part(all.top));
    return all;
}

// Elements of a column that a thread holds: columns of up to 8 HELD elements are read once.
#define HELD 16

// v = this warp's elements of the lane's column, which is none from `count` on.
__device__ __forceinline__ void hold_column(const float* x, const Columns& shape, u32 start, bool there, float none,
                                            float (&v)[HELD]) {
#pragma unroll
    for (int j = 0; j < HELD; j++) {
        u32 row = j * 8 + threadIdx.x / 32;
        v[j] = there && row < shape.n ? x[start + row * shape.inner.d] : none;
    }
}

__device__ __forceinline__ Exponentials exponentials_of_held_column(const float (&v)[HELD], float (*lines)[32]) {
    Exponentials e;
    float top = v[0];
#pragma unroll
    for (int j = 1; j < HELD; j++) top = Max::join(top, v[j]);
    e.top = column_reduce<Max>(top, lines);
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < HELD; j++) sum += vexp(v[j] - e.top);
    e.sum = column_reduce<Sum>(sum, lines);
    return e;
}

__device__ __forceinline__ Exponentials exponentials_of_column(const float* x, const Columns& shape, u32 start, bool there,
                                                               float (*lines)[32]) {
    Exponentials own, all;
    if (there) {
        for (u32 row = threadIdx.x / 32; row < shape.n; row += 8) {
            float v[1] = {x[start + row * shape.inner.d]};
            own.take(v);
        }
    }
    all.top = column_reduce<Max>(own.top, lines);
    all.sum = column_reduce<Sum>(own.part(all.top), lines);
    return all;
}
