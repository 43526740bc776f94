// Losses of a prediction p and a target t, element by element, and their derivatives.
#pragma once
#include "vmath.cuh"

// In the order of the host's table (src/backend/cuda/loss.rs).
enum LossId { LOSS_BCE, LOSS_BCE_WITH_LOGITS, LOSS_SQUARED_ERROR, LOSS_ABSOLUTE_ERROR };

__device__ __forceinline__ float at_least(float x, float floor) { return x < floor ? floor : x; }

template <u32 ID>
__device__ __forceinline__ float loss_value(float p, float t) {
    switch (ID) {
        case LOSS_BCE: return -(t * at_least(vlog(p), -100.0f) + (1.0f - t) * at_least(vlog1p(-p), -100.0f));
        case LOSS_BCE_WITH_LOGITS: return (p > 0.0f ? p : 0.0f) - p * t + vsoftplus(-fabsf(p));
        case LOSS_SQUARED_ERROR: return (p - t) * (p - t);
        default: return fabsf(p - t);
    }
}

// g times the loss's derivative in p.
template <u32 ID>
__device__ __forceinline__ float loss_slope(float g, float p, float t) {
    switch (ID) {
        case LOSS_BCE: return g * (p - t) / at_least(p * (1.0f - p), 1e-12f);
        case LOSS_BCE_WITH_LOGITS: return g * (vsigmoid(p) - t);
        case LOSS_SQUARED_ERROR: return 2.0f * (g * (p - t));
        default: return p - t > 0.0f ? g : p - t < 0.0f ? -g : 0.0f;
    }
}
