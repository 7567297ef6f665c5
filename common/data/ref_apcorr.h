#ifndef IFUD_DATA_REF_APCORR_H
#define IFUD_DATA_REF_APCORR_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * An apcorr reference for the IFU (ASDF, NrsIfuApcorrModel): by what the flux within a
 * circle is to be multiplied, by wavelength and radius.
 * Ownership: ref_apcorr_free. Thread: immutable after loading.
 */
struct ref_apcorr {
    size_t n, n_radii;  /* wavelengths, ascending; radii at each */
    double *wavelength; /* um */
    double *radius;     /* n_radii x n, arcsec, or spaxels */
    double *factor;     /* n_radii x n */
    int in_spaxels;     /* radii are in spaxels */
};

/* For the table of reference types. Test: tests/data/test_ref_apcorr.c */
int ref_apcorr_load(const char *path, void **ret_object, size_t *ret_bytes,
                    struct err *err);
void ref_apcorr_free(void *object);

/*
 * The factor, linear in wavelength and in radius, and beyond their ends.
 * Given: um; radius (spaxels); spaxel_arcsec.
 */
double ref_apcorr_at(const struct ref_apcorr *r, double um, double radius,
                     double spaxel_arcsec);

#endif
