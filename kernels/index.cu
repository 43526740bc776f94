// Selecting, gathering and scattering along a dimension.
//
// Indices are i64; x and acc of index_select and index_add are contiguous, [outer, size, inner] around the dimension, the
// operands of gather and scatter_add lie anyhow. Reading: one thread an element of the result. Adding: one thread a column
// (outer, inner), which goes through the indices in order, so that repeats are added in order and nothing is atomic: for
// few indices, or very many columns; scatter.cu is for the others. An index outside of its dimension is noted (BadIndex):
// it reads as 0, and nothing is added for it.
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
    out[at] = valid(from, size, bad) ? x[((u64)outer * size + (u32)from) * inner.d + i] : 0;
}

// out[.., j, ..] = x[.., index[.., j, ..], ..]: the nest goes over out and index, and over x with stride 0 along the
// dimension, of which x has `size` entries `step` apart. x may be larger than the index in the others.
template <class W>
__device__ __forceinline__ void gather(const W* x, const i64* index, W* out, const Nest<3>& nest, u32 size, u32 step,
                                       BadIndex* bad, u32 n) {
    u32 i = global_thread(), at[3];
    if (i >= n) return;
    locate(nest, i, at);
    i64 from = index[at[1]];
    out[at[0]] = valid(from, size, bad) ? x[at[2] + (u64)from * step] : 0;
}

#define OF_SIZE(BYTES, W) \
    KERNEL(256) index_select_b##BYTES(const W* x, const i64* index, W* out, u32 size, Divisor count, Divisor inner, \
                                      u32 step, BadIndex* bad, u32 n) { \
        index_select(x, index, out, size, count, inner, step, bad, n); \
    } \
    KERNEL(256) gather_b##BYTES(const W* x, const i64* index, W* out, Nest<3> nest, u32 size, u32 step, BadIndex* bad, \
                                u32 n) { \
        gather(x, index, out, nest, size, step, bad, n); \
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

// Distances of neighbours along the dimension.
struct Steps {
    u32 acc, src, index;
};

// acc[.., index[.., j, ..], ..] += src[.., j, ..] for j in order. The nest goes over the other dimensions of the index:
// its columns in acc, src and index.
KERNEL(256) scatter_add_f32(const float* src, const i64* index, float* acc, Nest<3> columns, Steps steps, u32 size,
                            u32 count, BadIndex* bad, u32 n) {
    u32 column = global_thread(), at[3];
    if (column >= n) return;
    locate(columns, column, at);
    for (u32 j = 0; j < count; j++) {
        i64 to = index[at[2] + (u64)j * steps.index];
        if (valid(to, size, bad)) acc[at[0] + (u64)to * steps.acc] += src[at[1] + (u64)j * steps.src];
    }
}
