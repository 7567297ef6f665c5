#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/ref_flat.h"
#include "stages/flicker.h"
#include "stages/flicker_mesh.h"

/* Pixels without a value get a smooth one, so that they do not disturb the fit. */
static int fill_gaps(const struct stage_env *env, struct flicker *f, float *flat,
                     struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    const struct flicker_cut cut = {.lower = 3, .upper = 3, .lower_half = true};
    size_t bad = 0;
    bool found = false;
    float level = 0;
    for (size_t i = 0; i < n; i++) {
        f->mask[i] = isfinite(flat[i]) && flat[i] != 0;
        f->image[i] = f->mask[i] ? flat[i] : 0;
        bad += !f->mask[i];
    }
    if (bad == 0) {
        return 0;
    }
    struct flicker_mesh mesh = {
        .image = f->image, .mask = f->mask, .nx = f->nx, .ny = f->ny};
    flicker_mesh_box(&mesh);
    int code = flicker_clip(env, f, &cut, &level, err);
    flicker_forget(f);
    code = code ? code : flicker_mesh(env, &mesh, f->noise, &found, err);
    for (size_t i = 0; !code && i < n; i++) {
        if (!isfinite(flat[i]) || flat[i] == 0) {
            flat[i] = found ? f->noise[i] : level;
        }
    }
    if (!code && bad == n) {
        code = err_set(err, ERR_REFERENCE, "flat: no pixel has a value");
    }
    return code;
}

static int read_flat(const struct stage_env *env, const struct ref_flat *r,
                     struct flicker *f, struct err *err)
{
    const struct exposure_meta *meta = &f->exposure->meta;
    const size_t x0 = (size_t)meta->substrt1 - 1, y0 = (size_t)meta->substrt2 - 1;
    const size_t nx = (size_t)f->nx, ny = (size_t)f->ny;
    if (!ref_flat_covers(r, x0, y0, nx, ny)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: the flat's image of %zu x %zu pixels from (%zu, %zu) does "
                       "not cover the %d x %d pixels from (%d, %d) of %s",
                       r->sci.path, r->sci.nx, r->sci.ny, r->x0 + 1, r->y0 + 1, f->nx,
                       f->ny, meta->substrt1, meta->substrt2, meta->filename);
    }
    f->flat = mem_alloc(nx * ny, sizeof *f->flat, err);
    int code = f->flat ? 0 : ERR_NOMEM;
    for (size_t y = 0; y < ny && !code; y++) {
        code = ref_planes_floats(&r->sci, 0, x0 - r->x0, y0 - r->y0 + y, nx,
                                 f->flat + y * nx, err);
    }
    return code ? code : fill_gaps(env, f, f->flat, err);
}

int flicker_flat(const struct stage_env *env, struct flicker *f, struct err *err)
{
    struct reference *ref = NULL;
    const void *object = NULL;
    int code =
        stage_reference_if_any(env, &f->exposure->meta, "flat", &ref, &object, err);
    if (!code && !ref) {
        stage_warn(env,
                   "%s: apply_flat_field: there is no flat for %s unless override_flat "
                   "names one; the fit goes without",
                   f->exposure->meta.filename, f->exposure->meta.exp_type);
    } else if (!code) {
        code = read_flat(env, object, f, err);
    }
    reference_release(ref);
    return code;
}
