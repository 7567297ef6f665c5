#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "stages/flicker.h"
#include "stages/flicker_mesh.h"

#define SIGMA 3.0

enum { LARGEST_BOX = 32 };

/* The largest box up to 32 that divides the image evenly. */
static int even_box(int size)
{
    int box = LARGEST_BOX;
    while (size % box) {
        box--;
    }
    return box;
}

static int box_size(const struct params *params, const struct flicker *f, int box[2],
                    struct err *err)
{
    const double *given;
    const size_t n = params_list(params, "background_box_size", &given);
    box[0] = even_box(f->ny);
    box[1] = even_box(f->nx);
    if (n == 0) {
        return 0;
    }
    const int size[2] = {f->ny, f->nx};
    for (int i = 0; i < 2 && n == 2; i++) {
        box[i] = given[i] < size[i] ? (int)given[i] : size[i];
        if ((double)(int)given[i] != given[i]) {
            box[i] = 0;
        }
    }
    if (n != 2 || box[0] < 1 || box[1] < 1) {
        return err_set(err, ERR_PARAM,
                       "background_box_size = %s: give two whole numbers, the rows and "
                       "the columns of a box, as 32,32",
                       params_text(params, "background_box_size"));
    }
    return 0;
}

static int take_model(const struct stage_env *env, const struct params *params,
                      struct flicker *f, struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    bool found = false;
    int box[2];
    int code = box_size(params, f, box, err);
    f->model = code ? NULL : mem_alloc(n, sizeof *f->model, err);
    if (!f->model) {
        return code ? code : ERR_NOMEM;
    }
    const struct flicker_mesh mesh = {.image = f->image,
                                      .mask = f->mask,
                                      .nx = f->nx,
                                      .ny = f->ny,
                                      .box_y = box[0],
                                      .box_x = box[1]};
    code = flicker_mesh(env, &mesh, f->model, &found, err);
    if (!code && !found) {
        stage_warn(env,
                   "%s: no box of %d x %d pixels has nine tenths of its pixels in the "
                   "background; the median is taken off instead of a model",
                   f->exposure->meta.filename, box[1], box[0]);
        free(f->model);
        f->model = NULL;
    }
    return code;
}

int flicker_background(const struct stage_env *env, const struct params *params,
                       struct flicker *f, struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    const char *method = params_string(params, "background_method");
    if (!method) {
        return 0;
    }
    const struct flicker_cut cut = {.lower = SIGMA, .upper = SIGMA, .lower_half = true};
    int code = flicker_clip(env, f->image, f->mask, n, &cut, &f->level, err);
    if (!code && !strcmp(method, "model")) {
        code = take_model(env, params, f, err);
    }
    for (size_t i = 0; !code && i < n; i++) {
        f->image[i] -= f->model ? f->model[i] : f->level;
    }
    return code;
}
