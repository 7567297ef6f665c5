#ifndef IFUD_MATH_INTERP_H
#define IFUD_MATH_INTERP_H

#include <math.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Piecewise linear tables, read at values that change little from call to call (the
 * wavelengths along a detector row): the interval of the last call is tried first, then
 * its neighbours, then a binary search. The answer does not depend on the hint.
 *
 * The arithmetic is numpy.interp's: slope * (v - x[i]) + y[i], and y[n-1] at x[n-1].
 * Ownership: interp_init copies; interp_done frees. Thread: read by any; a hint belongs
 * to one thread. Test: tests/math/test_interp.c
 */
struct interp {
    size_t n;
    double *x, *y, *slope; /* slope of [x[i], x[i+1]]; one block, x owns it */
};

/* n >= 1 values, x not decreasing (asserted: the caller has checked its input). */
int interp_init(struct interp *t, size_t n, const double *x, const double *y,
                struct err *err);
void interp_done(struct interp *t);

/* The interval i with x[i] <= v < x[i+1]; v within [x[0], x[n-1]). Binary search. */
size_t interp_search(const double *x, size_t n, double v);

/*
 * The interval of v among n knots, from a hint.
 * Given:    v in [x[0], x[n-1]), n >= 2, hint < n
 */
static inline size_t interp_seek(const double *x, size_t n, double v, size_t hint)
{
    if (hint + 1 < n && v >= x[hint]) {
        if (v < x[hint + 1]) {
            return hint;
        }
        if (hint + 2 < n && v < x[hint + 2]) {
            return hint + 1;
        }
    } else if (hint > 0 && v < x[hint] && v >= x[hint - 1]) {
        return hint - 1;
    }
    return interp_search(x, n, v);
}

/*
 * The table's value at v.
 * Given:    v; below, above: returned left and right of the table; hint: any index < n,
 *           replaced by the interval found
 * Returned: the value; NaN if v is NaN
 */
static inline double interp_at(const struct interp *t, double v, double below,
                               double above, size_t *hint)
{
    if (!(v >= t->x[0])) {
        return isnan(v) ? v : below;
    }
    if (v >= t->x[t->n - 1]) {
        return v > t->x[t->n - 1] ? above : t->y[t->n - 1];
    }
    size_t i = interp_seek(t->x, t->n, v, *hint);
    *hint = i;
    return t->slope[i] * (v - t->x[i]) + t->y[i];
}

#endif
