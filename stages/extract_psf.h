#ifndef IFUD_STAGES_EXTRACT_PSF_H
#define IFUD_STAGES_EXTRACT_PSF_H

#include <stdbool.h>
#include "common/data/cube.h"
#include "common/math/psf.h"
#include "stages/stage.h"

/* The image of one point source of a cube. */
struct extract_psf {
    struct psf psf;
    double x, y; /* where the source is, spaxels, 0-based */
    bool fitted; /* else nominal: the source was too faint to be measured */
};

/*
 * Measure it: the medians of the cube in a dozen bins of wavelength, within 1.3 arcsec of
 * x, y, are fitted by one core and wing (common/math/psf.h) with a flux and a constant
 * background in each bin. A source whose peak is below 10 sigma in most bins, or a fit
 * that leaves the place by more than 0.3 arcsec, gives the nominal one at x, y; a warning
 * says so.
 * Given:     c; x, y: about where the source is (spaxels); spaxel_arcsec
 * Returned:  *ret; 0, or ERR_NOMEM or ERR_CANCELLED
 * Thread:    that of env->par. Reference: Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413
 *            (linear parameters eliminated); Marquardt 1963, J. SIAM 11, 431.
 * Test:      tests/stages/test_extract_psf.c
 */
int extract_psf_fit(const struct stage_env *env, const struct cube *c, double x,
                    double y, double spaxel_arcsec, struct extract_psf *ret,
                    struct err *err);

#endif
