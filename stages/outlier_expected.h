#ifndef IFUD_STAGES_OUTLIER_EXPECTED_H
#define IFUD_STAGES_OUTLIER_EXPECTED_H

#include "stages/outlier_hits.h"
#include "stages/stage.h"

/*
 * The method beyond the peer's: of each exposure the pixels that depart from the trace of
 * their row (outlier_trace.h) where no other exposure sees anything at the same place and
 * wavelength (outlier_cloud.h).
 * Memory: one exposure, and of all of them the pixels that depart, some twentieth.
 * Test: tests/stages/test_outlier_expected.c, scripts/check-outliers
 */
struct outlier_expected {
    int half;                 /* columns of the trace to each side */
    double snr, snr_adjacent; /* sigma */
    double contrast;          /* struct outlier_rules */
};

/* Returned: *ret, one list an exposure; to be freed with outlier_hits_free. */
int outlier_expected_find(const struct stage_env *env, const struct outlier_expected *p,
                          struct dataset *data, struct outlier_hits **ret,
                          struct err *err);

#endif
