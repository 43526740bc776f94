// Filling, copying between layouts, transposing, converting.
//
// Contract: out = x in another layout or dtype; bits move, so copies know only the size of an element. Bytes moved: the
// operand once in, the result once out; no FLOP.
#include "common.cuh"

// Every element becomes `value`, the lower bits of which are an element.
template <class W>
__device__ __forceinline__ void fill(u64 value, W* out, u32 n) {
    u32 i = global_thread();
    if (i < n) out[i] = (W)value;
}

template <class W>
__device__ __forceinline__ void copy_strided(const W* x, W* out, const Nest<2>& nest, u32 n) {
    u32 i = global_thread(), at[2];
    if (i >= n) return;
    locate(nest, i, at);
    out[at[0]] = x[at[1]];
}

// The bytes of one dense operand to another, 16 a thread; both are aligned to that.
KERNEL(256) copy_dense(const u8* x, u8* out, u64 bytes) {
    u64 i = (u64)global_thread() * 16;
    if (i + 16 <= bytes) {
        *(uint4*)(out + i) = *(const uint4*)(x + i);
    } else {
        for (; i < bytes; i++) out[i] = x[i];
    }
}

// A stack of matrices, out[b][c][r] = x[b][r][c], both row-major without gaps. A block of 32 x 8 threads turns one tile
// in shared memory; a row has 33 elements there, so that the 32 lanes that read a column meet 32 banks.
//
//      x                 shared              out
//      r: --------->     [33] --------->     c: --------->
//         lanes: c            lanes: r          lanes: r
template <class W>
__device__ __forceinline__ void transpose(const W* x, W* out, u32 rows, u32 columns) {
    __shared__ W tile[32][33];
    u64 matrix = (u64)blockIdx.z * rows * columns;
    u32 lane = threadIdx.x % 32, line = threadIdx.x / 32;
    u32 column = blockIdx.x * 32 + lane;
#pragma unroll
    for (u32 i = 0; i < 32; i += 8) {
        u32 row = blockIdx.y * 32 + line + i;
        if (row < rows && column < columns) tile[line + i][lane] = x[matrix + (u64)row * columns + column];
    }
    __syncthreads();
    u32 row = blockIdx.y * 32 + lane;
#pragma unroll
    for (u32 i = 0; i < 32; i += 8) {
        u32 c = blockIdx.x * 32 + line + i;
        if (row < rows && c < columns) out[matrix + (u64)c * rows + row] = tile[lane][line + i];
    }
}

#define OF_SIZE(BYTES, W) \
    KERNEL(256) fill_b##BYTES(u64 value, W* out, u32 n) { fill(value, out, n); } \
    KERNEL(256) copy_b##BYTES(const W* x, W* out, Nest<2> nest, u32 n) { copy_strided(x, out, nest, n); } \
    KERNEL(256) transpose_b##BYTES(const W* x, W* out, u32 rows, u32 columns) { transpose(x, out, rows, columns); }
OF_SIZE(1, u8)
OF_SIZE(2, u16)
OF_SIZE(4, u32)
OF_SIZE(8, u64)

// In the order of the host's table (src/backend/cuda/copy.rs).
enum Dtype { F32, F16, BF16, I64, U8 };

// Conversions go through f64, which holds every f32 and every integer below 2^53, and saturate like Rust's `as`.
__device__ __forceinline__ double as_double(const void* x, u32 i, u32 dtype) {
    switch (dtype) {
        case F32: return ((const float*)x)[i];
        case F16: return widen(((const f16*)x)[i]);
        case BF16: return widen(((const bf16*)x)[i]);
        case I64: return (double)((const i64*)x)[i];
        default: return ((const u8*)x)[i];
    }
}

// To a half type a double is rounded once: what f32 drops is folded into its last bit first (round to odd).
__device__ __forceinline__ float to_odd(double v) {
    float f = __double2float_rz(v);
    return v != v || (double)f == v ? f : __uint_as_float(__float_as_uint(f) | 1u);
}

__device__ __forceinline__ void store_as(double v, void* out, u32 i, u32 dtype) {
    switch (dtype) {
        case F32: ((float*)out)[i] = __double2float_rn(v); break;
        case F16: narrow(to_odd(v), ((f16*)out)[i]); break;
        case BF16: narrow(to_odd(v), ((bf16*)out)[i]); break;
        case I64: ((i64*)out)[i] = v != v ? 0 : __double2ll_rz(v); break;
        default: ((u8*)out)[i] = v >= 255.0 ? 255 : v > 0.0 ? (u8)__double2int_rz(v) : 0; break;
    }
}

KERNEL(256) cast(const void* x, void* out, u32 from, u32 to, Nest<2> nest, u32 n) {
    u32 i = global_thread(), at[2];
    if (i >= n) return;
    locate(nest, i, at);
    store_as(as_double(x, at[1], from), out, at[0], to);
}
