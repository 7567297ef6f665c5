#ifndef IFUD_DAEMON_LIFECYCLE_H
#define IFUD_DAEMON_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The states of files and of jobs and the moves between them: two tables (lifecycle.c).
 * The queue refuses every other move. docs/lifecycle.md lists the same rows.
 * Thread: any (constant data). Test: tests/daemon/test_lifecycle.c
 */
enum file_state {
    FILE_NEW,        /* not seen yet */
    FILE_SEEN,       /* listed in the inbox */
    FILE_SETTLING,   /* stands still; being looked at and copied */
    FILE_ACCEPTED,   /* an exposure: its copy is synced, its row committed */
    FILE_DUPLICATE,  /* its bytes are an exposure already */
    FILE_REJECTED,   /* no usable exposure */
    FILE_SUPERSEDED, /* an exposure whose name came with other bytes */
    FILE_GONE,       /* left the inbox by itself; or its copy left the spool */
    FILE_STATES
};

struct file_transition {
    enum file_state from, to;
    const char *when;
};
extern const struct file_transition file_transitions[];
extern const size_t file_transitions_n;

bool file_may_move(enum file_state from, enum file_state to);
const char *file_state_name(enum file_state state);
/* FILE_STATES if there is no such name. */
enum file_state file_state_of(const char *name);

enum job_state {
    JOB_NEW,         /* not in the queue yet */
    JOB_WAITING,     /* its inputs are not complete */
    JOB_QUEUED,      /* may run */
    JOB_RUNNING,     /* an attempt is committed */
    JOB_SUSPECT,     /* the program died while it ran; runs next, alone */
    JOB_DONE,        /* its products are published */
    JOB_DEFERRED,    /* failed for a passing reason; runs again at its time */
    JOB_HELD,        /* failed for good, or by an operator; an operator must act */
    JOB_QUARANTINED, /* takes the program down */
    JOB_CANCELLED,   /* an operator does not want it */
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
