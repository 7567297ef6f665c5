#ifndef IFUD_STAGES_CUBE_SHEPARD_H
#define IFUD_STAGES_CUBE_SHEPARD_H

#include <stdbool.h>
#include "common/base/params.h"
#include "common/data/ref_cubepar.h"
#include "stages/cube_sum.h"

/*
 * Modified Shepard weighting: a pixel is a point on the sky and in wavelength and counts
 * in every voxel whose centre is within rois of it on the sky and within roiw in
 * wavelength, with the weight
 *
 *     emsm:  exp(-d^2 / (scalerad / spaxel))      msm:  1 / max(d^power, softrad)
 *
 * where d^2 = (dx^2 + dy^2) / spaxel^2 + (dlambda / width of the plane)^2.
 * Reference: Shepard 1968, Proc. 23rd ACM Nat. Conf., 517; Law et al. 2023, AJ 166, 45.
 * Ownership: cube_shepard_done. Thread: read-only once set up.
 * Test: tests/stages/test_cube_shepard.c
 */
struct cube_shepard {
    bool exponential; /* emsm */
    size_t n;         /* 1, or one per plane: that of the plane nearest to the pixel */
    struct ref_cubepar_shepard *at;
    double fov_um; /* a slice is seen in the planes nearer than this */
};

/* Pixel at lam um, (u, v) spaxels, into the planes of the tile. Thread: the tile's. */
void cube_shepard_pixel(const struct cube_tile *t, const struct cube_shepard *s,
                        double lam, double u, double v, const struct cube_pixel *pixel);

#define CUBE_SHEPARD_MOST 200 /* spaxels from a pixel to the rim of its region */

/* What the parameters ask for; 0: not given. */
struct cube_shepard_request {
    bool exponential;
    double rois_arcsec, roiw_um, power;
    size_t files;
};

/*
 * The regions for a cube.
 *
 * Given:     rq      request
 *            par     cubepar
 *            disperser, filter   of the exposures
 *            grid    of the cube; its reach is set to the largest roiw, and points
 * Returned:  *ret, to be freed with cube_shepard_done
 * Method:    as in the peer: linear planes take cubepar's row of the disperser (with rois
 *            times 1.5 for msm made of fewer than four files), others that of the table's
 *            plane (times 1.5 for both); weight_power stands in place of cubepar's in
 *            linear cubes. rois and roiw that are given hold for all planes
 *            (the peer: of linear cubes only).
 * Errors:    ERR_REFERENCE: cubepar has no such row or table, or a number in it is not
 *            positive; ERR_PARAM: the region is larger than CUBE_SHEPARD_MOST spaxels
 */
int cube_shepard_set(const struct cube_shepard_request *rq,
                     const struct ref_cubepar *par, const char *disperser,
                     const char *filter, struct cube_grid *grid,
                     struct cube_shepard *ret, struct err *err);
void cube_shepard_done(struct cube_shepard *s);

#endif
