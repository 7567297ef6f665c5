#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"
#include "stages/pixel_replace.h"

#define N_SLICES 30
#define MIN_SNR                                                                        \
    5.0f /* below it everywhere columns are not scaled: that would be noise */
#define MAX_VALUE 1e20f /* above it nothing is fitted */

enum state { NO_PROFILE, GOOD, TO_BE_FILLED };

struct work {
    struct exposure *e;
    float *planes[REPLACE_PLANES];
    uint32_t *dq; /* as it was: what has been filled is no good pixel for others */
    int n_adjacent, slice;
    size_t y0, y1, x0, x1; /* rows and columns that hold good pixels of the slice */
    uint8_t *state;        /* x1 - x0, enum state */
    size_t *replaced;      /* of each column */
    struct scratch {
        float *profile;                /* adjacent columns, one after another */
        float *scale;                  /* of each */
        float *median[REPLACE_PLANES]; /* over the columns, by row */
        float *sorted, *current, *fit_median, *fit_current, *squares;
    } *scratch; /* of each thread */
};

float pixel_replace_minimum(double (*f)(float x, const void *user), const void *user,
                            float start)
{
    float x[2] = {start, fabsf(start) > 0 ? 1.05f * start : 0.00025f};
    double y[2] = {f(x[0], user), f(x[1], user)};
    int calls = 2;
    for (int round = 1; calls < 200 && round < 200; round++) {
        if (y[1] < y[0]) {
            const float left = x[0];
            const double lower = y[1];
            x[0] = x[1];
            x[1] = left;
            y[1] = y[0];
            y[0] = lower;
        }
        if (fabsf(x[1] - x[0]) <= 1e-4f && fabs(y[0] - y[1]) <= 1e-4) {
            break;
        }
        const float far = 2 * x[0] - x[1];
        const double value = f(far, user);
        calls++;
        if (value < y[0]) {
            const float farther = 3 * x[0] - 2 * x[1];
            const double better = f(farther, user);
            calls++;
            x[1] = better < value ? farther : far;
            y[1] = better < value ? better : value;
            continue;
        }
        const bool outside = value < y[1];
        const float near =
            outside ? 1.5f * x[0] - 0.5f * x[1] : 0.5f * x[0] + 0.5f * x[1];
        const double next = f(near, user);
        calls++;
        if (outside ? next <= value : next < y[1]) {
            x[1] = near;
            y[1] = next;
        } else {
            x[1] = x[0] + 0.5f * (x[1] - x[0]);
            y[1] = f(x[1], user);
            calls++;
        }
    }
    return y[1] < y[0] ? x[1] : x[0];
}

/* Flags of a pixel as the slice sees it: what is not of it is no science. */
static uint32_t flags(const struct work *w, size_t y, size_t x)
{
    size_t i = y * (size_t)w->e->nx + x;
    return w->e->regions[i] == w->slice ? w->dq[i]
                                        : w->dq[i] | DQ_DO_NOT_USE | DQ_NON_SCIENCE;
}

/* Rows and columns of good pixels; false if there are none. */
static bool find_range(struct work *w)
{
    w->y0 = w->x0 = SIZE_MAX;
    w->y1 = w->x1 = 0;
    for (size_t y = 0; y < (size_t)w->e->ny; y++) {
        for (size_t x = 0; x < (size_t)w->e->nx; x++) {
            if (w->e->regions[y * (size_t)w->e->nx + x] == w->slice &&
                !(flags(w, y, x) & DQ_DO_NOT_USE)) {
                w->y0 = y < w->y0 ? y : w->y0;
                w->y1 = y + 1;
                w->x0 = x < w->x0 ? x : w->x0;
                w->x1 = x + 1 > w->x1 ? x + 1 : w->x1;
            }
        }
    }
    return w->y1 > 0;
}

static int classify(size_t k, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    size_t bad = 0, lost = 0;
    (void)thread;
    (void)err;
    for (size_t y = w->y0; y < w->y1; y++) {
        uint32_t dq = flags(w, y, w->x0 + k);
        lost += (dq & DQ_NON_SCIENCE) != 0;
        bad += !(dq & DQ_NON_SCIENCE) && (dq & DQ_DO_NOT_USE);
    }
    w->state[k] = bad + lost == w->y1 - w->y0 ? NO_PROFILE : bad ? TO_BE_FILLED : GOOD;
    return 0;
}

/* Median of what is not NaN; NaN if nothing is. */
static float median_of(const float *values, size_t n, float *sorted)
{
    size_t used = 0;
    for (size_t k = 0; k < n; k++) {
        float v = values[k];
        if (!isnan(v)) {
            sorted[used++] = v;
        }
    }
    return used ? robust_median(sorted, used) : (float)NAN;
}

/* Value of a plane where the pixel is good, in units of an error; else NaN. */
static float good_value(const struct work *w, int plane, size_t y, size_t x)
{
    float v = w->planes[plane][y * (size_t)w->e->nx + x];
    if (flags(w, y, x) & DQ_DO_NOT_USE) {
        return (float)NAN;
    }
    return plane >= REPLACE_VARIANCES ? sqrtf(v) : v;
}

/* Profiles of the columns around, each divided by its largest value unless all are noise:
 * their medians by row. Returns the columns' median scale (1: they were not scaled); NaN if there is
 * no column. */
static float find_profile(const struct work *w, size_t column, struct scratch *s)
{
    const size_t rows = w->y1 - w->y0, reach = (size_t)w->n_adjacent;
    size_t from = column > w->x0 + reach ? column - reach : w->x0;
    size_t to = column + reach + 1 < w->x1 ? column + reach + 1 : w->x1, n = 0;
    size_t columns[2 * 1000 + 1];
    float snr = (float)NAN;
    for (size_t x = from; x < to; x++) {
        if (x != column && w->state[x - w->x0] != NO_PROFILE) {
            columns[n++] = x;
        }
    }
    if (n == 0) {
        return (float)NAN;
    }
    for (size_t k = 0; k < n; k++) {
        s->scale[k] = (float)NAN;
        for (size_t y = w->y0; y < w->y1; y++) {
            float v = good_value(w, REPLACE_SCI, y, columns[k]);
            float ratio = fabsf(v / good_value(w, REPLACE_ERR, y, columns[k]));
            s->scale[k] = fmaxf(s->scale[k], fabsf(v)); /* NaN gives way */
            snr = fmaxf(snr, ratio);
        }
    }
    for (size_t k = 0; k < n && snr < MIN_SNR; k++) {
        s->scale[k] = 1;
    }
    for (int p = 0; p < REPLACE_PLANES; p++) {
        for (size_t r = 0; r < rows && w->planes[p]; r++) {
            for (size_t k = 0; k < n; k++) {
                s->profile[k] = good_value(w, p, w->y0 + r, columns[k]) / s->scale[k];
            }
            s->median[p][r] = median_of(s->profile, n, s->sorted);
        }
    }
    return median_of(s->scale, n, s->sorted);
}

/* Moduli where the column has good pixels. */
struct fit {
    float *median, *current, *squares;
    size_t n;
};

/* Sum in the order of the peer's library: eight sums side by side. */
static float sum_of(const float *v, size_t n)
{
    float sums[8] = {0}, total = 0;
    size_t i = 0;
    for (; n >= 8 && i + 8 <= n; i += 8) {
        for (int k = 0; k < 8; k++) {
            sums[k] += v[i + (size_t)k];
        }
    }
    total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
            ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < n; i++) {
        total += v[i];
    }
    return total;
}

/* Mean squared difference of the moduli of the column and the scaled profile. */
static double difference(float scale, const void *user)
{
    const struct fit *f = user;
    for (size_t k = 0; k < f->n; k++) {
        float d = f->current[k] - f->median[k] * scale;
        f->squares[k] = isnan(d) ? 0 : d * d;
    }
    return (double)sum_of(f->squares, f->n) / (double)f->n;
}

/* By what the profile is multiplied, and how high the column is; both 1 where nothing can
 * be fitted. False if the column has no good pixel. */
static bool fit_scale(const struct work *w, struct scratch *s, float scale,
                      float *ret_factor, float *ret_height)
{
    struct fit f = {s->fit_median, s->fit_current, s->squares, 0};
    float largest = (float)NAN, top = (float)NAN, highest = (float)NAN,
          start = (float)NAN;
    for (size_t r = 0; r < w->y1 - w->y0; r++) {
        largest = fmaxf(largest, s->current[r]);
    }
    for (size_t r = 0; r < w->y1 - w->y0; r++) {
        if (!isnan(s->current[r])) {
            float v = s->current[r] / largest;
            f.median[f.n] = fabsf(s->median[REPLACE_SCI][r]);
            f.current[f.n] = fabsf(v);
            top = fmaxf(top, f.median[f.n]);
            highest = fmaxf(highest, fabsf(v));
            start = fmaxf(start, v);
            f.n++;
        }
    }
    bool scaled = isnan(scale) || scale < 1 || scale > 1;
    *ret_factor = *ret_height = 1;
    if (f.n && scaled && top < MAX_VALUE && highest < MAX_VALUE) {
        *ret_factor = pixel_replace_minimum(difference, &f, fabsf(start));
        *ret_height = largest;
    }
    return f.n > 0;
}

static int fill_column(size_t k, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    struct scratch *s = &w->scratch[thread];
    const size_t x = w->x0 + k, nx = (size_t)w->e->nx;
    float factor, height;
    bool has_columns = false;
    (void)err;
    if (w->state[k] != TO_BE_FILLED) {
        return 0;
    }
    size_t reach = (size_t)w->n_adjacent;
    for (size_t j = k > reach ? k - reach : 0; j <= k + reach && j < w->x1 - w->x0;
         j++) {
        has_columns = has_columns || (j != k && w->state[j] != NO_PROFILE);
    }
    if (!has_columns) {
        return 0;
    }
    float scale = find_profile(w, x, s);
    for (size_t r = 0; r < w->y1 - w->y0; r++) {
        s->current[r] = good_value(w, REPLACE_SCI, w->y0 + r, x);
    }
    bool any = fit_scale(w, s, scale, &factor, &height);
    for (size_t r = 0; r < w->y1 - w->y0 && any; r++) {
        uint32_t dq = flags(w, w->y0 + r, x);
        size_t i = (w->y0 + r) * nx + x;
        if (w->e->regions[i] != w->slice || !(dq & DQ_DO_NOT_USE)) {
            continue;
        }
        if (dq & DQ_NON_SCIENCE) {
            w->e->sci[i] = (float)NAN;
            continue;
        }
        for (int p = 0; p < REPLACE_PLANES; p++) {
            if (w->planes[p]) {
                float v = s->median[p][r] * factor * height;
                w->planes[p][i] = p >= REPLACE_VARIANCES ? v * v : v;
            }
        }
        if (!isnan(w->e->sci[i])) {
            w->e->dq[i] ^= DQ_DO_NOT_USE ^ DQ_FLUX_ESTIMATED;
            w->replaced[k]++;
        }
    }
    return 0;
}

static int fill_slice(struct work *w, struct par *par, const atomic_bool *cancel,
                      size_t *total, struct err *err)
{
    if (!find_range(w)) {
        return 0;
    }
    size_t n = w->x1 - w->x0;
    for (size_t k = 0; k < n; k++) {
        w->replaced[k] = 0;
    }
    int code = par_for(par, n, classify, w, cancel, err);
    code = code ? code : par_for(par, n, fill_column, w, cancel, err);
    for (size_t k = 0; k < n && !code; k++) {
        *total += w->replaced[k];
    }
    return code;
}

static int make_scratch(struct work *w, int threads, struct err *err)
{
    const size_t ny = (size_t)w->e->ny, columns = 2 * (size_t)w->n_adjacent + 1;
    w->scratch = mem_calloc((size_t)threads, sizeof *w->scratch, err);
    bool ok = w->scratch != NULL;
    for (int t = 0; t < threads && ok; t++) {
        struct scratch *s = &w->scratch[t];
        s->profile = mem_alloc(columns, sizeof *s->profile, err);
        s->scale = mem_alloc(columns, sizeof *s->scale, err);
        s->sorted = mem_alloc(columns, sizeof *s->sorted, err);
        s->current = mem_alloc(ny, sizeof *s->current, err);
        s->fit_median = mem_alloc(ny, sizeof *s->fit_median, err);
        s->fit_current = mem_alloc(ny, sizeof *s->fit_current, err);
        s->squares = mem_alloc(ny, sizeof *s->squares, err);
        ok = s->profile && s->scale && s->sorted && s->current && s->fit_median &&
             s->fit_current && s->squares;
        for (int p = 0; p < REPLACE_PLANES && ok; p++) {
            s->median[p] = mem_alloc(ny, sizeof *s->median[p], err);
            ok = s->median[p] != NULL;
        }
    }
    return ok ? 0 : ERR_NOMEM;
}

static void done(struct work *w, int threads)
{
    for (int t = 0; t < threads && w->scratch; t++) {
        struct scratch *s = &w->scratch[t];
        free(s->profile);
        free(s->scale);
        free(s->sorted);
        free(s->current);
        free(s->fit_median);
        free(s->fit_current);
        free(s->squares);
        for (int p = 0; p < REPLACE_PLANES; p++) {
            free(s->median[p]);
        }
    }
    free(w->scratch);
    free(w->dq);
    free(w->state);
    free(w->replaced);
}

int pixel_replace_profile(struct exposure *e, int n_adjacent, struct par *par,
                          const atomic_bool *cancel, size_t *ret_replaced,
                          struct err *err)
{
    const int threads = par_threads(par);
    struct work w = {.e = e, .n_adjacent = n_adjacent};
    size_t total = 0;
    if (!e->regions || !e->err) {
        return err_set(
            err, ERR_INPUT,
            "%s has no map of slices or no ERR: fit_profile needs both; take "
            "mingrad",
            e->meta.filename);
    }
    pixel_replace_planes(e, w.planes);
    w.state = mem_alloc((size_t)e->nx, sizeof *w.state, err);
    w.replaced = mem_alloc((size_t)e->nx, sizeof *w.replaced, err);
    w.dq = mem_alloc(exposure_pixels(e), sizeof *w.dq, err);
    int code =
        w.state && w.replaced && w.dq ? make_scratch(&w, threads, err) : ERR_NOMEM;
    if (!code) {
        memcpy(w.dq, e->dq, exposure_pixels(e) * sizeof *w.dq);
    }
    for (w.slice = 1; w.slice <= N_SLICES && !code; w.slice++) {
        code = fill_slice(&w, par, cancel, &total, err);
    }
    done(&w, threads);
    if (!code) {
        *ret_replaced = total;
    }
    return code;
}
