#include "stages/cube_shepard.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"

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

/* weight at distance^2 d2 */
static double inverse(const struct ref_cubepar_shepard *p, double d2)
{
    const double w = p->power == 2 ? d2 : pow(d2, p->power / 2);
    return 1 / (w < p->softrad ? p->softrad : w);
}

/* Distance^2 of n spaxels from u along one axis, and (decay > 0) the weight that falls
 * with it. */
static void falls(double u, int first, int n, double decay, double *d2, double *w)
{
    for (int i = 0; i < n; i++) {
        const double d = first + i + 0.5 - u;
        d2[i] = d * d;
        w[i] = decay > 0 ? exp(-d2[i] / decay) : 0;
    }
}

void cube_shepard_pixel(const struct cube_tile *t, const struct cube_shepard *s,
                        double lam, double u, double v, const struct cube_pixel *pixel)
{
    const struct cube_grid *g = t->grid;
    double dx2[2 * CUBE_SHEPARD_MOST + 1], wx[2 * CUBE_SHEPARD_MOST + 1];
    double dy2[2 * CUBE_SHEPARD_MOST + 1], wy[2 * CUBE_SHEPARD_MOST + 1];
    int nearest = s->n > 1 ? cube_grid_plane(g, lam) : 0;
    nearest = nearest < (int)s->n ? nearest : (int)s->n - 1;
    const struct ref_cubepar_shepard *p = &s->at[nearest];
    const double r = p->rois_arcsec / g->scale, decay = p->scalerad / g->scale;
    int i0, j0;
    const int ni = reach_of(u, r, g->nx, &i0), nj = reach_of(v, r, g->ny, &j0);
    int k = cube_grid_plane(g, lam - p->roiw_um - g->dz_max);
    k = k < t->k0 ? t->k0 : k;
    if (k >= t->k1 || g->z[k] - lam > p->roiw_um) {
        return;
    }
    falls(u, i0, ni, s->exponential ? decay : 0, dx2, wx);
    falls(v, j0, nj, s->exponential ? decay : 0, dy2, wy);
    for (; k < t->k1 && g->z[k] - lam <= p->roiw_um; k++) {
        if (lam - g->z[k] > p->roiw_um) {
            continue;
        }
        const double dz = (lam - g->z[k]) / g->dz[k], dz2 = dz * dz;
        const double wz = s->exponential ? exp(-dz2 / decay) : 0;
        for (int j = 0; j < nj; j++) {
            const double left = r * r - dy2[j], wyz = wy[j] * wz, dyz2 = dy2[j] + dz2;
            const size_t row =
                ((size_t)(k - t->k0) * (size_t)g->ny + (size_t)(j0 + j)) *
                    (size_t)g->nx +
                (size_t)i0;
            for (int i = 0; i < ni; i++) {
                if (dx2[i] <= left) {
                    const double w =
                        s->exponential ? wx[i] * wyz : inverse(p, dx2[i] + dyz2);
                    cube_tile_add(t, row + (size_t)i, w, pixel);
                }
            }
        }
    }
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
