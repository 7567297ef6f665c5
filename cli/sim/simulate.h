#ifndef IFUD_CLI_SIM_SIMULATE_H
#define IFUD_CLI_SIM_SIMULATE_H

#include "cli/sim/detector.h"
#include "cli/sim/instrument.h"
#include "cli/sim/scene.h"
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/references.h"

/* One exposure of one detector: where it looks, and what is in front of it. */
struct simulation {
    struct scene scene;
    struct detector_noise noise;
    const struct sim_mode *mode;
    const char *detector;             /* "NRS1" or "NRS2" */
    double ra, dec;                   /* field centre, degrees */
    double dither_east, dither_north; /* arcsec from the field centre */
    double roll;                      /* degrees */
    double velosys;                   /* m/s */
    double va_scale;
    const char *program, *observation; /* "01234", "001" */
    const char *target;                /* TARGPROP */
    int dither, n_dithers;             /* 1-based, as PATT_NUM and NUMDTHPT */
    int is_imprint, is_background;
    int subarray[4]; /* x0, y0 (0-based), nx, ny; nx 0: full frame */
    int with_truth;  /* write <name>_truth.fits beside */
};

/*
 * Simulate one exposure through `refs` and write jw..._rate.fits (and the truth) into
 * `folder`, replacing what is there.
 * Returned: ret_path: the rate file, 512 bytes. 0, or ERR_REFERENCE (a reference is
 * missing), ERR_NODATA (nothing falls on this detector), ERR_IO.
 */
int simulate_exposure(const struct simulation *sim, struct references *refs,
                      struct par *par, const char *folder, char ret_path[512],
                      struct err *err);

#endif
