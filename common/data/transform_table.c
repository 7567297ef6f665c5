#include <math.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/asdf_text.h"
#include "common/data/transform_impl.h"

/*
 * Tables. par: kind, outside, fill, nx, ny (0 in one dimension), x points, y points,
 * values. As scipy.interpolate.interpn computes them, corner by corner.
 */

#define MAX_VALUES ((size_t)100000000)

enum { PAR_NEAREST, PAR_OUTSIDE, PAR_FILL, PAR_NX, PAR_NY, PAR_POINTS };

/*
 * The interval of x: i with points[i] <= x < points[i+1], at the ends the outermost.
 * Neighbouring pixels mostly share it, so the search begins at the last answer.
 */
static size_t find(const double *points, size_t n, double x, size_t near)
{
    size_t low = 0, high = n - 1;

    if (points[near] <= x) {
        if (near + 2 >= n || x < points[near + 1]) {
            return near;
        }
        low = near + 1;
        if (low + 2 >= n || x < points[low + 1]) {
            return low;
        }
    } else {
        if (near == 0 || points[near - 1] <= x) {
            return near == 0 ? 0 : near - 1;
        }
        high = near;
    }
    while (high - low > 1) {
        const size_t mid = low + (high - low) / 2;

        if (points[mid] <= x) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

static void run_table1d(const struct transform *leaf, size_t n, const double *const *in,
                        double *const *out)
{
    const size_t nx = (size_t)leaf->par[PAR_NX];
    const double *points = leaf->par + PAR_POINTS, *values = points + nx;
    const bool nearest = leaf->par[PAR_NEAREST] != 0.0;
    const bool fill = (int)leaf->par[PAR_OUTSIDE] == TRANSFORM_OUTSIDE_FILL;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        const double x = in[0][i];

        if (isnan(x)) {
            out[0][i] = x;
            continue;
        }
        if (fill && (x < points[0] || x > points[nx - 1])) {
            out[0][i] = leaf->par[PAR_FILL];
            continue;
        }
        at = find(points, nx, x, at);
        const double part = (x - points[at]) / (points[at + 1] - points[at]);

        if (nearest) {
            out[0][i] = values[part <= 0.5 ? at : at + 1];
        } else {
            out[0][i] = values[at] * (1.0 - part) + values[at + 1] * part;
        }
    }
}

static struct transform *table(size_t nx, size_t ny, const double *x, const double *y,
                               const double *values, bool nearest,
                               enum transform_outside outside, double fill,
                               struct err *err);
static void write_table1d(const struct transform *leaf, struct asdf_text *t,
                          const char *keys)
{
    const size_t n = (size_t)leaf->par[PAR_NX];
    const double *points = leaf->par + PAR_POINTS;

    asdf_text_put(t,
                  "!transform/tabular-1.2.0 {%smethod: %s, bounds_error: false, "
                  "fill_value: ",
                  keys, leaf->par[PAR_NEAREST] != 0.0 ? "nearest" : "linear");
    if ((int)leaf->par[PAR_OUTSIDE] == TRANSFORM_OUTSIDE_FILL) {
        asdf_text_real(t, leaf->par[PAR_FILL]);
    } else {
        asdf_text_put(t, "null");
    }
    asdf_text_put(t, ", points: [");
    asdf_text_array(t, n, points);
    asdf_text_put(t, "], lookup_table: ");
    asdf_text_array(t, n, points + n);
}

static const struct transform_op op_table1d, op_table2d;

static struct transform *table1d_back(const struct transform *leaf, struct err *err)
{
    const size_t nx = (size_t)leaf->par[PAR_NX];
    const double *points = leaf->par + PAR_POINTS, *values = points + nx;
    const bool rising = values[1] > values[0];

    for (size_t i = 1; i < nx; i++) {
        if (rising ? !(values[i] > values[i - 1]) : !(values[i] < values[i - 1])) {
            err_set(err, ERR_REFERENCE,
                    "%s%sa table whose values are not monotonic has no inverse",
                    leaf->origin ? leaf->origin : "", leaf->origin ? ": " : "");
            return NULL;
        }
    }
    return table(nx, 0, values, NULL, points, leaf->par[PAR_NEAREST] != 0.0,
                 (enum transform_outside)leaf->par[PAR_OUTSIDE], leaf->par[PAR_FILL],
                 err);
}

static void run_table2d(const struct transform *leaf, size_t n, const double *const *in,
                        double *const *out)
{
    const size_t nx = (size_t)leaf->par[PAR_NX], ny = (size_t)leaf->par[PAR_NY];
    const double *px = leaf->par + PAR_POINTS, *py = px + nx, *values = py + ny;
    const bool fill = (int)leaf->par[PAR_OUTSIDE] == TRANSFORM_OUTSIDE_FILL;
    const bool nearest = leaf->par[PAR_NEAREST] != 0.0;
    size_t ax = 0, ay = 0;

    for (size_t i = 0; i < n; i++) {
        const double x = in[0][i], y = in[1][i];

        if (isnan(x) || isnan(y)) {
            out[0][i] = NAN;
            continue;
        }
        if (fill && (x < px[0] || x > px[nx - 1] || y < py[0] || y > py[ny - 1])) {
            out[0][i] = leaf->par[PAR_FILL];
            continue;
        }
        ax = find(px, nx, x, ax);
        ay = find(py, ny, y, ay);
        const double u = (x - px[ax]) / (px[ax + 1] - px[ax]);
        const double v = (y - py[ay]) / (py[ay + 1] - py[ay]);
        const double *lower = values + ax * ny + ay, *upper = lower + ny;

        if (nearest) {
            out[0][i] = (u <= 0.5 ? lower : upper)[v <= 0.5 ? 0 : 1];
        } else {
            out[0][i] = lower[0] * (1.0 - u) * (1.0 - v) + lower[1] * (1.0 - u) * v +
                        upper[0] * u * (1.0 - v) + upper[1] * u * v;
        }
    }
}

static const struct transform_op op_table1d = {"tabular", run_table1d, table1d_back,
                                               write_table1d};
static const struct transform_op op_table2d = {"tabular", run_table2d, NULL, NULL};

/* Points strictly increasing, or all of them decreasing. */
static bool monotonic(size_t n, const double *points, bool *ret_falling)
{
    *ret_falling = n >= 2 && points[1] < points[0];
    for (size_t i = 1; i < n; i++) {
        if (*ret_falling ? !(points[i] < points[i - 1])
                         : !(points[i] > points[i - 1])) {
            return false;
        }
    }
    return n >= 2;
}

static struct transform *table(size_t nx, size_t ny, const double *x, const double *y,
                               const double *values, bool nearest,
                               enum transform_outside outside, double fill,
                               struct err *err)
{
    const size_t columns = ny > 0 ? ny : 1;
    bool x_falls, y_falls = false;
    struct transform *t;
    size_t n;

    if (!monotonic(nx, x, &x_falls) || (ny > 0 && !monotonic(ny, y, &y_falls))) {
        err_set(err, ERR_REFERENCE,
                "a table needs two or more points that rise (or fall) strictly");
        return NULL;
    }
    if (nx > MAX_VALUES / columns) {
        err_set(err, ERR_REFERENCE, "a table of %zu x %zu values is too large", nx,
                columns);
        return NULL;
    }
    n = PAR_POINTS + nx + ny + nx * columns;
    t = transform_leaf(ny > 0 ? &op_table2d : &op_table1d, ny > 0 ? 2 : 1, 1, n, NULL,
                       err);
    if (t == NULL) {
        return NULL;
    }
    t->par[PAR_NEAREST] = nearest;
    t->par[PAR_OUTSIDE] = outside;
    t->par[PAR_FILL] = fill;
    t->par[PAR_NX] = (double)nx;
    t->par[PAR_NY] = (double)ny;
    double *to_x = t->par + PAR_POINTS, *to_y = to_x + nx, *to = to_y + ny;

    for (size_t i = 0; i < nx; i++) {
        const size_t from = x_falls ? nx - 1 - i : i;

        to_x[i] = x[from];
        for (size_t k = 0; k < columns; k++) {
            to[i * columns + k] = values[from * columns + (y_falls ? ny - 1 - k : k)];
        }
    }
    for (size_t k = 0; k < ny; k++) {
        to_y[k] = y[y_falls ? ny - 1 - k : k];
    }
    return t;
}

struct transform *transform_tabular1d(int n, const double *points, const double *values,
                                      enum transform_outside outside, double fill,
                                      struct err *err)
{
    return table(n > 0 ? (size_t)n : 0, 0, points, NULL, values, false, outside, fill,
                 err);
}

struct transform *transform_nearest1d(int n, const double *points, const double *values,
                                      enum transform_outside outside, double fill,
                                      struct err *err)
{
    return table(n > 0 ? (size_t)n : 0, 0, points, NULL, values, true, outside, fill,
                 err);
}

struct transform *transform_tabular2d(int nx, const double *x, int ny, const double *y,
                                      const double *values, bool nearest,
                                      enum transform_outside outside, double fill,
                                      struct err *err)
{
    if (nx < 2 || ny < 2) {
        err_set(err, ERR_REFERENCE, "a table of %d x %d points; 2 x 2 at least", nx,
                ny);
        return NULL;
    }
    return table((size_t)nx, (size_t)ny, x, y, values, nearest, outside, fill, err);
}

/* ---- a picture of labels: none, nx, ny, values ---- */

static void run_lookup(const struct transform *leaf, size_t n, const double *const *in,
                       double *const *out)
{
    const double nx = leaf->par[1], ny = leaf->par[2];

    for (size_t i = 0; i < n; i++) {
        const double x = floor(in[0][i] + 0.5), y = floor(in[1][i] + 0.5);
        const bool inside = x >= 0.0 && x < nx && y >= 0.0 && y < ny;

        out[0][i] =
            inside ? leaf->par[3 + (size_t)y * (size_t)nx + (size_t)x] : leaf->par[0];
    }
}

static const struct transform_op op_lookup = {"label_mapper", run_lookup, NULL, NULL};

struct transform *transform_lookup(size_t nx, size_t ny, const double *values,
                                   double none, struct err *err)
{
    size_t n;
    struct transform *t;

    if (mem_mul(nx, ny, &n) != 0 || n == 0 || n > MAX_VALUES) {
        err_set(err, ERR_REFERENCE, "a picture of %zu x %zu labels", nx, ny);
        return NULL;
    }
    t = transform_leaf(&op_lookup, 2, 1, 3 + n, NULL, err);
    if (t != NULL) {
        t->par[0] = none;
        t->par[1] = (double)nx;
        t->par[2] = (double)ny;
        memcpy(t->par + 3, values, n * sizeof(double));
    }
    return t;
}
