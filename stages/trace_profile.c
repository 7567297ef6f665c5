#include "stages/trace_profile.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/wcs.h"
#include "common/data/wcs_map.h"
#include "common/math/robust.h"

#define NOISY_SNR 5.0 /* bins below are noisy ... */
#define NOISY_ERR 5.0 /* ... where their error stands out by so many sigma */
#define NEGATIVE -5.0 /* a bin of such a signal to noise: only positive light counts */

static void find_rows(const struct exposure *e, struct trace_profile *p)
{
    int low = e->ny, high = -1;
    for (int y = 0; y < e->ny; y++) {
        const uint8_t *map = e->regions + (size_t)y * (size_t)e->nx;
        for (int x = 0; x < e->nx; x++) {
            if (map[x] == p->slice) {
                low = low < y ? low : y;
                high = y;
                break;
            }
        }
    }
    p->y0 = low;
    p->rows = high < low ? 0 : high - low + 1;
}

static void fill_row(const struct exposure *e, float offset, struct trace_profile *p,
                     int row)
{
    double x[WCS_PIECE], y[WCS_PIECE], across[WCS_PIECE], along[WCS_PIECE],
        lam[WCS_PIECE];
    const size_t from = (size_t)(p->y0 + row) * (size_t)e->nx;
    float *flux = p->flux + (size_t)row * (size_t)p->nx,
          *error = p->err + (size_t)row * (size_t)p->nx,
          *alpha = p->alpha + (size_t)row * (size_t)p->nx;
    struct wcs_piece piece = {.row = p->y0 + row};
    for (int i = 0; i < p->nx; i++) {
        flux[i] = error[i] = alpha[i] = NAN;
    }
    while (wcs_next_piece(e->regions + from, e->nx, &piece)) {
        if (piece.slice != p->slice) {
            continue;
        }
        for (int i = 0; i < piece.n; i++) {
            x[i] = piece.first + i;
            y[i] = piece.row;
        }
        wcs_detector_to_slicer(e->wcs, p->slice, (size_t)piece.n, x, y, across, along,
                               lam);
        for (int i = 0; i < piece.n; i++) {
            const int k = piece.first + i;
            alpha[k] = (float)-along[i];
            flux[k] = e->sci[from + (size_t)k] - offset;
            error[k] = e->err[from + (size_t)k];
        }
    }
}

/* Median step from row to row. */
static int find_step(struct trace_profile *p, struct err *err)
{
    const size_t nx = (size_t)p->nx, n = nx * (size_t)(p->rows - 1);
    float *steps = mem_alloc(n ? n : 1, sizeof *steps, err);
    size_t count = 0;
    if (!steps) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const float d = p->alpha[i + nx] - p->alpha[i];
        if (isfinite(d)) {
            steps[count++] = d;
        }
    }
    p->step = count ? fabs((double)robust_median(steps, count)) : 0;
    free(steps);
    return 0;
}

int trace_profile_make(const struct exposure *e, int slice, float offset,
                       struct trace_profile *ret, struct err *err)
{
    *ret = (struct trace_profile){.slice = slice, .nx = e->nx};
    find_rows(e, ret);
    if (!ret->rows) {
        return 0;
    }
    const size_t n = (size_t)ret->rows * (size_t)ret->nx;
    ret->flux = mem_alloc(n, sizeof *ret->flux, err);
    ret->err = mem_alloc(n, sizeof *ret->err, err);
    ret->alpha = mem_alloc(n, sizeof *ret->alpha, err);
    ret->light = mem_calloc((size_t)ret->nx, sizeof *ret->light, err);
    int code = ret->flux && ret->err && ret->alpha && ret->light ? 0 : ERR_NOMEM;
    for (int row = 0; row < ret->rows && !code; row++) {
        fill_row(e, offset, ret, row);
    }
    code = code ? code : find_step(ret, err);
    if (code) {
        trace_profile_done(ret);
    }
    return code;
}

void trace_profile_done(struct trace_profile *p)
{
    free(p->flux);
    free(p->err);
    free(p->alpha);
    free(p->light);
    *p = (struct trace_profile){0};
}

/* ---- bins along the slice ---- */

struct bins {
    size_t n;
    float *alpha, *flux, *err, *snr; /* NaN: empty; alpha owns all four */
};

static bool is_valid(const struct trace_profile *p, size_t i)
{
    return isfinite(p->flux[i]) && isfinite(p->err[i]) && isfinite(p->alpha[i]) &&
           p->err[i] > 0;
}

static size_t bin_of(const struct trace_profile *p, float low, size_t n, size_t i)
{
    const double at = ((double)p->alpha[i] - (double)low) / (p->step / 2) + 0.5;
    return at >= 0 && at < (double)n ? (size_t)at : n;
}

static float median_of(const float *plane, const uint32_t *pixel, size_t n,
                       const float *over, float *scratch)
{
    for (size_t i = 0; i < n; i++) {
        scratch[i] = over ? plane[pixel[i]] / over[pixel[i]] : plane[pixel[i]];
    }
    return n ? robust_median(scratch, n) : NAN;
}

static int make_bins(const struct trace_profile *p, struct bins *ret, struct err *err)
{
    const size_t all = (size_t)p->rows * (size_t)p->nx;
    float low = INFINITY, high = -INFINITY;
    *ret = (struct bins){0};
    for (size_t i = 0; i < all; i++) {
        low = p->alpha[i] < low ? p->alpha[i] : low;
        high = p->alpha[i] > high ? p->alpha[i] : high;
    }
    if (!(p->step > 0) || !(high > low)) {
        return 0;
    }
    const size_t n = (size_t)ceil(((double)high - (double)low) / (p->step / 2));
    size_t *start = mem_calloc(n + 2, sizeof *start, err);
    uint32_t *pixel = mem_alloc(all, sizeof *pixel, err);
    float *scratch = mem_alloc(all, sizeof *scratch, err);
    ret->alpha = mem_calloc(4 * n, sizeof *ret->alpha, err);
    int code = start && pixel && scratch && ret->alpha ? 0 : ERR_NOMEM;
    if (!code) {
        ret->n = n;
        ret->flux = ret->alpha + n;
        ret->err = ret->flux + n;
        ret->snr = ret->err + n;
        for (size_t i = 0; i < all; i++) {
            if (is_valid(p, i) && bin_of(p, low, n, i) < n) {
                start[bin_of(p, low, n, i) + 2]++;
            }
        }
        for (size_t k = 2; k < n + 2; k++) {
            start[k] += start[k - 1];
        }
        for (size_t i = 0; i < all; i++) {
            if (is_valid(p, i) && bin_of(p, low, n, i) < n) {
                pixel[start[bin_of(p, low, n, i) + 1]++] = (uint32_t)i;
            }
        }
        for (size_t k = 0; k < n; k++) {
            const uint32_t *of = pixel + start[k];
            const size_t count = start[k + 1] - start[k];
            ret->alpha[k] = (float)((double)low + (double)k * p->step / 2);
            ret->flux[k] = median_of(p->flux, of, count, NULL, scratch);
            ret->err[k] = median_of(p->err, of, count, NULL, scratch);
            ret->snr[k] = median_of(p->flux, of, count, p->err, scratch);
        }
    }
    free(start);
    free(pixel);
    free(scratch);
    return code;
}

static bool exceeds(const struct bins *b, double threshold)
{
    for (size_t k = 0; k < b->n; k++) {
        if ((double)b->flux[k] > threshold) {
            return true;
        }
    }
    return isnan(threshold);
}

/* Ends where little light meets large errors. */
static int trim(struct trace_profile *p, const struct bins *b, struct err *err)
{
    const size_t all = (size_t)p->rows * (size_t)p->nx;
    float *errors = mem_alloc(2 * b->n + 1, sizeof *errors, err);
    double low = -INFINITY, high = INFINITY;
    size_t n = 0, bad = 0;
    if (!errors) {
        return ERR_NOMEM;
    }
    for (size_t k = 0; k < b->n; k++) {
        if (isfinite(b->snr[k])) {
            errors[n++] = b->err[k];
        }
    }
    const struct robust_stats s =
        n ? robust_clip(errors, errors + b->n, n, 3, 5) : (struct robust_stats){0};
    for (size_t k = 0; k < b->n && n; k++) {
        if (!(fabs((double)b->snr[k]) < NOISY_SNR) ||
            !((double)b->err[k] > s.mean + NOISY_ERR * s.std)) {
            continue;
        }
        const double at = (double)b->alpha[k];
        bad++;
        low = at < 0 && at > low ? at : low;
        high = at > 0 && at < high ? at : high;
    }
    for (size_t i = 0; i < all && bad > 0 && bad < b->n; i++) {
        const double at = (double)p->alpha[i];
        if (at <= low || at >= high) {
            p->flux[i] = NAN;
        }
    }
    free(errors);
    return 0;
}

static void sum_columns(struct trace_profile *p, const struct bins *b)
{
    bool positive = false;
    for (size_t k = 0; k < b->n; k++) {
        positive = positive || (double)b->snr[k] < NEGATIVE;
    }
    for (int x = 0; x < p->nx; x++) {
        p->light[x] = 0;
    }
    for (int row = 0; row < p->rows; row++) {
        for (int x = 0; x < p->nx; x++) {
            const float f = p->flux[(size_t)row * (size_t)p->nx + (size_t)x];
            if (isfinite(f) && (!positive || f > 0)) {
                p->light[x] += f;
            }
        }
    }
}

int trace_profile_look(struct trace_profile *p, double threshold, bool *ret_bright,
                       struct err *err)
{
    struct bins b;
    *ret_bright = false;
    int code = make_bins(p, &b, err);
    if (!code && exceeds(&b, threshold)) {
        code = trim(p, &b, err);
        free(b.alpha);
        b.alpha = NULL;
        code = code ? code : make_bins(p, &b, err);
        if (!code) {
            *ret_bright = exceeds(&b, threshold);
            sum_columns(p, &b);
        }
    }
    free(b.alpha);
    return code;
}
