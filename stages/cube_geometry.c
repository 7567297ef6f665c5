#include "stages/cube_geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

#define DEGREE (M_PI / 180)
#define RADIAN_ARCSEC (180 * 3600 / M_PI)
#define MAX_VOXELS 1e9 /* a cube beyond this is a slip in scalexy or scalew */

static double real_or(const struct params *p, const char *name, double none)
{
    return params_is_none(p, name) ? none : params_real(p, name);
}

/* The number of spaxels along an axis; the peer makes even ones odd. */
static int odd(const struct params *p, const char *name)
{
    return params_is_none(p, name) ? 0 : (int)params_int(p, name) | 1;
}

void cube_request_read(const struct params *params, struct cube_request *ret)
{
    ret->scale = params_real(params, "scalexy");
    ret->step = params_real(params, "scalew");
    ret->wave_min = real_or(params, "wavemin", NAN);
    ret->wave_max = real_or(params, "wavemax", NAN);
    ret->ra_center = real_or(params, "ra_center", NAN);
    ret->dec_center = real_or(params, "dec_center", NAN);
    ret->pa = real_or(params, "cube_pa", NAN);
    ret->nspax_x = odd(params, "nspax_x");
    ret->nspax_y = odd(params, "nspax_y");
    ret->exact = params_bool(params, "exact_planes");
    ret->linear = params_bool(params, "linear_wave") &&
                  strcmp(params_string(params, "output_type"), "multi") != 0;
}

void cube_grid_done(struct cube_grid *grid)
{
    free(grid->z);
    free(grid->dz);
    grid->z = grid->dz = NULL;
}

void cube_grid_project(const struct cube_grid *g, size_t n, const double *ra,
                       const double *dec, double *u, double *v)
{
    double s0 = g->sin_dec0, c0 = g->cos_dec0, unit = RADIAN_ARCSEC / g->scale;
    double ra0 = g->ra0 * DEGREE, u0 = g->x0 / g->scale, v0 = g->y0 / g->scale;
    for (size_t i = 0; i < n; i++) {
        double d = ra[i] * DEGREE - ra0, b = dec[i] * DEGREE;
        double sb = sin(b), cb = cos(b), sd = sin(d), cd = cos(d);
        double toward = cb * cd, aside = cb * sd; /* of the tangent point's meridian */
        if (g->moved) {
            const double x = g->shift[0] * cb - g->shift[2] * sb, y = g->shift[1];
            sb = g->shift[0] * sb + g->shift[2] * cb;
            toward = x * cd - y * sd;
            aside = x * sd + y * cd;
        }
        double h = sb * s0 + toward * c0;
        double xi = -aside / h, eta = (sb * c0 - toward * s0) / h;
        u[i] = (xi * g->cos_pa + eta * g->sin_pa) * unit - u0;
        v[i] = (eta * g->cos_pa - xi * g->sin_pa) * unit - v0;
    }
}

void cube_grid_offset(struct cube_grid *g, const double offset[2])
{
    const double da = offset[0] / 3600 * DEGREE, dd = offset[1] / 3600 * DEGREE;
    g->moved = true;
    g->shift[0] = cos(dd) * cos(da);
    g->shift[1] = cos(dd) * sin(da);
    g->shift[2] = sin(dd);
}

int cube_grid_plane(const struct cube_grid *g, double lam_um)
{
    if (isnan(lam_um)) {
        return g->nw;
    }
    if (g->linear) {
        const double near = (lam_um - g->z[0]) / g->step + 0.5;
        int k = near < 0 ? 0 : near > g->nw ? g->nw : (int)near;
        while (k > 0 && g->z[k - 1] + g->dz[k - 1] / 2 > lam_um) {
            k--;
        }
        while (k < g->nw && !(g->z[k] + g->dz[k] / 2 > lam_um)) {
            k++;
        }
        return k;
    }
    int lo = 0, hi = g->nw; /* the answer is in lo..hi */
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (g->z[mid] + g->dz[mid] / 2 > lam_um) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

/* Equally spaced planes from wave_min on. As numpy.arange counts: the step is the
 * difference of the first two centres. */
static int linear_planes(struct cube_grid *g, double wave_min, double wave_max,
                         double step, struct err *err)
{
    double n = ceil((wave_max - wave_min) / step);
    if (!(n >= 2) || n * g->nx * g->ny > MAX_VOXELS) {
        return err_set(err, ERR_PARAM,
                       "cube_build: %g to %g um in steps of %g um (wavemin, wavemax, "
                       "scalew) on %d x %d spaxels gives %.0f planes; from 2 planes to "
                       "%.0e voxels are possible",
                       wave_min, wave_max, step, g->nx, g->ny, n, MAX_VOXELS);
    }
    g->nw = (int)n;
    g->z = mem_alloc((size_t)g->nw, sizeof *g->z, err);
    g->dz = mem_alloc((size_t)g->nw, sizeof *g->dz, err);
    if (!g->z || !g->dz) {
        return ERR_NOMEM;
    }
    double first = wave_min + step / 2, delta = first + step - first;
    for (int k = 0; k < g->nw; k++) {
        g->z[k] = first + k * delta;
    }
    g->step = step;
    return 0;
}

/* The planes of cubepar's table from the one at or below wave_min to that at or above
 * wave_max. */
static int table_planes(struct cube_grid *g, const struct ref_cubepar_waves *waves,
                        double wave_min, double wave_max, const char *disperser,
                        struct err *err)
{
    size_t lo = 0, hi = 0, n = waves->n;
    for (size_t i = 1; i < n; i++) {
        lo = fabs(waves->um[i] - wave_min) < fabs(waves->um[lo] - wave_min) ? i : lo;
        hi = fabs(waves->um[i] - wave_max) < fabs(waves->um[hi] - wave_max) ? i : hi;
    }
    if (n < 2) {
        return err_set(err, ERR_REFERENCE,
                       "cube_build: linear_wave = false, but cubepar has no table of "
                       "wavelengths for %s",
                       disperser);
    }
    lo -= lo > 1 && waves->um[lo] > wave_min;
    hi += hi + 1 < n && wave_max > waves->um[hi];
    if (hi <= lo || (double)(hi - lo + 1) * g->nx * g->ny > MAX_VOXELS) {
        return err_set(
            err, ERR_PARAM,
            "cube_build: %g to %g um (wavemin, wavemax) is not two planes of "
            "cubepar's table for %s, %g to %g um",
            wave_min, wave_max, disperser, waves->um[0], waves->um[n - 1]);
    }
    g->nw = (int)(hi - lo + 1);
    g->z = mem_alloc((size_t)g->nw, sizeof *g->z, err);
    g->dz = mem_alloc((size_t)g->nw, sizeof *g->dz, err);
    if (!g->z || !g->dz) {
        return ERR_NOMEM;
    }
    for (int k = 0; k < g->nw; k++) {
        g->z[k] = waves->um[lo + (size_t)k];
    }
    g->step = 0;
    return 0;
}

static void plane_widths(struct cube_grid *g)
{
    double sum = 0, most = 0;
    for (int k = 0; k < g->nw; k++) {
        g->dz[k] = k + 1 < g->nw ? g->z[k + 1] - g->z[k] : g->dz[k - 1];
        sum += g->dz[k];
        most = g->dz[k] > most ? g->dz[k] : most;
    }
    g->dz_mean = sum / g->nw;
    g->dz_max = most;
    g->reach = g->dz_mean;
}

/* Tangent point: the middle of the box in RA and Dec, unless it is asked for. */
static int set_centre(struct cube_grid *g, const struct cube_request *rq, size_t n,
                      const double *ra, const double *dec, struct err *err)
{
    double low_ra = INFINITY, high_ra = -INFINITY, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(ra[i]) || !isfinite(dec[i])) {
            return err_set(err, ERR_NODATA,
                           "cube_build: an exposure has no footprint on the sky");
        }
        double a = ra[0] + remainder(ra[i] - ra[0], 360);
        low_ra = fmin(low_ra, a);
        high_ra = fmax(high_ra, a);
        low = fmin(low, dec[i]);
        high = fmax(high, dec[i]);
    }
    if (n == 0) {
        return err_set(err, ERR_NODATA, "cube_build: there is no exposure");
    }
    double middle = fmod((low_ra + high_ra) / 2, 360);
    g->ra0 =
        isnan(rq->ra_center) ? (middle < 0 ? middle + 360 : middle) : rq->ra_center;
    g->dec0 = isnan(rq->dec_center) ? (low + high) / 2 : rq->dec_center;
    g->pa = isnan(rq->pa) ? 0 : rq->pa;
    g->sin_dec0 = sin(g->dec0 * DEGREE);
    g->cos_dec0 = cos(g->dec0 * DEGREE);
    g->sin_pa = sin(g->pa * DEGREE);
    g->cos_pa = cos(g->pa * DEGREE);
    return 0;
}

int cube_grid_set(const struct cube_request *rq, const struct ref_cubepar_row *row,
                  const struct ref_cubepar_waves *waves, const char *disperser,
                  size_t n, const double *ra, const double *dec, struct cube_grid *ret,
                  struct err *err)
{
    struct cube_grid g = {.linear = rq->linear};
    int code = set_centre(&g, rq, n, ra, dec, err);
    if (code) {
        return code;
    }
    g.scale = rq->scale != 0 ? rq->scale : row->spaxel_arcsec;
    double step = rq->step != 0 ? rq->step : row->step_um;
    double wave_min = isnan(rq->wave_min) ? row->wave_min_um : rq->wave_min;
    double wave_max = isnan(rq->wave_max) ? row->wave_max_um : rq->wave_max;
    if (!(g.scale > 0) || (rq->linear && !(step > 0)) || !isfinite(wave_min) ||
        !isfinite(wave_max)) {
        return err_set(
            err, ERR_REFERENCE,
            "cubepar: spaxel %g arcsec, step %g um, range %g to %g um for %s; "
            "expected positive numbers",
            g.scale, step, wave_min, wave_max, disperser);
    }

    /* How far the corners lie from the tangent point; symmetric, and one to spare. */
    double far_x = 0, far_y = 0;
    for (size_t i = 0; i < n; i++) {
        double u, v;
        cube_grid_project(&g, 1, &ra[i], &dec[i], &u, &v);
        far_x = fmax(far_x, fabs(u));
        far_y = fmax(far_y, fabs(v));
    }
    double half_x = rq->nspax_x ? rq->nspax_x / 2 : ceil(far_x) + 1; /* NOLINT */
    double half_y = rq->nspax_y ? rq->nspax_y / 2 : ceil(far_y) + 1;
    if (!((2 * half_x + 1) * (2 * half_y + 1) < 1e8)) {
        return err_set(
            err, ERR_PARAM,
            "cube_build: the exposures span %.3g x %.3g arcsec from the centre "
            "of the cube, too much for spaxels of %g arcsec; are ra_center, "
            "dec_center and scalexy right, and is it one target?",
            far_x * g.scale, far_y * g.scale, g.scale);
    }
    g.nx = 2 * (int)half_x + 1;
    g.ny = 2 * (int)half_y + 1;
    g.x0 = -half_x * g.scale - g.scale / 2;
    g.y0 = -half_y * g.scale - g.scale / 2;

    code = g.linear ? linear_planes(&g, wave_min, wave_max, step, err)
                    : table_planes(&g, waves, wave_min, wave_max, disperser, err);
    if (code) {
        cube_grid_done(&g);
        return code;
    }
    plane_widths(&g);
    *ret = g;
    return 0;
}

/* ---- extremes ---- */

struct extremes {
    double value[4]; /* least RA, largest RA, least Dec, largest Dec */
    double ra[4], dec[4];
};

struct extremes_job {
    const struct wcs *wcs;
    double ra_ref;
    struct extremes slice[WCS_SLICES];
};

static void extremes_clear(struct extremes *e)
{
    *e = (struct extremes){.value = {INFINITY, -INFINITY, INFINITY, -INFINITY}};
}

static void extremes_add(struct extremes *e, double ra, double dec)
{
    bool better[4] = {ra<e->value[0], ra> e->value[1],
                      dec<e->value[2], dec> e->value[3]};
    for (int k = 0; k < 4; k++) {
        if (better[k]) {
            e->value[k] = k < 2 ? ra : dec;
            e->ra[k] = ra;
            e->dec[k] = dec;
        }
    }
}

static int extremes_slice(size_t i, int thread, void *arg, struct err *err)
{
    enum { RUN = 256 };
    struct extremes_job *job = arg;
    struct wcs_box box = wcs_bounding_box(job->wcs, (int)i + 1);
    double x[RUN], y[RUN], ra[RUN], dec[RUN], lam[RUN];
    (void)thread;
    (void)err;
    extremes_clear(&job->slice[i]);
    for (double row = floor(box.y_min + 0.5); row <= ceil(box.y_max - 0.5); row++) {
        double x_end = ceil(box.x_max - 0.5);
        for (double col = floor(box.x_min + 0.5); col <= x_end; col += RUN) {
            size_t n = 0;
            for (; n < RUN && col + (double)n <= x_end; n++) {
                x[n] = col + (double)n;
                y[n] = row;
            }
            wcs_detector_to_sky(job->wcs, (int)i + 1, n, x, y, ra, dec, lam);
            for (size_t k = 0; k < n; k++) {
                if (isfinite(ra[k]) && isfinite(dec[k])) {
                    double near = job->ra_ref + remainder(ra[k] - job->ra_ref, 360);
                    extremes_add(&job->slice[i], near, dec[k]);
                }
            }
        }
    }
    return 0;
}

int cube_extremes(const struct wcs *wcs, double ra_ref, struct par *par,
                  const atomic_bool *cancel, double ret_ra[4], double ret_dec[4],
                  struct err *err)
{
    struct extremes_job job = {.wcs = wcs, .ra_ref = ra_ref};
    int code = par_for(par, WCS_SLICES, extremes_slice, &job, cancel, err);
    if (code) {
        return code;
    }
    struct extremes all;
    extremes_clear(&all);
    for (int s = 0; s < WCS_SLICES; s++) {
        for (int k = 0; k < 4 && isfinite(job.slice[s].value[0]); k++) {
            extremes_add(&all, job.slice[s].ra[k], job.slice[s].dec[k]);
        }
    }
    if (!isfinite(all.value[0])) {
        return err_set(err, ERR_NODATA, "cube_build: no pixel reaches the sky");
    }
    for (int k = 0; k < 4; k++) {
        ret_ra[k] = all.ra[k];
        ret_dec[k] = all.dec[k];
    }
    return 0;
}
