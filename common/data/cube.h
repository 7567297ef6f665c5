#ifndef IFUD_DATA_CUBE_H
#define IFUD_DATA_CUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/exposure.h"

struct cube_covariance;

/*
 * A spectral cube: nw planes of ny rows of nx spaxels, index (k * ny + j) * nx + i.
 * World coordinates as in the peer: gnomonic RA/Dec in degrees, or for internal_cal
 * positions on the slicer in metres, wavelength linear in um or a table.
 * Ownership: cube_free releases the planes and headers.
 */
struct cube {
    int nx, ny, nw;
    float *sci, *err; /* MJy/sr */
    uint32_t *dq;
    float *wmap; /* weight map */
    /* (MJy/sr)^2, NULL: none: what sums over spaxels vary beyond ERR because exposures share
     * a background's noise, where the sum takes in each background pixel in all of them. */
    float *var_background;
    /* How far such exposures look from each other, every pair twice; not in the file. */
    double *pair_arcsec;
    size_t n_pairs;
    /* MJy/sr, nw, NULL: none: error that all spaxels of a plane have in common (it is in
     * ERR); not in the file. */
    double *common_error;
    struct cube_covariance *covariance; /* NULL: not known (cube_covariance.h) */
    bool slicer;                        /* x is across, y along the slices; no sky */
    double spaxel_sr;                   /* slicer only: solid angle of a spaxel */
    double crval1, crval2;              /* deg; slicer: m */
    double crpix1, crpix2, crpix3;      /* 1-based */
    double cdelt1, cdelt2; /* deg or m, both positive; orientation is in pc */
    double pc[2][2];
    double crval3, cdelt3;          /* um */
    double *wavelength;             /* nw, um: centre of each plane */
    struct header primary, science; /* cards for the product */
    struct exposure_meta meta;      /* of the first exposure */
    char filename[256];             /* product name, no folder; "" until named */
    char weighting[8];              /* drizzle, emsm or msm */
    double rois_arcsec, roiw_um, weight_power; /* of emsm and msm, else 0 */
    int n_exposures;
    void *file; /* where the planes lie (cube_file.h); NULL: each is allocated */
    size_t file_bytes;
};

struct cube *cube_new(int nx, int ny, int nw, struct err *err); /* planes zeroed */
/* Without planes. Returned: *ret_n, voxels. */
struct cube *cube_new_empty(int nx, int ny, int nw, size_t *ret_n, struct err *err);
void cube_free(struct cube *c);

/*
 * Solid angle of a spaxel (sr), for PIXAR_SR and the flux of spectra: with the peer's
 * rounded 2.3504e-11 sr per square arcsec, 1.6e-5 below the exact value; in a cube of the
 * slicer spaxel_sr (the peer writes square metres there).
 */
double cube_spaxel_sr(const struct cube *c);

/*
 * Sky position of spaxel (i, j), 0-based, and back. Degrees; NaN in a cube of the slicer.
 * Pure.
 * Reference: Calabretta & Greisen 2002, A&A 395, 1077 (TAN).
 */
void cube_spaxel_to_sky(const struct cube *c, double i, double j, double *ra,
                        double *dec);
void cube_sky_to_spaxel(const struct cube *c, double ra, double dec, double *i,
                        double *j);

#endif
