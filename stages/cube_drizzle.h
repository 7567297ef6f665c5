#ifndef IFUD_STAGES_CUBE_DRIZZLE_H
#define IFUD_STAGES_CUBE_DRIZZLE_H

#include "stages/cube_sum.h"

/*
 * 3-D drizzle: a pixel goes to every voxel that its footprint and its wavelength interval
 * overlap, with the shared volume (in voxels) as weight.
 *
 * Given:     t            tile
 *            lam, dlam    centre and width of the pixel's wavelengths, um
 *            q            values of the block from CUBE_U0 on
 *            i            which pixel of the block
 * Thread: the tile's. Reference: Law et al. 2023, AJ 166, 45; Fruchter & Hook 2002, PASP
 * 114, 144. Test: tests/stages/test_cube_drizzle.c
 */
void cube_drizzle_pixel(const struct cube_tile *t, double lam, double dlam,
                        double (*q)[CUBE_BLOCK], int i, const struct cube_pixel *pixel);

#endif
