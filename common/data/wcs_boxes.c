#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/wcs_private.h"

/*
 * The slice map, the bounding boxes and the footprint.
 *
 * The peer projects both edges of each slit onto the detector in wavelength steps of
 * 1e-10 m, puts margins around (10 pixels along x, 2 along y, and a stray -1 on both),
 * narrows the rows to those that have wavelengths, and in the end takes the box of the
 * pixels that have one. Only the extremes of x and y of the projection matter, and they
 * only through the whole pixels they let in; so the edges are sampled coarsely first, and
 * the peer's fine steps are looked at around the extremes alone.
 *
 * Then bands of rows are mapped in parallel. Within a band slices go in order, so that of
 * two that overlap the higher stays.
 */

#define COARSE 257 /* samples of an edge */
#define BAND 32    /* rows */
#define MARGIN 3.0 /* pixels by which forward and backward may differ, ample */
#define BLOCK WCS_BLOCK
#define BLOCKS (WCS_FULL / BLOCK)

struct extremes {
    size_t n;
    int x_min, x_max, y_min, y_max;
    double lam_min, lam_max;
    double dra_min, dra_max, dec_min, dec_max; /* dra from the reference, degrees */
};

static void widen(double *low, double *high, double v)
{
    *low = v < *low ? v : *low;
    *high = v > *high ? v : *high;
}

/* Pixels of the full frame, of samples index[] of the peer's wavelength grid. */
static void project(const struct wcs *w, const struct wcs_slice *s, double y_edge,
                    long n_grid, size_t n, const long *index, double *x, double *y)
{
    double lam[WCS_RUN], zero[WCS_RUN] = {0.0}, edge[WCS_RUN], a[WCS_RUN], b[WCS_RUN];
    double step = n_grid > 1 ? (w->lam_max - w->lam_min) / (double)(n_grid - 1) : 0.0;
    for (size_t i = 0; i < n; i += WCS_RUN) {
        size_t m = n - i < WCS_RUN ? n - i : WCS_RUN;
        for (size_t k = 0; k < m; k++) {
            lam[k] = w->lam_min + step * (double)index[i + k];
            edge[k] = y_edge;
        }
        if (s->from_slit) {
            const double *const in[3] = {zero, edge, lam};
            double *const out[2] = {x + i, y + i};
            transform_eval(s->from_slit, m, in, out);
        } else {
            wcs_slit_to_gwa(w, s, m, zero, edge, lam, a, b);
            wcs_gwa_to_pixel(w, m, a, b, x + i, y + i);
        }
        for (size_t k = 0; k < m; k++) {
            x[i + k] += w->corner_x;
            y[i + k] += w->corner_y;
        }
    }
}

/* Around sample `at`, in ever finer steps down to those of the grid. */
static void narrow(const struct wcs *w, const struct wcs_slice *s, double y_edge,
                   long n_grid, long at, long step, bool of_y, bool largest,
                   double range[4])
{
    enum { n = 33 };
    long index[n];
    double x[n], y[n];
    while (step > 1) {
        long from = at - step < 0 ? 0 : at - step;
        long to = at + step > n_grid - 1 ? n_grid - 1 : at + step;
        int best = 0;
        for (int i = 0; i < n; i++) {
            index[i] = from + (to - from) * i / (n - 1);
        }
        project(w, s, y_edge, n_grid, n, index, x, y);
        for (int i = 0; i < n; i++) {
            const double *v = of_y ? y : x;
            widen(&range[0], &range[1], x[i]);
            widen(&range[2], &range[3], y[i]);
            best = (largest ? v[i] > v[best] : v[i] < v[best]) ? i : best;
        }
        at = index[best];
        step = (to - from + n - 2) / (n - 1);
        step = step > 1 ? step : 0;
    }
}

/* Extremes of one projected edge: x min, x max, y min, y max; the coarse trace too. */
static bool project_edge(const struct wcs *w, const struct wcs_slice *s, double y_edge,
                         double range[4], double *x, double *y)
{
    long n_grid = (long)((w->lam_max - w->lam_min) / 1e-10);
    n_grid = n_grid < 2 ? 2 : n_grid;
    long index[COARSE], step = n_grid / (COARSE - 1) + 1;
    int at[4] = {0, 0, 0, 0};
    for (int i = 0; i < COARSE; i++) {
        index[i] = (n_grid - 1) * i / (COARSE - 1);
    }
    project(w, s, y_edge, n_grid, COARSE, index, x, y);
    for (int i = 0; i < COARSE; i++) {
        if (isnan(x[i]) || isnan(y[i])) {
            return false;
        }
        widen(&range[0], &range[1], x[i]);
        widen(&range[2], &range[3], y[i]);
        at[0] = x[i] < x[at[0]] ? i : at[0];
        at[1] = x[i] > x[at[1]] ? i : at[1];
        at[2] = y[i] < y[at[2]] ? i : at[2];
        at[3] = y[i] > y[at[3]] ? i : at[3];
    }
    for (int k = 0; k < 4; k++) {
        narrow(w, s, y_edge, n_grid, index[at[k]], step, k >= 2, k % 2 == 1, range);
    }
    return true;
}

/* Pixel centres within [low - 1 - margin - 0.5, high - 1 + margin + 0.5] of the frame,
 * cut to the array: these the peer's grid visits and its box lets pass. */
static void pad(double low, double high, double margin, double corner, int size,
                int *first, int *last)
{
    double from = fmax(0.0, low - 1.0 - margin) - 0.5;
    double to = fmin(WCS_FULL - 1.0, high - 1.0 + margin) + 0.5;
    double a = ceil(from) - corner, b = floor(to) - corner;
    *first = a < 0.0 ? 0 : a > size ? size : (int)a;
    *last = b > size - 1.0 ? size - 1 : b < -1.0 ? -1 : (int)b;
}

/* The pixels of a box, wherever the trace is. */
static void look_in_box(const struct wcs *w, const struct wcs_box *box,
                        struct wcs_search *ret)
{
    *ret = (struct wcs_search){
        .x_first = (int)fmax(0.0, ceil(box->x_min)),
        .x_last = (int)fmin(w->nx - 1, floor(box->x_max)),
        .y_first = (int)fmax(0.0, ceil(box->y_min)),
        .y_last = (int)fmin(w->ny - 1, floor(box->y_max)),
    };
    for (int b = 0; b < BLOCKS; b++) {
        ret->y_low[b] = -HUGE_VAL;
        ret->y_high[b] = HUGE_VAL;
    }
}

void wcs_find_search(const struct wcs *w, const struct wcs_slice *s,
                     struct wcs_search *ret)
{
    double range[4] = {HUGE_VAL, -HUGE_VAL, HUGE_VAL, -HUGE_VAL};
    double x[2][COARSE], y[2][COARSE];
    if (s->to_slicer.forward && !s->from_slit) {
        look_in_box(w, &s->box, ret);
        return;
    }
    if (!project_edge(w, s, s->y_min, range, x[0], y[0]) ||
        !project_edge(w, s, s->y_max, range, x[1], y[1])) {
        /* part of the range leaves the optics: the peer then looks everywhere */
        const struct wcs_box all = {0.0, w->nx - 1, 0.0, w->ny - 1};
        look_in_box(w, &all, ret);
        return;
    }
    pad(range[0], range[1], 10.0, w->corner_x, w->nx, &ret->x_first, &ret->x_last);
    pad(range[2], range[3], 2.0, w->corner_y, w->ny, &ret->y_first, &ret->y_last);
    for (int b = 0; b < BLOCKS; b++) {
        double left = b * BLOCK, right = left + BLOCK;
        ret->y_low[b] = HUGE_VAL;
        ret->y_high[b] = -HUGE_VAL;
        for (int e = 0; e < 2; e++) {
            for (int i = 0; i + 1 < COARSE; i++) {
                double lo = fmin(x[e][i], x[e][i + 1]) - BLOCK;
                double hi = fmax(x[e][i], x[e][i + 1]) + BLOCK;
                if (hi >= left && lo <= right) {
                    widen(&ret->y_low[b], &ret->y_high[b], y[e][i] - MARGIN);
                    widen(&ret->y_low[b], &ret->y_high[b], y[e][i] + MARGIN);
                    widen(&ret->y_low[b], &ret->y_high[b], y[e][i + 1] - MARGIN);
                    widen(&ret->y_low[b], &ret->y_high[b], y[e][i + 1] + MARGIN);
                }
            }
        }
    }
}

struct map_job {
    struct wcs *w;
    struct wcs_search search[WCS_SLICES];
    struct extremes *found; /* [bands][WCS_SLICES] */
    uint8_t *regions;
    double *wavelength;
};

static int search_body(size_t i, int thread, void *arg, struct err *err)
{
    struct map_job *job = arg;
    (void)thread;
    struct wcs_slice *s = &job->w->slice[i];
    int code = s->to_slicer.forward ? 0 : wcs_slice_prepare(job->w, s, err);
    if (code) {
        err_prefix(err, "slice %zu", i + 1);
    } else {
        wcs_find_search(job->w, s, &job->search[i]);
    }
    return code;
}

static const struct extremes nothing = {0,         INT32_MAX, -1,        INT32_MAX,
                                        -1,        HUGE_VAL,  -HUGE_VAL, HUGE_VAL,
                                        -HUGE_VAL, HUGE_VAL,  -HUGE_VAL};

static double wrap(double ra)
{
    ra = fmod(ra, 360.0);
    return ra < 0.0 ? ra + 360.0 : ra;
}

/* Valid points of a slice waiting for their sky position. */
struct pending {
    size_t n;
    double across[WCS_RUN], along[WCS_RUN], lam[WCS_RUN];
};

static void flush(const struct wcs *w, struct pending *p, struct extremes *e)
{
    double ra[WCS_RUN], dec[WCS_RUN], lam[WCS_RUN];
    if (p->n == 0) {
        return;
    }
    double ra_ref = wrap(w->pointing.ra_ref);
    wcs_run_to_sky(w, p->n, p->across, p->along, p->lam, ra, dec, lam);
    for (size_t i = 0; i < p->n; i++) {
        double dra = ra[i] - ra_ref; /* both 0..360 */
        dra += dra > 180.0 ? -360.0 : dra < -180.0 ? 360.0 : 0.0;
        widen(&e->dra_min, &e->dra_max, dra);
        widen(&e->dec_min, &e->dec_max, dec[i]);
        widen(&e->lam_min, &e->lam_max, lam[i]);
    }
    p->n = 0;
}

/* Map columns first..first+n-1 of one row with one slice. */
static void map_piece(const struct map_job *job, int slice, int row, int first,
                      size_t n, struct pending *p, struct extremes *e)
{
    const struct wcs *w = job->w;
    const struct wcs_slice *s = &w->slice[slice];
    double x[WCS_RUN], y[WCS_RUN], across[WCS_RUN], along[WCS_RUN], lam[WCS_RUN];
    for (size_t i = 0; i < n; i++) {
        x[i] = first + (int)i;
        y[i] = row;
    }
    wcs_run_to_slicer(w, s, n, x, y, across, along, lam);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(lam[i])) {
            continue;
        }
        int column = first + (int)i;
        size_t pixel = (size_t)row * (size_t)w->nx + (size_t)column;
        e->n++;
        e->x_min = column < e->x_min ? column : e->x_min;
        e->x_max = column > e->x_max ? column : e->x_max;
        e->y_min = row < e->y_min ? row : e->y_min;
        e->y_max = row > e->y_max ? row : e->y_max;
        if (job->regions) {
            job->regions[pixel] = (uint8_t)(slice + 1);
        }
        if (job->wavelength) {
            job->wavelength[pixel] = lam[i] * 1e6;
        }
        p->across[p->n] = across[i];
        p->along[p->n] = along[i];
        p->lam[p->n++] = lam[i];
        if (p->n == WCS_RUN) {
            flush(w, p, e);
        }
    }
}

/* Does the trace come near this row in the block that holds this column? */
bool wcs_near_trace(const struct wcs *w, const struct wcs_search *f, int column,
                    int row)
{
    int b = (int)(column + w->corner_x) / BLOCK;
    double y = row + w->corner_y;
    return y >= f->y_low[b] && y <= f->y_high[b];
}

static void map_row(const struct map_job *job, int slice, int row, struct pending *p,
                    struct extremes *e)
{
    const struct wcs_search *f = &job->search[slice];
    int column = f->x_first;
    while (column <= f->x_last) {
        int n = 0;
        while (column + n <= f->x_last && n < WCS_RUN) {
            int full = column + n + (int)job->w->corner_x;
            if (!wcs_near_trace(job->w, f, column + n, row)) {
                break;
            }
            n += BLOCK - full % BLOCK; /* to the end of the block */
        }
        if (n == 0) {
            int full = column + (int)job->w->corner_x;
            column += BLOCK - full % BLOCK;
            continue;
        }
        n = n > WCS_RUN ? WCS_RUN : n;
        n = n > f->x_last - column + 1 ? f->x_last - column + 1 : n;
        map_piece(job, slice, row, column, (size_t)n, p, e);
        column += n;
    }
}

static int band_body(size_t i, int thread, void *arg, struct err *err)
{
    struct map_job *job = arg;
    const struct wcs *w = job->w;
    (void)thread;
    (void)err;
    int from = (int)i * BAND, to = from + BAND < w->ny ? from + BAND : w->ny;
    for (int row = from; row < to; row++) {
        size_t first = (size_t)row * (size_t)w->nx;
        if (job->regions) {
            memset(job->regions + first, 0, (size_t)w->nx);
        }
        for (size_t k = 0; job->wavelength && k < (size_t)w->nx; k++) {
            job->wavelength[first + k] = (double)NAN;
        }
    }
    for (int slice = 0; slice < WCS_SLICES; slice++) {
        const struct wcs_search *f = &job->search[slice];
        struct extremes *e = &job->found[i * WCS_SLICES + (size_t)slice];
        struct pending p = {.n = 0};
        *e = nothing;
        for (int row = from; row < to; row++) {
            if (row >= f->y_first && row <= f->y_last) {
                map_row(job, slice, row, &p, e);
            }
        }
        flush(w, &p, e);
    }
    return 0;
}

static void join(struct extremes *into, const struct extremes *e)
{
    into->n += e->n;
    into->x_min = e->x_min < into->x_min ? e->x_min : into->x_min;
    into->x_max = e->x_max > into->x_max ? e->x_max : into->x_max;
    into->y_min = e->y_min < into->y_min ? e->y_min : into->y_min;
    into->y_max = e->y_max > into->y_max ? e->y_max : into->y_max;
    widen(&into->lam_min, &into->lam_max, e->lam_min);
    widen(&into->lam_min, &into->lam_max, e->lam_max);
    widen(&into->dra_min, &into->dra_max, e->dra_min);
    widen(&into->dra_min, &into->dra_max, e->dra_max);
    widen(&into->dec_min, &into->dec_max, e->dec_min);
    widen(&into->dec_min, &into->dec_max, e->dec_max);
}

static int conclude(struct wcs *w, const char *name, const struct extremes *found,
                    size_t n_bands, struct err *err)
{
    struct extremes all = nothing;
    bool full = w->nx == WCS_FULL && w->ny == WCS_FULL;
    for (int slice = 0; slice < WCS_SLICES; slice++) {
        struct extremes e = nothing;
        for (size_t band = 0; band < n_bands; band++) {
            if (found[band * WCS_SLICES + (size_t)slice].n > 0) {
                join(&e, &found[band * WCS_SLICES + (size_t)slice]);
            }
        }
        if (e.n == 0 && full) {
            return err_set(err, ERR_INPUT,
                           "%s: slice %d has no pixel with a valid wavelength (range "
                           "%g to %g um); GWA_XTIL, GWA_YTIL or the references do not "
                           "fit the exposure",
                           name, slice + 1, w->lam_min * 1e6, w->lam_max * 1e6);
        }
        struct wcs_box *box = &w->slice[slice].box;
        *box = (struct wcs_box){1.0, 0.0, 1.0, 0.0};
        if (e.n > 0) {
            *box = (struct wcs_box){e.x_min - 0.5, e.x_max + 0.5, e.y_min - 0.5,
                                    e.y_max + 0.5};
            join(&all, &e);
        }
    }
    if (all.n == 0) {
        return err_set(err, ERR_INPUT,
                       "%s: no slice falls on the array of %d x %d pixels from "
                       "SUBSTRT1 %g, SUBSTRT2 %g",
                       name, w->nx, w->ny, w->corner_x + 1.0, w->corner_y + 1.0);
    }
    double ra_min = wrap(w->pointing.ra_ref + all.dra_min);
    double ra_max = wrap(w->pointing.ra_ref + all.dra_max);
    const double corner[8] = {ra_min, all.dec_min, ra_max, all.dec_min,
                              ra_max, all.dec_max, ra_min, all.dec_max};
    memcpy(w->footprint, corner, sizeof corner);
    w->spectral_min = all.lam_min;
    w->spectral_max = all.lam_max;
    return 0;
}

int wcs_find_slices(struct wcs *w, const char *name, struct par *par,
                    const atomic_bool *cancel, uint8_t *regions, double *wavelength,
                    struct err *err)
{
    size_t n_bands = ((size_t)w->ny + BAND - 1) / BAND;
    struct map_job *job = mem_calloc(1, sizeof *job, err);
    if (!job) {
        return ERR_NOMEM;
    }
    int code = ERR_NOMEM;
    job->w = w;
    job->regions = regions;
    job->wavelength = wavelength;
    job->found = mem_calloc(n_bands, WCS_SLICES * sizeof *job->found, err);
    if (job->found) {
        code = par_for(par, WCS_SLICES, search_body, job, cancel, err);
    }
    if (!code) {
        code = par_for(par, n_bands, band_body, job, cancel, err);
    }
    if (!code) {
        code = conclude(w, name, job->found, n_bands, err);
    }
    free(job->found);
    free(job);
    return code;
}
