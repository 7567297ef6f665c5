#ifndef IFUD_DATA_REF_PATHLOSS_H
#define IFUD_DATA_REF_PATHLOSS_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * Path loss over wavelength, for a point source in the centre of the aperture (PS, a
 * cube over position and wavelength, interpolated there) and for a uniform source (UNI).
 * Wavelengths (um) are those of the header's linear axis, rounded to float as the
 * peer does.
 * Reference: datamodel PathlossModel, first aperture. Test:
 * tests/stages/test_pathloss.c
 */
struct pathloss_curve {
    size_t n; /* at least 1 */
    float *um, *loss;
};

struct ref_pathloss {
    struct pathloss_curve point, uniform;
};

/* Loader for reference_types.c (see references.h). */
int ref_pathloss_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
void ref_pathloss_free(void *object);

#endif
