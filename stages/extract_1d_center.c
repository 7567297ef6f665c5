#include "stages/extract_1d_center.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/cube_collapse.h"
#include "common/math/robust.h"
#include "common/math/star_finder.h"

static const double radian = 3.14159265358979323846 / 180.0;

static void unit_vector(double ra, double dec, double v[3])
{
    v[0] = cos(dec * radian) * cos(ra * radian);
    v[1] = cos(dec * radian) * sin(ra * radian);
    v[2] = sin(dec * radian);
}

/* Angle between two directions (degrees), by Vincenty's formula: good at any size. */
static double separation(double ra1, double dec1, double ra2, double dec2)
{
    double dl = (ra2 - ra1) * radian;
    double s1 = sin(dec1 * radian), c1 = cos(dec1 * radian);
    double s2 = sin(dec2 * radian), c2 = cos(dec2 * radian);
    double a = c2 * sin(dl), b = c1 * s2 - s1 * c2 * cos(dl);
    return atan2(hypot(a, b), s1 * s2 + c1 * c2 * cos(dl)) / radian;
}

double extract_spaxel_arcsec(const struct cube *c, double x, double y)
{
    double ra0, dec0, ra1, dec1;
    cube_spaxel_to_sky(c, x, y, &ra0, &dec0);
    cube_spaxel_to_sky(c, x, y + 1.0, &ra1, &dec1);
    return separation(ra0, dec0, ra1, dec1) * 3600.0;
}

void extract_center_target(const struct stage_env *env, const struct cube *c,
                           struct extract_center *ret)
{
    ret->x = c->nx / 2.0;
    ret->y = c->ny / 2.0;
    ret->at_target = false;
    if (!isfinite(c->meta.target_ra) || !isfinite(c->meta.target_dec)) {
        stage_warn(env,
                   "no TARG_RA and TARG_DEC; extracting at the middle of the cube");
        return;
    }
    double target[3], best = INFINITY;
    int best_i = 0, best_j = 0;
    unit_vector(c->meta.target_ra, c->meta.target_dec, target);
    for (int j = 0; j < c->ny; j++) {
        for (int i = 0; i < c->nx; i++) {
            double ra, dec, v[3], d2 = 0.0;
            cube_spaxel_to_sky(c, i, j, &ra, &dec);
            unit_vector(ra, dec, v);
            for (int a = 0; a < 3; a++) {
                d2 += (v[a] - target[a]) * (v[a] - target[a]);
            }
            if (d2 < best) {
                best = d2;
                best_i = i;
                best_j = j;
            }
        }
    }
    if (best_i < 1 || best_j < 1 || best_i >= c->nx - 1 || best_j >= c->ny - 1) {
        stage_warn(env,
                   "target %.6f %.6f is on the edge of the cube or outside; extracting "
                   "at the middle of the cube",
                   c->meta.target_ra, c->meta.target_dec);
        return;
    }
    ret->x = best_i;
    ret->y = best_j;
    ret->at_target = true;
    stage_note(env, "extracting at spaxel %d %d, from TARG_RA and TARG_DEC", best_i,
               best_j);
}

int extract_center_brightest(const struct stage_env *env, const struct cube *c,
                             bool *ret_found, struct extract_center *ret,
                             struct err *err)
{
    const double fwhm = 3.0, sigmas = 3.0;
    size_t n = (size_t)c->nx * (size_t)c->ny, good = 0;
    float *image = mem_alloc(n, sizeof *image, err);
    float *values = mem_alloc(n, sizeof *values, err);
    float *scratch = mem_alloc(n, sizeof *scratch, err);
    int code = image && values && scratch ? 0 : ERR_NOMEM;
    if (!code) {
        code = cube_median_image(c, 0, c->nw, env->par, image, err);
    }
    if (code) {
        goto out;
    }
    for (size_t p = 0; p < n; p++) {
        if (isfinite(image[p])) {
            values[good++] = image[p];
        }
    }
    *ret_found = false;
    if (good > 0) {
        struct robust_stats s = robust_clip(values, scratch, good, sigmas, 5);
        for (size_t p = 0; p < n; p++) {
            image[p] = isfinite(image[p]) ? image[p] - (float)s.median : 0.0f;
        }
        code = star_find_brightest(image, c->nx, c->ny, (double)(float)(sigmas * s.std),
                                   fwhm, ret_found, &ret->x, &ret->y, err);
        ret->at_target = false;
    }
    if (!code && *ret_found) {
        stage_note(env, "source found at spaxel %.3f %.3f", ret->x, ret->y);
    }
out:
    free(image);
    free(values);
    free(scratch);
    return code;
}
