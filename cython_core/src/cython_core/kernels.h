/* The loops that carry the weight of layers and optimisers, for several instruction sets at once.

   Every number is computed by the same operations in the same order on all of them: the compiler
   may work on neighbouring numbers together, but a sum runs as it is written. */

#ifndef TRIGRAD_KERNELS_H
#define TRIGRAD_KERNELS_H

#include <math.h>
#include <stddef.h>

#if defined(__has_attribute)
  #if defined(__x86_64__) && defined(__GLIBC__) && __has_attribute(target_clones)
    #define KERNEL static __attribute__((noinline, target_clones("avx512f", "avx2", "default")))
  #endif
#endif
#ifndef KERNEL
  #define KERNEL static
#endif

#if defined(__GNUC__)
  /* Eight doubles, at any address that a double may have. */
  typedef double doubles __attribute__((vector_size(64), aligned(8), may_alias));
  enum { TERMS = 128 };  /* rows of m, sixteen columns each, that the first cache holds */
#endif

/* out[o][j] = start[o][j] + s[o][k] * m[k][j] for k from 0 up. start may be out itself. The distances
   are in doubles: start_row may be zero, and s_row, s_step and m_row are negative where the sum runs
   from the last term to the first. */
KERNEL void multiply_add(
    double *out, ptrdiff_t out_row, const double *start, ptrdiff_t start_row,
    const double *restrict s, ptrdiff_t s_row, ptrdiff_t s_step, const double *restrict m,
    ptrdiff_t m_row, ptrdiff_t rows, ptrdiff_t terms, ptrdiff_t columns
) {
    ptrdiff_t j = 0;
#if defined(__GNUC__)
    double panel[TERMS * 16] __attribute__((aligned(64)));
    int packed = rows >= 16 && terms * (m_row < 0 ? -m_row : m_row) > 4096;
    for (; j + 16 <= columns; j += 16)
        for (ptrdiff_t k = 0; k < terms; k += TERMS) {
            ptrdiff_t count = terms - k < TERMS ? terms - k : TERMS, o = 0, p_row = m_row;
            const double *p = m + k * m_row + j, *from = (k ? out : start) + j;
            ptrdiff_t from_row = k ? out_row : start_row;
            if (packed) {
                for (ptrdiff_t i = 0; i < count; i++) {
                    *(doubles *)(panel + 16 * i) = *(const doubles *)(p + i * m_row);
                    *(doubles *)(panel + 16 * i + 8) = *(const doubles *)(p + i * m_row + 8);
                }
                p = panel, p_row = 16;
            }
            for (; o + 4 <= rows; o += 4) {
                double *y0 = out + o * out_row + j, *y1 = y0 + out_row, *y2 = y1 + out_row,
                       *y3 = y2 + out_row;
                const double *z0 = from + o * from_row, *z1 = z0 + from_row, *z2 = z1 + from_row,
                             *z3 = z2 + from_row;
                const double *x = s + o * s_row + k * s_step, *row = p;
                doubles a0 = *(const doubles *)z0, b0 = *(const doubles *)(z0 + 8);
                doubles a1 = *(const doubles *)z1, b1 = *(const doubles *)(z1 + 8);
                doubles a2 = *(const doubles *)z2, b2 = *(const doubles *)(z2 + 8);
                doubles a3 = *(const doubles *)z3, b3 = *(const doubles *)(z3 + 8);
                for (ptrdiff_t i = 0; i < count; i++, x += s_step, row += p_row) {
                    doubles p0 = *(const doubles *)row, p1 = *(const doubles *)(row + 8);
                    a0 += x[0] * p0, b0 += x[0] * p1;
                    a1 += x[s_row] * p0, b1 += x[s_row] * p1;
                    a2 += x[2 * s_row] * p0, b2 += x[2 * s_row] * p1;
                    a3 += x[3 * s_row] * p0, b3 += x[3 * s_row] * p1;
                }
                *(doubles *)y0 = a0, *(doubles *)(y0 + 8) = b0;
                *(doubles *)y1 = a1, *(doubles *)(y1 + 8) = b1;
                *(doubles *)y2 = a2, *(doubles *)(y2 + 8) = b2;
                *(doubles *)y3 = a3, *(doubles *)(y3 + 8) = b3;
            }
            for (; o < rows; o++) {
                double *y = out + o * out_row + j;
                const double *z = from + o * from_row;
                const double *x = s + o * s_row + k * s_step, *row = p;
                doubles a = *(const doubles *)z, b = *(const doubles *)(z + 8);
                for (ptrdiff_t i = 0; i < count; i++, x += s_step, row += p_row) {
                    a += x[0] * *(const doubles *)row;
                    b += x[0] * *(const doubles *)(row + 8);
                }
                *(doubles *)y = a, *(doubles *)(y + 8) = b;
            }
        }
    for (; j + 8 <= columns; j += 8)
        for (ptrdiff_t o = 0; o < rows; o++) {
            double *y = out + o * out_row + j;
            const double *x = s + o * s_row, *row = m + j;
            doubles a = *(const doubles *)(start + o * start_row + j);
            for (ptrdiff_t k = 0; k < terms; k++, x += s_step, row += m_row)
                a += x[0] * *(const doubles *)row;
            *(doubles *)y = a;
        }
#endif
    for (; j < columns; j++) {
        ptrdiff_t o = 0;
        for (; o + 8 <= rows; o += 8) {  /* eight sums side by side: one waits for itself */
            double a[8];
            const double *x = s + o * s_row, *row = m + j;
            for (int i = 0; i < 8; i++) a[i] = start[(o + i) * start_row + j];
            for (ptrdiff_t k = 0; k < terms; k++, x += s_step, row += m_row)
                for (int i = 0; i < 8; i++) a[i] += x[i * s_row] * row[0];
            for (int i = 0; i < 8; i++) out[(o + i) * out_row + j] = a[i];
        }
        for (; o < rows; o++) {
            const double *x = s + o * s_row, *row = m + j;
            double a = start[o * start_row + j];
            for (ptrdiff_t k = 0; k < terms; k++, x += s_step, row += m_row) a += x[0] * row[0];
            out[o * out_row + j] = a;
        }
    }
}

/* to[i][j] += x[i] * above[j], and one row more whose x is 1: what a single sample gives to the weights
   and biases of a layer. */
KERNEL void add_sample(
    double *restrict to, const double *restrict x, const double *restrict above, ptrdiff_t n_in,
    ptrdiff_t n_out
) {
    ptrdiff_t j = 0;
#if defined(__GNUC__)
    for (; j + 8 <= n_out; j += 8) {
        doubles a = *(const doubles *)(above + j);
        double *row = to + j;
        for (ptrdiff_t i = 0; i < n_in; i++, row += n_out) *(doubles *)row += x[i] * a;
        *(doubles *)row += a;
    }
#endif
    for (; j < n_out; j++) {
        for (ptrdiff_t i = 0; i < n_in; i++) to[i * n_out + j] += x[i] * above[j];
        to[n_in * n_out + j] += above[j];
    }
}

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

/* One step of the optimisers on n parameters p with gradients g; the rules stand in optim.pyx. */

KERNEL void plain_step(
    double *restrict p, const double *restrict g, ptrdiff_t n, double lr, double weight_decay
) {
    if (weight_decay != 0.0)
        for (ptrdiff_t i = 0; i < n; i++) p[i] -= lr * (g[i] + weight_decay * p[i]);
    else
        for (ptrdiff_t i = 0; i < n; i++) p[i] -= lr * g[i];
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
