#ifndef IFUD_STAGES_EXTRACT_OPTIMAL_H
#define IFUD_STAGES_EXTRACT_OPTIMAL_H

#include <stddef.h>
#include "common/math/aperture.h"

/* Values of one plane of a cube, spaxel by spaxel. */
struct extract_plane {
    const float *sci, *err, *wmap;
    const float *shared; /* what exposures share of a background's noise; may be NULL */
    double overlap;      /* how much of it the aperture takes in more than once */
    double common;       /* error common to all spaxels, MJy/sr */
};

/* Variance of a spaxel, but for what all have in common. */
double extract_variance(const struct extract_plane *v, size_t p);

/* What is subtracted from every spaxel. */
struct extract_level {
    double value; /* MJy/sr */
    double share; /* of the source's light that the level contains, per spaxel */
};

struct extract_optimal {
    double flux, var; /* MJy/sr times spaxels, for exact level; of all the light */
    double cover;   /* by how much an error of the level, or of all spaxels, goes in */
    double light;   /* share of the source's light in the spaxels that were used */
    double spaxels; /* independent ones that would weigh as much */
};

/*
 * Flux of a source of known profile, each spaxel weighted by profile over variance.
 * The variances that weigh are not those of the spaxels but a line through them against the
 * profile (background, and light that grows with the profile), so that no spaxel
 * weighs more because noise made it faint; the error follows from the spaxels' own.
 * Given:     a: spaxels and their weights; v; share: of the light on each spaxel; level
 * Returned:  as above; spaxels without weight or value are left out; light is 0 if none is
 *            left
 * Thread:    any (pure). Reference: Horne 1986, PASP 98, 609.
 * Test:      tests/stages/test_extract_psf.c
 */
struct extract_optimal extract_optimal(const struct aperture *a,
                                       const struct extract_plane *v,
                                       const double *share,
                                       const struct extract_level *level);

#endif
