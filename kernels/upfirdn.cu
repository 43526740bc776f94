// Upsampling, filtering, downsampling of channels-last images (the resampling of StyleGAN, Karras et al. 2019).
//
// out[n, c, i, j] = sum over taps (k, l) of filter[k, l] z[n, c, i down0 + k - pad0, j down1 + l - pad1], z being x with
// up - 1 zeros after each element. One thread an element; taps that fall on inserted zeros are stepped over, not
// multiplied: a thread visits ceil(taps / up) of them along each dimension. Lanes are neighbouring channels.
#include "common.cuh"

struct Resampling {
    int up[2], down[2], pad[2], taps[2];
    int size[2];  // of the image
    Divisor columns, rows, channels;  // of the result
    u32 flip;
};

KERNEL(256) upfirdn2d_f32(const float* x, const float* filter, float* out, Resampling p, u32 n) {
    u32 at = global_thread();
    if (at >= n) return;
    u32 pixel = quotient(at, p.channels), c = at - pixel * p.channels.d;
    u32 line = quotient(pixel, p.columns), column = pixel - line * p.columns.d;
    u32 image = quotient(line, p.rows), row = line - image * p.rows.d;
    int y0 = (int)row * p.down[0] - p.pad[0], x0 = (int)column * p.down[1] - p.pad[1];
    // The first tap that falls on an input: y0 + k is a multiple of up and not negative.
    int k0 = y0 <= 0 ? -y0 : (p.up[0] - y0 % p.up[0]) % p.up[0];
    int l0 = x0 <= 0 ? -x0 : (p.up[1] - x0 % p.up[1]) % p.up[1];
    const float* own = x + (u64)image * p.size[0] * p.size[1] * p.channels.d + c;
    float sum = 0.0f;
    for (int k = k0; k < p.taps[0]; k += p.up[0]) {
        int y = (y0 + k) / p.up[0];
        if (y >= p.size[0]) break;
        for (int l = l0; l < p.taps[1]; l += p.up[1]) {
            int column = (x0 + l) / p.up[1];
            if (column >= p.size[1]) break;
            int tap = p.flip ? (p.taps[0] - 1 - k) * p.taps[1] + (p.taps[1] - 1 - l) : k * p.taps[1] + l;
            sum = fmaf(filter[tap], own[((u64)y * p.size[1] + column) * p.channels.d], sum);
        }
    }
    out[at] = sum;
}
