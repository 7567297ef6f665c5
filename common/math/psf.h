#ifndef IFUD_MATH_PSF_H
#define IFUD_MATH_PSF_H

#include <stddef.h>

/*
 * The image of a point source by wavelength: a core and a wide wing, both round Gaussians
 * whose width grows with wavelength beside a constant part (slices, pixels, resampling).
 */
struct psf {
    double per_um;     /* FWHM of the core: what grows with wavelength, arcsec per um */
    double constant;   /* ... and what does not, arcsec; both add in quadrature */
    double wing_share; /* of the light, 0..1 */
    double wing_scale; /* width of the wing over that of the core, >= 1 */
};

/*
 * Before a cube has been looked at: NIRSpec's published width, sqrt((0.032 um)^2 +
 * 0.045^2) arcsec, blurred by a slice of 0.1 arcsec and by spaxels as large.
 */
extern const struct psf psf_nominal;

/* FWHM of the core at a wavelength (arcsec). */
double psf_fwhm(const struct psf *p, double um);

/* Share of the light within a radius (arcsec). */
double psf_enclosed(const struct psf *p, double um, double radius);

/*
 * Share of the light of a source that falls on each spaxel.
 * Given:    um         wavelength
 *           x, y       the source, spaxels, 0-based; spaxel (i, j) reaches to i +- 0.5
 *           spaxel     side of a spaxel (arcsec)
 *           edge       scratch, 2 * (nx + ny) values
 * Returned: share, ny rows of nx
 * Thread:   any (pure). Test: tests/math/test_psf.c
 */
void psf_spaxels(const struct psf *p, double um, double x, double y, double spaxel,
                 int nx, int ny, double *edge, double *share);

#endif
