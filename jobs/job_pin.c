#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/exposure_io.h"
#include "jobs/job.h"
#include "jobs/job_context.h"
#include "jobs/job_plan.h"
#include "common/data/spectrum_io.h"
#include "jobs/job_wcs.h"

static int look_at_spectrum(const char *path, struct err *err)
{
    struct spectrum *s = NULL;
    int code = spectrum_read(path, &s, err);
    spectrum_free(s);
    return code;
}

static int look(const char *path, struct err *err)
{
    struct exposure *e = NULL;
    int code = exposure_read_headers(path, &e, err);
    exposure_free(e);
    return code;
}

int job_check(const struct job *job, struct err *err)
{
    struct job_plan plan;
    int code = job_plan_make(job, &plan, err);
    if (code) {
        return code;
    }
    job_plan_done(&plan);
    for (size_t i = 0; i < job->n_inputs && !code; i++) {
        code = strcmp(job->recipe, RECIPE_COMBINE)
                   ? look(job->inputs[i].path, err)
                   : look_at_spectrum(job->inputs[i].path, err);
    }
    for (size_t i = 0; i < job->n_members && !code && !strcmp(job->recipe, "spec2");
         i++) {
        code = look(job->members[i].path, err);
    }
    return code;
}

/* A path that means the same whatever the working folder is. Links are kept: products
 * are named after the name that was given. */
static int make_absolute(char **path, struct err *err)
{
    if (**path == '/') {
        return 0;
    }
    char *here = getcwd(NULL, 0);
    char *joined = here ? path_join(here, *path, err) : NULL;
    int code = joined ? 0 : err_set(err, ERR_IO, "the working folder has no name");
    free(here);
    if (!code) {
        free(*path);
        *path = joined;
    }
    return code;
}

static int pin(struct job *job, size_t *room, const struct exposure_meta *meta,
               const struct reference_choice *choice, struct err *err)
{
    if (job->n_references == *room) {
        size_t more = *room ? 2 * *room : 32;
        struct job_reference *grown =
            mem_realloc(job->references, more, sizeof *grown, err);
        if (!grown) {
            return ERR_NOMEM;
        }
        job->references = grown;
        *room = more;
    }
    struct job_reference *r = &job->references[job->n_references++];
    *r = (struct job_reference){0};
    memcpy(r->type, choice->type, sizeof r->type);
    memcpy(r->sha256, choice->sha256, sizeof r->sha256);
    r->input = mem_strdup(meta->filename, err);
    r->path = mem_strdup(choice->path, err);
    return r->input && r->path ? make_absolute(&r->path, err) : ERR_NOMEM;
}

/* The context that "latest" stands for, so that the manifest says which. */
static int pin_context(struct job *job, struct references *refs, struct err *err)
{
    char context[64];
    references_context(refs, context);
    if (!context[0]) {
        return 0;
    }
    free(job->crds_context);
    job->crds_context = mem_strdup(context, err);
    return job->crds_context ? 0 : ERR_NOMEM;
}

/* is_member: only what imprints and backgrounds go through. */
static int pin_exposure(struct job *job, const struct job_plan *plan, size_t *room,
                        struct references *refs, const struct exposure *e,
                        bool is_member, struct err *err)
{
    const struct exposure_meta *meta = &e->meta;
    const bool from_file = !is_member && job_wcs_from_file(plan, refs, e, false);
    int code = 0;
    for (int i = 0; i <= plan->last && !code; i++) {
        const struct stage *stage = plan->recipe->steps[i].stage;
        if (!job_plan_chooses(plan, i, is_member) ||
            (from_file && plan->recipe->steps[i].flags & STEP_ON_OPEN)) {
            continue;
        }
        for (const char *const *t = stage->reference_types; *t && !code; t++) {
            struct reference_choice choice;
            const char *override = recipe_override(plan->settings, stage->name, *t);
            bool found = true;
            code = reference_type_is_optional(*t)
                       ? references_choose_if_any(refs, *t, meta, override, &choice,
                                                  &found, err)
                       : references_choose(refs, *t, meta, override, &choice, err);
            if (!code && found) {
                code = pin(job, room, meta, &choice, err);
            } else if (code) {
                err_prefix(err, "%s", stage->name);
            }
        }
    }
    return code;
}

static int pin_member(struct job *job, struct job_member *m,
                      const struct job_plan *plan, size_t *room,
                      struct references *refs, struct err *err)
{
    struct exposure *e = NULL;
    int code =
        strcmp(job->recipe, "spec2") ? 0 : exposure_read_headers(m->path, &e, err);
    code = code ? code : make_absolute(&m->path, err);
    if (!code && !m->sha256[0]) {
        code = references_hash(refs, m->path, m->sha256, err);
    }
    if (!code && e) {
        code = pin_exposure(job, plan, room, refs, e, true, err);
    }
    exposure_free(e);
    return code;
}

/* combine: spectra need no references; the first names the product. */
static int pin_spectra(struct job *job, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < job->n_inputs && !code; i++) {
        struct spectrum *s = NULL;
        code = spectrum_read(job->inputs[i].path, &s, err);
        code = code ? code : make_absolute(&job->inputs[i].path, err);
        if (!code && !job->product_name) {
            job->product_name = job_target_base(&s->meta, err);
            code = job->product_name ? 0 : ERR_NOMEM;
        }
        spectrum_free(s);
    }
    return code;
}

int job_hash_inputs(const struct job *job, bool all, struct references *refs,
                    struct par *par, struct err *err)
{
    const char **paths = mem_alloc(job->n_inputs, sizeof *paths, err);
    size_t n = 0;
    if (!paths) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < job->n_inputs; i++) {
        if (all || !job->inputs[i].sha256[0]) {
            paths[n++] = job->inputs[i].path;
        }
    }
    const int code = references_hash_all(refs, n, paths, par, err);
    free(paths);
    return code;
}

/* Of the inputs, where they are not known yet. */
static int pin_hashes(struct job *job, struct references *refs, struct par *par,
                      struct err *err)
{
    int code = job_hash_inputs(job, false, refs, par, err);
    for (size_t i = 0; i < job->n_inputs && !code; i++) {
        struct job_input *in = &job->inputs[i];
        code = in->sha256[0] ? 0 : references_hash(refs, in->path, in->sha256, err);
    }
    return code;
}

/* What an earlier choice named. */
static void drop_references(struct job *job)
{
    for (size_t i = 0; i < job->n_references; i++) {
        free(job->references[i].input);
        free(job->references[i].path);
    }
    free(job->references);
    job->references = NULL;
    job->n_references = 0;
}

static int pin_paths(struct job *job, const struct job_plan *plan,
                     struct references *refs, struct err *err)
{
    int code = 0;
    if (job->reference_folder) {
        code = make_absolute(&job->reference_folder, err);
    }
    if (!code && job->crds_path) {
        code = make_absolute(&job->crds_path, err);
        code = code ? code : pin_context(job, refs, err);
    }
    if (!code) {
        code = make_absolute(&job->output_folder, err);
    }
    for (size_t i = 0; i < job->n_settings && !code; i++) {
        if (job_plan_is_path(plan, &job->settings[i])) {
            code = make_absolute(&job->settings[i].value, err);
        }
    }
    return code;
}

/* Exposures, each with its references. */
static int pin_exposures(struct job *job, const struct job_plan *plan,
                         struct job_group *group, size_t *room, struct references *refs,
                         struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < job->n_inputs && !code; i++) {
        struct exposure *e = NULL;
        code = exposure_read_headers(job->inputs[i].path, &e, err);
        if (!code) {
            code = job_group_add(group, plan, &e->meta, err);
        }
        if (!code) {
            code = make_absolute(&job->inputs[i].path, err);
        }
        if (!code) {
            code = pin_exposure(job, plan, room, refs, e, false, err);
        }
        exposure_free(e);
    }
    return code ? code : job_group_check(group, plan, err);
}

int job_pin(struct job *job, struct references *refs, struct par *par, struct err *err)
{
    struct job_plan plan = {0};
    struct job_group group = {0};
    size_t room = 0;
    int code = job_plan_make(job, &plan, err);
    if (code) {
        return code;
    }
    drop_references(job);
    code = pin_paths(job, &plan, refs, err);
    if (!code && !strcmp(job->recipe, RECIPE_COMBINE)) {
        code = pin_spectra(job, err);
    } else if (!code) {
        code = pin_exposures(job, &plan, &group, &room, refs, err);
    }
    code = code ? code : pin_hashes(job, refs, par, err);
    for (size_t i = 0; i < job->n_members && !code; i++) {
        code = pin_member(job, &job->members[i], &plan, &room, refs, err);
        code = code ? err_prefix(err, "%s", job->members[i].role) : 0;
    }
    if (!code && !job->product_name && !strcmp(job->recipe, "spec3")) {
        job->product_name = job_group_base(&group.first, err);
        code = job->product_name ? 0 : ERR_NOMEM;
    }
    job_plan_done(&plan);
    return code;
}
