#ifndef IFUD_STAGES_FLICKER_STATS_H
#define IFUD_STAGES_FLICKER_STATS_H

#include <stddef.h>
#include <stdint.h>
#include "common/math/robust.h"
#include "stages/stage.h"

/*
 * Clipped statistics of the masked pixels of an image. The values are put into bins once
 * (a tenth of the time of sorting them), of which sums are kept; what a clipping round
 * needs exactly is looked up in the few bins at its limits.
 * Results do not depend on the number of threads. Thread: the one that runs the stage.
 * Test: tests/stages/test_flicker_stats.c
 */
struct flicker_stats;

/* Given: image, mask n pixels each, the masked ones finite; room for n values, which is
 * borrowed until _free. */
int flicker_stats_new(const struct stage_env *env, const float *image,
                      const uint8_t *mask, size_t n, float *room,
                      struct flicker_stats **ret, struct err *err);
void flicker_stats_free(struct flicker_stats *s); /* NULL is fine */

size_t flicker_stats_n(const struct flicker_stats *s); /* masked pixels */

/* As robust_clip (median, standard deviation, rounds) of the values within low..high.
 * n = 0: all NaN. */
struct robust_stats flicker_stats_clip(const struct flicker_stats *s, double low,
                                       double high, double sigma, int max_rounds);

/*
 * Of the values from `low` up to `center` and their mirror images above it, clipped alike: the
 * standard deviation about it (their mean and median are the center). NaN if there are
 * none.
 */
double flicker_stats_below(const struct flicker_stats *s, double low, double center,
                           double sigma, int max_rounds);

/* Median of the values within low..high, in single precision as robust_median; NaN if
 * there are none. */
float flicker_stats_median(const struct flicker_stats *s, double low, double high);

#endif
