// Normalisation within samples: layer, group and instance norm, and their gradients.
//
// A group's elements lie in pieces of neighbours: one piece in rows and NCHW images, one for each position in images with
// channels last. A team (rows.cuh) holds a group in registers where it has at most 8192 elements, so that the mean, the
// squared deviations from it (a large mean costs no digits) and the result come from one reading; longer groups are
// read three times, once more each time from L2 if they fit.
//
//     channels last, groups of 3 and fewer channels than a warp has lanes (group_norm_lanes):
//
//         position 0:   [c0 c1 c2 | c3 c4 c5 | ... ]  warp 0        a lane a channel, 8 warps share the positions,
//         position 1:   [c0 c1 c2 | c3 c4 c5 | ... ]  warp 1        lanes of a group are added in order
//
// Bytes moved for n elements: 4 n in and 4 n out; gradient 8 n in and 4 n out, and 8 n in for the sums of weight and bias,
// which go over the batch by columns or planes in parts, combined in order (bn_combine). Some 8 FLOPs an element: bound by
// memory.
#include "rows.cuh"

// Where the elements of a group are. Group r of all starts at r / groups * sample + r % groups * piece.
struct Groups {
    u32 n, count;    // elements of a group; groups
    Divisor groups;  // of a sample
    Divisor piece;   // elements that lie side by side
    u32 jump;        // from one piece of a group to its next
    u32 sample;      // elements of a sample
    Divisor inner;   // neighbours that share a weight
    u32 members;     // weights of a group
    u32 quads;       // whether pieces are made of quads
};

// One group of it.
struct Group {
    const Groups& of;
    u32 start, weights;

    __device__ __forceinline__ Group(const Groups& of, u32 r) : of(of) {
        u32 sample = quotient(r, of.groups), g = r - sample * of.groups.d;
        start = sample * of.sample + g * of.piece.d;
        weights = g * of.members;
    }
    __device__ __forceinline__ u32 at(u32 e) const { return start + e + quotient(e, of.piece) * (of.jump - of.piece.d); }
    __device__ __forceinline__ u32 weight(u32 e) const {
        return weights + quotient(e - quotient(e, of.piece) * of.piece.d, of.inner);
    }
};

// The thread's parts of the elements from `first` on, as in rows.cuh.
template <int TEAM>
__device__ __forceinline__ u32 quad(u32 first, int q) {
    return first + (q * TEAM + threadIdx.x % TEAM) * 4;
}
template <int TEAM>
__device__ __forceinline__ u32 single(u32 first, int j) {
    return first + j * TEAM + threadIdx.x % TEAM;
}

// v = the elements; `none` where there is none.
template <int TEAM, int Q>
__device__ __forceinline__ void load(const float* x, const Group& group, u32 first, float none, float (&v)[4 * Q]) {
    if (group.of.quads) {
#pragma unroll
        for (int q = 0; q < Q; q++) {
            u32 e = quad<TEAM>(first, q);
            float4 f = make_float4(none, none, none, none);
            if (e < group.of.n) f = *(const float4*)(x + group.at(e));
            v[4 * q] = f.x, v[4 * q + 1] = f.y, v[4 * q + 2] = f.z, v[4 * q + 3] = f.w;
        }
    } else {
#pragma unroll
        for (int j = 0; j < 4 * Q; j++) {
            u32 e = single<TEAM>(first, j);
            v[j] = e < group.of.n ? x[group.at(e)] : none;
        }
    }
}

template <int TEAM, int Q>
__device__ __forceinline__ void store(const float (&v)[4 * Q], float* out, const Group& group, u32 first) {
    if (group.of.quads) {
#pragma unroll
        for (int q = 0; q < Q; q++) {
            u32 e = quad<TEAM>(first, q);
            if (e < group.of.n) store_quad(out + group.at(e), v[4 * q], v[4 * q + 1], v[4 * q + 2], v[4 * q + 3]);
        }
    } else {
#pragma unroll
        for (int j = 0; j < 4 * Q; j++) {
            u32 e = single<TEAM>(first, j);
            if (e < group.of.n) out[group.at(e)] = v[j];
        }
    }
}

// What becomes of an element and its weight or bias.
struct Times {
    static __device__ __forceinline__ float of(float a, float b) { return a * b; }
};
struct Plus {
    static __device__ __forceinline__ float of(float a, float b) { return a + b; }
};
// v = Op(v, the element's number in a table of weights), unless there is no table.
template <class Op, int TEAM, int Q>
__device__ __forceinline__ void with_table(float (&v)[4 * Q], const float* table, const Group& group, u32 first) {
    if (!table) return;
    if (group.of.quads) {
#pragma unroll
        for (int q = 0; q < Q; q++) {
            u32 e = quad<TEAM>(first, q);
            if (e >= group.of.n) continue;
            float4 f;
            if (group.of.inner.d == 1) {
                f = *(const float4*)(table + group.weight(e));
            } else {
                f.x = table[group.weight(e)], f.y = table[group.weight(e + 1)];
                f.z = table[group.weight(e + 2)], f.w = table[group.weight(e + 3)];
            }
            v[4 * q] = Op::of(v[4 * q], f.x), v[4 * q + 1] = Op::of(v[4 * q + 1], f.y);
            v[4 * q + 2] = Op::of(v[4 * q + 2], f.z), v[4 * q + 3] = Op::of(v[4 * q + 3], f.w);
        }
    } else {
#pragma unroll
        for (int j = 0; j < 4 * Q; j++) {
            u32 e = single<TEAM>(first, j);
            if (e < group.of.n) v[j] = Op::of(v[j], table[group.weight(e)]);
        }
    }
}

// The thread's sum of squared deviations from the mean.
template <int TEAM, int Q>
__device__ __forceinline__ float deviations(const float (&v)[4 * Q], const Group& group, u32 first, float mean) {
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) {
        u32 e = group.of.quads ? quad<TEAM>(first, j / 4) : single<TEAM>(first, j);
        float d = v[j] - mean;
        if (e < group.of.n) sum += d * d;
    }
    return sum;
}

// v = (v - mean) rstd weight + bias.
template <int TEAM, int Q>
__device__ __forceinline__ void normalise(float (&v)[4 * Q], const Group& group, u32 first, float2 stats,
                                          const float* weight, const float* bias) {
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) v[j] = (v[j] - stats.x) * stats.y;
    with_table<Times, TEAM, Q>(v, weight, group, first);
    with_table<Plus, TEAM, Q>(v, bias, group, first);
}

template <int N>
__device__ __forceinline__ float sum_of(const float (&v)[N]) {
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < N; j++) sum += v[j];
    return sum;
}

// A group by a team that holds it.
template <int TEAM, int Q>
__device__ __forceinline__ void group_norm_held(const float* x, const float* weight, const float* bias, float* out,
                                                float2* stats, const Groups& shape, float eps) {
    u32 r = own_row<TEAM>();
    if (r >= shape.count) return;
    Group group(shape, r);
    float v[4 * Q], n = (float)shape.n;
    load<TEAM, Q>(x, group, 0, 0.0f, v);
    float mean = team_reduce<Sum, TEAM>(sum_of(v)) / n;
    float var = team_reduce<Sum, TEAM>(deviations<TEAM, Q>(v, group, 0, mean)) / n;
    float2 own = make_float2(mean, 1.0f / sqrtf(var + eps));
    normalise<TEAM, Q>(v, group, 0, own, weight, bias);
    store<TEAM, Q>(v, out, group, 0);
    if (threadIdx.x % TEAM == 0) stats[r] = own;
}

// dx = rstd (g w - mean(g w) - x^ mean(g w x^)), by a team that holds g w and x^.
template <int TEAM, int Q>
__device__ __forceinline__ void group_norm_grad_held(const float* g, const float* x, const float2* stats,
                                                     const float* weight, float* dx, const Groups& shape) {
    u32 r = own_row<TEAM>();
    if (r >= shape.count) return;
    Group group(shape, r);
    float2 own = stats[r];
    float vg[4 * Q], vx[4 * Q], n = (float)shape.n, along = 0.0f;
    load<TEAM, Q>(g, group, 0, 0.0f, vg);
    load<TEAM, Q>(x, group, 0, own.x, vx);
    with_table<Times, TEAM, Q>(vg, weight, group, 0);
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) {
        vx[j] = (vx[j] - own.x) * own.y;
        along += vg[j] * vx[j];
    }
    float a = team_reduce<Sum, TEAM>(sum_of(vg)) / n;
    float b = team_reduce<Sum, TEAM>(along) / n;
#pragma unroll
    for (int j = 0; j < 4 * Q; j++) vg[j] = (vg[j] - a - vx[j] * b) * own.y;
    store<TEAM, Q>(vg, dx, group, 0);
}

#define OF_TEAM(NAME, TEAM, Q) \
    KERNEL(256) group_norm_##NAME(const float* x, const float* weight, const float* bias, float* out, float2* stats, \
                                  Groups shape, float eps) { \
        group_norm_held<TEAM, Q>(x, weight, bias, out, stats, shape, eps); \
    } \
    KERNEL(256) group_norm_grad_##NAME(const float* g, const float* x, const float2* stats, const float* weight, float* dx, \
                                       Groups shape) { \
        group_norm_grad_held<TEAM, Q>(g, x, stats, weight, dx, shape); \
    }
OF_TEAM(warp_128, 32, 1)
OF_TEAM(warp_1024, 32, 8)
OF_TEAM(block_4096, 256, 4)
OF_TEAM(block_8192, 256, 8)

// A group of any size by a block.
KERNEL(256) group_norm_long(const float* x, const float* weight, const float* bias, float* out, float2* stats, Groups shape,
                            float eps) {
    u32 r = blockIdx.x;
    Group group(shape, r);
    float v[4 * STEP_QUADS], n = (float)shape.n, sum = 0.0f;
    for (u32 first = 0; first < shape.n; first += STEP) {
        load<BLOCK, STEP_QUADS>(x, group, first, 0.0f, v);
        sum += sum_of(v);
    }
    float mean = team_reduce<Sum, BLOCK>(sum) / n;
    sum = 0.0f;
    for (u32 first = 0; first < shape.n; first += STEP) {
        load<BLOCK, STEP_QUADS>(x, group, first, 0.0f, v);
        sum += deviations<BLOCK, STEP_QUADS>(v, group, first, mean);
    }
    float2 own = make_float2(mean, 1.0f / sqrtf(team_reduce<Sum, BLOCK>(sum) / n + eps));
    for (u32 first = 0; first < shape.n; first += STEP) {
        load<BLOCK, STEP_QUADS>(x, group, first, 0.0f, v);
        normalise<BLOCK, STEP_QUADS>(v, group, first, own, weight, bias);
        store<BLOCK, STEP_QUADS>(v, out, group, first);
    }
    if (threadIdx.x == 0) stats[r] = own;
}

KERNEL(256) group_norm_grad_long(const float* g, const float* x, const float2* stats, const float* weight, float* dx,
                                 Groups shape) {
    u32 r = blockIdx.x;
    Group group(shape, r);
    float2 own = stats[r];
    float vg[4 * STEP_QUADS], vx[4 * STEP_QUADS], n = (float)shape.n, sum = 0.0f, along = 0.0f;
    for (u32 first = 0; first < shape.n; first += STEP) {
        load<BLOCK, STEP_QUADS>(g, group, first, 0.0f, vg);
        load<BLOCK, STEP_QUADS>(x, group, first, own.x, vx);
        with_table<Times, BLOCK, STEP_QUADS>(vg, weight, group, first);
        sum += sum_of(vg);
#pragma unroll
        for (int j = 0; j < 4 * STEP_QUADS; j++) along += vg[j] * ((vx[j] - own.x) * own.y);
    }
    float a = team_reduce<Sum, BLOCK>(sum) / n;
    float b = team_reduce<Sum, BLOCK>(along) / n;
    for (u32 first = 0; first < shape.n; first += STEP) {
        load<BLOCK, STEP_QUADS>(g, group, first, 0.0f, vg);
        load<BLOCK, STEP_QUADS>(x, group, first, own.x, vx);
        with_table<Times, BLOCK, STEP_QUADS>(vg, weight, group, first);
#pragma unroll
        for (int j = 0; j < 4 * STEP_QUADS; j++) vg[j] = (vg[j] - a - (vx[j] - own.x) * own.y * b) * own.y;
        store<BLOCK, STEP_QUADS>(vg, dx, group, first);
    }
}

// Channels last with less than 32 channels in a group: a block takes `width` channels, whole groups, of one sample.
struct Lanes {
    Divisor tiles;  // of a sample
    u32 channels, positions, members, width;
};

// This lane's channel.
struct Lane {
    u32 sample, channel, first;  // first: where its position 0 lies
    bool there;

    __device__ __forceinline__ Lane(const Lanes& shape) {
        sample = quotient(blockIdx.x, shape.tiles);
        u32 lane = threadIdx.x % 32;
        channel = (blockIdx.x - sample * shape.tiles.d) * shape.width + lane;
        there = lane < shape.width && channel < shape.channels;
        first = sample * shape.positions * shape.channels + channel;
    }
    __device__ __forceinline__ u32 group(const Lanes& shape) const {
        return (sample * shape.channels + channel) / shape.members;
    }
};

// The sum over the lanes of each group.
__device__ __forceinline__ float group_sum(float x, u32 members) {
    u32 lane = threadIdx.x % 32, first = lane - lane % members;
    float sum = 0.0f;
    for (u32 k = 0; k < members; k++) sum += __shfl_sync(FULL_WARP, x, first + k);
    return sum;
}

KERNEL(256) group_norm_lanes(const float* x, const float* weight, const float* bias, float* out, float2* stats, Lanes shape,
                             float eps) {
    __shared__ float lines[8][32];
    Lane lane(shape);
    u32 warp = threadIdx.x / 32;
    float n = (float)(shape.positions * shape.members), sum = 0.0f;
    if (lane.there) {
#pragma unroll 4
        for (u32 p = warp; p < shape.positions; p += 8) sum += x[lane.first + p * shape.channels];
    }
    float mean = group_sum(column_reduce<Sum>(sum, lines), shape.members) / n;
    sum = 0.0f;
    if (lane.there) {
#pragma unroll 4
        for (u32 p = warp; p < shape.positions; p += 8) {
            float d = x[lane.first + p * shape.channels] - mean;
            sum += d * d;
        }
    }
    float var = group_sum(column_reduce<Sum>(sum, lines), shape.members) / n;
    if (!lane.there) return;
    float rstd = 1.0f / sqrtf(var + eps);
    float w = weight ? weight[lane.channel] : 1.0f, b = bias ? bias[lane.channel] : 0.0f;
#pragma unroll 4
    for (u32 p = warp; p < shape.positions; p += 8) {
        u32 i = lane.first + p * shape.channels;
        out[i] = (x[i] - mean) * rstd * w + b;
    }
    if (warp == 0 && lane.channel % shape.members == 0) stats[lane.group(shape)] = make_float2(mean, rstd);
}

KERNEL(256) group_norm_grad_lanes(const float* g, const float* x, const float2* stats, const float* weight, float* dx,
                                  Lanes shape) {
    __shared__ float lines[8][32];
    Lane lane(shape);
    u32 warp = threadIdx.x / 32;
    float n = (float)(shape.positions * shape.members), sum = 0.0f, along = 0.0f, w = 0.0f;
    float2 own = make_float2(0.0f, 0.0f);
    if (lane.there) {
        own = stats[lane.group(shape)];
        w = weight ? weight[lane.channel] : 1.0f;
#pragma unroll 4
        for (u32 p = warp; p < shape.positions; p += 8) {
            u32 i = lane.first + p * shape.channels;
            float gw = g[i] * w;
            sum += gw;
            along += gw * ((x[i] - own.x) * own.y);
        }
    }
    float a = group_sum(column_reduce<Sum>(sum, lines), shape.members) / n;
    float b = group_sum(column_reduce<Sum>(along, lines), shape.members) / n;
    if (!lane.there) return;
#pragma unroll 4
    for (u32 p = warp; p < shape.positions; p += 8) {
        u32 i = lane.first + p * shape.channels;
        dx[i] = (g[i] * w - a - (x[i] - own.x) * own.y * b) * own.y;
    }
}

// partial[part][2][channels] = the sums of g and of g x^ over a part of the batch, by channel. Channels fastest: lanes are
// channels, and a part is `length` rows, `positions` of which are a sample.
struct Sums {
    u32 rows, channels, length;
    Divisor positions, members, inner;
};

KERNEL(256) group_norm_sums_columns(const float* g, const float* x, const float2* stats, float* partial, Sums shape) {
    __shared__ float lines[2][8][32];
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, c = blockIdx.x * 32 + lane;
    u32 first = blockIdx.y * shape.length, end = min(first + shape.length, shape.rows);
    float sum = 0.0f, along = 0.0f;
    if (c < shape.channels) {
        u32 groups = shape.channels / shape.members.d, group = quotient(c, shape.members);
#pragma unroll 4
        for (u32 row = first + warp; row < end; row += 8) {
            float2 own = stats[quotient(row, shape.positions) * groups + group];
            u32 i = row * shape.channels + c;
            sum += g[i];
            along += g[i] * ((x[i] - own.x) * own.y);
        }
    }
    lines[0][warp][lane] = sum;
    lines[1][warp][lane] = along;
    __syncthreads();
    if (warp < 2 && c < shape.channels) {
        float total = lines[warp][0][lane];
        for (u32 w = 1; w < 8; w++) total += lines[warp][w][lane];
        partial[(blockIdx.y * 2 + warp) * shape.channels + c] = total;
    }
}

// Planes: a block takes one channel of `length` samples.
KERNEL(256) group_norm_sums_planes(const float* g, const float* x, const float2* stats, float* partial, Sums shape) {
    u32 c = blockIdx.x, inner = shape.inner.d;
    u32 first = blockIdx.y * shape.length, end = min(first + shape.length, shape.rows);
    u32 groups = shape.channels / shape.members.d, group = quotient(c, shape.members);
    float sum = 0.0f, along = 0.0f;
    for (u32 j = threadIdx.x; j < (end - first) * inner; j += BLOCK) {
        u32 sample = quotient(j, shape.inner);
        u32 i = ((first + sample) * shape.channels + c) * inner + (j - sample * inner);
        float2 own = stats[(first + sample) * groups + group];
        sum += g[i];
        along += g[i] * ((x[i] - own.x) * own.y);
    }
    sum = team_reduce<Sum, BLOCK>(sum);
    along = team_reduce<Sum, BLOCK>(along);
    if (threadIdx.x == 0) {
        partial[(blockIdx.y * 2) * shape.channels + c] = sum;
        partial[(blockIdx.y * 2 + 1) * shape.channels + c] = along;
    }
}
