#ifndef IFUD_DAEMON_RESERVE_H
#define IFUD_DAEMON_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

/*
 * The reserve: how many bytes and inodes must stay free on the file systems that the daemon
 * writes to, so that what is accepted can also be recorded. Below it nothing is taken in
 * and no job starts, until there is a twentieth more than the reserve again.
 *
 * Bytes that are about to be written are claimed before and released after, so that many
 * files at once do not pass the reserve together. Inodes that a file system does not count
 * (it says that it has none at all) are no limit.
 *
 * Thread: one. Test: tests/daemon/test_reserve.c
 */
struct reserve;

#define RESERVE_WHY 400 /* bytes of a reason */

struct reserve_place {
    const char *key;    /* for messages: "spool_folder" */
    const char *folder; /* must exist */
};

/* The first place is the one that claims are for. bytes, inodes: 0 for no limit. */
int reserve_open(const struct reserve_place *places, size_t n, int64_t bytes,
                 int64_t inodes, struct reserve **ret, struct err *err);
void reserve_close(struct reserve *r); /* NULL is fine */
/* Other limits from now on. */
void reserve_set(struct reserve *r, int64_t bytes, int64_t inodes);

/*
 * Look at the file systems. True while there is room; if not, reserve_why says what is
 * missing where. One that cannot be asked (it is unmounted) has no room.
 */
bool reserve_look(struct reserve *r);
const char *reserve_why(const struct reserve *r); /* "" while there is room */

/* May `bytes` more be written into the first place? If so they are claimed; if not, `why`
 * (RESERVE_WHY bytes) says what is missing. */
bool reserve_claim(struct reserve *r, int64_t bytes, char *why);
void reserve_release(struct reserve *r, int64_t bytes);

#endif
