#ifndef IFUD_STAGES_BACKGROUND_AVERAGE_H
#define IFUD_STAGES_BACKGROUND_AVERAGE_H

#include <stdatomic.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"

/*
 * The sigma-clipped mean of several exposures, pixel by pixel.
 *
 * Each is added by itself, and of each only SCI and the variances are held (12 bytes a
 * pixel; 16 where there is VAR_FLAT). Test: tests/stages/test_bkg_subtract.c
 */
struct background_stack;

/* For up to `room` exposures of nx * ny pixels. The caller frees. */
int background_stack_new(int nx, int ny, size_t room, struct background_stack **ret,
                         struct err *err);
void background_stack_free(struct background_stack *s);

/* Count in SCI, DQ, VAR_POISSON, VAR_RNOISE and VAR_FLAT (where it is) of e. */
int background_stack_add(struct background_stack *s, const struct exposure *e,
                         struct err *err);

/*
 * The mean, as the peer's: values that are not finite are left out; then, until nothing
 * changes or max_rounds (0: no limit) is reached, what lies more than sigma standard
 * deviations (dividing by n) from the median of those kept; the mean is of the values
 * within the last bounds. DQ is that of all exposures, kept or not.
 *
 * Given:      sigma > 0
 * Returned:   planes of ret (an exposure without any): SCI; DQ, with DO_NOT_USE where no
 *             value is left (SCI and the variances are 0 there); VAR_*: those of the values
 *             kept, summed, over the square of their number; ERR: the root of their sum
 * Ownership:  the stack gives its planes away: afterwards it can only be freed
 * Thread:     one; the rows are shared out. Reference: astropy.stats.sigma_clip
 */
int background_stack_mean(struct background_stack *s, double sigma, long max_rounds,
                          struct par *par, const atomic_bool *cancel,
                          struct exposure *ret, struct err *err);

/* The bounds of the clipping of n >= 1 finite values, which it sorts. */
void background_clip(double *values, size_t n, double sigma, long max_rounds,
                     double *ret_low, double *ret_high);

#endif
