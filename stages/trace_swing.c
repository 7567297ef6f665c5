#include "stages/trace_swing.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/math/banded.h"

enum { WINDOW = 256, TERMS = 7, ROUNDS = 4 };
#define CLIP 3.0
#define LEAST_TURN 1.0 /* rows that the trace must cross in a window */

/* One value a column. */
struct series {
    double value[WINDOW], phase[WINDOW], t[WINDOW];
    int n;
};

static void terms_of(const struct series *s, int i, double row[TERMS])
{
    const double a = 2 * M_PI * s->phase[i];
    row[0] = 1;
    row[1] = s->t[i];
    row[2] = s->t[i] * s->t[i];
    row[3] = cos(a);
    row[4] = sin(a);
    row[5] = cos(2 * a);
    row[6] = sin(2 * a);
}

static double value_of(const double *b, const double row[TERMS])
{
    double sum = 0;
    for (int k = 0; k < TERMS; k++) {
        sum += b[k] * row[k];
    }
    return sum;
}

/* NaN where the values do not tell. */
static double swing_of(const struct series *s, struct banded *m)
{
    bool use[WINDOW];
    double row[TERMS], rms = 0;
    int n = s->n;
    for (int i = 0; i < s->n; i++) {
        use[i] = true;
    }
    for (int round = 0; round < ROUNDS; round++) {
        banded_clear(m);
        for (int i = 0; i < s->n; i++) {
            if (use[i]) {
                terms_of(s, i, row);
                banded_add(m, 0, TERMS, row, s->value[i], 1);
            }
        }
        if (n < WINDOW / 2 || banded_solve(m)) {
            return NAN;
        }
        double sum = 0;
        for (int i = 0; i < s->n; i++) {
            terms_of(s, i, row);
            const double off = s->value[i] - value_of(m->b, row);
            sum += use[i] ? off * off : 0;
        }
        rms = sqrt(sum / n);
        n = 0;
        for (int i = 0; i < s->n; i++) {
            terms_of(s, i, row);
            use[i] = fabs(s->value[i] - value_of(m->b, row)) <= CLIP * rms;
            n += use[i];
        }
    }
    double low = INFINITY, high = -INFINITY, mean = m->b[0] + m->b[2] / 3;
    for (int i = 0; i < 64; i++) {
        const struct series one = {.phase = {i / 64.0}};
        terms_of(&one, 0, row);
        row[0] = 0;
        const double v = value_of(m->b, row);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    return mean > 0 ? (high - low) / 2 / mean : (double)NAN;
}

/* Pixels interpolated to row y of a column; NaN if one of the two is bad. */
static double between(const struct exposure *e, const struct trace_slice *s, int x,
                      double y)
{
    const int row = (int)floor(y) - s->y0;
    if (row < 0 || row + 1 >= s->rows || !trace_is_good(e, s, row, x) ||
        !trace_is_good(e, s, row + 1, x)) {
        return NAN;
    }
    const size_t p = (size_t)(s->y0 + row) * (size_t)e->nx + (size_t)x;
    const double f = y - floor(y), a = (double)e->sci[p],
                 b = (double)e->sci[p + (size_t)e->nx];
    return a + f * (b - a);
}

static void add(struct series *s, double value, double y, double t)
{
    if (!isnan(value)) {
        s->value[s->n] = value;
        s->phase[s->n] = y - floor(y);
        s->t[s->n++] = t;
    }
}

int trace_swing(const struct exposure *e, const struct trace_slice *s, double u,
                const float *samples, double *ret_pixels, double *ret_samples,
                struct err *err)
{
    struct banded m;
    int code = banded_init(&m, TERMS, TERMS, err);
    struct series *both = code ? NULL : mem_calloc(2, sizeof *both, err);
    *ret_pixels = *ret_samples = NAN;
    code = code || both ? code : ERR_NOMEM;
    for (int from = 0; from + WINDOW <= s->nx && !code; from += WINDOW / 2) {
        double first = NAN, last = NAN;
        both[0].n = both[1].n = 0;
        for (int x = from; x < from + WINDOW; x++) {
            const double y = trace_row_of(s, x, u), t = 2.0 * (x - from) / WINDOW - 1;
            if (isnan(y)) {
                continue;
            }
            first = isnan(first) ? y : first;
            last = y;
            add(&both[0], between(e, s, x, y), y, t);
            add(&both[1], (double)samples[x], y, t);
        }
        if (!(fabs(last - first) > LEAST_TURN)) {
            continue;
        }
        const double before = swing_of(&both[0], &m), after = swing_of(&both[1], &m);
        if (!isnan(before + after) && !(before <= *ret_pixels)) {
            *ret_pixels = before;
            *ret_samples = after;
        }
    }
    free(both);
    banded_done(&m);
    return code;
}
