#ifndef IFUD_DATA_CUBE_COLLAPSE_H
#define IFUD_DATA_CUBE_COLLAPSE_H

#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/cube.h"

/*
 * Median of each spaxel over the wavelengths, values that are not finite left out.
 * Given:    c; first, end: planes first..end-1; par may be NULL
 * Returned: image, ny rows of nx spaxels (MJy/sr); NaN where no plane has a value
 * Thread:   that of par. Test: tests/data/test_cube_collapse.c
 */
int cube_median_image(const struct cube *c, int first, int end, struct par *par,
                      float *image, struct err *err);

#endif
