#include "common/data/wcs_map.h"

#include <math.h>
#include "common/data/wcs_private.h"

/* The peer's shares of a pixel. */
static const double half_height = 0.49, half_width = 0.4999;

int wcs_next_piece(const uint8_t *row, int nx, struct wcs_piece *p)
{
    int x = p->first + p->n;
    while (x < nx && row[x] == 0) {
        x++;
    }
    if (x >= nx) {
        return 0;
    }
    p->first = x;
    p->slice = row[x];
    for (p->n = 1; p->n < WCS_PIECE && x + p->n < nx; p->n++) {
        if (row[x + p->n] != row[x]) {
            break;
        }
    }
    return 1;
}

/* Pixels of the piece, moved by (dx, dy), to the slicer. */
static void to_slicer(const struct wcs *w, const struct wcs_piece *p, double dx,
                      double dy, double *across, double *along, double *lam_m)
{
    double x[WCS_RUN], y[WCS_RUN];
    size_t n = (size_t)p->n;
    for (size_t i = 0; i < n; i++) {
        x[i] = p->first + (int)i + dx;
        y[i] = p->row + dy;
    }
    wcs_run_to_slicer(w, &w->slice[p->slice - 1], n, x, y, across, along, lam_m);
}

/* Positions on the slicer to the sky, `aside` metres across from the centre line. */
static void to_sky(const struct wcs *w, const struct wcs_piece *p, const double *across,
                   const double *along, const double *lam_m, double aside, double *ra,
                   double *dec, double *lam_um)
{
    double moved[WCS_RUN];
    size_t n = (size_t)p->n;
    for (size_t i = 0; i < n; i++) {
        moved[i] = across[i] + aside;
    }
    wcs_run_to_sky(w, n, moved, along, lam_m, ra, dec, lam_um);
}

void wcs_map_centres(const struct wcs *w, const struct wcs_piece *p, double *ra,
                     double *dec, double *lam_um)
{
    double lam[WCS_RUN], across[WCS_RUN], along[WCS_RUN];
    to_slicer(w, p, 0.0, 0.0, across, along, lam);
    to_sky(w, p, across, along, lam, 0.0, ra, dec, lam_um);
}

void wcs_map_covered(const struct wcs *w, const struct wcs_piece *p,
                     struct wcs_covered *ret)
{
    double lam[WCS_RUN], across[WCS_RUN], along[WCS_RUN];
    double rest[WCS_RUN], half = 0.5 * w->slice_width;
    size_t n = (size_t)p->n;
    wcs_map_centres(w, p, ret->ra, ret->dec, ret->lam_um);
    to_slicer(w, p, -half_width, 0.0, across, along, rest);
    to_slicer(w, p, half_width, 0.0, across, along, lam);
    for (size_t i = 0; i < n; i++) {
        ret->dlam_um[i] = fabs(rest[i] - lam[i]) * 1e6;
    }
    for (int side = 0; side < 2; side++) {
        double outward = side == 0 ? -half : half;
        to_slicer(w, p, 0.0, side == 0 ? -half_height : half_height, across, along,
                  lam);
        for (int k = 0; k < 2; k++) {
            int c = 2 * side + k;
            to_sky(w, p, across, along, lam, k == 0 ? outward : -outward,
                   ret->corner_ra[c], ret->corner_dec[c], rest);
        }
    }
}
