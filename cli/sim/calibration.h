#ifndef IFUD_CLI_SIM_CALIBRATION_H
#define IFUD_CLI_SIM_CALIBRATION_H

#include "cli/sim/instrument.h"

/*
 * Write the FITS references of the idealised instrument into `folder`, for one mode:
 * fflat, sflat and dflat of both detectors, pathloss, photom, area, cubepar (all modes).
 * Flats have smooth waves, pixel structure, flagged pixels and NaNs, so that a stage
 * that leaves one out is seen. About 180 MB for a mode (the D-flats are 3 planes).
 * Existing files are replaced. Returned: 0 or ERR_IO.
 */
int sim_write_calibration(const char *folder, const struct sim_mode *mode,
                          struct err *err);

#endif
