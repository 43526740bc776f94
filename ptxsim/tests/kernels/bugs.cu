// Planted bugs: the comment `BUG kernel` marks the line that the report must name.

extern "C" __global__ void missing_barrier(const float *x, float *y) {
    __shared__ float s[256];
    s[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = s[255 - threadIdx.x]; // BUG missing_barrier
}

// The tile is filled again while other warps still read it.
extern "C" __global__ void missing_second_barrier(const float *x, float *y) {
    __shared__ float s[128];
    float sum = 0.f;
    for (int round = 0; round < 4; round++) {
        s[threadIdx.x] = x[round * 128 + threadIdx.x];
        __syncthreads();
        for (int i = 0; i < 128; i++) sum += s[i]; // BUG missing_second_barrier
    }
    y[threadIdx.x] = sum;
}

extern "C" __global__ void two_writers(int *y) {
    __shared__ int s[64];
    s[threadIdx.x & 31] = threadIdx.x; // BUG two_writers
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x & 31];
}

extern "C" __global__ void off_by_one(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) y[i] = 2.f; // BUG off_by_one
}

extern "C" __global__ void negative_index(const float *x, float *y, int n) {
    int i = threadIdx.x;
    if (i < n) y[i] = x[i - 1]; // BUG negative_index
}

extern "C" __global__ void misaligned_vector(const float *x, float *y) {
    float4 v = *(const float4 *)(x + threadIdx.x + 1); // BUG misaligned_vector
    y[threadIdx.x] = v.x + v.w;
}

extern "C" __global__ void divergent_barrier(float *y) {
    if (threadIdx.x < 40) {
        y[threadIdx.x] = 1.f;
        __syncthreads(); // BUG divergent_barrier
    }
    y[threadIdx.x] += 1.f;
}

extern "C" __global__ void left_before_barrier(const float *x, float *y, int n) {
    if (threadIdx.x >= n) return;
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads(); // BUG left_before_barrier
    y[threadIdx.x] = s[0];
}

extern "C" __global__ void unwritten_shared(float *y) {
    __shared__ float s[64];
    if (threadIdx.x < 60) s[threadIdx.x] = 1.f;
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x]; // BUG unwritten_shared
}

extern "C" __global__ void unwritten_global(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x]; // BUG unwritten_global
}

extern "C" __global__ void read_after_free(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x]; // BUG read_after_free
}

extern "C" __global__ void write_after_free(float *y) {
    y[threadIdx.x] = 1.f; // BUG write_after_free
}

extern "C" __global__ void shared_out_of_bounds(float *y, int shift) {
    extern __shared__ float dyn[];
    dyn[threadIdx.x + shift] = 1.f; // BUG shared_out_of_bounds
    __syncthreads();
    y[threadIdx.x] = dyn[shift];
}

extern "C" __global__ void local_out_of_bounds(const int *x, int *y) {
    int a[8];
    for (int i = 0; i < 8; i++) a[i] = x[i];
    int s = 0;
    for (int i = 0; i < 8; i++) s += a[x[i] * 3]; // BUG local_out_of_bounds
    y[threadIdx.x] = s;
}

struct Args { float scale; int n; float *y; };
extern "C" __global__ void struct_by_value(Args a) {
    if (threadIdx.x < a.n) a.y[threadIdx.x] = a.scale; // BUG struct_by_value
}

extern "C" __global__ void __launch_bounds__(128) bounded(float *y) { y[threadIdx.x] = 1.f; }

extern "C" __global__ void host_pointer(float *y) {
    y[threadIdx.x] = 1.f; // BUG host_pointer
}

extern "C" __global__ void null_pointer(float *y) {
    y[threadIdx.x] = 1.f; // BUG null_pointer
}

extern "C" __global__ void absent_lanes(int *y) {
    int v = threadIdx.x;
    if (threadIdx.x < 20) v = __shfl_xor_sync(0xffffffffu, v, 1); // BUG absent_lanes
    y[threadIdx.x] = v;
}

extern "C" __global__ void trapping(int *y) {
    if (threadIdx.x == 3) __trap(); // BUG trapping
    y[threadIdx.x] = 1;
}

// Waits for a block that comes after it.
extern "C" __global__ void endless(volatile int *flag) {
    if (blockIdx.x == 0) {
        while (flag[0] == 0) { // BUG endless
        }
    } else {
        flag[0] = 1;
    }
}

// No bugs, though they come near: what must not be reported.
extern "C" __global__ void innocent_bytes(unsigned char *y) {
    __shared__ unsigned char s[64];
    // Two warps write neighbouring bytes of one word's range, none the same byte.
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
}

extern "C" __global__ void innocent_reuse(const float *x, float *y) {
    __shared__ float s[64];
    float sum = 0.f;
    for (int round = 0; round < 3; round++) {
        s[threadIdx.x] = x[round * 64 + threadIdx.x];
        __syncthreads();
        for (int i = 0; i < 64; i++) sum += s[i];
        __syncthreads();
    }
    y[threadIdx.x] = sum;
}

extern "C" __global__ void innocent_atomics(int *y) {
    __shared__ int s[2];
    if (threadIdx.x < 2) s[threadIdx.x] = 0;
    __syncthreads();
    atomicAdd(&s[threadIdx.x & 1], 1);
    __syncthreads();
    if (threadIdx.x < 2) y[threadIdx.x] = s[threadIdx.x];
}

// A warp may pass values through shared memory with no more than __syncwarp.
extern "C" __global__ void innocent_warp(int *y) {
    __shared__ int s[64];
    s[threadIdx.x] = threadIdx.x;
    __syncwarp();
    y[threadIdx.x] = s[threadIdx.x ^ 1];
}
