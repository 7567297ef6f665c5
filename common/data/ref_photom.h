#ifndef IFUD_DATA_REF_PHOTOM_H
#define IFUD_DATA_REF_PHOTOM_H

#include <stddef.h>
#include "common/base/err.h"
#include "common/math/interp.h"

/*
 * Flux calibration: a row for each filter and disperser.
 * Time-dependent tables (TIMECOEFF_LINEAR, _EXPONENTIAL, _POWERLAW) are accepted if they
 * belong to the rows; for the IFU the peer does not apply them, and neither does photom.
 * Reference: datamodel NrsMosPhotomModel. Test: tests/stages/test_photom.c
 */
struct photom_row {
    char filter[16], grating[20];
    float photmj;           /* MJy per DN/s */
    struct interp response; /* relative, over wavelength in um */
};

struct ref_photom {
    char *path; /* for messages */
    struct photom_row *rows;
    size_t n;
};

/* Loader for reference_types.c (see references.h). */
int ref_photom_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
void ref_photom_free(void *object);

/* The one row of a filter and disperser (case ignored). None or several: ERR_REFERENCE. */
int ref_photom_find(const struct ref_photom *r, const char *filter, const char *grating,
                    const struct photom_row **ret, struct err *err);

#endif
