#ifndef IFUD_STAGES_TRACE_COLUMNS_H
#define IFUD_STAGES_TRACE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "stages/trace_profile.h"

/*
 * The peer's trace model of a slice: to every column a cubic spline of the position along
 * the slice, fitted to the columns round it (each divided by its sum), outliers clipped
 * three times; where that fails the spline of the column before is taken. The spline times
 * `scale` is the column's light.
 * Ownership: trace_columns_done. Thread: read-only once made.
 * Reference: jwst 3.0.0, adaptive_trace_model. Test: tests/stages/test_trace_detector.c
 */
struct trace_spline {
    size_t n;                    /* coefficients; 0: no model */
    float from, to;              /* ends of the outermost intervals */
    float first_knot, knot_step; /* inner knots, n - 4 of them */
    double low, high;            /* where the model holds */
    double scale;
};

struct trace_columns {
    size_t most;                  /* coefficients of a column */
    struct trace_spline *splines; /* nx */
    double *coef;                 /* nx * most */
};

/* reach: columns to each side; backwards: from the last column to the first. */
int trace_columns_make(const struct trace_profile *p, int reach, double knots_a_pixel,
                       double least_share, bool backwards, struct trace_columns *ret,
                       struct err *err);
void trace_columns_done(struct trace_columns *c);

/* The spline of column x at n positions. */
int trace_columns_values(const struct trace_columns *c, int x, size_t n,
                         const double *alpha, double *ret, struct err *err);

#endif
