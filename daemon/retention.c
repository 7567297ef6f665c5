#include "daemon/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "daemon/kept.h"

static double before(const struct params *values, const char *key, double now)
{
    double days = params_real(values, key);
    return days > 0 ? now - days * 86400.0 : 0.0;
}

struct queue_prune_rules retention_rules(const struct params *values, double now)
{
    return (struct queue_prune_rules){
        .events_before = before(values, "retain_events_days", now),
        .superseded_before = before(values, "retain_superseded_days", now),
        .exposures_before = before(values, "retain_exposures_days", now)};
}

/* The copy of an exposure that is gone, unless its bytes have come again. */
static int drop_copy(struct queue *q, const char *exposures, const struct queue_copy *c,
                     bool dry_run, struct retention_sum *sum, struct err *err)
{
    int64_t again = 0;
    struct stat st;
    int code = dry_run ? 0 : queue_find_content(q, c->sha256, &again, err);
    char *folder = mem_printf(err, "%s/%s", exposures, c->sha256);
    char *path = mem_printf(err, "%s/%s/%s", exposures, c->sha256, c->name);
    if (!folder || !path) {
        code = ERR_NOMEM;
    }
    if (!code && !again) {
        sum->exposures++;
        sum->bytes += stat(path, &st) ? 0 : (long long)st.st_size;
        if (!dry_run) { /* if it cannot be removed, the next start does it */
            unlink(path);
            rmdir(folder);
        }
    }
    free(folder);
    free(path);
    return code;
}

#define KEPT_AT_ONCE 5 /* jobs whose large files go between two looks at other things */

/* What superseded jobs had published goes first; *ret_more: there were some. */
static int drop_kept(struct queue *q, double before, bool dry_run,
                     struct retention_sum *sum, bool *ret_more, struct err *err)
{
    struct queue_stored *kept = NULL;
    size_t n = 0;
    int code = before > 0
                   ? queue_kept_products(q, before, dry_run ? INT32_MAX : KEPT_AT_ONCE,
                                         &kept, &n, err)
                   : 0;
    for (size_t i = 0; i < n && !code; i++) {
        kept_remove(kept[i].path, dry_run, &sum->bytes);
        code = dry_run ? 0 : queue_forget_products(q, kept[i].job, err);
    }
    free(kept);
    *ret_more = n && !dry_run;
    return code;
}

int retention_step(struct queue *q, const char *exposures,
                   const struct queue_prune_rules *rules, bool dry_run, double now,
                   int64_t *events_until, struct retention_sum *sum, bool *ret_more,
                   struct err *err)
{
    struct queue_pruned p = {.events_until = *events_until};
    int code = drop_kept(q, rules->superseded_before, dry_run, sum, ret_more, err);
    if (code || *ret_more) {
        return code;
    }
    code = queue_prune(q, rules, dry_run, now, &p, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < p.n_copies && !code; i++) {
        code = drop_copy(q, exposures, &p.copies[i], dry_run, sum, err);
    }
    sum->events += p.events;
    sum->jobs += p.jobs;
    *events_until = p.events_until;
    *ret_more = p.more && !dry_run;
    queue_pruned_done(&p);
    return code;
}

int retention_run(struct queue *q, const char *exposures,
                  const struct queue_prune_rules *rules, bool dry_run, double now,
                  struct retention_sum *ret, struct err *err)
{
    int64_t events_until = 0;
    bool more = true;
    int code = 0;
    *ret = (struct retention_sum){0};
    while (more && !code) {
        code = retention_step(q, exposures, rules, dry_run, now, &events_until, ret,
                              &more, err);
    }
    return code;
}
