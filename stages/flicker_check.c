#include "stages/flicker_check.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"

/* Is wide light stronger than the noise? `aside`: it is off the image already. */
static int judge_light(const struct stage_env *env, const struct flicker *f, bool aside,
                       struct flicker_check *check, struct err *err)
{
    const size_t nx = (size_t)f->nx;
    double squares = 0, n = 0;
    float *row = mem_alloc(nx, sizeof *row, err);
    int code = row ? 0 : ERR_NOMEM;
    if (!code && !aside) {
        code = flicker_column_levels(env, f->image, f->mask, f->nx, f->ny, row, err);
        code = code ? code
                    : flicker_light_fit(f->image, f->mask, row, f->nx, f->ny,
                                        &check->light, err);
    }
    for (int y = 0; !code && y < f->ny; y++) {
        const size_t first = (size_t)y * nx;
        flicker_light_row(&check->light, y, row);
        for (size_t x = 0; x < nx; x++) {
            const double v = (double)(f->image[first + x] - (aside ? 0 : row[x]));
            squares += f->mask[first + x] ? v * v : 0;
            n += f->mask[first + x];
        }
    }
    free(row);
    if (!code && check->light.found &&
        check->light.rms * check->light.rms * n > squares) {
        check->verdict = FLICKER_LIGHT;
    }
    return code;
}

int flicker_check_before(const struct stage_env *env, const struct params *params,
                         struct flicker *f, struct flicker_check *check,
                         struct err *err)
{
    const bool guard = params_bool(params, "guard");
    const bool aside =
        params_bool(params, "auto_mask") && !params_string(params, "user_mask");
    const double share = params_real(params, "hold_out");
    int code = guard ? judge_light(env, f, aside, check, err) : 0;
    if (!code && guard && check->verdict == FLICKER_CLEAN) {
        const bool by_output =
            params_bool(params, "fit_by_channel") && flicker_is_full_frame(f);
        check->verdict =
            flicker_guard_mask(f, by_output ? FLICKER_CHANNEL_ROWS : f->ny);
    }
    if (!code && share > 0) {
        check->held = mem_alloc((size_t)f->nx * (size_t)f->ny, 1, err);
        code = check->held ? 0 : ERR_NOMEM;
    }
    if (!code && check->held) {
        flicker_hold_out(f, share, check->held);
    }
    return code;
}

static void tell(const struct stage_env *env, const struct exposure *e,
                 const struct flicker_quality *q)
{
    stage_note(env,
               "%s: noise of %zu background pixels held out %.4g -> %.4g DN/s; power "
               "(DN/s)^2 below 100 Hz %.2e -> %.2e, to 1 kHz %.2e -> %.2e, to 10 kHz "
               "%.2e -> %.2e, to 50 kHz %.2e -> %.2e",
               e->meta.filename, q->pixels, sqrt(q->before), sqrt(q->after),
               q->band_before[0], q->band_after[0], q->band_before[1], q->band_after[1],
               q->band_before[2], q->band_after[2], q->band_before[3],
               q->band_after[3]);
}

int flicker_check_after(const struct stage_env *env, const struct params *params,
                        const struct flicker *f, struct exposure *e,
                        struct flicker_check *check, struct err *err)
{
    int code =
        check->light.found
            ? header_set_real(&e->primary, "CFN_LITE", check->light.rms,
                              "[DN/s] rms of wide light kept out of the fit", err)
            : 0;
    if (code || !check->held) {
        return code;
    }
    code = flicker_quality_measure(env, f, check->held, &check->quality, err);
    code = code ? code : flicker_quality_header(&check->quality, &e->primary, err);
    if (code) {
        return code;
    }
    tell(env, e, &check->quality);
    if (params_bool(params, "guard")) {
        check->verdict = flicker_guard_noise(&check->quality);
    }
    return 0;
}

void flicker_check_done(struct flicker_check *check)
{
    free(check->held);
}
