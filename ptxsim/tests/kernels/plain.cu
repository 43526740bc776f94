// Plain kernels: what a tensor library's elementwise maps, reductions and products compile to.

extern "C" __global__ void vec_add(const float *a, const float *b, float *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

extern "C" __global__ void leaky4(const float4 *x, float4 *y, long long n, float slope) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        float4 v = x[i];
        v.x = v.x > 0.f ? v.x : slope * v.x;
        v.y = v.y > 0.f ? v.y : slope * v.y;
        v.z = v.z > 0.f ? v.z : slope * v.z;
        v.w = v.w > 0.f ? v.w : slope * v.w;
        y[i] = v;
    }
}

// One sum per block, combined by the host.
extern "C" __global__ void __launch_bounds__(256) block_sum(const float *x, float *out, int n) {
    __shared__ float part[8];
    float s = 0.f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) s += x[i];
    for (int o = 16; o > 0; o >>= 1) s += __shfl_down_sync(0xffffffffu, s, o);
    if ((threadIdx.x & 31) == 0) part[threadIdx.x >> 5] = s;
    __syncthreads();
    if (threadIdx.x < 32) {
        s = threadIdx.x < (blockDim.x >> 5) ? part[threadIdx.x] : 0.f;
        for (int o = 4; o > 0; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
        if (threadIdx.x == 0) out[blockIdx.x] = s;
    }
}

// C = A B, row-major; 64x64 tile, 16 deep, 4x4 a thread, 256 threads.
extern "C" __global__ void __launch_bounds__(256) sgemm(const float *__restrict__ a, const float *__restrict__ b,
                                                        float *__restrict__ c, int m, int n, int k) {
    __shared__ float as[16][64 + 4];
    __shared__ float bs[16][64 + 4];
    int tx = threadIdx.x & 15, ty = threadIdx.x >> 4;
    int row0 = blockIdx.y * 64, col0 = blockIdx.x * 64;
    float acc[4][4] = {};
    for (int k0 = 0; k0 < k; k0 += 16) {
        for (int i = threadIdx.x; i < 64 * 16; i += 256) {
            int r = i >> 4, q = i & 15;
            as[q][r] = (row0 + r < m && k0 + q < k) ? a[(row0 + r) * k + k0 + q] : 0.f;
            int r2 = i >> 6, q2 = i & 63;
            bs[r2][q2] = (k0 + r2 < k && col0 + q2 < n) ? b[(k0 + r2) * n + col0 + q2] : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int q = 0; q < 16; q++) {
            float4 x = *(const float4 *)&as[q][ty * 4];
            float4 y = *(const float4 *)&bs[q][tx * 4];
            float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) acc[i][j] = fmaf(xs[i], ys[j], acc[i][j]);
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            int r = row0 + ty * 4 + i, q = col0 + tx * 4 + j;
            if (r < m && q < n) c[r * n + q] = acc[i][j];
        }
}

struct Step { float lr, beta1, beta2, eps; int t; };
extern "C" __global__ void adam(float *p, const float *g, float *m, float *v, int n, Step s) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float gi = g[i];
    float mi = m[i] = s.beta1 * m[i] + (1.f - s.beta1) * gi;
    float vi = v[i] = s.beta2 * v[i] + (1.f - s.beta2) * gi * gi;
    float mh = mi / (1.f - powf(s.beta1, (float)s.t));
    float vh = vi / (1.f - powf(s.beta2, (float)s.t));
    p[i] -= s.lr * mh / (sqrtf(vh) + s.eps);
}

// Dynamic shared memory, padded.
extern "C" __global__ void transpose(const float *x, float *y, int rows, int cols) {
    extern __shared__ float tile[];
    int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += blockDim.y)
        if (c < cols && r + j < rows) tile[(threadIdx.y + j) * 33 + threadIdx.x] = x[(r + j) * (long long)cols + c];
    __syncthreads();
    int c2 = blockIdx.y * 32 + threadIdx.x, r2 = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += blockDim.y)
        if (c2 < rows && r2 + j < cols) y[(r2 + j) * (long long)rows + c2] = tile[threadIdx.x * 33 + threadIdx.y + j];
}

__device__ __forceinline__ uint4 philox(uint4 c, uint2 k) {
#pragma unroll
    for (int i = 0; i < 10; i++) {
        unsigned h0 = __umulhi(0xD2511F53u, c.x), l0 = 0xD2511F53u * c.x;
        unsigned h1 = __umulhi(0xCD9E8D57u, c.z), l1 = 0xCD9E8D57u * c.z;
        c = make_uint4(h1 ^ c.y ^ k.x, l1, h0 ^ c.w ^ k.y, l0);
        k.x += 0x9E3779B9u;
        k.y += 0xBB67AE85u;
    }
    return c;
}
extern "C" __global__ void philox_normal(float *out, unsigned *bits, int n, unsigned seed, unsigned call) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i * 4 >= n) return;
    uint4 r = philox(make_uint4(i, 0, call, 0), make_uint2(seed, 0));
    unsigned u[4] = {r.x, r.y, r.z, r.w};
    for (int j = 0; j < 4 && i * 4 + j < n; j++) bits[i * 4 + j] = u[j];
    for (int j = 0; j < 4 && i * 4 + j < n; j += 2) {
        float rad = sqrtf(-2.f * logf((u[j] + 1.f) * 2.3283064e-10f)), s, q;
        sincosf(6.2831853f * (u[j + 1] * 2.3283064e-10f), &s, &q);
        out[i * 4 + j] = rad * q;
        if (i * 4 + j + 1 < n) out[i * 4 + j + 1] = rad * s;
    }
}

extern "C" __global__ void softmax(const float *x, float *y, const long long *label, double *loss, int cols) {
    const float *row = x + (long long)blockIdx.x * cols;
    float top = -3.402823466e38f;
    for (int i = threadIdx.x; i < cols; i += 32) top = fmaxf(top, row[i]);
    for (int o = 16; o > 0; o >>= 1) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, o));
    float sum = 0.f;
    for (int i = threadIdx.x; i < cols; i += 32) sum += expf(row[i] - top);
    for (int o = 16; o > 0; o >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, o);
    for (int i = threadIdx.x; i < cols; i += 32) y[(long long)blockIdx.x * cols + i] = __expf(row[i] - top) / sum;
    if (threadIdx.x == 0) atomicAdd(loss, (double)(logf(sum) + top - row[label[blockIdx.x]]));
}

__constant__ float taps[5] = {0.0625f, 0.25f, 0.375f, 0.25f, 0.0625f};
__device__ unsigned long long calls;
extern "C" __global__ void blur(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) atomicAdd(&calls, 1ull);
    if (i >= n) return;
    float s = 0.f;
    for (int t = -2; t <= 2; t++)
        if (i + t >= 0 && i + t < n) s += taps[t + 2] * x[i + t];
    y[i] = s;
}

// Divergence of every kind: loops of different length, breaks, switches, early returns.
extern "C" __global__ void collatz(const int *x, int *steps, int *kind, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int v = x[i], c = 0;
    while (v != 1) {
        if (v <= 0) { steps[i] = -1; kind[i] = -1; return; }
        v = (v & 1) ? 3 * v + 1 : v / 2;
        if (++c == 200) break;
    }
    unsigned together = __ballot_sync(__activemask(), c & 1);
    switch (c % 5) {
        case 0: kind[i] = c; break;
        case 1: kind[i] = c * 3; break;
        case 2: kind[i] = __popc(together); break;
        case 3: kind[i] = 7; break;
        default: kind[i] = v;
    }
    steps[i] = c;
}

// sinf's slow path brings local arrays and a table.
extern "C" __global__ void trig(const float *x, float *s, float *c, float *t, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) { s[i] = sinf(x[i]); c[i] = cosf(x[i]); t[i] = tanhf(x[i]); }
}

extern "C" __global__ void histogram(const unsigned char *x, unsigned *bins, int n) {
    __shared__ unsigned local[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&local[x[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (local[i]) atomicAdd(&bins[i], local[i]);
}

extern "C" __global__ void to_bf16(const float *x, unsigned short *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        unsigned u = __float_as_uint(x[i]);
        y[i] = (u & 0x7fffffffu) > 0x7f800000u ? 0x7fff : (unsigned short)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
    }
}
