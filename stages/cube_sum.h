#ifndef IFUD_STAGES_CUBE_SUM_H
#define IFUD_STAGES_CUBE_SUM_H

#include <stdbool.h>
#include "common/data/cube.h"
#include "common/data/exposure.h"
#include "stages/cube_fov.h"
#include "stages/cube_links.h"
#include "stages/cube_trace.h"

/*
 * Exposures added up to a cube. A weighting (cube_drizzle.h, cube_shepard.h) gives every
 * voxel v a weight w for every pixel; then
 *
 *     SCI = sum(w f) / sum(w),  ERR = sqrt(sum(w^2 e^2)) / sum(w),  WMAP = pixels with w > 0
 *
 * The cube is cut into tiles of neighbouring planes. A tile is worked on by one thread,
 * with the blocks of the trace in their order, summed in double precision and added to
 * the cube; so the result does not depend on the number of threads, and exposures are
 * added one after another without being held together.
 * Reference: Law et al. 2023, AJ 166, 45. Test: tests/stages/test_cube_drizzle.c
 */

struct cube_shepard;

/* A cube being built. The cube's planes hold sums until cube_finish: sci w f, err
 * w^2 e^2, wmap overlaps; weight holds w. Owned by the caller. */
struct cube_sums {
    struct cube *cube;
    int k0, k1;                         /* planes k0..k1-1 are summed */
    float *weight;                      /* (k1 - k0) * ny * nx */
    const struct cube_grid *grid;       /* borrowed */
    const struct cube_shepard *shepard; /* borrowed; NULL: drizzle */
    struct cube_links *links;           /* borrowed; NULL: weights are not recorded */
    bool flag;                          /* mark the field of view (CUBE_SEEN) */
};

/* Bytes of a voxel of the cube and its weights; shared: with var_background. */
double cube_sums_voxel_bytes(bool shared);

/*
 * Add one exposure to planes k0..k1-1. Pixels that are NaN, DO_NOT_USE or NON_SCIENCE do not count.
 * partners: how many other exposures had the very same background taken off. Where a sum
 * goes over a background pixel in all of them its errors add up, so the variance that ERR
 * leaves out is partners times its own: that much w^2 * var_background goes to
 * cube->var_background (which may be NULL).
 * Returned: *ret_used, pixels that may contribute. Thread: one call at a time per cube.
 */
int cube_add_exposure(struct cube_sums *sums, const struct exposure *e,
                      const struct cube_trace *trace, size_t partners, struct par *par,
                      const atomic_bool *cancel, size_t *ret_used, struct err *err);

/*
 * Turn the sums of these planes into values and set DQ: 0 where there is data; DO_NOT_USE for a hole in
 * the field of view, else DO_NOT_USE + NON_SCIENCE; both NaN in SCI and ERR.
 * Returned: *ret_filled, voxels with data.
 */
int cube_finish(struct cube_sums *sums, struct par *par, const atomic_bool *cancel,
                size_t *ret_filled, struct err *err);

/* ---- for weightings ---- */

struct cube_voxel { /* sums of one exposure */
    double flux, var, weight, overlaps;
};

#define CUBE_TILE_PLANES 64 /* the most of a tile */

/* One tile while it is being filled; index of a voxel (k - k0) * ny * nx + j * nx + i. */
struct cube_tile {
    const struct cube_grid *grid;
    int k0, k1; /* planes k0..k1-1 */
    struct cube_voxel *voxels;
    double *shared; /* w^2 var_background; NULL: not wanted */
    struct cube_extent (*extents)[WCS_SLICES]; /* NULL: not wanted */
    struct cube_links *links;                  /* NULL: not wanted */
    uint64_t linked; /* bit k - k0 is set: weights in plane k go into links */
};

struct cube_pixel {
    double flux, error, background; /* the last is a variance */
    size_t at;                      /* which one of the exposure */
};

/* Spaxels of any plane that a pixel has a share in: j * nx + i, and the share, > 0. */
#define CUBE_SPREAD 512
struct cube_spread {
    size_t n;
    uint32_t spaxel[CUBE_SPREAD];
    double share[CUBE_SPREAD];
};

/* The rest of cube_tile_add, for tiles that want it. */
void cube_tile_note(const struct cube_tile *t, int k, const struct cube_spread *s,
                    double w, const struct cube_pixel *p);

/* Pixel `p` has the weight w > 0 times its shares in plane k, one of the tile's. Inlined:
 * here cube_build spends its time. */
static inline __attribute__((always_inline)) void
cube_tile_add(const struct cube_tile *t, int k, const struct cube_spread *s, double w,
              const struct cube_pixel *p)
{
    /* the four sums of a voxel at once */
    typedef double quad __attribute__((vector_size(32), aligned(8), may_alias));
    const quad one = {1, 1, 1, 1}, terms = {p->flux, p->error, 1, 0};
    const size_t area = (size_t)t->grid->nx * (size_t)t->grid->ny;
    struct cube_voxel *plane = t->voxels + (size_t)(k - t->k0) * area;
    for (size_t i = 0; i < s->n; i++) {
        const quad a = (s->share[i] * w) * terms; /* w f, w e, w, 0 */
        const quad b = __builtin_shufflevector(a, one, 0, 1, 2, 7);
        const quad c = __builtin_shufflevector(a, one, 4, 1, 6, 7);
        *(quad *)&plane[s->spaxel[i]] += b * c; /* w f, (w e)^2, w, 1 */
    }
    if (t->shared || t->linked >> (k - t->k0) & 1) {
        cube_tile_note(t, k, s, w, p);
    }
}

#endif
