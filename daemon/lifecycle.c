#include "daemon/lifecycle.h"

#include <string.h>

const struct job_transition job_transitions[] = {
    {JOB_NEW, JOB_WAITING, "planned"},
    {JOB_WAITING, JOB_QUEUED, "its inputs are complete, or quiet for long enough"},
    {JOB_QUEUED, JOB_RUNNING, "a worker is free; the attempt is committed first"},
    {JOB_RUNNING, JOB_DONE, "its products are published"},
    {JOB_RUNNING, JOB_QUEUED, "the daemon stopped or died; no failure is counted"},
    {JOB_RUNNING, JOB_DEFERRED, "failed for a reason that may pass"},
    {JOB_RUNNING, JOB_HELD, "failed for good, or too often"},
    {JOB_RUNNING, JOB_QUARANTINED, "took the program down"},
    {JOB_DEFERRED, JOB_QUEUED, "its time has come"},
    {JOB_HELD, JOB_QUEUED, "an operator retries it"},
    {JOB_QUARANTINED, JOB_QUEUED, "an operator retries it"},
    {JOB_WAITING, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_QUEUED, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_DEFERRED, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_HELD, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_QUARANTINED, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_DONE, JOB_SUPERSEDED, "a newer version is done"},
};

const size_t job_transitions_n = sizeof job_transitions / sizeof *job_transitions;

static const char *const names[JOB_STATES] = {
    "new",      "waiting", "queued",      "running",    "done",
    "deferred", "held",    "quarantined", "superseded",
};

bool job_may_move(enum job_state from, enum job_state to)
{
    for (size_t i = 0; i < job_transitions_n; i++) {
        if (job_transitions[i].from == from && job_transitions[i].to == to) {
            return true;
        }
    }
    return false;
}

const char *job_state_name(enum job_state state)
{
    return state < JOB_STATES ? names[state] : "unknown";
}

enum job_state job_state_of(const char *name)
{
    for (int i = 0; i < JOB_STATES; i++) {
        if (!strcmp(names[i], name)) {
            return (enum job_state)i;
        }
    }
    return JOB_STATES;
}

bool job_state_is_final(enum job_state state)
{
    return state == JOB_DONE || state == JOB_HELD || state == JOB_QUARANTINED ||
           state == JOB_SUPERSEDED;
}
