#include "common/data/plane_set.h"

#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"
#include "common/data/product_asdf.h"

struct plane_set *plane_set_new(const char *model, const struct header *primary,
                                struct err *err)
{
    struct plane_set *p = mem_calloc(1, sizeof *p, err);
    if (!p) {
        return NULL;
    }
    p->model = model;
    if (header_copy(&p->primary, primary, err)) {
        plane_set_free(p);
        return NULL;
    }
    return p;
}

void plane_set_free(struct plane_set *p)
{
    if (p) {
        for (size_t i = 0; i < p->n; i++) {
            free(p->images[i].data);
        }
        header_done(&p->primary);
        free(p);
    }
}

int plane_set_add(struct plane_set *p, const char *extname, size_t nx, size_t ny,
                  size_t nz, float *data, struct err *err)
{
    if (p->n == PLANE_SET_MOST) {
        free(data);
        return err_set(err, ERR_BUG, "%s: more than %d images", extname,
                       PLANE_SET_MOST);
    }
    p->images[p->n++] =
        (struct plane_set_image){extname, nz ? 3 : 2, {nx, ny, nz}, data};
    return 0;
}

int plane_set_write(const struct plane_set *p, const char *path, const char *filename,
                    const struct provenance *provenance, struct err *err)
{
    struct header primary = {0};
    struct fits_out *f = NULL;
    int code = header_copy(&primary, &p->primary, err);
    code = code ? code
                : provenance_to_header(provenance, filename, p->model, &primary, err);
    code = code ? code : fits_out_create(path, &f, err);
    code = code ? code : fits_out_primary(f, &primary, err);
    for (size_t i = 0; i < p->n && !code; i++) {
        const struct plane_set_image *m = &p->images[i];
        code = fits_out_image(f, m->extname, NULL, FITS_FLOAT, m->n_axes, m->axes,
                              m->data, err);
    }
    code = code ? code : product_asdf_plain(p->model, f, err);
    code = code ? code : provenance_write(provenance, f, err);
    header_done(&primary);
    if (code) {
        fits_out_discard(f);
        return code;
    }
    return fits_out_close(f, err);
}
