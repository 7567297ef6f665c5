#include "stages/stage.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

int stage_reference(const struct stage_env *env, const struct exposure_meta *meta,
                    const char *type, struct reference **ret_ref,
                    const void **ret_object, struct err *err)
{
    const char *override =
        env->override ? env->override(env->user, env->stage_name, type, meta) : NULL;
    struct reference_choice choice;
    int code = references_choose(env->refs, type, meta, override, &choice, err);
    if (!code) {
        code = references_load(env->refs, &choice, ret_ref, ret_object, err);
    }
    if (!code && env->used_reference) {
        env->used_reference(env->user, meta, &choice);
    }
    return code;
}

int stage_reference_if_any(const struct stage_env *env,
                           const struct exposure_meta *meta, const char *type,
                           struct reference **ret_ref, const void **ret_object,
                           struct err *err)
{
    const char *override =
        env->override ? env->override(env->user, env->stage_name, type, meta) : NULL;
    struct reference_choice choice;
    bool found = false;
    int code =
        references_choose_if_any(env->refs, type, meta, override, &choice, &found, err);
    if (code || !found) {
        *ret_ref = NULL;
        return code;
    }
    return stage_reference(env, meta, type, ret_ref, ret_object, err);
}

int stage_keep(const struct stage_env *env, const char *suffix, struct exposure *e,
               struct err *err)
{
    if (env->keep) {
        return env->keep(env->user, suffix, e, err);
    }
    exposure_free(e);
    return 0;
}

int stage_keep_spectrum(const struct stage_env *env, const char *suffix,
                        struct spectrum *s, struct err *err)
{
    if (env->keep_spectrum) {
        return env->keep_spectrum(env->user, suffix, s, err);
    }
    spectrum_free(s);
    return 0;
}

int stage_keep_planes(const struct stage_env *env, const char *exposure,
                      const char *suffix, struct plane_set *p, struct err *err)
{
    if (env->keep_planes) {
        return env->keep_planes(env->user, exposure, suffix, p, err);
    }
    plane_set_free(p);
    return 0;
}

void stage_skipped(const struct stage_env *env)
{
    if (env->skipped) {
        env->skipped(env->user);
    }
}

static void tell(const struct stage_env *env, int is_warning, const char *fmt,
                 va_list ap)
{
    char line[1024];
    if (env->note) {
        vsnprintf(line, sizeof line, fmt, ap);
        env->note(env->user, is_warning, line);
    }
}

void stage_note(const struct stage_env *env, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell(env, 0, fmt, ap);
    va_end(ap);
}

void stage_warn(const struct stage_env *env, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell(env, 1, fmt, ap);
    va_end(ap);
}

void stage_progress(const struct stage_env *env, double share)
{
    if (env->progress) {
        env->progress(env->user, share);
    }
}

size_t dataset_n(const struct dataset *data)
{
    return data->source ? data->source->n : data->n_exposures;
}

int dataset_open(struct dataset *data, size_t i, bool pixels, struct exposure **ret,
                 struct err *err)
{
    struct exposure *e = NULL;
    if (!data->source) {
        *ret = data->exposures[i];
        return 0;
    }
    int code = data->source->open(data->source->user, i, pixels, &e, err);
    for (size_t k = 0; k < data->n_correctors && !code; k++) {
        const struct corrector *c = &data->correctors[k];
        code = c->correct(c->user, e, pixels, err);
    }
    if (code) {
        dataset_close(data, i, e);
        return code;
    }
    *ret = e;
    return 0;
}

void dataset_close(struct dataset *data, size_t i, struct exposure *e)
{
    if (data->source && e) {
        data->source->close(data->source->user, i, e);
    }
}

int dataset_correct(struct dataset *data, const struct corrector *c, struct err *err)
{
    int code = 0;
    if (data->source) {
        if (data->n_correctors < sizeof data->correctors / sizeof *data->correctors) {
            data->correctors[data->n_correctors++] = *c;
            return 0;
        }
        code = err_set(err, ERR_BUG, "too many stages correct what is opened");
    }
    for (size_t i = 0; i < data->n_exposures && !code; i++) {
        code = c->correct(c->user, data->exposures[i], true, err);
    }
    c->done(c->user);
    return code;
}

bool dataset_needs_few_planes(const struct dataset *data)
{
    bool few = true;
    for (size_t k = 0; k < data->n_correctors; k++) {
        few = few && data->correctors[k].few_planes;
    }
    return few;
}

bool dataset_has_common_error(const struct dataset *data)
{
    bool any = false;
    for (size_t k = 0; k < data->n_correctors; k++) {
        any = any || data->correctors[k].common_error;
    }
    return any;
}

double dataset_common_error(const struct dataset *data, double um, double width_um)
{
    double sum = 0;
    for (size_t k = 0; k < data->n_correctors; k++) {
        const struct corrector *c = &data->correctors[k];
        const double sigma =
            c->common_error ? c->common_error(c->user, um, width_um) : 0;
        sum += sigma * sigma;
    }
    return sqrt(sum);
}

void dataset_correct_backgrounds(struct dataset *data, const struct corrector *c)
{
    struct corrector *mine = &data->background_corrector;
    if (mine->done) {
        mine->done(mine->user);
    }
    *mine = *c;
}

int dataset_describe(const struct dataset *data, struct header *primary,
                     struct err *err)
{
    int code = 0;
    for (size_t k = 0; k < data->n_correctors && !code; k++) {
        const struct corrector *c = &data->correctors[k];
        code = c->describe ? c->describe(c->user, primary, err) : 0;
    }
    return code;
}

void dataset_correctors_done(struct dataset *data)
{
    dataset_correct_backgrounds(data, &(struct corrector){0});
    while (data->n_correctors) {
        const struct corrector *c = &data->correctors[--data->n_correctors];
        c->done(c->user);
    }
}

int stage_each_exposure(const struct stage_env *env, const struct params *params,
                        struct dataset *data,
                        int (*one)(const struct stage_env *env,
                                   const struct params *params, struct exposure *e,
                                   struct err *err),
                        struct err *err)
{
    size_t n = dataset_n(data);
    for (size_t i = 0; i < n; i++) {
        struct exposure *e;
        int code = dataset_open(data, i, true, &e, err);
        if (code) {
            return code;
        }
        code = one(env, params, e, err);
        dataset_close(data, i, e);
        if (code) {
            return code;
        }
        stage_progress(env, (double)(i + 1) / (double)n);
    }
    return 0;
}
