#include "common/data/dq.h"
#include "common/data/ref_msa.h"
#include "common/data/ref_msaoper.h"
#include "common/data/wcs_shutter.h"
#include "stages/stage.h"

/*
 * msa_flagging: flags the pixels on which light of shutters falls that stand open for
 * good, whatever the MSA was told.
 *
 * Needs the WCS (assign_wcs); references msaoper (which shutters) and msa (where they
 * are). Changes DQ: MSA_FAILED_OPEN. Without one of the references nothing is flagged.
 * Reference: jwst user documentation, "msa_flagging". Test: tests/stages/test_msa_flagging.c
 */

struct job {
    const struct exposure *e;
    const struct ref_msaoper *oper;
    const struct ref_msa *msa;
};

static int find_shutter(const struct job *job, const struct msaoper_shutter *s,
                        const struct msa_shutter **ret, struct err *err)
{
    const struct msa_quadrant *q = &job->msa->quadrant[s->quadrant - 1];
    size_t number = (size_t)(s->x - 1) + (size_t)(s->y - 1) * REF_MSA_COLUMNS;
    if (number >= q->n) {
        return err_set(err, ERR_REFERENCE,
                       "msaoper: shutter x %d, y %d of Q%d is number %zu; msa has %zu "
                       "of Q%d",
                       s->x, s->y, s->quadrant, number + 1, q->n, s->quadrant);
    }
    *ret = &q->shutter[number];
    return 0;
}

/* Shutters run one after another: their traces may cross. */
static int flag_all(const struct stage_env *env, const struct job *job, uint32_t *dq,
                    size_t *ret_seen, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < job->oper->n && !code; i++) {
        const struct msaoper_shutter *s = &job->oper->open[i];
        const struct msa_shutter *place = NULL;
        size_t n = 0;
        if (env->cancel && atomic_load(env->cancel)) {
            return err_set(err, ERR_CANCELLED, "stopped between two shutters");
        }
        code = find_shutter(job, s, &place, err);
        if (!code) {
            code =
                wcs_shutter_flag(job->e->wcs, job->msa->quadrant[s->quadrant - 1].plane,
                                 place, DQ_MSA_FAILED_OPEN, dq, &n, err);
            if (code) {
                err_prefix(err, "msa: shutter x %d, y %d of Q%d", s->x, s->y,
                           s->quadrant);
            }
        }
        *ret_seen += n > 0;
    }
    return code;
}

static int flag_exposure(const struct stage_env *env, struct exposure *e,
                         const struct ref_msaoper *oper, const struct ref_msa *msa,
                         struct err *err)
{
    const struct job job = {.e = e, .oper = oper, .msa = msa};
    size_t seen = 0, pixels = 0;
    if (!e->wcs) {
        return err_set(err, ERR_INPUT, "%s: msa_flagging needs assign_wcs before it",
                       e->meta.filename);
    }
    int code = flag_all(env, &job, e->dq, &seen, err);
    for (size_t i = 0; i < exposure_pixels(e) && !code; i++) {
        pixels += (e->dq[i] & DQ_MSA_FAILED_OPEN) != 0;
    }
    if (!code) {
        stage_note(env, "%s: %zu of %zu failed-open shutters fall on it, on %zu pixels",
                   e->meta.filename, seen, oper->n, pixels);
    }
    return code;
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    struct reference *oper = NULL, *msa = NULL;
    const void *shutters = NULL, *places = NULL;
    (void)params;
    int code = stage_reference_if_any(env, &e->meta, "msaoper", &oper, &shutters, err);
    if (!code && oper) {
        code = stage_reference_if_any(env, &e->meta, "msa", &msa, &places, err);
    }
    if (!code && oper && msa) {
        code = flag_exposure(env, e, shutters, places, err);
    } else if (!code) {
        stage_note(env,
                   "%s: there is no reference of type '%s': failed-open shutters are "
                   "not flagged",
                   e->meta.filename, oper ? "msa" : "msaoper");
        stage_skipped(env);
    }
    reference_release(oper);
    reference_release(msa);
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    return stage_each_exposure(env, params, data, one_exposure, err);
}

static const char *const types[] = {"msaoper", "msa", NULL};

const struct stage stage_msa_flagging = {
    .name = "msa_flagging",
    .status_keyword = "S_MSAFLG",
    .suffix = "msa_flagging",
    .summary = "Flag pixels that see failed-open shutters of the MSA",
    .reference_types = types,
    .run = run,
};
