#ifndef IFUD_STAGES_EXTRACT_ONE_H
#define IFUD_STAGES_EXTRACT_ONE_H

#include "common/data/ref_apcorr.h"
#include "common/data/ref_extract1d.h"
#include "stages/extract_1d_center.h"
#include "stages/stage.h"

/* What all spectra of a cube have in common. Borrowed. */
struct extract_plan {
    const struct stage_env *env;
    const struct params *params; /* of extract_1d */
    const struct ref_extract1d *ref;
    const struct ref_apcorr *apcorr; /* NULL: none */
    const struct cube *c;
};

/*
 * The spectrum of a point source, or of a region, with its headers.
 * Given:     p; at: its centre; region: what is summed (NULL: a point source); radius_arcsec of
 *            the aperture, 0: the reference's
 * Returned:  *ret, to be freed with spectrum_free. ERR_PARAM if the aperture misses the cube,
 *            ERR_REFERENCE, ERR_NODATA if no plane has a wavelength
 * Thread:    that of env->par. Test: tests/stages/test_extract_1d.c
 */
int extract_one(const struct extract_plan *p, const struct extract_center *at,
                const struct aperture *region, double radius_arcsec,
                struct spectrum **ret, struct err *err);

#endif
