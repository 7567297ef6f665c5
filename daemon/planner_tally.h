#ifndef IFUD_DAEMON_PLANNER_TALLY_H
#define IFUD_DAEMON_PLANNER_TALLY_H

#include "daemon/planner.h"

/*
 * What is known about a group before its job is looked at: by the headers of its exposures
 * (planner.c), by the association of its name (planner_association.c) or, of a target, by the
 * spec3 groups of its dispersers (planner_combine.c).
 * Thread: any (pure). Test: tests/daemon/test_planner.c, test_planner_association.c,
 * test_planner_combine.c
 */

/* Whole items, as many as there is room for; of the others the number. */
struct tally_list {
    char text[150];
    int n, left_out;
};

struct tally {
    const struct queue_member **members; /* that the group's headers count */
    size_t n;                            /* room for those of the group */
    size_t n_own;                        /* exposures that this group combines */
    int64_t *done; /* jobs that are done, in the order in which they are read */
    size_t n_done;
    bool news;                       /* one of them is not read by the newest job */
    struct queue_companion *spectra; /* of backgrounds, for the spec3 */
    size_t n_spectra;
    double last; /* when anything happened */
    struct tally_list pending, missing, failed;
    char refused[440]; /* why these cannot be combined; "" */
    const char *complete,
        *nothing; /* why it goes; why a job that waits does not any more */
};

__attribute__((format(printf, 2, 3))) void tally_say(struct tally_list *l,
                                                     const char *fmt, ...);

/* What an association says of its group (g->n_named > 0). */
void planner_tally_association(const struct queue_group *g, struct tally *t);

/* What the dispersers of a target say of it. */
void planner_tally_combine(const struct queue_group *g, const struct plan_rules *rules,
                           struct tally *t);

#endif
