#ifndef IFUD_STAGES_EXTRACTION_H
#define IFUD_STAGES_EXTRACTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/cube.h"
#include "common/data/ref_apcorr.h"
#include "common/data/ref_extract1d.h"
#include "common/data/spectrum.h"
#include "common/math/aperture.h"
#include "stages/extract_psf.h"

/*
 * One spectrum of a cube: what is summed in every plane. extract_1d plans it, this room
 * (extract_planes.c) does it.
 */
struct extraction {
    const struct cube *c;
    const struct ref_extract1d *ref;
    const struct aperture *region; /* what is summed as it is; NULL: a point source */
    double x, y;                   /* aperture centre, spaxels */
    double scale;                  /* arcsec per spaxel */
    double radius_arcsec;          /* at all wavelengths; 0: the reference's */
    int subtract_until; /* planes before this one are background subtracted */
    double clip;        /* bkg_sigma_clip */
    double covar;       /* factor on errors; NAN: the cube's own */
    const struct ref_apcorr *apcorr; /* corrects the sums for lost light; NULL: not */
    const struct extract_psf *psf; /* likewise, or (optimal) weighs spaxels; or NULL */
    bool optimal;
    double overlap; /* of apertures in exposures that share a background */
};

/* Radius of the aperture, and of the annulus round it, at a wavelength (spaxels). */
struct extraction_radii {
    double aperture, inner, outer;
};
struct extraction_radii extraction_radii(const struct extraction *x, double um);

/*
 * The spectrum, one row a plane; headers and names are left to the caller.
 * Given:     x; par (NULL: one thread); cancel (may be NULL)
 * Returned:  *ret, to be freed with spectrum_free; bit-identical for any number of threads
 * Thread:    that of par. Test: tests/stages/test_extract_1d.c
 */
int extraction_run(const struct extraction *x, struct par *par,
                   const atomic_bool *cancel, struct spectrum **ret, struct err *err);

#endif
