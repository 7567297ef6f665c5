#ifndef IFUD_TESTS_FAULT_SWEEP_H
#define IFUD_TESTS_FAULT_SWEEP_H

#include <check.h>
#include <stdbool.h>
#include "tests/fault/workload.h"

/*
 * Many points, told as they go. A point depends on its number alone. Environment:
 *   IFUD_SWEEP_POINTS  how many
 *   IFUD_SWEEP_FIRST   number of the first (default 0)
 *   IFUD_SWEEP_STEP    from one number to the next (default 1)
 */
struct sweep {
    long points, first, step; /* as told */
    long done, failures;
};

struct sweep sweep_begin(long points);
/* The next point's number; false when all are done. */
bool sweep_next(struct sweep *s, long *ret_number);
/* This point failed: says its number and the text. */
__attribute__((format(printf, 2, 3))) void sweep_failed(struct sweep *s,
                                                        const char *fmt, ...);
/* A line of progress after every hundredth point and the last. */
__attribute__((format(printf, 2, 3))) void sweep_tell(const struct sweep *s,
                                                      const char *fmt, ...);
/* "the last life ended: ..."; free it. */
char *sweep_wrong_end(enum life_end end);

/* main() of a program with one test and no time limit of its own. */
int sweep_main(const char *name, const TTest *test);

#endif
