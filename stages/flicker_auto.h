#ifndef IFUD_STAGES_FLICKER_AUTO_H
#define IFUD_STAGES_FLICKER_AUTO_H

#include "stages/flicker_light.h"

/*
 * The automatic mask: background pixels without any mask drawn by hand. Light goes along
 * x (the dispersion), noise along y (the readout); so what lies above its column and
 * stays so along x is light: spectra of failed-open shutters, leakage, sources that spill
 * over the ends of their slices, orders beyond the nominal range.
 * Not in the peer. Test: tests/stages/test_flicker_auto.c
 *
 * Narrow f->mask, which flicker_mask_start has begun with the science regions left out.
 * Flagged DO_NOT_USE and the rows next to slices go; then at five scales, from one
 * pixel to 513 along x, means that stand 4 sigma above the column's level, with two rows
 * more on both sides. A column keeps at least 1/16 of its rows if it had as many, those
 * with the least light. Light too wide to be masked is set aside: taken off f->image.
 * What was found is noted for the log.
 * Given:      f: exposure (dq, regions), image, mask
 * Returned:   f->mask, f->image; light: what was set aside
 * Ownership:  borrows all. Thread: that of the stage.
 */
int flicker_auto_mask(const struct stage_env *env, struct flicker *f,
                      struct flicker_light *light, struct err *err);

#endif
