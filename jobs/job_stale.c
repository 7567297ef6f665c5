#include "jobs/job_stale.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/fits_io.h"
#include "jobs/job_code.h"
#include "jobs/job_fingerprint.h"

/* One more reason; the same once only. What there is no room for is left out whole. */
__attribute__((format(printf, 2, 3))) static void add_why(struct job_stale *s,
                                                          const char *fmt, ...)
{
    char text[512];
    size_t at = strlen(s->why);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0 && !strstr(s->why, text) && at + strlen(text) + 3 < sizeof s->why) {
        snprintf(s->why + at, sizeof s->why - at, "%s%s", at ? "; " : "", text);
    }
}

/* ---- what the products say ---- */

struct look {
    const struct job_plan *plan;
    const struct job_fingerprint *f;
    int first;     /* step that differs */
    int last;      /* step that a product has gone through; -1: there is none */
    char code[64]; /* version that made them, if it is another */
};

static void look_at(struct look *l, const struct provenance *p)
{
    static const char code[] = "code ";
    for (size_t i = 0; i < p->n; i++) {
        const struct provenance_item *item = &p->items[i];
        struct err none = {0};
        int step;
        if (item->kind != PROVENANCE_FINGERPRINT ||
            recipe_step_find(l->plan->recipe, item->stage, &step, &none)) {
            continue;
        }
        l->last = step > l->last ? step : l->last;
        if (step < l->f->n && strcmp(l->f->step[step], item->sha256) &&
            step < l->first) {
            l->first = step;
        }
        if (!strncmp(item->name, code, sizeof code - 1) &&
            strcmp(item->name + sizeof code - 1, job_code_version())) {
            snprintf(l->code, sizeof l->code, "%s", item->name + sizeof code - 1);
        }
    }
}

/* Of a product without fingerprints only the program's version is known. */
static void look_at_file(struct look *l, const char *path)
{
    struct provenance p = {0};
    struct fits_in *in = NULL;
    struct err none = {0};
    if (!fits_in_open(path, ERR_INPUT, &in, &none) && !provenance_read(in, &p, &none)) {
        const int before = l->last;
        look_at(l, &p);
        if (l->last < 0 && before < 0) {
            snprintf(l->code, sizeof l->code, "%s", p.version);
            l->last = l->first = 0;
        }
    }
    fits_in_close(in);
    provenance_done(&p);
}

static bool is_changed(struct look *l, const struct job *job)
{
    const struct job_plan *plan = l->plan;
    l->first = plan->recipe->n_steps;
    l->last = -1;
    for (size_t i = 0; i < job->n_reuse; i++) {
        if (path_has_suffix(job->reuse[i].path, ".fits")) {
            look_at_file(l, job->reuse[i].path);
        }
    }
    for (int i = l->last + 1; l->last >= 0 && i <= plan->last && i < l->first; i++) {
        if (job_plan_runs(plan, i)) { /* it was left out */
            l->first = i;
        }
    }
    return l->last >= 0 && l->first < plan->recipe->n_steps;
}

/* ---- why ---- */

static const struct job_reference *find(const struct job *job,
                                        const struct job_reference *like)
{
    for (size_t i = 0; i < job->n_references; i++) {
        if (!strcmp(job->references[i].type, like->type) &&
            !strcmp(job->references[i].input, like->input)) {
            return &job->references[i];
        }
    }
    return NULL;
}

static void compare_references(struct job_stale *s, const struct job *is,
                               const struct job *was)
{
    for (size_t i = 0; i < is->n_references; i++) {
        const struct job_reference *now = &is->references[i], *old = find(was, now);
        const char *name = path_base(now->path);
        if (!old) {
            add_why(s, "%s: %s, was none", now->type, name);
        } else if (strcmp(old->sha256, now->sha256) &&
                   !strcmp(path_base(old->path), name)) {
            add_why(s, "%s: %s has other content", now->type, name);
        } else if (strcmp(path_base(old->path), name)) {
            add_why(s, "%s: %s, was %s", now->type, name, path_base(old->path));
        }
    }
    for (size_t i = 0; i < was->n_references; i++) {
        if (!find(is, &was->references[i])) {
            add_why(s, "%s: none, was %s", was->references[i].type,
                    path_base(was->references[i].path));
        }
    }
}

static void compare_steps(struct job_stale *s, const struct job_plan *is,
                          const struct job_plan *was)
{
    for (int i = 0; i < is->recipe->n_steps; i++) {
        const char *stage = is->recipe->steps[i].name;
        const bool runs = job_plan_runs(is, i);
        size_t n = 0;
        if (runs != job_plan_runs(was, i)) {
            add_why(s, "%s.skip = %s, was %s", stage, runs ? "false" : "true",
                    runs ? "true" : "false");
            continue;
        }
        const struct params *now = recipe_params(is->settings, i),
                            *old = recipe_params(was->settings, i);
        const struct param *table = runs ? params_table(now, &n) : NULL;
        for (size_t k = 0; k < n; k++) {
            const char *name = table[k].name;
            if (strcmp(params_text(now, name), params_text(old, name))) {
                add_why(s, "%s.%s = %.100s, was %.100s", stage, name,
                        params_text(now, name), params_text(old, name));
            }
        }
    }
}

static void compare_inputs(struct job_stale *s, const struct job *is,
                           const struct job *was)
{
    for (size_t i = 0; i < is->n_inputs; i++) {
        const char *name = path_base(is->inputs[i].path);
        bool there = false, same = false;
        for (size_t k = 0; k < was->n_inputs; k++) {
            if (!strcmp(path_base(was->inputs[k].path), name)) {
                there = true;
                same = !strcmp(was->inputs[k].sha256, is->inputs[i].sha256);
            }
        }
        if (!there || !same) {
            add_why(s, there ? "input %s has other content" : "input %s is new", name);
        }
    }
    for (size_t i = 0; i < is->n_members; i++) {
        bool same = false;
        for (size_t k = 0; k < was->n_members; k++) {
            same = same || (!strcmp(was->members[k].role, is->members[i].role) &&
                            !strcmp(was->members[k].sha256, is->members[i].sha256));
        }
        if (!same) {
            add_why(s, "%s: another %s", path_base(is->members[i].path),
                    is->members[i].role);
        }
    }
    if (is->n_inputs < was->n_inputs || is->n_members < was->n_members) {
        add_why(s, "fewer inputs");
    }
}

/* The manifest that lies beside the products. */
static int read_manifest(const struct job *job, struct job *ret, struct err *err)
{
    char *base = job->product_name ? mem_strdup(job->product_name, err)
                                   : job_input_base(job->inputs[0].path, err);
    char *name =
        base ? mem_printf(err, "%s_%s_manifest.json", base, job->recipe) : NULL;
    char *path = name ? path_join(job->output_folder, name, err) : NULL;
    int code = path ? job_read(path, ret, err) : ERR_NOMEM;
    free(base);
    free(name);
    free(path);
    return code;
}

static void explain(struct job_stale *s, const struct look *l, const struct job *job)
{
    struct job was = {0};
    struct job_plan plan = {0};
    struct err none = {0};
    if (*l->code) {
        add_why(s, "program: %s, was %s", job_code_version(), l->code);
    }
    if (!read_manifest(job, &was, &none)) {
        compare_inputs(s, job, &was);
        compare_references(s, job, &was);
        if (!job_plan_make(&was, &plan, &none)) {
            compare_steps(s, l->plan, &plan);
            job_plan_done(&plan);
        }
        job_done(&was);
    }
    if (!*s->why) { /* a file that a parameter names, or the manifest is gone */
        add_why(s, "what %s depends on has changed", s->step);
    }
}

int job_stale_look(struct job *job, struct references *refs, struct job_stale *ret,
                   struct err *err)
{
    struct job_plan plan = {0};
    struct job_fingerprint f;
    *ret = (struct job_stale){0};
    int code = job_pin(job, refs, NULL, err);
    code = code ? code : job_plan_make(job, &plan, err);
    code = code ? code : job_fingerprint(&plan, refs, job_code_version(), &f, err);
    if (!code) {
        struct look l = {.plan = &plan, .f = &f};
        ret->stale = is_changed(&l, job);
        if (ret->stale) {
            snprintf(ret->step, sizeof ret->step, "%s",
                     plan.recipe->steps[l.first].name);
            explain(ret, &l, job);
        }
    }
    job_plan_done(&plan);
    return code;
}
