#include "jobs/job_fingerprint.h"

#include <string.h>

#include "common/base/path.h"

/* Fields end with a zero byte, which no text holds: they cannot run into each other. */
static int put(struct sha256 *sum, const char *text, struct err *err)
{
    return sha256_add(sum, text, strlen(text) + 1, err);
}

static int put_file(struct sha256 *sum, const char *role, const char *path,
                    const char *sha256, struct err *err)
{
    int code = put(sum, role, err);
    code = code ? code : put(sum, path_base(path), err);
    return code ? code : put(sum, sha256, err);
}

/* Are the hashes known of all that it depends on? Spectra are combined without references. */
static bool is_pinned(const struct job *job)
{
    bool pinned = job->n_references > 0 || !strcmp(job->recipe, RECIPE_COMBINE);
    for (size_t i = 0; i < job->n_inputs; i++) {
        pinned = pinned && job->inputs[i].sha256[0];
    }
    for (size_t i = 0; i < job->n_members; i++) {
        pinned = pinned && job->members[i].sha256[0];
    }
    for (size_t i = 0; i < job->n_references; i++) {
        pinned = pinned && job->references[i].sha256[0];
    }
    return pinned;
}

static int put_inputs(struct sha256 *sum, const struct job *job, struct err *err)
{
    int code = put(sum, job->recipe, err);
    for (size_t i = 0; i < job->n_inputs && !code; i++) {
        code = put_file(sum, "input", job->inputs[i].path, job->inputs[i].sha256, err);
    }
    for (size_t i = 0; i < job->n_members && !code; i++) {
        const struct job_member *m = &job->members[i];
        code = put_file(sum, m->role, m->path, m->sha256, err);
    }
    return code;
}

static int put_parameters(struct sha256 *sum, const struct params *params,
                          struct references *refs, struct err *err)
{
    size_t n = 0;
    const struct param *table = params ? params_table(params, &n) : NULL;
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        const char *text = params_text(params, table[i].name);
        char hash[SHA256_HEX] = "";
        if (!strcmp(table[i].unit, "file") && !params_is_none(params, table[i].name)) {
            code = references_hash(refs, text, hash, err);
            text = path_base(text);
        }
        code = code ? code : put_file(sum, table[i].name, text, hash, err);
    }
    return code;
}

static int put_references(struct sha256 *sum, const struct job *job,
                          const struct stage *stage, struct err *err)
{
    int code = 0;
    for (const char *const *type = stage->reference_types; *type && !code; type++) {
        for (size_t i = 0; i < job->n_references && !code; i++) {
            const struct job_reference *r = &job->references[i];
            if (!strcmp(r->type, *type)) {
                code = put(sum, r->input, err);
                code = code ? code : put_file(sum, *type, r->path, r->sha256, err);
            }
        }
    }
    return code;
}

static int put_step(struct sha256 *sum, const struct job_plan *plan, int i,
                    struct references *refs, const char *version, struct err *err)
{
    const struct recipe_step *step = &plan->recipe->steps[i];
    const bool runs = job_plan_runs(plan, i);
    int code = put(sum, step->name, err);
    code = code ? code : put(sum, version, err);
    code = code ? code : put(sum, runs ? "runs" : "skipped", err);
    if (!code && runs) {
        code = put_parameters(sum, recipe_params(plan->settings, i), refs, err);
        code = code ? code : put_references(sum, plan->job, step->stage, err);
    }
    return code;
}

int job_fingerprint(const struct job_plan *plan, struct references *refs,
                    const char *version, struct job_fingerprint *ret, struct err *err)
{
    char before[SHA256_HEX] = "";
    int code = 0;
    *ret = (struct job_fingerprint){0};
    if (!is_pinned(plan->job)) {
        return 0;
    }
    for (int i = -1; i <= plan->last && !code; i++) {
        struct sha256 *sum = NULL;
        code = sha256_begin(&sum, err);
        code = code ? code : put(sum, before, err);
        code = code    ? code
               : i < 0 ? put_inputs(sum, plan->job, err)
                       : put_step(sum, plan, i, refs, version, err);
        if (code) {
            sha256_end(&sum, NULL, NULL);
        } else if (!(code = sha256_end(&sum, before, err)) && i >= 0) {
            memcpy(ret->step[i], before, sizeof before);
        }
    }
    ret->n = code ? 0 : plan->last + 1;
    return code;
}

bool job_fingerprint_agrees(const struct job_fingerprint *f,
                            const struct recipe *recipe, const struct provenance *p,
                            int *ret_last)
{
    bool agrees = true;
    int last = -1;
    for (size_t i = 0; i < p->n; i++) {
        struct err none = {0};
        int step;
        if (p->items[i].kind != PROVENANCE_FINGERPRINT) {
            continue;
        }
        if (recipe_step_find(recipe, p->items[i].stage, &step, &none)) {
            agrees = false;
            continue;
        }
        last = step > last ? step : last;
        agrees = agrees && step < f->n && !strcmp(f->step[step], p->items[i].sha256);
    }
    *ret_last = last;
    return agrees && last >= 0;
}
