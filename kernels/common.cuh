// What every kernel file uses: element types, views by value, warp and block reductions.
//
// Kernels are compiled with --fmad=false: a product is fused with a sum only where fmaf says so, so that what the CPU
// computes with separate operations has the same bits here. Sizes and strides are 32-bit; the host refuses storages of
// more than 2^31 elements.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
// The same with registers few enough for so many blocks on a multiprocessor.
#define KERNEL_SHARING(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)

// Half precision is storage only: values are widened to f32, computed on, and rounded to nearest even once.
struct f16 {
    u16 bits;
};
struct bf16 {
    u16 bits;
};

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(f16 x) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.bits));
    return r;
}
__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float((u32)x.bits << 16); }

__device__ __forceinline__ void narrow(float x, float& to) { to = x; }
__device__ __forceinline__ void narrow(float x, f16& to) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x)); }
__device__ __forceinline__ void narrow(float x, bf16& to) {
    // Half of the last place that stays is added, less one if that place is even; NaN keeps its upper bits, quiet.
    u32 b = __float_as_uint(x);
    to.bits = x != x ? (b >> 16) | 0x40 : (b + 0x7fff + (b >> 16 & 1)) >> 16;
}

// Division by a constant that the host prepared: n / d = (mulhi(n, mul) + n) >> shift for n < 2^31.
// (Granlund and Montgomery, "Division by invariant integers using multiplication", PLDI 1994.)
struct Divisor {
    u32 d, mul, shift;
};
__device__ __forceinline__ u32 quotient(u32 n, Divisor by) { return (__umulhi(n, by.mul) + n) >> by.shift; }

#define MAX_RANK 8

// A loop nest over N operands: sizes from the slowest dimension to the fastest, and each operand's strides in elements.
template <int N>
struct Nest {
    u32 rank;
    Divisor size[MAX_RANK];
    u32 stride[N][MAX_RANK];
};

// Where element i of the nest lies in each operand.
template <int N>
__device__ __forceinline__ void locate(const Nest<N>& nest, u32 i, u32 at[N]) {
#pragma unroll
    for (int o = 0; o < N; o++) at[o] = 0;
    for (u32 d = nest.rank; d-- > 1;) {
        u32 q = quotient(i, nest.size[d]);
        u32 r = i - q * nest.size[d].d;
#pragma unroll
        for (int o = 0; o < N; o++) at[o] += r * nest.stride[o][d];
        i = q;
    }
#pragma unroll
    for (int o = 0; o < N; o++) at[o] += i * nest.stride[o][0];
}

// The place in a grid of one-dimensional blocks.
__device__ __forceinline__ u32 global_thread() { return blockIdx.x * blockDim.x + threadIdx.x; }

struct Sum {
    static __device__ __forceinline__ float none() { return 0.0f; }
    static __device__ __forceinline__ float join(float a, float b) { return a + b; }
};
// NaN if either is: a comparison with NaN is false.
struct Max {
    static __device__ __forceinline__ float none() { return __uint_as_float(0xff800000); }
    static __device__ __forceinline__ float join(float a, float b) { return a > b || a != a ? a : b; }
};

#define FULL_WARP 0xffffffffu

// Combines the 32 lanes' values; every lane gets the result, in one order whatever the device.
template <class Op>
__device__ __forceinline__ float warp_reduce(float x) {
#pragma unroll
    for (int lane = 16; lane > 0; lane >>= 1) x = Op::join(x, __shfl_xor_sync(FULL_WARP, x, lane));
    return x;
}

// Combines the values of all threads of a block of THREADS; thread 0 gets the result. One barrier; a second call must
// be separated from the first by another.
template <class Op, int THREADS>
__device__ __forceinline__ float block_reduce(float x, float* warps) {
    x = warp_reduce<Op>(x);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x < 32) x = warp_reduce<Op>(threadIdx.x < THREADS / 32 ? warps[threadIdx.x] : Op::none());
    return x;
}

// The first invalid index that a kernel met since the host last looked: what it was and how many entries there were. The
// host has one for each op, and gives a kernel the address of the op's that it runs for: so it knows whose it was.
struct BadIndex {
    u32 found;
    u32 size;
    i64 index;
};

// Whether `index` is one of `size` entries; if not, notes it unless another one is noted already.
__device__ __forceinline__ bool valid(i64 index, u32 size, BadIndex* bad) {
    if (index >= 0 && index < (i64)size) return true;
    if (atomicCAS(&bad->found, 0u, 1u) == 0u) {
        bad->size = size;
        bad->index = index;
    }
    return false;
}
