#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/planner_tally.h"

bool planner_target(const char *group, char *ret)
{
    char optics[32];
    const char *end = strrchr(group, '_');
    snprintf(optics, sizeof optics, "%s", end ? end + 1 : "");
    char *filter = strchr(optics, '-');
    if (!filter) {
        return false;
    }
    *filter++ = 0;
    snprintf(ret, QUEUE_NAME, "%.*s", (int)(end - group), group);
    return *ret && exposure_is_pair(optics, filter);
}

static void tally_disperser(const struct queue_disperser *d, const char *name,
                            struct tally *t)
{
    const bool is_final = job_state_is_final(d->state);
    t->last = is_final ? fmax(t->last, d->changed_at) : t->last;
    if (d->unsettled || !is_final) {
        tally_say(&t->pending, "%s (to be reduced)", name);
    } else if (d->state != JOB_DONE) {
        tally_say(&t->failed, "%s (its spec3 is %s)", name, job_state_name(d->state));
    } else if (!d->has_spectrum) {
        tally_say(&t->failed, "%s (it has no x1d)", name);
    } else {
        t->done[t->n_done++] = d->job;
        t->news |= !d->read;
    }
}

/* Of the groups whose names begin with the target's. */
static bool is_own(const struct queue_group *g, const struct queue_disperser *d)
{
    char target[QUEUE_NAME];
    return planner_target(d->group, target) && !strcmp(target, g->name);
}

void planner_tally_combine(const struct queue_group *g, const struct plan_rules *rules,
                           struct tally *t)
{
    size_t n = 0;
    t->complete = "the spectra of all its dispersers are there";
    t->nothing = rules->combine ? "fewer than two dispersers are left"
                                : "spectra are not combined any more";
    for (size_t i = 0; i < g->n_dispersers; i++) {
        n += is_own(g, &g->dispersers[i]);
    }
    if (n < 2 || !rules->combine) {
        return;
    }
    t->n_own = n;
    for (size_t i = 0; i < g->n_dispersers; i++) {
        const struct queue_disperser *d = &g->dispersers[i];
        if (is_own(g, d)) {
            tally_disperser(d, d->group + strlen(g->name) + 1, t);
        }
    }
    if (t->n_done < 2) { /* one alone is not combined */
        t->n_done = 0;
        t->news = false;
    }
}
