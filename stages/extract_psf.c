#include "stages/extract_psf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/cube_collapse.h"
#include "common/math/robust.h"

enum { BINS = 12, FREE = 6, ROUNDS = 40 };
/* The free parameters, in this order. */
enum { AT_X, AT_Y, PER_UM, CONSTANT, WING_SHARE, WING_SCALE };

#define WINDOW_ARCSEC 1.3
#define MOVE_ARCSEC 0.3
#define LEAST_PEAK 10.0 /* sigma */
/* What the model may be wrong by, as a share of the light: else the core alone counts. */
#define MODEL_ERROR 0.02

struct bin {
    double um;
    float *image;
    double sigma; /* of the image outside the source */
};

struct fit {
    const struct cube *c;
    double spaxel; /* arcsec */
    struct bin bins[BINS];
    size_t n_bins;
    size_t *index; /* spaxels of the window */
    size_t n_index;
    double *edge, *share; /* scratch of psf_spaxels */
    double low[FREE], high[FREE];
};

static void to_psf(const double q[FREE], struct psf *p)
{
    *p = (struct psf){q[PER_UM], q[CONSTANT], q[WING_SHARE], q[WING_SCALE]};
}

/*
 * Weighted residuals of all bins at q, each with its best flux and background; returns
 * their sum of squares. Spaxels without value count 0. If not NULL, ret_flux: the sum of
 * the fluxes.
 */
static double residuals(struct fit *f, const double q[FREE], double *r,
                        double *ret_flux)
{
    struct psf p;
    double sum = 0, flux_sum = 0;
    to_psf(q, &p);
    for (size_t b = 0; b < f->n_bins; b++) {
        const struct bin *bin = &f->bins[b];
        double *rb = r + b * f->n_index;
        double s = 0, sp = 0, spp = 0, sd = 0, spd = 0;
        psf_spaxels(&p, bin->um, q[AT_X], q[AT_Y], f->spaxel, f->c->nx, f->c->ny,
                    f->edge, f->share);
        for (size_t i = 0; i < f->n_index; i++) {
            double d = (double)bin->image[f->index[i]], m = f->share[f->index[i]];
            if (isfinite(d)) {
                double w =
                    1 / (bin->sigma * bin->sigma + MODEL_ERROR * MODEL_ERROR * d * d);
                s += w;
                sp += w * m;
                spp += w * m * m;
                sd += w * d;
                spd += w * m * d;
            }
        }
        double det = s * spp - sp * sp;
        double flux = det > 0 ? (s * spd - sp * sd) / det : 0;
        double level = s > 0 ? (sd - flux * sp) / s : 0;
        flux_sum += flux;
        for (size_t i = 0; i < f->n_index; i++) {
            double d = (double)bin->image[f->index[i]], m = f->share[f->index[i]];
            rb[i] = isfinite(d)
                        ? (d - flux * m - level) / hypot(bin->sigma, MODEL_ERROR * d)
                        : 0;
            sum += rb[i] * rb[i];
        }
    }
    if (ret_flux) {
        *ret_flux = flux_sum;
    }
    return sum;
}

/* Solve a (symmetric, positive) x = b in place by Cholesky's method. */
static bool solve(double a[FREE][FREE], double b[FREE])
{
    for (int i = 0; i < FREE; i++) {
        for (int j = 0; j <= i; j++) {
            double s = a[i][j];
            for (int k = 0; k < j; k++) {
                s -= a[i][k] * a[j][k];
            }
            if (i == j && !(s > 0)) {
                return false;
            }
            a[i][j] = i == j ? sqrt(s) : s / a[j][j];
        }
    }
    for (int i = 0; i < FREE; i++) {
        for (int k = 0; k < i; k++) {
            b[i] -= a[i][k] * b[k];
        }
        b[i] /= a[i][i];
    }
    for (int i = FREE; i-- > 0;) {
        for (int k = i + 1; k < FREE; k++) {
            b[i] -= a[k][i] * b[k];
        }
        b[i] /= a[i][i];
    }
    return true;
}

/* Normal equations of the residuals at q, by differences. */
static void linearise(struct fit *f, const double q[FREE], const double *r,
                      double *moved, double *jacobian, double a[FREE][FREE],
                      double g[FREE])
{
    static const double step[FREE] = {1e-3, 1e-3, 1e-5, 1e-4, 1e-4, 1e-3};
    const size_t n = f->n_bins * f->n_index;
    for (int i = 0; i < FREE; i++) {
        double near[FREE];
        memcpy(near, q, sizeof near);
        double h = near[i] + step[i] > f->high[i] ? -step[i] : step[i];
        near[i] += h;
        residuals(f, near, moved, NULL);
        for (size_t k = 0; k < n; k++) {
            jacobian[(size_t)i * n + k] = (moved[k] - r[k]) / h;
        }
    }
    for (int i = 0; i < FREE; i++) {
        const double *ji = jacobian + (size_t)i * n;
        g[i] = 0;
        for (size_t k = 0; k < n; k++) {
            g[i] -= ji[k] * r[k];
        }
        for (int j = 0; j <= i; j++) {
            const double *jj = jacobian + (size_t)j * n;
            double s = 0;
            for (size_t k = 0; k < n; k++) {
                s += ji[k] * jj[k];
            }
            a[i][j] = a[j][i] = s;
        }
    }
}

/* Marquardt's method within the bounds; q: start and result. r, moved: room for all
 * residuals, jacobian: for FREE times as many. */
static int minimise(struct fit *f, double q[FREE], double *r, double *moved,
                    double *jacobian, const struct stage_env *env, struct err *err)
{
    double best = residuals(f, q, r, NULL), damping = 1e-3;
    for (int round = 0; round < ROUNDS && damping < 1e8; round++) {
        double a[FREE][FREE], g[FREE];
        if (env->cancel && atomic_load(env->cancel)) {
            return err_set(err, ERR_CANCELLED, "stopped while a PSF was fitted");
        }
        linearise(f, q, r, moved, jacobian, a, g);
        bool better = false;
        double gain = 0;
        while (!better && damping < 1e8) {
            double m[FREE][FREE], d[FREE], near[FREE];
            memcpy(m, a, sizeof m);
            memcpy(d, g, sizeof d);
            for (int i = 0; i < FREE; i++) {
                m[i][i] += damping * m[i][i] + 1e-12;
            }
            better = solve(m, d);
            for (int i = 0; i < FREE && better; i++) {
                near[i] = fmin(fmax(q[i] + d[i], f->low[i]), f->high[i]);
            }
            double now = better ? residuals(f, near, moved, NULL) : best;
            better = better && now < best;
            if (better) {
                gain = best - now;
                best = now;
                memcpy(q, near, sizeof near);
                memcpy(r, moved, f->n_bins * f->n_index * sizeof *r);
            }
            damping *= better ? 0.3 : 4;
        }
        if (gain < 1e-6 * best) {
            break;
        }
    }
    return 0;
}

/* Does plane k hold what stands within reach of x, y (all but a tenth)? */
static bool is_covered(const struct fit *f, double x, double y, int k)
{
    const struct cube *c = f->c;
    const size_t n = (size_t)c->nx * (size_t)c->ny;
    size_t near = 0, good = 0;
    for (size_t i = 0; i < f->n_index; i++) {
        size_t p = f->index[i];
        double dx = (double)(p % (size_t)c->nx) - x,
               dy = (double)(p / (size_t)c->nx) - y;
        if (hypot(dx, dy) * f->spaxel < MOVE_ARCSEC) {
            near++;
            good += c->wmap[(size_t)k * n + p] > 0;
        }
    }
    return isfinite(c->wavelength[k]) && near > 0 && 10 * good >= 9 * near;
}

/* The median of planes first..end-1 as a bin, its noise; does it show the source? */
static int fill_bin(const struct stage_env *env, struct fit *f, double x, double y,
                    int first, int end, float *values, float *scratch, int *ret_bright,
                    struct err *err)
{
    const struct cube *c = f->c;
    const size_t n = (size_t)c->nx * (size_t)c->ny;
    struct bin *bin = &f->bins[f->n_bins];
    size_t good = 0;
    double peak = -INFINITY;
    bin->image = mem_alloc(n, sizeof *bin->image, err);
    int code = bin->image ? cube_median_image(c, first, end, env->par, bin->image, err)
                          : ERR_NOMEM;
    if (code) {
        return code;
    }
    bin->um = (c->wavelength[first] + c->wavelength[end - 1]) / 2;
    for (size_t p = 0; p < n; p++) {
        if (isfinite(bin->image[p])) {
            values[good++] = bin->image[p];
        }
    }
    struct robust_stats s = robust_clip(values, scratch, good, 3.0, 5);
    bin->sigma = fmax(s.std, 1e-30);
    for (size_t i = 0; i < f->n_index; i++) {
        size_t p = f->index[i];
        double dx = (double)(p % (size_t)c->nx) - x,
               dy = (double)(p / (size_t)c->nx) - y;
        if (isfinite(bin->image[p]) && hypot(dx, dy) * f->spaxel < MOVE_ARCSEC) {
            peak = fmax(peak, (double)bin->image[p] - s.median);
        }
    }
    *ret_bright += peak > LEAST_PEAK * bin->sigma;
    f->n_bins++;
    return 0;
}

/* The planes that hold the source, in bins of as many planes each; *ret_bright: how many
 * bins show it. */
static int fill_bins(const struct stage_env *env, struct fit *f, double x, double y,
                     int *ret_bright, struct err *err)
{
    const struct cube *c = f->c;
    size_t n = (size_t)c->nx * (size_t)c->ny, covered = 0;
    float *values = mem_alloc(n, sizeof *values, err);
    float *scratch = mem_alloc(n, sizeof *scratch, err);
    int *planes = mem_alloc((size_t)c->nw, sizeof *planes, err);
    int code = values && scratch && planes ? 0 : ERR_NOMEM;
    for (int k = 0; k < c->nw && !code; k++) {
        if (is_covered(f, x, y, k)) {
            planes[covered++] = k;
        }
    }
    size_t bins = covered < BINS ? covered : BINS;
    *ret_bright = 0;
    for (size_t b = 0; b < bins && !code; b++) {
        code = fill_bin(env, f, x, y, planes[covered * b / bins],
                        planes[covered * (b + 1) / bins - 1] + 1, values, scratch,
                        ret_bright, err);
    }
    free(values);
    free(scratch);
    free(planes);
    return code;
}

static int fill_window(struct fit *f, double x, double y, struct err *err)
{
    const struct cube *c = f->c;
    size_t n = (size_t)c->nx * (size_t)c->ny;
    f->index = mem_alloc(n, sizeof *f->index, err);
    f->share = mem_alloc(n, sizeof *f->share, err);
    f->edge = mem_alloc(2 * ((size_t)c->nx + (size_t)c->ny), sizeof *f->edge, err);
    if (!f->index || !f->share || !f->edge) {
        return ERR_NOMEM;
    }
    for (size_t p = 0; p < n; p++) {
        double dx = (double)(p % (size_t)c->nx) - x,
               dy = (double)(p / (size_t)c->nx) - y;
        if (hypot(dx, dy) * f->spaxel < WINDOW_ARCSEC) {
            f->index[f->n_index++] = p;
        }
    }
    return 0;
}

int extract_psf_fit(const struct stage_env *env, const struct cube *c, double x,
                    double y, double spaxel_arcsec, struct extract_psf *ret,
                    struct err *err)
{
    struct fit f = {.c = c, .spaxel = spaxel_arcsec};
    double *room = NULL;
    int bright = 0;
    int code = fill_window(&f, x, y, err);
    code = code ? code : fill_bins(env, &f, x, y, &bright, err);
    *ret = (struct extract_psf){psf_nominal, x, y, false};
    if (!code && f.n_bins > 0 && 2 * bright > (int)f.n_bins && f.n_index > FREE) {
        const double move = MOVE_ARCSEC / spaxel_arcsec;
        const double low[FREE] = {x - move, y - move, 0.002, 0.02, 0, 1.3};
        const double high[FREE] = {x + move, y + move, 0.15, 0.6, 0.6, 8};
        double q[FREE] = {x,
                          y,
                          psf_nominal.per_um,
                          psf_nominal.constant,
                          psf_nominal.wing_share,
                          psf_nominal.wing_scale};
        const size_t n = f.n_bins * f.n_index;
        double flux = 0;
        memcpy(f.low, low, sizeof low);
        memcpy(f.high, high, sizeof high);
        room = mem_alloc((FREE + 2) * n, sizeof *room, err);
        code =
            room ? minimise(&f, q, room, room + n, room + 2 * n, env, err) : ERR_NOMEM;
        if (!code) {
            residuals(&f, q, room, &flux);
            ret->fitted = flux > 0 && hypot(q[AT_X] - x, q[AT_Y] - y) < 0.99 * move;
        }
        if (ret->fitted) {
            to_psf(q, &ret->psf);
            ret->x = q[AT_X];
            ret->y = q[AT_Y];
        }
    }
    if (!code) {
        const double um = c->wavelength[c->nw / 2];
        if (ret->fitted) {
            stage_note(env,
                       "PSF fitted at spaxel %.2f %.2f: FWHM %.3f arcsec at %.2f um, "
                       "%.0f %% of the light in a wing %.1f times as wide",
                       ret->x, ret->y, psf_fwhm(&ret->psf, um), um,
                       100 * ret->psf.wing_share, ret->psf.wing_scale);
        } else {
            stage_warn(env,
                       "the source at spaxel %.1f %.1f is too faint, or no point "
                       "source: the nominal PSF is used",
                       x, y);
        }
    }
    for (int b = 0; b < BINS; b++) {
        free(f.bins[b].image);
    }
    free(f.index);
    free(f.share);
    free(f.edge);
    free(room);
    return code;
}
