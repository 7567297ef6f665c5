#ifndef IFUD_MATH_BANDED_H
#define IFUD_MATH_BANDED_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * Normal equations whose matrix is symmetric, positive definite and banded, as those of a
 * fit of splines: entry (i, j) is 0 where |i - j| >= width.
 *
 *     banded_clear, banded_add for each value, banded_solve
 *
 * Ownership: banded_done frees. Thread: one at a time. Test: tests/math/test_banded.c
 */
struct banded {
    size_t n, width;
    double *a; /* n * width: a[i * width + (i - j)] is entry (i, j), j <= i */
    double *b; /* right hand side; after banded_solve the solution */
};

int banded_init(struct banded *m, size_t n, size_t width, struct err *err);
void banded_done(struct banded *m);
void banded_clear(struct banded *m);

/* Add weight * (row row^T) and weight * value * row, where `row` holds the `count` <= width
 * entries from column `first` on that are not 0. */
void banded_add(struct banded *m, size_t first, size_t count, const double *row,
                double value, double weight);

/*
 * Cholesky's factor in place of the matrix, and the solution in place of b.
 * Returned: 0, or -1 where the matrix is not positive definite (m is then spoilt)
 */
int banded_solve(struct banded *m);

/* After banded_solve: row^T A^-1 row, the variance of what `row` picks from the solution;
 * scratch has room for n. */
double banded_variance(const struct banded *m, size_t first, size_t count,
                       const double *row, double *scratch);

#endif
