#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/publish.h"
#include "daemon/crash.h"
#include "daemon/kept.h"
#include "daemon/messages.h"
#include "daemon/outcome.h"
#include "daemon/queue_stale.h"
#include "daemon/schedule.h"
#include "daemon/service_state.h"
#include "jobs/job_difference.h"

/* ---- the end of an attempt ---- */

/* The folder where a job's part files are holds no more of them. */
static void sweep(struct service *s, const struct queue_job *row, int attempt)
{
    char *folder = work_folder(&s->place, row, NULL);
    char *prefix = mem_printf(NULL, "%s_", row->base);
    if (folder && prefix) {
        publish_sweep(folder, prefix, attempt);
    }
    free(folder);
    free(prefix);
}

/* One line of what happened; r->err.message and, of a crash, where. */
static void describe(const struct service *s, const struct executor_report *r,
                     const struct queue_job *row, char *ret, size_t room)
{
    char where[300];
    crash_summary(r->backtrace, where, sizeof where);
    if (r->code == ERR_CANCELLED && r->timed_out) {
        snprintf(ret, room, "cancelled after %.0f s: job_time_limit_seconds is reached",
                 r->seconds);
    } else if (r->code == ERR_CANCELLED) {
        snprintf(ret, room, "stopped");
    } else {
        int n = snprintf(ret, room, "%.1000s%s%s", r->err.message,
                         *where ? ", in " : "", where);
        if (r->died && n >= 0 && (size_t)n < room) {
            snprintf(ret + n, room - (size_t)n, "; see %s/%s.crash.txt",
                     s->manifests_folder, row->name);
        }
    }
}

/* Of a job that is done: what its stages warned of; "" if of nothing. */
static void describe_warnings(const struct executor_report *r, char *ret, size_t room)
{
    if (r->warnings > 1) {
        snprintf(ret, room, "%d warnings; the first: %s", r->warnings, r->warning);
    } else {
        snprintf(ret, room, "%s%s", r->warnings ? "warning: " : "", r->warning);
    }
}

/* Record the end of an attempt and plan what follows, in one commit. */
static int record(struct service *s, const struct executor_report *r,
                  struct queue_job *ret_job, struct err *err)
{
    int code = queue_begin(s->queue, err);
    if (code) {
        return code;
    }
    if ((code = queue_get_job(s->queue, r->id, ret_job, err))) {
        goto out;
    }
    const struct outcome_rules rules = {
        .retry_seconds = params_real(s->config->values, "retry_seconds"),
        .retry_limit = params_int(s->config->values, "retry_limit")};
    const struct outcome o = outcome_of(r, ret_job, &rules);
    const enum job_state to = o.to;
    char message[1400];
    struct queue_change change = {.count_failure = o.count_failure,
                                  .count_crash = o.count_crash};
    if (r->code) {
        describe(s, r, ret_job, message, sizeof message);
        change.not_before = to == JOB_DEFERRED ? service_now() + o.wait : 0;
        change.message = message;
        change.error = err_name(r->code);
        change.stage = r->result.failed_stage;
    } else if ((code = work_keep_products(s->queue, r->id, &r->result, err)) ||
               (code = kept_record(s->queue, ret_job, err))) {
        goto out;
    } else {
        describe_warnings(r, message, sizeof message);
        change.message = message;
    }
    if ((code = queue_move(s->queue, r->id, to, &change, service_now(), err))) {
        goto out;
    }
    ret_job->state = to;
    if (!r->code && r->result.difference.compared) {
        char text[500] = "its spectrum against the one it replaced: ";
        const size_t at = strlen(text);
        job_difference_text(&r->result.difference, text + at, sizeof text - at);
        code = queue_set_difference(s->queue, r->id, &r->result.difference, text,
                                    service_now(), err);
        if (code) {
            goto out;
        }
    }
    code = queue_use(s->queue, ret_job->program, r->seconds, service_now(),
                     params_real(s->config->values, "share_half_life_seconds"), err);
    if (code) {
        goto out;
    }
    if (to == JOB_DEFERRED &&
        (s->next_retry == 0 || change.not_before < s->next_retry)) {
        s->next_retry = change.not_before;
    }
out:
    if (code) {
        queue_rollback(s->queue);
        return code;
    }
    return queue_commit(s->queue, err);
}

/* Beside the manifest, where ifuctl show names it. */
static void keep_crash(struct service *s, const struct executor_report *r,
                       const struct queue_job *row)
{
    struct err err = {0};
    char message[1400];
    describe(s, r, row, message, sizeof message);
    if (crash_keep(s->manifests_folder, row->name, row->attempt, message, r->backtrace,
                   &err)) {
        service_trouble(s, "cannot keep the backtrace of %s: %s", row->name,
                        err.message);
    }
}

/* False if the queue refused: the report must be kept. */
static bool ended(struct service *s, struct executor_report *r)
{
    struct queue_job job = {0};
    struct err err = {0};
    if (record(s, r, &job, &err)) {
        service_trouble(s, "cannot record the end of a job, trying again: %s",
                        err.message);
        return false;
    }
    if (r->isolated && r->code) {
        sweep(s, &job, job.attempt); /* a process that was killed cannot */
    }
    if (r->died) {
        keep_crash(s, r, &job);
    }
    const char *id = message_id_of_job(job_state_name(job.state));
    struct log_fields about = {.job = job.name, .attempt = job.attempt};
    if (job.state == JOB_DONE) {
        log_event(LOG_LEVEL_INFO, id, &about, "job %s done in %.1f s, %zu products",
                  job.name, r->seconds, r->result.n_products);
    } else if (job.state == JOB_QUEUED || (job.state == JOB_SUSPECT && !r->died)) {
        log_event(LOG_LEVEL_INFO, id, &about, "job %s stopped, will run again",
                  job.name);
    } else {
        char message[1400];
        describe(s, r, &job, message, sizeof message);
        about.stage = r->result.failed_stage;
        log_event(LOG_LEVEL_ERROR, id, &about, "job %s %s at stage %s: %s", job.name,
                  job_state_name(job.state), *about.stage ? about.stage : "-", message);
    }
    executor_report_done(r);
    return true;
}

static void keep_unsaved(struct service *s, struct executor_report *r)
{
    struct executor_report *more =
        mem_realloc(s->unsaved, s->n_unsaved + 1, sizeof *more, NULL);
    if (!more) { /* it is still `running` in the queue: the next start runs it again */
        executor_report_done(r);
        return;
    }
    s->unsaved = more;
    s->unsaved[s->n_unsaved++] = *r;
}

void dispatch_retry_unsaved(struct service *s)
{
    while (s->n_unsaved && ended(s, &s->unsaved[s->n_unsaved - 1])) {
        s->n_unsaved--;
    }
}

/* ---- the start of an attempt ---- */

/* Address space of a job's process: what it was admitted with twice over, and what
 * libraries, stacks and arenas reserve without touching; and the file of a large cube. */
static int64_t memory_limit(const struct service *s)
{
    const int64_t mb = 1 << 20, machine = s->gate.machine, need = gate_need(&s->gate);
    const int64_t fixed = params_int(s->config->values, "job_memory_mb") * mb;
    const int64_t reserved = (1024 + 128 * (int64_t)s->place.threads) * mb;
    const int64_t mapped = s->gate.next_memory.mapped;
    if (fixed) {
        return fixed + mapped;
    }
    if (need == 0) {
        return machine / 2; /* it will fail, or is not what it seems */
    }
    return mapped + (machine && (need > machine || 2 * need + reserved > machine)
                         ? machine
                         : 2 * need + reserved);
}

bool dispatch_isolates(const struct service *s, const struct queue_job *row)
{
    return row->state == JOB_SUSPECT || row->crashes > 0 ||
           !strcmp(params_string(s->config->values, "executor"), "child");
}

static struct executor_how how_to_run(const struct service *s, bool isolated,
                                      bool suspect, const char *manifest)
{
    const struct params *v = s->config->values;
    struct executor_how how = {.isolated = isolated,
                               .suspect = suspect,
                               .time_limit = params_real(v, "job_time_limit_seconds"),
                               .grace = params_real(v, "job_grace_seconds"),
                               .manifest = manifest};
    if (how.isolated) {
        how.memory_bytes = memory_limit(s);
        how.file_bytes = (int64_t)params_int(v, "job_file_mb") << 20;
        /* behind the time limit, should the daemon not be there to keep that */
        how.cpu_limit = how.time_limit > 0
                            ? (how.time_limit + how.grace) * s->place.threads + 5
                            : 0;
    }
    return how;
}

/* Commit the attempt, make the manifest, hand it to a worker. */
static int start_job(struct service *s, const struct queue_job *next, struct err *err)
{
    struct queue_job row;
    struct job job;
    const bool suspect = next->state == JOB_SUSPECT,
               isolated = dispatch_isolates(s, next);
    int code = queue_move(s->queue, next->id, JOB_RUNNING, NULL, service_now(), err);
    code = code ? code : queue_get_job(s->queue, next->id, &row, err);
    if (code) {
        return code;
    }
    if (row.attempt > 1) {
        sweep(s, &row, 0); /* of attempts that died, or could not remove them */
    }
    struct executor_report failed = {.id = row.id, .suspect = suspect};
    if (params_bool(s->config->values, "keep_superseded_products")) {
        failed.code = kept_link(s->queue, &row, &failed.err);
    }
    if (!failed.code) {
        failed.code = work_prepare(s->queue, s->spool, s->config, &s->place, &row, &job,
                                   &failed.err);
    }
    char *manifest = work_manifest(&s->place, &row, &failed.err);
    if (!failed.code && !manifest) {
        job_done(&job);
        failed.code = ERR_NOMEM;
    }
    if (failed.code) {
        free(manifest);
        if (!ended(s, &failed)) {
            keep_unsaved(s, &failed);
        }
        return 0;
    }
    struct executor_how how = how_to_run(s, isolated, suspect, manifest);
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_JOB_STARTED),
              &(struct log_fields){.job = row.name, .attempt = row.attempt},
              "job %s started, attempt %d%s%s", row.name, row.attempt,
              how.isolated ? ", in a process of its own" : "",
              suspect ? ", alone" : "");
    executor_start(s->executor, row.id, &job, &how);
    gate_started(s, row.id, how.isolated);
    free(manifest);
    return 0;
}

/* Does a suspect run? */
static bool suspect_runs(struct service *s)
{
    struct executor_state state;
    return executor_workers(s->executor) - executor_idle(s->executor) == 1 &&
           executor_running(s->executor, &state, 1) == 1 && state.suspect;
}

/*
 * A suspect, or what schedule.h chooses among the queued; ret->id = 0: none. A suspect
 * starts when nothing runs, and while it runs nothing starts.
 */
static int next_job(struct service *s, struct queue_job *ret, struct err *err)
{
    struct queue_candidate *c = NULL;
    struct queue_share *shares = NULL;
    size_t n = 0, n_shares = 0;
    double now = service_now();
    *ret = (struct queue_job){0};
    if (suspect_runs(s)) {
        return 0;
    }
    int code = queue_next_suspect(s->queue, ret, err);
    if (!code && ret->id &&
        executor_idle(s->executor) < executor_workers(s->executor)) {
        ret->id = 0;
        return 0;
    }
    if (code || ret->id) {
        return code;
    }
    code = queue_candidates(s->queue, &c, &n, err);
    if (!code && n) {
        code = queue_shares(s->queue, now,
                            params_real(s->config->values, "share_half_life_seconds"),
                            &shares, &n_shares, err);
    }
    if (!code && n) {
        size_t i = schedule_pick(c, n, shares, n_shares, now,
                                 params_real(s->config->values, "ageing_seconds"));
        code = queue_get_job(s->queue, c[i].id, ret, err);
    }
    free(shares);
    free(c);
    return code;
}

/* Why nothing may start at all; "" if something may. */
static const char *stopped(const struct service *s)
{
    return s->stopping   ? "the daemon is stopping"
           : s->draining ? "an operator drains it; ifuctl resume ends that"
                         : intake_reserve_low(s);
}

void service_dispatch(struct service *s)
{
    struct err err = {0};
    while (!*stopped(s) && executor_idle(s->executor) > 0) {
        struct queue_job next;
        int code = next_job(s, &next, &err);
        if (!code && !gate_admits(s, &next)) {
            return;
        }
        code = code ? code : start_job(s, &next, &err);
        if (code) {
            service_trouble(s, "cannot start a job, trying again: %s", err.message);
            return;
        }
    }
}

const char *service_dispatch_blocked(const struct service *s)
{
    return *stopped(s) ? stopped(s) : s->gate.why;
}

void dispatch_on_report(void *user)
{
    struct service *s = user;
    struct executor_report r;
    while (executor_poll(s->executor, &r)) {
        gate_ended(s, r.id, r.code, r.peak_bytes);
        if (!ended(s, &r)) {
            keep_unsaved(s, &r);
        }
    }
    service_plan(s);
    service_dispatch(s);
}

void dispatch_on_progress(void *user, const char *job, const char *stage, int index,
                          int count, double share)
{
    (void)user;
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_JOB_STAGE),
              &(struct log_fields){.job = job, .stage = stage},
              "job %s stage %s (%d of %d) %3.0f %%", job, stage, index + 1, count,
              100.0 * share);
}

void dispatch_on_note(void *user, const char *job, const char *stage, bool is_warning,
                      const char *line)
{
    (void)user;
    log_event(is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              message_id(MESSAGE_JOB_NOTE),
              &(struct log_fields){.job = job, .stage = stage}, "job %s stage %s: %s",
              job, stage, line);
}
