#ifndef IFUD_STAGES_BACKGROUND_RECORD_H
#define IFUD_STAGES_BACKGROUND_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/data/header.h"

/*
 * Which exposures were averaged and subtracted, in the primary header: BKGNEXP, their
 * number; BKGEXPS, their names in order, without "_rate.fits"; and BKGVAR, whether the
 * exposure holds their variance (VAR_BKG). Exposures from which
 * the very same background was taken share its noise: BKGEXPS tells which these are.
 * Thread: any. Test: tests/stages/test_bkg_subtract.c
 */

/* Given: names, n file names without folders. */
int background_record(struct header *primary, const char *const *names, size_t n,
                      bool has_variance, struct err *err);

/* BKGEXPS; "" if nothing was subtracted or its variance is not there. Borrowed from the header. */
const char *background_recorded(const struct header *primary);

#endif
