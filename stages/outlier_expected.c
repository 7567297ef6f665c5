#include "stages/outlier_expected.h"

#include "common/base/mem.h"
#include "common/data/wcs_map.h"
#include "stages/outlier_cloud.h"
#include "stages/outlier_trace.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WITNESS 2.0f /* sigma: what departs less bears no witness */
enum { STEP = 8 };   /* columns */
#define DEGREE (M_PI / 180)

/* Points of one row, until all rows are done. */
struct row {
    struct outlier_point *points;
    size_t n, room;
};

struct gather {
    const struct exposure *e;
    uint16_t exposure;
    int half;
    double ra0, dec0; /* degrees */
    struct outlier_cover *cover;
    struct row *rows; /* ny */
};

static int add_point(struct row *r, const struct outlier_point *p, struct err *err)
{
    if (r->n == r->room) {
        const size_t room = r->room ? 2 * r->room : 64;
        struct outlier_point *grown = mem_realloc(r->points, room, sizeof *grown, err);
        if (!grown) {
            return ERR_NOMEM;
        }
        r->points = grown;
        r->room = room;
    }
    r->points[r->n++] = *p;
    return 0;
}

/* From one wavelength to another at a place. Several threads may see the same
 * cell. */
static void cover(struct outlier_cover *v, const struct outlier_point *p, float to_um)
{
    const int x = (int)floorf((p->east - v->east) / OUTLIER_COVER_ARCSEC);
    const int y = (int)floorf((p->north - v->north) / OUTLIER_COVER_ARCSEC);
    const int from = (int)floorf((fminf(p->um, to_um) - v->um) / v->um_cell);
    const int to = (int)floorf((fmaxf(p->um, to_um) - v->um) / v->um_cell);
    if (x < 0 || y < 0 || x >= v->n_east || y >= v->n_north) {
        return;
    }
    for (int z = from > 0 ? from : 0; z <= to && z < v->n_um; z++) {
        __atomic_store_n(
            &v->seen[((size_t)z * (size_t)v->n_north + (size_t)y) * (size_t)v->n_east +
                     (size_t)x],
            1, __ATOMIC_RELAXED);
    }
}

/* Pixels of a piece whose places are wanted. */
struct places {
    double x[WCS_PIECE], y[WCS_PIECE];
    double ra[WCS_PIECE], dec[WCS_PIECE], um[WCS_PIECE];
    size_t n;
};

static bool departs(const struct gather *g, size_t row, int x, const float *trace,
                    const float *sigma)
{
    return fabsf(g->e->sci[row + (size_t)x] - trace[x]) >= WITNESS * sigma[x];
}

/* Those that depart, and of the others as many as tell where the exposure has
 * pixels. */
static void place(const struct gather *g, const struct wcs_piece *piece, size_t row,
                  const float *trace, const float *sigma, struct places *at)
{
    at->n = 0;
    for (int i = 0; i < piece->n; i++) {
        const int x = piece->first + i;
        if (i % STEP == 0 || i == piece->n - 1 || departs(g, row, x, trace, sigma)) {
            at->x[at->n] = x;
            at->y[at->n++] = piece->row;
        }
    }
    wcs_detector_to_sky(g->e->wcs, piece->slice, at->n, at->x, at->y, at->ra, at->dec,
                        at->um);
}

static int add_piece(const struct gather *g, const struct wcs_piece *piece,
                     const float *trace, const float *sigma, struct places *at,
                     struct row *r, struct err *err)
{
    const size_t row = (size_t)piece->row * (size_t)g->e->nx;
    int code = 0;
    place(g, piece, row, trace, sigma, at);
    for (size_t k = 0; k < at->n && at->n > 1 && !code; k++) {
        const int x = (int)at->x[k];
        const size_t next = k + 1 < at->n ? k + 1 : k - 1;
        if (isnan(trace[x]) || isnan(at->um[k]) || isnan(at->um[next])) {
            continue;
        }
        const struct outlier_point p = {
            .pixel = (uint32_t)(row + (size_t)x),
            .exposure = g->exposure,
            .slice = (uint8_t)piece->slice,
            .excess = g->e->sci[row + (size_t)x] - trace[x],
            .trace = trace[x],
            .sigma = sigma[x],
            .east = (float)(3600 * remainder(at->ra[k] - g->ra0, 360) *
                            cos(g->dec0 * DEGREE)),
            .north = (float)(3600 * (at->dec[k] - g->dec0)),
            .um = (float)at->um[k],
            .um_column =
                (float)fabs((at->um[next] - at->um[k]) / (at->x[next] - at->x[k]))};
        cover(g->cover, &p, (float)at->um[next]);
        if (departs(g, row, x, trace, sigma) && p.um_column > 0) {
            code = add_point(r, &p, err);
        }
    }
    return code;
}

static int gather_row(size_t y, int thread, void *arg, struct err *err)
{
    const struct gather *g = arg;
    const struct exposure *e = g->e;
    const size_t nx = (size_t)e->nx;
    const uint8_t *slices = e->regions + y * nx;
    struct wcs_piece piece = {.row = (int)y};
    (void)thread;
    float *trace = mem_alloc(2 * nx, sizeof *trace, err), *sigma = trace + nx;
    struct places *at = mem_alloc(1, sizeof *at, err);
    int code = trace && at ? 0 : ERR_NOMEM;
    if (!code) {
        outlier_trace_row(e->sci + y * nx, e->err + y * nx, slices, nx, g->half, trace,
                          sigma);
    }
    while (!code && wcs_next_piece(slices, e->nx, &piece)) {
        code = add_piece(g, &piece, trace, sigma, at, &g->rows[y], err);
    }
    free(trace);
    free(at);
    return code;
}

/* Cells that hold the field of an exposure. */
static int cover_init(const struct gather *g, struct err *err)
{
    double corner[8], low, high, east[4], north[4];
    wcs_footprint(g->e->wcs, corner);
    wcs_spectral_region(g->e->wcs, &low, &high);
    for (int k = 0; k < 4; k++) {
        east[k] = 3600 * remainder(corner[2 * k] - g->ra0, 360) * cos(g->dec0 * DEGREE);
        north[k] = 3600 * (corner[2 * k + 1] - g->dec0);
    }
    g->cover->nx = g->e->nx;
    g->cover->ny = g->e->ny;
    int code = outlier_cover_init(g->cover, east, north, low, high, err);
    return code ? err_prefix(err, "%s", g->e->meta.filename) : 0;
}

/* The rows' points behind those of other exposures. */
static int append(struct outlier_cloud *c, const struct gather *g, struct err *err)
{
    struct outlier_point *to;
    size_t n = 0;
    for (int y = 0; y < g->e->ny; y++) {
        n += g->rows[y].n;
    }
    int code = outlier_cloud_room(c, n, &to, err);
    for (int y = 0; y < g->e->ny && !code; y++) {
        const struct row *r = &g->rows[y];
        for (size_t i = 0; i < r->n; i++) {
            c->um_column = fmaxf(c->um_column, r->points[i].um_column);
            *to++ = r->points[i];
        }
    }
    c->n += code ? 0 : n;
    c->from[g->exposure + 1] = c->n;
    return code;
}

static int gather_one(const struct stage_env *env, struct gather *g,
                      struct outlier_cloud *c, struct err *err)
{
    const size_t ny = (size_t)g->e->ny;
    if (!g->e->wcs || !g->e->regions) {
        return err_set(err, ERR_INPUT, "%s has no WCS", g->e->meta.filename);
    }
    g->rows = mem_calloc(ny, sizeof *g->rows, err);
    int code = g->rows ? cover_init(g, err) : ERR_NOMEM;
    code = code ? code : par_for(env->par, ny, gather_row, g, env->cancel, err);
    code = code ? code : append(c, g, err);
    for (size_t y = 0; g->rows && y < ny; y++) {
        free(g->rows[y].points);
    }
    free(g->rows);
    return code;
}

static int gather_all(const struct stage_env *env, const struct outlier_expected *p,
                      struct dataset *data, struct outlier_cloud *c,
                      struct outlier_hits *hits, struct err *err)
{
    const size_t n = dataset_n(data);
    struct gather g = {.half = p->half};
    for (size_t i = 0; i < n; i++) {
        struct exposure *e;
        int code = dataset_open(data, i, true, &e, err);
        if (code) {
            return code;
        }
        g.e = e;
        g.exposure = (uint16_t)i;
        g.cover = &c->covers[i];
        g.ra0 = i ? g.ra0 : e->meta.ra_ref;
        g.dec0 = i ? g.dec0 : e->meta.dec_ref;
        snprintf(hits->filename[i], sizeof hits->filename[i], "%s", e->meta.filename);
        hits->list_of[i] = i;
        code = gather_one(env, &g, c, err);
        dataset_close(data, i, e);
        if (code) {
            return code;
        }
        stage_progress(env, 0.9 * (double)(i + 1) / (double)n);
    }
    return 0;
}

static int list_hits(const struct stage_env *env, const struct outlier_cloud *c,
                     const uint8_t *reason, struct outlier_hits *hits, struct err *err)
{
    char text[256];
    for (size_t i = 0; i < c->n_exposures; i++) {
        for (size_t k = c->from[i]; k < c->from[i + 1]; k++) {
            int code = reason[k] == OUTLIER_KEPT
                           ? 0
                           : outlier_list_add(&hits->lists[i], c->points[k].pixel,
                                              reason[k], err);
            if (code) {
                return code;
            }
        }
        outlier_list_tell(&hits->lists[i], text, sizeof text);
        stage_note(env, "%s: %s", hits->filename[i], text);
    }
    return 0;
}

int outlier_expected_find(const struct stage_env *env, const struct outlier_expected *p,
                          struct dataset *data, struct outlier_hits **ret,
                          struct err *err)
{
    const size_t n = dataset_n(data);
    const struct outlier_rules rules = {p->snr, p->snr_adjacent, p->contrast};
    struct outlier_cloud c = {0};
    struct outlier_hits *h = NULL;
    uint8_t *reason = NULL;
    int code = outlier_hits_new(n, n, "EXPECTED", &h, err);
    code = code ? code : outlier_cloud_init(&c, n, err);
    code = code ? code : gather_all(env, p, data, &c, h, err);
    if (!code) {
        reason = mem_calloc(c.n, 1, err);
        code = reason
                   ? outlier_cloud_judge(&c, &rules, env->par, env->cancel, reason, err)
                   : ERR_NOMEM;
    }
    code = code ? code : list_hits(env, &c, reason, h, err);
    free(reason);
    outlier_cloud_done(&c);
    if (code) {
        outlier_hits_free(h);
        return code;
    }
    *ret = h;
    return 0;
}
