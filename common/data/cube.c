#include "common/data/cube.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "common/base/mem.h"
#include "common/data/cube_covariance.h"

#define DEGREE (M_PI / 180)

struct cube *cube_new_empty(int nx, int ny, int nw, size_t *ret_n, struct err *err)
{
    size_t n;
    if (nx < 1 || ny < 1 || nw < 1) {
        err_set(err, ERR_BUG, "a cube of %d x %d x %d spaxels", nx, ny, nw);
        return NULL;
    }
    if (mem_mul((size_t)nx, (size_t)ny, &n) || mem_mul(n, (size_t)nw, &n)) {
        err_set(err, ERR_NOMEM, "a cube of %d x %d x %d spaxels is too large", nx, ny,
                nw);
        return NULL;
    }
    struct cube *c = mem_calloc(1, sizeof *c, err);
    if (!c) {
        return NULL;
    }
    c->nx = nx;
    c->ny = ny;
    c->nw = nw;
    c->pc[0][0] = -1;
    c->pc[1][1] = 1;
    c->wavelength = mem_calloc((size_t)nw, sizeof *c->wavelength, err);
    if (!c->wavelength) {
        cube_free(c);
        return NULL;
    }
    *ret_n = n;
    return c;
}

struct cube *cube_new(int nx, int ny, int nw, struct err *err)
{
    size_t n = 0;
    struct cube *c = cube_new_empty(nx, ny, nw, &n, err);
    if (!c) {
        return NULL;
    }
    c->sci = mem_calloc(n, sizeof *c->sci, err);
    c->err = c->sci ? mem_calloc(n, sizeof *c->err, err) : NULL;
    c->dq = c->err ? mem_calloc(n, sizeof *c->dq, err) : NULL;
    c->wmap = c->dq ? mem_calloc(n, sizeof *c->wmap, err) : NULL;
    if (!c->wmap) {
        cube_free(c);
        return NULL;
    }
    return c;
}

void cube_free(struct cube *c)
{
    if (c) {
        if (c->file) {
            munmap(c->file, c->file_bytes);
        } else {
            free(c->sci);
            free(c->err);
            free(c->dq);
            free(c->wmap);
            free(c->var_background);
        }
        free(c->pair_arcsec);
        free(c->common_error);
        cube_covariance_free(c->covariance);
        free(c->wavelength);
        header_done(&c->primary);
        header_done(&c->science);
        free(c);
    }
}

double cube_spaxel_sr(const struct cube *c)
{
    const double sr_per_arcsec2 = 2.3504e-11;
    if (c->slicer) {
        return c->spaxel_sr;
    }
    return c->cdelt1 * 3600.0 * (c->cdelt2 * 3600.0) * sr_per_arcsec2;
}

void cube_spaxel_to_sky(const struct cube *c, double i, double j, double *ra,
                        double *dec)
{
    if (c->slicer) {
        *ra = *dec = NAN;
        return;
    }
    const double p = i + 1 - c->crpix1, q = j + 1 - c->crpix2;
    const double x = c->cdelt1 * (c->pc[0][0] * p + c->pc[0][1] * q) * DEGREE;
    const double y = c->cdelt2 * (c->pc[1][0] * p + c->pc[1][1] * q) * DEGREE;
    const double s0 = sin(c->crval2 * DEGREE), c0 = cos(c->crval2 * DEGREE);
    const double down = c0 - y * s0;
    double a = c->crval1 + atan2(x, down) / DEGREE;
    *dec = atan2(s0 + y * c0, hypot(x, down)) / DEGREE;
    *ra = a < 0 ? a + 360 : a >= 360 ? a - 360 : a;
}

void cube_sky_to_spaxel(const struct cube *c, double ra, double dec, double *i,
                        double *j)
{
    const double s0 = sin(c->crval2 * DEGREE), c0 = cos(c->crval2 * DEGREE);
    const double s = sin(dec * DEGREE), k = cos(dec * DEGREE);
    const double sa = sin((ra - c->crval1) * DEGREE),
                 ca = cos((ra - c->crval1) * DEGREE);
    const double towards = s0 * s + c0 * k * ca;
    const double det = c->pc[0][0] * c->pc[1][1] - c->pc[0][1] * c->pc[1][0];
    if (c->slicer ||
        !(towards > 0)) { /* the other half of the sky has no place in the plane */
        *i = *j = NAN;
        return;
    }
    const double x = k * sa / towards / DEGREE / c->cdelt1;
    const double y = (c0 * s - s0 * k * ca) / towards / DEGREE / c->cdelt2;
    *i = (c->pc[1][1] * x - c->pc[0][1] * y) / det + c->crpix1 - 1;
    *j = (c->pc[0][0] * y - c->pc[1][0] * x) / det + c->crpix2 - 1;
}
