#ifndef IFUD_DATA_REF_AREA_H
#define IFUD_DATA_REF_AREA_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * Pixel areas of the IFU's slices on the sky (AREA: slice_id from 0, pixarea in arcsec^2).
 * Reference: datamodel NirspecIfuAreaModel. Test: tests/stages/test_photom.c
 */
struct ref_area {
    float arcsec2[30]; /* of slice 1..30, at index slice - 1 */
    double mean_arcsec2;
};

/* Loader for reference_types.c (see references.h). */
int ref_area_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
void ref_area_free(void *object);

#endif
