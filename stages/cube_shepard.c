#include "stages/cube_shepard.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/math/decay.h"

#define FEW_FILES 4 /* cubepar's rois is for this many dithers */
#define GROWTH 1.5

/* The spaxels of an axis that may be within r of u: *first and how many. */
static int reach_of(double u, double r, int n, int *ret_first)
{
    double low = ceil(u - 0.5 - r), high = floor(u - 0.5 + r);
    low = low < 0 ? 0 : low;
    high = high > n - 1 ? n - 1 : high;
    *ret_first = (int)low;
    return high < low ? 0 : (int)(high - low) + 1;
}

/* Of one axis: the spaxels within reach, the squares of their distances and, of emsm,
 * the weights that fall with these. */
struct axis {
    int first, n;
    double square[2 * CUBE_SHEPARD_MOST + 4], weight[2 * CUBE_SHEPARD_MOST + 4];
};

/* rate: of the fall; 0: no weights. */
static void axis_set(double u, double r, int n, double rate, struct axis *ret)
{
    ret->n = reach_of(u, r, n, &ret->first);
    if (rate > 0) {
        decay_squares((size_t)ret->n, ret->first + 0.5 - u, rate, ret->square,
                      ret->weight);
        return;
    }
    for (int i = 0; i < ret->n; i++) {
        const double d = ret->first + 0.5 - u + i;
        ret->square[i] = d * d;
        ret->weight[i] = 0;
    }
}

/* The planes of a tile within reach, which follow each other; their distances^2, of emsm
 * times the rate. */
struct planes {
    int first, n;
    double square[CUBE_TILE_PLANES], weight[CUBE_TILE_PLANES];
};

static void planes_set(const struct cube_tile *t, double lam, double roiw, double rate,
                       struct planes *ret)
{
    const struct cube_grid *g = t->grid;
    int k = cube_grid_plane(g, lam - roiw - g->dz_max);
    k = k < t->k0 ? t->k0 : k;
    while (k < t->k1 && lam - g->z[k] > roiw) {
        k++;
    }
    ret->first = k;
    for (ret->n = 0; k < t->k1 && g->z[k] - lam <= roiw; k++) {
        const double dz = (lam - g->z[k]) / g->dz[k];
        ret->square[ret->n++] = rate > 0 ? rate * dz * dz : dz * dz;
    }
}

/* msm: the weights of spaxels with these distances^2 on the sky. */
static inline __attribute__((always_inline)) void
inverse(const struct ref_cubepar_shepard *p, const double *square, double dz2,
        struct cube_spread *s)
{
    typedef double quad __attribute__((vector_size(32), aligned(8), may_alias));
    typedef int64_t words __attribute__((vector_size(32)));
    const quad soft = {p->softrad, p->softrad, p->softrad, p->softrad};
    for (size_t i = 0; i < s->n && p->power == 2; i += 4) {
        const quad d2 = *(const quad *)(square + i) + dz2;
        const words near = d2 < soft;
        *(quad *)(s->share + i) =
            1 / (quad)(((words)soft & near) | ((words)d2 & ~near));
    }
    for (size_t i = 0; i < s->n && p->power != 2; i++) {
        const double w = pow(square[i] + dz2, p->power / 2);
        s->share[i] = 1 / (w < p->softrad ? p->softrad : w);
    }
}

/* Spaxels into all planes within reach; of msm their distances^2 are given. */
static inline __attribute__((always_inline)) void
add_spaxels(const struct cube_tile *t, const struct ref_cubepar_shepard *p,
            const struct planes *z, const double *square, struct cube_spread *s,
            const struct cube_pixel *pixel)
{
    for (int k = 0; k < z->n; k++) {
        if (square) {
            inverse(p, square, z->square[k], s);
        }
        cube_tile_add(t, z->first + k, s, square ? 1 : z->weight[k], pixel);
    }
    s->n = 0;
}

static inline __attribute__((always_inline)) void
add_pixel(const struct cube_tile *t, const struct cube_shepard *s, double lam, double u,
          double v, const struct cube_pixel *pixel)
{
    const struct cube_grid *g = t->grid;
    struct axis x, y;
    struct planes z;
    struct cube_spread spread;
    double square[CUBE_SPREAD], *wanted = s->exponential ? NULL : square;
    int nearest = s->n > 1 ? cube_grid_plane(g, lam) : 0;
    nearest = nearest < (int)s->n ? nearest : (int)s->n - 1;
    const struct ref_cubepar_shepard *p = &s->at[nearest];
    const double r = p->rois_arcsec / g->scale;
    const double rate = s->exponential ? g->scale / p->scalerad : 0;
    planes_set(t, lam, p->roiw_um, rate, &z);
    if (!z.n) {
        return;
    }
    spread.n = 0;
    axis_set(u, r, g->nx, rate, &x);
    axis_set(v, r, g->ny, rate, &y);
    if (rate > 0) {
        decay((size_t)z.n, z.square, z.weight);
    }
    for (int j = 0; j < y.n; j++) {
        const uint32_t row = (uint32_t)((y.first + j) * g->nx + x.first);
        const double left = r * r - y.square[j];
        if (spread.n + (size_t)x.n > CUBE_SPREAD) {
            add_spaxels(t, p, &z, wanted, &spread, pixel);
        }
        for (int i = 0; i < x.n; i++) { /* no branches: they could not be foretold */
            spread.spaxel[spread.n] = row + (uint32_t)i;
            spread.share[spread.n] = x.weight[i] * y.weight[j];
            square[spread.n] = x.square[i] + y.square[j];
            spread.n += x.square[i] <= left;
        }
    }
    add_spaxels(t, p, &z, wanted, &spread, pixel);
}

#if defined(__x86_64__)
/* The same arithmetic, so the same bits. */
__attribute__((target("avx2"))) static void
add_pixel_avx2(const struct cube_tile *t, const struct cube_shepard *s, double lam,
               double u, double v, const struct cube_pixel *pixel)
{
    add_pixel(t, s, lam, u, v, pixel);
}
#endif

void cube_shepard_pixel(const struct cube_tile *t, const struct cube_shepard *s,
                        double lam, double u, double v, const struct cube_pixel *pixel)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        add_pixel_avx2(t, s, lam, u, v, pixel);
        return;
    }
#endif
    add_pixel(t, s, lam, u, v, pixel);
}

/* ---- setting up -------------------------------------------------------------------- */

static int check(const struct cube_shepard *s, const struct ref_cubepar_shepard *p,
                 const struct cube_grid *g, const char *disperser, struct err *err)
{
    const bool shape =
        s->exponential ? p->scalerad > 0 : p->power > 0 && p->softrad > 0;
    if (!(p->rois_arcsec > 0) || !(p->roiw_um > 0) || !shape) {
        return err_set(err, ERR_REFERENCE,
                       "cubepar: %s for %s has ROISPATIAL %g, ROISPECTRAL %g, %s; "
                       "expected positive numbers",
                       s->exponential ? "EMSM" : "MSM", disperser, p->rois_arcsec,
                       p->roiw_um, s->exponential ? "SCALERAD" : "POWER and SOFTRAD");
    }
    if (p->rois_arcsec > CUBE_SHEPARD_MOST * g->scale) {
        return err_set(err, ERR_PARAM,
                       "cube_build: rois = %g arcsec is more than %d spaxels of %g "
                       "arcsec",
                       p->rois_arcsec, CUBE_SHEPARD_MOST, g->scale);
    }
    return 0;
}

static void apply(const struct cube_shepard_request *rq, bool linear,
                  struct ref_cubepar_shepard *p)
{
    const bool few = rq->files < FEW_FILES && !(linear && rq->exponential);
    p->rois_arcsec *= few ? GROWTH : 1;
    p->rois_arcsec = rq->rois_arcsec > 0 ? rq->rois_arcsec : p->rois_arcsec;
    p->roiw_um = rq->roiw_um > 0 ? rq->roiw_um : p->roiw_um;
    p->power = linear && rq->power > 0 ? rq->power : p->power;
}

/* Of each plane, from the table whose planes the grid took. */
static int from_table(const struct ref_cubepar_waves *waves, const struct cube_grid *g,
                      const char *disperser, struct cube_shepard *s, struct err *err)
{
    size_t first = 0;
    while (first < waves->n && waves->um[first] != g->z[0]) {
        first++;
    }
    if (!waves->shepard || first + (size_t)g->nw > waves->n) {
        return err_set(err, ERR_REFERENCE,
                       "cubepar has no table of %s regions for the wavelengths of %s",
                       s->exponential ? "EMSM" : "MSM", disperser);
    }
    s->n = (size_t)g->nw;
    s->at = mem_alloc(s->n, sizeof *s->at, err);
    for (size_t k = 0; s->at && k < s->n; k++) {
        s->at[k] = waves->shepard[first + k];
    }
    return s->at ? 0 : ERR_NOMEM;
}

static int from_row(const struct ref_cubepar_shepard *row, const char *disperser,
                    const char *filter, struct cube_shepard *s, struct err *err)
{
    if (!row) {
        return err_set(err, ERR_REFERENCE, "cubepar has no row of %s regions for %s/%s",
                       s->exponential ? "EMSM" : "MSM", disperser, filter);
    }
    s->n = 1;
    s->at = mem_alloc(1, sizeof *s->at, err);
    if (!s->at) {
        return ERR_NOMEM;
    }
    s->at[0] = *row;
    return 0;
}

int cube_shepard_set(const struct cube_shepard_request *rq,
                     const struct ref_cubepar *par, const char *disperser,
                     const char *filter, struct cube_grid *grid,
                     struct cube_shepard *ret, struct err *err)
{
    const enum ref_cubepar_weighting w = rq->exponential ? CUBEPAR_EMSM : CUBEPAR_MSM;
    struct cube_shepard s = {.exponential = rq->exponential};
    double sum = 0;
    int code = grid->linear
                   ? from_row(ref_cubepar_find_shepard(par, w, disperser, filter),
                              disperser, filter, &s, err)
                   : from_table(ref_cubepar_waves_of(par, w, disperser), grid,
                                disperser, &s, err);
    for (size_t k = 0; k < s.n && !code; k++) {
        apply(rq, grid->linear, &s.at[k]);
        code = check(&s, &s.at[k], grid, disperser, err);
        sum += s.at[k].roiw_um;
        grid->reach = fmax(grid->reach, s.at[k].roiw_um);
    }
    if (code) {
        cube_shepard_done(&s);
        return code;
    }
    s.fov_um = sum / (double)s.n;
    grid->points = true;
    *ret = s;
    return 0;
}

void cube_shepard_done(struct cube_shepard *s)
{
    free(s->at);
    s->at = NULL;
}
