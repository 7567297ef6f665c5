#ifndef IFUD_BASE_PAR_H
#define IFUD_BASE_PAR_H

#include <stdatomic.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Parallel loops. A team is a fixed set of threads that share the pieces of one loop at
 * a time. Results must not depend on the number of threads: every output element has
 * one writer, and sums run in a fixed order within a piece.
 * Thread: a team belongs to the thread that made it; bodies run on any of its threads.
 */

struct par;

/* n_threads >= 1 counts the calling thread. The caller frees with par_free. */
int par_new(int n_threads, struct par **ret_par, struct err *err);
void par_free(struct par *par);
int par_threads(const struct par *par);

/*
 * A loop body: do piece `i`; `thread` is 0..par_threads-1 (for per-thread scratch).
 * Returns 0 or ERR_*; after a failure the pieces not yet begun are left out.
 */
typedef int (*par_body)(size_t i, int thread, void *arg, struct err *err);

/*
 * Run body for i = 0..n-1. `cancel` (may be NULL) is looked at before each piece and
 * gives ERR_CANCELLED. Of several failures the one of the lowest i is reported.
 * par may be NULL: the loop runs in the calling thread.
 */
int par_for(struct par *par, size_t n, par_body body, void *arg,
            const atomic_bool *cancel, struct err *err);

#endif
