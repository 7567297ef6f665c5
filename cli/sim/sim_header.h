#ifndef IFUD_CLI_SIM_SIM_HEADER_H
#define IFUD_CLI_SIM_SIM_HEADER_H

#include "cli/sim/simulate.h"
#include "common/data/exposure.h"

/* Name of an exposure without "_rate.fits": jwPPPPPOOOVVV_GGSAA_EEEEE_nrsN. */
void sim_exposure_name(const struct simulation *sim, char ret[64]);

/* The headers of a _rate file as the observatory delivers them. `whole`: of the full
 * frame, whatever the window. */
int sim_fill_headers(const struct simulation *sim, int whole, struct exposure *e,
                     struct err *err);

#endif
