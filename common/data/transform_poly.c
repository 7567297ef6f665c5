#include <string.h>
#include "common/data/transform_impl.h"

/*
 * Polynomials by Horner's scheme, in astropy's order of operations, so that the results
 * are the same to the last bit: p = c + p x over the powers of x, then r = y (p + r) over
 * the powers of y. Thirty-two points go through the coefficients together: enough
 * independent sums to keep the arithmetic units busy, few enough to stay in registers.
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

static inline __attribute__((always_inline)) void
horner(const double *restrict par, size_t n, const double *restrict px,
       const double *restrict py, double *restrict out)
{
    const int degree = (int)par[PAR_DEGREE];
    const double sx = par[PAR_X_SCALE], ox = par[PAR_X_OFFSET];
    const double sy = par[PAR_Y_SCALE], oy = par[PAR_Y_OFFSET];
    const bool mapped = sx != 1.0 || ox != 0.0 || sy != 1.0 || oy != 0.0;
    const lanes zero = {0};

    for (size_t i = 0; i < n; i += TRANSFORM_BLOCK) {
        const lanes *x = (const lanes *)(px + i), *y = (const lanes *)(py + i);
        const double *c = par + PAR_COEF;
        lanes r0 = zero, r1 = zero, r2 = zero, r3 = zero;
        lanes p0, p1, p2, p3, mx[4], my[4];

        if (mapped) {
            for (int k = 0; k < 4; k++) {
                mx[k] = ox + sx * x[k];
                my[k] = oy + sy * y[k];
            }
            x = mx;
            y = my;
        }
        for (int j = degree;; j--) {
            p0 = p1 = p2 = p3 = zero + *c++;
            for (int k = j; k < degree; k++) {
                const double next = *c++;

                p0 = p0 * x[0] + next;
                p1 = p1 * x[1] + next;
                p2 = p2 * x[2] + next;
                p3 = p3 * x[3] + next;
            }
            if (j == 0) {
                break;
            }
            r0 = y[0] * (p0 + r0);
            r1 = y[1] * (p1 + r1);
            r2 = y[2] * (p2 + r2);
            r3 = y[3] * (p3 + r3);
        }
        lanes *to = (lanes *)(out + i);

        to[0] = p0 + r0;
        to[1] = p1 + r1;
        to[2] = p2 + r2;
        to[3] = p3 + r3;
    }
}

static void horner_any(const double *par, size_t n, const double *x, const double *y,
                       double *out)
{
    horner(par, n, x, y, out);
}

#if defined(__x86_64__)
/* The same arithmetic four at a time; without contraction the bits are the same. */
__attribute__((target("avx2"))) static void
horner_avx2(const double *par, size_t n, const double *x, const double *y, double *out)
{
    horner(par, n, x, y, out);
}
#endif

static void run_polynomial2d(const struct transform *leaf, size_t n,
                             const double *const *in, double *const *out)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        horner_avx2(leaf->par, n, in[0], in[1], out[0]);
        return;
    }
#endif
    horner_any(leaf->par, n, in[0], in[1], out[0]);
}

static const struct transform_op op_polynomial2d = {"polynomial", run_polynomial2d,
                                                    NULL};

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

    for (size_t i = 0; i < n; i += 8) {
        const lanes x = par[1] + par[0] * *(const lanes *)(in[0] + i);
        lanes p = (lanes){0} + par[2];

        for (size_t k = 1; k < n_coef; k++) {
            p = par[2 + k] + p * x;
        }
        *(lanes *)(out[0] + i) = p;
    }
}

static const struct transform_op op_polynomial1d = {"polynomial", run_polynomial1d,
                                                    NULL};

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
