#ifndef IFUD_STAGES_TRACE_CELLS_H
#define IFUD_STAGES_TRACE_CELLS_H

#include <stdbool.h>
#include "common/base/err.h"
#include "stages/trace_fit.h"

/*
 * Which stretches of a slice are to be sampled on the sky: cells of one pixel's height, cell
 * k from start + k * pitch on. A cell counts where the model is curved so much within a
 * pixel that it swings with the phase of the pixels by more than the noise shows, with some
 * neighbours; a faint or smooth slice has none.
 * Ownership: trace_cells_done. Test: tests/stages/test_trace_sky.c
 */
struct trace_cells {
    double start, pitch; /* arcsec */
    int n, used;
    bool *is_used; /* n */
    double peak;   /* largest swing of a cell, in the units of the exposure; 0: none */
    int peak_cell;
};

int trace_cells_make(const struct exposure *e, const struct trace_slice *s,
                     const struct trace_fit *f, struct trace_cells *ret,
                     struct err *err);
void trace_cells_done(struct trace_cells *c);

#endif
