#ifndef IFUD_STAGES_CUBE_DRIZZLE_H
#define IFUD_STAGES_CUBE_DRIZZLE_H

#include <stdbool.h>
#include "common/data/cube.h"
#include "common/data/exposure.h"
#include "stages/cube_trace.h"

/*
 * 3-D drizzle: a pixel goes to every voxel that its footprint and its wavelength interval
 * overlap, with the shared volume as weight.
 *
 *     SCI = sum(w f) / sum(w),  ERR = sqrt(sum(w^2 e^2)) / sum(w),  WMAP = overlaps
 *
 * The cube is cut into tiles of neighbouring planes. A tile is worked on by one thread,
 * with the blocks of the trace in their order, summed in double precision and added to
 * the cube; so the result does not depend on the number of threads, and exposures are
 * added one after another without being held together.
 * Reference: Law et al. 2023, AJ 166, 45. Test: tests/stages/test_cube_drizzle.c
 */

/* Set in cube->dq, until cube_finish, where a slice of an exposure crosses a spaxel. */
#define CUBE_SEEN 4u

/* A cube being built. The cube's planes hold sums until cube_finish: sci w f, err
 * w^2 e^2, wmap overlaps; weight holds w. Owned by the caller. */
struct cube_sums {
    struct cube *cube;
    float *weight;                /* nw * ny * nx */
    const struct cube_grid *grid; /* borrowed */
    bool flag;                    /* mark the field of view (CUBE_SEEN) */
};

/*
 * Add one exposure. Pixels that are NaN, DO_NOT_USE or NON_SCIENCE do not count.
 * partners: how many other exposures had the very same background taken off. Where a sum goes over
 * a background pixel in all of them its errors add up, so the variance that ERR leaves out is
 * partners times its own: that much w^2 * var_background goes to cube->var_background (which
 * may be NULL).
 * Returned: *ret_used, pixels that may contribute. Thread: one call at a time per cube.
 */
int cube_add_exposure(struct cube_sums *sums, const struct exposure *e,
                      const struct cube_trace *trace, size_t partners, struct par *par,
                      const atomic_bool *cancel, size_t *ret_used, struct err *err);

/*
 * Turn the sums into values and set DQ: 0 where there is data; DO_NOT_USE for a hole in
 * the field of view, else DO_NOT_USE + NON_SCIENCE; both NaN in SCI and ERR.
 * Returned: *ret_filled, voxels with data.
 */
int cube_finish(struct cube_sums *sums, struct par *par, const atomic_bool *cancel,
                size_t *ret_filled, struct err *err);

#endif
