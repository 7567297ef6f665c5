#ifndef IFUD_STAGES_EXTRACT_1D_CENTER_H
#define IFUD_STAGES_EXTRACT_1D_CENTER_H

#include <stdbool.h>
#include "common/data/cube.h"
#include "stages/stage.h"

/* Where the aperture of a point source goes. */
struct extract_center {
    double x, y;    /* spaxels, 0-based */
    bool at_target; /* the spaxel nearest to TARG_RA, TARG_DEC */
    const char
        *how; /* for the header, static: AUTOCEN, TARGET, MIDDLE, CENTER_XY ... */
    double spaxel_arcsec; /* side of a spaxel along y, measured on the sky */
};

/* Are center_xy and center_radec what they should be, as far as that needs no cube? */
int extract_center_check(const struct params *params, struct err *err);

/*
 * By the parameters center_xy, center_radec and ifu_autocen (with autocen_check), else at the
 * target. ERR_PARAM if what they say is not on the cube. Says what it did by env.
 */
int extract_center_place(const struct stage_env *env, const struct params *params,
                         const struct cube *c, struct extract_center *ret,
                         struct err *err);

/* At a position on the sky (degrees). ERR_PARAM, naming `what`, if it is off the cube. */
int extract_center_sky(const struct cube *c, const char *what, double ra, double dec,
                       struct extract_center *ret, struct err *err);

/* The middle of the cube, for what has no centre. */
void extract_center_middle(const struct cube *c, struct extract_center *ret);

#endif
