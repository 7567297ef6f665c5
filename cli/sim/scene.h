#ifndef IFUD_CLI_SIM_SCENE_H
#define IFUD_CLI_SIM_SCENE_H

#include <stddef.h>

/*
 * The sky that ifusim looks at, in offsets from the field's centre (arcsec, east and
 * north) and barycentric wavelength (um): a point source with a power-law continuum and
 * emission lines, a rotating disc that shines in the same lines, and zodiacal light.
 * Everything is analytic, so that the truth is known. Thread: any (pure).
 */

struct scene {
    double source_east, source_north; /* arcsec */
    double source_mjy;                /* continuum at 3 um */
    double disc_mjysr;                /* central line peak of the disc; 0: none */
    double zodi;                      /* factor on the zodiacal light; 0: none */
    double line_sigma_um;             /* instrumental width of a line */
};

struct scene_line {
    const char *name;
    double um;   /* rest wavelength, vacuum */
    double peak; /* of the point source's line, in units of the continuum at 3 um */
};

/* The lines, ordered by wavelength. Static storage. */
const struct scene_line *scene_lines(size_t *ret_n);

/* Flux density of the point source averaged over um +- width / 2, mJy. */
double scene_source_mjy(const struct scene *s, double um, double width_um);

/* Point-spread function per arcsec^2 at an offset from its centre; unit integral. */
double scene_psf(double east, double north, double um);

/* Share of the point source's flux within a radius (arcsec). */
double scene_psf_enclosed(double radius, double um);

/* Surface brightness of everything but the point source, MJy/sr. */
double scene_extended_mjysr(const struct scene *s, double east, double north, double um,
                            double width_um);

/* Line-of-sight velocity of the disc, km/s. */
double scene_disc_velocity(double east, double north);

/* mJy/arcsec^2 in MJy/sr. */
#define SCENE_MJYSR_PER_MJY_ARCSEC2 42.545170301
#define SCENE_C_KMS 299792.458

#endif
