#ifndef IFUD_STAGES_FLAT_TOTAL_H
#define IFUD_STAGES_FLAT_TOTAL_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/ref_flat.h"

/*
 * The total flat of a few neighbouring pixels of one row: fore optics x spectrograph x
 * detector, each a slow part (the image, between planes linear in the wavelength of the
 * pixel's centre) times a fast part (the table, averaged over the pixel's wavelength
 * interval with three Gauss points).
 *
 * Flags: a pixel whose interval leaves a table, or whose slow part is NaN, 0 or
 * DO_NOT_USE, or lies outside the planes' wavelengths, has no flat: NO_FLAT_FIELD,
 * UNRELIABLE_FLAT and DO_NOT_USE are set, value and error are NaN. So has one whose
 * product is 0 or negative. Other DQ bits of the references are passed on.
 * Errors: relative errors of the six parts add in quadrature; unknown (NaN) ones do
 * not count.
 * Reference: jwst user documentation, "flatfield", NIRSpec. Test:
 * tests/stages/test_flat_field.c
 */

enum { FLAT_RUN = 256 }; /* the most pixels of one call */

struct flat_set {
    const struct ref_flat *fore, *spectrograph, *detector;
};

struct flat_run {
    size_t x, y;         /* first pixel, 0-based in the 2048 x 2048 frame */
    size_t n;            /* 1..FLAT_RUN */
    const double *um;    /* wavelength of each pixel */
    const double *width; /* wavelength interval of each pixel, um; signed */
};

/* ret_flat, ret_error, ret_dq: run->n values each. Thread: any. */
int flat_total(const struct flat_set *set, const struct flat_run *run, float *ret_flat,
               float *ret_error, uint32_t *ret_dq, struct err *err);

#endif
