// Made to be wide: intrinsics and operators that reach instruction forms the plain kernels do not.

__device__ float half_to_float(unsigned short h) { float f; asm("{ .reg .b16 t; mov.b16 t, %1; cvt.f32.f16 %0, t; }" : "=f"(f) : "h"(h)); return f; }
__device__ unsigned short float_to_half(float f) { unsigned short h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f)); return h; }

__device__ int dp4a_s(int a, int b, int c) { int d; asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c)); return d; }
__device__ unsigned dp4a_u(unsigned a, unsigned b, unsigned c) { unsigned d; asm("dp4a.u32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c)); return d; }

extern "C" __global__ void wide_int(const int *x, const unsigned *y, const long long *z, int *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int a = x[i]; unsigned b = y[i]; long long c = z[i]; unsigned long long d = (unsigned long long)c;
    int *o = out + i * 48; int k = 0;
    o[k++] = abs(a); o[k++] = -a; o[k++] = min(a, (int)b); o[k++] = max(a, (int)b);
    o[k++] = min((unsigned)a, b); o[k++] = max((unsigned)a, b);
    o[k++] = __mulhi(a, (int)b); o[k++] = __umulhi(a, b);
    o[k++] = (int)(((long long)a * (int)b + c) >> 13);
    o[k++] = (int)(__mul64hi(c, (long long)b * a)); o[k++] = (int)(__umul64hi(d, d) >> 7);
    o[k++] = b ? a / (int)(b | 1) : 0; o[k++] = (unsigned)a / (b | 1); o[k++] = a % (int)(b | 1); o[k++] = (unsigned)a % (b | 1);
    o[k++] = (int)(c / (a | 1)); o[k++] = (int)(d % (b | 1));
    o[k++] = __funnelshift_l(a, b, b & 63); o[k++] = __funnelshift_r(a, b, b & 63); o[k++] = __funnelshift_lc(a, b, b & 63);
    o[k++] = __popc(b); o[k++] = __popcll(d); o[k++] = __clz(a); o[k++] = __clzll(c); o[k++] = __brev(b);
    o[k++] = (int)__brevll(d); o[k++] = __ffs(a); o[k++] = __ffsll(c); o[k++] = __byte_perm(a, b, 0x5140);
    o[k++] = a << (b & 31); o[k++] = a >> (b & 31); o[k++] = (unsigned)a >> (b & 31); o[k++] = (int)(c >> (b & 63)); o[k++] = (int)(c << (b & 31));
    o[k++] = __sad(a, (int)b, 7u); o[k++] = __usad(a, b, 7u); o[k++] = __mul24(a, b); o[k++] = __umul24(a, b);
    o[k++] = __hadd(a, (int)b); o[k++] = __rhadd(a, (int)b);
    o[k++] = dp4a_s(a, (int)b, 5); o[k++] = dp4a_u((unsigned)a, b, 5u);
    o[k++] = (signed char)a; o[k++] = (short)b; o[k++] = (unsigned char)b; o[k++] = (int)(c < (long long)a) + 2 * (d >= b);
    short s = (short)a; unsigned short u = (unsigned short)b; o[k++] = (short)(s * (short)u); o[k++] = (u >> 3) - (s << 2);
}

extern "C" __global__ void wide_float(const float *x, const float *y, const float *z, float *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a = x[i], b = y[i], c = z[i];
    float *o = out + i * 64; int k = 0;
    o[k++] = fabsf(a); o[k++] = -a; o[k++] = fminf(a, b); o[k++] = fmaxf(a, b);
    o[k++] = __fadd_rn(a, b); o[k++] = __fadd_rz(a, b); o[k++] = __fadd_ru(a, b); o[k++] = __fadd_rd(a, b);
    o[k++] = __fmul_rn(a, b); o[k++] = __fmul_rz(a, b); o[k++] = __fmul_ru(a, b); o[k++] = __fmul_rd(a, b);
    o[k++] = __fmaf_rn(a, b, c); o[k++] = __fmaf_rz(a, b, c); o[k++] = __fmaf_ru(a, b, c); o[k++] = __fmaf_rd(a, b, c);
    o[k++] = __fdiv_rn(a, b); o[k++] = __fdiv_rz(a, b); o[k++] = __fdiv_ru(a, b); o[k++] = __fdiv_rd(a, b);
    o[k++] = __fsqrt_rn(a); o[k++] = __fsqrt_rz(a); o[k++] = __frcp_rn(a); o[k++] = __frcp_rz(a);
    o[k++] = rintf(a); o[k++] = floorf(a); o[k++] = ceilf(a); o[k++] = truncf(a); o[k++] = roundf(a);
    o[k++] = __saturatef(a); o[k++] = copysignf(a, b); o[k++] = fmodf(a, b);
    o[k++] = (float)(int)a; o[k++] = (float)(unsigned)a; o[k++] = (float)(long long)a; o[k++] = (float)__float2int_rn(a);
    o[k++] = (float)__float2int_ru(a); o[k++] = (float)__float2int_rd(a); o[k++] = (float)(short)a; o[k++] = (float)(signed char)a;
    o[k++] = half_to_float(float_to_half(a)); o[k++] = (float)(a < b) + 2.f * (a <= c) + 4.f * !(a >= b) + 8.f * (a != c);
    o[k++] = expf(a); o[k++] = logf(a); o[k++] = exp2f(a); o[k++] = log1pf(a); o[k++] = expm1f(a); o[k++] = tanhf(a); o[k++] = erff(a);
    o[k++] = cbrtf(a); o[k++] = powf(a, b); o[k++] = atan2f(a, b); o[k++] = rsqrtf(a); o[k++] = hypotf(a, b); o[k++] = lgammaf(a);
    o[k++] = isnan(a) ? 1.f : 0.f; o[k++] = signbit(a) ? 1.f : 0.f; o[k++] = isinf(a) ? 1.f : 0.f; o[k++] = nextafterf(a, b);
    int e; o[k++] = frexpf(a, &e); o[k++] = (float)e; o[k++] = ldexpf(a, 3); o[k++] = sinf(a); o[k++] = cosf(a);
}

extern "C" __global__ void wide_double(const double *x, const double *y, double *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double a = x[i], b = y[i];
    double *o = out + i * 32; int k = 0;
    o[k++] = a + b; o[k++] = a * b; o[k++] = fma(a, b, a); o[k++] = a / b; o[k++] = sqrt(a); o[k++] = fabs(a); o[k++] = fmin(a, b);
    o[k++] = fmax(a, b); o[k++] = (float)a; o[k++] = (double)(int)a; o[k++] = (double)(long long)b; o[k++] = (double)(unsigned)a;
    o[k++] = rint(a); o[k++] = floor(b); o[k++] = ceil(a); o[k++] = trunc(b); o[k++] = a < b ? a : -b;
    o[k++] = exp(a); o[k++] = log(a); o[k++] = sin(a); o[k++] = pow(a, b); o[k++] = tanh(b); o[k++] = rsqrt(a); o[k++] = cbrt(a);
    o[k++] = (a != b) + 2 * (a >= b); o[k++] = (double)__double2float_rz(a); o[k++] = copysign(a, b);
    o[k++] = __longlong_as_double(__double_as_longlong(a) ^ 1); o[k++] = __hiloint2double(__double2hiint(a), __double2loint(b));
    o[k++] = __dadd_rz(a, b); o[k++] = __dmul_ru(a, b); o[k++] = __fma_rd(a, b, b);
}

// The rest go through inline PTX or target-free builtins; one warp a block.
extern "C" __global__ void wide_warp(const int *x, int *out) {
    int lane = threadIdx.x & 31;
    int v = x[blockIdx.x * 32 + lane];
    int *o = out + (blockIdx.x * 32 + lane) * 24; int k = 0;
    const unsigned all = 0xffffffffu;
    o[k++] = __shfl_sync(all, v, 5); o[k++] = __shfl_sync(all, v, lane * 3, 8); o[k++] = __shfl_up_sync(all, v, 3);
    o[k++] = __shfl_up_sync(all, v, 1, 16); o[k++] = __shfl_down_sync(all, v, 7); o[k++] = __shfl_xor_sync(all, v, 9, 16);
    o[k++] = __any_sync(all, v > 3); o[k++] = __all_sync(all, v > -100); o[k++] = __ballot_sync(all, v & 1);
    o[k++] = __match_any_sync(all, v & 3); int p; o[k++] = __match_all_sync(all, v & 0, &p); o[k++] = p;
    o[k++] = __activemask();
    if (lane & 1) { __syncwarp(0xaaaaaaaau); o[k++] = __shfl_sync(0xaaaaaaaau, v, 1); } else o[k++] = 0;
    o[k++] = __syncthreads_or(v == 4); o[k++] = __syncthreads_and(v < 1000); o[k++] = __syncthreads_count(v & 1);
    double d = __shfl_xor_sync(all, (double)v, 4); o[k++] = (int)d;
    o[k++] = __shfl_sync(all, (long long)v << 20, 9) >> 18;
    __shared__ int s[32];
    s[lane] = v; __syncwarp();
    o[k++] = s[31 - lane]; __threadfence_block();
    o[k++] = (int)(threadIdx.x + 32 * gridDim.x);
}

extern "C" __global__ void wide_atomics(int *i32, unsigned *u32, unsigned long long *u64, float *f32, const int *x) {
    int t = blockIdx.x * blockDim.x + threadIdx.x; int v = x[t];
    atomicAdd(&i32[0], v); atomicSub(&i32[1], v); atomicMin(&i32[2], v); atomicMax(&i32[3], v);
    atomicAnd(&u32[0], ~(1u << (v & 31))); atomicOr(&u32[1], 1u << (v & 31)); atomicXor(&u32[2], v);
    atomicInc(&u32[3], 17); atomicDec(&u32[4], 1000); atomicCAS(&i32[4], 0, 1); atomicExch(&i32[5], 77);
    atomicAdd(&u64[0], (unsigned long long)v); atomicMax(&u64[1], (unsigned long long)(unsigned)v); atomicCAS(&u64[2], 0ull, 5ull);
    atomicMin(&u64[3], (unsigned long long)(unsigned)v); atomicAdd(&f32[0], (float)(v & 255));
    atomicAdd_block(&i32[6], 1); __threadfence(); __threadfence_system();
    __shared__ unsigned s[4];
    if (threadIdx.x < 4) s[threadIdx.x] = 0;
    __syncthreads();
    atomicAdd(&s[0], 1u); atomicMax(&s[1], (unsigned)v & 0xffff); atomicXor(&s[2], v); unsigned old = atomicAdd(&s[3], 2u);
    __syncthreads();
    if (threadIdx.x < 4) atomicAdd(&u32[8 + threadIdx.x], s[threadIdx.x]);
    if (old == 2u * (blockDim.x - 1)) atomicAdd(&i32[7], 1);
}

__device__ int noisy(int v, int *hist) { int a[8]; for (int i = 0; i < 8; i++) a[i] = v * i; int s = 0; for (int i = 0; i < 8; i++) s += a[(hist[i] + v) & 7] * i; return s; }
extern "C" __global__ void wide_local(int *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i + 8] = noisy(x[i + 8], x);
}
