#ifndef IFUD_TESTS_STAGES_CUBE_KIT_H
#define IFUD_TESTS_STAGES_CUBE_KIT_H

#include "stages/cube_sum.h"

/* A small made-up exposure, where its pixels lie, and a cube for it. */

enum { NX = 40, ROWS = 30, CUBE = 41, PLANES = 150 };
static const double step = 0.01; /* um */

/* CUBE x CUBE spaxels of 0.1 arcsec, PLANES of `step` from 1 um. */
void make_grid(struct cube_grid *g);

/*
 * Made-up slices: pixel (x, y) has wavelength lam0 + x * 0.012 um and covers a unit square
 * of spaxels, turned by 30 degrees, at a place that moves with the row. All rows of one
 * slice lie along a line; blocks are listed.
 */
struct cube_trace *make_trace(double lam0);

/* NX x ROWS pixels of 1 with errors of 0.5. */
struct exposure *make_exposure(void);

struct cube_sums make_sums(const struct cube_grid *g, bool flag);
void free_sums(struct cube_sums *s);

/* cube_add_exposure with three partners, which must succeed. */
void add(struct cube_sums *s, const struct exposure *e, const struct cube_trace *t,
         struct par *par, size_t *used);

#endif
