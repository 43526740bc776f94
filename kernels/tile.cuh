// One tile of a matrix product, for whatever its operands are: the top rung of the GEMM ladder and the heart of the
// convolutions.
//
//     C[i, j] = sum over k of A[i, k] B[j, k]        i: lines of A, j: lines of B, k: depth
//
// A block of 2 TILE threads makes TILE x TILE elements of C, DEPTH of k at a time. Both operands are staged in shared
// memory with k as the slow dimension, so that the inner loop reads lines side by side:
//
//            B: [k][TILE + 4]                 thread (ty, tx) holds 8 x WIDE sums in registers:
//                 j -->                         rows    ty*4 + 0..3  and  TILE/2 + ty*4 + 0..3
//            +------------+                     columns tx*4 + 0..3 (and  TILE/2 + tx*4 + 0..3 if WIDE = 8)
//   A        |            |
//   [k][     | 16 threads |                   Per k: 8 + WIDE floats from shared memory (A's are the same for 16
//    TILE+4] | across,    |                   lanes: a broadcast), 8 WIDE fused multiply-adds.
//    i       | TILE/8     |
//    |       | down       |                   While one stage is multiplied, the next is on its way from global
//    v       +------------+                   memory to registers: two buffers, one barrier a stage.
//
// Loading is by quads, each thread one of A and one of B a stage. Where k is the fast dimension in memory (DEEP), two
// neighbouring lanes take 8 depths of one line: 32 bytes, a whole sector; the row length of TILE + 4 puts the four
// elements of the two lanes and of 16 lines into 32 different banks. Otherwise a quad is four neighbouring lines of one
// depth. What lies outside of the operands is read as zero, so any size works.
//
// Each sum goes over k in order, whatever the tile.
#pragma once
#include "common.cuh"

#define DEPTH 8

struct Stage {
    float q[4];
};

template <int TILE, bool DEEP>
__device__ __forceinline__ u32 stage_line() { return DEEP ? threadIdx.x / 2 : threadIdx.x % (TILE / 4) * 4; }
template <int TILE, bool DEEP>
__device__ __forceinline__ u32 stage_depth() { return DEEP ? threadIdx.x % 2 * 4 : threadIdx.x / (TILE / 4); }

template <int TILE, bool DEEP>
__device__ __forceinline__ void stage_store(float (*to)[TILE + 4], const Stage& s) {
    u32 line = stage_line<TILE, DEEP>(), depth = stage_depth<TILE, DEEP>();
    if (DEEP) {
#pragma unroll
        for (int e = 0; e < 4; e++) to[depth + e][line] = s.q[e];
    } else {
        *(float4*)&to[depth][line] = make_float4(s.q[0], s.q[1], s.q[2], s.q[3]);
    }
}

// The operands: `Lines` has DEEP, a type At for what is the same for all depths, at(line), and
// load(at, line, k, end): four depths k.. of one line, or four lines of depth k; zero at and after `end`.
// `Place` has put(i, j, four sums of columns j..).
template <int TILE, int WIDE, class A, class B, class Place>
__device__ __forceinline__ void tile(const A& a, const B& b, const Place& place, u32 row, u32 column, u32 begin, u32 end) {
    __shared__ float as[2][DEPTH][TILE + 4];
    __shared__ float bs[2][DEPTH][TILE + 4];
    u32 tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    u32 i = row + stage_line<TILE, A::DEEP>(), j = column + stage_line<TILE, B::DEEP>();
    u32 ka = begin + stage_depth<TILE, A::DEEP>(), kb = begin + stage_depth<TILE, B::DEEP>();
    typename A::At at_a = a.at(i);
    typename B::At at_b = b.at(j);
    float sum[8][WIDE];
#pragma unroll
    for (int y = 0; y < 8; y++) {
#pragma unroll
        for (int x = 0; x < WIDE; x++) sum[y][x] = 0.0f;
    }
    if (begin < end) {
        stage_store<TILE, A::DEEP>(as[0], a.load(at_a, i, ka, end));
        stage_store<TILE, B::DEEP>(bs[0], b.load(at_b, j, kb, end));
        __syncthreads();
        u32 now = 0;
        for (u32 k = begin; k < end; k += DEPTH) {
            bool more = k + DEPTH < end;
            Stage next_a, next_b;
            if (more) {
                ka += DEPTH, kb += DEPTH;
                next_a = a.load(at_a, i, ka, end);
                next_b = b.load(at_b, j, kb, end);
            }
            // Unrolled further, the large tile would need more registers than let two blocks share a multiprocessor.
#pragma unroll(WIDE == 8 ? 1 : DEPTH)
            for (int d = 0; d < DEPTH; d++) {
                float u[8], v[WIDE];
                *(float4*)&u[0] = *(const float4*)&as[now][d][ty * 4];
                *(float4*)&u[4] = *(const float4*)&as[now][d][TILE / 2 + ty * 4];
                *(float4*)&v[0] = *(const float4*)&bs[now][d][tx * 4];
                if (WIDE == 8) *(float4*)&v[WIDE - 4] = *(const float4*)&bs[now][d][TILE / 2 + tx * 4];
#pragma unroll
                for (int y = 0; y < 8; y++) {
#pragma unroll
                    for (int x = 0; x < WIDE; x++) sum[y][x] = fmaf(u[y], v[x], sum[y][x]);
                }
            }
            if (more) {
                now ^= 1;
                stage_store<TILE, A::DEEP>(as[now], next_a);
                stage_store<TILE, B::DEEP>(bs[now], next_b);
                __syncthreads();
            }
        }
    }
#pragma unroll
    for (int y = 0; y < 8; y++) {
        u32 r = row + (y < 4 ? ty * 4 + y : TILE / 2 + ty * 4 + y - 4);
        place.put(r, column + tx * 4, &sum[y][0]);
        if (WIDE == 8) place.put(r, column + TILE / 2 + tx * 4, &sum[y][WIDE - 4]);
    }
}

// The lines of a matrix with any strides. vec: quads are 16-byte aligned.
template <bool DEEP_>
struct Matrix {
    static const bool DEEP = DEEP_;
    const float* p;
    u32 lines, line_stride, depth_stride, vec;

    typedef const float* At;
    __device__ __forceinline__ At at(u32 line) const { return p + (u64)line * line_stride; }
    __device__ __forceinline__ Stage load(At at, u32 line, u32 k, u32 end) const {
        Stage s = {{0.0f, 0.0f, 0.0f, 0.0f}};
        const float* from = at + (u64)k * depth_stride;
        u32 left = DEEP ? (line < lines && k < end ? end - k : 0) : (k < end && line < lines ? lines - line : 0);
        if (vec && left >= 4) {
            float4 q = *(const float4*)from;
            s = {{q.x, q.y, q.z, q.w}};
        } else {
            u32 step = DEEP ? depth_stride : line_stride;
#pragma unroll
            for (u32 e = 0; e < 4; e++) {
                if (e < left) s.q[e] = from[(u64)e * step];
            }
        }
        return s;
    }
};

// Where sums go, row-major or with any strides, with a bias per column where there is one (the epilogue).
struct Out {
    float* p;
    const float* bias;
    u32 rows, columns, row_stride, column_stride, bias_stride, vec;

    __device__ __forceinline__ void put(u32 i, u32 j, const float* sum) const {
        if (i < rows) put_at(p + (u64)i * row_stride, j, sum);
    }
    __device__ __forceinline__ void put_at(float* line, u32 j, const float* sum) const {
        float v[4];
#pragma unroll
        for (u32 e = 0; e < 4; e++) v[e] = sum[e] + (bias && j + e < columns ? bias[(u64)(j + e) * bias_stride] : 0.0f);
        if (vec && j + 4 <= columns) {
            *(float4*)(line + j) = make_float4(v[0], v[1], v[2], v[3]);
        } else {
#pragma unroll
            for (u32 e = 0; e < 4; e++) {
                if (j + e < columns) line[(u64)(j + e) * column_stride] = v[e];
            }
        }
    }
};
