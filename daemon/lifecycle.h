#ifndef IFUD_DAEMON_LIFECYCLE_H
#define IFUD_DAEMON_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The states of a job and the moves between them: one table (lifecycle.c). The queue
 * refuses every other move.
 * Thread: any (constant data). Test: tests/daemon/test_queue.c
 */
enum job_state {
    JOB_NEW,         /* not in the queue yet */
    JOB_WAITING,     /* its inputs are not complete */
    JOB_QUEUED,      /* may run */
    JOB_RUNNING,     /* an attempt is committed */
    JOB_DONE,        /* its products are published */
    JOB_DEFERRED,    /* failed for a passing reason; runs again at its time */
    JOB_HELD,        /* failed for good; an operator must act */
    JOB_QUARANTINED, /* took the program down */
    JOB_SUPERSEDED,  /* a newer version took its place */
    JOB_STATES
};

struct job_transition {
    enum job_state from, to;
    const char *when;
};
extern const struct job_transition job_transitions[];
extern const size_t job_transitions_n;

bool job_may_move(enum job_state from, enum job_state to);
const char *job_state_name(enum job_state state);
/* JOB_STATES if there is no such name. */
enum job_state job_state_of(const char *name);
/* Will nothing happen to it by itself any more? */
bool job_state_is_final(enum job_state state);

#endif
