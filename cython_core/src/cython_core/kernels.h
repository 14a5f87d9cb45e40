/* The loops that carry the weight of layers and optimisers, for several instruction sets at once.

   Every number is computed by the same operations in the same order on all of them: the compiler
   may work on neighbouring numbers together, but a sum runs as it is written. */

#ifndef TRIGRAD_KERNELS_H
#define TRIGRAD_KERNELS_H

#include <math.h>
#include <stddef.h>

#if defined(__GNUC__)
  #define MAYBE_UNUSED __attribute__((unused))  /* a module takes the kernels that it needs */
#else
  #define MAYBE_UNUSED
#endif
#if defined(__has_attribute)
  #if defined(__x86_64__) && defined(__GLIBC__) && __has_attribute(target_clones)
    #define KERNEL MAYBE_UNUSED static __attribute__((noinline, target_clones("avx512f", "avx2", "default")))
  #endif
#endif
#ifndef KERNEL
  #define KERNEL MAYBE_UNUSED static
#endif

/* The products of matrices, for vectors of each width. */
#if defined(__GNUC__)
  #define WIDTH 2
#else
  #define WIDTH 1
#endif
#define NAME(kernel) kernel##_narrow
#define TARGET MAYBE_UNUSED
#include "products.h"
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)  /* whose stack is not aligned */
  #define WIDTH 4
  #define NAME(kernel) kernel##_avx2
  #define NARROWER(kernel) kernel##_narrow
  #define TARGET MAYBE_UNUSED __attribute__((target("avx2")))
  #include "products.h"
  #define WIDTH 8
  #define NAME(kernel) kernel##_avx512
  #define NARROWER(kernel) kernel##_avx2
  #define TARGET MAYBE_UNUSED __attribute__((target("avx512f")))
  #include "products.h"
  #define WIDEST(kernel) \
      (__builtin_cpu_supports("avx512f") ? kernel##_avx512 \
       : __builtin_cpu_supports("avx2") ? kernel##_avx2 : kernel##_narrow)
#else
  #define WIDEST(kernel) kernel##_narrow
#endif
#define multiply_add WIDEST(multiply_add)
#define add_sample WIDEST(add_sample)

KERNEL void relu_in_place(double *y, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) y[i] = y[i] <= 0.0 ? 0.0 : y[i];
}

/* y: what relu gave. */
KERNEL void relu_gradient(
    const double *restrict y, const double *restrict grad, double *restrict above, ptrdiff_t n
) {
    for (ptrdiff_t i = 0; i < n; i++) above[i] = (y[i] <= 0.0 ? 0.0 : 1.0) * grad[i];
}

KERNEL void add_to(double *restrict y, const double *restrict x, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i];
}

KERNEL void transpose(const double *restrict m, double *restrict t, ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++) t[j * rows + i] = m[i * columns + j];
}

/* What each of many operations gives: its local gradient, by its slope, times its gradient. The
   constant is read anew for each: a register is saved around every call, and the next one waits. */
MAYBE_UNUSED static void slopes_times(
    double (*slope)(int, double, double, double), int code, const double *x, const double *y,
    const volatile double *constant, const double *above, double *to, ptrdiff_t n
) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = slope(code, x[i], y[i], *constant) * above[i];
}

/* One step of the optimisers on n parameters p with gradients g; the rules stand in optim.pyx. */

KERNEL void plain_step(
    double *restrict p, const double *restrict g, ptrdiff_t n, double lr, double weight_decay
) {
    if (weight_decay != 0.0)
        for (ptrdiff_t i = 0; i < n; i++) p[i] -= lr * (g[i] + weight_decay * p[i]);
    else
        for (ptrdiff_t i = 0; i < n; i++) p[i] -= lr * g[i];
}

KERNEL void momentum_step(
    double *restrict p, const double *restrict grad, double *restrict buffer, ptrdiff_t n, double lr,
    double momentum, double kept, double weight_decay, int nesterov, int first
) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double g = grad[i];
        if (weight_decay != 0.0) g += weight_decay * p[i];
        double b = first ? g : momentum * buffer[i] + kept * g;
        buffer[i] = b;
        p[i] -= lr * (nesterov ? g + momentum * b : b);
    }
}

KERNEL void adam_step(
    double *restrict p, const double *restrict grad, double *restrict first, double *restrict second,
    ptrdiff_t n, double step_size, double correction, double beta1, double beta2, double eps,
    double shrink, double weight_decay
) {
    double rest1 = 1.0 - beta1, rest2 = 1.0 - beta2;
    for (ptrdiff_t i = 0; i < n; i++) {
        double x = p[i], g = grad[i];
        if (weight_decay != 0.0) g += weight_decay * x;
        if (shrink != 1.0) x *= shrink;
        double m = first[i] + (g - first[i]) * rest1;
        double v = second[i] * beta2 + rest2 * g * g;
        first[i] = m;
        second[i] = v;
        p[i] = x - step_size * (m / (sqrt(v) / correction + eps));
    }
}

#endif
