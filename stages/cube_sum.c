#include "stages/cube_sum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/cube_drizzle.h"
#include "stages/cube_shepard.h"

#define TILE_BYTES ((size_t)4 << 20)

struct scratch { /* of one thread */
    struct cube_voxel *voxels;
    double *shared;                            /* NULL: not wanted */
    struct cube_extent (*extents)[WCS_SLICES]; /* per plane of the tile */
};

struct add_job {
    struct cube_sums *sums;
    const struct exposure *e;
    const struct cube_trace *trace;
    size_t partners;
    int planes; /* of a tile */
    struct scratch *scratch;
    size_t *used; /* per tile */
};

void cube_tile_note(const struct cube_tile *t, int k, const struct cube_spread *s,
                    double w, const struct cube_pixel *p)
{
    const size_t area = (size_t)t->grid->nx * (size_t)t->grid->ny;
    const bool linked = t->linked >> (k - t->k0) & 1;
    for (size_t i = 0; i < s->n; i++) {
        const double weight = s->share[i] * w;
        if (t->shared) {
            t->shared[(size_t)(k - t->k0) * area + s->spaxel[i]] +=
                weight * weight * p->background;
        }
        if (linked) {
            cube_links_add(t->links, k, s->spaxel[i], weight, p->at,
                           p->error * p->error);
        }
    }
}

/* The pixels of one block into the tile. Returns those whose centre falls into it. */
static size_t add_block(const struct cube_tile *t, const struct cube_shepard *shepard,
                        const struct exposure *e, const struct cube_band *band,
                        const struct cube_block *block)
{
    const struct cube_grid *g = t->grid;
    const unsigned bad = DQ_DO_NOT_USE | DQ_NON_SCIENCE;
    double wave[2][CUBE_BLOCK], q[CUBE_QUANTITIES - CUBE_U0][CUBE_BLOCK];
    size_t at = (size_t)block->row * (size_t)e->nx + (size_t)block->first, used = 0;
    double low = g->z[t->k0] - g->dz[t->k0], high = g->z[t->k1 - 1] + g->dz[t->k1 - 1];
    int from = block->n, to = 0;
    cube_block_values(band, block, CUBE_LAM, CUBE_U0, 0, block->n, wave);
    for (int i = 0; i < block->n; i++) {
        double d = wave[1][i] > 0 ? wave[1][i] / 2 : 0; /* NaN: the centre counts */
        d = d > g->reach ? d : g->reach;
        if (wave[0][i] + d > low && wave[0][i] - d < high) {
            from = from < i ? from : i;
            to = i + 1;
        }
    }
    if (from >= to) {
        return 0;
    }
    const double near = shepard ? shepard->fov_um : g->dz_mean;
    cube_block_values(band, block, CUBE_U0, shepard ? CUBE_U1 : CUBE_QUANTITIES, from,
                      to, q);
    for (int i = from; i < to; i++) {
        size_t p = at + (size_t)i;
        if ((e->dq[p] & bad) || !isfinite(e->sci[p]) ||
            isnan(shepard ? wave[0][i] + q[0][i] + q[1][i]
                          : q[CUBE_U1 - CUBE_U0][i] + q[CUBE_U4 - CUBE_U0][i])) {
            continue;
        }
        int k = cube_grid_plane(g, wave[0][i]);
        used += k >= t->k0 && k < t->k1;
        if (t->extents) {
            cube_fov_add(g, t->k0, t->k1, t->extents, near, block->slice, wave[0][i],
                         q[0][i], q[1][i]);
        }
        const struct cube_pixel pixel = {
            (double)e->sci[p], (double)e->err[p],
            e->var_background ? (double)e->var_background[p] : 0, p};
        if (shepard) {
            cube_shepard_pixel(t, shepard, wave[0][i], q[0][i], q[1][i], &pixel);
        } else {
            cube_drizzle_pixel(t, wave[0][i], wave[1][i], q, i, &pixel);
        }
    }
    return used;
}

/* Add a finished tile to the cube; it is the only writer of these planes. */
static void merge(const struct cube_sums *sums, const struct cube_tile *t,
                  double partners)
{
    size_t area = (size_t)t->grid->nx * (size_t)t->grid->ny;
    size_t n = (size_t)(t->k1 - t->k0) * area, at = (size_t)t->k0 * area;
    struct cube *c = sums->cube;
    float *weight = sums->weight + (size_t)(t->k0 - sums->k0) * area;
    for (size_t i = 0; i < n; i++) {
        const struct cube_voxel *v = &t->voxels[i];
        if (v->overlaps > 0) {
            c->sci[at + i] = (float)((double)c->sci[at + i] + v->flux);
            c->err[at + i] = (float)((double)c->err[at + i] + v->var);
            c->wmap[at + i] += (float)v->overlaps;
            weight[i] = (float)((double)weight[i] + v->weight);
        }
        if (t->shared) {
            c->var_background[at + i] += (float)(partners * t->shared[i]);
        }
    }
}

static int add_tile(size_t i, int thread, void *arg, struct err *err)
{
    const struct add_job *job = arg;
    const struct cube_grid *g = job->sums->grid;
    const struct scratch *s = &job->scratch[thread];
    struct cube_tile t = {.grid = g,
                          .k0 = job->sums->k0 + (int)i * job->planes,
                          .voxels = s->voxels,
                          .shared = s->shared,
                          .extents = job->sums->flag ? s->extents : NULL};
    t.k1 = t.k0 + job->planes < job->sums->k1 ? t.k0 + job->planes : job->sums->k1;
    t.links = job->sums->links;
    for (int k = t.k0; t.links && k < t.k1; k++) {
        t.linked |= (uint64_t)cube_links_within(t.links, k, k + 1) << (k - t.k0);
    }
    (void)err;
    size_t area = (size_t)g->nx * (size_t)g->ny;
    memset(t.voxels, 0, (size_t)(t.k1 - t.k0) * area * sizeof *t.voxels);
    if (t.shared) {
        memset(t.shared, 0, (size_t)(t.k1 - t.k0) * area * sizeof *t.shared);
    }
    for (int k = 0; t.extents && k < t.k1 - t.k0; k++) {
        cube_fov_clear(t.extents[k]);
    }
    double low = g->z[t.k0] - g->dz[t.k0], high = g->z[t.k1 - 1] + g->dz[t.k1 - 1];
    size_t used = 0;
    for (size_t b = 0; b < job->trace->n_bands; b++) {
        const struct cube_band *band = &job->trace->bands[b];
        if (!(band->hi > low && band->lo < high)) {
            continue;
        }
        for (size_t n = 0; n < band->n_blocks; n++) {
            const struct cube_block *block = &band->blocks[n];
            if (block->hi > low && block->lo < high) {
                used += add_block(&t, job->sums->shepard, job->e, band, block);
            }
        }
    }
    merge(job->sums, &t, (double)job->partners);
    for (int k = t.k0; t.extents && k < t.k1; k++) {
        cube_fov_draw(g, t.extents[k - t.k0], job->sums->cube->dq + (size_t)k * area);
    }
    job->used[i] = used;
    return 0;
}

int cube_add_exposure(struct cube_sums *sums, const struct exposure *e,
                      const struct cube_trace *trace, size_t partners, struct par *par,
                      const atomic_bool *cancel, size_t *ret_used, struct err *err)
{
    const struct cube_grid *g = sums->grid;
    size_t area = (size_t)g->nx * (size_t)g->ny;
    size_t fit = TILE_BYTES / (area * sizeof(struct cube_voxel));
    struct add_job job = {.sums = sums, .e = e, .trace = trace, .partners = partners};
    const bool shares = partners && e->var_background && sums->cube->var_background;
    job.planes = fit < 1 ? 1 : fit > CUBE_TILE_PLANES ? CUBE_TILE_PLANES : (int)fit;
    const size_t planes = (size_t)(sums->k1 - sums->k0);
    size_t tiles = (planes + (size_t)job.planes - 1) / (size_t)job.planes;
    size_t threads = par ? (size_t)par_threads(par) : 1;
    int code = 0;
    job.scratch = mem_calloc(threads, sizeof *job.scratch, err);
    job.used = mem_calloc(tiles, sizeof *job.used, err);
    if (!job.scratch || !job.used) {
        code = ERR_NOMEM;
    }
    for (size_t i = 0; i < threads && !code; i++) {
        struct scratch *s = &job.scratch[i];
        s->voxels = mem_alloc((size_t)job.planes * area, sizeof *s->voxels, err);
        s->extents = mem_alloc((size_t)job.planes, sizeof *s->extents, err);
        code = s->voxels && s->extents ? 0 : ERR_NOMEM;
        if (!code && shares) {
            s->shared = mem_alloc((size_t)job.planes * area, sizeof *s->shared, err);
            code = s->shared ? 0 : ERR_NOMEM;
        }
    }
    if (sums->links) {
        cube_links_next_exposure(sums->links);
    }
    if (!code) {
        code = par_for(par, tiles, add_tile, &job, cancel, err);
    }
    *ret_used = 0;
    for (size_t i = 0; i < tiles && !code; i++) {
        *ret_used += job.used[i];
    }
    for (size_t i = 0; i < threads && job.scratch; i++) {
        free(job.scratch[i].voxels);
        free(job.scratch[i].shared);
        free(job.scratch[i].extents);
    }
    free(job.scratch);
    free(job.used);
    return code;
}

double cube_sums_voxel_bytes(bool shared)
{
    const struct cube *c = NULL;
    return (double)(sizeof *c->sci + sizeof *c->err + sizeof *c->dq + sizeof *c->wmap +
                    sizeof *((const struct cube_sums *)NULL)->weight +
                    (shared ? sizeof *c->var_background : 0));
}

/* ---- the end ---- */

struct finish_job {
    struct cube_sums *sums;
    size_t *filled; /* per plane */
};

static int finish_plane(size_t piece, int thread, void *arg, struct err *err)
{
    const struct finish_job *job = arg;
    struct cube *c = job->sums->cube;
    const size_t k = (size_t)job->sums->k0 + piece;
    size_t area = (size_t)c->nx * (size_t)c->ny, filled = 0;
    float *sci = c->sci + k * area, *error = c->err + k * area;
    const float *weight = job->sums->weight + piece * area;
    uint32_t *dq = c->dq + k * area;
    (void)thread;
    (void)err;
    cube_fov_finish(c->nx, c->ny, weight, dq);
    for (size_t i = 0; i < area; i++) {
        if (dq[i]) {
            sci[i] = error[i] = NAN;
        } else {
            double w = (double)weight[i];
            sci[i] = (float)((double)sci[i] / w);
            error[i] = (float)(sqrt((double)error[i]) / w);
            filled++;
        }
        if (c->var_background) {
            float *v = &c->var_background[k * area + i];
            const double w = (double)weight[i];
            *v = dq[i] ? NAN : (float)((double)*v / (w * w));
        }
    }
    job->filled[piece] = filled;
    return 0;
}

int cube_finish(struct cube_sums *sums, struct par *par, const atomic_bool *cancel,
                size_t *ret_filled, struct err *err)
{
    size_t n = (size_t)(sums->k1 - sums->k0);
    struct finish_job job = {.sums = sums};
    job.filled = mem_calloc(n, sizeof *job.filled, err);
    if (!job.filled) {
        return ERR_NOMEM;
    }
    int code = par_for(par, n, finish_plane, &job, cancel, err);
    *ret_filled = 0;
    for (size_t k = 0; k < n; k++) {
        *ret_filled += job.filled[k];
    }
    free(job.filled);
    return code;
}
