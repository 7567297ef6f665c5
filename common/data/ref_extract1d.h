#ifndef IFUD_DATA_REF_EXTRACT1D_H
#define IFUD_DATA_REF_EXTRACT1D_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/math/aperture.h"

/*
 * An extract1d reference for the IFU (ASDF, Extract1dIFUModel): the aperture and its
 * background annulus by wavelength, and how to sum.
 * Ownership: ref_extract1d_free. Thread: immutable after loading.
 */
struct ref_extract1d {
    size_t n;                              /* rows, ascending in wavelength */
    float *wavelength;                     /* um */
    float *radius, *inner_bkg, *outer_bkg; /* arcsec */
    bool subtract_background;
    enum aperture_method method;
    int subpixels;
};

/* For the table of reference types. Test: tests/data/test_ref_extract1d.c */
int ref_extract1d_load(const char *path, void **ret_object, size_t *ret_bytes,
                       struct err *err);
void ref_extract1d_free(void *object);

/*
 * `column` at a wavelength, linear between rows and beyond the ends; with one row, its
 * value. Given: column: radius, inner_bkg or outer_bkg of r; wavelength_um.
 */
double ref_extract1d_at(const struct ref_extract1d *r, const float *column,
                        double wavelength_um);

#endif
