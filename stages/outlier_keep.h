#ifndef IFUD_STAGES_OUTLIER_KEEP_H
#define IFUD_STAGES_OUTLIER_KEEP_H

#include <stddef.h>
#include "stages/outlier_peer.h"
#include "stages/stage.h"

/*
 * What the peer's method looked at, as the peer's product (save_intermediate_results):
 * <first exposure>_<group>_<detector>_outlier_output.fits with DIFFARR (the smaller
 * difference of each exposure), MINARR (the least of them), NORMARR (their medians in
 * boxes) and MINNORM (MINARR / NORMARR).
 * Thread: that of the stage. Test: tests/stages/test_outlier_detection.c
 */
struct outlier_kept {
    const struct outlier_peer *method;
    const char *exposure;       /* file name of the first */
    const struct header *first; /* its primary header */
    const char *detector;
    size_t nx, ny, n;   /* n exposures of this detector */
    float *differences; /* n planes */
    const float *least; /* a plane, as the others */
    const double *norm, *ratio;
};

/* Takes k->differences over, also on failure. */
int outlier_keep(const struct stage_env *env, const struct outlier_kept *k,
                 struct err *err);

#endif
