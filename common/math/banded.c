#include "common/math/banded.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

int banded_init(struct banded *m, size_t n, size_t width, struct err *err)
{
    size_t cells;
    *m = (struct banded){.n = n, .width = width};
    if (mem_mul(n, width, &cells)) {
        return err_set(err, ERR_NOMEM, "normal equations of %zu x %zu", n, width);
    }
    m->a = mem_calloc(cells, sizeof *m->a, err);
    m->b = mem_calloc(n, sizeof *m->b, err);
    if (!m->a || !m->b) {
        banded_done(m);
        return ERR_NOMEM;
    }
    return 0;
}

void banded_done(struct banded *m)
{
    free(m->a);
    free(m->b);
    *m = (struct banded){0};
}

void banded_clear(struct banded *m)
{
    memset(m->a, 0, m->n * m->width * sizeof *m->a);
    memset(m->b, 0, m->n * sizeof *m->b);
}

void banded_add(struct banded *m, size_t first, size_t count, const double *row,
                double value, double weight)
{
    for (size_t i = 0; i < count; i++) {
        const double wi = weight * row[i];
        double *a = m->a + (first + i) * m->width;
        for (size_t j = 0; j <= i; j++) {
            a[i - j] += wi * row[j];
        }
        m->b[first + i] += wi * value;
    }
}

/* L y = b, from entry `from` on. */
static void forward(const struct banded *m, size_t from, double *b)
{
    for (size_t i = from; i < m->n; i++) {
        const double *a = m->a + i * m->width;
        const size_t most = i - from < m->width - 1 ? i - from : m->width - 1;
        double sum = b[i];
        for (size_t d = 1; d <= most; d++) {
            sum -= a[d] * b[i - d];
        }
        b[i] = sum / a[0];
    }
}

int banded_solve(struct banded *m)
{
    const size_t w = m->width;
    for (size_t i = 0; i < m->n; i++) {
        double *a = m->a + i * w;
        const size_t most = i < w - 1 ? i : w - 1;
        for (size_t d = most + 1; d-- > 0;) { /* entry (i, i - d) of L */
            const double *above = m->a + (i - d) * w;
            double sum = a[d];
            for (size_t k = d + 1; k <= most; k++) {
                sum -= a[k] * above[k - d];
            }
            if (d > 0) {
                a[d] = sum / above[0];
            } else if (sum > 0 && isfinite(sum)) {
                a[0] = sqrt(sum);
            } else {
                return -1;
            }
        }
    }
    forward(m, 0, m->b);
    for (size_t i = m->n; i-- > 0;) {
        double sum = m->b[i];
        for (size_t d = 1; d < w && i + d < m->n; d++) {
            sum -= m->a[(i + d) * w + d] * m->b[i + d];
        }
        m->b[i] = sum / m->a[i * w];
    }
    return 0;
}

double banded_variance(const struct banded *m, size_t first, size_t count,
                       const double *row, double *scratch)
{
    double sum = 0;
    memset(scratch + first, 0, (m->n - first) * sizeof *scratch);
    memcpy(scratch + first, row, count * sizeof *row);
    forward(m, first, scratch);
    for (size_t i = first; i < m->n; i++) {
        sum += scratch[i] * scratch[i];
    }
    return sum;
}
