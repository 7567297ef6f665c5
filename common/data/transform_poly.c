#include <string.h>
#include "common/data/asdf_text.h"
#include "common/data/transform_impl.h"

/*
 * Polynomials by Horner's scheme, in astropy's order of operations, so that the results
 * are the same to the last bit: p = c + p x over the powers of x, then r = y (p + r) over
 * the powers of y. Many points go through the coefficients together: enough independent
 * sums to keep the arithmetic units busy, few enough to stay in registers.
 */

enum { PAR_DEGREE, PAR_X_SCALE, PAR_X_OFFSET, PAR_Y_SCALE, PAR_Y_OFFSET, PAR_COEF };

int transform_map_domain(const double *domain, const double *window, double ret[2],
                         struct err *err)
{
    static const double unit[2] = {-1.0, 1.0};

    domain = domain != NULL ? domain : unit;
    window = window != NULL ? window : unit;
    const double width = domain[1] - domain[0];

    if (!(width != 0.0)) {
        return err_set(err, ERR_REFERENCE, "polynomial domain %g..%g is empty",
                       domain[0], domain[1]);
    }
    ret[0] = (window[1] - window[0]) / width;
    ret[1] = (window[0] * domain[1] - window[1] * domain[0]) / width;
    return 0;
}

/*
 * The kernel for vectors V: eight of them at a time go through the coefficients. The
 * vectors must be what the target has, or gcc takes them apart before it inlines.
 */
#define KERNEL(name, V)                                                                \
    static void name(const double *par, size_t n, const double *xs, const double *ys,  \
                     double *out)                                                      \
    {                                                                                  \
        const int degree = (int)par[PAR_DEGREE];                                       \
        const size_t step = 8 * sizeof(V) / sizeof(double);                            \
        const V zero = {0};                                                            \
                                                                                       \
        for (size_t i = 0; i < n; i += step) {                                         \
            const V *x = (const V *)(xs + i), *y = (const V *)(ys + i);                \
            const double *c = par + PAR_COEF;                                          \
            V *r = (V *)(out + i);                                                     \
                                                                                       \
            for (int j = degree; j >= 0; j--) {                                        \
                V p0 = zero + *c++;                                                    \
                V p1 = p0, p2 = p0, p3 = p0, p4 = p0, p5 = p0, p6 = p0, p7 = p0;       \
                                                                                       \
                for (int k = j; k < degree; k++) {                                     \
                    const V next = zero + *c++;                                        \
                                                                                       \
                    p0 = p0 * x[0] + next;                                             \
                    p1 = p1 * x[1] + next;                                             \
                    p2 = p2 * x[2] + next;                                             \
                    p3 = p3 * x[3] + next;                                             \
                    p4 = p4 * x[4] + next;                                             \
                    p5 = p5 * x[5] + next;                                             \
                    p6 = p6 * x[6] + next;                                             \
                    p7 = p7 * x[7] + next;                                             \
                }                                                                      \
                if (j < degree) {                                                      \
                    p0 += r[0];                                                        \
                    p1 += r[1];                                                        \
                    p2 += r[2];                                                        \
                    p3 += r[3];                                                        \
                    p4 += r[4];                                                        \
                    p5 += r[5];                                                        \
                    p6 += r[6];                                                        \
                    p7 += r[7];                                                        \
                }                                                                      \
                if (j > 0) {                                                           \
                    p0 *= y[0];                                                        \
                    p1 *= y[1];                                                        \
                    p2 *= y[2];                                                        \
                    p3 *= y[3];                                                        \
                    p4 *= y[4];                                                        \
                    p5 *= y[5];                                                        \
                    p6 *= y[6];                                                        \
                    p7 *= y[7];                                                        \
                }                                                                      \
                r[0] = p0;                                                             \
                r[1] = p1;                                                             \
                r[2] = p2;                                                             \
                r[3] = p3;                                                             \
                r[4] = p4;                                                             \
                r[5] = p5;                                                             \
                r[6] = p6;                                                             \
                r[7] = p7;                                                             \
            }                                                                          \
        }                                                                              \
    }

typedef double pairs __attribute__((vector_size(16), may_alias));
typedef double quads __attribute__((vector_size(32), may_alias));

KERNEL(horner_any, pairs)

#if defined(__x86_64__)
/* The same arithmetic; without contraction the bits are the same, too. */
__attribute__((target("avx2"))) KERNEL(horner_avx2, quads)
#endif

    static void run_polynomial2d(const struct transform *leaf, size_t n,
                                 const double *const *in, double *const *out)
{
    const double *par = leaf->par, *x = in[0], *y = in[1];
    double moved[2][TRANSFORM_RUN] __attribute__((aligned(64)));

    if (par[PAR_X_SCALE] != 1.0 || par[PAR_X_OFFSET] != 0.0 ||
        par[PAR_Y_SCALE] != 1.0 || par[PAR_Y_OFFSET] != 0.0) {
        for (size_t i = 0; i < n; i++) {
            moved[0][i] = par[PAR_X_OFFSET] + par[PAR_X_SCALE] * x[i];
            moved[1][i] = par[PAR_Y_OFFSET] + par[PAR_Y_SCALE] * y[i];
        }
        x = moved[0];
        y = moved[1];
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        horner_avx2(par, n, x, y, out[0]);
        return;
    }
#endif
    horner_any(par, n, x, y, out[0]);
}

/* "domain: [a, b]" of a map that is not the identity; the window is -1 to 1. */
static void put_domain(struct asdf_text *t, const double map[2])
{
    const double domain[2] = {(-1.0 - map[1]) / map[0], (1.0 - map[1]) / map[0]};

    if (map[0] == 1.0 && map[1] == 0.0) {
        asdf_text_put(t, "[-1.0, 1.0]");
    } else {
        asdf_text_reals(t, 2, domain);
    }
}

static void write_polynomial2d(const struct transform *leaf, struct asdf_text *t,
                               const char *keys)
{
    const int degree = (int)leaf->par[PAR_DEGREE];

    asdf_text_put(t, "!transform/polynomial-1.2.0 {%sdomain: [", keys);
    put_domain(t, leaf->par + PAR_X_SCALE);
    asdf_text_put(t, ", ");
    put_domain(t, leaf->par + PAR_Y_SCALE);
    asdf_text_put(t, "], window: [[-1.0, 1.0], [-1.0, 1.0]], coefficients: "
                     "!core/ndarray-1.0.0 {datatype: float64, data: [");
    for (int i = 0; i <= degree; i++) {
        asdf_text_put(t, i > 0 ? ", [" : "[");
        for (int j = 0; j <= degree; j++) {
            /* rows of j from the highest, each of i from the highest */
            const int rows = degree - j, before = rows * (rows + 1) / 2;
            const double c =
                i + j <= degree ? leaf->par[PAR_COEF + before + degree - j - i] : 0.0;

            asdf_text_put(t, j > 0 ? ", " : "");
            asdf_text_real(t, c);
        }
        asdf_text_put(t, "]");
    }
    asdf_text_put(t, "]}");
}

static const struct transform_op op_polynomial2d = {"polynomial", run_polynomial2d,
                                                    NULL, write_polynomial2d};

struct transform *transform_polynomial2d(int degree, const double *coef,
                                         const double *domain, const double *window,
                                         struct err *err)
{
    struct transform *t = NULL;
    double x[2], y[2];
    const size_t n = (size_t)degree + 1;

    if (degree < 0 || degree > 100) {
        err_set(err, ERR_REFERENCE, "polynomial of degree %d; 0 to 100 is possible",
                degree);
        return NULL;
    }
    if (transform_map_domain(domain, window, x, err) != 0 ||
        transform_map_domain(domain ? domain + 2 : NULL, window ? window + 2 : NULL, y,
                             err) != 0) {
        return NULL;
    }
    t = transform_leaf(&op_polynomial2d, 2, 1, PAR_COEF + n * (n + 1) / 2, NULL, err);
    if (t != NULL) {
        double *to = t->par + PAR_COEF;

        t->par[PAR_DEGREE] = degree;
        t->par[PAR_X_SCALE] = x[0];
        t->par[PAR_X_OFFSET] = x[1];
        t->par[PAR_Y_SCALE] = y[0];
        t->par[PAR_Y_OFFSET] = y[1];
        for (int j = degree; j >= 0; j--) {
            for (int i = degree - j; i >= 0; i--) {
                *to++ = coef[(size_t)i * n + (size_t)j];
            }
        }
    }
    return t;
}

/* ---- one variable: scale, offset, then the coefficients from the highest ---- */

static void run_polynomial1d(const struct transform *leaf, size_t n,
                             const double *const *in, double *const *out)
{
    const double *par = leaf->par;
    const size_t n_coef = leaf->n_par - 2;

    for (size_t i = 0; i < n; i += 2) {
        const pairs x = par[1] + par[0] * *(const pairs *)(in[0] + i);
        pairs p = (pairs){0} + par[2];

        for (size_t k = 1; k < n_coef; k++) {
            p = par[2 + k] + p * x;
        }
        *(pairs *)(out[0] + i) = p;
    }
}

static void write_polynomial1d(const struct transform *leaf, struct asdf_text *t,
                               const char *keys)
{
    asdf_text_put(t, "!transform/polynomial-1.2.0 {%sdomain: ", keys);
    put_domain(t, leaf->par);
    asdf_text_put(t, ", window: [-1.0, 1.0], coefficients: !core/ndarray-1.0.0 "
                     "{datatype: float64, data: [");
    for (size_t i = leaf->n_par - 1; i >= 2; i--) {
        asdf_text_real(t, leaf->par[i]);
        asdf_text_put(t, i > 2 ? ", " : "");
    }
    asdf_text_put(t, "]}");
}

static const struct transform_op op_polynomial1d = {"polynomial", run_polynomial1d,
                                                    NULL, write_polynomial1d};

struct transform *transform_polynomial1d(int n, const double *coef,
                                         const double *domain, const double *window,
                                         struct err *err)
{
    struct transform *t = NULL;
    double map[2];

    if (n < 1 || n > 1000) {
        err_set(err, ERR_REFERENCE, "polynomial of %d coefficients; 1 to 1000", n);
        return NULL;
    }
    if (transform_map_domain(domain, window, map, err) != 0) {
        return NULL;
    }
    t = transform_leaf(&op_polynomial1d, 1, 1, 2 + (size_t)n, NULL, err);
    if (t != NULL) {
        t->par[0] = map[0];
        t->par[1] = map[1];
        for (int i = 0; i < n; i++) {
            t->par[2 + i] = coef[n - 1 - i];
        }
    }
    return t;
}
