#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "daemon/service_state.h"

/* What the service does for itself: comparing queue and disk after a start, and retention
 * once a day. */

#define START_SECONDS                                                                  \
    0.2 /* of comparing before anything runs; the rest goes on later */
#define FIRST_PRUNE 600.0 /* s after the start */
#define EVERY 86400.0     /* s */

static void say_found(struct service *s)
{
    const struct reconcile *r = &s->care.reconcile;
    if (r->returned || r->removed) {
        log_info(
            "copies that belong to no exposure: %ld back to the inbox, %ld removed",
            r->returned, r->removed);
    }
    if (r->lost) {
        service_trouble(
            s, "%ld exposures have no copy in the spool: drop their files again",
            r->lost);
    }
    if (r->stranded) {
        service_trouble(s,
                        "%ld copies in %s belong to no exposure and cannot go back to "
                        "the inbox: see the log",
                        r->stranded, s->care.exposures);
    }
    if (r->missing) {
        service_trouble(s,
                        "%ld products are missing or were changed, the first of job "
                        "%s: %s; ifuctl retry makes them again",
                        r->missing, r->missing_job, r->missing_path);
    }
}

static void compare(struct service *s)
{
    struct err err = {0};
    if (reconcile_step(&s->care.reconcile, s->queue, spool_busy(s->spool) == 0,
                       service_now(), &err)) {
        service_trouble(s, "comparing queue and disk failed, trying again: %s",
                        err.message);
    } else if (s->care.reconcile.at == RECONCILE_DONE) {
        say_found(s);
    }
}

int care_open(struct service *s, struct err *err)
{
    s->care.exposures = mem_printf(err, "%s/exposures", s->spool_folder);
    if (!s->care.exposures) {
        return ERR_NOMEM;
    }
    struct reconcile_places places = {.exposures = s->care.exposures,
                                      .inbox = s->inbox_folder,
                                      .products = s->products_folder,
                                      .manifests = s->manifests_folder};
    size_t n = 0;
    int code = reconcile_parts(&places, s->queue, &n, err);
    if (code) {
        return code;
    }
    if (n) {
        log_info("%zu part files of attempts that died are removed", n);
    }
    reconcile_init(&s->care.reconcile, &places);
    s->care.next_prune = service_now() + FIRST_PRUNE;
    double end = service_now() + START_SECONDS;
    while (!care_is_done(s) && service_now() < end && !s->n_troubles) {
        compare(s);
    }
    return 0;
}

bool care_is_done(const struct service *s)
{
    return s->care.reconcile.at == RECONCILE_DONE;
}

/* A step of retention; the exposures of files that are being copied may not go. */
static void prune(struct service *s, double now)
{
    struct err err = {0};
    bool more = false;
    struct queue_prune_rules rules = retention_rules(s->config->values, now);
    if (spool_busy(s->spool) > 0) {
        return;
    }
    if (retention_step(s->queue, s->care.exposures, &rules, false, now,
                       &s->care.events_until, &s->care.pruned, &more, &err)) {
        service_trouble(s, "retention failed, trying again: %s", err.message);
        s->care.next_prune = now + FIRST_PRUNE;
        return;
    }
    if (!more) {
        const struct retention_sum *p = &s->care.pruned;
        if (p->events || p->jobs || p->exposures) {
            log_info("retention: %ld events, %ld superseded jobs and %ld exposures "
                     "(%lld MB) are gone",
                     p->events, p->jobs, p->exposures, p->bytes >> 20);
        }
        s->care.pruned = (struct retention_sum){0};
        s->care.events_until = 0;
        s->care.next_prune = now + EVERY;
    }
}

void care_tick(struct service *s, double now)
{
    if (!care_is_done(s)) {
        compare(s);
    } else if (now >= s->care.next_prune || s->care.next_prune > now + EVERY) {
        prune(s, now);
    }
}

void care_close(struct service *s)
{
    reconcile_done(&s->care.reconcile);
    free(s->care.exposures);
}
