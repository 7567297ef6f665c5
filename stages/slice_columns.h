#ifndef IFUD_STAGES_SLICE_COLUMNS_H
#define IFUD_STAGES_SLICE_COLUMNS_H

#include <stdatomic.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"
#include "common/data/wcs.h"

/*
 * The wavelength interval that falls on each pixel: the difference to the next pixel of
 * the row. Slices are tilted, so at the end of a slice's part of a row the next pixel
 * belongs to none; there the mean wavelength of the slice in that column stands in, and
 * at the slice's last column the interval of the pixel before.
 * Ownership: slice_columns_done frees. Thread: immutable after init.
 */
struct slice_columns {
    size_t nx;
    double *mean; /* [slice - 1][x], um; NaN where the slice has no pixel in column x */
    size_t last[WCS_SLICES]; /* last column of each slice */
};

int slice_columns_init(struct slice_columns *c, const struct exposure *e,
                       struct par *par, const atomic_bool *cancel, struct err *err);
void slice_columns_done(struct slice_columns *c);

/* Widths (um, signed) of n pixels of one slice from (x, y) on. */
void slice_columns_widths(const struct slice_columns *c, const struct exposure *e,
                          size_t x, size_t y, size_t n, double *ret_width);

#endif
