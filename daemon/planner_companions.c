#include "daemon/planner_companions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "daemon/planner_association.h"
#include "daemon/planner_choice.h"

bool planner_wants_companions(const struct plan_rules *rules)
{
    return rules->imprints || rules->nods || (rules->backgrounds && !rules->in_spec3);
}

bool planner_is_reduced(const struct queue_member *m)
{
    return m->science || m->background;
}

/* ---- as companions ---- */

struct companions {
    struct queue_companion list[3 * PLANNER_COMPANIONS];
    double accepted_at[3 * PLANNER_COMPANIONS];
    size_t n;
};

static void add(struct companions *c, int64_t exposure, double accepted_at,
                const char *role, const char *why)
{
    struct queue_companion *to = &c->list[c->n];
    *to = (struct queue_companion){.exposure = exposure};
    snprintf(to->role, sizeof to->role, "%s", role);
    snprintf(to->why, sizeof to->why, "%s", why);
    c->accepted_at[c->n++] = accepted_at;
}

static void say_sky(const struct queue_group *g, const struct choice *c,
                    const struct queue_neighbour *n, char *ret, size_t size)
{
    bool other = strcmp(n->program, g->program) != 0;
    int at =
        snprintf(ret, size, "%s%s%s, observation %s",
                 c->off_scene ? "off-scene background" : "dedicated background",
                 other ? ", program " : "", other ? n->program : "", n->observation);
    if (c->off_scene && at > 0 && (size_t)at < size) {
        snprintf(ret + at, size - (size_t)at, ", %.1f days and %.2f degrees away",
                 c->days, c->degrees);
    }
}

static void collect(const struct queue_group *g, const struct queue_member *m,
                    const struct plan_rules *rules, struct companions *ret)
{
    struct choice c;
    char why[128];
    ret->n = 0;
    planner_choose_backgrounds(g, m, rules, &c);
    for (size_t i = 0; i < c.nods.n; i++) {
        const struct queue_member *o = &g->members[c.nods.at[i]];
        snprintf(why, sizeof why, "nod position %d", o->pattern_number);
        add(ret, o->exposure, o->accepted_at, "background", why);
    }
    if (rules->in_spec3) {
        c.skies.n = 0;
    }
    for (size_t i = 0; i < c.skies.n; i++) {
        const struct queue_neighbour *n = &g->neighbours[c.skies.at[i]];
        say_sky(g, &c, n, why, sizeof why);
        add(ret, n->exposure, n->accepted_at, "background", why);
    }
    if (rules->imprints) {
        planner_choose_leaks(g, m, &c);
    }
    for (size_t i = 0; i < c.leaks.n; i++) {
        const struct queue_neighbour *n = &g->neighbours[c.leaks.at[i]];
        bool ours = !strcmp(n->observation, m->observation);
        snprintf(why, sizeof why, "leakage, %sobservation%s%s", ours ? "the same " : "",
                 ours ? "" : " ", ours ? "" : n->observation);
        add(ret, n->exposure, n->accepted_at, "imprint", why);
    }
}

/* Those that a job has now; g->companions stand job by job. */
static const struct queue_companion *present(const struct queue_group *g, int64_t job,
                                             size_t *ret_n)
{
    size_t low = 0, high = g->n_companions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->companions[middle].job < job) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (high = low; high < g->n_companions && g->companions[high].job == job;) {
        high++;
    }
    *ret_n = high - low;
    return g->companions + low;
}

static bool reads(const struct queue_companion *list, size_t n, int64_t exposure)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].exposure == exposure) {
            return true;
        }
    }
    return false;
}

static bool same(const struct companions *c, const struct queue_companion *list,
                 size_t n)
{
    for (size_t i = 0; c->n == n && i < n; i++) {
        if (c->list[i].exposure != list[i].exposure) {
            return false;
        }
    }
    return c->n == n;
}

/* ---- when it may go ---- */

double planner_news(const struct queue_group *g)
{
    double last = 0;
    for (size_t i = 0; i < g->n_members; i++) {
        last = fmax(last, g->members[i].accepted_at);
    }
    for (size_t i = 0; i < g->n_neighbours; i++) {
        if (!strcmp(g->neighbours[i].program, g->program)) {
            last = fmax(last, g->neighbours[i].accepted_at);
        }
    }
    return last;
}

/* Nod positions that are not there; "" if all are. */
static void missing_nods(const struct queue_group *g, const struct queue_member *m,
                         char *ret, size_t size)
{
    bool has[1000] = {false};
    size_t from, to, at = 0;
    planner_window(g, m, &from, &to);
    *ret = 0;
    for (size_t i = from; i < to; i++) {
        const struct queue_member *o = &g->members[i];
        if (o->live && planner_is_nod(o) && !strcmp(o->detector, m->detector) &&
            !strcmp(o->visit, m->visit) && o->pattern_number < 1000) {
            has[o->pattern_number] = true;
        }
    }
    for (int k = 1; k <= m->pattern_total && k < 1000 && at + 8 < size; k++) {
        if (!has[k]) {
            at += (size_t)snprintf(ret + at, size - at, "%s%d", at ? ", " : "", k);
        }
    }
}

/* News that go on for so many waits are no reason to wait on. */
#define LONGEST_WAITS 10

/* True if it may; else why not, and when it may. */
static bool may_go(const struct queue_group *g, const struct queue_member *m,
                   const struct plan_rules *rules, double last, double now,
                   struct plan_step *ret)
{
    char missing[80] = "";
    double due = last + rules->wait_seconds;
    if (m->state == JOB_WAITING) {
        due = fmin(due, m->accepted_at + LONGEST_WAITS * rules->wait_seconds);
    }
    if (m->older_runs) {
        snprintf(ret->why, sizeof ret->why, "the end of its older version");
        return false;
    }
    if (rules->nods && planner_is_nod(m)) {
        missing_nods(g, m, missing, sizeof missing);
    }
    if (*missing) {
        due = fmax(due, last + rules->quiet_seconds);
    }
    if (now >= due || g->proceed_at > 0 || !planner_wants_companions(rules) ||
        (rules->wait_seconds <= 0 && rules->quiet_seconds <= 0)) {
        return true;
    }
    ret->look_at = due;
    if (*missing) {
        snprintf(ret->why, sizeof ret->why, "nod position %s on %s", missing,
                 m->detector);
    } else {
        snprintf(ret->why, sizeof ret->why,
                 "leakage and background exposures that may still come");
    }
    return false;
}

static int give(const struct companions *c, struct plan_step *ret, struct err *err)
{
    ret->companions = mem_calloc(c->n + 1, sizeof *ret->companions, err);
    if (!ret->companions) {
        return ERR_NOMEM;
    }
    memcpy(ret->companions, c->list, c->n * sizeof *c->list);
    ret->n_companions = c->n;
    return 0;
}

int planner_spec2(const struct queue_group *g, const struct queue_member *m,
                  const struct plan_rules *rules, double news, double now,
                  struct plan_step *ret, struct err *err)
{
    struct companions c;
    size_t n;
    if (m->named) {
        return planner_named_spec2(g, m, ret, err);
    }
    *ret = (struct plan_step){.exposure = m->exposure, .job = m->job};
    if (!m->live || !m->job || m->state == JOB_RUNNING || m->state == JOB_SUPERSEDED) {
        return 0;
    }
    const struct queue_companion *has = present(g, m->job, &n);
    collect(g, m, rules, &c);
    if (m->state == JOB_WAITING) {
        if (may_go(g, m, rules, news, now, ret)) {
            ret->verb = PLAN_QUEUE;
            snprintf(ret->why, sizeof ret->why, "its exposure is there%s",
                     c.n ? ", and what is subtracted from it" : "");
            return give(&c, ret, err);
        }
        return 0;
    }
    if (m->state != JOB_DONE) {
        ret->verb = same(&c, has, n) ? PLAN_NOTHING : PLAN_SET_COMPANIONS;
        return ret->verb == PLAN_NOTHING ? 0 : give(&c, ret, err);
    }
    for (size_t i = 0; i < c.n && m->companions_at > 0; i++) {
        if (c.accepted_at[i] >= m->companions_at &&
            !reads(has, n, c.list[i].exposure)) {
            if (may_go(g, m, rules, news, now, ret)) {
                ret->verb = PLAN_AGAIN;
                snprintf(ret->why, sizeof ret->why, "%s came later: %s", c.list[i].role,
                         c.list[i].why);
            }
            return 0;
        }
    }
    return 0;
}

/* ---- what is said of a group ---- */

void planner_offer(const struct queue_group *g, const struct plan_rules *rules,
                   struct queue_plan *ret)
{
    struct choice offered = {0};
    int n = 0;
    ret->without_imprint = 0;
    *ret->offer = 0;
    for (size_t i = 0; i < g->n_members; i++) {
        const struct queue_member *m = &g->members[i];
        struct choice c;
        if (!m->live || !m->science || m->named) {
            continue;
        }
        planner_choose_backgrounds(g, m, rules, &c);
        if (!c.nods.n && !c.skies.n) {
            planner_choose_off_scene(g, m, &c);
            offered = c.skies.n && !n ? c : offered;
            n += c.skies.n > 0;
        }
        c.leaks.n = 0;
        planner_choose_leaks(g, m, &c);
        ret->without_imprint += rules->imprints && !c.leaks.n;
    }
    if (n) {
        char what[160];
        say_sky(g, &offered, &g->neighbours[offered.skies.at[0]], what, sizeof what);
        snprintf(ret->offer, sizeof ret->offer, "%s, for %d exposure%s", what, n,
                 n == 1 ? "" : "s");
    }
}

void planner_spectra(const struct queue_group *g, const struct plan_rules *rules,
                     struct queue_companion *ret, size_t *ret_n, size_t *ret_pending,
                     bool *ret_news)
{
    double made = g->n_jobs ? g->jobs[g->n_jobs - 1].created_at : 0;
    *ret_n = *ret_pending = 0;
    *ret_news = false;
    for (size_t i = 0; i < g->n_members && rules->in_spec3; i++) {
        const struct queue_member *m = &g->members[i];
        struct choice c;
        if (!m->live || !m->science) {
            continue;
        }
        planner_choose_backgrounds(g, m, rules, &c);
        if (c.nods.n || planner_names_background(g, m)) { /* never twice */
            *ret_n = *ret_pending = 0;
            *ret_news = false;
            return;
        }
        for (size_t k = 0; k < c.skies.n; k++) {
            const struct queue_neighbour *n = &g->neighbours[c.skies.at[k]];
            bool known = false;
            for (size_t l = 0; l < *ret_n; l++) {
                known |= ret[l].input_job == n->job;
            }
            if (n->state == JOB_DONE && !known) {
                struct queue_companion *to = &ret[(*ret_n)++];
                *to = (struct queue_companion){.input_job = n->job};
                strcpy(to->role, "background");
                say_sky(g, &c, n, to->why, sizeof to->why);
                *ret_news |= !n->read && n->job_created_at >= made;
            }
            *ret_pending += !job_state_is_final(n->state);
        }
    }
}
