#include "stages/trace_slice.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/wcs.h"
#include "common/data/wcs_map.h"
#include "common/math/robust.h"

#define RADIAN (M_PI / 180)

/* A straight line on the sky: tangent plane at (ra, dec), and the direction of a slice. */
struct line {
    double ra, sin_dec, cos_dec;
    double east, north; /* unit vector */
};

/* Tangent plane, arcsec. */
static void tangent(const struct line *l, double ra, double dec, double *xi,
                    double *eta)
{
    const double a = (ra - l->ra) * RADIAN, s = sin(dec * RADIAN),
                 c = cos(dec * RADIAN);
    const double w = (s * l->sin_dec + c * l->cos_dec * cos(a)) * RADIAN / 3600;
    *xi = c * sin(a) / w;
    *eta = (s * l->cos_dec - c * l->sin_dec * cos(a)) / w;
}

/* Rows of the slice. */
static void find_rows(const struct exposure *e, struct trace_slice *s)
{
    int low = e->ny, high = -1;
    for (int y = 0; y < e->ny; y++) {
        const uint8_t *map = e->regions + (size_t)y * (size_t)e->nx;
        for (int x = 0; x < e->nx; x++) {
            if (map[x] == s->slice) {
                low = low < y ? low : y;
                high = y;
                break;
            }
        }
    }
    s->y0 = low;
    s->rows = high < low ? 0 : high - low + 1;
}

/* The direction in which the slice runs: along its fullest column. */
static bool find_line(const struct exposure *e, const struct trace_slice *s,
                      struct line *ret)
{
    int best = -1, first = 0, most = 1;
    for (int x = 0; x < e->nx; x++) {
        int n = 0, from = 0;
        for (int row = s->rows - 1; row >= 0; row--) {
            if (e->regions[(size_t)(s->y0 + row) * (size_t)e->nx + (size_t)x] ==
                s->slice) {
                from = row;
                n++;
            }
        }
        const bool nearer = n == most && abs(x - e->nx / 2) < abs(best - e->nx / 2);
        if (n > most || (best >= 0 && nearer)) {
            best = x;
            most = n;
            first = from;
        }
    }
    double ra[2], dec[2], um[2], xi[2], eta[2];
    const double x[2] = {best, best}, y[2] = {s->y0 + first, s->y0 + first + most - 1};
    if (best < 0) {
        return false;
    }
    wcs_detector_to_sky(e->wcs, s->slice, 2, x, y, ra, dec, um);
    *ret = (struct line){
        .ra = ra[0], .sin_dec = sin(dec[0] * RADIAN), .cos_dec = cos(dec[0] * RADIAN)};
    for (int k = 0; k < 2; k++) {
        tangent(ret, ra[k], dec[k], &xi[k], &eta[k]);
    }
    const double length = hypot(xi[1] - xi[0], eta[1] - eta[0]);
    ret->east = (xi[1] - xi[0]) / length;
    ret->north = (eta[1] - eta[0]) / length;
    return length > 0;
}

static void place_row(const struct exposure *e, const struct trace_slice *s,
                      const struct line *l, int row)
{
    double x[WCS_PIECE], y[WCS_PIECE], ra[WCS_PIECE], dec[WCS_PIECE], um[WCS_PIECE];
    const uint8_t *map = e->regions + (size_t)(s->y0 + row) * (size_t)e->nx;
    double *u = s->u + (size_t)row * (size_t)s->nx;
    struct wcs_piece p = {.row = s->y0 + row};
    for (int i = 0; i < s->nx; i++) {
        u[i] = NAN;
    }
    while (wcs_next_piece(map, e->nx, &p)) {
        if (p.slice != s->slice) {
            continue;
        }
        for (int i = 0; i < p.n; i++) {
            x[i] = p.first + i;
            y[i] = p.row;
        }
        wcs_detector_to_sky(e->wcs, s->slice, (size_t)p.n, x, y, ra, dec, um);
        for (int i = 0; i < p.n; i++) {
            double xi, eta;
            tangent(l, ra[i], dec[i], &xi, &eta);
            u[p.first + i] = xi * l->east + eta * l->north;
        }
    }
}

/* Median step from row to row. */
static int find_pitch(struct trace_slice *s, struct err *err)
{
    const size_t n = (size_t)s->nx * (size_t)(s->rows - 1);
    float *steps = mem_alloc(n ? n : 1, sizeof *steps, err);
    size_t count = 0;
    if (!steps) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i += 7) {
        const double d = s->u[i + (size_t)s->nx] - s->u[i];
        if (isfinite(d)) {
            steps[count++] = (float)d;
        }
    }
    s->pitch = count ? (double)robust_median(steps, count) : 0;
    free(steps);
    return 0;
}

/* The stretch that nearly every column covers wholly (95 in 100: at the ends of the
 * spectrum some begin or end within the slice). */
static int find_stretch(struct trace_slice *s, struct err *err)
{
    float *ends = mem_alloc(2 * (size_t)s->nx, sizeof *ends, err);
    float *tops = ends ? ends + s->nx : NULL;
    size_t n = 0;
    if (!ends) {
        return ERR_NOMEM;
    }
    for (int x = 0; x < s->nx; x++) {
        double least = INFINITY, most = -INFINITY;
        for (int row = 0; row < s->rows; row++) {
            const double u = s->u[(size_t)row * (size_t)s->nx + (size_t)x];
            least = u < least ? u : least;
            most = u > most ? u : most;
        }
        if (least < most) {
            ends[n] = (float)(least - s->pitch / 2);
            tops[n++] = (float)(most + s->pitch / 2);
        }
    }
    s->low = n ? (double)robust_select(ends, n, n - 1 - n / 20) : 0;
    s->high = n ? (double)robust_select(tops, n, n / 20) : 0;
    free(ends);
    return 0;
}

int trace_slice_make(const struct exposure *e, int slice, struct trace_slice *ret,
                     struct err *err)
{
    struct line l;
    *ret = (struct trace_slice){.slice = slice, .nx = e->nx};
    find_rows(e, ret);
    if (ret->rows < 2 || !find_line(e, ret, &l)) {
        ret->rows = 0;
        return 0;
    }
    ret->u = mem_alloc((size_t)ret->rows * (size_t)ret->nx, sizeof *ret->u, err);
    if (!ret->u) {
        return ERR_NOMEM;
    }
    for (int row = 0; row < ret->rows; row++) {
        place_row(e, ret, &l, row);
    }
    int code = find_pitch(ret, err);
    code = code ? code : find_stretch(ret, err);
    if (code) {
        trace_slice_done(ret);
    }
    return code;
}

void trace_slice_done(struct trace_slice *s)
{
    free(s->u);
    *s = (struct trace_slice){0};
}

double trace_row_of(const struct trace_slice *s, int x, double u)
{
    const double *at = s->u + x;
    const size_t nx = (size_t)s->nx;
    int first = 0, last = s->rows - 1;
    while (first < s->rows && isnan(at[(size_t)first * nx])) {
        first++;
    }
    while (last > first && isnan(at[(size_t)last * nx])) {
        last--;
    }
    if (last <= first) {
        return NAN;
    }
    int low = first, high = last; /* the interval that holds u, or an outermost one */
    while (high - low > 1) {
        const int mid = (low + high) / 2;
        if (u < at[(size_t)mid * nx]) {
            high = mid;
        } else {
            low = mid;
        }
    }
    const double a = at[(size_t)low * nx], b = at[(size_t)high * nx];
    return s->y0 + low + (u - a) / (b - a) * (high - low);
}
