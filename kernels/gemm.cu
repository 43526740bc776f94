// Matrix products: a ladder of four kernels that do the same with less and less waiting for memory.
//
//     C [m, n] = A [m, k] B [k, n] + bias [n], of a batch; any strides
//
// FLOP: 2 m n k. Bytes that must move: 4 (m k + k n + m n). What each rung reads from global memory:
//
//   rung            block      a thread     reads of A and B       FLOP a byte of those
//   gemm_naive      16 x 16    1 element    2 m n k floats         1/4
//   gemm_shared     32 x 32    1 element    2 m n k / 32           8
//   gemm_register   64 x 64    4 x 4        2 m n k / 64           16; from shared memory 8 floats for 32 FLOP
//   gemm_*          128 x 128  8 x 8        2 m n k / 128          32; from shared memory 16 floats for 128 FLOP,
//                   64 x 64    8 x 4        2 m n k / 64           in quads, loads and products overlapped (tile.cuh)
//
// The backend launches the top rung. The lower ones are for reading and for bench comparisons; tests hold all of them to
// the same values.
#include "tile.cuh"

// A and B as lines (rows of A, columns of B) with the strides between lines and along k.
struct Operand {
    u32 line_stride, depth_stride, vec;
};
struct Gemm {
    u32 m, n, k;
    Operand a, b;
    u32 c_row, c_column, c_vec, bias_stride;
    u32 splits, length;  // of k: split s sums depths s length .. (s + 1) length, into a result of its own
    u32 first;           // matrix of the batch that this launch starts with
    Nest<3> batch;       // where each matrix starts: C, A, B
};

// Rung 1: a thread an element, straight from global memory. Lanes go along n: they read one element of A together (a
// broadcast) and 16 neighbours of B.
KERNEL(256) gemm_naive(const float* a, const float* b, const float* bias, float* c, Gemm g) {
    u32 i = blockIdx.x * 16 + threadIdx.x / 16, j = blockIdx.y * 16 + threadIdx.x % 16, at[3];
    if (i >= g.m || j >= g.n) return;
    locate(g.batch, g.first + blockIdx.z, at);
    const float* row = a + at[1] + (u64)i * g.a.line_stride;
    const float* column = b + at[2] + (u64)j * g.b.line_stride;
    float sum = 0.0f;
    for (u32 k = 0; k < g.k; k++) sum = fmaf(row[(u64)k * g.a.depth_stride], column[(u64)k * g.b.depth_stride], sum);
    c[at[0] + (u64)i * g.c_row + (u64)j * g.c_column] = sum + (bias ? bias[(u64)j * g.bias_stride] : 0.0f);
}

// Rung 2: 32 x 32 tiles of A and B wait in shared memory, where each element is used 32 times.
//
//              B tile [k][j]
//     A tile   every lane reads its own column: 32 banks
//     [i][k]   a warp is one row: all lanes read the same element of A
KERNEL(1024) gemm_shared(const float* a, const float* b, const float* bias, float* c, Gemm g) {
    __shared__ float as[32][32];
    __shared__ float bs[32][32];
    u32 x = threadIdx.x % 32, y = threadIdx.x / 32, at[3];
    u32 i = blockIdx.x * 32 + y, j = blockIdx.y * 32 + x;
    locate(g.batch, g.first + blockIdx.z, at);
    a += at[1], b += at[2], c += at[0];
    float sum = 0.0f;
    for (u32 k = 0; k < g.k; k += 32) {
        as[y][x] = i < g.m && k + x < g.k ? a[(u64)i * g.a.line_stride + (u64)(k + x) * g.a.depth_stride] : 0.0f;
        bs[y][x] = j < g.n && k + y < g.k ? b[(u64)j * g.b.line_stride + (u64)(k + y) * g.b.depth_stride] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int d = 0; d < 32; d++) sum = fmaf(as[y][d], bs[d][x], sum);
        __syncthreads();
    }
    if (i < g.m && j < g.n) {
        c[(u64)i * g.c_row + (u64)j * g.c_column] = sum + (bias ? bias[(u64)j * g.bias_stride] : 0.0f);
    }
}

// Rung 3: a thread keeps 4 x 4 sums in registers, so that 8 reads from shared memory feed 16 multiply-adds. Its columns
// are tx, tx + 16, ..: neighbouring lanes read neighbouring banks.
KERNEL(256) gemm_register(const float* a, const float* b, const float* bias, float* c, Gemm g) {
    __shared__ float as[16][65];
    __shared__ float bs[16][65];
    u32 tx = threadIdx.x % 16, ty = threadIdx.x / 16, at[3];
    u32 row = blockIdx.x * 64, column = blockIdx.y * 64;
    locate(g.batch, g.first + blockIdx.z, at);
    a += at[1], b += at[2], c += at[0];
    float sum[4][4] = {};
    for (u32 k = 0; k < g.k; k += 16) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            // A is read along k, B along n: the usual row-major operands.
            u32 d = k + tx, i = row + ty + e * 16;
            as[tx][ty + e * 16] = i < g.m && d < g.k ? a[(u64)i * g.a.line_stride + (u64)d * g.a.depth_stride] : 0.0f;
            u32 depth = threadIdx.x / 64 + e * 4, line = threadIdx.x % 64, j = column + line;
            d = k + depth;
            bs[depth][line] = j < g.n && d < g.k ? b[(u64)j * g.b.line_stride + (u64)d * g.b.depth_stride] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int d = 0; d < 16; d++) {
            float u[4], v[4];
#pragma unroll
            for (int e = 0; e < 4; e++) u[e] = as[d][ty + e * 16], v[e] = bs[d][tx + e * 16];
#pragma unroll
            for (int y = 0; y < 4; y++) {
#pragma unroll
                for (int x = 0; x < 4; x++) sum[y][x] = fmaf(u[y], v[x], sum[y][x]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (u32 y = 0; y < 4; y++) {
#pragma unroll
        for (u32 x = 0; x < 4; x++) {
            u32 i = row + ty + y * 16, j = column + tx + x * 16;
            if (i < g.m && j < g.n) {
                c[(u64)i * g.c_row + (u64)j * g.c_column] = sum[y][x] + (bias ? bias[(u64)j * g.bias_stride] : 0.0f);
            }
        }
    }
}

// Rung 4. Grid: rows of tiles, columns of tiles, batch x splits. With several splits each writes a dense [m, n] of its
// own and `combine` adds them in order.
template <int TILE, int WIDE, bool A_DEEP, bool B_DEEP>
__device__ __forceinline__ void top_rung(const float* a, const float* b, const float* bias, float* c, const Gemm& g) {
    u32 matrix = blockIdx.z / g.splits, split = blockIdx.z - matrix * g.splits, at[3];
    locate(g.batch, g.first + matrix, at);
    Matrix<A_DEEP> rows = {a + at[1], g.m, g.a.line_stride, g.a.depth_stride, g.a.vec};
    Matrix<B_DEEP> columns = {b + at[2], g.n, g.b.line_stride, g.b.depth_stride, g.b.vec};
    Out out = {c + at[0], bias, g.m, g.n, g.c_row, g.c_column, g.bias_stride, g.c_vec};
    if (g.splits > 1) {
        u64 matrices = gridDim.z / g.splits;
        out = {c + (split * matrices + matrix) * g.m * g.n, nullptr, g.m, g.n, g.n, 1, 0, g.n % 4 == 0};
    }
    u32 begin = split * g.length, end = min(begin + g.length, g.k);
    tile<TILE, WIDE>(rows, columns, out, blockIdx.x * TILE, blockIdx.y * TILE, begin, end);
}

// The letters say which operand has k as its fast dimension: k (DEEP) or l for lines.
#define TOP(TILE, WIDE, NAME, A_DEEP, B_DEEP) \
    KERNEL_SHARING(2 * TILE, 256 / TILE) gemm_##NAME##_##TILE(const float* a, const float* b, const float* bias, float* c, Gemm g) { \
        top_rung<TILE, WIDE, A_DEEP, B_DEEP>(a, b, bias, c, g); \
    }
#define TOPS(TILE, WIDE) \
    TOP(TILE, WIDE, kk, true, true) TOP(TILE, WIDE, kl, true, false) TOP(TILE, WIDE, lk, false, true) \
    TOP(TILE, WIDE, ll, false, false)
TOPS(128, 8)
TOPS(64, 4)

// out = the sum of `splits` dense results in order, plus the bias: what ends a product that was split along k. The nest
// goes over one result, with the places in out and bias.
KERNEL(256) combine(const float* partial, const float* bias, float* out, Nest<2> nest, u32 splits, u32 n) {
    u32 i = global_thread(), at[2];
    if (i >= n) return;
    float sum = partial[i];
    for (u32 s = 1; s < splits; s++) sum += partial[(u64)s * n + i];
    locate(nest, i, at);
    out[at[0]] = sum + (bias ? bias[at[1]] : 0.0f);
}
