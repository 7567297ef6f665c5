#include "stages/cube_trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/wcs_map.h"

#define BAND_ROWS 16
#define SHORT 12 /* blocks below this are mapped pixel by pixel */
#define NODES 4  /* of a cubic */

struct trace_job {
    const struct wcs *wcs;
    const uint8_t *regions;
    const struct exposure_sampling *sampling; /* may be NULL */
    int nx, ny;
    bool exact;
    const struct cube_grid *grid;
    struct cube_trace *trace;
};

/* ---- growing arrays ---- */

static double *take_values(struct cube_band *band, size_t n, struct err *err)
{
    if (band->n_values + n > band->room_values) {
        size_t room = 2 * band->room_values + n + 4096;
        double *more = mem_realloc(band->values, room, sizeof *more, err);
        if (!more) {
            return NULL;
        }
        band->values = more;
        band->room_values = room;
    }
    double *p = band->values + band->n_values;
    band->n_values += n;
    return p;
}

static int add_block(struct cube_band *band, const struct cube_block *block,
                     struct err *err)
{
    if (band->n_blocks == band->room_blocks) {
        size_t room = 2 * band->room_blocks + 64;
        struct cube_block *more = mem_realloc(band->blocks, room, sizeof *more, err);
        if (!more) {
            return ERR_NOMEM;
        }
        band->blocks = more;
        band->room_blocks = room;
    }
    band->blocks[band->n_blocks++] = *block;
    band->lo = block->lo < band->lo ? block->lo : band->lo;
    band->hi = block->hi > band->hi ? block->hi : band->hi;
    return 0;
}

/* ---- mapping ---- */

/*
 * Rows of the detector at n points x along a piece of a row: `share` 0.5 below the lower
 * edge .. 0.5 above: 0 is the middle, -0.5 the lower edge, 0.5 the upper. Between columns
 * the edges are interpolated, beyond the piece they go on straight.
 */
static void rows_at(const struct trace_job *job, const struct wcs_piece *piece,
                    size_t n, const double *x, double share, double *ret)
{
    const struct exposure_sampling *s = job->sampling;
    if (!s) {
        for (size_t i = 0; i < n; i++) {
            ret[i] = piece->row + share;
        }
        return;
    }
    const size_t at = (size_t)piece->row * (size_t)job->nx;
    const double *low = s->y_low + at, *high = s->y_high + at;
    const int last = piece->first + piece->n - 1;
    for (size_t i = 0; i < n; i++) {
        double left = floor(x[i]);
        left = left > last - 1 ? last - 1 : left;
        left = left < piece->first ? piece->first : left;
        const int k = (int)left, next = k < last ? k + 1 : k;
        const double t = x[i] - left;
        const double y0 = low[k] + t * (low[next] - low[k]);
        const double y1 = high[k] + t * (high[next] - high[k]);
        ret[i] = (y0 + y1) / 2 + share * (y1 - y0);
    }
}

/* Width in wavelength and corners on the sky. */
static void map_footprints(const struct trace_job *job, const struct wcs_piece *piece,
                           size_t n, const double *x, double (*out)[WCS_PIECE])
{
    double a[WCS_PIECE], b[WCS_PIECE], lam[WCS_PIECE], y[WCS_PIECE], p[WCS_PIECE];
    const int slice = piece->slice;
    double ra[WCS_PIECE], dec[WCS_PIECE], um[WCS_PIECE];
    const struct wcs *w = job->wcs;
    double half = wcs_slice_width(w) / 2;

    for (int side = -1; side <= 1; side += 2) {
        for (size_t i = 0; i < n; i++) {
            p[i] = x[i] + side * 0.4999;
        }
        rows_at(job, piece, n, p, 0, y);
        wcs_detector_to_slicer(w, slice, n, p, y, a, b, lam);
        for (size_t i = 0; i < n; i++) {
            out[CUBE_DLAM][i] =
                side < 0 ? lam[i] : fabs(out[CUBE_DLAM][i] - lam[i]) * 1e6;
        }
    }
    for (int side = -1; side <= 1; side += 2) {
        rows_at(job, piece, n, x, side * 0.49, y);
        wcs_detector_to_slicer(w, slice, n, x, y, a, b, lam);
        for (int k = 0; k < 2; k++) {
            /* corners 0, 1 at -0.49: across - and +; 2, 3 at +0.49: + and - */
            double aside = (k == 0) == (side < 0) ? -half : half;
            int corner = (side < 0 ? 0 : 2) + k;
            for (size_t i = 0; i < n; i++) {
                p[i] = a[i] + aside;
            }
            wcs_slicer_to_sky(w, n, p, b, lam, ra, dec, um);
            cube_grid_project(job->grid, n, ra, dec, out[CUBE_U1 + corner],
                              out[CUBE_V1 + corner]);
        }
    }
}

/* The quantities at n points x of a piece of a row; out[q] is an array of n. Points are
 * mapped as wcs_map_covered maps pixels, but need not be pixels. Where only centres are
 * wanted the rest is 0. */
static void map_points(const struct trace_job *job, const struct wcs_piece *piece,
                       size_t n, const double *x, double (*out)[WCS_PIECE])
{
    double a[WCS_PIECE], b[WCS_PIECE], lam[WCS_PIECE], y[WCS_PIECE];
    double ra[WCS_PIECE], dec[WCS_PIECE];
    rows_at(job, piece, n, x, 0, y);
    wcs_detector_to_slicer(job->wcs, piece->slice, n, x, y, a, b, lam);
    wcs_slicer_to_sky(job->wcs, n, a, b, lam, ra, dec, out[CUBE_LAM]);
    cube_grid_project(job->grid, n, ra, dec, out[CUBE_U0], out[CUBE_V0]);
    if (!job->grid->points) {
        map_footprints(job, piece, n, x, out);
        return;
    }
    memset(out[CUBE_DLAM], 0, n * sizeof(double));
    for (int q = CUBE_U1; q < CUBE_QUANTITIES; q++) {
        memset(out[q], 0, n * sizeof(double));
    }
}

/* The wavelengths that pixels of these centres and intervals may touch: the planes they
 * overlap, and those within the grid's reach. NaN does not count. */
static void reach(const struct cube_grid *grid, const double *lam, const double *dlam,
                  size_t n, struct cube_block *block)
{
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double d = (dlam[i] > 0 ? dlam[i] : 0) + grid->reach;
        lo = lam[i] - d < lo ? lam[i] - d : lo;
        hi = lam[i] + d > hi ? lam[i] + d : hi;
    }
    block->lo = lo;
    block->hi = hi;
}

static bool beyond(const struct cube_grid *grid, const struct cube_block *block)
{
    int last = grid->nw - 1;
    return !(block->hi >= grid->z[0] - grid->dz[0] &&
             block->lo <= grid->z[last] + grid->dz[last]);
}

static int add_listed(const struct trace_job *job, struct cube_band *band,
                      const struct wcs_piece *piece, struct cube_block block,
                      struct err *err)
{
    double x[CUBE_BLOCK], out[CUBE_QUANTITIES][WCS_PIECE];
    size_t n = (size_t)block.n;
    for (size_t i = 0; i < n; i++) {
        x[i] = block.first + (double)i;
    }
    map_points(job, piece, n, x, out);
    reach(job->grid, out[CUBE_LAM], out[CUBE_DLAM], n, &block);
    if (beyond(job->grid, &block)) {
        return 0;
    }
    block.listed = true;
    block.at = band->n_values;
    double *v = take_values(band, n * CUBE_QUANTITIES, err);
    if (!v) {
        return ERR_NOMEM;
    }
    for (int q = 0; q < CUBE_QUANTITIES; q++) {
        memcpy(v + (size_t)q * n, out[q], n * sizeof *v);
    }
    return add_block(band, &block, err);
}

/* Coefficients of the cubic in t through f at t = 0, 1, 2, 3 (Newton's differences). */
static void cubic(const double f[NODES], double c[NODES])
{
    double d1 = f[1] - f[0], d2 = f[2] - 2 * f[1] + f[0];
    double d3 = f[3] - 3 * f[2] + 3 * f[1] - f[0];
    c[0] = f[0];
    c[1] = d1 - d2 / 2 + d3 / 3;
    c[2] = (d2 - d3) / 2;
    c[3] = d3 / 6;
}

/* A block from its four nodes, out[q][at..at+3]; *ret_done false: it has to be listed. */
static int add_cubics(const struct trace_job *job, struct cube_band *band,
                      struct cube_block block, double (*out)[WCS_PIECE], size_t at,
                      bool *ret_done, struct err *err)
{
    *ret_done = false;
    for (int q = 0; q < CUBE_QUANTITIES; q++) {
        for (size_t k = at; k < at + NODES; k++) {
            if (!isfinite(out[q][k])) {
                return 0;
            }
        }
    }
    *ret_done = true;
    reach(job->grid, out[CUBE_LAM] + at, out[CUBE_DLAM] + at, NODES, &block);
    if (beyond(job->grid, &block)) {
        return 0;
    }
    block.listed = false;
    block.at = band->n_values;
    double *v = take_values(band, NODES * CUBE_QUANTITIES, err);
    if (!v) {
        return ERR_NOMEM;
    }
    for (int q = 0; q < CUBE_QUANTITIES; q++) {
        cubic(&out[q][at], v + NODES * q);
    }
    return add_block(band, &block, err);
}

/* Rows of the detector by which a cubic may miss an edge of a sample. */
#define EDGE_TOLERANCE 1e-5

static bool follows(const double *edge, int n)
{
    double f[NODES], c[NODES];
    const double dt = (NODES - 1.0) / (n - 1);
    for (int k = 0; k < NODES; k++) {
        const double at = (n - 1) * k / (NODES - 1.0);
        const int i = (int)at < n - 1 ? (int)at : n - 2;
        f[k] = edge[i] + (at - i) * (edge[i + 1] - edge[i]);
    }
    cubic(f, c);
    for (int i = 0; i < n; i++) {
        const double t = i * dt;
        if (!(fabs(c[0] + t * (c[1] + t * (c[2] + t * c[3])) - edge[i]) <
              EDGE_TOLERANCE)) {
            return false;
        }
    }
    return true;
}

/* Do the edges of a block's samples run as smoothly as its cubics? */
static bool is_smooth(const struct trace_job *job, const struct cube_block *block)
{
    const struct exposure_sampling *s = job->sampling;
    const size_t at = (size_t)block->row * (size_t)job->nx + (size_t)block->first;
    return !s ||
           (follows(s->y_low + at, block->n) && follows(s->y_high + at, block->n));
}

/* All blocks of one piece of a row. */
static int add_piece(const struct trace_job *job, struct cube_band *band,
                     const struct wcs_piece *piece, struct err *err)
{
    enum { MOST = (WCS_PIECE + CUBE_BLOCK - 1) / CUBE_BLOCK };
    struct cube_block blocks[MOST];
    double x[WCS_PIECE], out[CUBE_QUANTITIES][WCS_PIECE];
    int count = (piece->n + CUBE_BLOCK - 1) / CUBE_BLOCK, code = 0;
    bool cubics = !job->exact && piece->n >= SHORT * count;
    for (int b = 0; b < count; b++) {
        int from = b * piece->n / count, to = (b + 1) * piece->n / count;
        blocks[b] = (struct cube_block){.row = piece->row,
                                        .first = piece->first + from,
                                        .n = to - from,
                                        .slice = piece->slice};
        for (int k = 0; k < NODES; k++) {
            x[NODES * b + k] = blocks[b].first + (to - from - 1) * k / (NODES - 1.0);
        }
    }
    if (cubics) {
        map_points(job, piece, (size_t)(NODES * count), x, out);
    }
    for (int b = 0; b < count && !code; b++) {
        bool done = false;
        if (cubics && is_smooth(job, &blocks[b])) {
            code =
                add_cubics(job, band, blocks[b], out, (size_t)(NODES * b), &done, err);
        }
        if (!code && !done) {
            code = add_listed(job, band, piece, blocks[b], err);
        }
    }
    return code;
}

static int trace_band(size_t i, int thread, void *arg, struct err *err)
{
    const struct trace_job *job = arg;
    struct cube_band *band = &job->trace->bands[i];
    int first = (int)i * BAND_ROWS, code = 0;
    int last = first + BAND_ROWS < job->ny ? first + BAND_ROWS : job->ny;
    (void)thread;
    band->lo = INFINITY;
    band->hi = -INFINITY;
    for (int row = first; row < last && !code; row++) {
        struct wcs_piece piece = {.row = row};
        const uint8_t *map = job->regions + (size_t)row * (size_t)job->nx;
        while (!code && wcs_next_piece(map, job->nx, &piece)) {
            code = add_piece(job, band, &piece, err);
        }
    }
    return code;
}

int cube_trace_make(const struct wcs *wcs, const uint8_t *regions,
                    const struct exposure_sampling *sampling, int nx, int ny,
                    bool exact, const struct cube_grid *grid, struct par *par,
                    const atomic_bool *cancel, struct cube_trace **ret, struct err *err)
{
    struct cube_trace *trace = mem_calloc(1, sizeof *trace, err);
    if (!trace) {
        return ERR_NOMEM;
    }
    size_t n_bands = ((size_t)ny + BAND_ROWS - 1) / BAND_ROWS;
    struct trace_job job = {.wcs = wcs,
                            .regions = regions,
                            .sampling = sampling,
                            .nx = nx,
                            .ny = ny,
                            .exact = exact,
                            .grid = grid,
                            .trace = trace};
    trace->bands = mem_calloc(n_bands, sizeof *trace->bands, err);
    trace->n_bands = trace->bands ? n_bands : 0;
    int code =
        trace->bands ? par_for(par, n_bands, trace_band, &job, cancel, err) : ERR_NOMEM;
    if (code) {
        cube_trace_free(trace);
        return code;
    }
    *ret = trace;
    return 0;
}

void cube_trace_free(struct cube_trace *trace)
{
    if (!trace) {
        return;
    }
    for (size_t i = 0; i < trace->n_bands; i++) {
        free(trace->bands[i].blocks);
        free(trace->bands[i].values);
    }
    free(trace->bands);
    free(trace);
}

void cube_block_values(const struct cube_band *band, const struct cube_block *block,
                       int q0, int q1, int from, int to, double (*ret)[CUBE_BLOCK])
{
    const double *v = band->values + block->at;
    if (block->listed) {
        for (int q = q0; q < q1; q++) {
            memcpy(&ret[q - q0][from], v + (size_t)q * (size_t)block->n + from,
                   (size_t)(to - from) * sizeof(double));
        }
        return;
    }
    double dt = (NODES - 1.0) / (block->n - 1);
    for (int q = q0; q < q1; q++) {
        const double *c = v + NODES * q;
        for (int i = from; i < to; i++) {
            double t = i * dt;
            ret[q - q0][i] = c[0] + t * (c[1] + t * (c[2] + t * c[3]));
        }
    }
}
