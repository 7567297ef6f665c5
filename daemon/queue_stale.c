#include "daemon/queue_stale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/queue_sql.h"

/* No newer version of job j is there that may still take its place. */
#define IS_LAST(J)                                                                     \
    " NOT EXISTS (SELECT 1 FROM job later WHERE later.recipe = " J ".recipe"           \
    " AND later.base = " J ".base AND later.version > " J ".version"                   \
    " AND later.program = " J ".program"                                               \
    " AND later.state NOT IN ('superseded', 'cancelled'))"

int queue_next_done(struct queue *q, int64_t after, struct queue_job *ret,
                    struct err *err)
{
    sqlite3_stmt *st;
    struct queue_job *rows;
    size_t n;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT " QUEUE_JOB_COLUMNS " FROM job j WHERE id > ?"
                    " AND state = 'done' AND" IS_LAST("j") " ORDER BY id LIMIT 1",
                    "i", after);
    code = code ? code : sql_rows(q, st, sizeof *rows, queue_read_job, &rows, &n, err);
    if (!code) {
        *ret = n ? *rows : (struct queue_job){0};
        free(rows);
    }
    return code;
}

int queue_next_reader(struct queue *q, int64_t after, struct queue_job *ret,
                      struct err *err)
{
    sqlite3_stmt *st;
    struct queue_job *rows;
    size_t n;
    int code = sql_prepare(
        q, &st, err,
        "SELECT " QUEUE_JOB_COLUMNS " FROM job j WHERE id IN (SELECT i.job FROM stale s"
        " JOIN job_input i ON i.input_job = s.job UNION SELECT c.job FROM stale s"
        " JOIN companion c ON c.input_job = s.job) AND id > ? AND state = 'done'"
        " AND NOT EXISTS (SELECT 1 FROM stale o WHERE o.job = j.id) AND" IS_LAST(
            "j") " ORDER BY id LIMIT 1",
        "i", after);
    code = code ? code : sql_rows(q, st, sizeof *rows, queue_read_job, &rows, &n, err);
    if (!code) {
        *ret = n ? *rows : (struct queue_job){0};
        free(rows);
    }
    return code;
}

int queue_set_stale(struct queue *q, int64_t job, const char *step, const char *why,
                    double now, bool *ret_news, struct err *err)
{
    sqlite3_stmt *st;
    int64_t same = 0;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT EXISTS (SELECT 1 FROM stale WHERE job = ? AND step = ?"
                    " AND why = ?)",
                    "iss", job, step, why);
    code = code ? code : sql_one(q, st, &same, err);
    *ret_news = !code && !same;
    if (code || same) {
        return code;
    }
    code = sql_prepare(q, &st, err,
                       "INSERT INTO stale(job, since, step, why) SELECT id, ?, ?, ?"
                       " FROM job WHERE id = ? AND state = 'done' ON CONFLICT(job) DO"
                       " UPDATE SET step = excluded.step, why = excluded.why",
                       "dssi", now, step, why, job);
    return code ? code : sql_finish(q, st, err);
}

int queue_unset_stale(struct queue *q, int64_t job, struct err *err)
{
    sqlite3_stmt *st;
    int64_t there = 0;
    int code = sql_prepare(
        q, &st, err, "SELECT EXISTS (SELECT 1 FROM stale WHERE job = ?)", "i", job);
    code = code ? code : sql_one(q, st, &there, err);
    if (code || !there) {
        return code; /* nothing to write */
    }
    code = sql_prepare(q, &st, err, "DELETE FROM stale WHERE job = ?", "i", job);
    return code ? code : sql_finish(q, st, err);
}

static void read_stale(sqlite3_stmt *st, void *row)
{
    struct queue_stale *s = row;
    queue_read_job(st, &s->job);
    const int n = sqlite3_column_count(st);
    s->since = sqlite3_column_double(st, n - 3);
    sql_text(st, n - 2, s->step, sizeof s->step);
    sql_text(st, n - 1, s->why, sizeof s->why);
}

#define STALE_COLUMNS "j.*, s.since, s.step, s.why"
#define STALE_JOBS                                                                     \
    "(SELECT " QUEUE_JOB_COLUMNS ", id AS number FROM job) j JOIN stale s"             \
    " ON s.job = j.number"

int queue_stale(struct queue *q, const struct queue_stale_filter *filter, int64_t after,
                size_t limit, struct queue_stale **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err,
        "SELECT " STALE_COLUMNS " FROM " STALE_JOBS
        " WHERE (?1 = 0 OR j.id = ?1) AND (?2 = '' OR j.program = ?2)"
        " AND (?3 = '' OR j.grp = ?3) AND j.id > ?4 AND" IS_LAST(
            "j") " ORDER BY j.id LIMIT ?5",
        "issii", filter->job, filter->program, filter->group, after, (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_stale), read_stale, ret, ret_n,
                           err);
}

int queue_stale_count(struct queue *q, size_t limit, size_t *ret, struct err *err)
{
    sqlite3_stmt *st;
    int64_t n = 0;
    int code = sql_prepare(q, &st, err,
                           "SELECT count(*) FROM (SELECT 1 FROM stale s JOIN job j"
                           " ON j.id = s.job WHERE" IS_LAST("j") " LIMIT ?)",
                           "i", (int64_t)limit);
    code = code ? code : sql_one(q, st, &n, err);
    *ret = (size_t)n;
    return code;
}

#define READ_BY                                                                        \
    "(SELECT input_job FROM job_input WHERE job = ?1 AND input_job IS NOT NULL"        \
    " UNION SELECT input_job FROM companion WHERE job = ?1"                            \
    " AND input_job IS NOT NULL)"

int queue_stale_input_jobs(struct queue *q, int64_t job, struct queue_stale **ret,
                           size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " STALE_COLUMNS " FROM " STALE_JOBS
                           " WHERE j.id IN " READ_BY " ORDER BY j.id",
                           "i", job);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_stale), read_stale, ret, ret_n,
                           err);
}

int queue_stale_inputs(struct queue *q, int64_t job, size_t *ret_n,
                       char ret_first[2 * QUEUE_NAME], struct err *err)
{
    struct queue_stale *rows;
    int code = queue_stale_input_jobs(q, job, &rows, ret_n, err);
    if (!code) {
        snprintf(ret_first, 2 * QUEUE_NAME, "%s", *ret_n ? rows->job.name : "");
        free(rows);
    }
    return code;
}

int queue_inputs_done(struct queue *q, int64_t job, bool *ret, struct err *err)
{
    sqlite3_stmt *st;
    int64_t others = 0;
    int code = sql_prepare(q, &st, err,
                           "SELECT EXISTS (SELECT 1 FROM job WHERE id IN " READ_BY
                           " AND state <> 'done')",
                           "i", job);
    code = code ? code : sql_one(q, st, &others, err);
    *ret = !others;
    return code;
}

bool queue_is_group(struct queue *q, const char *name)
{
    sqlite3_stmt *st;
    int64_t there = 0;
    int code = sql_prepare(
        q, &st, NULL, "SELECT EXISTS (SELECT 1 FROM grp WHERE name = ?)", "s", name);
    return !code && !sql_one(q, st, &there, NULL) && there;
}

int queue_earlier_products(struct queue *q, const struct queue_job *job,
                           struct queue_product **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err,
        "SELECT path, suffix, sha256, bytes FROM product WHERE job = (SELECT j.id FROM"
        " job j WHERE j.recipe = ?1 AND j.base = ?2 AND j.program = ?3"
        " AND j.version <= ?4 AND EXISTS (SELECT 1 FROM product p WHERE p.job = j.id)"
        " ORDER BY j.version DESC LIMIT 1) ORDER BY path",
        "sssi", job->recipe, job->base, job->program, (int64_t)job->version);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_product), queue_read_product, ret,
                           ret_n, err);
}

/* ---- the spectrum that was replaced ---- */

int queue_set_difference(struct queue *q, int64_t job, const struct job_difference *d,
                         const char *text, double now, struct err *err)
{
    sqlite3_stmt *st;
    const struct queue_event_row e = {
        .job = job, .from = "done", .to = "done", .message = text, .at = now};
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    code = sql_prepare(q, &st, err,
                       "INSERT OR REPLACE INTO difference(job, compared,"
                       " median_percent, largest_percent, largest_percent_um,"
                       " largest_sigma, largest_sigma_um) VALUES(?, ?, ?, ?, ?, ?, ?)",
                       "iiddddd", job, (int64_t)d->compared, d->median_percent,
                       d->largest_percent, d->largest_percent_um, d->largest_sigma,
                       d->largest_sigma_um);
    code = code ? code : sql_finish(q, st, err);
    code = code ? code : queue_add_event(q, &e, err);
    return sql_leave(q, code, err);
}

static void read_difference(sqlite3_stmt *st, void *row)
{
    struct job_difference *d = row;
    d->compared = (size_t)sqlite3_column_int64(st, 0);
    d->median_percent = sql_real(st, 1);
    d->largest_percent = sql_real(st, 2);
    d->largest_percent_um = sql_real(st, 3);
    d->largest_sigma = sql_real(st, 4);
    d->largest_sigma_um = sql_real(st, 5);
}

int queue_difference(struct queue *q, int64_t job, struct job_difference *ret,
                     struct err *err)
{
    sqlite3_stmt *st;
    struct job_difference *rows;
    size_t n;
    int code = sql_prepare(q, &st, err,
                           "SELECT compared, median_percent, largest_percent,"
                           " largest_percent_um, largest_sigma, largest_sigma_um"
                           " FROM difference WHERE job = ?",
                           "i", job);
    code = code ? code : sql_rows(q, st, sizeof *rows, read_difference, &rows, &n, err);
    if (!code) {
        *ret = n ? *rows : (struct job_difference){0};
        free(rows);
    }
    return code;
}
