#include "stages/extract_1d_center.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/cube_collapse.h"
#include "common/math/robust.h"
#include "common/math/sphere.h"
#include "common/math/star_finder.h"

static const double radian = 3.14159265358979323846 / 180.0;

static void unit_vector(double ra, double dec, double v[3])
{
    v[0] = cos(dec * radian) * cos(ra * radian);
    v[1] = cos(dec * radian) * sin(ra * radian);
    v[2] = sin(dec * radian);
}

/* Side of a spaxel along y, measured on the sky round the spaxel x, y. */
static double spaxel_arcsec(const struct cube *c, double x, double y)
{
    double ra0, dec0, ra1, dec1;
    cube_spaxel_to_sky(c, x, y, &ra0, &dec0);
    cube_spaxel_to_sky(c, x, y + 1.0, &ra1, &dec1);
    return sphere_separation(ra0, dec0, ra1, dec1) * 3600.0;
}

/* The spaxel nearest to the target, or (without target, or with one that falls on the
 * edge of the cube or outside) the middle nx / 2, ny / 2. */
static void place_at_target(const struct stage_env *env, const struct cube *c,
                            struct extract_center *ret)
{
    ret->x = c->nx / 2.0;
    ret->y = c->ny / 2.0;
    ret->at_target = false;
    ret->how = "MIDDLE";
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
    ret->how = "TARGET";
    stage_note(env, "extracting at spaxel %d %d, from TARG_RA and TARG_DEC", best_i,
               best_j);
}

/* Is a spaxel without value, or the edge of the cube, within `reach` of x, y? */
static bool is_at_edge(const float *image, int nx, int ny, double x, double y,
                       double reach)
{
    int i0 = (int)floor(x - reach + 0.5), i1 = (int)floor(x + reach + 0.5);
    int j0 = (int)floor(y - reach + 0.5), j1 = (int)floor(y + reach + 0.5);
    for (int j = j0; j <= j1; j++) {
        for (int i = i0; i <= i1; i++) {
            if (i < 0 || j < 0 || i >= nx || j >= ny ||
                !isfinite(image[(size_t)j * (size_t)nx + (size_t)i])) {
                return true;
            }
        }
    }
    return false;
}

/* Largest value of the 3 x 3 spaxels round x, y; x, y lie on the image. */
static double peak_near(const float *image, int nx, int ny, double x, double y)
{
    int i = (int)lround(x), j = (int)lround(y);
    double peak = -INFINITY;
    for (int v = j > 0 ? j - 1 : 0; v <= j + 1 && v < ny; v++) {
        for (int u = i > 0 ? i - 1 : 0; u <= i + 1 && u < nx; u++) {
            double value = (double)image[(size_t)v * (size_t)nx + (size_t)u];
            peak = value > peak ? value : peak;
        }
    }
    return peak;
}

/* Is what was found no edge and no noise? `flat`: the image less its background. */
static bool is_credible(const struct stage_env *env, const struct cube *c,
                        const float *image, const float *flat, double sigma,
                        const struct extract_center *at)
{
    const double reach = 1.5, least = 5.0; /* spaxels, sigma */
    const double peak = peak_near(flat, c->nx, c->ny, at->x, at->y);
    if (is_at_edge(image, c->nx, c->ny, at->x, at->y, reach)) {
        stage_warn(env,
                   "the brightest source, at spaxel %.1f %.1f, is at the edge of the "
                   "field; using the target (autocen_check=false takes it)",
                   at->x, at->y);
        return false;
    }
    if (!(peak >= least * sigma)) {
        stage_warn(env,
                   "the brightest source, at spaxel %.1f %.1f, stands only %.1f sigma "
                   "out of the field; using the target (autocen_check=false takes it)",
                   at->x, at->y, peak / sigma);
        return false;
    }
    return true;
}

/*
 * The brightest source of the cube's median image: 3 sigma over the background, FWHM 3
 * spaxels. *ret_found is false if there is none, or (with `check`) if what was found is
 * no good: an edge is bright where few exposures cover it, and noise has peaks as well.
 */
static int place_at_brightest(const struct stage_env *env, const struct cube *c,
                              bool check, bool *ret_found, struct extract_center *ret,
                              struct err *err)
{
    const double fwhm = 3.0, sigmas = 3.0;
    size_t n = (size_t)c->nx * (size_t)c->ny, good = 0;
    float *image = mem_alloc(n, sizeof *image, err);
    float *flat = mem_alloc(n, sizeof *flat, err);
    float *values = mem_alloc(n, sizeof *values, err);
    float *scratch = mem_alloc(n, sizeof *scratch, err);
    int code = image && flat && values && scratch ? 0 : ERR_NOMEM;
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
    if (good == 0) {
        goto out;
    }
    struct robust_stats s = robust_clip(values, scratch, good, sigmas, 5);
    for (size_t p = 0; p < n; p++) {
        flat[p] = isfinite(image[p]) ? image[p] - (float)s.median : 0.0f;
    }
    code = star_find_brightest(flat, c->nx, c->ny, (double)(float)(sigmas * s.std),
                               fwhm, ret_found, &ret->x, &ret->y, err);
    if (code) {
        goto out;
    }
    if (!*ret_found) {
        stage_warn(env, "no source found by ifu_autocen; using the target");
        goto out;
    }
    *ret_found = !check || is_credible(env, c, image, flat, s.std, ret);
    if (*ret_found) {
        ret->at_target = false;
        ret->how = "AUTOCEN";
        stage_note(env, "source found at spaxel %.3f %.3f", ret->x, ret->y);
    }
out:
    free(image);
    free(flat);
    free(values);
    free(scratch);
    return code;
}

/* The scale is measured at the target if the aperture is there, else at the WCS's
 * reference point, as in the peer. */
static void measure_scale(const struct cube *c, struct extract_center *ret)
{
    double i, j;
    if (ret->at_target) {
        cube_sky_to_spaxel(c, c->meta.target_ra, c->meta.target_dec, &i, &j);
    } else {
        cube_sky_to_spaxel(c, c->crval1, c->crval2, &i, &j);
    }
    ret->spaxel_arcsec = spaxel_arcsec(c, i, j);
}

void extract_center_middle(const struct cube *c, struct extract_center *ret)
{
    *ret = (struct extract_center){
        .x = (c->nx - 1) / 2.0, .y = (c->ny - 1) / 2.0, .how = "MIDDLE"};
    measure_scale(c, ret);
}

int extract_center_sky(const struct cube *c, const char *what, double ra, double dec,
                       struct extract_center *ret, struct err *err)
{
    double x, y;
    cube_sky_to_spaxel(c, ra, dec, &x, &y);
    if (!(x > -0.5 && y > -0.5 && x < c->nx - 0.5 && y < c->ny - 0.5)) {
        double mid_ra, mid_dec;
        cube_spaxel_to_sky(c, (c->nx - 1) / 2.0, (c->ny - 1) / 2.0, &mid_ra, &mid_dec);
        return err_set(err, ERR_PARAM,
                       "%s: %s: RA %.6f Dec %.6f is off the cube, whose middle is at "
                       "%.6f %.6f (%.1f arcsec away)",
                       c->filename, what, ra, dec, mid_ra, mid_dec,
                       sphere_separation(ra, dec, mid_ra, mid_dec) * 3600.0);
    }
    *ret = (struct extract_center){.x = x, .y = y, .how = "CENTER_RADEC"};
    measure_scale(c, ret);
    return 0;
}

int extract_center_check(const struct params *params, struct err *err)
{
    const double *xy, *sky;
    const size_t n = params_list(params, "center_xy", &xy);
    const size_t m = params_list(params, "center_radec", &sky);
    if (n != 0 && n != 2) {
        return err_set(err, ERR_PARAM,
                       "extract_1d.center_xy has %zu values; two, x and y in 0-based "
                       "spaxels, are right",
                       n);
    }
    if (m != 0 && (m != 2 || fabs(sky[1]) > 90.0)) {
        return err_set(err, ERR_PARAM,
                       "extract_1d.center_radec = %s; two values, RA and Dec in "
                       "degrees, are right",
                       params_text(params, "center_radec"));
    }
    if (n && m) {
        return err_set(err, ERR_PARAM,
                       "extract_1d.center_xy and center_radec are both given; one of "
                       "them is right");
    }
    return 0;
}

int extract_center_place(const struct stage_env *env, const struct params *params,
                         const struct cube *c, struct extract_center *ret,
                         struct err *err)
{
    const double *xy, *sky;
    size_t n = params_list(params, "center_xy", &xy);
    size_t m = params_list(params, "center_radec", &sky);
    bool found = n > 0;
    *ret = (struct extract_center){.how = "CENTER_XY"};
    int code = extract_center_check(params, err);
    if (code) {
        return code;
    }
    if (m) {
        code =
            extract_center_sky(c, "extract_1d.center_radec", sky[0], sky[1], ret, err);
        if (!code) {
            stage_note(env, "extracting at spaxel %.3f %.3f, from center_radec", ret->x,
                       ret->y);
        }
        return code;
    }
    if (found) {
        ret->x = xy[0];
        ret->y = xy[1];
        stage_note(env, "extracting at spaxel %g %g, from center_xy", ret->x, ret->y);
    } else if (params_bool(params, "ifu_autocen")) {
        code = place_at_brightest(env, c, params_bool(params, "autocen_check"), &found,
                                  ret, err);
        if (code) {
            return code;
        }
    }
    if (!found) {
        place_at_target(env, c, ret);
    }
    measure_scale(c, ret);
    return 0;
}
