#ifndef IFUD_STAGES_TRACE_SLICE_H
#define IFUD_STAGES_TRACE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/exposure.h"

/*
 * One slice of an exposure: which rows it takes, and where on the sky, along the slice,
 * each pixel lies. The position grows with the row.
 * Ownership: trace_slice_done. Thread: read-only once made.
 * Test: tests/stages/test_trace_sky.c
 */
struct trace_slice {
    int slice;    /* 1..30 */
    int nx;       /* columns, as the exposure */
    int y0, rows; /* rows y0 .. y0 + rows - 1 hold pixels of the slice; rows 0: none */
    double *u;    /* rows * nx: arcsec along the slice; NaN: not of the slice */
    double pitch; /* arcsec from row to row, the median */
    double low, high; /* the stretch that nearly every column covers wholly, arcsec */
};

int trace_slice_make(const struct exposure *e, int slice, struct trace_slice *ret,
                     struct err *err);
void trace_slice_done(struct trace_slice *s);

/* Is pixel (x, y0 + row) of the slice, and does it hold light that counts? */
static inline bool trace_is_good(const struct exposure *e, const struct trace_slice *s,
                                 int row, int x)
{
    const size_t p = (size_t)(s->y0 + row) * (size_t)e->nx + (size_t)x;
    const double u = s->u[(size_t)row * (size_t)s->nx + (size_t)x];
    return u == u && !(e->dq[p] & 1u) && e->sci[p] == e->sci[p] && e->err[p] > 0;
}

/* How much of a pixel at u lies within low .. high, 0..1. */
static inline double trace_within(const struct trace_slice *s, double u)
{
    const double from = u - s->pitch / 2, to = u + s->pitch / 2;
    const double a = from > s->low ? from : s->low, b = to < s->high ? to : s->high;
    return b > a ? (b - a) / s->pitch : 0;
}

/*
 * The row of the detector at position u of column x: a straight line between pixels, and
 * beyond the outermost. NaN where the column has fewer than two pixels of the slice.
 */
double trace_row_of(const struct trace_slice *s, int x, double u);

#endif
