#ifndef IFUD_STAGES_TRACE_FIT_H
#define IFUD_STAGES_TRACE_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "stages/trace_slice.h"

/*
 * A model of the light of one slice: what a pixel at column x and position u along the
 * slice on the sky holds,
 *
 *     f(x, u) = scale(x) g(x, u) + level(x)
 *
 * g is a cubic spline of u, fitted at every few columns to all pixels of a window of
 * columns round it, with a part that changes linearly across the window, and taken in
 * between linearly. A tilted trace samples u many times in such a window, so g is known
 * far more finely than one column shows it. scale and level are fitted to each column;
 * what does not follow is clipped: pixels (cosmic rays), and whole columns (lines of
 * another shape). As the rows' phase is a function of u, a scale that swings with it and a
 * g that swings against it would fit as well: the scale is the sum of the column's model,
 * which does not swing.
 * Ownership: trace_fit_done. Thread: read-only once made.
 * Test: tests/stages/test_trace_sky.c
 */
struct trace_fit {
    size_t n_nodes, n_coef;
    int x0, spacing;        /* node k is at column x0 + k * spacing */
    double start, step;     /* of the knots, arcsec (bspline_uniform) */
    double *coef;           /* n_nodes * n_coef */
    double *coef_variance;  /* the same; of one alone, NaN: unknown */
    double *scale, *level;  /* nx; NaN: the column has no model */
    double *scale_variance; /* nx */
    bool *is_known;         /* n_nodes */
};

struct trace_settings {
    int window;  /* columns to each side */
    double step; /* between knots, arcsec */
};

/*
 * Fit the model. *ret_found false: the slice holds too little light, or none; *ret is then
 * empty.
 */
int trace_fit_make(const struct exposure *e, const struct trace_slice *s,
                   const struct trace_settings *settings, struct trace_fit *ret,
                   bool *ret_found, struct err *err);
void trace_fit_done(struct trace_fit *f);

/* The spline's coefficients at a column: n_coef values. False: there is no model. */
bool trace_fit_profile(const struct trace_fit *f, int x, double *ret_coef);

/* Its value at u. */
double trace_fit_value(const struct trace_fit *f, const double *coef, double u);

/*
 * The variance of that value at column x, about: that of each coefficient with the others
 * known, without their covariances, which nearly make up for one another. NaN: unknown.
 */
double trace_fit_variance(const struct trace_fit *f, int x, double u);

#endif
