/*
 * ifurun: one job by hand, with the same code as the daemon.
 * See docs/tour.md; the options are in ifurun_help.c.
 */
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ifurun_association.h"
#include "cli/ifurun_commands.h"
#include "cli/ifurun_source.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/fits_io.h"
#include "jobs/job.h"
#include "jobs/job_resume.h"
#include "stages/recipe.h"

static atomic_bool cancelled;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&cancelled, true);
}

/* ---- progress: one line per stage, and each second within a long one --------------- */

struct progress {
    pthread_mutex_t lock;
    const char *job;
    double begun, last; /* seconds */
};

static void on_stage(void *user, const char *stage, int index, int count, double share)
{
    struct progress *p = user;
    pthread_mutex_lock(&p->lock);
    double now = clock_steady();
    if (share <= 0) {
        p->begun = p->last = now;
    } else if (share >= 1) {
        fprintf(stderr, "%s: %s 100 %% (stage %d of %d, %.2f s)\n", p->job, stage,
                index + 1, count, now - p->begun);
    } else if (now - p->last >= 1) {
        p->last = now;
        fprintf(stderr, "%s: %s %.0f %% (stage %d of %d)\n", p->job, stage, 100 * share,
                index + 1, count);
    }
    pthread_mutex_unlock(&p->lock);
}

static void on_note(void *user, int is_warning, const char *stage, const char *line)
{
    struct progress *p = user;
    pthread_mutex_lock(&p->lock);
    fprintf(stderr, "%s: %s: %s%s\n", p->job, stage, is_warning ? "warning: " : "",
            line);
    pthread_mutex_unlock(&p->lock);
}

/* One line of JSON for a job: seconds of each stage, and of writing what it made. */
static int write_timings(const char *path, const struct job *job,
                         const struct job_result *r, struct err *err)
{
    json_t *stages = json_array();
    for (size_t i = 0; i < r->n_timings; i++) {
        const struct job_timing *t = &r->timings[i];
        json_array_append_new(stages, json_pack("{s:s,s:f,s:f}", "stage", t->stage,
                                                "run", t->run, "write", t->write));
    }
    json_t *line = json_pack("{s:s,s:o}", "job", job->id, "stages", stages);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    FILE *f = text ? fopen(path, "a") : NULL;
    int bad = !f || fprintf(f, "%s\n", text) < 0;
    bad = (f && fclose(f)) || bad;
    free(text);
    return bad ? err_set(err, ERR_IO, "--timings %s: cannot be written", path) : 0;
}

static int run_job(const struct ifurun_options *o, const struct job *job,
                   struct references *refs, struct par *par, struct err *err)
{
    struct progress progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .job = job->id};
    const struct job_events events = {on_stage, on_note, &progress};
    struct job_result result;
    int code = job_run(job, refs, par, &cancelled, &events, &result, err);
    for (size_t i = 0; i < result.n_products; i++) {
        printf("%s\n", result.products[i].path);
    }
    fflush(stdout);
    if (!code && o->timings) {
        code = write_timings(o->timings, job, &result, err);
    }
    job_result_done(&result);
    return code;
}

static void complain(const struct err *err)
{
    if (*err->message) {
        fprintf(stderr, "ifurun: %s\n", err->message);
    }
}

/* ---- recipes: one job after another -------------------------------------------------- */

static int pin_and_run(const struct ifurun_options *o, struct job *job,
                       struct references *refs, struct par *par, struct err *err)
{
    int code = job_pin(job, refs, par, err);
    code = code || !o->reuse ? code : job_reuse_published(job, err);
    code = code ? code : run_job(o, job, refs, par, err);
    job_done(job);
    return code;
}

static int run_group(const struct ifurun_options *o, const char *recipe,
                     char *const *files, size_t n, struct references *refs,
                     struct par *par, struct err *err)
{
    struct job job = {0};
    int code = ifurun_make_job(o, recipe, files, n, &job, err);
    return code ? code : pin_and_run(o, &job, refs, par, err);
}

/* What failed is told at once if more is to come: true if that is run now. */
static bool goes_on(int *code, int *failed, bool is_last, const struct err *err)
{
    if (*code && *code != ERR_PARAM && *code != ERR_CANCELLED && !is_last) {
        complain(err);
        *failed = *code;
        *code = 0;
    }
    return !*code && !is_last;
}

/* Every product of an association, one after another. */
static int run_association(const struct ifurun_options *o, const char *path,
                           struct references *refs, struct par *par, struct err *err)
{
    struct association a;
    int failed = 0, code = association_read(path, o->command, &a, err);
    if (code) {
        return code == ERR_NODATA ? ERR_INPUT : code;
    }
    for (size_t i = 0; i < a.n_products; i++) {
        struct job job = {0};
        code = ifurun_association_job(o, path, &a, i, &job, err);
        code = code ? code : pin_and_run(o, &job, refs, par, err);
        if (!goes_on(&code, &failed, i + 1 == a.n_products, err)) {
            break;
        }
    }
    if (!code && failed) {
        code =
            err_set(err, failed, "%s: at least one of %zu products failed (see above)",
                    path, a.n_products);
    }
    association_done(&a);
    return code;
}

static int check_usage(const struct ifurun_options *o, const char *recipe,
                       struct err *err)
{
    struct recipe_settings *settings = NULL;
    const struct recipe *r = recipe_find(recipe);
    int step, code = recipe_settings_new(r, &settings, err);
    for (size_t i = 0; i < o->n_settings && !code; i++) {
        code = recipe_set(settings, o->settings[i].stage, o->settings[i].name,
                          o->settings[i].value, err);
    }
    for (size_t i = 0; i < o->n_save && !code; i++) {
        code = recipe_step_find(r, o->save[i], &step, err);
    }
    if (!code && o->stop_after) {
        code = recipe_step_find(r, o->stop_after, &step, err);
    }
    if (!code && o->n_files == 0) {
        code = err_set(err, ERR_PARAM, "%s needs at least one file; see ifurun --help",
                       recipe);
    }
    recipe_settings_free(settings);
    return code;
}

static int run_recipe(const struct ifurun_options *o, struct err *err)
{
    struct references *refs = NULL;
    struct par *par = NULL;
    const char *recipe = o->command;
    int code = check_usage(o, recipe, err), failed = 0;
    bool associated = false;
    code = code ? code : ifurun_has_associations(o, &associated, err);
    if (!code) {
        code = ifurun_open_source(o, &refs, err);
    }
    if (!code) {
        code = par_new(o->threads, &par, err);
    }
    if (!code && !associated && strcmp(recipe, "spec2")) {
        code = run_group(o, recipe, o->files, o->n_files, refs, par, err);
    } else {
        for (size_t i = 0; i < o->n_files && !code; i++) {
            code = associated ? run_association(o, o->files[i], refs, par, err)
                              : run_group(o, recipe, o->files + i, 1, refs, par, err);
            if (!goes_on(&code, &failed, i + 1 == o->n_files, err)) {
                break;
            }
        }
    }
    if (!code && failed) {
        code = err_set(err, failed, "at least one of %zu %s failed (see above)",
                       o->n_files, associated ? "associations" : "exposures");
    }
    par_free(par);
    references_close(refs);
    return code;
}

/* Run a job as the child of a daemon, which has not chosen its references yet. */
static int run_reported(struct job *job, struct references *refs, struct par *par,
                        struct job_result *ret, struct err *err)
{
    int code = job_check(job, err);
    code = code ? code : job_pin(job, refs, par, err);
    return code ? code
                : job_run(job, refs, par, &cancelled, ifurun_child_events(), ret, err);
}

static int run_manifest(const struct ifurun_options *o, struct err *err)
{
    struct job job = {0};
    struct job_result result = {0};
    struct references *refs = NULL;
    struct par *par = NULL;
    bool reported = o->report_fd >= 0;
    if (o->n_files || o->n_settings || o->n_members || o->n_save || o->stop_after ||
        o->references || o->crds_path || o->crds_context) {
        return err_set(err, ERR_PARAM,
                       "a manifest is complete: only --threads and --reuse go with it");
    }
    int code = reported ? ifurun_child_begin(o->report_fd, err) : 0;
    if (code) {
        return code;
    }
    code = job_read(o->command, &job, err);
    if (!code && o->reuse) {
        code = job_reuse_published(&job, err);
    }
    if (!code) {
        bool chosen = job.n_references && !reported;
        code = chosen ? references_open(NULL, IFURUN_CACHE_BYTES, &refs, err)
                      : ifurun_open_references(&job, &refs, err);
    }
    if (!code) {
        code = par_new(o->threads, &par, err);
    }
    if (!code) {
        code = reported ? run_reported(&job, refs, par, &result, err)
                        : run_job(o, &job, refs, par, err);
    }
    if (code == ERR_PARAM && !reported) {
        code = ERR_INPUT; /* what a file says wrong is no wrong use */
    }
    if (reported) {
        ifurun_child_end(code, err, &result);
        code = code == ERR_PARAM ? ERR_INPUT : code;
        *err = (struct err){0}; /* it has been told */
    }
    job_result_done(&result);
    par_free(par);
    references_close(refs);
    job_done(&job);
    return code;
}

static int run_command(const struct ifurun_options *o, struct err *err)
{
    int code = fits_check_library(err);
    if (code) {
        return code;
    }
    if (o->report_fd >= 0 && !path_has_suffix(o->command, ".json")) {
        return err_set(err, ERR_PARAM, "--report-fd goes with a manifest only");
    }
    if (recipe_find(o->command)) {
        return run_recipe(o, err);
    }
    if (!strcmp(o->command, "refs")) {
        return ifurun_refs(o, err);
    }
    if (!strcmp(o->command, "wcs")) {
        return ifurun_wcs(o, &cancelled, err);
    }
    if (!strcmp(o->command, "stages")) {
        ifurun_print_stages(stdout);
        return 0;
    }
    if (path_has_suffix(o->command, ".json")) {
        return run_manifest(o, err);
    }
    return err_set(
        err, ERR_PARAM,
        "no command '%s': there are spec2, spec3, combine, refs, wcs, stages and "
        "MANIFEST.json; see ifurun --help",
        o->command);
}

int main(int argc, char **argv)
{
    struct ifurun_options options;
    struct err err = {0};
    struct sigaction action = {.sa_handler = on_signal};
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        printf("ifurun %s\n", IFUD_VERSION);
        return 0;
    }
    mem_return_large();
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int code = ifurun_options_read(argc, argv, &options, &err);
    if (code) {
        complain(&err);
        return code == ERR_PARAM ? 2 : 1;
    }
    code = ifurun_limit(&options.limits, &err);
    if (code) {
        complain(&err);
    } else if (options.help) {
        ifurun_print_usage(stdout);
        ifurun_print_stages(stdout);
    } else if (!options.command) {
        ifurun_print_usage(stderr);
        code = ERR_PARAM;
    } else {
        code = run_command(&options, &err);
        if (code) {
            complain(&err);
        }
    }
    ifurun_options_done(&options);
    return code == 0 ? 0 : code == ERR_PARAM ? 2 : 1;
}
