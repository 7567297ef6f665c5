#ifndef IFUD_DATA_WCS_MAP_H
#define IFUD_DATA_WCS_MAP_H

#include <stddef.h>
#include <stdint.h>
#include "common/data/wcs.h"

/*
 * Mapping whole exposures: pixels in pieces of one row and one slice.
 *
 * The slice map decides: a pixel belongs to the one slice that regions names, and its
 * whole area, edges included, is mapped with that slice (the peer's coordinate-based WCS
 * takes the slice of the nearest pixel). Going through all pieces of all rows visits each
 * pixel of a slice once; rows may be shared out between threads.
 *
 *     struct wcs_piece p = {.row = y};
 *     while (wcs_next_piece(regions + y * nx, nx, &p)) {
 *         wcs_map_centres(w, &p, ra, dec, lam);
 *     }
 *
 * Thread: any; outputs are the caller's. Test: tests/data/test_wcs.c
 */

#define WCS_PIECE 256 /* most pixels of a piece */

struct wcs_piece {
    int row;   /* y */
    int first; /* x of the first pixel */
    int n;     /* pixels, 1..WCS_PIECE */
    int slice; /* 1..30 */
};

/*
 * The next piece of a row of the slice map. Given: row  uint8_t[nx]; p with row set and
 * all else 0 to begin, or as the last call left it. Returned: 1, or 0 at the end.
 */
int wcs_next_piece(const uint8_t *row, int nx, struct wcs_piece *p);

/* Pixel centres: n values each of ra, dec (degrees) and wavelength (um). */
void wcs_map_centres(const struct wcs *w, const struct wcs_piece *p, double *ra,
                     double *dec, double *lam_um);

/*
 * What a pixel covers, as cube_build takes it.
 * corner 0 and 1: at y - 0.49, across - width / 2 and + width / 2; 2 and 3: at y + 0.49,
 * + and -: in order round the edge. dlam: difference of the wavelengths at x - 0.4999
 * and x + 0.4999. NaN where that point is outside the slit.
 */
struct wcs_covered {
    double ra[WCS_PIECE], dec[WCS_PIECE];         /* of the centre, degrees */
    double lam_um[WCS_PIECE], dlam_um[WCS_PIECE]; /* dlam >= 0 */
    double corner_ra[4][WCS_PIECE], corner_dec[4][WCS_PIECE];
};
void wcs_map_covered(const struct wcs *w, const struct wcs_piece *p,
                     struct wcs_covered *ret);

#endif
