#include "daemon/planner_association.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "daemon/planner_tally.h"

/* Is its copy there, or was it reduced while it was? */
static bool is_here(const struct queue_named *n)
{
    return n->here.exposure && (n->here.live || n->here.job);
}

/* What keeps two members apart; "" if nothing does. */
static void compare(const struct queue_named *first, const struct queue_named *n,
                    char *ret, size_t size)
{
    *ret = 0;
    if (strcmp(first->grating, n->grating) || strcmp(first->filter, n->filter)) {
        snprintf(ret, size,
                 "%.100s mixes dispersers: %.80s has %s/%s, %.80s has %s/%s; expected "
                 "is one disperser and filter in a product: send it corrected",
                 n->file, first->expname, first->filter, first->grating, n->expname,
                 n->filter, n->grating);
    }
}

/* ---- spec3 ---- */

static void tally_state(const struct queue_named *n, struct tally *t)
{
    const struct queue_member *m = &n->here;
    bool is_science = !strcmp(n->role, "science");
    t->last = fmax(t->last, m->accepted_at);
    if (job_state_is_final(m->state)) {
        t->last = fmax(t->last, m->changed_at);
    }
    if (m->state == JOB_DONE && is_science) {
        t->done[t->n_done++] = m->job;
        t->news |= !m->read;
    } else if (m->state == JOB_DONE) {
        struct queue_companion *to = &t->spectra[t->n_spectra++];
        *to = (struct queue_companion){.input_job = m->job};
        strcpy(to->role, "background");
        snprintf(to->why, sizeof to->why, "named by %.100s", n->file);
        t->news |= !m->read;
    } else if (job_state_is_final(m->state)) {
        tally_say(&t->failed, "%s (its spec2 is %s)", n->expname,
                  job_state_name(m->state));
    } else {
        tally_say(&t->pending, "%s (to be reduced)", n->expname);
    }
}

void planner_tally_association(const struct queue_group *g, struct tally *t)
{
    const struct queue_named *first = NULL;
    t->complete = "all that its association names is done";
    t->nothing = "no exposure is left";
    for (size_t i = 0; i < g->n_named; i++) {
        const struct queue_named *n = &g->named[i];
        t->last = fmax(t->last, n->at);
        if (!is_here(n)) {
            tally_say(&t->missing, "%s (%s)", n->expname,
                      n->here.exposure ? "its copy is gone" : "has not come");
            continue;
        }
        first = first ? first : n;
        if (!*t->refused) {
            compare(first, n, t->refused, sizeof t->refused);
        }
        if (!*t->refused && !n->here.science && !n->here.background) {
            snprintf(t->refused, sizeof t->refused,
                     "%.100s names %.80s as %s, whose headers say that it is a leakage "
                     "exposure: expected is an exposure of the sky; send it corrected",
                     n->file, n->expname, n->role);
        }
        t->n_own += !strcmp(n->role, "science");
        tally_state(n, t);
    }
    t->news |= g->n_dropped > 0 && t->n_done > 0;
}

/* ---- spec2 ---- */

/* The rows of one exposure. */
static const struct queue_named *rows_of(const struct queue_group *g,
                                         const struct queue_member *m, size_t *ret_n)
{
    size_t low = 0, high = g->n_taken;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->taken[middle].of < m->exposure) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (high = low; high < g->n_taken && g->taken[high].of == m->exposure;) {
        high++;
    }
    *ret_n = high - low;
    return g->taken + low;
}

bool planner_names_background(const struct queue_group *g, const struct queue_member *m)
{
    size_t n;
    const struct queue_named *rows = rows_of(g, m, &n);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(rows[i].role, "background")) {
            return true;
        }
    }
    return false;
}

struct chosen {
    struct queue_companion *list;
    size_t n;
    double accepted_at; /* the last of them */
    struct tally_list missing;
    char refused[440];
};

static void choose(const struct queue_group *g, const struct queue_member *m,
                   const struct queue_named *rows, size_t n, struct chosen *ret)
{
    struct queue_named self = {.here = *m};
    memcpy(self.grating, g->grating, sizeof self.grating);
    memcpy(self.filter, g->filter, sizeof self.filter);
    snprintf(self.expname, sizeof self.expname, "its exposure");
    for (size_t i = 0; i < n; i++) {
        const struct queue_named *r = &rows[i];
        if (!*r->role) {
            continue; /* it names nothing beside the exposure */
        }
        if (!r->here.live) {
            tally_say(&ret->missing, "%s %s (%s)", r->role, r->expname,
                      r->here.exposure ? "its copy is gone" : "has not come");
            continue;
        }
        if (!*ret->refused) {
            compare(&self, r, ret->refused, sizeof ret->refused);
        }
        if (strcmp(r->here.detector, m->detector)) {
            continue; /* one file may serve both detectors */
        }
        struct queue_companion *to = &ret->list[ret->n++];
        *to = (struct queue_companion){.exposure = r->here.exposure};
        snprintf(to->role, sizeof to->role, "%s", r->role);
        snprintf(to->why, sizeof to->why, "named by %.100s", r->file);
        ret->accepted_at = fmax(ret->accepted_at, r->here.accepted_at);
    }
}

/* Is it what the job has now? */
static bool is_same(const struct queue_group *g, const struct queue_member *m,
                    const char *product, const struct chosen *c)
{
    size_t n = 0;
    bool same = !strcmp(m->product, product);
    for (size_t i = 0; i < g->n_companions; i++) {
        if (g->companions[i].job == m->job) {
            same = same && n < c->n &&
                   g->companions[i].exposure == c->list[n].exposure &&
                   !strcmp(g->companions[i].role, c->list[n].role);
            n++;
        }
    }
    return same && n == c->n;
}

/* The decision; true if the list goes with it. */
static bool decide(const struct queue_group *g, const struct queue_member *m,
                   const struct queue_named *first, const struct chosen *c, bool same,
                   struct plan_step *ret)
{
    bool waiting = m->state == JOB_WAITING, done = m->state == JOB_DONE;
    bool older = fmax(first->at, c->accepted_at) < m->companions_at;
    if (m->state == JOB_HELD &&
        m->companions_at <= 0) { /* refused until it is corrected */
        ret->verb = first->at > m->changed_at ? PLAN_AGAIN : PLAN_NOTHING;
        snprintf(ret->why, sizeof ret->why, "%.100s came later", first->file);
        return false;
    }
    if (done ? same || older || m->companions_at <= 0 : !waiting && same) {
        return false;
    }
    if ((waiting || done) && *c->refused) {
        ret->verb = waiting ? PLAN_HOLD : PLAN_NOTHING;
        snprintf(ret->why, sizeof ret->why, "%s", c->refused);
        return false;
    }
    if (!waiting && !done) {
        ret->verb = PLAN_SET_COMPANIONS;
        return true;
    }
    if (m->older_runs) {
        snprintf(ret->why, sizeof ret->why, "the end of its older version");
        return false;
    }
    if (c->missing.n && g->proceed_at <= 0) {
        char more[20] = "";
        if (c->missing.left_out) {
            snprintf(more, sizeof more, " and %d more", c->missing.left_out);
        }
        snprintf(ret->why, sizeof ret->why, "%s%s, named by %.100s", c->missing.text,
                 more, first->file);
        return false;
    }
    ret->verb = waiting ? PLAN_QUEUE : PLAN_AGAIN;
    snprintf(ret->why, sizeof ret->why, "%s%.100s",
             !waiting       ? "what is taken off it has changed: "
             : c->missing.n ? "an operator lets it go without what is missing of "
                            : "all that is taken off it is there: ",
             first->file);
    return waiting;
}

int planner_named_spec2(const struct queue_group *g, const struct queue_member *m,
                        struct plan_step *ret, struct err *err)
{
    size_t n;
    const struct queue_named *rows = rows_of(g, m, &n);
    struct chosen c = {0};
    *ret = (struct plan_step){.exposure = m->exposure, .job = m->job};
    if (!n || !m->live || !m->job || m->state == JOB_RUNNING ||
        m->state == JOB_SUPERSEDED) {
        return 0;
    }
    c.list = mem_calloc(n, sizeof *c.list, err);
    if (!c.list) {
        return ERR_NOMEM;
    }
    choose(g, m, rows, n, &c);
    bool same = is_same(g, m, rows->product, &c);
    if (decide(g, m, rows, &c, same, ret)) {
        ret->companions = c.list;
        ret->n_companions = c.n;
        memcpy(ret->product, rows->product, sizeof ret->product);
    } else {
        free(c.list);
    }
    return 0;
}
