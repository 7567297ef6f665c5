#include "daemon/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/publish.h"
#include "daemon/kept.h"
#include "daemon/queue_stale.h"
#include "stages/recipe.h"

char *work_folder(const struct work_place *place, const struct queue_job *row,
                  struct err *err)
{
    return mem_printf(err, "%s/%s/%s", place->products, row->program, row->group);
}

/* ---- inputs ---- */

static int add_input(struct job *job, char *path, const char *sha256, struct err *err)
{
    struct job_input *more =
        path ? mem_realloc(job->inputs, job->n_inputs + 1, sizeof *more, err) : NULL;
    if (!more) {
        free(path);
        return ERR_NOMEM;
    }
    job->inputs = more;
    job->inputs[job->n_inputs].path = path;
    snprintf(job->inputs[job->n_inputs++].sha256, 65, "%s", sha256);
    return 0;
}

/* A product of a job, by its suffix: ERR_INPUT if it has none. *ret is freed. */
static int find_product(struct queue *q, int64_t from, const char *suffix, char **ret,
                        char sha256[65], struct err *err)
{
    struct queue_product *p;
    size_t n;
    int code = queue_products(q, from, &p, &n, err);
    if (code) {
        return code;
    }
    code = err_set(err, ERR_INPUT, "job %lld, whose product this job reads, has no _%s",
                   (long long)from, suffix);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(p[i].suffix, suffix)) {
            *ret = mem_strdup(p[i].path, err);
            memcpy(sha256, p[i].sha256, 65);
            code = *ret ? 0 : ERR_NOMEM;
            break;
        }
    }
    free(p);
    return code;
}

static bool is_combine(const char *recipe)
{
    return !strcmp(recipe, RECIPE_COMBINE);
}

static int add_product(struct queue *q, int64_t from, struct job *job, struct err *err)
{
    char *path, sha256[65];
    const char *suffix = is_combine(job->recipe) ? "x1d" : "cal";
    int code = find_product(q, from, suffix, &path, sha256, err);
    return code ? code : add_input(job, path, sha256, err);
}

static int add_inputs(struct queue *q, const struct spool *spool,
                      const struct queue_job *row, struct job *job, struct err *err)
{
    struct queue_input *in;
    size_t n;
    int code = queue_inputs(q, row->id, &in, &n, err);
    for (size_t i = 0; !code && i < n; i++) {
        struct queue_exposure e;
        if (in[i].input_job) {
            code = add_product(q, in[i].input_job, job, err);
        } else if (!(code = queue_get_exposure(q, in[i].exposure, &e, err))) {
            code =
                add_input(job, spool_path(spool, e.sha256, e.name, err), e.sha256, err);
        }
        if (code) {
            free(in);
            return code;
        }
    }
    if (!code) {
        free(in);
    }
    return code;
}

/* What stands beside the inputs: exposures of the spool, or spectra. */
static int add_members(struct queue *q, const struct spool *spool,
                       const struct queue_job *row, struct job *job, struct err *err)
{
    struct queue_companion *list;
    size_t n;
    int code = queue_companions(q, row->id, &list, &n, err);
    if (code) {
        return code;
    }
    job->members = mem_calloc(n + 1, sizeof *job->members, err);
    code = job->members ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        struct job_member *m = &job->members[i];
        struct queue_exposure e;
        job->n_members = i + 1;
        if (list[i].input_job) {
            code = find_product(q, list[i].input_job, "x1d", &m->path, m->sha256, err);
        } else if (!(code = queue_get_exposure(q, list[i].exposure, &e, err))) {
            m->path = spool_path(spool, e.sha256, e.name, err);
            memcpy(m->sha256, e.sha256, sizeof m->sha256);
        }
        m->role = code ? NULL : mem_strdup(list[i].role, err);
        code = code ? code : m->path && m->role ? 0 : ERR_NOMEM;
    }
    free(list);
    return code;
}

/* ---- settings ---- */

int work_settings(const struct config *config, const char *recipe, struct job *job,
                  struct err *err)
{
    size_t n;
    char key[32];
    snprintf(key, sizeof key, "%s_settings", recipe);
    char **lines = config_strings(config, key, &n, err);
    struct job_setting *s = lines ? mem_calloc(n, sizeof *s, err) : NULL;
    int code = s ? 0 : ERR_NOMEM;
    job->settings = s;
    for (size_t i = 0; i < n && !code; i++) {
        const char *dot = strchr(lines[i], '.'), *is = strchr(lines[i], '=');
        s[i].stage = mem_strndup(lines[i], (size_t)(dot - lines[i]), err);
        s[i].name = mem_strndup(dot + 1, (size_t)(is - dot - 1), err);
        s[i].value = mem_strdup(is + 1, err);
        job->n_settings = i + 1;
        code = s[i].stage && s[i].name && s[i].value ? 0 : ERR_NOMEM;
    }
    free(lines);
    return code;
}

static char *date_now(struct err *err)
{
    char date[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &tm));
    return mem_strdup(date, err);
}

/* The manifest beside the queue, so that a failed attempt can be repeated by hand. */
static int keep_manifest(const struct work_place *place, const struct queue_job *row,
                         const struct job *job, struct err *err)
{
    char *json = job_to_json(job, err);
    char *name = mem_printf(err, "%s.json", row->name);
    int code = json && name
                   ? publish_bytes(place->manifests, name, 1, json, strlen(json), err)
                   : (err->code ? err->code : ERR_NOMEM);
    free(name);
    free(json);
    return code;
}

char *work_manifest(const struct work_place *place, const struct queue_job *row,
                    struct err *err)
{
    return mem_printf(err, "%s/%s.json", place->manifests, row->name);
}

int work_describe(struct queue *q, const struct spool *spool,
                  const struct config *config, const struct work_place *place,
                  const struct queue_job *row, struct job *ret, struct err *err)
{
    const char *name = !strcmp(row->recipe, "spec2") ? row->product : row->base;
    struct job job = {.threads = place->threads, .attempt = row->attempt};
    int code = ERR_NOMEM;
    if (!(job.id = mem_strdup(row->name, err)) ||
        !(job.recipe = mem_strdup(row->recipe, err)) ||
        !(job.output_folder = work_folder(place, row, err)) ||
        !(job.date = date_now(err)) ||
        (*name && !(job.product_name = mem_strdup(name, err))) ||
        (place->references &&
         !(job.reference_folder = mem_strdup(place->references, err)))) {
        goto out;
    }
    const char *crds = params_string(config->values, "crds_path");
    if (crds && (!(job.crds_path = mem_strdup(crds, err)) ||
                 !(job.crds_context = mem_strdup(
                       params_string(config->values, "crds_context"), err)))) {
        goto out;
    }
    code = add_inputs(q, spool, row, &job, err);
    code = code ? code : add_members(q, spool, row, &job, err);
    code = code ? code : work_settings(config, row->recipe, &job, err);
out:
    if (code) {
        job_done(&job);
    } else {
        *ret = job;
    }
    return code;
}

int work_reuse(struct queue *q, const struct queue_job *row, struct job *job,
               struct err *err)
{
    struct queue_product *p;
    size_t n;
    int code = queue_earlier_products(q, row, &p, &n, err);
    if (code) {
        return code;
    }
    job->reuse = mem_calloc(n, sizeof *job->reuse, err);
    code = job->reuse ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        memcpy(job->reuse[i].sha256, p[i].sha256, sizeof p[i].sha256);
        job->reuse[i].path = mem_strdup(p[i].path, err);
        code = job->reuse[i].path ? 0 : ERR_NOMEM;
        job->n_reuse += !code;
    }
    free(p);
    return code;
}

/* The spectrum of the version before. An attempt that published and died before it was
 * recorded has taken that one's name, so only the queue knows. */
static int add_replaced(struct queue *q, const struct queue_job *row, struct job *job,
                        struct err *err)
{
    struct queue_job old;
    struct queue_product *p = NULL;
    size_t n = 0;
    int code = queue_older_version(q, row, &old, err);
    if (!code && old.id) {
        code = queue_products(q, old.id, &p, &n, err);
    }
    for (size_t i = 0; i < n && !code && !job->replaces; i++) {
        if (!strcmp(p[i].suffix, is_combine(row->recipe) ? "c1d" : "x1d")) {
            job->replaces = kept_path(p[i].path, old.name, err);
            code = job->replaces ? 0 : ERR_NOMEM;
        }
    }
    if (!code && !job->replaces) {
        job->replaces = mem_strdup(JOB_REPLACES_NONE, err);
        code = job->replaces ? 0 : ERR_NOMEM;
    }
    free(p);
    return code;
}

int work_prepare(struct queue *q, const struct spool *spool,
                 const struct config *config, const struct work_place *place,
                 const struct queue_job *row, struct job *ret, struct err *err)
{
    struct job job;
    int code = work_describe(q, spool, config, place, row, &job, err);
    if (code) {
        return code;
    }
    code = params_bool(config->values, "reuse_products") ? work_reuse(q, row, &job, err)
                                                         : 0;
    code = code ? code : add_replaced(q, row, &job, err);
    code = code ? code : path_make_folder(job.output_folder, 0755, err);
    code = code ? code : keep_manifest(place, row, &job, err);
    if (code) {
        job_done(&job);
    } else {
        *ret = job;
    }
    return code;
}

int work_keep_products(struct queue *q, int64_t job, const struct job_result *result,
                       struct err *err)
{
    struct queue_product *p = mem_calloc(result->n_products, sizeof *p, err);
    if (!p) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < result->n_products; i++) {
        const struct job_product *from = &result->products[i];
        snprintf(p[i].path, sizeof p[i].path, "%s", from->path);
        snprintf(p[i].suffix, sizeof p[i].suffix, "%s", from->suffix);
        snprintf(p[i].sha256, sizeof p[i].sha256, "%s", from->sha256);
        p[i].bytes = (int64_t)from->bytes;
    }
    int code = queue_set_products(q, job, p, result->n_products, err);
    free(p);
    return code;
}
