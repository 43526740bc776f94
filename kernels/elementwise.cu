// Elementwise functions of one and two operands, comparisons, selection, accumulation.
//
// Contract: out = f(x) or f(a, b). Two loops serve every function:
//
//   dense    operands lie in the same order without gaps, 16-byte aligned:   thread  0    1    2   ...
//            a thread takes four neighbours with one load and one store      element 0-3  4-7  8-11 ...
//   strided  any layouts (broadcasts have stride 0): one element a thread, places from a Nest
//
// Bytes moved: each operand once in, the result once out (4 n each for f32), against at most some forty FLOP an element:
// bound by memory. Which function it is, is an argument: the branch on it is the same for all threads, so it costs a few
// issue slots and no divergence, and one entry serves all functions of a dtype.
#include "losses.cuh"

// One of the functions with its constants, rounded to f32 by the host.
struct Function {
    u32 id;
    float a, b, c;
};

// In the order of the host's table (src/backend/cuda/elementwise.rs).
enum UnaryId { NEG, EXP, LOG, SQRT, ABS, TANH, SIGMOID, RELU, LEAKY_RELU, SOFTPLUS, SCALE, AFFINE, SQUARE, CUBE,
               INVERSE_ROOT, INVERSE, POW, CLAMP };
enum BinaryId { ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, BCE, BCE_WITH_LOGITS, SQUARED_ERROR, ABSOLUTE_ERROR, RELU_GRAD,
                LEAKY_RELU_GRAD, CLAMP_GRAD, ABS_GRAD, TANH_GRAD, SIGMOID_GRAD };

template <u32 ID>
__device__ __forceinline__ float unary(const Function& f, float x) {
    switch (ID) {
        case NEG: return -x;
        case EXP: return vexp(x);
        case LOG: return vlog(x);
        case SQRT: return sqrtf(x);
        case ABS: return fabsf(x);
        case TANH: return vtanh(x);
        case SIGMOID: return vsigmoid(x);
        case RELU: return x <= 0.0f ? 0.0f : x;
        case LEAKY_RELU: return x > 0.0f ? x : f.a * x;
        case SOFTPLUS: {  // a = beta, b = 1 / beta, c = threshold
            float bx = f.a * x;
            return bx > f.c ? x : f.b * vsoftplus(bx);
        }
        case SCALE: return f.a * x;
        case AFFINE: return f.a * x + f.b;
        case SQUARE: return x * x;
        case CUBE: return x * x * x;
        case INVERSE_ROOT: return 1.0f / sqrtf(x);
        case INVERSE: return 1.0f / x;
        case POW: return powf(x, f.a);
        default: {
            x = x < f.a ? f.a : x;
            return x > f.b ? f.b : x;
        }
    }
}

template <u32 ID>
__device__ __forceinline__ float binary(const Function& f, float a, float b) {
    switch (ID) {
        case ADD: return a + b;
        case SUB: return a - b;
        case MUL: return a * b;
        case DIV: return a / b;
        case MAXIMUM: return a > b || a != a ? a : b;
        case MINIMUM: return a < b || a != a ? a : b;
        case BCE: return loss_value<LOSS_BCE>(a, b);
        case BCE_WITH_LOGITS: return loss_value<LOSS_BCE_WITH_LOGITS>(a, b);
        case SQUARED_ERROR: return loss_value<LOSS_SQUARED_ERROR>(a, b);
        case ABSOLUTE_ERROR: return loss_value<LOSS_ABSOLUTE_ERROR>(a, b);
        case RELU_GRAD: return b > 0.0f ? a : 0.0f;
        case LEAKY_RELU_GRAD: return b > 0.0f ? a : f.a * a;
        case CLAMP_GRAD: return b > f.a && b < f.b ? a : 0.0f;
        case ABS_GRAD: return b > 0.0f ? a : b < 0.0f ? -a : 0.0f;
        case TANH_GRAD: return a * (1.0f - b * b);
        default: return a * (b * (1.0f - b));
    }
}

template <u32 ID>
__device__ __forceinline__ void unary_dense(const Function& f, const float* x, float* out, u32 n) {
    u32 i = global_thread() * 4;
    if (i + 4 <= n) {
        float4 q = *(const float4*)(x + i);
        *(float4*)(out + i) = make_float4(unary<ID>(f, q.x), unary<ID>(f, q.y), unary<ID>(f, q.z), unary<ID>(f, q.w));
    } else {
        for (; i < n; i++) out[i] = unary<ID>(f, x[i]);
    }
}

template <u32 ID, class T>
__device__ __forceinline__ void unary_strided(const Function& f, const T* x, T* out, const Nest<2>& nest, u32 n) {
    u32 i = global_thread(), at[2];
    if (i >= n) return;
    locate(nest, i, at);
    narrow(unary<ID>(f, widen(x[at[1]])), out[at[0]]);
}

template <u32 ID>
__device__ __forceinline__ void binary_dense(const Function& f, const float* a, const float* b, float* out, u32 n) {
    u32 i = global_thread() * 4;
    if (i + 4 <= n) {
        float4 p = *(const float4*)(a + i), q = *(const float4*)(b + i);
        *(float4*)(out + i) = make_float4(binary<ID>(f, p.x, q.x), binary<ID>(f, p.y, q.y), binary<ID>(f, p.z, q.z),
                                          binary<ID>(f, p.w, q.w));
    } else {
        for (; i < n; i++) out[i] = binary<ID>(f, a[i], b[i]);
    }
}

template <u32 ID, class T>
__device__ __forceinline__ void binary_strided(const Function& f, const T* a, const T* b, T* out, const Nest<3>& nest,
                                               u32 n) {
    u32 i = global_thread(), at[3];
    if (i >= n) return;
    locate(nest, i, at);
    narrow(binary<ID>(f, widen(a[at[1]]), widen(b[at[2]])), out[at[0]]);
}

#define EACH_UNARY(DO) \
    DO(NEG) DO(EXP) DO(LOG) DO(SQRT) DO(ABS) DO(TANH) DO(SIGMOID) DO(RELU) DO(LEAKY_RELU) DO(SOFTPLUS) DO(SCALE) \
    DO(AFFINE) DO(SQUARE) DO(CUBE) DO(INVERSE_ROOT) DO(INVERSE) DO(POW) DO(CLAMP)
#define EACH_BINARY(DO) \
    DO(ADD) DO(SUB) DO(MUL) DO(DIV) DO(MAXIMUM) DO(MINIMUM) DO(BCE) DO(BCE_WITH_LOGITS) DO(SQUARED_ERROR) \
    DO(ABSOLUTE_ERROR) DO(RELU_GRAD) DO(LEAKY_RELU_GRAD) DO(CLAMP_GRAD) DO(ABS_GRAD) DO(TANH_GRAD) DO(SIGMOID_GRAD)

#define UNARY_DENSE(ID) case ID: return unary_dense<ID>(f, x, out, n);
#define UNARY_STRIDED(ID) case ID: return unary_strided<ID>(f, x, out, nest, n);
#define BINARY_DENSE(ID) case ID: return binary_dense<ID>(f, a, b, out, n);
#define BINARY_STRIDED(ID) case ID: return binary_strided<ID>(f, a, b, out, nest, n);

#define STRIDED(T) \
    KERNEL(256) unary_strided_##T(Function f, const T* x, T* out, Nest<2> nest, u32 n) { \
        switch (f.id) { EACH_UNARY(UNARY_STRIDED) } \
    } \
    KERNEL(256) binary_strided_##T(Function f, const T* a, const T* b, T* out, Nest<3> nest, u32 n) { \
        switch (f.id) { EACH_BINARY(BINARY_STRIDED) } \
    }
typedef float f32;
STRIDED(f32)
STRIDED(f16)
STRIDED(bf16)

KERNEL(256) unary_dense(Function f, const f32* x, f32* out, u32 n) { switch (f.id) { EACH_UNARY(UNARY_DENSE) } }
KERNEL(256) binary_dense(Function f, const f32* a, const f32* b, f32* out, u32 n) { switch (f.id) { EACH_BINARY(BINARY_DENSE) } }

// acc += x.
KERNEL(256) accumulate(const f32* x, f32* acc, Nest<2> nest, u32 n) {
    u32 i = global_thread(), at[2];
    if (i >= n) return;
    locate(nest, i, at);
    acc[at[0]] += x[at[1]];
}

enum Case { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 };

__device__ __forceinline__ float ordered(float x) { return x; }
__device__ __forceinline__ float ordered(f16 x) { return widen(x); }
__device__ __forceinline__ float ordered(bf16 x) { return widen(x); }
__device__ __forceinline__ i64 ordered(i64 x) { return x; }
__device__ __forceinline__ int ordered(u8 x) { return x; }

// out = 1 where the case of (a, b) is one of those in the set `holds`, else 0.
template <class T>
__device__ __forceinline__ void compare(u32 holds, const T* a, const T* b, u8* out, const Nest<3>& nest, u32 n) {
    u32 i = global_thread(), at[3];
    if (i >= n) return;
    locate(nest, i, at);
    auto x = ordered(a[at[1]]);
    auto y = ordered(b[at[2]]);
    u32 found = x < y ? LESS : x > y ? GREATER : x == y ? EQUAL : UNORDERED;
    out[at[0]] = (found & holds) != 0;
}

#define COMPARE(T) \
    KERNEL(256) compare_##T(u32 holds, const T* a, const T* b, u8* out, Nest<3> nest, u32 n) { \
        compare(holds, a, b, out, nest, n); \
    }
COMPARE(f32)
COMPARE(f16)
COMPARE(bf16)
COMPARE(i64)
COMPARE(u8)

// out = cond != 0 ? a : b. Bits move, so only the size of the elements matters.
template <class C, class W>
__device__ __forceinline__ void select(const C* cond, const W* a, const W* b, W* out, const Nest<4>& nest, u32 n) {
    u32 i = global_thread(), at[4];
    if (i >= n) return;
    locate(nest, i, at);
    out[at[0]] = cond[at[1]] != 0 ? a[at[2]] : b[at[3]];
}

#define SELECT(C, BYTES, W) \
    KERNEL(256) select_##C##_b##BYTES(const C* cond, const W* a, const W* b, W* out, Nest<4> nest, u32 n) { \
        select(cond, a, b, out, nest, n); \
    }
#define SELECTS(C) SELECT(C, 1, u8) SELECT(C, 2, u16) SELECT(C, 4, u32) SELECT(C, 8, u64)
SELECTS(u8)
SELECTS(i64)
