#include <math.h>
#include <string.h>
#include "common/data/asdf_text.h"
#include "common/data/transform_impl.h"

/*
 * Arithmetic, shift, scale, constant, logical, and functions by their numpy names.
 * The inner loops have a fixed count so that the compiler turns them into vectors.
 */

#define EACH(expression)                                                               \
    for (size_t i = 0; i < n; i += TRANSFORM_BLOCK) {                                  \
        for (int k = 0; k < TRANSFORM_BLOCK; k++) {                                    \
            const double x = in[0][i + (size_t)k];                                     \
            out[0][i + (size_t)k] = (expression);                                      \
        }                                                                              \
    }
#define EACH2(expression)                                                              \
    for (size_t i = 0; i < n; i += TRANSFORM_BLOCK) {                                  \
        for (int k = 0; k < TRANSFORM_BLOCK; k++) {                                    \
            const double x = in[0][i + (size_t)k], y = in[1][i + (size_t)k];           \
            out[0][i + (size_t)k] = (expression);                                      \
        }                                                                              \
    }

#define DEGREE 0.017453292519943295

/* ---- the vectors: four operations, shift and scale ---- */

#define VECTOR(expression)                                                             \
    for (size_t i = 0; i < n; i += LANES) {                                            \
        const lanes x = *(const lanes *)(in[0] + i);                                   \
        *(lanes *)(out[0] + i) = (expression);                                         \
    }
#define VECTOR2(expression)                                                            \
    for (size_t i = 0; i < n; i += LANES) {                                            \
        const lanes x = *(const lanes *)(in[0] + i);                                   \
        const lanes y = *(const lanes *)(in[1] + i);                                   \
        *(lanes *)(out[0] + i) = (expression);                                         \
    }

static void run_add(const struct transform *leaf, size_t n, const double *const *in,
                    double *const *out)
{
    (void)leaf;
    VECTOR2(x + y)
}

static void run_subtract(const struct transform *leaf, size_t n,
                         const double *const *in, double *const *out)
{
    (void)leaf;
    VECTOR2(x - y)
}

static void run_multiply(const struct transform *leaf, size_t n,
                         const double *const *in, double *const *out)
{
    (void)leaf;
    VECTOR2(x * y)
}

static void run_divide(const struct transform *leaf, size_t n, const double *const *in,
                       double *const *out)
{
    (void)leaf;
    VECTOR2(x / y)
}

static void run_power(const struct transform *leaf, size_t n, const double *const *in,
                      double *const *out)
{
    (void)leaf;
    EACH2(pow(x, y))
}

static void run_shift(const struct transform *leaf, size_t n, const double *const *in,
                      double *const *out)
{
    const double offset = leaf->par[0];

    VECTOR(x + offset)
}

static struct transform *shift_back(const struct transform *leaf, struct err *err)
{
    return transform_shift(-leaf->par[0], err);
}

static void run_scale(const struct transform *leaf, size_t n, const double *const *in,
                      double *const *out)
{
    const double factor = leaf->par[0];

    VECTOR(x * factor)
}

static struct transform *scale_back(const struct transform *leaf, struct err *err)
{
    if (leaf->par[0] == 0.0) {
        err_set(err, ERR_REFERENCE, "%s%sa scale by 0 has no inverse",
                leaf->origin ? leaf->origin : "", leaf->origin ? ": " : "");
        return NULL;
    }
    return transform_scale(1.0 / leaf->par[0], err);
}

static void run_constant(const struct transform *leaf, size_t n,
                         const double *const *in, double *const *out)
{
    (void)in;
    for (size_t i = 0; i < n; i++) {
        out[0][i] = leaf->par[0];
    }
}

static void write_number(const struct transform *leaf, struct asdf_text *t,
                         const char *keys)
{
    asdf_text_put(t, "!transform/%s-1.2.0 {%s%s: ", leaf->op->name, keys,
                  leaf->op == &transform_op_shift ? "offset" : "factor");
    asdf_text_real(t, leaf->par[0]);
}

const struct transform_op transform_op_shift = {"shift", run_shift, shift_back,
                                                write_number};
const struct transform_op transform_op_scale = {"scale", run_scale, scale_back,
                                                write_number};
static const struct transform_op op_constant = {"constant", run_constant, NULL, NULL};
static const struct transform_op op_add = {"add", run_add, NULL, NULL};
static const struct transform_op op_subtract = {"subtract", run_subtract, NULL, NULL};
static const struct transform_op op_multiply = {"multiply", run_multiply, NULL, NULL};
static const struct transform_op op_divide = {"divide", run_divide, NULL, NULL};
static const struct transform_op op_power = {"power", run_power, NULL, NULL};

const struct transform_op *transform_arithmetic_op(char sign)
{
    switch (sign) {
    case '+':
        return &op_add;
    case '-':
        return &op_subtract;
    case '*':
        return &op_multiply;
    case '/':
        return &op_divide;
    case '^':
        return &op_power;
    default:
        return NULL;
    }
}

struct transform *transform_shift(double offset, struct err *err)
{
    return transform_leaf(&transform_op_shift, 1, 1, 1, &offset, err);
}

struct transform *transform_scale(double factor, struct err *err)
{
    return transform_leaf(&transform_op_scale, 1, 1, 1, &factor, err);
}

/* Without inputs, so that the compiler folds it; the remap drops what comes in. */
struct transform *transform_constant(int n_in, double value, struct err *err)
{
    int none = 0;
    struct transform *t = transform_leaf(&op_constant, 0, 1, 1, &value, err);

    if (t == NULL || n_in == 0) {
        return t;
    }
    return transform_compose(transform_remap(n_in, 0, &none, err), t, err);
}

/* ---- logical ---- */

enum { LOGICAL_GT, LOGICAL_LT, LOGICAL_EQ, LOGICAL_NE };

static void run_logical(const struct transform *leaf, size_t n, const double *const *in,
                        double *const *out)
{
    const double c = leaf->par[1], v = leaf->par[2];

    switch ((int)leaf->par[0]) {
    case LOGICAL_GT:
        EACH(x > c ? v : x)
        break;
    case LOGICAL_LT:
        EACH(x < c ? v : x)
        break;
    case LOGICAL_EQ:
        EACH(x == c ? v : x)
        break;
    default:
        EACH(x < c || x > c ? v : x)
        break;
    }
}

static const char logical_names[4][3] = {"GT", "LT", "EQ", "NE"};

static void write_logical(const struct transform *leaf, struct asdf_text *t,
                          const char *keys)
{
    asdf_text_put(t,
                  "!<tag:stsci.edu:jwst_pipeline/logical-1.0.0> {%scondition: %s, "
                  "compareto: ",
                  keys, logical_names[(int)leaf->par[0]]);
    asdf_text_real(t, leaf->par[1]);
    asdf_text_put(t, ", value: ");
    asdf_text_real(t, leaf->par[2]);
}

static const struct transform_op op_logical = {"logical", run_logical, NULL,
                                               write_logical};

struct transform *transform_logical(const char *condition, double compareto,
                                    double value, struct err *err)
{

    for (int i = 0; i < 4; i++) {
        if (strcmp(condition, logical_names[i]) == 0) {
            const double par[3] = {i, compareto, value};

            return transform_leaf(&op_logical, 1, 1, 3, par, err);
        }
    }
    err_set(err, ERR_REFERENCE, "logical condition '%s'; GT, LT, EQ or NE are known",
            condition);
    return NULL;
}

/* ---- functions by their numpy names ---- */

#define FUNCTION(name, expression)                                                     \
    static void run_##name(const struct transform *leaf, size_t n,                     \
                           const double *const *in, double *const *out)                \
    {                                                                                  \
        (void)leaf;                                                                    \
        EACH(expression)                                                               \
    }
#define FUNCTION2(name, expression)                                                    \
    static void run_##name(const struct transform *leaf, size_t n,                     \
                           const double *const *in, double *const *out)                \
    {                                                                                  \
        (void)leaf;                                                                    \
        EACH2(expression)                                                              \
    }

/* numpy's remainder has the sign of the divisor, and an exact zero too. */
static double remainder_like(double x, double y)
{
    double r = fmod(x, y);

    if (r == 0.0) {
        return copysign(0.0, y);
    }
    return (r < 0.0) != (y < 0.0) ? r + y : r;
}

static double floor_divide(double x, double y)
{
    if (y == 0.0) {
        return x / y;
    }
    double q = (x - remainder_like(x, y)) / y;
    double f = floor(q);

    return q - f > 0.5 ? f + 1.0 : q == 0.0 ? copysign(0.0, x / y) : f;
}

static double log_add(double x, double y)
{
    if (x == y) {
        return x + 0.69314718055994530942;
    }
    return x > y ? x + log1p(exp(y - x)) : x < y ? y + log1p(exp(x - y)) : x - y;
}

static double log_add2(double x, double y)
{
    if (x == y) {
        return x + 1.0;
    }
    return x > y   ? x + 1.44269504088896340736 * log1p(exp2(y - x))
           : x < y ? y + 1.44269504088896340736 * log1p(exp2(x - y))
                   : x - y;
}

FUNCTION(sin, sin(x))
FUNCTION(cos, cos(x))
FUNCTION(tan, tan(x))
FUNCTION(arcsin, asin(x))
FUNCTION(arccos, acos(x))
FUNCTION(arctan, atan(x))
FUNCTION(sinh, sinh(x))
FUNCTION(cosh, cosh(x))
FUNCTION(tanh, tanh(x))
FUNCTION(arcsinh, asinh(x))
FUNCTION(arccosh, acosh(x))
FUNCTION(arctanh, atanh(x))
FUNCTION(deg2rad, x *DEGREE)
FUNCTION(rad2deg, x * 57.29577951308232)
FUNCTION(negative, -x)
FUNCTION(positive, x)
FUNCTION(absolute, fabs(x))
FUNCTION(rint, rint(x))
FUNCTION(exp, exp(x))
FUNCTION(exp2, exp2(x))
FUNCTION(log, log(x))
FUNCTION(log2, log2(x))
FUNCTION(log10, log10(x))
FUNCTION(expm1, expm1(x))
FUNCTION(log1p, log1p(x))
FUNCTION(sqrt, sqrt(x))
FUNCTION(square, x *x)
FUNCTION(cbrt, cbrt(x))
FUNCTION(reciprocal, 1.0 / x)
FUNCTION2(arctan2, atan2(x, y))
FUNCTION2(hypot, hypot(x, y))
FUNCTION2(logaddexp, log_add(x, y))
FUNCTION2(logaddexp2, log_add2(x, y))
FUNCTION2(floor_divide, floor_divide(x, y))
FUNCTION2(remainder, remainder_like(x, y))
FUNCTION2(fmod, fmod(x, y))

static void run_divmod(const struct transform *leaf, size_t n, const double *const *in,
                       double *const *out)
{
    (void)leaf;
    for (size_t i = 0; i < n; i++) {
        out[0][i] = floor_divide(in[0][i], in[1][i]);
        out[1][i] = remainder_like(in[0][i], in[1][i]);
    }
}

static void write_function(const struct transform *leaf, struct asdf_text *t,
                           const char *keys)
{
    asdf_text_put(t, "!transform/math_functions-1.0.0 {%sfunc_name: %s", keys,
                  leaf->op->name);
}

static const struct function {
    struct transform_op op;
    int n_in, n_out;
} functions[] = {
    {{"sin", run_sin, NULL, write_function}, 1, 1},
    {{"cos", run_cos, NULL, write_function}, 1, 1},
    {{"tan", run_tan, NULL, write_function}, 1, 1},
    {{"arcsin", run_arcsin, NULL, write_function}, 1, 1},
    {{"arccos", run_arccos, NULL, write_function}, 1, 1},
    {{"arctan", run_arctan, NULL, write_function}, 1, 1},
    {{"sinh", run_sinh, NULL, write_function}, 1, 1},
    {{"cosh", run_cosh, NULL, write_function}, 1, 1},
    {{"tanh", run_tanh, NULL, write_function}, 1, 1},
    {{"arcsinh", run_arcsinh, NULL, write_function}, 1, 1},
    {{"arccosh", run_arccosh, NULL, write_function}, 1, 1},
    {{"arctanh", run_arctanh, NULL, write_function}, 1, 1},
    {{"deg2rad", run_deg2rad, NULL, write_function}, 1, 1},
    {{"rad2deg", run_rad2deg, NULL, write_function}, 1, 1},
    {{"negative", run_negative, NULL, write_function}, 1, 1},
    {{"positive", run_positive, NULL, write_function}, 1, 1},
    {{"absolute", run_absolute, NULL, write_function}, 1, 1},
    {{"fabs", run_absolute, NULL, write_function}, 1, 1},
    {{"rint", run_rint, NULL, write_function}, 1, 1},
    {{"exp", run_exp, NULL, write_function}, 1, 1},
    {{"exp2", run_exp2, NULL, write_function}, 1, 1},
    {{"log", run_log, NULL, write_function}, 1, 1},
    {{"log2", run_log2, NULL, write_function}, 1, 1},
    {{"log10", run_log10, NULL, write_function}, 1, 1},
    {{"expm1", run_expm1, NULL, write_function}, 1, 1},
    {{"log1p", run_log1p, NULL, write_function}, 1, 1},
    {{"sqrt", run_sqrt, NULL, write_function}, 1, 1},
    {{"square", run_square, NULL, write_function}, 1, 1},
    {{"cbrt", run_cbrt, NULL, write_function}, 1, 1},
    {{"reciprocal", run_reciprocal, NULL, write_function}, 1, 1},
    {{"arctan2", run_arctan2, NULL, write_function}, 2, 1},
    {{"hypot", run_hypot, NULL, write_function}, 2, 1},
    {{"logaddexp", run_logaddexp, NULL, write_function}, 2, 1},
    {{"logaddexp2", run_logaddexp2, NULL, write_function}, 2, 1},
    {{"add", run_add, NULL, write_function}, 2, 1},
    {{"subtract", run_subtract, NULL, write_function}, 2, 1},
    {{"multiply", run_multiply, NULL, write_function}, 2, 1},
    {{"divide", run_divide, NULL, write_function}, 2, 1},
    {{"true_divide", run_divide, NULL, write_function}, 2, 1},
    {{"floor_divide", run_floor_divide, NULL, write_function}, 2, 1},
    {{"power", run_power, NULL, write_function}, 2, 1},
    {{"remainder", run_remainder, NULL, write_function}, 2, 1},
    {{"mod", run_remainder, NULL, write_function}, 2, 1},
    {{"fmod", run_fmod, NULL, write_function}, 2, 1},
    {{"divmod", run_divmod, NULL, write_function}, 2, 2},
};

struct transform *transform_function(const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (strcmp(name, functions[i].op.name) == 0) {
            return transform_leaf(&functions[i].op, functions[i].n_in,
                                  functions[i].n_out, 0, NULL, err);
        }
    }
    err_set(err, ERR_REFERENCE, "math function '%s' is not known", name);
    return NULL;
}
