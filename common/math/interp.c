#include "common/math/interp.h"

#include <assert.h>
#include <stdlib.h>
#include "common/base/mem.h"

int interp_init(struct interp *t, size_t n, const double *x, const double *y,
                struct err *err)
{
    assert(n >= 1);
    size_t total;
    if (mem_mul(n, 3, &total)) {
        return err_set(err, ERR_NOMEM, "a table of %zu values is too long", n);
    }
    double *block = mem_alloc(total, sizeof *block, err);
    if (!block) {
        return ERR_NOMEM;
    }
    t->n = n;
    t->x = block;
    t->y = block + n;
    t->slope = block + 2 * n;
    for (size_t i = 0; i < n; i++) {
        assert(i == 0 || x[i] >= x[i - 1]);
        t->x[i] = x[i];
        t->y[i] = y[i];
    }
    for (size_t i = 0; i + 1 < n; i++) {
        /* An interval of no width is never chosen: v < x[i+1] fails at x[i]. */
        t->slope[i] = x[i + 1] > x[i] ? (y[i + 1] - y[i]) / (x[i + 1] - x[i]) : 0;
    }
    t->slope[n - 1] = 0;
    return 0;
}

void interp_done(struct interp *t)
{
    free(t->x);
    *t = (struct interp){0};
}

size_t interp_search(const double *x, size_t n, double v)
{
    size_t low = 0, high = n - 1; /* x[low] <= v < x[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (v >= x[middle]) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}
