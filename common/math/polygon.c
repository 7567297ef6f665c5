#include "common/math/polygon.h"

#include <math.h>

/* A convex polygon of n corners; cutting a quadrilateral four times gives at most 8. */
struct ring {
    int n;
    double x[9], y[9];
};

/* Keep the part of `in` where sign * (coordinate - edge) > 0. */
static void cut(const struct ring *in, int along_y, double sign, double edge,
                struct ring *out)
{
    out->n = 0;
    for (int a = 0; a < in->n; a++) {
        int b = a + 1 == in->n ? 0 : a + 1;
        double da = sign * ((along_y ? in->y[a] : in->x[a]) - edge);
        double db = sign * ((along_y ? in->y[b] : in->x[b]) - edge);
        if ((da > 0) != (db > 0)) {
            double t = da / (da - db);
            out->x[out->n] = in->x[a] + t * (in->x[b] - in->x[a]);
            out->y[out->n++] = in->y[a] + t * (in->y[b] - in->y[a]);
        }
        if (db > 0) {
            out->x[out->n] = in->x[b];
            out->y[out->n++] = in->y[b];
        }
    }
}

double polygon_overlap(const double qx[4], const double qy[4], double x0, double x1,
                       double y0, double y1)
{
    struct ring a = {.n = 4}, b;
    for (int i = 0; i < 4; i++) {
        if (!isfinite(qx[i]) || !isfinite(qy[i])) {
            return 0;
        }
        a.x[i] = qx[i];
        a.y[i] = qy[i];
    }
    cut(&a, 0, 1, x0, &b);
    cut(&b, 0, -1, x1, &a);
    cut(&a, 1, 1, y0, &b);
    cut(&b, 1, -1, y1, &a);
    double twice = 0;
    for (int i = 1; i + 1 < a.n; i++) { /* about the first corner: no cancellation */
        twice += (a.x[i] - a.x[0]) * (a.y[i + 1] - a.y[0]) -
                 (a.x[i + 1] - a.x[0]) * (a.y[i] - a.y[0]);
    }
    return fabs(twice) / 2;
}

static double smallest(const double q[4])
{
    double a = q[0] < q[1] ? q[0] : q[1], b = q[2] < q[3] ? q[2] : q[3];
    return a < b ? a : b;
}

static double largest(const double q[4])
{
    double a = q[0] > q[1] ? q[0] : q[1], b = q[2] > q[3] ? q[2] : q[3];
    return a > b ? a : b;
}

/*
 * Add one edge to the integrals of its columns: below[r * ni + c] grows by the signed
 * integral of min(y, r + 1) dx over column c.
 */
static void add_edge(double xa, double ya, double xb, double yb, int ni, int nj,
                     double *below)
{
    double sign = 1;
    if (xb < xa) {
        double t = xa;
        xa = xb;
        xb = t;
        t = ya;
        ya = yb;
        yb = t;
        sign = -1;
    }
    if (!(xb > xa)) {
        return; /* upright: no area below it */
    }
    double slope = (yb - ya) / (xb - xa);
    int last = (int)xb < ni ? (int)xb : ni - 1;
    for (int c = (int)xa; c <= last; c++) {
        double xl = xa > c ? xa : c, xr = xb < c + 1 ? xb : c + 1;
        double width = xr - xl;
        if (width <= 0) {
            continue;
        }
        double yl = xa > c ? ya : ya + slope * (xl - xa);
        double yr = xb < c + 1 ? yb : ya + slope * (xr - xa);
        double lo = yl < yr ? yl : yr, hi = yl < yr ? yr : yl;
        double whole = sign * width * 0.5 * (lo + hi);
        for (int r = 0; r < nj; r++) {
            double top = r + 1, part;
            if (hi <= top) {
                part = whole;
            } else if (lo >= top) {
                part = sign * width * top;
            } else {
                double d = top - lo;
                part = sign * width * (top - 0.5 * d * d / (hi - lo));
            }
            below[r * ni + c] += part;
        }
    }
}

int polygon_cell_areas(const double qx[4], const double qy[4],
                       struct polygon_cells *ret)
{
    ret->i0 = ret->j0 = ret->ni = ret->nj = 0;
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += qx[i] * 0 + qy[i] * 0;
    }
    if (!(sum == 0)) {
        return 0; /* NaN or infinite */
    }
    double x_min = floor(smallest(qx)), x_max = largest(qx);
    double y_min = floor(smallest(qy)), y_max = largest(qy);
    if (fabs(x_min) > 1e9 || fabs(y_min) > 1e9 || x_max - x_min > POLYGON_CELLS ||
        y_max - y_min > POLYGON_CELLS) {
        return -1;
    }
    int ni = (int)(x_max - x_min) + 1, nj = (int)(y_max - y_min) + 1;
    if (ni * nj > POLYGON_CELLS) {
        return -1;
    }
    double *area = ret->area;
    for (int i = 0; i < ni * nj; i++) {
        area[i] = 0;
    }
    for (int a = 0; a < 4; a++) {
        int b = (a + 1) & 3;
        add_edge(qx[a] - x_min, qy[a] - y_min, qx[b] - x_min, qy[b] - y_min, ni, nj,
                 area);
    }
    for (int c = 0; c < ni; c++) {
        for (int r = nj - 1; r >= 0; r--) {
            double shared = fabs(area[r * ni + c] - (r ? area[(r - 1) * ni + c] : 0));
            area[r * ni + c] = shared > POLYGON_SLIVER ? shared : 0;
        }
    }
    ret->i0 = (int)x_min;
    ret->j0 = (int)y_min;
    ret->ni = ni;
    ret->nj = nj;
    return 0;
}
