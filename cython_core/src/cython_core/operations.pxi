# The operations on one and two numbers: what each computes, and its local gradient.

from libc.math cimport (
    INFINITY, NAN, acos, acosh, asin, asinh, atan, atanh, copysign, cos, cosh, erf, exp, expm1, fabs,
    log, log1p, pow, sin, sinh, sqrt, tan, tanh,
)

cdef double TWO_OVER_SQRT_PI = 1.1283791670955126

# The name of each; where a number is part of it, what stands before and after.
cdef tuple UNARY_NAMES = (
    "neg", "abs", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "sigmoid", "relu", "softplus", "gelu",
    "silu",
)
cdef tuple NUMBER_RIGHT_NAMES = ("+", "-", "*", "/", "**", "maximum", "minimum")
cdef tuple NUMBER_LEFT_NAMES = ("-", "/", "**")
cdef tuple FUSED_NAMES = (
    "dot", "sum", "mean", "max", "min", "logsumexp", "mse_loss", "hinge_loss",
    "binary_cross_entropy_with_logits", "cross_entropy",
)
cdef tuple JOINT_NAMES = (
    "softmax", "log_softmax", "rms_norm", "logsumexp", "scaled_dot_product_attention",
)


# The values ----------------------------------------------------------------------------------

cdef inline double sigmoid(double x) noexcept nogil:
    cdef double e
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    e = exp(x)  # on this side e^-x would overflow
    return e / (1.0 + e)


cdef inline double softplus(double x) noexcept nogil:
    return x + log1p(exp(-x)) if x > 0.0 else log1p(exp(x))


cdef inline double silu(double x) noexcept nogil:
    cdef double root
    if x < -708.0:  # here sigmoid(x) is too small for all its digits
        root = exp(0.5 * x)
        return x * root * root
    return x * sigmoid(x)


cdef inline double larger(double a, double b) noexcept nogil:
    return a if a >= b or a != a else b


cdef inline double smaller(double a, double b) noexcept nogil:
    return a if a <= b or a != a else b


cdef double unary(int code, double x, double constant) noexcept nogil:
    if code == NEG:
        return -x
    elif code == ABS:
        return fabs(x)
    elif code == EXP:
        return exp(x)
    elif code == EXPM1:
        return expm1(x)
    elif code == LOG:
        return log(x)
    elif code == LOG1P:
        return log1p(x)
    elif code == SQRT:
        return sqrt(x)
    elif code == SIN:
        return sin(x)
    elif code == COS:
        return cos(x)
    elif code == TAN:
        return tan(x)
    elif code == ASIN:
        return asin(x)
    elif code == ACOS:
        return acos(x)
    elif code == ATAN:
        return atan(x)
    elif code == SINH:
        return sinh(x)
    elif code == COSH:
        return cosh(x)
    elif code == TANH:
        return tanh(x)
    elif code == ASINH:
        return asinh(x)
    elif code == ACOSH:
        return acosh(x)
    elif code == ATANH:
        return atanh(x)
    elif code == ERF:
        return erf(x)
    elif code == SIGMOID:
        return sigmoid(x)
    elif code == RELU:
        return 0.0 if x <= 0.0 else x
    elif code == SOFTPLUS:
        return softplus(x)
    elif code == GELU:
        return gelu(x)
    elif code == SILU:
        return silu(x)
    else:  # LEAKY_RELU
        return x if x > 0.0 else constant * x


# The local gradients -------------------------------------------------------------------------

cdef inline double silu_slope(double x) noexcept nogil:
    cdef double s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


cdef inline double sign(double x) noexcept nogil:
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x * 0.0


cdef inline double inverse_root(double x) noexcept nogil:
    return 1.0 / sqrt(x) if x > 0.0 else INFINITY if x == 0.0 else NAN


cdef inline double power_slope_base(double a, double b) noexcept nogil:
    return 0.0 if b == 0.0 else b * pow(a, b - 1.0)


cdef inline double power_slope_exponent(double a, double b, double y) noexcept nogil:
    if a > 0.0:
        return y * log(a)
    if a == 0.0:
        return 0.0 if b >= 0.0 else y * -INFINITY
    return NAN


cdef double slope(int code, double x, double y, double constant) noexcept nogil:
    """dy/dx of an operation of one operand."""
    if code == NEG:
        return -1.0
    elif code == ABS:
        return sign(x)
    elif code == EXP:
        return y
    elif code == EXPM1:
        return y + 1.0
    elif code == LOG:
        return 1.0 / x
    elif code == LOG1P:
        return 1.0 / (1.0 + x)
    elif code == SQRT:
        return 0.5 / y  # of -0.0, too: -inf
    elif code == SIN:
        return cos(x)
    elif code == COS:
        return -sin(x)
    elif code == TAN:
        return 1.0 + y * y
    elif code == ASIN:
        return inverse_root((1.0 - x) * (1.0 + x))
    elif code == ACOS:
        return -inverse_root((1.0 - x) * (1.0 + x))
    elif code == ATAN:
        return 1.0 / (1.0 + x * x)
    elif code == SINH:
        return cosh(x)
    elif code == COSH:
        return sinh(x)
    elif code == TANH:
        return 1.0 - y * y
    elif code == ASINH:
        return inverse_root(x * x + 1.0)
    elif code == ACOSH:
        return inverse_root((x - 1.0) * (x + 1.0))
    elif code == ATANH:
        return 1.0 / ((1.0 - x) * (1.0 + x))
    elif code == ERF:
        return TWO_OVER_SQRT_PI * exp(-x * x)
    elif code == SIGMOID:
        return y * (1.0 - y)
    elif code == RELU:
        return 0.0 if x <= 0.0 else 1.0
    elif code == SOFTPLUS:
        return sigmoid(x)
    elif code == GELU:
        return gelu_slope(x, y)
    elif code == SILU:
        return silu_slope(x)
    elif code == LEAKY_RELU:
        return 1.0 if x > 0.0 else constant
    elif code == ADD_NUMBER or code == SUBTRACT_NUMBER:
        return 1.0
    elif code == MULTIPLY_NUMBER:
        return constant
    elif code == DIVIDE_NUMBER:
        return 1.0 / constant
    elif code == POWER_NUMBER:
        return power_slope_base(x, constant)
    elif code == MAXIMUM_NUMBER:
        return 0.5 if x == constant else 0.0 if x < constant else 1.0
    elif code == MINIMUM_NUMBER:
        return 0.5 if x == constant else 0.0 if x > constant else 1.0
    elif code == NUMBER_SUBTRACT:
        return -1.0
    elif code == NUMBER_DIVIDE:
        return -(y / x)
    else:  # NUMBER_POWER
        return power_slope_exponent(constant, x, y)


cdef inline double slope_left(int code, double a, double b, double y) noexcept nogil:
    """dy/da of an operation of two operands."""
    if code == ADD or code == SUBTRACT:
        return 1.0
    elif code == MULTIPLY:
        return b
    elif code == DIVIDE:
        return 1.0 / b
    elif code == POWER:
        return power_slope_base(a, b)
    elif code == MAXIMUM:
        return 0.5 if a == b else 0.0 if a < b else 1.0
    else:
        return 0.5 if a == b else 0.0 if a > b else 1.0


cdef inline double slope_right(int code, double a, double b, double y) noexcept nogil:
    """dy/db."""
    if code == ADD:
        return 1.0
    elif code == SUBTRACT:
        return -1.0
    elif code == MULTIPLY:
        return a
    elif code == DIVIDE:
        return -(y / b)
    elif code == POWER:
        return power_slope_exponent(a, b, y)
    elif code == MAXIMUM:
        return 0.5 if a == b else 0.0 if b < a else 1.0
    else:
        return 0.5 if a == b else 0.0 if b > a else 1.0


# What Python raises --------------------------------------------------------------------------

cdef int fail(object kind, object expression) except -1:
    if kind is ZeroDivisionError:
        why = "division by zero"
    elif kind is OverflowError:
        why = "the result is too large for a float"
    else:
        why = "outside the function's domain"
    raise kind(f"cannot compute {expression}: {why}")


cdef int unary_failed(int code, double x, double y) except -1:
    """The result is inf or nan: raise where Python's math does, which is where x was neither."""
    if code < EXP or code > ATANH or x != x:
        return 0
    if y == y and x - x != 0.0:
        return 0
    overflow = y == y and (code == EXP or code == EXPM1 or code == SINH or code == COSH)
    return fail(
        OverflowError if overflow else ValueError, f"{UNARY_NAMES[code - FIRST_NODE]}({x!r})"
    )


cdef inline double checked_unary(int code, double x, double constant) except? -1.0:
    cdef double y = unary(code, x, constant)
    if unlikely(y - y != 0.0):
        unary_failed(code, x, y)
    return y


cdef double divided(double a, double b) except? -1.0:
    if unlikely(b == 0.0):
        fail(ZeroDivisionError, f"{a!r} / {b!r}")
    return a / b


cdef double raised(double a, double b) except? -1.0:
    cdef double y
    if unlikely(a == 0.0 and b < 0.0 and b != -INFINITY):
        fail(ZeroDivisionError, f"{a!r} ** {b!r}")
    y = pow(a, b)
    if unlikely(y - y != 0.0):
        if y != y:
            if a == a and b == b:
                fail(ValueError, f"{a!r} ** {b!r}")
        elif a - a == 0.0 and b - b == 0.0:
            fail(OverflowError, f"{a!r} ** {b!r}")
    return y


cdef inline double binary(int code, double a, double b) except? -1.0:
    """The value of an operation of two Values, or of a Value and a number on its right."""
    if code == ADD or code == ADD_NUMBER:
        return a + b
    elif code == SUBTRACT or code == SUBTRACT_NUMBER or code == NUMBER_SUBTRACT:
        return a - b
    elif code == MULTIPLY or code == MULTIPLY_NUMBER:
        return a * b
    elif code == DIVIDE or code == DIVIDE_NUMBER or code == NUMBER_DIVIDE:
        return divided(a, b)
    elif code == POWER or code == POWER_NUMBER or code == NUMBER_POWER:
        return raised(a, b)
    elif code == MAXIMUM or code == MAXIMUM_NUMBER:
        return larger(a, b)
    else:
        return smaller(a, b)


cdef inline double applied(int code, double x, double constant) except? -1.0:
    """The value of an operation of one operand, and maybe a number on either side."""
    if code <= LEAKY_RELU:
        return checked_unary(code, x, constant)
    if code < NUMBER_SUBTRACT:
        return binary(code, x, constant)
    return binary(code, constant, x)
