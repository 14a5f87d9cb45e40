# x·Φ(x) with all its digits, operation for operation as gelu.py of pure_python, which explains it.

from libc.math cimport erfc, exp, expm1

cdef double SQRT_HALF = 0.7071067811865476  # 1 / sqrt(2)
cdef double INV_SQRT_2PI = 0.3989422804014327  # 1 / sqrt(2 pi)
cdef double SHORTENER = 6442450944.0  # 1.5 * 2**32

# The coefficients of both polynomials in -x, from the tenth power down to the constant term.
cdef double[11][2] COEFFICIENTS = [
    [0.0, 1.0],
    [0.0, 21.478804063350193],
    [0.3989422804014327, 240.91105868648006],
    [8.568803073018332, 1767.7504752656764],
    [94.9127803381292, 9210.032705647911],
    [679.5239925016692, 35131.852841220694],
    [3391.9269493490183, 98473.06994073991],
    [12028.41653759298, 198927.9321699676],
    [29662.141285755668, 275743.3636518382],
    [46990.57052411841, 235843.81584438644],
    [37578.368296143904, 94195.00080564062],
]


cdef inline double gelu(double x) noexcept nogil:
    return left_tail(x) if -39.0 < x < -1.0 else 0.5 * x * erfc(-x * SQRT_HALF)


cdef double left_tail(double x) noexcept nogil:
    cdef double numerator = 0.0, denominator = 0.0
    cdef int i
    for i in range(11):
        numerator = COEFFICIENTS[i][0] - numerator * x
        denominator = COEFFICIENTS[i][1] - denominator * x
    return times_bell(numerator / denominator - INV_SQRT_2PI, x)


cdef double times_bell(double factor, double x) noexcept nogil:
    """factor·exp(-x²/2), from a short x, whose square is exact, and the small rest of the exponent."""
    cdef double short_x = (x + SHORTENER) - SHORTENER
    cdef double rest = (short_x - x) * (0.5 * (short_x + x))
    cdef double product = factor + factor * expm1(rest), root
    if x > -37.0:
        return product * exp(-0.5 * short_x * short_x)
    root = exp(-0.25 * short_x * short_x)  # its square is too small for all its digits
    return product * root * root


cdef inline double gelu_slope(double x, double y) noexcept nogil:
    if -39.0 < x < -1.0:
        return y / x + times_bell(x * INV_SQRT_2PI, x)
    return 0.5 * erfc(-x * SQRT_HALF) + x * exp(-0.5 * x * x) * INV_SQRT_2PI
