#ifndef IFUD_DAEMON_RECONCILE_H
#define IFUD_DAEMON_RECONCILE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "daemon/queue.h"

/*
 * After a start the queue and the disk are compared, both ways:
 *
 *   part files of attempts that died        removed, before anything runs
 *   exposures whose copy is not in the      `gone`; a job that was still to read it is
 *   spool                                   held: the same file dropped again replaces it
 *   copies without an exposure              goes back to the inbox, unless the same file
 *                                           still lies there: then it is removed. (A death
 *                                           between copy and commit, or a queue restored
 *                                           from a backup.)
 *   copies of exposures that are `gone`     removed
 *   products of done jobs that are missing  counted; `ifuctl retry` makes them again
 *   or have another size
 *
 * All but the first goes on while the daemon works, a slice at a time.
 * Thread: the queue's. Test: tests/daemon/test_reconcile.c
 */
struct reconcile_places { /* folders; borrowed for as long as the struct lives */
    const char *exposures, *inbox, *products, *manifests;
};

struct reconcile {
    struct reconcile_places places;
    enum { RECONCILE_ROWS, RECONCILE_COPIES, RECONCILE_PRODUCTS, RECONCILE_DONE } at;
    int64_t after;   /* exposure or job that was looked at last */
    char path[4096]; /* and its product */
    DIR *dir;        /* of copies */
    long lost, returned, removed, stranded; /* exposures, copies; see reconcile_step */
    long missing;                           /* products, the first one being: */
    char missing_job[2 * QUEUE_NAME], missing_path[4096];
};

/* Remove the part files of dead attempts. Nothing may be running. Returns how many. */
int reconcile_parts(const struct reconcile_places *places, struct queue *q,
                    size_t *ret_n, struct err *err);

void reconcile_init(struct reconcile *r, const struct reconcile_places *places);
void reconcile_done(struct reconcile *r); /* fine if zeroed */

/*
 * The next slice. A copy that cannot go back (the inbox is on another file system, or has
 * another file of that name) stays and is counted as stranded.
 * Given: spool_idle: nothing is being copied into the spool
 * Returned: 0 also at the end, when r->at is RECONCILE_DONE. After an error the same
 * slice comes again.
 */
int reconcile_step(struct reconcile *r, struct queue *q, bool spool_idle, double now,
                   struct err *err);

#endif
