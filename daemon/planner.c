#include "daemon/planner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/path.h"

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%.*s", (int)size - 1, from);
}

/* Header text as part of a name; never empty. */
static void slug(const char *value, const char *otherwise, char *ret, size_t size)
{
    if (path_slug(value, ret, size) == 0) {
        copy(ret, size, otherwise);
    }
}

int planner_describe(const struct exposure_meta *meta, const char *name,
                     struct queue_exposure *ret, struct err *err)
{
    int code = exposure_check_reaches(meta, err);
    if (code) {
        return code;
    }
    struct queue_exposure e = {0};
    copy(e.name, sizeof e.name, name);
    copy(e.base, sizeof e.base, name);
    static const char *const endings[] = {".gz", ".fits", "_rate"};
    for (int i = 0; i < 3; i++) {
        if (path_has_suffix(e.base, endings[i])) {
            e.base[strlen(e.base) - strlen(endings[i])] = 0;
        }
    }
    copy(e.role, sizeof e.role,
         meta->is_imprint      ? "imprint"
         : meta->is_background ? "background"
                               : "science");
    slug(meta->program, "00000", e.program, sizeof e.program);
    slug(meta->observation, "000", e.observation, sizeof e.observation);
    copy(e.visit, sizeof e.visit, meta->visit);
    slug(meta->target_name, "unknown", e.target, sizeof e.target);
    copy(e.detector, sizeof e.detector, meta->detector);
    copy(e.filter, sizeof e.filter, meta->filter);
    copy(e.grating, sizeof e.grating, meta->grating);
    e.pattern_total = meta->pattern_total >= 1 && meta->pattern_total < 1000
                          ? (int)meta->pattern_total
                          : 1;
    e.pattern_number = meta->pattern_number >= 1 && meta->pattern_number < 1000
                           ? (int)meta->pattern_number
                           : 1;
    char grating[sizeof e.grating], filter[sizeof e.filter];
    slug(e.grating, "none", grating, sizeof grating);
    slug(e.filter, "none", filter, sizeof filter);
    snprintf(e.group, sizeof e.group, "jw%s-o%s_%s_nirspec_%s-%s", e.program,
             e.observation, e.target, grating, filter);
    *ret = e;
    return 0;
}

static bool is_spec2(const struct queue_job *j)
{
    return !strcmp(j->recipe, "spec2");
}

static bool is_live(const struct queue_exposure *e)
{
    return !strcmp(e->state, "accepted");
}

static bool is_science(const struct queue_exposure *e)
{
    return is_live(e) && !strcmp(e->role, "science");
}

/* The spec2 job of an exposure, or NULL. */
static const struct queue_job *spec2_of(const struct queue_group *g, int64_t exposure)
{
    for (size_t i = g->n_jobs; i-- > 0;) {
        if (is_spec2(&g->jobs[i]) && g->jobs[i].exposure == exposure) {
            return &g->jobs[i];
        }
    }
    return NULL;
}

static const struct queue_exposure *exposure_of(const struct queue_group *g,
                                                int64_t exposure)
{
    for (size_t i = 0; i < g->n_exposures; i++) {
        if (g->exposures[i].id == exposure) {
            return &g->exposures[i];
        }
    }
    return NULL;
}

static bool is_running(const struct queue_group *g, const char *recipe,
                       const char *base)
{
    for (size_t i = 0; i < g->n_jobs; i++) {
        if (g->jobs[i].state == JOB_RUNNING && !strcmp(g->jobs[i].recipe, recipe) &&
            (!base || !strcmp(g->jobs[i].base, base))) {
            return true;
        }
    }
    return false;
}

static int step(struct plan_step *ret, enum plan_verb verb, int64_t exposure,
                int64_t job, const char *why)
{
    ret->verb = verb;
    ret->exposure = exposure;
    ret->job = job;
    copy(ret->why, sizeof ret->why, why);
    return 0;
}

/* ---- exposures and their spec2 ---- */

/* True if a step was found. */
static bool next_for_exposures(const struct queue_group *g, struct plan_step *ret)
{
    for (size_t i = 0; i < g->n_exposures; i++) {
        const struct queue_exposure *e = &g->exposures[i];
        for (size_t k = i + 1; is_live(e) && k < g->n_exposures; k++) {
            if (is_live(&g->exposures[k]) && !strcmp(e->base, g->exposures[k].base)) {
                step(ret, PLAN_SUPERSEDE_EXPOSURE, e->id, 0,
                     "the same name came with other content");
                return true;
            }
        }
    }
    for (size_t i = 0; i < g->n_jobs; i++) {
        const struct queue_job *j = &g->jobs[i];
        const struct queue_exposure *e = exposure_of(g, j->exposure);
        if (is_spec2(j) && e && !is_live(e) && job_may_move(j->state, JOB_SUPERSEDED)) {
            step(ret, PLAN_SUPERSEDE, 0, j->id, "its exposure was rewritten");
            return true;
        }
        if (is_spec2(j) && j->state == JOB_WAITING) {
            step(ret, PLAN_QUEUE, 0, j->id, "its exposure is there");
            return true;
        }
    }
    for (size_t i = 0; i < g->n_exposures; i++) {
        const struct queue_exposure *e = &g->exposures[i];
        if (is_science(e) && !spec2_of(g, e->id) && !is_running(g, "spec2", e->base)) {
            step(ret, PLAN_ADD_SPEC2, e->id, 0, "");
            return true;
        }
    }
    return false;
}

/* ---- the group's spec3 ---- */

struct list {
    char *text;
    size_t size, at;
    int n;
};

__attribute__((format(printf, 2, 3))) static void say(struct list *l, const char *fmt,
                                                      ...)
{
    l->n++;
    if (l->n > 8) {
        return; /* the sum is said at the end */
    }
    char item[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(item, sizeof item, fmt, ap);
    va_end(ap);
    int m = snprintf(l->text + l->at, l->size - l->at, "%s%s", l->at ? ", " : "", item);
    l->at = l->at + (size_t)m < l->size ? l->at + (size_t)m : l->size - 1;
}

/* An exposure of this dither on this detector in this visit, or NULL. */
static const struct queue_exposure *find_dither(const struct queue_group *g,
                                                const char *visit, int number,
                                                const char *detector)
{
    for (size_t i = 0; i < g->n_exposures; i++) {
        const struct queue_exposure *e = &g->exposures[i];
        if (is_science(e) && !strcmp(e->visit, visit) && e->pattern_number == number &&
            !strcmp(e->detector, detector)) {
            return e;
        }
    }
    return NULL;
}

static void say_missing(const struct queue_group *g, const struct queue_exposure *one,
                        bool several_visits, struct list *l)
{
    static const char *const detectors[] = {"NRS1", "NRS2"};
    for (int number = 1; number <= one->pattern_total; number++) {
        char lacks[32] = "";
        for (int d = 0; d < 2; d++) {
            if (exposure_reaches(detectors[d], one->grating, one->filter) &&
                !find_dither(g, one->visit, number, detectors[d])) {
                strcat(lacks, *lacks ? " and " : "");
                strcat(lacks, detectors[d]);
            }
        }
        if (*lacks) {
            say(l, "dither %d %s%s%s", number, lacks,
                several_visits ? " of visit " : "", several_visits ? one->visit : "");
        }
    }
}

static int by_base(const void *a, const void *b, void *jobs)
{
    const struct queue_job *j = jobs;
    return strcmp(j[*(const size_t *)a].base, j[*(const size_t *)b].base);
}

/* Job ids of `index` in the order of their names. */
static int sorted_inputs(const struct queue_group *g, size_t *index, size_t n,
                         struct plan_step *ret, struct err *err)
{
    qsort_r(index, n, sizeof *index, by_base, g->jobs);
    ret->inputs = mem_calloc(n, sizeof *ret->inputs, err);
    if (!ret->inputs) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        ret->inputs[i] = g->jobs[index[i]].id;
    }
    ret->n_inputs = n;
    return 0;
}

/* What is known about a group before its spec3 is looked at. */
struct tally {
    size_t *done; /* indices of spec2 jobs that are done */
    size_t n_done, n_science;
    double last; /* when anything happened */
    struct list pending, missing, failed;
    char pending_text[400], missing_text[400], failed_text[400];
};

static void tally(const struct queue_group *g, struct tally *t)
{
    t->pending = (struct list){.text = t->pending_text, .size = sizeof t->pending_text};
    t->missing = (struct list){.text = t->missing_text, .size = sizeof t->missing_text};
    t->failed = (struct list){.text = t->failed_text, .size = sizeof t->failed_text};
    const char *first_visit = NULL;
    bool several = false;
    for (size_t i = 0; i < g->n_exposures; i++) {
        const struct queue_exposure *e = &g->exposures[i];
        if (is_science(e)) {
            several |= first_visit && strcmp(first_visit, e->visit) != 0;
            first_visit = first_visit ? first_visit : e->visit;
        }
    }
    for (size_t i = 0; i < g->n_exposures; i++) {
        const struct queue_exposure *e = &g->exposures[i];
        if (!is_science(e)) {
            continue;
        }
        t->n_science++;
        t->last = e->accepted_at > t->last ? e->accepted_at : t->last;
        bool said = false;
        for (size_t k = 0; k < i; k++) {
            said |= is_science(&g->exposures[k]) &&
                    !strcmp(g->exposures[k].visit, e->visit);
        }
        if (!said) {
            say_missing(g, e, several, &t->missing);
        }
        const struct queue_job *j = spec2_of(g, e->id);
        if (j && j->state == JOB_DONE) {
            t->done[t->n_done++] = (size_t)(j - g->jobs);
            t->last = j->changed_at > t->last ? j->changed_at : t->last;
        } else if (j && job_state_is_final(j->state)) {
            say(&t->failed, "dither %d %s (its spec2 is %s)", e->pattern_number,
                e->detector, job_state_name(j->state));
            t->last = j->changed_at > t->last ? j->changed_at : t->last;
        } else {
            say(&t->pending, "dither %d %s (%s)", e->pattern_number, e->detector,
                j ? job_state_name(j->state) : "to be planned");
        }
    }
}

static void say_waits(const struct tally *t, double now, double quiet,
                      struct plan_step *ret)
{
    struct list all = {.text = ret->why, .size = sizeof ret->why};
    const struct list *parts[] = {&t->missing, &t->pending, &t->failed};
    for (int i = 0; i < 3; i++) {
        if (parts[i]->n) {
            say(&all, "%.150s%s", parts[i]->text, parts[i]->n > 8 ? " and more" : "");
        }
    }
    if (!t->pending.n && t->n_done) {
        ret->due = t->last + quiet;
        say(&all, "or %.0f s of quiet", ret->due > now ? ret->due - now : 0.0);
    }
}

/* Is a spec2 done that the spec3 job did not read? */
static bool has_news(const struct queue_group *g, const struct tally *t, int64_t spec3)
{
    for (size_t i = 0; i < t->n_done; i++) {
        bool known = false;
        for (size_t k = 0; k < g->n_inputs && !known; k++) {
            known = g->inputs[k].job == spec3 &&
                    g->inputs[k].input_job == g->jobs[t->done[i]].id;
        }
        if (!known) {
            return true;
        }
    }
    return false;
}

static int next_for_group(const struct queue_group *g, double now, double quiet,
                          struct tally *t, struct plan_step *ret, struct err *err)
{
    tally(g, t);
    const struct queue_job *newest = NULL;
    for (size_t i = 0; i < g->n_jobs; i++) {
        const struct queue_job *j = &g->jobs[i];
        if (!is_spec2(j) && (!newest || j->version > newest->version)) {
            newest = j;
        }
    }
    for (size_t i = 0; i < g->n_jobs && newest; i++) {
        const struct queue_job *j = &g->jobs[i];
        if (is_spec2(j) || j == newest || !job_may_move(j->state, JOB_SUPERSEDED)) {
            continue;
        }
        if (j->state != JOB_DONE || newest->state == JOB_DONE) {
            return step(ret, PLAN_SUPERSEDE, 0, j->id, newest->name);
        }
    }
    if (!t->n_science) {
        return newest && newest->state == JOB_WAITING
                   ? step(ret, PLAN_SUPERSEDE, 0, newest->id, "no exposure is left")
                   : 0;
    }
    if (!newest || newest->state == JOB_SUPERSEDED ||
        (newest->state != JOB_WAITING && newest->state != JOB_RUNNING &&
         has_news(g, t, newest->id))) {
        return step(ret, PLAN_ADD_SPEC3, 0, 0, "");
    }
    if (newest->state != JOB_WAITING || is_running(g, "spec3", NULL)) {
        return 0;
    }
    bool complete = !t->missing.n && !t->pending.n && !t->failed.n && t->n_done > 0;
    bool settled = !t->pending.n && t->n_done > 0;
    if (complete || (settled && now - t->last >= quiet)) {
        step(ret, PLAN_QUEUE, 0, newest->id,
             complete ? "all dithers and detectors are done"
                      : "quiet for the configured time");
        return sorted_inputs(g, t->done, t->n_done, ret, err);
    }
    say_waits(t, now, quiet, ret);
    return 0;
}

int planner_next(const struct queue_group *g, double now, double quiet_seconds,
                 struct plan_step *ret, struct err *err)
{
    *ret = (struct plan_step){0};
    if (next_for_exposures(g, ret)) {
        return 0;
    }
    struct tally *t = mem_calloc(1, sizeof *t, err);
    if (!t) {
        return ERR_NOMEM;
    }
    int code = 0;
    if (!(t->done = mem_calloc(g->n_exposures, sizeof *t->done, err))) {
        code = ERR_NOMEM;
    }
    code = code ? code : next_for_group(g, now, quiet_seconds, t, ret, err);
    free(t->done);
    free(t);
    return code;
}

void plan_step_done(struct plan_step *step)
{
    free(step->inputs);
    *step = (struct plan_step){0};
}
