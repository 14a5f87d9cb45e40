/* The kernels of cython_core, compiled for the instruction set that the compiler is told, and not for
   several of which a machine takes the widest. Each is run on given numbers; what comes out stands in
   `to`, one after the other, and the functions say how many numbers that is. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#undef __GLIBC__ /* without it nothing is compiled several times */
#include "kernels.h"
#include "tape.h"

enum { N = 67, ROOM = 4 * N };

typedef void Product(double *, ptrdiff_t, const double *, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t,
                     const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t);
typedef void Sample(double *, const double *, const double *, ptrdiff_t, ptrdiff_t);

static double *noted(double *to, const double *from, ptrdiff_t n) {
    memcpy(to, from, n * sizeof(double));
    return to + n;
}

/* width: 0, 1 or 2. -1 where this machine has no such vectors. */
ptrdiff_t all_products(int width, const double *x, double *to) {
    static const ptrdiff_t rows[] = {1, 3, 4, 9, 17}, terms[] = {1, 7, 130}, columns[] = {1, 2, 5, 8, 33};
    double *const start = to;
    Product *product = multiply_add_narrow;
    Sample *sample = add_sample_narrow;
#if defined(__x86_64__)
    if (width && !(width == 1 ? __builtin_cpu_supports("avx2") : __builtin_cpu_supports("avx512f"))) return -1;
    if (width) product = width == 1 ? multiply_add_avx2 : multiply_add_avx512;
    if (width) sample = width == 1 ? add_sample_avx2 : add_sample_avx512;
#else
    if (width) return -1;
#endif
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            for (int k = 0; k < 3; k++) {
                const ptrdiff_t r = rows[i], t = terms[k], c = columns[j];
                product(to, c, x, 0, x, t, 1, x, c, r, t, c);
                to += r * c;
                product(to, c, x, c, x + t - 1, t, -1, x + (t - 1) * c, -c, r, t, c);
                to += r * c;
            }
            noted(to, x, (rows[i] + 1) * columns[j]);
            sample(to, x, x + 50, rows[i], columns[j]);
            to += (rows[i] + 1) * columns[j];
        }
    return to - start;
}

static double *steps(const double *x, double *to) {
    for (int i = 0; i < 8; i++) {
        double p[3][N], m[3][N], v[N];
        for (int j = 0; j < 3; j++) memcpy(p[j], x, sizeof v), memcpy(m[j], x + N, sizeof v);
        for (int j = 0; j < N; j++) v[j] = fabs(x[2 * N + j]);
        plain_step(p[0], x + 3 * N, N, 0.1, i & 1 ? 0.01 : 0.0);
        momentum_step(p[1], x + 3 * N, m[1], N, 0.1, 0.9, 0.8, i & 1 ? 0.01 : 0.0, i & 2, i & 4);
        adam_step(p[2], x + 3 * N, m[2], v, N, 0.1, 0.7, 0.9, 0.99, 1e-8, i & 2 ? 0.9 : 1.0, i & 1 ? 0.01 : 0.0);
        to = noted(noted(noted(to, *p, 3 * N), *m, 3 * N), v, N);
    }
    return to;
}

static double *moves(const double *x, double *to) {
    static const int32_t distances[][2] = {{1, 1}, {0, 1}, {1, 0}, {2, 3}, {0, 0}};
    double data[2 * ROOM];
    for (int kind = MOVE_ADD; kind <= MOVE_RELU; kind++)
        for (int i = 0; i < 5; i++) {
            Move m = {kind, 0, N, ROOM, 0, distances[i][0], N, distances[i][1]};
            memcpy(data, x, sizeof data);
            *to++ = run_moves(&m, 0, 1, data, 1);  /* stops at a division by zero */
            to = noted(to, data + ROOM, N);
        }
    return to;
}

static double *gifts(const double *x, double *to) {
    static const int32_t distances[][2] = {{1, 1}, {1, 0}, {2, 3}, {-1, 1}};
    double grad[2 * ROOM];
    for (int kind = GIFT_SAME; kind <= GIFT_RELU; kind++)
        for (int i = 0; i < 16; i++) {
            Gift g[11];  /* so many sums at once as there is a loop for, and some that are left */
            const int32_t *distance = distances[i / 4];
            for (int j = 0; j < 11; j++) {
                g[j] = (Gift){kind, 0, i & 1, i & 2 ? 0 : 10 - j, 0, N, ROOM + j, i & 2 ? 1 : 0, N + j,
                              distance[0], 2 * j, distance[1], 0, 0, 0, 0};
                if (g[j].same > 7) g[j].same = 7;
            }
            memcpy(grad, x, sizeof grad);
            run_gifts(g, 0, 11, x + N, grad, INT64_MAX);
            to = noted(to, grad + ROOM, ROOM / 2);
        }
    return to;
}

ptrdiff_t all_loops(const double *x, double *to) {
    double *const start = to;
    relu_in_place(noted(to, x, N) - N, N), to += N;
    relu_gradient(x, x + N, to, N), to += N;
    add_to(noted(to, x, N) - N, x + N, N), to += N;
    transpose(x, to, 7, 9), to += 63;
    return gifts(x, moves(x, steps(x, to))) - start;
}
