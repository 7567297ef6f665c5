#ifndef IFUD_DAEMON_RETENTION_H
#define IFUD_DAEMON_RETENTION_H

#include <stdbool.h>
#include "common/base/err.h"
#include "common/base/params.h"
#include "daemon/queue.h"

/*
 * How long things are kept: rules of the configuration, applied by queue_prune; copies
 * leave the spool once it is on the disk that their exposures are gone. Of products only
 * those go that a newer version has replaced (kept.h), before the rows of their jobs.
 * Thread: the queue's; nothing may be being copied into the spool. Test:
 * tests/daemon/test_retention.c
 */

struct retention_sum {
    long events, jobs, exposures; /* rows removed; exposures that are gone */
    long long bytes;              /* of copies, and of kept products */
};

/* retain_events_days, retain_superseded_days and retain_exposures_days of the
 * configuration, at `now` (s since 1970). */
struct queue_prune_rules retention_rules(const struct params *values, double now);

/* One step. exposures: the folder of copies. Adds to *sum. *events_until: 0 at first.
 * dry_run: everything at once, and nothing goes. */
int retention_step(struct queue *q, const char *exposures,
                   const struct queue_prune_rules *rules, bool dry_run, double now,
                   int64_t *events_until, struct retention_sum *sum, bool *ret_more,
                   struct err *err);

/* All steps. */
int retention_run(struct queue *q, const char *exposures,
                  const struct queue_prune_rules *rules, bool dry_run, double now,
                  struct retention_sum *ret, struct err *err);

#endif
