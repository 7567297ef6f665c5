#include "daemon/planner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/planner_choice.h"
#include "daemon/planner_companions.h"
#include "daemon/planner_tally.h"
#include "stages/recipe.h"

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

static void name_group(struct queue_exposure *e, const char *observations)
{
    char grating[sizeof e->grating], filter[sizeof e->filter];
    slug(e->grating, "none", grating, sizeof grating);
    slug(e->filter, "none", filter, sizeof filter);
    snprintf(e->group, sizeof e->group, "jw%s-o%s_%s_nirspec_%s-%s", e->program,
             observations, e->target, grating, filter);
}

void planner_join(struct queue_exposure *e, const char *observations)
{
    char visit[sizeof e->visit];
    snprintf(visit, sizeof visit, "%.7s%.7s", e->observation, e->visit);
    memcpy(e->visit, visit, sizeof visit);
    name_group(e, observations);
}

int planner_describe(const struct exposure_meta *meta, const char *name,
                     struct queue_exposure *ret, struct err *err)
{
    int code = exposure_check_reaches(meta, err);
    code = code ? code : exposure_check_rate(meta, err);
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
    e.ra = meta->ra_ref;
    e.dec = meta->dec_ref;
    e.pa = meta->roll_ref + meta->v3i_yang;
    e.pattern_total = meta->pattern_total >= 1 && meta->pattern_total < 1000
                          ? (int)meta->pattern_total
                          : 1;
    e.pattern_number = meta->pattern_number >= 1 && meta->pattern_number < 1000
                           ? (int)meta->pattern_number
                           : 1;
    snprintf(e.pattern_type, sizeof e.pattern_type, "%s", meta->pattern_type);
    e.expstart = meta->expstart;
    e.xtilt = meta->gwa_xtilt;
    e.ytilt = meta->gwa_ytilt;
    e.aid = meta->is_imprint || meta->is_background ||
            planner_says_blank(meta->target_name);
    name_group(&e, e.observation);
    *ret = e;
    return 0;
}

static void step(struct plan_step *ret, enum plan_verb verb, int64_t exposure,
                 int64_t job, const char *why)
{
    ret->verb = verb;
    ret->exposure = exposure;
    ret->job = job;
    copy(ret->why, sizeof ret->why, why);
}

/* ---- one base name ---- */

void planner_base(const struct queue_member *members, size_t n,
                  const struct plan_rules *rules, struct plan_step *ret)
{
    const struct queue_member *newest = NULL;
    bool runs = false;
    *ret = (struct plan_step){0};
    for (size_t i = 0; i < n; i++) {
        if (members[i].live) {
            newest = &members[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        const struct queue_member *m = &members[i];
        bool older = newest && m->exposure < newest->exposure;
        if (m->live && older) {
            step(ret, PLAN_SUPERSEDE_EXPOSURE, m->exposure, 0,
                 "the same name came with other content");
            return;
        }
        if ((older || m->superseded) && job_may_move(m->state, JOB_SUPERSEDED)) {
            step(ret, PLAN_SUPERSEDE, 0, m->job,
                 m->superseded ? "its exposure was rewritten"
                               : "its exposure came again");
            return;
        }
        runs |= m != newest && m->state == JOB_RUNNING;
    }
    if (newest && planner_is_reduced(newest) && newest->state == JOB_NEW) {
        step(ret, PLAN_ADD_SPEC2, newest->exposure, 0, "");
    } else if (newest && newest->state == JOB_WAITING && !runs &&
               !planner_wants_companions(rules) && !newest->named) {
        step(ret, PLAN_QUEUE, 0, newest->job, "its exposure is there");
    }
}

/* ---- the group's spec3, or the target's combine ---- */

/* An exposure whose copy is gone counts as long as its job does. */
static bool counts(const struct queue_member *m)
{
    return m->science && !m->superseded;
}

void tally_say(struct tally_list *l, const char *fmt, ...)
{
    char item[sizeof l->text];
    size_t at = strlen(l->text);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(item, sizeof item, fmt, ap);
    va_end(ap);
    l->n++;
    if (l->left_out || at + strlen(", ") + (size_t)n >= sizeof l->text) {
        l->left_out++;
    } else {
        snprintf(l->text + at, sizeof l->text - at, "%s%s", at ? ", " : "", item);
    }
}

static int by_visit(const void *a, const void *b)
{
    const struct queue_member *x = *(const struct queue_member *const *)a;
    const struct queue_member *y = *(const struct queue_member *const *)b;
    int order = strcmp(x->visit, y->visit);
    return order ? order
                 : (x->pattern_number > y->pattern_number) -
                       (x->pattern_number < y->pattern_number);
}

/* Dithers and detectors that one visit lacks; its members stand in order. */
static void say_missing(const struct queue_group *g, const struct queue_member **m,
                        size_t n, bool several_visits, struct tally_list *l)
{
    static const char *const detectors[] = {"NRS1", "NRS2"};
    int total = 0;
    for (size_t i = 0; i < n; i++) {
        total = m[i]->pattern_total > total ? m[i]->pattern_total : total;
    }
    size_t at = 0;
    for (int number = 1; number <= total; number++) {
        bool has[2] = {false, false};
        for (; at < n && m[at]->pattern_number <= number; at++) {
            for (int d = 0; d < 2; d++) {
                has[d] |= m[at]->pattern_number == number &&
                          !strcmp(m[at]->detector, detectors[d]);
            }
        }
        char lacks[32] = "";
        for (int d = 0; d < 2; d++) {
            if (!has[d] && exposure_reaches(detectors[d], g->grating, g->filter)) {
                strcat(lacks, *lacks ? " and " : "");
                strcat(lacks, detectors[d]);
            }
        }
        if (*lacks) {
            tally_say(l, "dither %d %s%s%s", number, lacks,
                      several_visits ? " of visit " : "",
                      several_visits ? m[0]->visit : "");
        }
    }
}

static void tally_member(const struct queue_member *m, struct tally *t)
{
    t->last = m->accepted_at > t->last ? m->accepted_at : t->last;
    if (job_state_is_final(m->state)) {
        t->last = m->changed_at > t->last ? m->changed_at : t->last;
    }
    if (m->state == JOB_DONE) {
        t->done[t->n_done++] = m->job;
        t->news |= !m->read;
    } else if (job_state_is_final(m->state)) {
        tally_say(&t->failed, "dither %d %s (its spec2 is %s)", m->pattern_number,
                  m->detector, job_state_name(m->state));
    } else {
        tally_say(&t->pending, "dither %d %s (to be reduced)", m->pattern_number,
                  m->detector);
    }
}

static void tally(const struct queue_group *g, const struct plan_rules *rules,
                  struct tally *t)
{
    for (size_t i = 0; i < g->n_members; i++) {
        const struct queue_member *m = &g->members[i];
        if (counts(m)) {
            t->members[t->n++] = m;
            if (!m->claimed) { /* else an association's group combines it */
                t->n_own++;
                tally_member(m, t);
            }
        }
    }
    size_t pending;
    bool news;
    planner_spectra(g, rules, t->spectra, &t->n_spectra, &pending, &news);
    t->news |= news && t->n_done;
    if (pending) {
        tally_say(&t->pending, "background (to be reduced)");
    }
    qsort(t->members, t->n, sizeof *t->members, by_visit);
    t->complete = "all dithers and detectors are done";
    t->nothing = t->n ? "associations combine its exposures" : "no exposure is left";
    bool several = t->n && strcmp(t->members[0]->visit, t->members[t->n - 1]->visit);
    for (size_t i = 0, k; i < t->n && t->n_own;
         i = k) { /* none: it waits for nothing */
        for (k = i; k < t->n && !strcmp(t->members[k]->visit, t->members[i]->visit);) {
            k++;
        }
        say_missing(g, t->members + i, k - i, several, &t->missing);
    }
}

static void say_waits(const struct queue_group *g, const struct tally *t,
                      struct plan_step *ret)
{
    const struct tally_list *parts[] = {&t->missing, &t->pending, &t->failed};
    size_t at = 0;
    for (int i = 0; i < 3; i++) { /* 3 * 170 bytes: there is room for all */
        const struct tally_list *l = parts[i];
        char more[20] = "";
        if (l->left_out) {
            snprintf(more, sizeof more, " and %d more", l->left_out);
        }
        if (l->n) {
            at += (size_t)snprintf(ret->why + at, sizeof ret->why - at, "%s%s%s",
                                   at ? ", " : "", l->text, more);
        }
    }
    if (!t->pending.n && t->n_done && !g->n_named) {
        ret->quiet_since = t->last;
    }
}

/* They cannot be combined: the newest job is held, and none is made beside it. */
static void refuse(const struct queue_job *newest, const struct tally *t,
                   struct plan_step *ret)
{
    if (!newest ||
        (t->news && (newest->state == JOB_DONE || newest->state == JOB_QUEUED ||
                     newest->state == JOB_DEFERRED))) {
        step(ret, PLAN_ADD_JOB, 0, 0, "");
    } else if (newest->state == JOB_WAITING) {
        step(ret, PLAN_HOLD, 0, newest->id, t->refused);
    }
}

static const char *reason(const struct tally *t, bool complete, bool quiet)
{
    return complete ? t->complete
           : quiet  ? "quiet for the configured time"
                    : "an operator lets it go without what is missing";
}

static void next_for_group(const struct queue_group *g, double now, double quiet,
                           struct tally *t, struct plan_step *ret)
{
    const struct queue_job *newest = g->n_jobs ? &g->jobs[g->n_jobs - 1] : NULL;
    bool runs = false;
    if (newest && strcmp(newest->recipe, g->recipe)) {
        newest = NULL;
    }
    for (size_t i = 0; i < g->n_jobs; i++) {
        const struct queue_job *j = &g->jobs[i];
        runs |= j->state == JOB_RUNNING;
        if (j != newest && job_may_move(j->state, JOB_SUPERSEDED) &&
            (j->state != JOB_DONE || (newest && newest->state == JOB_DONE))) {
            step(ret, PLAN_SUPERSEDE, 0, j->id,
                 newest ? newest->name : "an association makes what it is named after");
            return;
        }
    }
    if (!t->n_own) {
        if (newest && newest->state == JOB_WAITING) {
            step(ret, PLAN_SUPERSEDE, 0, newest->id, t->nothing);
        } else {
            say_waits(g, t, ret);
        }
        return;
    }
    if (*t->refused) {
        refuse(newest, t, ret);
        return;
    }
    if (!newest || (newest->state != JOB_WAITING && newest->state != JOB_RUNNING &&
                    newest->state != JOB_SUSPECT && t->news)) {
        step(ret, PLAN_ADD_JOB, 0, 0, "");
        return;
    }
    if (newest->state != JOB_WAITING || runs) {
        return;
    }
    bool settled = !t->pending.n && t->n_done > 0;
    bool complete = settled && !t->missing.n && !t->failed.n;
    bool is_quiet = !g->n_named && now - t->last >= quiet;
    if (complete || (settled && (is_quiet || g->proceed_at > 0))) {
        step(ret, PLAN_QUEUE, 0, newest->id, reason(t, complete, is_quiet));
        ret->inputs = t->done;
        ret->n_inputs = t->n_done;
        ret->companions = t->spectra;
        ret->n_companions = t->n_spectra;
        t->done = NULL;
        t->spectra = NULL;
        return;
    }
    say_waits(g, t, ret);
}

int planner_group(const struct queue_group *g, const struct plan_rules *rules,
                  double now, struct plan_step *ret, struct err *err)
{
    *ret = (struct plan_step){0};
    struct tally *t = mem_calloc(1, sizeof *t, err);
    int code = ERR_NOMEM;
    size_t n = g->n_members + g->n_named + g->n_dispersers + 1;
    if (t && (t->members = mem_calloc(n, sizeof(void *), err)) &&
        (t->done = mem_calloc(n, sizeof *t->done, err)) &&
        (t->spectra = mem_calloc(g->n_neighbours + n, sizeof *t->spectra, err))) {
        code = 0;
        if (!strcmp(g->recipe, RECIPE_COMBINE)) {
            planner_tally_combine(g, rules, t);
        } else if (g->n_named) {
            planner_tally_association(g, t);
        } else {
            tally(g, rules, t);
        }
        next_for_group(g, now, rules->quiet_seconds, t, ret);
    }
    if (t) {
        free(t->members);
        free(t->done);
        free(t->spectra);
    }
    free(t);
    return code;
}

void plan_step_done(struct plan_step *step)
{
    free(step->inputs);
    free(step->companions);
    *step = (struct plan_step){0};
}
