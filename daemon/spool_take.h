#ifndef IFUD_DAEMON_SPOOL_TAKE_H
#define IFUD_DAEMON_SPOOL_TAKE_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/spool.h"
#include "daemon/watchdog.h"

/*
 * What a thread of the spool does with a batch: copy and hash each file and look at its
 * headers; then sync all copies, put them in their places, and sync the folders, the
 * common one once. One that fails does not concern the others.
 * Thread: any; batches at the same time hold different names.
 * Test: tests/daemon/test_spool.c
 */
struct spool_place {
    char *inbox, *rejected, *tmp, *exposures; /* folders */
};

struct spool_work {
    char *name;
    bool last_chance;
    struct spool_result result;
    int copy; /* descriptor; -1: none */
    struct spool_work *next;
};

/* Fill in the results of all; the heart beats with every file and megabyte. */
void spool_take(const struct spool_place *place, struct spool_work **works, size_t n,
                struct heartbeat *beat);

#endif
