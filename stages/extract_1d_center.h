#ifndef IFUD_STAGES_EXTRACT_1D_CENTER_H
#define IFUD_STAGES_EXTRACT_1D_CENTER_H

#include <stdbool.h>
#include "common/data/cube.h"
#include "stages/stage.h"

/* Where the aperture of a point source goes. */
struct extract_center {
    double x, y;    /* spaxels, 0-based */
    bool at_target; /* the spaxel nearest to TARG_RA, TARG_DEC */
};

/*
 * The spaxel nearest to the target, or (without target, or with one that falls on the
 * edge of the cube or outside) the middle nx / 2, ny / 2. Says what it did by env.
 */
void extract_center_target(const struct stage_env *env, const struct cube *c,
                           struct extract_center *ret);

/*
 * The brightest source of the cube's median image: 3 sigma over the background, FWHM 3
 * spaxels. *ret_found is false if there is none.
 */
int extract_center_brightest(const struct stage_env *env, const struct cube *c,
                             bool *ret_found, struct extract_center *ret,
                             struct err *err);

/* Side of a spaxel along y (arcsec), measured on the sky round the spaxel x, y. */
double extract_spaxel_arcsec(const struct cube *c, double x, double y);

#endif
