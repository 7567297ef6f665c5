#ifndef IFUD_CLI_SIM_INSTRUMENT_H
#define IFUD_CLI_SIM_INSTRUMENT_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * A small idealised NIRSpec IFU: every optical part is linear (focal lengths, scales,
 * rotations, the grating equation, Snell's law), with published round numbers, in the
 * observatory's reference formats. Good enough to simulate exposures that reduce like
 * real ones; not a model of the flight instrument.
 */

/* One of the nine filter and disperser pairs. */
struct sim_mode {
    const char *grating, *filter;
    double wave_min_um, wave_max_um; /* nominal range */
    double step_um;                  /* cube plane */
    double grooves;                  /* per metre; 0 for the prism */
    double tilt_y_deg;               /* of the disperser against the bisector */
};

/* The table of modes; sets *ret_n. Static storage. */
const struct sim_mode *sim_modes(size_t *ret_n);

/* The mode of a pair; ERR_PARAM that lists the nine. filter may be NULL: the first. */
int sim_mode_find(const char *grating, const char *filter, const struct sim_mode **ret,
                  struct err *err);

/* Published constants that the exposures' headers must agree with. */
#define SIM_V2_ARCSEC 300.2961
#define SIM_V3_ARCSEC (-497.9)
#define SIM_V3I_YANG_DEG 138.5746
#define SIM_GWA_XTILT 0.32
#define SIM_GWA_YTILT 0.14
#define SIM_GWA_TILT_K 36.9
#define SIM_SLICE_ARCSEC 0.1 /* width of a slice on the sky */

/*
 * Write the ASDF references of the optics into `folder` (which exists): camera,
 * collimator, fpa, ifufore, ifupost, ifuslicer, ote, wavelengthrange, chromcorr, and for
 * each mode disperser_<grating> and fore_<filter>, and extract1d.
 * Returned: 0, or ERR_IO that names the file. Test: tests/e2e (the reduction of what is
 * simulated through them), scripts/check-readers (the peer opens them).
 */
int sim_write_optics(const char *folder, struct err *err);

#endif
