// Max pooling: where the largest element of each window is. Images are dense in channels-last order.
//
// One thread an element of the result; lanes are neighbouring channels, so every access is coalesced. Bytes moved: the
// image once in for windows that do not overlap, 8 a result out.
#include "common.cuh"

struct Window {
    int kernel[2], stride[2], padding[2];
    int size[2];  // of the image
    Divisor columns, rows, channels;  // of the result
};

// out = y * width + x of the largest element, the first of equal ones; NaN counts as larger than any number.
KERNEL(256) argmax_pool2d_f32(const float* x, i64* out, Window w, u32 n) {
    u32 at = global_thread();
    if (at >= n) return;
    u32 pixel = quotient(at, w.channels), c = at - pixel * w.channels.d;
    u32 line = quotient(pixel, w.columns), column = pixel - line * w.columns.d;
    u32 image = quotient(line, w.rows), row = line - image * w.rows.d;
    int y0 = (int)row * w.stride[0] - w.padding[0], x0 = (int)column * w.stride[1] - w.padding[1];
    int y1 = min(y0 + w.kernel[0], w.size[0]), x1 = min(x0 + w.kernel[1], w.size[1]);
    y0 = max(y0, 0), x0 = max(x0, 0);
    const float* own = x + (u64)image * w.size[0] * w.size[1] * w.channels.d + c;
    int best = y0 * w.size[1] + x0;
    float largest = own[(u64)best * w.channels.d];
    for (int y = y0; y < y1; y++) {
        for (int column = x0; column < x1; column++) {
            int place = y * w.size[1] + column;
            float v = own[(u64)place * w.channels.d];
            // The first NaN stays: nothing compares larger, and it is not looked for again.
            if (v > largest || (v != v && largest == largest)) largest = v, best = place;
        }
    }
    out[at] = best;
}
