#ifndef IFUD_DAEMON_QUEUE_ASSOCIATIONS_H
#define IFUD_DAEMON_QUEUE_ASSOCIATIONS_H

#include "daemon/queue.h"
#include "jobs/association.h"

/*
 * Association files in the queue. Each has a row with its text, one row for each product
 * and for each member that is used. Of products of one recipe and name only the newest is
 * live: a file of the same name takes the place of all products of the older one, another
 * file's product that of the product of its name.
 *
 * Members are known by the base names of exposures. What a spec3 association calls by the
 * product name of a live spec2 association is the exposure of that one.
 * Ownership and thread: as queue.h. Test: tests/daemon/test_planner_association.c
 */

struct queue_association {
    int64_t id;
    char sha256[65], name[QUEUE_NAME]; /* file name */
    char state[16];                    /* "accepted", "superseded" */
    char recipe[8];
    double accepted_at;
};

/* *ret_id = 0 if these bytes are no association. */
int queue_find_association(struct queue *q, const char *sha256, int64_t *ret_id,
                           struct err *err);
/* The newest of a file name; ERR_INPUT if there is none. */
int queue_get_association(struct queue *q, const char *name,
                          struct queue_association *ret, struct err *err);

/* Insert, supersede what it takes the place of, and mark the groups that it concerns.
 * text: the file; file: how it came (with its name). */
int queue_add_association(struct queue *q, const struct association *a,
                          const char *sha256, const char *text,
                          const struct queue_file *file, double now, int64_t *ret_id,
                          struct err *err);

/* One named member, as it is here. */
struct queue_named_row {
    char product[QUEUE_NAME];
    bool live; /* the product is */
    char expname[QUEUE_NAME], role[16];
    char exposure[QUEUE_NAME], job[2 * QUEUE_NAME]; /* file and spec2; "" if not here */
    char state[16];                                 /* of the job; "" */
};
/* The members of an association, product by product, at most `limit`. */
int queue_association_members(struct queue *q, int64_t association, size_t limit,
                              struct queue_named_row **ret, size_t *ret_n,
                              struct err *err);

/* What associations say of a group: fills in its parts; g->jobs is loaded. */
int queue_load_named(struct queue *q, struct queue_group *g, int64_t newest_spec3,
                     struct err *err);

/* Remove those that are superseded since before then, at most `limit`. *ret_n: how many. */
int queue_prune_associations(struct queue *q, double before, size_t limit,
                             size_t *ret_n, struct err *err);

/* The group goes on without what is missing, from `at` on (0: no more), and is to be
 * looked at. *ret_known: whether there is such a group. */
int queue_proceed(struct queue *q, const char *group, double at, bool *ret_known,
                  struct err *err);

#endif
