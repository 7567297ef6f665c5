#ifndef IFUD_STAGES_TRACE_COMPACT_H
#define IFUD_STAGES_TRACE_COMPACT_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Where along a slice compact sources are, by the peer's rule: the positions at which the
 * models of its columns are steep are counted in bins; round each peak of the counts the
 * model is used.
 * Ownership: trace_compact_done. Test: tests/stages/test_trace_detector.c
 */
struct trace_compact {
    size_t n, room;
    double *steep; /* positions where a model is steep */
    size_t n_peaks;
    double *peaks;
    double reach; /* on both sides of a peak */
};

int trace_compact_add(struct trace_compact *c, double alpha, struct err *err);

/* The peaks, of bins half a pixel (`step`) wide; `bins` of them round 0, `pad` pixels. */
int trace_compact_find(struct trace_compact *c, double step, size_t bins, double pad,
                       struct err *err);
bool trace_compact_is(const struct trace_compact *c, double alpha);
void trace_compact_done(struct trace_compact *c);

#endif
