#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/sha256.h"
#include "common/data/exposure_io.h"
#include "common/data/spectrum_io.h"
#include "jobs/job.h"
#include "jobs/job_code.h"
#include "jobs/job_context.h"
#include "jobs/job_resume.h"

/* ---- what stages ask for and tell ------------------------------------------------- */

static const char *on_override(void *user, const char *stage, const char *type,
                               const struct exposure_meta *meta)
{
    const struct job_context *c = user;
    return job_plan_override(&c->plan, stage, type, meta);
}

void job_context_used(struct job_context *c, const char *stage,
                      const struct reference_choice *choice)
{
    static const char in_cache[] = "/references/";
    const char *crds = c->job->crds_path;
    size_t n = crds ? strlen(crds) : 0;
    bool is_crds = crds && !strncmp(choice->path, crds, n) &&
                   !strncmp(choice->path + n, in_cache, sizeof in_cache - 1);
    char name[sizeof choice->name + 8];
    struct err err = {0};
    snprintf(name, sizeof name, "%s%s", is_crds ? "crds://" : "", choice->name);
    if (provenance_add(&c->provenance, PROVENANCE_REFERENCE, stage, choice->type, name,
                       choice->sha256, &err)) {
        c->late = err;
    }
}

static void on_reference(void *user, const struct exposure_meta *meta,
                         const struct reference_choice *choice)
{
    struct job_context *c = user;
    (void)meta;
    job_context_used(c, c->plan.recipe->steps[c->step].name, choice);
}

/* Written at once: memory holds it no longer than it must. */
static int on_keep(void *user, const char *suffix, struct exposure *e, struct err *err)
{
    int code = job_write_exposure(user, e, suffix, err);
    exposure_free(e);
    return code;
}

static int on_keep_spectrum(void *user, const char *suffix, struct spectrum *s,
                            struct err *err)
{
    int code = job_write_kept_spectrum(user, s, suffix, err);
    spectrum_free(s);
    return code;
}

static int on_keep_planes(void *user, const char *exposure, const char *suffix,
                          struct plane_set *p, struct err *err)
{
    int code = job_write_planes(user, exposure, p, suffix, err);
    plane_set_free(p);
    return code;
}

/* What a stage does to a member says nothing of the product. */
static void on_skipped(void *user)
{
    struct job_context *c = user;
    if (!c->member) {
        c->idle |= UINT32_C(1) << c->step;
    }
}

static void tell_share(const struct job_context *c, double share)
{
    if (c->events && c->events->stage) {
        c->events->stage(c->events->user, c->plan.recipe->steps[c->step].name, c->index,
                         c->count, share);
    }
}

/* From a stage: it begins and ends when the runner says so, not before its product is
 * written. */
static void on_progress(void *user, double share)
{
    if (share > 0 && share < 1) {
        tell_share(user, share);
    }
}

static void on_note(void *user, int is_warning, const char *line)
{
    const struct job_context *c = user;
    const char *stage = c->plan.recipe->steps[c->step].name;
    char text[1200];
    if (!c->events || !c->events->note) {
        return;
    }
    if (c->member && strncmp(line, c->member, strlen(c->member))) {
        snprintf(text, sizeof text, "%s: %s", c->member, line);
        line = text;
    }
    c->events->note(c->events->user, is_warning, stage, line);
}

struct stage_env job_context_env(struct job_context *c, const char *name)
{
    return (struct stage_env){
        .par = c->par,
        .refs = c->refs,
        .cancel = c->cancel,
        .recipe = c->plan.recipe->name,
        .scratch = c->job->output_folder,
        .override = on_override,
        .used_reference = on_reference,
        .keep = on_keep,
        .keep_spectrum = on_keep_spectrum,
        .keep_planes = on_keep_planes,
        .skipped = on_skipped,
        .progress = on_progress,
        .note = on_note,
        .user = c,
        .stage_name = name,
    };
}

/* ---- before the first stage ------------------------------------------------------- */

static int check_file(struct job_context *c, const char *role, const char *path,
                      const char *sha256, struct err *err)
{
    char hash[65];
    int code = references_hash(c->refs, path, hash, err);
    if (!code && sha256[0] && strcmp(hash, sha256)) {
        code = err_set(err, ERR_INPUT, "%s: SHA-256 is %s, the manifest says %s", path,
                       hash, sha256);
    }
    if (!code) {
        code = provenance_add(&c->provenance, PROVENANCE_INPUT, "", role,
                              path_base(path), hash, err);
    }
    return code;
}

static int begin(struct job_context *c, struct err *err)
{
    const struct job *job = c->job;
    struct job told = *job;
    int code = 0;
    told.attempt = 1; /* the products are the same, however often it was tried ... */
    told.n_reuse = 0; /* ... and whatever was there already */
    told.replaces = NULL;
    c->manifest = job_to_json(&told, err);
    if (!c->manifest) {
        return ERR_NOMEM;
    }
    strncpy(c->provenance.version, IFUD_VERSION, sizeof c->provenance.version - 1);
    if (job->crds_path && job->crds_context) {
        snprintf(c->provenance.crds_context, sizeof c->provenance.crds_context, "%s",
                 job->crds_context);
    }
    strncpy(c->provenance.date, job->date, sizeof c->provenance.date - 1);
    code = sha256_bytes(c->manifest, strlen(c->manifest), c->provenance.manifest_sha256,
                        err);
    code = code ? code : job_hash_inputs(job, true, c->refs, c->par, err);
    for (size_t i = 0; i < job->n_inputs && !code; i++) {
        const struct job_input *in = &job->inputs[i];
        code = check_file(c, "exposure", in->path, in->sha256, err);
    }
    for (size_t i = 0; i < job->n_members && !code; i++) {
        const struct job_member *m = &job->members[i];
        code = check_file(c, m->role, m->path, m->sha256, err);
    }
    if (!code) {
        code = path_make_folder(job->output_folder, 0777, err);
    }
    code = code ? code
                : job_fingerprint(&c->plan, c->refs, job_code_version(),
                                  &c->fingerprint, err);
    code = code ? code : job_resume_find(c, err);
    for (int i = c->resumed + 1; i <= c->plan.last; i++) {
        c->count += job_plan_runs(&c->plan, i) &&
                    !(c->plan.recipe->steps[i].flags & STEP_ON_OPEN);
    }
    return code;
}

/* spec2: the exposure comes into memory. */
static int read_one(struct job_context *c, struct err *err)
{
    const char *path = c->job->inputs[0].path;
    c->base = c->job->product_name ? mem_strdup(c->job->product_name, err)
                                   : job_input_base(path, err);
    if (!c->base) {
        return ERR_NOMEM;
    }
    if (c->resumed >= 0) {
        return 0;
    }
    c->data.exposures = mem_calloc(1, sizeof(struct exposure *), err);
    int code =
        c->data.exposures ? exposure_read(path, &c->data.exposures[0], err) : ERR_NOMEM;
    if (!code) {
        const struct exposure_meta *meta = &c->data.exposures[0]->meta;
        c->data.n_exposures = 1;
        code = exposure_check_rate(meta, err);
        code = code ? code
                    : job_plan_check_pins(&c->plan, c->refs, meta, false, true, err);
    }
    return code;
}

/* spec3: exposures are opened as they are needed. */
static int read_group(struct job_context *c, struct job_source **source,
                      struct err *err)
{
    int code = job_source_new(c, source, err);
    if (!code) {
        c->data.source = job_source_interface(*source);
        c->base = c->job->product_name ? mem_strdup(c->job->product_name, err)
                                       : job_group_base(job_source_first(*source), err);
        code = c->base ? 0 : ERR_NOMEM;
    }
    return code;
}

/* combine: the spectra come into memory. */
static int read_spectra(struct job_context *c, struct err *err)
{
    struct dataset *d = &c->data;
    int code = 0;
    d->spectra = mem_calloc(c->job->n_inputs, sizeof *d->spectra, err);
    code = d->spectra ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < c->job->n_inputs && !code; i++) {
        code = spectrum_read(c->job->inputs[i].path, &d->spectra[i], err);
        d->n_spectra += !code;
    }
    if (!code) {
        c->base = c->job->product_name ? mem_strdup(c->job->product_name, err)
                                       : job_target_base(&d->spectra[0]->meta, err);
        code = c->base ? 0 : ERR_NOMEM;
    }
    return code;
}

static void free_spectra(struct job_context *c)
{
    for (size_t i = 0; i < c->data.n_spectra; i++) {
        spectrum_free(c->data.spectra[i]);
    }
    free(c->data.spectra);
}

/* ---- stages ----------------------------------------------------------------------- */

/* By what the step is done, and when. */
static int note_fingerprint(struct job_context *c, struct err *err)
{
    char name[64];
    if (c->step >= c->fingerprint.n) {
        return 0;
    }
    snprintf(name, sizeof name, "code %s", job_code_version());
    return provenance_add(&c->provenance, PROVENANCE_FINGERPRINT,
                          c->plan.recipe->steps[c->step].name, name, c->job->date,
                          c->fingerprint.step[c->step], err);
}

static int note_parameters(struct job_context *c, struct err *err)
{
    const struct params *params = recipe_params(c->plan.settings, c->step);
    const char *stage = c->plan.recipe->steps[c->step].name;
    size_t n;
    const struct param *table = params_table(params, &n);
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        code =
            provenance_add(&c->provenance, PROVENANCE_PARAMETER, stage, table[i].name,
                           params_text(params, table[i].name), NULL, err);
    }
    return code;
}

static void free_exposures(struct job_context *c)
{
    for (size_t i = 0; i < c->data.n_exposures; i++) {
        exposure_free(c->data.exposures[i]);
    }
    free(c->data.exposures);
    c->data.exposures = NULL;
    c->data.n_exposures = 0;
}

/* What no later stage and no later product needs goes at once. */
static void drop_spare_planes(struct job_context *c)
{
    for (int i = c->step + 1; i <= c->plan.last; i++) {
        if (c->plan.save[i] && !c->data.cube) {
            return;
        }
    }
    for (size_t i = 0; i < c->data.n_exposures; i++) {
        struct exposure *e = c->data.exposures[i];
        free(e->pathloss_ps);
        free(e->pathloss_un);
        free(e->var_background);
        e->pathloss_ps = e->pathloss_un = e->var_background = NULL;
    }
}

static int resume(struct job_context *c, struct err *err)
{
    int code = job_resume_load(c, err);
    c->step = c->resumed;
    if (!code && c->data.n_exposures) {
        drop_spare_planes(c);
    }
    return code;
}

static int write_reached(struct job_context *c, bool new_cube, bool new_spectrum,
                         struct err *err)
{
    const struct stage *stage = c->plan.recipe->steps[c->step].stage;
    int code = 0;
    if (new_spectrum) {
        return job_write_spectrum(c, stage->suffix, err);
    }
    if (new_cube) {
        code = job_write_cube(c, stage->suffix, err);
        free_exposures(c); /* what follows works on the cube */
        return code;
    }
    if (c->data.source && c->plan.save[c->step] && !c->data.cube) {
        return job_write_opened(c, stage->suffix, err);
    }
    bool is_cal = !strcmp(stage->suffix, "cal");
    if (c->data.n_exposures == 1 && (is_cal || c->plan.save[c->step])) {
        code = job_write_exposure(c, c->data.exposures[0], stage->suffix, err);
    }
    if (!code && is_cal) {
        drop_spare_planes(c);
    }
    return code;
}

static void note_timing(struct job_result *r, const char *stage, double run,
                        double write)
{
    if (r->n_timings < sizeof r->timings / sizeof r->timings[0]) {
        r->timings[r->n_timings++] = (struct job_timing){stage, run, write};
    }
}

static int run_step(struct job_context *c, struct err *err)
{
    const struct stage *stage = c->plan.recipe->steps[c->step].stage;
    const double begun = clock_steady();
    const bool had_cube = c->data.cube, had_spectrum = c->data.spectrum;
    struct stage_env env = job_context_env(c, stage->name);
    tell_share(c, 0);
    int code = note_parameters(c, err);
    if (!code) {
        code =
            stage->run(&env, recipe_params(c->plan.settings, c->step), &c->data, err);
    }
    if (!code && c->late.code) {
        *err = c->late;
        code = c->late.code;
    }
    for (size_t i = 0; i < c->data.n_exposures && !code; i++) {
        if (c->plan.recipe->steps[c->step].flags & STEP_MATCH_NANS) {
            exposure_match_nans(c->data.exposures[i]);
        }
    }
    const double made = clock_steady();
    if (!code) {
        code = write_reached(c, c->data.cube && !had_cube,
                             c->data.spectrum && !had_spectrum, err);
    }
    if (!code) {
        note_timing(c->result, stage->name, made - begun, clock_steady() - made);
        tell_share(c, 1);
        c->index++;
    }
    if (code && strncmp(err->message, stage->name, strlen(stage->name))) {
        err_prefix(err, "%s", stage->name);
    }
    return code;
}

static int run_steps(struct job_context *c, struct err *err)
{
    int code = 0;
    for (c->step = c->resumed + 1; c->step <= c->plan.last && !code; c->step++) {
        const struct recipe_step *step = &c->plan.recipe->steps[c->step];
        code = note_fingerprint(c, err);
        if (!code && c->cancel && atomic_load(c->cancel)) {
            code = err_set(err, ERR_CANCELLED, "stopped before %s", step->name);
        } else if (!code && step->flags & STEP_ON_OPEN) {
            continue;
        } else if (!code && job_plan_runs(&c->plan, c->step)) {
            code = run_step(c, err);
        } else if (!code) {
            code = provenance_add(&c->provenance, PROVENANCE_PARAMETER, step->name,
                                  "skip", "true", NULL, err);
        }
        if (code) {
            strncpy(c->result->failed_stage, step->name,
                    sizeof c->result->failed_stage - 1);
        }
    }
    return code;
}

/* A last look at the cancellation, then all appears. */
static int publish(struct job_context *c, struct err *err)
{
    int code = c->cancel && atomic_load(c->cancel)
                   ? err_set(err, ERR_CANCELLED, "stopped before publishing")
                   : job_publish(c, err);
    if (code) {
        strcpy(c->result->failed_stage, "publish");
    }
    return code;
}

static void drop_products(struct job_result *r)
{
    for (size_t i = 0; i < r->n_products; i++) {
        free(r->products[i].path);
    }
    free(r->products);
    r->products = NULL;
    r->n_products = 0;
}

int job_run(const struct job *job, struct references *refs, struct par *par,
            const atomic_bool *cancel, const struct job_events *events,
            struct job_result *ret, struct err *err)
{
    struct err local = {0};
    struct job_source *source = NULL;
    struct job_members *members = NULL;
    struct job_context c = {.job = job,
                            .refs = refs,
                            .par = par,
                            .cancel = cancel,
                            .events = events,
                            .result = ret,
                            .resumed = -1};
    err = err ? err : &local;
    *ret = (struct job_result){0};
    const double begun = clock_steady();
    int code = job_plan_make(job, &c.plan, err);
    if (!code) {
        code = begin(&c, err);
    }
    if (!code) {
        code = !strcmp(job->recipe, RECIPE_COMBINE) ? read_spectra(&c, err)
               : !strcmp(job->recipe, "spec3")      ? read_group(&c, &source, err)
                                                    : read_one(&c, err);
    }
    if (!code) {
        code = c.resumed >= 0 ? resume(&c, err) : job_members_new(&c, &members, err);
    }
    if (code) {
        strcpy(ret->failed_stage, "read");
    } else {
        note_timing(ret, "read", clock_steady() - begun, 0);
        code = run_steps(&c, err);
        code = code ? code : publish(&c, err);
    }
    if (code) { /* nothing was published */
        publish_set_abort(&c.set);
        drop_products(ret);
    }
    free_exposures(&c);
    free_spectra(&c);
    cube_free(c.data.cube);
    spectrum_free(c.data.spectrum);
    dataset_correctors_done(&c.data);
    job_members_free(members);
    job_source_free(source);
    provenance_done(&c.provenance);
    job_plan_done(&c.plan);
    free(c.reusable);
    free(c.manifest);
    free(c.base);
    return code;
}
