#ifndef IFUD_CLI_IFURUN_COMMANDS_H
#define IFUD_CLI_IFURUN_COMMANDS_H

#include <stdatomic.h>
#include <stdio.h>
#include "cli/ifurun_options.h"

/* The commands of ifurun. Each returns 0 or ERR_*; on failure err says why. */

#define IFURUN_CACHE_BYTES ((size_t)256 << 20) /* references kept between exposures */

/* Usage, and the stages of all recipes with their parameters, from their tables. */
void ifurun_print_usage(FILE *out);
void ifurun_print_stages(FILE *out);

/* References chosen for an exposure, one line each, and why. */
int ifurun_refs(const struct ifurun_options *o, struct err *err);
/* Lines "x y" from standard input to "x y slice ra dec wavelength". */
int ifurun_wcs(const struct ifurun_options *o, const atomic_bool *cancel,
               struct err *err);

#endif
