// Selecting, gathering and scattering along a dimension.
//
// Operands are contiguous, [outer, size, inner] around the dimension; indices are i64. Reading: one thread an element
// of the result. Adding: one thread a column (outer, inner), which goes through the indices in order, so that repeats
// are added in order and nothing is atomic. An index outside of its dimension is noted (BadIndex) and passed over.
#include "common.cuh"

// out[o, j, i] = x[o, index[j], i].
template <class W>
__device__ __forceinline__ void index_select(const W* x, const i64* index, W* out, u32 size, Divisor count, Divisor inner,
                                             u32 step, BadIndex* bad, u32 n) {
    u32 at = global_thread();
    if (at >= n) return;
    u32 row = quotient(at, inner), i = at - row * inner.d;
    u32 outer = quotient(row, count), j = row - outer * count.d;
    i64 from = index[(u64)j * step];
    if (valid(from, size, bad)) out[at] = x[((u64)outer * size + (u32)from) * inner.d + i];
}

// out[o, j, i] = x[o, index[o, j, i], i], index of the result's shape, contiguous.
template <class W>
__device__ __forceinline__ void gather(const W* x, const i64* index, W* out, u32 size, Divisor count, Divisor inner,
                                       BadIndex* bad, u32 n) {
    u32 at = global_thread();
    if (at >= n) return;
    u32 row = quotient(at, inner), i = at - row * inner.d;
    u32 outer = quotient(row, count);
    i64 from = index[at];
    if (valid(from, size, bad)) out[at] = x[((u64)outer * size + (u32)from) * inner.d + i];
}

#define OF_SIZE(BYTES, W) \
    KERNEL(256) index_select_b##BYTES(const W* x, const i64* index, W* out, u32 size, Divisor count, Divisor inner, \
                                      u32 step, BadIndex* bad, u32 n) { \
        index_select(x, index, out, size, count, inner, step, bad, n); \
    } \
    KERNEL(256) gather_b##BYTES(const W* x, const i64* index, W* out, u32 size, Divisor count, Divisor inner, \
                                BadIndex* bad, u32 n) { \
        gather(x, index, out, size, count, inner, bad, n); \
    }
OF_SIZE(1, u8)
OF_SIZE(2, u16)
OF_SIZE(4, u32)
OF_SIZE(8, u64)

// acc[o, index[j], i] += src[o, j, i] for j in order; n = outer * inner columns.
KERNEL(256) index_add_f32(const float* src, const i64* index, float* acc, u32 size, u32 count, Divisor inner, u32 step,
                          BadIndex* bad, u32 n) {
    u32 column = global_thread();
    if (column >= n) return;
    u32 outer = quotient(column, inner), i = column - outer * inner.d;
    for (u32 j = 0; j < count; j++) {
        i64 to = index[(u64)j * step];
        if (valid(to, size, bad)) {
            acc[((u64)outer * size + (u32)to) * inner.d + i] += src[((u64)outer * count + j) * inner.d + i];
        }
    }
}

// acc[o, index[o, j, i], i] += src[o, j, i] for j in order.
KERNEL(256) scatter_add_f32(const float* src, const i64* index, float* acc, u32 size, u32 count, Divisor inner,
                            BadIndex* bad, u32 n) {
    u32 column = global_thread();
    if (column >= n) return;
    u32 outer = quotient(column, inner), i = column - outer * inner.d;
    for (u32 j = 0; j < count; j++) {
        u64 from = ((u64)outer * count + j) * inner.d + i;
        i64 to = index[from];
        if (valid(to, size, bad)) acc[((u64)outer * size + (u32)to) * inner.d + i] += src[from];
    }
}
