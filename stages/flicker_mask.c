#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/dq.h"
#include "common/data/fits_io.h"
#include "stages/fixed_slits.h"
#include "stages/flicker.h"

void flicker_mask_start(const struct exposure *e, bool science_regions, uint8_t *mask)
{
    const size_t nx = (size_t)e->nx, n = exposure_pixels(e);
    for (size_t i = 0; i < n; i++) {
        mask[i] = isfinite(e->sci[i]) && e->sci[i] != 0;
    }
    if (!science_regions) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if ((e->regions && e->regions[i]) || (e->dq[i] & DQ_MSA_FAILED_OPEN)) {
            mask[i] = 0;
        }
    }
    for (int y = 0; y < e->ny; y++) {
        const int row = y + e->meta.substrt2 - 1;
        if (row >= FIXED_SLITS_FIRST && row < FIXED_SLITS_END) {
            memset(mask + (size_t)y * nx, 0, nx);
        }
    }
}

static int first_image(const struct fits_in *f)
{
    int hdu = fits_in_find(f, "SCI", 0);
    for (int i = 0; hdu < 0 && i < fits_in_count(f); i++) {
        const struct fits_hdu *h = fits_in_hdu(f, i);
        if (h->kind == FITS_IMAGE && h->pixels > 0) {
            hdu = i;
        }
    }
    return hdu;
}

int flicker_mask_read(const char *path, const struct exposure *e, uint8_t *mask,
                      struct err *err)
{
    struct fits_in *f = NULL;
    float *values = NULL;
    int code = fits_in_open(path, ERR_PARAM, &f, err);
    if (code) {
        return err_prefix(err, "user_mask");
    }
    const int hdu = first_image(f);
    const struct fits_hdu *h = hdu >= 0 ? fits_in_hdu(f, hdu) : NULL;
    if (!h || h->n_axes != 2 || h->axes[0] != (size_t)e->nx ||
        h->axes[1] != (size_t)e->ny) {
        code = err_set(err, ERR_PARAM,
                       "user_mask %s: no image of %d x %d pixels, the size of %s", path,
                       e->nx, e->ny, e->meta.filename);
    }
    code = code ? code : fits_in_floats(f, hdu, &values, err);
    for (size_t i = 0; !code && i < exposure_pixels(e); i++) {
        mask[i] = values[i] != 0;
    }
    free(values);
    fits_in_close(f);
    return code;
}
