#include "common/data/ref_pathloss.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"

/* A linear axis of an image: value = crval + (pixel - crpix) * cdelt, pixels from 1. */
struct axis {
    double crpix, crval, cdelt;
};

static int need_key(const struct header *h, const char *path, const char *extname,
                    const char *name, int number, double *ret, struct err *err)
{
    char keyword[16] = {name[0], name[1], name[2], name[3], name[4]};
    keyword[5] = (char)('0' + number);
    if (!header_get_real(h, keyword, ret) || !isfinite(*ret)) {
        return err_set(err, ERR_REFERENCE, "%s: HDU %s: keyword %s must be a number",
                       path, extname, keyword);
    }
    return 0;
}

static int need_axis(const struct header *h, const char *path, const char *extname,
                     int number, struct axis *ret, struct err *err)
{
    int code = need_key(h, path, extname, "CRPIX", number, &ret->crpix, err);
    if (!code) {
        code = need_key(h, path, extname, "CRVAL", number, &ret->crval, err);
    }
    if (!code) {
        code = need_key(h, path, extname, "CDELT", number, &ret->cdelt, err);
    }
    if (!code && ret->cdelt == 0) {
        code = err_set(err, ERR_REFERENCE, "%s: HDU %s: CDELT%d must not be 0", path,
                       extname, number);
    }
    return code;
}

/* Wavelengths of n pixels along an axis in metres. They must increase. */
static int fill_um(struct pathloss_curve *c, const struct axis *axis, const char *path,
                   const char *extname, int number, struct err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        float metres =
            (float)(axis->crval + ((double)(i + 1) - axis->crpix) * axis->cdelt);
        c->um[i] = metres * 1.0e6F;
    }
    if (axis->cdelt < 0) {
        return err_set(err, ERR_REFERENCE,
                       "%s: HDU %s: CDELT%d is %g: wavelengths must increase", path,
                       extname, number, axis->cdelt);
    }
    return 0;
}

static int new_curve(struct pathloss_curve *c, size_t n, struct err *err)
{
    c->n = n;
    c->um = mem_alloc(n, sizeof *c->um, err);
    c->loss = mem_alloc(n, sizeof *c->loss, err);
    return c->um && c->loss ? 0 : ERR_NOMEM;
}

/* The cube at position (0, 0): bilinear, in single precision as in the peer. */
static int at_centre(const float *cube, const size_t *axes, const struct axis *x_axis,
                     const struct axis *y_axis, const char *path,
                     struct pathloss_curve *c, struct err *err)
{
    double column = x_axis->crpix + (0 - x_axis->crval) / x_axis->cdelt - 1;
    double row = y_axis->crpix + (0 - y_axis->crval) / y_axis->cdelt - 1;
    if (!(column >= 0 && row >= 0 && column < (double)axes[0] - 1 &&
          row < (double)axes[1] - 1)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: HDU PS: the centre of the aperture falls on pixel (%.2f, "
                       "%.2f), which is not within the %zu x %zu positions",
                       path, column + 1, row + 1, axes[0], axes[1]);
    }
    size_t i = (size_t)column, j = (size_t)row, nx = axes[0], plane = nx * axes[1];
    double right = column - (double)i, left = 1 - right;
    double up = row - (double)j, down = 1 - up;
    float w00 = (float)(left * down), w01 = (float)(left * up);
    float w10 = (float)(right * down), w11 = (float)(right * up);
    for (size_t k = 0; k < c->n; k++) {
        const float *p = cube + k * plane + j * nx + i;
        c->loss[k] = w00 * p[0] + w01 * p[nx] + w10 * p[1] + w11 * p[nx + 1];
    }
    return 0;
}

static int point_source(struct fits_in *f, const char *path, struct ref_pathloss *r,
                        struct err *err)
{
    int hdu;
    struct header h = {0};
    struct axis axis[3];
    float *cube = NULL;
    int code = fits_in_need(f, "PS", &hdu, err);
    if (code) {
        return code;
    }
    const struct fits_hdu *info = fits_in_hdu(f, hdu);
    if (info->kind != FITS_IMAGE || info->n_axes != 3 || !info->pixels) {
        return err_set(err, ERR_REFERENCE,
                       "%s: HDU PS must be a cube of x, y and wavelength, not an image "
                       "of %d axes",
                       path, info->n_axes);
    }
    code = fits_in_header(f, hdu, &h, err);
    for (int i = 0; !code && i < 3; i++) {
        code = need_axis(&h, path, "PS", i + 1, &axis[i], err);
    }
    if (!code) {
        code = fits_in_floats(f, hdu, &cube, err);
    }
    if (!code) {
        code = new_curve(&r->point, info->axes[2], err);
    }
    if (!code) {
        code = fill_um(&r->point, &axis[2], path, "PS", 3, err);
    }
    if (!code) {
        code = at_centre(cube, info->axes, &axis[0], &axis[1], path, &r->point, err);
    }
    free(cube);
    header_done(&h);
    return code;
}

static int uniform_source(struct fits_in *f, const char *path, struct ref_pathloss *r,
                          struct err *err)
{
    int hdu;
    struct header h = {0};
    struct axis axis;
    float *loss = NULL;
    int code = fits_in_need(f, "UNI", &hdu, err);
    if (code) {
        return code;
    }
    const struct fits_hdu *info = fits_in_hdu(f, hdu);
    if (info->kind != FITS_IMAGE || info->n_axes != 1 || !info->pixels) {
        return err_set(err, ERR_REFERENCE,
                       "%s: HDU UNI must be a vector over wavelength, not an image of "
                       "%d axes",
                       path, info->n_axes);
    }
    code = fits_in_header(f, hdu, &h, err);
    if (!code) {
        code = need_axis(&h, path, "UNI", 1, &axis, err);
    }
    if (!code) {
        code = fits_in_floats(f, hdu, &loss, err);
    }
    if (!code) {
        code = new_curve(&r->uniform, info->axes[0], err);
    }
    if (!code) {
        code = fill_um(&r->uniform, &axis, path, "UNI", 1, err);
    }
    for (size_t i = 0; !code && i < r->uniform.n; i++) {
        r->uniform.loss[i] = loss[i];
    }
    free(loss);
    header_done(&h);
    return code;
}

int ref_pathloss_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    struct fits_in *f;
    int code = fits_in_open(path, ERR_REFERENCE, &f, err);
    if (code) {
        return code;
    }
    struct ref_pathloss *r = mem_calloc(1, sizeof *r, err);
    code = r ? point_source(f, path, r, err) : ERR_NOMEM;
    if (!code) {
        code = uniform_source(f, path, r, err);
    }
    fits_in_close(f);
    if (code) {
        ref_pathloss_free(r);
        return code;
    }
    *ret = r;
    *ret_bytes = sizeof *r + 2 * (r->point.n + r->uniform.n) * sizeof(float);
    return 0;
}

void ref_pathloss_free(void *object)
{
    struct ref_pathloss *r = object;
    if (r) {
        free(r->point.um);
        free(r->point.loss);
        free(r->uniform.um);
        free(r->uniform.loss);
        free(r);
    }
}
