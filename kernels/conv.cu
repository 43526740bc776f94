// Two-dimensional convolutions as matrix products whose operands are never stored: implicit GEMM on tile.cuh.
//
// Images are dense in channels-last order. The weight [O, C/g, kh, kw] is brought into a matrix with the channels that
// are written as its fast dimension beforehand (a strided copy). Groups are blockIdx.z.
//
//   direction     lines of A            lines of B          depth                 result
//   forward       pixels of out         channels O/g        (ky, kx, c)           out pixel, O/g channels
//   input grad    pixels of one phase   channels C/g        (taps of it, o)       dx pixel, C/g channels
//   weight grad   channels O/g          (ky, kx, c)         pixels of out         dw, as [O/g, kh, kw, C/g]
//
// FLOP: 2 n oh ow (O/g) kh kw C, in each direction. With stride s the input gradient falls into s x s phases: pixels with
// the same remainder see the same taps, about 1 / s^2 of all, so nothing is multiplied by an inserted zero and each
// pixel is written once.
#include "tile.cuh"

struct Conv {
    u32 images, channels, group_channels;  // of x
    u32 outputs, group_outputs;            // channels of y
    int size[2], out[2];                   // rows and columns of x and of y
    int kernel[2], stride[2], padding[2], dilation[2];
    int step[2];                           // input grad: taps of a phase are `step` apart
    Divisor by_out_rows, by_out_columns, by_kernel_columns, by_group_channels, by_group_outputs;
    u32 vec_channels, vec_outputs;         // quads of channels are aligned
    u32 splits, length;                    // weight grad: of the pixels
};

__device__ __forceinline__ Stage quad_at(const float* p) {
    float4 q = *(const float4*)p;
    return {{q.x, q.y, q.z, q.w}};
}

struct Pixel {
    const float* image;
    int y, x;
};

// Result pixel i of the convolution: its image in x, and the first row and column of its window.
__device__ __forceinline__ Pixel window_of(const Conv& v, const float* x, u32 i) {
    u32 line = quotient(i, v.by_out_columns), column = i - line * v.by_out_columns.d;
    u32 image = quotient(line, v.by_out_rows), row = line - image * v.by_out_rows.d;
    return {x + (u64)image * v.size[0] * v.size[1] * v.channels, (int)row * v.stride[0] - v.padding[0],
            (int)column * v.stride[1] - v.padding[1]};
}

struct Tap {
    int dy, dx;
    u32 c;
};

// Depth or line k = (ky, kx, c) of the patches.
__device__ __forceinline__ Tap tap_of(const Conv& v, u32 k) {
    u32 tap = quotient(k, v.by_group_channels), c = k - tap * v.group_channels;
    u32 ky = quotient(tap, v.by_kernel_columns), kx = tap - ky * v.by_kernel_columns.d;
    return {(int)ky * v.dilation[0], (int)kx * v.dilation[1], c};
}

__device__ __forceinline__ const float* under(const Conv& v, const Pixel& p, const Tap& t) {
    int y = p.y + t.dy, x = p.x + t.dx;
    bool inside = (u32)y < (u32)v.size[0] && (u32)x < (u32)v.size[1];
    return inside ? p.image + ((u64)y * v.size[1] + x) * v.channels + t.c : nullptr;
}

// Patches with pixels as lines and (ky, kx, c) as depth. x starts at the group's first channel.
struct PatchRows {
    static const bool DEEP = true;
    const Conv& v;
    const float* x;
    u32 lines;

    struct At {
        Pixel p;
    };
    __device__ __forceinline__ At at(u32 line) const { return {window_of(v, x, line < lines ? line : 0)}; }
    __device__ __forceinline__ Stage load(const At& at, u32 line, u32 k, u32 end) const {
        Stage s = {{0.0f, 0.0f, 0.0f, 0.0f}};
        if (line >= lines || k >= end) return s;
        if (v.vec_channels) {
            const float* p = under(v, at.p, tap_of(v, k));
            return p ? quad_at(p) : s;
        }
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            const float* p = k + e < end ? under(v, at.p, tap_of(v, k + e)) : nullptr;
            if (p) s.q[e] = *p;
        }
        return s;
    }
};

// The same patches with (ky, kx, c) as lines and pixels as depth.
struct PatchColumns {
    static const bool DEEP = false;
    const Conv& v;
    const float* x;
    u32 lines;

    struct At {
        Tap t[4];
    };
    __device__ __forceinline__ At at(u32 line) const {
        At a;
#pragma unroll
        for (u32 e = 0; e < 4; e++) a.t[e] = tap_of(v, line + e < lines ? line + e : 0);
        return a;
    }
    __device__ __forceinline__ Stage load(const At& at, u32 line, u32 k, u32 end) const {
        Stage s = {{0.0f, 0.0f, 0.0f, 0.0f}};
        if (line >= lines || k >= end) return s;
        Pixel pixel = window_of(v, x, k);
        if (v.vec_channels) {
            const float* p = under(v, pixel, at.t[0]);
            return p ? quad_at(p) : s;
        }
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            const float* p = line + e < lines ? under(v, pixel, at.t[e]) : nullptr;
            if (p) s.q[e] = *p;
        }
        return s;
    }
};

// y = x * w + bias. Grid: tiles of pixels, tiles of O/g, groups. weight [g][kh kw C/g][O/g].
template <int TILE, int WIDE>
__device__ __forceinline__ void forward(const float* x, const float* weight, const float* bias, float* y, const Conv& v) {
    u32 group = blockIdx.z, pixels = v.images * v.out[0] * v.out[1];
    u32 depth = v.kernel[0] * v.kernel[1] * v.group_channels;
    PatchRows rows = {v, x + group * v.group_channels, pixels};
    Matrix<false> columns = {weight + (u64)group * depth * v.group_outputs, v.group_outputs, 1, v.group_outputs,
                             v.vec_outputs};
    Out out = {y + group * v.group_outputs, bias ? bias + group * v.group_outputs : nullptr, pixels, v.group_outputs,
               v.outputs, 1, 1, v.vec_outputs};
    tile<TILE, WIDE>(rows, columns, out, blockIdx.x * TILE, blockIdx.y * TILE, 0, depth);
}

// One axis of a phase: pixels first, first + stride, .. (`pixels` of them) see the taps tap, tap + step, .. (`taps`);
// tap j of pixel t falls on row start + t - j back of g.
struct Axis {
    int first, pixels, tap, taps, start, back;
};

__device__ __forceinline__ Axis axis_of(const Conv& v, int d, int phase) {
    int stride = v.stride[d], tap = 0;
    Axis a;
    a.first = (phase + stride - v.padding[d] % stride) % stride;
    a.pixels = a.first < v.size[d] ? (v.size[d] - a.first - 1) / stride + 1 : 0;
    // The first tap that a pixel of this phase sees; taps repeat after `step`.
    while (tap < v.step[d] && (tap * v.dilation[d]) % stride != phase) tap++;
    a.tap = tap;
    a.taps = tap < v.step[d] && tap < v.kernel[d] ? (v.kernel[d] - tap - 1) / v.step[d] + 1 : 0;
    // first + padding - tap dilation is a multiple of the stride, maybe a negative one.
    a.start = a.taps > 0 ? (a.first + v.padding[d] - tap * v.dilation[d]) / stride : 0;
    a.back = v.step[d] * v.dilation[d] / stride;
    return a;
}

// The gradient at the taps of a phase: lines are its pixels, depth is (jy, jx, o).
struct PhaseRows {
    static const bool DEEP = true;
    const Conv& v;
    const float* g;
    Axis ys, xs;
    u32 lines;

    typedef Pixel At;
    __device__ __forceinline__ At at(u32 line) const {
        if (line >= lines) return {g, 0, 0};
        u32 column = line % xs.pixels, rest = line / xs.pixels, row = rest % ys.pixels, image = rest / ys.pixels;
        return {g + (u64)image * v.out[0] * v.out[1] * v.outputs, ys.start + (int)row, xs.start + (int)column};
    }
    __device__ __forceinline__ const float* under(const At& at, u32 k) const {
        u32 tap = quotient(k, v.by_group_outputs), o = k - tap * v.group_outputs;
        int jy = (int)tap / xs.taps, y = at.y - jy * ys.back, x = at.x - ((int)tap - jy * xs.taps) * xs.back;
        bool inside = (u32)y < (u32)v.out[0] && (u32)x < (u32)v.out[1];
        return inside ? at.image + ((u64)y * v.out[1] + x) * v.outputs + o : nullptr;
    }
    __device__ __forceinline__ Stage load(const At& at, u32 line, u32 k, u32 end) const {
        Stage s = {{0.0f, 0.0f, 0.0f, 0.0f}};
        if (line >= lines || k >= end) return s;
        if (v.vec_outputs) {
            const float* p = under(at, k);
            return p ? quad_at(p) : s;
        }
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            const float* p = k + e < end ? under(at, k + e) : nullptr;
            if (p) s.q[e] = *p;
        }
        return s;
    }
};

// The weights [kh][kw][O/g][C/g] at the taps of a phase: lines are channels, depth is (jy, jx, o).
struct PhaseWeights {
    static const bool DEEP = false;
    const Conv& v;
    const float* weight;
    Axis ys, xs;

    struct At {};
    __device__ __forceinline__ At at(u32) const { return {}; }
    __device__ __forceinline__ Stage load(At, u32 line, u32 k, u32 end) const {
        Stage s = {{0.0f, 0.0f, 0.0f, 0.0f}};
        if (line >= v.group_channels || k >= end) return s;
        u32 tap = quotient(k, v.by_group_outputs), o = k - tap * v.group_outputs;
        int jy = (int)tap / xs.taps, ky = ys.tap + jy * v.step[0];
        int kx = xs.tap + ((int)tap - jy * xs.taps) * v.step[1];
        const float* p = weight + ((u64)(ky * v.kernel[1] + kx) * v.group_outputs + o) * v.group_channels + line;
        if (v.vec_channels) return quad_at(p);
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            if (line + e < v.group_channels) s.q[e] = p[e];
        }
        return s;
    }
};

struct PhaseOut {
    Out out;  // of the whole image's pixels
    const Conv& v;
    Axis ys, xs;

    __device__ __forceinline__ void put(u32 i, u32 j, const float* sum) const {
        if (i >= out.rows) return;
        u32 t = i % xs.pixels, rest = i / xs.pixels, row = rest % ys.pixels, image = rest / ys.pixels;
        u64 pixel = ((u64)image * v.size[0] + ys.first + row * v.stride[0]) * v.size[1] + xs.first + t * v.stride[1];
        out.put_at(out.p + pixel * out.row_stride, j, sum);
    }
};

// dx = g * w^T + bias. Grid: tiles of the largest phase's pixels, tiles of C/g, groups x phases.
// weight [g][kh][kw][O/g][C/g].
template <int TILE, int WIDE>
__device__ __forceinline__ void input_grad(const float* g, const float* weight, const float* bias, float* dx,
                                           const Conv& v) {
    u32 phases = v.stride[0] * v.stride[1], group = blockIdx.z / phases, phase = blockIdx.z - group * phases;
    Axis ys = axis_of(v, 0, phase / v.stride[1]), xs = axis_of(v, 1, phase % v.stride[1]);
    u32 pixels = v.images * ys.pixels * xs.pixels;
    if (blockIdx.x * TILE >= pixels) return;
    PhaseRows rows = {v, g + group * v.group_outputs, ys, xs, pixels};
    u64 taps = v.kernel[0] * v.kernel[1];
    PhaseWeights columns = {v, weight + group * taps * v.group_outputs * v.group_channels, ys, xs};
    Out whole = {dx + group * v.group_channels, bias ? bias + group * v.group_channels : nullptr, pixels,
                 v.group_channels, v.channels, 1, 1, v.vec_channels};
    PhaseOut out = {whole, v, ys, xs};
    tile<TILE, WIDE>(rows, columns, out, blockIdx.x * TILE, blockIdx.y * TILE, 0, ys.taps * xs.taps * v.group_outputs);
}

#define THIN 4
#define PIXELS 4

// dx = g * w^T + bias for up to THIN channels, of which a tile would be mostly empty: the layer that makes pictures. A
// warp takes PIXELS pixels of a phase; its lanes share out the depth (neighbouring lanes read neighbouring channels of
// g), each weight is read once for all its pixels, and shuffles add up the lanes.
// Grid: 8 PIXELS pixels of the largest phase, 1, groups x phases.
KERNEL(256) conv2d_input_grad_thin(const float* g, const float* weight, const float* bias, float* dx, Conv v) {
    u32 phases = v.stride[0] * v.stride[1], group = blockIdx.z / phases, phase = blockIdx.z - group * phases;
    Axis ys = axis_of(v, 0, phase / v.stride[1]), xs = axis_of(v, 1, phase % v.stride[1]);
    u32 pixels = v.images * ys.pixels * xs.pixels, lane = threadIdx.x % 32;
    u32 first = (blockIdx.x * 8 + threadIdx.x / 32) * PIXELS;
    if (first >= pixels) return;
    PhaseRows rows = {v, g + group * v.group_outputs, ys, xs, pixels};
    weight += (u64)group * v.kernel[0] * v.kernel[1] * v.group_outputs * v.group_channels;
    Pixel at[PIXELS];
    float sum[PIXELS][THIN] = {};
#pragma unroll
    for (u32 p = 0; p < PIXELS; p++) at[p] = rows.at(first + p);
    for (int jy = 0; jy < ys.taps; jy++) {
        for (int jx = 0; jx < xs.taps; jx++) {
            const float* from[PIXELS];
#pragma unroll
            for (u32 p = 0; p < PIXELS; p++) {
                int y = at[p].y - jy * ys.back, x = at[p].x - jx * xs.back;
                bool inside = first + p < pixels && (u32)y < (u32)v.out[0] && (u32)x < (u32)v.out[1];
                from[p] = inside ? at[p].image + ((u64)y * v.out[1] + x) * v.outputs : nullptr;
            }
            u32 tap = (ys.tap + jy * v.step[0]) * v.kernel[1] + xs.tap + jx * v.step[1];
            const float* weights = weight + (u64)tap * v.group_outputs * v.group_channels;
            for (u32 o = lane; o < v.group_outputs; o += 32) {
                float w[THIN];
#pragma unroll
                for (u32 c = 0; c < THIN; c++) {
                    w[c] = c < v.group_channels ? weights[(u64)o * v.group_channels + c] : 0.0f;
                }
#pragma unroll
                for (u32 p = 0; p < PIXELS; p++) {
                    float x = from[p] ? from[p][o] : 0.0f;
#pragma unroll
                    for (u32 c = 0; c < THIN; c++) sum[p][c] = fmaf(x, w[c], sum[p][c]);
                }
            }
        }
    }
#pragma unroll
    for (u32 p = 0; p < PIXELS; p++) {
        u32 i = first + p, t = i % xs.pixels, rest = i / xs.pixels, row = rest % ys.pixels, image = rest / ys.pixels;
        u64 pixel = ((u64)image * v.size[0] + ys.first + row * v.stride[0]) * v.size[1] + xs.first + t * v.stride[1];
#pragma unroll
        for (u32 c = 0; c < THIN; c++) {
            if (c >= v.group_channels) break;  // the same for all lanes
            float total = warp_reduce<Sum>(sum[p][c]);
            u32 channel = group * v.group_channels + c;
            if (lane == c && i < pixels) dx[pixel * v.channels + channel] = total + (bias ? bias[channel] : 0.0f);
        }
    }
}

// dw as [splits][g][O/g][kh kw C/g]. Grid: tiles of O/g, tiles of kh kw C/g, groups x splits of the pixels.
template <int TILE, int WIDE>
__device__ __forceinline__ void weight_grad(const float* x, const float* g, float* dw, const Conv& v) {
    u32 group = blockIdx.z / v.splits, split = blockIdx.z - group * v.splits;
    u32 groups = gridDim.z / v.splits, pixels = v.images * v.out[0] * v.out[1];
    u32 columns = v.kernel[0] * v.kernel[1] * v.group_channels;
    Matrix<false> rows = {g + group * v.group_outputs, v.group_outputs, 1, v.outputs, v.vec_outputs};
    PatchColumns patches = {v, x + group * v.group_channels, columns};
    Out out = {dw + (u64)(split * groups + group) * v.group_outputs * columns, nullptr, v.group_outputs, columns, columns,
               1, 0, v.vec_channels};
    u32 begin = split * v.length, end = min(begin + v.length, pixels);
    tile<TILE, WIDE>(rows, patches, out, blockIdx.x * TILE, blockIdx.y * TILE, begin, end);
}

#define OF_TILE(TILE, WIDE) \
    KERNEL_SHARING(2 * TILE, 256 / TILE) conv2d_##TILE(const float* x, const float* weight, const float* bias, float* y, Conv v) { \
        forward<TILE, WIDE>(x, weight, bias, y, v); \
    } \
    KERNEL_SHARING(2 * TILE, 256 / TILE) conv2d_input_grad_##TILE(const float* g, const float* weight, const float* bias, float* dx, \
                                              Conv v) { \
        input_grad<TILE, WIDE>(g, weight, bias, dx, v); \
    } \
    KERNEL_SHARING(2 * TILE, 256 / TILE) conv2d_weight_grad_##TILE(const float* x, const float* g, float* dw, Conv v) { \
        weight_grad<TILE, WIDE>(x, g, dw, v); \
    }
OF_TILE(128, 8)
OF_TILE(64, 4)
