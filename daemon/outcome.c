#include "daemon/outcome.h"

#include <math.h>

#define DAY 86400.0

double outcome_wait(double retry_seconds, int failures, uint64_t seed)
{
    double wait = retry_seconds * pow(2.0, failures < 30 ? failures : 30);
    /* splitmix64: neighbouring seeds give unrelated numbers */
    uint64_t x = seed + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    double share = (double)(x >> 11) * 0x1p-53;
    return (wait < DAY ? wait : DAY) * (0.5 + share);
}

/* Its process died and it is to blame for that. */
static struct outcome after_crash(const struct queue_job *job)
{
    bool again = job->crashes + 1 >= OUTCOME_CRASHES;
    return (struct outcome){.to = again ? JOB_QUARANTINED : JOB_SUSPECT,
                            .count_crash = true};
}

/*
 * A reason that may pass. A suspect that is deferred keeps a crash to its name, so that it
 * runs in a process of its own when its time has come.
 */
static struct outcome after_trouble(const struct executor_report *r,
                                    const struct queue_job *job,
                                    const struct outcome_rules *rules)
{
    if (job->failures >= rules->retry_limit) {
        return (struct outcome){.to = JOB_HELD, .count_failure = true};
    }
    uint64_t seed = (uint64_t)job->id * 1000003u + (uint64_t)job->attempt;
    return (struct outcome){.to = JOB_DEFERRED,
                            .wait =
                                outcome_wait(rules->retry_seconds, job->failures, seed),
                            .count_failure = true,
                            .count_crash = r->suspect && job->crashes == 0};
}

struct outcome outcome_of(const struct executor_report *r, const struct queue_job *job,
                          const struct outcome_rules *rules)
{
    if (r->code == 0) {
        return (struct outcome){.to = JOB_DONE};
    }
    if (*job->wish) {
        return (struct outcome){.to = job_state_of(job->wish)};
    }
    if (r->code == ERR_IO || r->code == ERR_NOMEM) {
        return after_trouble(r, job, rules);
    }
    if (r->died) {
        return after_crash(job);
    }
    if (r->code == ERR_CANCELLED && !r->timed_out) {
        return (struct outcome){.to = r->suspect ? JOB_SUSPECT : JOB_QUEUED};
    }
    return (struct outcome){.to = JOB_HELD, .count_failure = true};
}
