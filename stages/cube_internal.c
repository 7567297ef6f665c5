#include "stages/cube_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/polygon.h"

enum { RUN = 256 };

/* Columns of slices: from the middle outwards, slice 1 in column 15, 2 in 14, 3 in 16. */
static int column_of(int slice)
{
    const int i = slice - 1;
    return i % 2 ? 14 - (i - 1) / 2 : 15 + i / 2;
}

struct range {
    double low, high;
};

static void widen(struct range *r, double v)
{
    r->low = fmin(r->low, v);
    r->high = fmax(r->high, v);
}

/* ---- the grid ---------------------------------------------------------------------- */

static void look_at_slice(const struct wcs *w, int slice, struct range *along)
{
    const struct wcs_box box = wcs_bounding_box(w, slice);
    const double x1 = ceil(box.x_max - 0.5), y1 = ceil(box.y_max - 0.5);
    double x[RUN], y[RUN], a[RUN], b[RUN], lam[RUN];
    for (double row = floor(box.y_min + 0.5); row <= y1; row++) {
        for (double col = floor(box.x_min + 0.5); col <= x1; col += RUN) {
            size_t n = 0;
            for (; n < RUN && col + (double)n <= x1; n++) {
                x[n] = col + (double)n;
                y[n] = row;
            }
            wcs_detector_to_slicer(w, slice, n, x, y, a, b, lam);
            for (size_t i = 0; i < n; i++) {
                if (isfinite(a[i]) && isfinite(b[i])) {
                    widen(along, b[i]);
                }
            }
        }
    }
}

/* Solid angle of a cell: the area that its edges span on the sky at the slicer's centre. */
static double solid_angle(const struct wcs *w, const struct cube_internal *g, double um)
{
    const double half = M_PI / 180;
    const double across[3] = {0, g->step_across_m, 0};
    const double along[3] = {0, 0, g->step_along_m};
    const double lam[3] = {um * 1e-6, um * 1e-6, um * 1e-6};
    double ra[3], dec[3], unused[3];
    wcs_slicer_to_sky(w, 3, across, along, lam, ra, dec, unused);
    const double c = cos(dec[0] * half) * half * half;
    return fabs(remainder(ra[1] - ra[0], 360) * (dec[2] - dec[0]) -
                remainder(ra[2] - ra[0], 360) * (dec[1] - dec[0])) *
           c;
}

/* The peer reckons with the floats of cubepar and adds one step to another, so that its
 * planes drift away from where its header says, by up to half a step. */
static void rounded_planes(float low, float high, float step, struct cube_grid *g)
{
    const float middle = (low + high) / 2;
    float z = middle - (float)g->nw / 2 * step + step / 2;
    for (int k = 0; k < g->nw; k++) {
        g->z[k] = (double)z;
        z += step;
    }
}

static int set_planes(const struct cube_request *rq, const struct ref_cubepar_row *row,
                      struct cube_grid *g, struct err *err)
{
    const double step = rq->step > 0 ? rq->step : row->step_um;
    const double low = isnan(rq->wave_min) ? row->wave_min_um : rq->wave_min;
    const double high = isnan(rq->wave_max) ? row->wave_max_um : rq->wave_max;
    const double n = ceil((high - low) / step);
    if (!(n >= 2) || n * g->nx * g->ny > 1e9) {
        return err_set(err, ERR_PARAM,
                       "cube_build: %g to %g um in steps of %g um (wavemin, wavemax, "
                       "scalew) is %.0f planes; expected 2 or more",
                       low, high, step, n);
    }
    g->linear = true;
    g->step = g->dz_mean = g->dz_max = g->reach = step;
    g->nw = (int)n;
    g->z = mem_alloc((size_t)g->nw, sizeof *g->z, err);
    g->dz = mem_alloc((size_t)g->nw, sizeof *g->dz, err);
    if (!g->z || !g->dz) {
        return ERR_NOMEM;
    }
    const double first = (low + high) / 2 - n / 2 * step + step / 2;
    for (int k = 0; k < g->nw; k++) {
        g->z[k] = first + k * step;
        g->dz[k] = step;
    }
    if (!rq->exact && isnan(rq->wave_min) && isnan(rq->wave_max)) {
        rounded_planes((float)low, (float)high, (float)step, g);
    }
    return 0;
}

int cube_internal_grid(const struct wcs *w, const struct cube_request *rq,
                       const struct ref_cubepar_row *row, struct cube_grid *ret_grid,
                       struct cube_internal *ret, struct err *err)
{
    struct range along = {INFINITY, -INFINITY}, across = {INFINITY, -INFINITY};
    for (int slice = 1; slice <= WCS_SLICES; slice++) {
        look_at_slice(w, slice, &along);
        widen(&across, wcs_slice_across(w, slice));
    }
    if (!(along.high > along.low)) {
        return err_set(err, ERR_NODATA, "cube_build: no slice lies on the exposure");
    }
    struct cube_internal g = {0};
    g.step_across_m = (across.high - across.low) / WCS_SLICES;
    g.step_along_m = g.step_across_m / 2;
    g.across_m = (across.high + across.low) / 2 - WCS_SLICES / 2.0 * g.step_across_m;
    const double half = ceil(fmax(fabs(along.low), fabs(along.high)) / g.step_along_m);
    g.along_m = -half * g.step_along_m - g.step_along_m / 2;
    struct cube_grid grid = {.nx = WCS_SLICES, .ny = 2 * (int)half + 1, .cos_pa = 1};
    int code = set_planes(rq, row, &grid, err);
    if (code) {
        cube_grid_done(&grid);
        return code;
    }
    g.spaxel_sr = solid_angle(w, &g, grid.z[grid.nw / 2]);
    *ret_grid = grid;
    *ret = g;
    return 0;
}

/* ---- the sums ---------------------------------------------------------------------- */

struct job {
    struct cube_sums *sums;
    const struct cube_internal *g;
    const struct exposure *e;
    struct cube_voxel **voxels; /* of each thread: nw * ny */
    size_t used[WCS_SLICES];
};

/* A pixel's corners in cells of along (u) and wavelength (v). */
struct quad {
    double u[4], v[4];
    double
        last; /* plane of the longest wavelength if all steps were equal: the peer looks
                    no farther, whose planes may be a little off */
};

static double area_of(const struct quad *q)
{
    double sum = 0;
    for (int c = 0; c < 4; c++) {
        const int d = (c + 1) % 4;
        sum += (q->u[c] - q->u[0]) * (q->v[d] - q->v[0]) -
               (q->u[d] - q->u[0]) * (q->v[c] - q->v[0]);
    }
    return fabs(sum) / 2;
}

static void add_cell(struct cube_voxel *v, double w, double flux, double error)
{
    const double we = w * error;
    v->flux += w * flux;
    v->var += we * we;
    v->weight += w;
    v->overlaps += 1;
}

/* Cells i along, j in wavelength, of those that the quadrilateral's box holds. */
static void add_quad(const struct cube_grid *g, struct cube_voxel *voxels,
                     const struct quad *q, double flux, double error)
{
    const double area = area_of(q);
    struct range u = {INFINITY, -INFINITY}, v = u;
    struct polygon_cells cells;
    for (int c = 0; c < 4; c++) {
        widen(&u, q->u[c]);
        widen(&v, q->v[c]);
    }
    if (!(area > 0) || !(v.high > 0) || !(v.low < g->nw) || !(u.high > 0) ||
        !(u.low < g->ny)) {
        return;
    }
    const int fine = polygon_cell_areas(q->u, q->v, &cells);
    const int i0 = (int)fmax(floor(u.low), 0), i1 = (int)fmin(ceil(u.high), g->ny);
    const int j0 = (int)fmax(floor(v.low), 0),
              j1 = (int)fmin(fmin(ceil(v.high), q->last + 1), g->nw);
    for (int j = j0; j < j1; j++) {
        for (int i = i0; i < i1; i++) {
            const bool held =
                !fine && i < cells.i0 + cells.ni && j < cells.j0 + cells.nj;
            const double shared =
                held   ? cells.area[(j - cells.j0) * cells.ni + i - cells.i0]
                : fine ? polygon_overlap(q->u, q->v, i, i + 1, j, j + 1)
                       : 0;
            if (shared > 0) {
                add_cell(&voxels[(size_t)j * (size_t)g->ny + (size_t)i], shared / area,
                         flux, error);
            }
        }
    }
}

/* Plane k covers k .. k + 1; planes may drift a little from equal steps. */
static double plane_of(const struct cube_grid *g, double um)
{
    const double k = floor((um - g->z[0]) / g->step + 0.5);
    const int near = k < 0 ? 0 : k > g->nw - 1 ? g->nw - 1 : (int)k;
    return near + 0.5 + (um - g->z[near]) / g->step;
}

/* The pixels of a run of a row; corners are those of pixels and of their neighbours. */
static size_t add_run(const struct job *job, int slice, int row, int first, int n,
                      struct cube_voxel *voxels)
{
    const unsigned bad = DQ_DO_NOT_USE | DQ_NON_SCIENCE;
    const struct exposure *e = job->e;
    const struct cube_grid *g = job->sums->grid;
    double x[RUN + 1], y[RUN + 1], a[RUN + 1], b[2][RUN + 1], lam[2][RUN + 1];
    size_t used = 0;
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i <= n; i++) {
            x[i] = first + i;
            y[i] = row + side;
        }
        wcs_detector_to_slicer(e->wcs, slice, (size_t)n + 1, x, y, a, b[side],
                               lam[side]);
    }
    for (int i = 0; i < n; i++) {
        const size_t p = (size_t)row * (size_t)e->nx + (size_t)(first + i);
        const double along[4] = {b[0][i], b[0][i + 1], b[1][i + 1], b[1][i]};
        const double wave[4] = {lam[0][i], lam[0][i + 1], lam[1][i + 1], lam[1][i]};
        struct quad q = {.last = -1};
        if ((e->dq[p] & bad) || !isfinite(e->sci[p]) ||
            isnan(along[0] + along[1] + along[2] + along[3])) {
            continue;
        }
        for (int c = 0; c < 4; c++) {
            q.u[c] = (along[c] - job->g->along_m) / job->g->step_along_m;
            q.v[c] = plane_of(g, wave[c] * 1e6);
            q.last = fmax(q.last, round((wave[c] * 1e6 - g->z[0]) / g->step));
        }
        used++;
        add_quad(g, voxels, &q, (double)e->sci[p], (double)e->err[p]);
    }
    return used;
}

/* The slice's column is its own: no other thread writes it. */
static void put(const struct cube_sums *s, int column, const struct cube_voxel *voxels)
{
    const struct cube *c = s->cube;
    for (size_t cell = 0; cell < (size_t)c->ny * (size_t)c->nw; cell++) {
        const size_t at = cell * (size_t)c->nx + (size_t)column;
        c->sci[at] = (float)voxels[cell].flux;
        c->err[at] = (float)voxels[cell].var;
        c->wmap[at] = (float)voxels[cell].overlaps;
        s->weight[at] = (float)voxels[cell].weight;
    }
}

static int add_slice(size_t i, int thread, void *arg, struct err *err)
{
    struct job *job = arg;
    const int slice = (int)i + 1;
    const struct exposure *e = job->e;
    const struct cube_grid *g = job->sums->grid;
    struct cube_voxel *voxels = job->voxels[thread];
    const struct wcs_box box = wcs_bounding_box(e->wcs, slice);
    const int x0 = (int)fmax(floor(box.x_min + 0.5), 0);
    const int x1 = (int)fmin(ceil(box.x_max - 0.5), e->nx - 1);
    const int y0 = (int)fmax(floor(box.y_min + 0.5), 0);
    const int y1 = (int)fmin(ceil(box.y_max - 0.5), e->ny - 1);
    (void)err;
    memset(voxels, 0, (size_t)g->ny * (size_t)g->nw * sizeof *voxels);
    for (int row = y0; row <= y1; row++) {
        for (int x = x0; x <= x1; x += RUN) {
            const int n = x1 - x + 1 < RUN ? x1 - x + 1 : RUN;
            job->used[i] += add_run(job, slice, row, x, n, voxels);
        }
    }
    put(job->sums, column_of(slice), voxels);
    return 0;
}

int cube_internal_add(struct cube_sums *sums, const struct cube_internal *g,
                      const struct exposure *e, struct par *par,
                      const atomic_bool *cancel, size_t *ret_used, struct err *err)
{
    const size_t threads = par ? (size_t)par_threads(par) : 1;
    const size_t cells = (size_t)sums->grid->ny * (size_t)sums->grid->nw;
    struct job job = {.sums = sums, .g = g, .e = e};
    if (e->sampling) {
        return err_set(err, ERR_PARAM,
                       "%s: coord_system = internal_cal takes detector pixels, not the "
                       "samples of adaptive_trace_model; skip that",
                       e->meta.filename);
    }
    job.voxels = mem_calloc(threads, sizeof *job.voxels, err);
    int code = job.voxels ? 0 : ERR_NOMEM;
    for (size_t t = 0; t < threads && !code; t++) {
        job.voxels[t] = mem_alloc(cells, sizeof **job.voxels, err);
        code = job.voxels[t] ? 0 : ERR_NOMEM;
    }
    code = code ? code : par_for(par, WCS_SLICES, add_slice, &job, cancel, err);
    *ret_used = 0;
    for (int i = 0; i < WCS_SLICES; i++) {
        *ret_used += job.used[i];
    }
    for (size_t t = 0; t < threads && job.voxels; t++) {
        free(job.voxels[t]);
    }
    free(job.voxels);
    return code;
}
