#include <math.h>
#include "common/data/wcs_private.h"

/* A WCS with the transforms of a file at work (wcs_gwcs.c makes it). */

void wcs_file_to_slicer(const struct wcs_slice *s, size_t n, const double *x,
                        const double *y, double *across_m, double *along_m,
                        double *lam_m)
{
    const double *const in[2] = {x, y};
    double *const out[3] = {across_m, along_m, lam_m};
    transform_eval(s->to_slicer.forward, n, in, out);
    for (size_t i = 0; i < n; i++) {
        if (isnan(lam_m[i])) {
            across_m[i] = along_m[i] = (double)NAN;
        }
    }
}

/* Rounds of refinement: the inverses of files miss by some 1e-2 pixel, and by so nearly
 * the same at neighbouring points that each round takes off all but 1e-3 of it. */
enum { rounds = 3 };

/* Move a by what `back` says of the target and not of where a leads. */
static void approach(size_t n, double *a, const double *target, const double *reached)
{
    for (size_t i = 0; i < n; i++) {
        double step = target[i] - reached[i];
        a[i] += isfinite(step) ? step : 0.0;
    }
}

void wcs_file_from_sky(const struct wcs *w, size_t n, const double *ra,
                       const double *dec, const double *lam_um, double *across_m,
                       double *along_m, double *lam_m)
{
    double x0[WCS_RUN] = {0.0}, y0[WCS_RUN] = {0.0}, x[WCS_RUN], y[WCS_RUN],
           lam[WCS_RUN];
    double ra1[WCS_RUN], dec1[WCS_RUN], um[WCS_RUN], x1[WCS_RUN] = {0.0},
                                                     y1[WCS_RUN] = {0.0};
    const double *const target[3] = {ra, dec, lam_um}, *const at[3] = {ra1, dec1, um};
    double *const first[3] = {x0, y0, lam}, *const next[3] = {x1, y1, um};
    transform_eval(w->to_sky.inverse, n, target, first);
    for (size_t i = 0; i < n; i++) {
        x[i] = x0[i];
        y[i] = y0[i];
        lam[i] = lam_um[i] * 1e-6;
    }
    for (int round = 0; round < rounds; round++) {
        wcs_run_to_sky(w, n, x, y, lam, ra1, dec1, um);
        transform_eval(w->to_sky.inverse, n, at, next);
        approach(n, x, x0, x1);
        approach(n, y, y0, y1);
    }
    for (size_t i = 0; i < n; i++) {
        across_m[i] = x[i];
        along_m[i] = y[i];
        lam_m[i] = lam[i];
    }
}

/*
 * The detector is known on the centre line of the slice: there the file's inverse is
 * refined. Away from it a point moves as that inverse says; where the line ends, the
 * inverse stands as it is.
 */
void wcs_file_from_slicer(const struct wcs_slice *s, size_t n, const double *across_m,
                          const double *along_m, const double *lam_m, double *x,
                          double *y)
{
    double px[WCS_RUN], py[WCS_RUN], cx[WCS_RUN] = {0.0}, cy[WCS_RUN] = {0.0};
    double a[WCS_RUN], b[WCS_RUN], lam[WCS_RUN], x1[WCS_RUN] = {0.0},
                                                 y1[WCS_RUN] = {0.0};
    const double *const point[3] = {across_m, along_m, lam_m};
    const double *const centre[3] = {a, along_m, lam_m}, *const at[3] = {a, b, lam};
    double *const to_point[2] = {px, py}, *const to_centre[2] = {cx, cy};
    double *const next[2] = {x1, y1};
    transform_eval(s->to_slicer.inverse, n, point, to_point);
    wcs_file_to_slicer(s, n, px, py, a, b, lam);
    for (size_t i = 0; i < n; i++) {
        a[i] = isfinite(a[i]) ? a[i] : across_m[i];
    }
    transform_eval(s->to_slicer.inverse, n, centre, to_centre);
    for (size_t i = 0; i < n; i++) {
        x[i] = cx[i];
        y[i] = cy[i];
    }
    for (int round = 0; round < rounds; round++) {
        wcs_file_to_slicer(s, n, x, y, a, b, lam);
        transform_eval(s->to_slicer.inverse, n, at, next);
        approach(n, x, cx, x1);
        approach(n, y, cy, y1);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] += px[i] - cx[i];
        y[i] += py[i] - cy[i];
    }
}
