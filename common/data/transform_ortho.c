#include <string.h>
#include "common/data/transform_impl.h"

/*
 * Series of orthogonal polynomials in one or two variables, by the recurrence of their
 * kind. par: kind, nx, ny (0 in one variable), the maps of x and y, coefficients.
 */

enum { PAR_KIND, PAR_NX, PAR_NY, PAR_MAP, PAR_COEF = PAR_MAP + 4 };
enum { CHEBYSHEV, LEGENDRE, HERMITE };

#define MAX_TERMS 100

/* Terms 0..n-1 of the kind at x. */
static void terms(int kind, int n, double x, double *p)
{
    p[0] = 1.0;
    if (n > 1) {
        p[1] = kind == HERMITE ? 2.0 * x : x;
    }
    for (int i = 2; i < n; i++) {
        switch (kind) {
        case CHEBYSHEV:
            p[i] = 2.0 * x * p[i - 1] - p[i - 2];
            break;
        case LEGENDRE:
            p[i] = ((2.0 * i - 1.0) * x * p[i - 1] - (i - 1.0) * p[i - 2]) / i;
            break;
        default:
            p[i] = 2.0 * x * p[i - 1] - 2.0 * (i - 1.0) * p[i - 2];
            break;
        }
    }
}

static void run_ortho(const struct transform *leaf, size_t n, const double *const *in,
                      double *const *out)
{
    const int kind = (int)leaf->par[PAR_KIND], nx = (int)leaf->par[PAR_NX],
              ny = (int)leaf->par[PAR_NY];
    const double *map = leaf->par + PAR_MAP, *coef = leaf->par + PAR_COEF;
    double px[MAX_TERMS], py[MAX_TERMS] = {1.0};

    for (size_t k = 0; k < n; k++) {
        double sum = 0.0;

        terms(kind, nx, map[1] + map[0] * in[0][k], px);
        if (ny > 0) {
            terms(kind, ny, map[3] + map[2] * in[1][k], py);
        }
        for (int i = 0; i < nx; i++) {
            double row = 0.0;

            for (int j = 0; j < (ny > 0 ? ny : 1); j++) {
                row += coef[i * (ny > 0 ? ny : 1) + j] * py[j];
            }
            sum += row * px[i];
        }
        out[0][k] = sum;
    }
}

static const struct transform_op op_ortho = {"ortho_polynomial", run_ortho, NULL, NULL};

struct transform *transform_ortho(const char *type, int n_axes, int nx, int ny,
                                  const double *coef, const double *domain,
                                  const double *window, struct err *err)
{
    static const char names[3][10] = {"chebyshev", "legendre", "hermite"};
    struct transform *t;
    int kind = 0;

    while (kind < 3 && strcmp(type, names[kind]) != 0) {
        kind++;
    }
    if (kind == 3 || nx < 1 || ny < 1 || nx > MAX_TERMS || ny > MAX_TERMS) {
        err_set(
            err, ERR_REFERENCE,
            "ortho_polynomial '%s' of %d x %d terms; chebyshev, legendre or hermite, "
            "of 1 to %d are possible",
            type, nx, ny, MAX_TERMS);
        return NULL;
    }
    t = transform_leaf(&op_ortho, n_axes, 1, PAR_COEF + (size_t)nx * (size_t)ny, NULL,
                       err);
    if (t == NULL) {
        return NULL;
    }
    t->par[PAR_KIND] = kind;
    t->par[PAR_NX] = nx;
    t->par[PAR_NY] = n_axes == 2 ? ny : 0;
    for (int i = 0; i < 2; i++) {
        int rc =
            transform_map_domain(domain != NULL && i < n_axes ? domain + 2 * i : NULL,
                                 window != NULL && i < n_axes ? window + 2 * i : NULL,
                                 t->par + PAR_MAP + 2 * i, err);

        if (rc != 0) {
            transform_release(t);
            return NULL;
        }
    }
    memcpy(t->par + PAR_COEF, coef, (size_t)nx * (size_t)ny * sizeof(double));
    return t;
}
