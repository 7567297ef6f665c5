#ifndef IFUD_STAGES_PIXEL_REPLACE_H
#define IFUD_STAGES_PIXEL_REPLACE_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/par.h"
#include "common/data/exposure.h"

/*
 * The algorithms of pixel_replace: each fills pixels of an exposure in place, counts them,
 * and marks them FLUX_ESTIMATED; in single precision where the peer's are.
 * Thread: one; they split the work between the threads of `par`.
 * Test: tests/stages/test_pixel_replace.c; against the peer: tests/peer/pixel_replace.py
 */

/* Planes that are filled: SCI, then those that errors are of; NULL where there is none. */
enum { REPLACE_SCI, REPLACE_ERR, REPLACE_VARIANCES, REPLACE_PLANES = 6 };
void pixel_replace_planes(struct exposure *e, float *ret[REPLACE_PLANES]);

/*
 * Pixels that are NaN, two pixels or more from the edge: the mean of the two neighbours
 * along x or along y, whichever differ less; neither if each pair has a NaN. Errors
 * from the same pair; of variances the mean of their roots.
 */
int pixel_replace_mingrad(struct exposure *e, struct par *par,
                          const atomic_bool *cancel, size_t *ret_replaced,
                          struct err *err);

/*
 * Pixels flagged DO_NOT_USE but not NON_SCIENCE: the median over `n_adjacent` columns on
 * either side of the profile across the slice, scaled to the column. Slice by slice.
 */
int pixel_replace_profile(struct exposure *e, int n_adjacent, struct par *par,
                          const atomic_bool *cancel, size_t *ret_replaced,
                          struct err *err);

/*
 * Pixels that are NaN where e->trace_model is not: the model; their errors from the row, linearly
 * between the nearest pixels. What is left by mingrad. Needs e->trace_model.
 */
int pixel_replace_trace(struct exposure *e, struct par *par, const atomic_bool *cancel,
                        size_t *ret_replaced, struct err *err);

/* The minimum that Nelder and Mead's method finds of a function of one number, with the
 * steps, limits (xatol = fatol = 1e-4) and single precision that the peer gets from
 * scipy. Reference: Nelder & Mead 1965, Comp. J. 7, 308. */
float pixel_replace_minimum(double (*f)(float x, const void *user), const void *user,
                            float start);

#endif
