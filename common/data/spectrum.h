#ifndef IFUD_DATA_SPECTRUM_H
#define IFUD_DATA_SPECTRUM_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/exposure.h"

/* A 1-D spectrum: the columns of the peer's EXTRACT1D table, n rows. */
struct spectrum {
    size_t n;
    double *wavelength;                                         /* um */
    double *flux, *flux_error;                                  /* Jy */
    double *flux_var_poisson, *flux_var_rnoise, *flux_var_flat; /* Jy^2 */
    double *surf_bright, *sb_error;                             /* MJy/sr */
    double *sb_var_poisson, *sb_var_rnoise, *sb_var_flat;
    uint32_t *dq;
    double *background, *bkgd_error; /* MJy/sr */
    double *bkgd_var_poisson, *bkgd_var_rnoise, *bkgd_var_flat;
    double *npixels;                   /* spaxels in the aperture */
    char source_type[16];              /* POINT or EXTENDED */
    double extraction_x, extraction_y; /* aperture centre, 0-based spaxel */
    /* POINT, at the middle wavelength: radii of aperture and annulus (arcsec); 0: none */
    double aperture_arcsec, annulus_in_arcsec, annulus_out_arcsec;
    /* Summed over a region, in memory alone: its spaxels of the cube, row by row, 1: in; else
     * NULL. */
    unsigned char *region;
    double source_ra, source_dec; /* deg, middle of the cube: SLIT_RA, SLIT_DEC */
    struct header primary, table; /* cards for the product, beside those from above */
    struct exposure_meta meta;
    char filename[256];
    /* A combined spectrum alone (COMBINE1D instead of EXTRACT1D): sum of the weights, number
     * of spectra that went in; else NULL. */
    double *weight, *n_inputs;
    struct spectrum *next; /* of further sources in the same product; owned */
};

struct spectrum *spectrum_new(size_t n, struct err *err); /* columns zeroed */
void spectrum_free(struct spectrum *s); /* and those that follow; NULL is fine */

#endif
