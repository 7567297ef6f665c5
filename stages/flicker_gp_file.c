#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/fits_io.h"
#include "stages/flicker_gp.h"

#define WHITE "GPWHITE"

enum { LAG, WITHIN, BETWEEN, ROWS };

int gp_covariance_keep(const struct stage_env *env, const struct exposure *of,
                       const struct gp_covariance *cov, struct err *err)
{
    const size_t n = cov->n_nodes;
    struct exposure *e = exposure_new((int)n, ROWS, err);
    int code = e ? header_copy(&e->primary, &of->primary, err) : ERR_NOMEM;
    code = code ? code
                : header_set_real(&e->primary, WHITE, cov->white,
                                  "variance of the white noise", err);
    if (!code) {
        e->meta = of->meta;
        e->meta.bunit[0] = '\0';
        e->sci = mem_alloc(ROWS * n, sizeof *e->sci, err);
        code = e->sci ? 0 : ERR_NOMEM;
    }
    if (code) {
        exposure_free(e);
        return code;
    }
    for (size_t k = 0; k < n; k++) {
        e->sci[LAG * n + k] = (float)cov->lag[k];
        e->sci[WITHIN * n + k] = (float)cov->within[k];
        e->sci[BETWEEN * n + k] = (float)cov->between[k];
    }
    return stage_keep(env, "covariance", e, err);
}

static bool is_sound(const struct gp_covariance *cov)
{
    bool sound = cov->lag[0] == 0 && cov->within[0] > 0 && cov->white >= 0;
    for (size_t k = 0; k < cov->n_nodes; k++) {
        sound &= isfinite(cov->lag[k]) && isfinite(cov->within[k]) &&
                 isfinite(cov->between[k]) && (k == 0 || cov->lag[k] > cov->lag[k - 1]);
    }
    return sound;
}

int gp_covariance_read(const char *path, struct gp_covariance *ret, struct err *err)
{
    struct fits_in *f = NULL;
    struct header primary = {0};
    double *values = NULL;
    int hdu = 0;
    *ret = (struct gp_covariance){0};
    int code = fits_in_open(path, ERR_PARAM, &f, err);
    code = code ? code : fits_in_header(f, 0, &primary, err);
    code = code ? code : fits_in_need(f, "SCI", &hdu, err);
    const struct fits_hdu *h = code ? NULL : fits_in_hdu(f, hdu);
    const bool has_size = h && h->kind == FITS_IMAGE && h->n_axes == 2 &&
                          h->axes[0] >= 3 && h->axes[0] <= GP_NODES &&
                          h->axes[1] == ROWS;
    if (!code && !(has_size && header_get_real(&primary, WHITE, &ret->white))) {
        code = err_set(err, ERR_PARAM,
                       "%s: expected a SCI image of 3 to %d lags by %d rows and the "
                       "keyword %s, as save_covariance writes them",
                       path, GP_NODES, ROWS, WHITE);
    }
    code = code ? code : fits_in_doubles(f, hdu, &values, err);
    if (!code) {
        const size_t n = ret->n_nodes = h->axes[0];
        for (size_t k = 0; k < n; k++) {
            ret->lag[k] = values[LAG * n + k];
            ret->within[k] = values[WITHIN * n + k];
            ret->between[k] = values[BETWEEN * n + k];
        }
    }
    if (!code && !is_sound(ret)) {
        code = err_set(err, ERR_PARAM,
                       "%s: expected lags that rise from 0, and finite covariances, "
                       "positive at lag 0",
                       path);
    }
    free(values);
    header_done(&primary);
    fits_in_close(f);
    return code ? err_prefix(err, "gp_covariance_file") : 0;
}
