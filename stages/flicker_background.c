#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "stages/flicker.h"
#include "stages/flicker_mesh.h"

#define SIGMA 3.0

static int box_size(const struct params *params, struct flicker_mesh *m,
                    struct err *err)
{
    const double *given;
    const size_t n = params_list(params, "background_box_size", &given);
    flicker_mesh_box(m);
    if (n == 0) {
        return 0;
    }
    bool is_right = n == 2;
    for (size_t i = 0; i < n; i++) {
        is_right &= given[i] >= 1 && floor(given[i]) == given[i];
    }
    if (!is_right) {
        return err_set(err, ERR_PARAM,
                       "background_box_size = %s: give two whole numbers, the rows and "
                       "the columns of a box, as 32,32",
                       params_text(params, "background_box_size"));
    }
    m->box_y = (int)fmin(given[0], m->ny);
    m->box_x = (int)fmin(given[1], m->nx);
    return 0;
}

static int take_model(const struct stage_env *env, const struct params *params,
                      struct flicker *f, struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    bool found = false;
    struct flicker_mesh mesh = {
        .image = f->image, .mask = f->mask, .nx = f->nx, .ny = f->ny};
    int code = box_size(params, &mesh, err);
    f->model = code ? NULL : mem_alloc(n, sizeof *f->model, err);
    if (!f->model) {
        return code ? code : ERR_NOMEM;
    }
    code = flicker_mesh(env, &mesh, f->model, &found, err);
    if (!code && !found) {
        stage_warn(env,
                   "%s: no box of %d x %d pixels has nine tenths of its pixels in the "
                   "background; the median is taken off instead of a model",
                   f->exposure->meta.filename, mesh.box_x, mesh.box_y);
        free(f->model);
        f->model = NULL;
    }
    return code;
}

static void take(void *arg, size_t first, size_t end)
{
    struct flicker *f = arg;
    for (size_t i = first; i < end; i++) {
        f->image[i] -= f->model ? f->model[i] : f->level;
    }
}

int flicker_background(const struct stage_env *env, const struct params *params,
                       struct flicker *f, struct err *err)
{
    const char *method = params_string(params, "background_method");
    if (!method) {
        return 0;
    }
    const struct flicker_cut cut = {.lower = SIGMA, .upper = SIGMA, .lower_half = true};
    int code = flicker_clip(env, f, &cut, &f->level, err);
    if (!code && !strcmp(method, "model")) {
        code = take_model(env, params, f, err);
    }
    if (f->model) {
        flicker_forget(f);
    } else {
        f->shift += (double)f->level;
    }
    return code ? code : flicker_pixels(env, f, take, f, err);
}
