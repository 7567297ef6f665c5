#ifndef IFUD_STAGES_CUBE_FOV_H
#define IFUD_STAGES_CUBE_FOV_H

#include <stdint.h>
#include "stages/cube_geometry.h"

/*
 * The field of view in each plane of a cube, and from it the DQ plane.
 *
 * As in the peer: in every plane each slice is a straight line of spaxels between the
 * least and largest xi and eta of its pixels; spaxels on a line that got no data are
 * holes, unless they lie at the rim of the field.
 * Test: tests/stages/test_cube_drizzle.c
 */

/* Set in cube->dq, until cube_finish, where a slice of an exposure crosses a spaxel. */
#define CUBE_SEEN 4u

/* Range of the pixel centres of one slice in one plane, spaxels; empty if u0 > u1. */
struct cube_extent {
    double u0, u1, v0, v1;
};

void cube_fov_clear(struct cube_extent slices[WCS_SLICES]);

/* Count a pixel in at lam_um, centre (u, v), for those of the planes k0..k1-1 whose
 * centre is nearer than near_um; extents[0] belongs to plane k0. */
void cube_fov_add(const struct cube_grid *grid, int k0, int k1,
                  struct cube_extent (*extents)[WCS_SLICES], double near_um, int slice,
                  double lam_um, double u, double v);

/*
 * Set CUBE_SEEN in one plane of DQ along the line of each slice (Bresenham's, from the
 * corner of the least to that of the largest u and v). A line steeper than 45 degrees is
 * drawn as the peer (jwst 3.0.0) draws it: along the diagonal through its rows.
 */
void cube_fov_draw(const struct cube_grid *grid,
                   const struct cube_extent slices[WCS_SLICES], uint32_t *dq);

/* From CUBE_SEEN and the weights to the final flags of one plane. */
void cube_fov_finish(int nx, int ny, const float *weight, uint32_t *dq);

#endif
