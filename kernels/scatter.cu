// Additions to indexed places by sorting: what index_add and scatter_add do where a thread for each column (index.cu) would
// have too long a way.
//
//   1. keys       a number for each term: the place it goes to, or one past the last place where its index is none
//   2. radix_*    a stable sort of (key, payload) by 8 bits at a time: terms of one place lie side by side, in index order
//   3. segment_*  the sum of each place's terms, added to what is there
//
// Order of the additions. The terms of a place, in index order, are cut into parts of 32; a part's terms are added one
// after the other. The sum of a place with one part is added to what is there. Where there are several:
//
//   rows    eight warps take the parts in turn, in order, and their sums are added in order
//   values  32 lanes take the parts in turn, in order, and their sums are added in halves
//
// So it depends on the number of terms at that place alone. Atomics only count (radix_count): a count has no order.
//
// The tiling of step 3. A chunk is 32 sorted terms; its worker takes the parts that begin in it, which end in the next
// one at the latest, so that all have about the same work however the terms are spread:
//
//   keys    2 2 2 5 | 5 5 5 5 | 5 5 7 9 |       (4 in place of 32)
//   parts   [2    ][5        ][5    ][7][9]     5 begins in chunk 0 and is long: its parts begin in chunks 0 and 1
//
// A chunk has at most one part that begins a long segment (kept in `first`) and one that continues one (in `next`): the
// i-th part of a segment that begins in chunk c begins in chunk c + i. segment_*_long adds those up.
//
// Bytes moved, n terms of `columns` numbers: keys 8 n in and 8 n out; each pass of the sort 12 n in and 8 n out; the sums
// 4 n columns in, and 8 columns for each place with terms. Writes of the sort go to 256 places at once, in runs of a
// tile's equal digits, and counts are written a digit's row apart: both ask for more sectors than their bytes would fill.
// Conflicts of banks in the histograms of a tile, and where chunks' parts differ in length, depend on the keys.
#include "common.cuh"

// The keys of index_add: order[j] = j.
KERNEL(256) scatter_row_keys(const i64* index, u32* keys, u32* order, u32 step, u32 size, BadIndex* bad, u32 n) {
    u32 j = global_thread();
    if (j >= n) return;
    i64 to = index[(u64)j * step];
    keys[j] = valid(to, size, bad) ? (u32)to : size;
    order[j] = j;
}

// The keys of scatter_add: places in the contiguous acc. The nest goes over index and src, and over acc with stride 0
// along the dimension, of which acc has `size` entries `step` apart. Terms of one place differ in that dimension's
// number alone, which grows with the nest's.
KERNEL(256) scatter_value_keys(const i64* index, const float* src, u32* keys, float* values, Nest<3> nest, u32 step,
                               u32 size, u32 places, BadIndex* bad, u32 n) {
    u32 i = global_thread(), at[3];
    if (i >= n) return;
    locate(nest, i, at);
    i64 to = index[at[0]];
    keys[i] = valid(to, size, bad) ? at[2] + (u32)to * step : places;
    values[i] = src[at[1]];
}

#define TILE 2048

// The sum of what the threads before this one of a block of 256 have; `total` gets that of all. Threads meet twice.
__device__ __forceinline__ u32 exclusive_sum(u32 x, u32* warps, u32& total) {
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, sum = x;
#pragma unroll
    for (int d = 1; d < 32; d <<= 1) {
        u32 left = __shfl_up_sync(FULL_WARP, sum, d);
        if (lane >= d) sum += left;
    }
    if (lane == 31) warps[warp] = sum;
    __syncthreads();
    u32 before = 0;
    total = 0;
    for (u32 w = 0; w < 8; w++) {
        if (w < warp) before += warps[w];
        total += warps[w];
    }
    __syncthreads();
    return before + sum - x;
}

// counts[digit][block] = how many of the block's 2048 keys have that digit.
KERNEL(256) radix_count(const u32* keys, u32* counts, u32 shift, u32 blocks, u32 n) {
    __shared__ u32 histogram[256];
    histogram[threadIdx.x] = 0;
    __syncthreads();
    u32 first = blockIdx.x * TILE + threadIdx.x;
    for (u32 i = first; i < min(first + TILE, n); i += 256) atomicAdd(&histogram[keys[i] >> shift & 255], 1u);
    __syncthreads();
    counts[threadIdx.x * blocks + blockIdx.x] = histogram[threadIdx.x];
}

// counts[digit][block] = how many keys of that digit the blocks before have; totals[digit] = how many there are. A block a
// digit.
KERNEL(256) radix_scan(u32* counts, u32* totals, u32 blocks) {
    __shared__ u32 warps[8];
    u32* row = counts + blockIdx.x * blocks;
    u32 carried = 0, total;
    for (u32 first = 0; first < blocks; first += 256) {
        u32 i = first + threadIdx.x, count = i < blocks ? row[i] : 0;
        u32 before = exclusive_sum(count, warps, total);
        if (i < blocks) row[i] = carried + before;
        carried += total;
    }
    if (threadIdx.x == 0) totals[blockIdx.x] = carried;
}

// Each (key, payload) goes behind those of smaller digits, and of equal digits behind those before it. A warp takes 256
// neighbours, 32 at a time; lanes with one digit find each other by a vote.
KERNEL(256) radix_scatter(const u32* keys, const u32* payload, const u32* counts, const u32* totals, u32* keys_out,
                          u32* payload_out, u32 shift, u32 blocks, u32 n) {
    __shared__ u32 places[8][256];
    __shared__ u32 warps[8];
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (u32 w = 0; w < 8; w++) places[w][threadIdx.x] = 0;
    __syncthreads();
    u32 first = blockIdx.x * TILE + warp * 256 + lane, key[8], rank[8];
#pragma unroll
    for (int r = 0; r < 8; r++) {
        u32 i = first + r * 32;
        bool any = i < n;
        key[r] = any ? keys[i] : 0;
        u32 digit = key[r] >> shift & 255;
        u32 same = __match_any_sync(FULL_WARP, any ? digit : 256);
        u32 before = __popc(same & ((1u << lane) - 1)), had = places[warp][digit];
        __syncwarp();
        if (any && before == 0) places[warp][digit] = had + __popc(same);
        __syncwarp();
        rank[r] = had + before;
    }
    u32 total, at = exclusive_sum(totals[threadIdx.x], warps, total);
    at += counts[threadIdx.x * blocks + blockIdx.x];
    for (u32 w = 0; w < 8; w++) {
        u32 count = places[w][threadIdx.x];
        places[w][threadIdx.x] = at;
        at += count;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 8; r++) {
        u32 i = first + r * 32;
        if (i >= n) continue;
        u32 to = places[warp][key[r] >> shift & 255] + rank[r];
        keys_out[to] = key[r];
        payload_out[to] = payload[i];
    }
}

// Terms of a part, and of a chunk.
#define PART 32u

// The first of the sorted keys key(lo) .. key(hi - 1) that is not less than k; hi if there is none.
template <class Key>
__device__ __forceinline__ u32 lower_bound(Key key, u32 k, u32 lo, u32 hi) {
    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;
        if (key(mid) < k) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

// Adds up the parts that begin in a chunk. `key(s)` and `value(s)` are those of sorted term s, from the one before the
// chunk to 32 behind it; start(k, s) is where the segment of k begins, which is before s; whole(k, sum) takes the sum of a
// place with one part, part(later, sum) that of a part of a long segment.
template <class Key, class Start, class Value, class Whole, class Part>
__device__ __forceinline__ void each_part(u32 chunk, u32 places, u32 n, Key key, Start start, Value value, Whole whole,
                                          Part part) {
    u32 begin = chunk * PART, end = min(begin + PART, n), s = begin;
    bool later = false;
    if (begin > 0 && key(begin - 1) == key(begin)) {
        u32 k = key(begin), from = start(k, begin);
        s = from + (begin - from + PART - 1) / PART * PART;
        later = s < end && key(s) == k;
        if (!later) {
            for (s = begin + 1; s < end && key(s) == k;) s++;
        }
    }
    while (s < end) {
        u32 k = key(s), length = 1, most = min(PART, n - s);
        if (k >= places) return;
        while (length < most && key(s + length) == k) length++;
        float sum = value(s);
#pragma unroll 4
        for (u32 i = 1; i < length; i++) sum += value(s + i);
        bool more = length == PART && s + PART < n && key(s + PART) == k;
        if (later || more) part(later, sum);
        else whole(k, sum);
        later = false;
        s += length;
    }
}

// Whether a segment of more than one part begins in the chunk: its key, and how many parts it has.
__device__ __forceinline__ bool begins_long(u32 chunk, const u32* keys, u32 places, u32 n, u32& k, u32& parts) {
    u32 begin = chunk * PART, end = begin + PART;
    if (end >= n) return false;
    k = keys[end - 1];
    if (k >= places || keys[end] != k || (begin > 0 && keys[begin - 1] == k)) return false;
    auto key = [&](u32 s) { return keys[s]; };
    u32 from = lower_bound(key, k, begin, end - 1);
    if (from + PART >= n || keys[from + PART] != k) return false;
    parts = (lower_bound(key, k + 1, from + PART, n) - from + PART - 1) / PART;
    return true;
}

// acc[o, k, i] += the sum of src[o, order[s], i] over the terms s with key k. A thread a chunk and column (o, i), columns
// fastest: lanes read neighbours of a row of src, and all the same keys.
KERNEL(256) segment_rows(const u32* keys, const u32* order, const float* src, float* acc, float* first, float* next,
                         u32 size, u32 count, Divisor inner, Divisor columns, u32 n) {
    u32 thread = global_thread();
    if (thread >= n) return;
    u32 chunk = quotient(thread, columns), column = thread - chunk * columns.d;
    u32 outer = quotient(column, inner), i = column - outer * inner.d;
    const float* from = src + (u64)outer * count * inner.d + i;
    auto key = [&](u32 s) { return keys[s]; };
    each_part(
        chunk, size, count, key, [&](u32 k, u32 s) { return lower_bound(key, k, 0, s); },
        [&](u32 s) { return from[(u64)order[s] * inner.d]; },
        [&](u32 k, float sum) { acc[((u64)outer * size + k) * inner.d + i] += sum; },
        [&](bool later, float sum) { (later ? next : first)[thread] = sum; });
}

// The long segments of segment_rows: a block a chunk and 32 columns, which most leave at once.
KERNEL(256) segment_rows_long(const u32* keys, const float* first, const float* next, float* acc, u32 size, u32 count,
                              Divisor inner, u32 columns, Divisor strips) {
    __shared__ float lines[8][32];
    u32 chunk = quotient(blockIdx.x, strips), lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    u32 column = (blockIdx.x - chunk * strips.d) * 32 + lane, k, parts;
    if (!begins_long(chunk, keys, size, count, k, parts)) return;
    float sum = 0.0f;
    if (column < columns) {
        for (u32 p = warp; p < parts; p += 8) sum += (p == 0 ? first : next)[(u64)(chunk + p) * columns + column];
    }
    lines[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || column >= columns) return;
    for (u32 w = 1; w < 8; w++) sum += lines[w][lane];
    u32 outer = quotient(column, inner), i = column - outer * inner.d;
    acc[((u64)outer * size + k) * inner.d + i] += sum;
}

// Where a term of a block's lies in shared memory: chunks are 33 apart, so that the lanes' terms are in banks of their own.
__device__ __forceinline__ u32 padded(u32 i) { return i + i / 32; }

// acc[k] += the sum of the sorted values with key k. A thread a chunk; a block brings its 128 chunks, and the one behind
// them, into shared memory by neighbours.
KERNEL(128) segment_values(const u32* keys, const float* values, float* acc, float* first, float* next, u32 places,
                           u32 n) {
    __shared__ u32 near_keys[129 * 33];
    __shared__ float near_values[129 * 33];
    u32 base = blockIdx.x * 128 * PART, chunk = blockIdx.x * 128 + threadIdx.x;
    for (u32 i = threadIdx.x; i < min(129 * PART, n - base); i += 128) {
        near_keys[padded(i)] = keys[base + i];
        near_values[padded(i)] = values[base + i];
    }
    __syncthreads();
    if (chunk * PART >= n) return;
    auto far = [&](u32 s) { return keys[s]; };
    auto key = [&](u32 s) { return s < base ? keys[s] : near_keys[padded(s - base)]; };
    // A segment that began before this block is sought by all its lanes at the same places.
    auto start = [&](u32 k, u32 s) { return k == near_keys[0] ? lower_bound(far, k, 0, base) : lower_bound(key, k, base, s); };
    each_part(
        chunk, places, n, key, start, [&](u32 s) { return near_values[padded(s - base)]; },
        [&](u32 k, float sum) { acc[k] += sum; },
        [&](bool later, float sum) { (later ? next : first)[chunk] = sum; });
}

// The long segments of segment_values: a warp a chunk.
KERNEL(256) segment_values_long(const u32* keys, const float* first, const float* next, float* acc, u32 places, u32 n) {
    u32 chunk = global_thread() / 32, lane = threadIdx.x % 32, k, parts;
    if (!begins_long(chunk, keys, places, n, k, parts)) return;
    float sum = 0.0f;
    for (u32 p = lane; p < parts; p += 32) sum += (p == 0 ? first : next)[chunk + p];
    sum = warp_reduce<Sum>(sum);
    if (lane == 0) acc[k] += sum;
}
