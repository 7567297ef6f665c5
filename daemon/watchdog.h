#ifndef IFUD_DAEMON_WATCHDOG_H
#define IFUD_DAEMON_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Is everything moving? Each part of the daemon that may hang is a watch: how long it has
 * gone without a sign of progress, and how long it may. The loop, which also writes the
 * queue, judges the others and tells the service manager; if the loop itself hangs, nobody
 * tells it, which is what it waits for.
 * Thread: the loop's, but for watchdog_last_words. Test: tests/daemon/test_watchdog.c
 */
struct watch {
    char what[160]; /* such as "job spec2-x-1 at stage photom" */
    double quiet;   /* s without progress; 0: idle */
    double limit;   /* s; 0: none */
};

/* The sign of life of one thread, zero at first. Beat and rest: that thread; quiet: any. */
struct heartbeat {
    atomic_uint_fast64_t at; /* us, monotonic; 0: idle */
};
void heartbeat_beat(struct heartbeat *h);
void heartbeat_rest(struct heartbeat *h);
double heartbeat_quiet(const struct heartbeat *h); /* s since the last beat; 0: idle */

/*
 * True if no watch is over its limit; otherwise *ret_why names the one that is furthest
 * beyond it. Pure.
 */
bool watchdog_judge(const struct watch *watches, size_t n, char *ret_why, size_t room);

/*
 * If the process is told to abort (SIGABRT: by the manager when the loop hangs, by itself,
 * or by an assertion) it says in the log when the loop last ran and what ran then.
 * watchdog_saw: the loop runs, and this runs beside it (cut to some 400 bytes).
 */
void watchdog_catch_abort(void);
void watchdog_saw(const char *what_runs);

#endif
