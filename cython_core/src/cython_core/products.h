/* Products of matrices. kernels.h includes this once for vectors of each WIDTH in doubles, and says
   for which TARGET that is and what NAME a kernel has there. */

#define doubles NAME(doubles)
#define AT(place) (*(doubles *)(place))

#if defined(__GNUC__)
  /* At any address that a double may have. */
  typedef double doubles __attribute__((vector_size(8 * WIDTH), aligned(8), may_alias));
#else
  typedef double doubles;
#endif

/* out[o][j] = start[o][j] + s[o][k] * m[k][j] for k from 0 up. start may be out itself. The distances
   are in doubles: start_row may be zero, and s_row, s_step and m_row are negative where the sum runs
   from the last term to the first.

   Four rows and two vectors of columns are summed at a time, in registers. */
TARGET static void NAME(multiply_add)(
    double *out, ptrdiff_t out_row, const double *start, ptrdiff_t start_row,
    const double *restrict s, ptrdiff_t s_row, ptrdiff_t s_step, const double *restrict m,
    ptrdiff_t m_row, ptrdiff_t rows, ptrdiff_t terms, ptrdiff_t columns
) {
    enum { W = WIDTH, TERMS = 128 };  /* so many terms of two vectors stay in the first cache */
    _Alignas(64) double panel[TERMS * 2 * W];
    int far_apart = rows >= 16 && terms * (m_row < 0 ? -m_row : m_row) > 4096;
    ptrdiff_t j = 0;
    for (; j + 2 * W <= columns; j += 2 * W)
        for (ptrdiff_t k = 0; k < terms; k += TERMS) {
            ptrdiff_t count = terms - k < TERMS ? terms - k : TERMS;
            const double *p = m + k * m_row + j, *from = (k ? out : start) + j;
            ptrdiff_t p_row = m_row, from_row = k ? out_row : start_row, o = 0;
            if (far_apart) {
                for (ptrdiff_t i = 0; i < count; i++) {
                    AT(panel + 2 * W * i) = AT(p + i * m_row);
                    AT(panel + 2 * W * i + W) = AT(p + i * m_row + W);
                }
                p = panel, p_row = 2 * W;
            }
            for (; o + 4 <= rows; o += 4) {
                const double *z0 = from + o * from_row, *z1 = z0 + from_row, *z2 = z1 + from_row,
                             *z3 = z2 + from_row;
                doubles a0 = AT(z0), b0 = AT(z0 + W), a1 = AT(z1), b1 = AT(z1 + W);
                doubles a2 = AT(z2), b2 = AT(z2 + W), a3 = AT(z3), b3 = AT(z3 + W);
                const double *x = s + o * s_row + k * s_step, *row = p;
                for (ptrdiff_t i = 0; i < count; i++, x += s_step, row += p_row) {
                    doubles c = AT(row), d = AT(row + W);
                    a0 += x[0] * c, b0 += x[0] * d;
                    a1 += x[s_row] * c, b1 += x[s_row] * d;
                    a2 += x[2 * s_row] * c, b2 += x[2 * s_row] * d;
                    a3 += x[3 * s_row] * c, b3 += x[3 * s_row] * d;
                }
                double *y0 = out + o * out_row + j, *y1 = y0 + out_row, *y2 = y1 + out_row,
                       *y3 = y2 + out_row;
                AT(y0) = a0, AT(y0 + W) = b0, AT(y1) = a1, AT(y1 + W) = b1;
                AT(y2) = a2, AT(y2 + W) = b2, AT(y3) = a3, AT(y3 + W) = b3;
            }
            for (; o < rows; o++) {
                const double *z = from + o * from_row;
                doubles a = AT(z), b = AT(z + W);
                const double *x = s + o * s_row + k * s_step, *row = p;
                for (ptrdiff_t i = 0; i < count; i++, x += s_step, row += p_row)
                    a += x[0] * AT(row), b += x[0] * AT(row + W);
                double *y = out + o * out_row + j;
                AT(y) = a, AT(y + W) = b;
            }
        }
    for (; j + W <= columns; j += W) {
        ptrdiff_t o = 0;
        for (; o + 4 <= rows; o += 4) {
            const double *z = start + o * start_row + j, *x = s + o * s_row, *row = m + j;
            doubles a0 = AT(z), a1 = AT(z + start_row), a2 = AT(z + 2 * start_row),
                    a3 = AT(z + 3 * start_row);
            for (ptrdiff_t k = 0; k < terms; k++, x += s_step, row += m_row) {
                doubles c = AT(row);
                a0 += x[0] * c, a1 += x[s_row] * c;
                a2 += x[2 * s_row] * c, a3 += x[3 * s_row] * c;
            }
            double *y = out + o * out_row + j;
            AT(y) = a0, AT(y + out_row) = a1, AT(y + 2 * out_row) = a2, AT(y + 3 * out_row) = a3;
        }
        for (; o < rows; o++) {
            const double *x = s + o * s_row, *row = m + j;
            doubles a = AT(start + o * start_row + j);
            for (ptrdiff_t k = 0; k < terms; k++, x += s_step, row += m_row) a += x[0] * AT(row);
            AT(out + o * out_row + j) = a;
        }
    }
#ifdef NARROWER
    if (j < columns)
        NARROWER(multiply_add)(out + j, out_row, start + j, start_row, s, s_row, s_step, m + j,
                               m_row, rows, terms, columns - j);
#else
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
#endif
}

/* to[i][j] += x[i] * above[j], and one row more whose x is 1: what a single sample gives to the weights
   and biases of a layer. */
TARGET static void NAME(add_sample)(
    double *restrict to, const double *restrict x, const double *restrict above, ptrdiff_t n_in,
    ptrdiff_t n_out
) {
    enum { W = WIDTH };
    ptrdiff_t j = 0;
    for (; j + W <= n_out; j += W) {
        doubles a = AT(above + j);
        double *row = to + j;
        for (ptrdiff_t i = 0; i < n_in; i++, row += n_out) AT(row) += x[i] * a;
        AT(row) += a;
    }
    for (; j < n_out; j++) {
        for (ptrdiff_t i = 0; i < n_in; i++) to[i * n_out + j] += x[i] * above[j];
        to[n_in * n_out + j] += above[j];
    }
}

#undef doubles
#undef AT
#undef WIDTH
#undef NAME
#undef TARGET
#undef NARROWER
