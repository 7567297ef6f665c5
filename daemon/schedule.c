#include "daemon/schedule.h"

#include <math.h>
#include <string.h>

struct rank {
    double priority, used;
    int running;
    double queued_at;
};

static struct rank rank_of(const struct queue_candidate *c,
                           const struct queue_share *shares, size_t n_shares,
                           double now, double ageing_seconds)
{
    struct rank r = {.priority = c->priority, .queued_at = c->queued_at};
    double since = c->started_at > c->queued_at ? c->started_at : c->queued_at;
    if (ageing_seconds > 0 && now > since) {
        r.priority += floor((now - since) / ageing_seconds);
    }
    for (size_t i = 0; i < n_shares; i++) {
        if (!strcmp(shares[i].program, c->program)) {
            r.running = shares[i].running;
            r.used = shares[i].used_seconds;
            break;
        }
    }
    return r;
}

static int before(const struct rank *a, const struct rank *b)
{
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    if (a->running != b->running) {
        return a->running < b->running;
    }
    if (a->used != b->used) {
        return a->used < b->used;
    }
    return a->queued_at < b->queued_at;
}

size_t schedule_pick(const struct queue_candidate *candidates, size_t n,
                     const struct queue_share *shares, size_t n_shares, double now,
                     double ageing_seconds)
{
    size_t best = 0;
    struct rank first = rank_of(candidates, shares, n_shares, now, ageing_seconds);
    for (size_t i = 1; i < n; i++) {
        struct rank r = rank_of(&candidates[i], shares, n_shares, now, ageing_seconds);
        if (before(&r, &first)) {
            first = r;
            best = i;
        }
    }
    return best;
}
