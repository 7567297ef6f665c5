#include "common/base/mem.h"
#include "stages/flicker.h"

int flicker_keep(const struct stage_env *env, const struct flicker *f,
                 const char *suffix, const uint8_t *mask, const float *values,
                 struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    struct exposure *e = exposure_new(f->nx, f->ny, err);
    int code = e ? header_copy(&e->primary, &f->exposure->primary, err) : ERR_NOMEM;
    if (!code) {
        e->meta = f->exposure->meta;
        e->sci = mem_alloc(n, sizeof *e->sci, err);
        code = e->sci ? 0 : ERR_NOMEM;
    }
    if (code) {
        exposure_free(e);
        return code;
    }
    if (mask) {
        e->meta.bunit[0] = '\0';
    }
    for (size_t i = 0; i < n; i++) {
        e->sci[i] = values ? values[i] : (float)mask[i];
    }
    return stage_keep(env, suffix, e, err);
}
