#ifndef IFUD_CLI_SIM_DETECTOR_H
#define IFUD_CLI_SIM_DETECTOR_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

/* What the detector adds to the light of the full 2048 x 2048 frame. */

#define SIM_FRAME 2048

struct detector_noise {
    double exposure_time; /* seconds; gain is 1 */
    double read_noise;    /* DN/s, standard deviation of a pixel */
    double flicker;       /* DN/s, standard deviation of the 1/f noise of an output */
    double leakage;       /* DN/s, scale of the light through the closed MSA */
    long cosmic_rays;     /* hits left in the ramp fit */
    double bad_fraction;  /* share of flagged pixels */
    uint64_t seed;
    int draw; /* add shot and read noise; the variances are told anyway */
};

/* Planes of the full frame; the caller makes and frees them. */
struct detector_frame {
    float *signal;   /* in: light, DN/s; out: with leakage, still without noise */
    float *flicker;  /* out: the 1/f noise that was added */
    uint8_t *cosmic; /* out: 1 where a cosmic ray left charge */
    float *sci, *err, *var_poisson, *var_rnoise; /* out */
    uint32_t *dq;                                /* out */
};

/*
 * Expose: leakage, shot and read noise, 1/f noise of four outputs of 512 columns read
 * along y with a common part, cosmic rays, bad pixels, reference pixels at the edges.
 * Returned: 0 or ERR_NOMEM. The same seed gives the same frame.
 */
int detector_expose(const struct detector_noise *noise, struct detector_frame *frame,
                    struct err *err);

#endif
