#ifndef IFUD_CLI_IFURUN_CHILD_H
#define IFUD_CLI_IFURUN_CHILD_H

#include "common/base/err.h"
#include "jobs/job.h"

/*
 * ifurun as the child of another program: under limits, and telling how it goes on a
 * descriptor (jobs/job_report.h). A process that crashes writes signal, stage and a
 * backtrace there before it dies of the signal.
 * Thread: the main one, before the first other one. Test: tests/cli/test_ifurun_child.c
 */

/* Limits of this process; 0: as they are. CPU time beyond its limit ends it by SIGXCPU,
 * a file beyond its limit by SIGXFSZ. There are no core files. */
struct ifurun_limits {
    long memory_mb; /* of its address space */
    long cpu_seconds, file_mb;
};
int ifurun_limit(const struct ifurun_limits *limits, struct err *err);

/*
 * Report on `fd` from now on, and die with the process that started us (ERR_CANCELLED if
 * it is dead already: nobody reads fd).
 */
int ifurun_child_begin(int fd, struct err *err);

/* Events of the job to hand to job_run. */
const struct job_events *ifurun_child_events(void);
/* The last line. err: of a failure; result may be NULL. */
void ifurun_child_end(int code, const struct err *err, const struct job_result *result);

#endif
