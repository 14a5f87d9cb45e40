/* The loops of Tape over flat arrays, compiled for several instruction sets.
 *
 * One Move computes the data of a run of nodes from those of their operands; one Gift adds to the
 * gradients of a run of nodes, or from a run of nodes to a single one. No sum is reordered. Both
 * functions stop at the first that needs more than this, or when they have computed more than `most`
 * numbers, and return its number. */

#ifndef TRIGRAD_TAPE_H
#define TRIGRAD_TAPE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
  #define EVERY_MACHINE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
  #define EVERY_MACHINE
#endif
#if defined(_MSC_VER)
  #define restrict __restrict
#endif

enum { MOVE_OTHER, MOVE_ADD, MOVE_SUBTRACT, MOVE_MULTIPLY, MOVE_DIVIDE, MOVE_NEG, MOVE_RELU };
enum { GIFT_OTHER, GIFT_SAME, GIFT_NEGATIVE, GIFT_TIMES, GIFT_RELU };

typedef struct {
    uint16_t kind, code;    /* code: the operation, for what is not done here */
    uint32_t count;
    int32_t out, a, a_step, b, b_step;  /* places in data; out goes on by one */
} Move;

typedef struct {
    uint8_t kind, side, first, same;    /* first: from zero; same: how many alike follow */
    uint16_t code;
    uint32_t count;
    int32_t to, to_step;                /* in gradients; the step is 1, or 0: a sum into one */
    int32_t from, from_step;            /* in gradients */
    int32_t a, a_step, b, b_step, y, y_step;  /* in data */
} Gift;

#define RUN(expression) do { \
        if (a_step == 1 && b_step == 1) { \
            for (ptrdiff_t i = 0; i < n; i++) { double x = a[i], w = b[i]; out[i] = expression; } \
        } else if (a_step == 0 && b_step == 1) { \
            double x = *a; \
            for (ptrdiff_t i = 0; i < n; i++) { double w = b[i]; out[i] = expression; } \
        } else if (a_step == 1 && b_step == 0) { \
            double w = *b; \
            for (ptrdiff_t i = 0; i < n; i++) { double x = a[i]; out[i] = expression; } \
        } else { \
            for (ptrdiff_t i = 0; i < n; i++) { \
                double x = a[i * a_step], w = b[i * b_step]; \
                out[i] = expression; \
            } \
        } \
    } while (0)

EVERY_MACHINE
static size_t run_moves(const Move *moves, size_t at, size_t end, double *data, int64_t most) {
    for (; at < end && most > 0; at++) {
        const Move *m = &moves[at];
        most -= m->count;
        const ptrdiff_t n = m->count, a_step = m->a_step, b_step = m->b_step;
        double *restrict out = data + m->out;
        const double *a = data + m->a, *b = data + m->b;
        switch (m->kind) {
        case MOVE_ADD: RUN(x + w); break;
        case MOVE_SUBTRACT: RUN(x - w); break;
        case MOVE_MULTIPLY: RUN(x * w); break;
        case MOVE_DIVIDE:
            for (ptrdiff_t i = 0; i < n; i++)
                if (b[i * b_step] == 0.0) return at;
            RUN(x / w);
            break;
        case MOVE_NEG: for (ptrdiff_t i = 0; i < n; i++) out[i] = -a[i * a_step]; break;
        case MOVE_RELU:
            for (ptrdiff_t i = 0; i < n; i++) {
                double x = a[i * a_step];
                out[i] = x <= 0.0 ? 0.0 : x;
            }
            break;
        default: return at;
        }
    }
    return at;
}

#define GIVE(expression) do { \
        if (m->to_step == 0) { \
            double sum = m->first ? 0.0 : *to; \
            for (ptrdiff_t i = 0; i < n; i++) { \
                double above = from[i * from_step], x = a[i * a_step]; \
                (void)x; \
                sum += expression; \
            } \
            *to = sum; \
        } else if (m->first) { \
            for (ptrdiff_t i = 0; i < n; i++) { \
                double above = from[i * from_step], x = a[i * a_step]; \
                (void)x; \
                to[i] = 0.0 + expression; \
            } \
        } else if (from_step == 1 && a_step == 0) { \
            double x = *a; \
            (void)x; \
            for (ptrdiff_t i = 0; i < n; i++) { double above = from[i]; to[i] += expression; } \
        } else if (from_step == 1 && a_step == 1) { \
            for (ptrdiff_t i = 0; i < n; i++) { \
                double above = from[i], x = a[i]; \
                (void)x; \
                to[i] += expression; \
            } \
        } else { \
            for (ptrdiff_t i = 0; i < n; i++) { \
                double above = from[i * from_step], x = a[i * a_step]; \
                (void)x; \
                to[i] += expression; \
            } \
        } \
    } while (0)

EVERY_MACHINE
static size_t run_gifts(const Gift *gifts, size_t at, size_t end, const double *data,
                        double *grad, int64_t most) {
    while (at < end && most > 0) {
        const Gift *m = &gifts[at];
        most -= m->count;
        const ptrdiff_t n = m->count, from_step = m->from_step, a_step = m->a_step;
        double *restrict to = grad + m->to;
        const double *from = grad + m->from, *a = data + m->a;
        if (m->same >= 7 && m->kind == GIFT_TIMES) {
            /* Eight sums side by side, each in its order: one alone waits for each addition. */
            const double *xs[8], *gs[8];
            double sums[8];
            for (int j = 0; j < 8; j++) {
                xs[j] = data + m[j].a;
                gs[j] = grad + m[j].from;
                sums[j] = m[j].first ? 0.0 : grad[m[j].to];
            }
            for (ptrdiff_t i = 0; i < n; i++) {
                for (int j = 0; j < 8; j++) {
                    sums[j] += *xs[j] * *gs[j];
                    xs[j] += a_step;
                    gs[j] += from_step;
                }
            }
            for (int j = 0; j < 8; j++) grad[m[j].to] = sums[j];
            most -= 7 * n;
            at += 8;
            continue;
        }
        switch (m->kind) {
        case GIFT_SAME: GIVE(above); break;
        case GIFT_NEGATIVE: GIVE(-1.0 * above); break;
        case GIFT_TIMES: GIVE(x * above); break;
        case GIFT_RELU: GIVE((x <= 0.0 ? 0.0 : 1.0) * above); break;
        default: return at;
        }
        at++;
    }
    return at;
}

#undef RUN
#undef GIVE
#endif
