#ifndef IFUD_TESTS_FAULT_WORKLOAD_H
#define IFUD_TESTS_FAULT_WORKLOAD_H

#include <stdbool.h>
#include <sys/types.h>
#include "tests/fault/picture.h"
#include "tests/fault/shim.h"

/*
 * A small workload for the real ifud, made once and put back as often as wanted, and
 * lives of the daemon with a fault in them.
 *
 * Phase 0: two dithers of a simulated prism exposure, one exposure through a grating, so that
 * the spectra of both dispersers are combined, and a file that is no exposure lie in the
 * inbox. Phase 1: phase 0 is done; the second dither under another name, a rewrite of the
 * first one, a leakage exposure, which both would read, and an association by which the
 * second reads nothing lie in the inbox. `ifud --once` ends each phase with every
 * job done; the products are the same bytes each time (FAULT_TIME fixes their date).
 *
 * All of it lies in one folder, in memory where there is /dev/shm, since the tests sync
 * often. Failures of the bench itself end the test.
 * Thread: one.
 */
enum { WORKLOAD_PHASES = 2 };

struct workload {
    char top[200];  /* scratch: all below */
    char disk[240]; /* what the daemon works on: inbox, spool, products, rejected */
    char start[WORKLOAD_PHASES][240];       /* what `disk` is at the start of a phase */
    char config[2][240];                    /* executor = thread, executor = child */
    char log[240], calls_log[240];          /* the daemon's output; FAULT_LOG */
    struct fault_state *state;              /* mapped */
    long calls[WORKLOAD_PHASES];            /* that an undisturbed life makes */
    struct picture before[WORKLOAD_PHASES]; /* at the start of a phase; no rows */
    struct picture end[WORKLOAD_PHASES];    /* after an undisturbed life */
};

void workload_init(struct workload *w);
void workload_done(struct workload *w);

/* Put `disk` back to the start of a phase and empty the log. */
void workload_restore(struct workload *w, int phase);

/* Run in the shell within `top`; it must succeed. */
void workload_shell(const struct workload *w, const char *command);

/* One life of the daemon. */
struct life {
    int phase;          /* only to be told */
    bool child;         /* executor = child */
    bool stay;          /* without --once: it ends when something ends it */
    long at, span;      /* FAULT_AT (0: none), FAULT_SPAN (0: for ever) */
    const char *action; /* FAULT_ACTION, NULL: none */
    const char *name;   /* FAULT_NAME, NULL: any */
    bool log;           /* write FAULT_LOG */
    double kill_after;  /* s; > 0: SIGKILL from outside then */
};

enum life_end {
    LIFE_DONE,    /* ended by itself, all done: status 0 */
    LIFE_FAILED,  /* ended by itself with another status */
    LIFE_KILLED,  /* SIGKILL */
    LIFE_CRASHED, /* another signal */
    LIFE_HUNG,    /* did not end within `WORKLOAD_PATIENCE` and was killed */
};
#define WORKLOAD_PATIENCE 60.0 /* s */

enum life_end workload_run(struct workload *w, const struct life *life);
/* Begin one and wait for its end, apart. */
pid_t workload_start(struct workload *w, const struct life *life);
enum life_end workload_wait(pid_t pid, double kill_after);

/*
 * The invariants, each NULL or what is wrong with `disk`, to be freed: after a death;
 * at the end of a phase (again: a job may have been done twice).
 */
char *workload_check_dead(const struct workload *w, int phase);
char *workload_check_end(const struct workload *w, int phase, bool again);

/* The daemon's log of this point; free it. */
char *workload_text(const struct workload *w);

#endif
