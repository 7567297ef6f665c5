#ifndef IFUD_DAEMON_GATE_H
#define IFUD_DAEMON_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/base/err.h"
#include "daemon/admission.h"
#include "daemon/queue.h"
#include "jobs/job_estimate.h"

/*
 * Admission at work: what each running job was admitted with, the estimate of the next
 * one, and what they turn out to need.
 *
 * A job is looked at once, when its turn comes; its estimate goes into its row as it
 * starts, its measured peak as it ends. An isolated job tells its own peak. A job on a
 * thread is measured by what the whole process grew to, and only if no other job ran
 * beside it for any of its time. A job that failed for want of memory is admitted with
 * twice as much the next time.
 *
 * A job that waits for room keeps its turn: until it has started nothing of the same or a
 * lower priority goes before it.
 *
 * Thread: the loop's. Test: tests/e2e/test_admission.c (rules: tests/daemon/test_admission.c)
 */
struct service;

struct gate_job { /* one that runs */
    int64_t id;
    int64_t estimate, need; /* bytes: as estimated; as corrected and counted */
    int64_t resident;       /* of this process at its start; 0: cannot be measured */
};

struct gate {
    struct admission admission;
    int64_t machine; /* bytes of memory */
    struct gate_job *jobs;
    size_t n, room;

    struct gate_job next; /* that was looked at last; id 0: none */
    struct job_memory next_memory;
    bool waits;    /* `next` waits for room */
    char why[900]; /* and why; "" if nothing waits */
};

int gate_open(struct gate *g, int workers, struct err *err);
void gate_close(struct gate *g);

/*
 * May this job start now? *next becomes the job whose turn it is:
 * the one that waits for room, if there is one. False: `why` says what it waits for.
 * With next->id = 0 (there is none) nothing waits any more.
 */
bool gate_admits(struct service *s, struct queue_job *next);

/* The budget as configured now, bytes. */
int64_t gate_budget(const struct service *s);

/* What the job last admitted will need at most, bytes; 0: not known. For its limits. */
int64_t gate_need(const struct gate *g);

/* The job last admitted has started, or its attempt has ended: code of its end, and its
 * own peak (0: it had no process of its own). */
void gate_started(struct service *s, int64_t id, bool isolated);
void gate_ended(struct service *s, int64_t id, int code, int64_t peak_bytes);

#endif
