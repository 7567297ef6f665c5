#include "daemon/lifecycle.h"

#include <string.h>

const struct file_transition file_transitions[] = {
    {FILE_NEW, FILE_SEEN, "listed in the inbox"},
    {FILE_SEEN, FILE_SETTLING, "stands still for settle_seconds"},
    {FILE_SETTLING, FILE_SEEN, "changed again"},
    {FILE_SEEN, FILE_GONE, "left the inbox by itself"},
    {FILE_SETTLING, FILE_GONE, "left the inbox by itself"},
    {FILE_SETTLING, FILE_ACCEPTED, "its copy is synced and its row committed"},
    {FILE_SETTLING, FILE_DUPLICATE, "its bytes are an exposure already"},
    {FILE_SETTLING, FILE_REJECTED, "no usable exposure"},
    {FILE_ACCEPTED, FILE_SUPERSEDED, "the same name came with other bytes"},
    {FILE_ACCEPTED, FILE_GONE, "its copy left the spool"},
    {FILE_SUPERSEDED, FILE_GONE, "its copy left the spool"},
};

const size_t file_transitions_n = sizeof file_transitions / sizeof *file_transitions;

static const char *const file_names[FILE_STATES] = {
    "new",       "seen",     "settling",   "accepted",
    "duplicate", "rejected", "superseded", "gone",
};

bool file_may_move(enum file_state from, enum file_state to)
{
    for (size_t i = 0; i < file_transitions_n; i++) {
        if (file_transitions[i].from == from && file_transitions[i].to == to) {
            return true;
        }
    }
    return false;
}

const char *file_state_name(enum file_state state)
{
    return state < FILE_STATES ? file_names[state] : "unknown";
}

enum file_state file_state_of(const char *name)
{
    for (int i = 0; i < FILE_STATES; i++) {
        if (!strcmp(file_names[i], name)) {
            return (enum file_state)i;
        }
    }
    return FILE_STATES;
}

const struct job_transition job_transitions[] = {
    {JOB_NEW, JOB_WAITING, "planned"},
    {JOB_WAITING, JOB_QUEUED, "its inputs are complete, or quiet for long enough"},
    {JOB_QUEUED, JOB_RUNNING, "a worker is free; the attempt is committed first"},
    {JOB_SUSPECT, JOB_RUNNING, "alone, in a process of its own"},
    {JOB_RUNNING, JOB_DONE, "its products are published"},
    {JOB_RUNNING, JOB_QUEUED, "the daemon stopped; no failure is counted"},
    {JOB_RUNNING, JOB_SUSPECT, "the program died while it ran"},
    {JOB_RUNNING, JOB_DEFERRED, "failed for a reason that may pass"},
    {JOB_RUNNING, JOB_HELD, "failed for good, or too often; or an operator's wish"},
    {JOB_RUNNING, JOB_QUARANTINED, "took the program down; or an operator's wish"},
    {JOB_RUNNING, JOB_CANCELLED, "an operator's wish"},
    {JOB_DEFERRED, JOB_QUEUED, "its time has come"},
    {JOB_WAITING, JOB_HELD,
     "an operator holds it, or its association mixes dispersers"},
    {JOB_QUEUED, JOB_HELD, "an operator holds it, or what it reads is gone"},
    {JOB_DEFERRED, JOB_HELD, "an operator holds it, or what it reads is gone"},
    {JOB_SUSPECT, JOB_HELD, "an operator holds it, or what it reads is gone"},
    {JOB_WAITING, JOB_QUARANTINED, "by an operator"},
    {JOB_QUEUED, JOB_QUARANTINED, "by an operator"},
    {JOB_DEFERRED, JOB_QUARANTINED, "by an operator"},
    {JOB_SUSPECT, JOB_QUARANTINED, "by an operator"},
    {JOB_HELD, JOB_QUARANTINED, "by an operator"},
    {JOB_WAITING, JOB_CANCELLED, "by an operator"},
    {JOB_QUEUED, JOB_CANCELLED, "by an operator"},
    {JOB_DEFERRED, JOB_CANCELLED, "by an operator"},
    {JOB_SUSPECT, JOB_CANCELLED, "by an operator"},
    {JOB_HELD, JOB_CANCELLED, "by an operator"},
    {JOB_QUARANTINED, JOB_CANCELLED, "by an operator"},
    {JOB_HELD, JOB_QUEUED, "an operator releases or retries it"},
    {JOB_HELD, JOB_WAITING, "the same, its inputs not being chosen yet"},
    {JOB_QUARANTINED, JOB_QUEUED, "an operator retries it"},
    {JOB_QUARANTINED, JOB_WAITING, "the same, its inputs not being chosen yet"},
    {JOB_CANCELLED, JOB_QUEUED, "an operator retries it"},
    {JOB_CANCELLED, JOB_WAITING, "the same, its inputs not being chosen yet"},
    {JOB_DONE, JOB_QUEUED, "an operator retries it, its products being gone"},
    {JOB_WAITING, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_QUEUED, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_SUSPECT, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_DEFERRED, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_HELD, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_QUARANTINED, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_CANCELLED, JOB_SUPERSEDED, "a newer version took its place"},
    {JOB_DONE, JOB_SUPERSEDED, "a newer version is done"},
};

const size_t job_transitions_n = sizeof job_transitions / sizeof *job_transitions;

static const char *const job_names[JOB_STATES] = {
    "new",      "waiting", "queued",      "running",   "suspect",    "done",
    "deferred", "held",    "quarantined", "cancelled", "superseded",
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
    return state < JOB_STATES ? job_names[state] : "unknown";
}

enum job_state job_state_of(const char *name)
{
    for (int i = 0; i < JOB_STATES; i++) {
        if (!strcmp(job_names[i], name)) {
            return (enum job_state)i;
        }
    }
    return JOB_STATES;
}

bool job_state_is_final(enum job_state state)
{
    return state == JOB_DONE || state == JOB_HELD || state == JOB_QUARANTINED ||
           state == JOB_CANCELLED || state == JOB_SUPERSEDED;
}
