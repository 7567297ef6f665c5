#ifndef IFUD_STAGES_CUBE_INTERNAL_H
#define IFUD_STAGES_CUBE_INTERNAL_H

#include "common/data/ref_cubepar.h"
#include "stages/cube_geometry.h"
#include "stages/cube_sum.h"

/*
 * coord_system internal_cal: one exposure in the slicer's own coordinates. x is across
 * the slices, one column for each; y is along them, in steps of half a slice's width;
 * planes are linear in wavelength. In each slice a pixel goes to the cells of along and
 * wavelength that its quadrilateral overlaps, with the shared share of the pixel's own
 * area as weight.
 *
 * As the peer has it (3.0.0): a pixel covers x .. x + 1 and y .. y + 1, half a pixel off;
 * pixels one of whose corners is off the slit do not count; the middle of the cube's
 * wavelengths is that of the range asked for.
 * Test: tests/stages/test_cube_internal.c
 */

struct cube_internal {
    double along_m, across_m;           /* outer edges of the first cell */
    double step_along_m, step_across_m; /* of a cell */
    double spaxel_sr; /* solid angle of a cell, in the field's middle */
};

/*
 * Set up the grid: z, dz, nx, ny, nw (its tangent point stays unset; nothing can be
 * projected), and where its cells are.
 * Errors: ERR_NODATA: no slice on the detector; ERR_PARAM: an empty range
 */
int cube_internal_grid(const struct wcs *w, const struct cube_request *rq,
                       const struct ref_cubepar_row *row, struct cube_grid *ret_grid,
                       struct cube_internal *ret, struct err *err);

/* Add the exposure to sums that are empty. Returned: *ret_used, pixels that count. */
int cube_internal_add(struct cube_sums *sums, const struct cube_internal *g,
                      const struct exposure *e, struct par *par,
                      const atomic_bool *cancel, size_t *ret_used, struct err *err);

#endif
