#ifndef IFUD_TESTS_EXTRACT_KIT_H
#define IFUD_TESTS_EXTRACT_KIT_H

#include "stages/stage.h"

/*
 * Analytic cubes for extract_1d: a Gaussian star of known flux on a flat sky, spaxels of
 * 0.1 arcsec, 40 planes from 3.0 um on.
 */

enum { KIT_NX = 41, KIT_NY = 45, KIT_NW = 40, KIT_PLANE = KIT_NX * KIT_NY };

extern const double kit_sky;    /* MJy/sr */
extern const double kit_sigma;  /* spaxels */
extern const double kit_total;  /* MJy/sr summed over spaxels */
extern const double kit_radius; /* spaxels: 0.45 arcsec; the annulus is 0.9 to 1.3 */

/* The stage's notes and warnings of the last run, one a line. */
extern char kit_note[4096];

/* An apcorr reference for the runs that follow, as text; NULL: none. */
extern const char *kit_apcorr;

/* The star at x, y (spaxels), which is the target; every spaxel has weight 1 and error
 * 0.1. Free with cube_free. */
struct cube *kit_star(double x, double y);

/* Run the stage with settings "name", "value", ..., NULL (NULL: none); takes the cube
 * over. *ret is to be freed with spectrum_free. */
int kit_extract(struct cube *c, int threads, const char *const *settings,
                struct spectrum **ret, struct err *err);

/* MJy/sr summed over spaxels -> Jy */
double kit_to_jy(void);

#endif
