// Optimiser steps: SGD, Adam, RMSprop, with the gradient's scale and clip and the moving average of the parameters, in
// one pass over all parameters.
//
// The table of parameters travels by value, up to ROWS at a launch; block b finds its row by the first blocks of the
// rows. Bytes moved by Adam with an average: 5 n in, 4 n out; a dozen FLOP, a root and a division an element: bound by
// memory. The arithmetic is that of src/backend/cpu/update.rs, operation for operation.
#include "common.cuh"

#define ROWS 32
#define PER_BLOCK 1024

struct Row {
    float* param;
    const float* grad;
    float* moments[3];
    float* ema;
    u32 length, first_block;
    float scale, limit;        // g <- clamp(scale g, -limit, limit)
    float ema_keep, ema_enter;
};
struct Table {
    u32 rows;
    Row row[ROWS];
};

// By comparisons that are false for NaN, which so goes through.
__device__ __forceinline__ float clipped(const Row& r, float g) {
    g = r.scale * g;
    g = g > r.limit ? r.limit : g;
    return g < -r.limit ? -r.limit : g;
}

__device__ __forceinline__ const Row& own_row(const Table& t) {
    u32 r = 0;
    while (r + 1 < t.rows && t.row[r + 1].first_block <= blockIdx.x) r++;
    return t.row[r];
}

template <class Rule>
__device__ __forceinline__ void update(const Table& t, const Rule& rule) {
    const Row& r = own_row(t);
    u32 first = (blockIdx.x - r.first_block) * PER_BLOCK, end = min(first + PER_BLOCK, r.length);
    for (u32 i = first + threadIdx.x; i < end; i += 256) {
        float p = rule.moved(r, r.param[i], clipped(r, r.grad[i]), i);
        r.param[i] = p;
        if (r.ema) r.ema[i] = r.ema_keep * r.ema[i] + r.ema_enter * p;
    }
}

struct Sgd {
    float lr, weight_decay, momentum, keep, enter;
    u32 nesterov;
    __device__ __forceinline__ float moved(const Row& r, float p, float g, u32 i) const {
        g = g + weight_decay * p;
        if (!r.moments[0]) return p - lr * g;
        float b = keep * r.moments[0][i] + enter * g;
        r.moments[0][i] = b;
        return p - lr * (nesterov ? g + momentum * b : b);
    }
};

struct Adam {
    float step, rescale, beta1, beta2, enter1, enter2, eps, shrink, weight_decay;
    __device__ __forceinline__ float moved(const Row& r, float p, float g, u32 i) const {
        g = g + weight_decay * p;
        float m = beta1 * r.moments[0][i] + enter1 * g;
        float v = beta2 * r.moments[1][i] + enter2 * (g * g);
        r.moments[0][i] = m;
        r.moments[1][i] = v;
        if (r.moments[2]) {
            float largest = r.moments[2][i];
            v = largest >= v ? largest : v;  // NaN goes on into the largest
            r.moments[2][i] = v;
        }
        return shrink * p - step * m / (sqrtf(v) * rescale + eps);
    }
};

struct RmsProp {
    float lr, alpha, enter, eps, weight_decay, momentum;
    u32 centered;
    // Moments: the mean square, then the momentum buffer (or null), then the mean.
    __device__ __forceinline__ float moved(const Row& r, float p, float g, u32 i) const {
        g = g + weight_decay * p;
        float s = alpha * r.moments[0][i] + enter * (g * g);
        r.moments[0][i] = s;
        if (centered) {
            float a = alpha * r.moments[2][i] + enter * g;
            r.moments[2][i] = a;
            s = s - a * a;
            s = s < 0.0f ? 0.0f : s;  // rounding can leave less than nothing of a constant gradient's variance
        }
        float d = g / (sqrtf(s) + eps);
        if (!r.moments[1]) return p - lr * d;
        float b = momentum * r.moments[1][i] + d;
        r.moments[1][i] = b;
        return p - lr * b;
    }
};

KERNEL(256) sgd(Table t, Sgd rule) { update(t, rule); }
KERNEL(256) adam(Table t, Adam rule) { update(t, rule); }
KERNEL(256) rmsprop(Table t, RmsProp rule) { update(t, rule); }
