#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- looking ---- */

void queue_read_job(sqlite3_stmt *st, void *row)
{
    struct queue_job *j = row;
    char state[16];
    j->id = sqlite3_column_int64(st, 0);
    sql_text(st, 1, j->name, sizeof j->name);
    sql_text(st, 2, j->recipe, sizeof j->recipe);
    sql_text(st, 3, j->base, sizeof j->base);
    sql_text(st, 4, j->group, sizeof j->group);
    sql_text(st, 5, j->program, sizeof j->program);
    j->version = sqlite3_column_int(st, 6);
    sql_text(st, 7, state, sizeof state);
    j->state = job_state_of(state);
    j->attempt = sqlite3_column_int(st, 8);
    j->failures = sqlite3_column_int(st, 9);
    j->created_at = sqlite3_column_double(st, 10);
    j->changed_at = sqlite3_column_double(st, 11);
    j->not_before = sqlite3_column_double(st, 12);
    sql_text(st, 13, j->stage, sizeof j->stage);
    sql_text(st, 14, j->error, sizeof j->error);
    sql_text(st, 15, j->message, sizeof j->message);
    j->exposure = sqlite3_column_int64(st, 16);
    j->priority = sqlite3_column_int(st, 17);
    j->crashes = sqlite3_column_int(st, 18);
    j->estimate_bytes = sqlite3_column_int64(st, 19);
    j->peak_bytes = sqlite3_column_int64(st, 20);
    j->queued_at = sqlite3_column_double(st, 21);
    sql_text(st, 22, j->wish, sizeof j->wish);
    sql_text(st, 23, j->product, sizeof j->product);
}

/* The first row of a statement, or a row of id 0. Gives it back. */
static int first_job(struct queue *q, sqlite3_stmt *st, struct queue_job *ret,
                     struct err *err)
{
    int rc = sqlite3_step(st);
    int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sql_fail(q, err);
    if (!code) {
        *ret = (struct queue_job){0};
        if (rc == SQLITE_ROW) {
            queue_read_job(st, ret);
        }
    }
    sql_done(q, st);
    return code;
}

int queue_get_job(struct queue *q, int64_t id, struct queue_job *ret, struct err *err)
{
    sqlite3_stmt *st;
    struct queue_job j;
    int code = sql_prepare(
        q, &st, err, "SELECT " QUEUE_JOB_COLUMNS " FROM job WHERE id = ?", "i", id);
    code = code ? code : first_job(q, st, &j, err);
    if (!code && !j.id) {
        return err_set(err, ERR_BUG, "queue: no job %lld", (long long)id);
    }
    if (!code) {
        *ret = j;
    }
    return code;
}

int queue_find_job(struct queue *q, const char *name, struct queue_job *ret,
                   struct err *err)
{
    sqlite3_stmt *st;
    struct queue_job j = {0};
    char *end;
    int64_t number = strtoll(name, &end, 10);
    int code = sql_prepare(
        q, &st, err, "SELECT " QUEUE_JOB_COLUMNS " FROM job WHERE name = ?", "s", name);
    code = code ? code : first_job(q, st, &j, err);
    if (!code && !j.id && *name && !*end) {
        code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job WHERE id = ?", "i",
                           number);
        code = code ? code : first_job(q, st, &j, err);
    }
    static const char *const recipes[] = {"spec2", "spec3", "combine"};
    for (int i = 0; i < 3 && !code && !j.id; i++) { /* the newest of these products */
        code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job"
                           " WHERE recipe = ? AND base = ?"
                           " ORDER BY version DESC LIMIT 1",
                           "ss", recipes[i], name);
        code = code ? code : first_job(q, st, &j, err);
    }
    if (!code && !j.id) {
        return err_set(err, ERR_INPUT, "no job '%.200s'", name);
    }
    if (!code) {
        *ret = j;
    }
    return code;
}

int queue_older_version(struct queue *q, const struct queue_job *job,
                        struct queue_job *ret, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job j WHERE recipe = ?"
                           " AND base = ? AND version < ? AND program = ? AND EXISTS"
                           " (SELECT 1 FROM product p WHERE p.job = j.id)"
                           " ORDER BY version DESC LIMIT 1",
                           "ssis", job->recipe, job->base, (int64_t)job->version,
                           job->program);
    return code ? code : first_job(q, st, ret, err);
}

int queue_jobs(struct queue *q, enum job_state state, size_t limit,
               struct queue_job **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = state == JOB_STATES
                   ? sql_prepare(q, &st, err,
                                 "SELECT " QUEUE_JOB_COLUMNS
                                 " FROM job ORDER BY changed_at DESC, id DESC LIMIT ?",
                                 "i", (int64_t)limit)
                   : sql_prepare(q, &st, err,
                                 "SELECT " QUEUE_JOB_COLUMNS " FROM job WHERE state = ?"
                                 " ORDER BY changed_at DESC, id DESC LIMIT ?",
                                 "si", job_state_name(state), (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_job), queue_read_job, ret, ret_n,
                           err);
}

int queue_jobs_warned(struct queue *q, size_t limit, struct queue_job **ret,
                      size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job"
                           " WHERE state = 'done' AND message <> ''"
                           " ORDER BY changed_at DESC, id DESC LIMIT ?",
                           "i", (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_job), queue_read_job, ret, ret_n,
                           err);
}

int queue_next_suspect(struct queue *q, struct queue_job *ret, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job"
                           " WHERE state = 'suspect' ORDER BY changed_at, id LIMIT 1",
                           "");
    return code ? code : first_job(q, st, ret, err);
}

/* ---- what a job reads and what it published ---- */

static void read_input(sqlite3_stmt *st, void *row)
{
    struct queue_input *in = row;
    in->job = sqlite3_column_int64(st, 0);
    in->exposure = sqlite3_column_int64(st, 1);
    in->input_job = sqlite3_column_int64(st, 2);
}

int queue_inputs(struct queue *q, int64_t job, struct queue_input **ret, size_t *ret_n,
                 struct err *err)
{
    sqlite3_stmt *st;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT job, exposure, input_job FROM job_input WHERE job = ?"
                    " ORDER BY position",
                    "i", job);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_input), read_input, ret, ret_n,
                           err);
}

int queue_set_inputs(struct queue *q, int64_t job, const int64_t *input_jobs, size_t n,
                     struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    code = sql_prepare(q, &st, err, "DELETE FROM job_input WHERE job = ?", "i", job);
    code = code ? code : sql_finish(q, st, err);
    for (size_t i = 0; i < n && !code; i++) {
        code = sql_prepare(q, &st, err,
                           "INSERT INTO job_input(job, position, input_job)"
                           " VALUES(?, ?, ?)",
                           "iii", job, (int64_t)i + 1, input_jobs[i]);
        code = code ? code : sql_finish(q, st, err);
    }
    return sql_leave(q, code, err);
}

int queue_set_products(struct queue *q, int64_t job, const struct queue_product *p,
                       size_t n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    code = sql_prepare(q, &st, err, "DELETE FROM product WHERE job = ?", "i", job);
    code = code ? code : sql_finish(q, st, err);
    for (size_t i = 0; i < n && !code; i++) {
        code =
            sql_prepare(q, &st, err,
                        "INSERT INTO product(job, path, suffix, sha256, bytes)"
                        " VALUES(?, ?, ?, ?, ?)",
                        "isssi", job, p[i].path, p[i].suffix, p[i].sha256, p[i].bytes);
        code = code ? code : sql_finish(q, st, err);
    }
    return sql_leave(q, code, err);
}

void queue_read_product(sqlite3_stmt *st, void *row)
{
    struct queue_product *p = row;
    sql_text(st, 0, p->path, sizeof p->path);
    sql_text(st, 1, p->suffix, sizeof p->suffix);
    sql_text(st, 2, p->sha256, sizeof p->sha256);
    p->bytes = sqlite3_column_int64(st, 3);
}

int queue_products(struct queue *q, int64_t job, struct queue_product **ret,
                   size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT path, suffix, sha256, bytes FROM product"
                           " WHERE job = ? ORDER BY path",
                           "i", job);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_product), queue_read_product, ret,
                           ret_n, err);
}
