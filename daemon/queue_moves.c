#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every change of a job: along the table of lifecycle.c, and never without its event. */

static int add_job_event(struct queue *q, int64_t job, int64_t exposure,
                         enum job_state from, enum job_state to, const char *message,
                         double now, struct err *err)
{
    struct queue_event_row e = {.exposure = exposure,
                                .job = job,
                                .from = job_state_name(from),
                                .to = job_state_name(to),
                                .message = message,
                                .at = now};
    return queue_add_event(q, &e, err);
}

int queue_add_job(struct queue *q, const struct queue_job *job, double now,
                  struct queue_job *ret, struct err *err)
{
    sqlite3_stmt *st;
    int64_t version = 0, id = 0;
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    code = sql_prepare(q, &st, err,
                       "SELECT coalesce(max(version), 0) FROM job"
                       " WHERE recipe = ? AND base = ?",
                       "ss", job->recipe, job->base);
    code = code ? code : sql_one(q, st, &version, err);
    char name[2 * QUEUE_NAME];
    snprintf(name, sizeof name, "%s-%s-%lld", job->recipe, job->base,
             (long long)version + 1);
    code = code ? code
                : sql_prepare(q, &st, err,
                              "INSERT INTO job(name, recipe, base, grp, program,"
                              " version, state, created_at, changed_at, exposure,"
                              " priority) VALUES(?, ?, ?, ?, ?, ?, 'waiting', ?, ?,"
                              " ?, ?)",
                              "sssssiddIi", name, job->recipe, job->base, job->group,
                              job->program, version + 1, now, now, job->exposure,
                              (int64_t)job->priority);
    code = code ? code : sql_finish(q, st, err);
    id = sqlite3_last_insert_rowid(q->db);
    if (!code && job->exposure) {
        code = sql_prepare(q, &st, err,
                           "INSERT INTO job_input(job, position, exposure)"
                           " VALUES(?, 1, ?)",
                           "ii", id, job->exposure);
        code = code ? code : sql_finish(q, st, err);
    }
    code = code ? code
                : add_job_event(q, id, job->exposure, JOB_NEW, JOB_WAITING, "planned",
                                now, err);
    code = sql_leave(q, code, err);
    return code ? code : queue_get_job(q, id, ret, err);
}

int queue_move(struct queue *q, int64_t job, enum job_state to,
               const struct queue_change *change, double now, struct err *err)
{
    static const struct queue_change nothing;
    const struct queue_change *c = change ? change : &nothing;
    struct queue_job j;
    int code = queue_get_job(q, job, &j, err);
    if (code) {
        return code;
    }
    if (!job_may_move(j.state, to)) {
        return err_set(err, ERR_BUG, "job %s cannot go from %s to %s", j.name,
                       job_state_name(j.state), job_state_name(to));
    }
    bool anew = to == JOB_DONE || (job_state_is_final(j.state) &&
                                   (to == JOB_QUEUED || to == JOB_WAITING));
    int64_t failures = anew ? 0 : j.failures + c->count_failure;
    int64_t crashes = anew ? 0 : j.crashes + c->count_crash;
    /* a stopped attempt keeps its place */
    bool joins = to == JOB_QUEUED && (j.state != JOB_RUNNING || j.queued_at <= 0);
    sqlite3_stmt *st;
    if ((code = sql_enter(q, err))) {
        return code;
    }
    code = sql_prepare(q, &st, err,
                       "UPDATE job SET state = ?, attempt = ?, failures = ?,"
                       " crashes = ?, changed_at = ?, queued_at = ?, not_before = ?,"
                       " stage = ?, error = ?, message = ?, wish = '' WHERE id = ?",
                       "siiidddsssi", job_state_name(to),
                       (int64_t)j.attempt + (to == JOB_RUNNING), failures, crashes, now,
                       joins ? now : j.queued_at, c->not_before, c->stage, c->error,
                       c->message, job);
    code = code ? code : sql_finish(q, st, err);
    code = code ? code
                : add_job_event(q, job, 0, j.state, to, c->message ? c->message : "",
                                now, err);
    return sql_leave(q, code, err);
}

int queue_retry(struct queue *q, int64_t job, const char *message, double now,
                struct err *err)
{
    sqlite3_stmt *st;
    int64_t n = 0;
    int code = sql_prepare(q, &st, err,
                           "SELECT count(*) FROM (SELECT 1 FROM job_input i JOIN job j"
                           " ON j.id = i.job WHERE i.job = ? AND j.queued_at > 0"
                           " LIMIT 1)",
                           "i", job);
    code = code ? code : sql_one(q, st, &n, err);
    struct queue_change change = {.message = message};
    return code ? code
                : queue_move(q, job, n ? JOB_QUEUED : JOB_WAITING, &change, now, err);
}

/* Several moves of one kind; gives the statement of their ids back. */
static void read_id(sqlite3_stmt *st, void *row)
{
    *(int64_t *)row = sqlite3_column_int64(st, 0);
}

int queue_wake_deferred(struct queue *q, double now, double *ret_next, struct err *err)
{
    sqlite3_stmt *st;
    int64_t *ids;
    size_t n;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT id FROM job INDEXED BY job_due WHERE state = 'deferred'"
                    " AND not_before <= ?",
                    "d", now);
    code = code ? code : sql_rows(q, st, sizeof *ids, read_id, &ids, &n, err);
    if (code) {
        return code;
    }
    code = n ? sql_enter(q, err) : 0;
    struct queue_change change = {.message = "its time has come"};
    for (size_t i = 0; i < n && !code; i++) {
        code = queue_move(q, ids[i], JOB_QUEUED, &change, now, err);
    }
    code = n ? sql_leave(q, code, err) : 0;
    free(ids);
    code = code ? code
                : sql_prepare(q, &st, err,
                              "SELECT not_before FROM job INDEXED BY job_due"
                              " WHERE state = 'deferred'"
                              " ORDER BY not_before LIMIT 1",
                              "");
    if (code) {
        return code;
    }
    *ret_next = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_double(st, 0) : 0;
    sql_done(q, st);
    return 0;
}

int queue_recover(struct queue *q, double now, size_t *ret_n, struct err *err)
{
    struct queue_job *jobs;
    size_t n;
    int code = queue_jobs(q, JOB_RUNNING, 1u << 20, &jobs, &n, err);
    if (code) {
        return code;
    }
    code = n ? sql_enter(q, err) : 0;
    for (size_t i = 0; i < n && !code; i++) {
        enum job_state to = *jobs[i].wish ? job_state_of(jobs[i].wish) : JOB_SUSPECT;
        struct queue_change change = {.message = to == JOB_SUSPECT
                                                     ? "ran when the daemon ended"
                                                     : jobs[i].message};
        code = queue_move(q, jobs[i].id, to, &change, now, err);
    }
    code = n ? sql_leave(q, code, err) : 0;
    free(jobs);
    if (!code) {
        *ret_n = n;
    }
    return code;
}

/* ---- what is said of a job without moving it ---- */

int queue_set_wish(struct queue *q, int64_t job, enum job_state to, const char *message,
                   double now, struct err *err)
{
    sqlite3_stmt *st;
    struct queue_job j;
    int code = queue_get_job(q, job, &j, err);
    if (code) {
        return code;
    }
    if (j.state != JOB_RUNNING ||
        (to != JOB_HELD && to != JOB_CANCELLED && to != JOB_QUARANTINED)) {
        return err_set(err, ERR_BUG, "job %s, %s, cannot be wished %s", j.name,
                       job_state_name(j.state), job_state_name(to));
    }
    if ((code = sql_enter(q, err))) {
        return code;
    }
    code = sql_prepare(q, &st, err, "UPDATE job SET wish = ?, message = ? WHERE id = ?",
                       "ssi", job_state_name(to), message, job);
    code = code ? code : sql_finish(q, st, err);
    code = code ? code : add_job_event(q, job, 0, j.state, j.state, message, now, err);
    return sql_leave(q, code, err);
}

int queue_set_priority(struct queue *q, int64_t job, int priority, double now,
                       struct err *err)
{
    sqlite3_stmt *st;
    struct queue_job j;
    int code = queue_get_job(q, job, &j, err);
    if (code) {
        return code;
    }
    if (priority < -10 || priority > 10) {
        return err_set(err, ERR_PARAM, "priority %d: give -10 to 10", priority);
    }
    char message[64];
    snprintf(message, sizeof message, "priority %d, was %d", priority, j.priority);
    if ((code = sql_enter(q, err))) {
        return code;
    }
    code = sql_prepare(q, &st, err, "UPDATE job SET priority = ? WHERE id = ?", "ii",
                       (int64_t)priority, job);
    code = code ? code : sql_finish(q, st, err);
    code = code ? code : add_job_event(q, job, 0, j.state, j.state, message, now, err);
    return sql_leave(q, code, err);
}
