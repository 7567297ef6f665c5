#ifndef IFUD_STAGES_OUTLIER_PEER_H
#define IFUD_STAGES_OUTLIER_PEER_H

#include "stages/outlier_hits.h"
#include "stages/stage.h"

/*
 * The peer's method: pixels that differ from both neighbours across the dispersion in every
 * exposure of a detector (bad pixels that no mask has).
 *
 * Of each pixel the smaller difference to the pixel above and below, of these the least of
 * all exposures of the detector, divided by its median in a box (not less than a third of
 * the median of all); rejected in every exposure where that is above a percentile of the
 * frame without its outermost four rows and columns. Single and double precision are those
 * of the peer, so that the same pixels are above.
 * Memory: a plane a detector while exposures are opened one after another; with `keep`
 * one more for each exposure.
 * Test: tests/stages/test_outlier_detection.c; tests/peer/outliers.py
 */
struct outlier_peer {
    int box_y, box_x; /* odd; the first number of kernel_size goes along y */
    double percent;   /* threshold_percent */
    bool second_check;
    bool keep; /* what it looks at becomes a product (outlier_keep.h) */
};

/* Returned: *ret, one list a detector; to be freed with outlier_hits_free. */
int outlier_peer_find(const struct stage_env *env, const struct outlier_peer *p,
                      struct dataset *data, struct outlier_hits **ret, struct err *err);

/* Percentile of values that are not NaN, interpolated as numpy's default; reorders them.
 * n >= 1; 0 <= percent <= 100. */
double outlier_percentile(double *values, size_t n, double percent);

#endif
