#include "daemon/queue_sql.h"

#include <stdlib.h>
#include <string.h>

int queue_add_event(struct queue *q, const struct queue_event_row *e, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "INSERT INTO event(at, file, exposure, job, from_state,"
                           " to_state, message) VALUES(?, ?, ?, ?, ?, ?, ?)",
                           "dsIIsss", e->at, e->file, e->exposure, e->job, e->from,
                           e->to, e->message);
    return code ? code : sql_finish(q, st, err);
}

void queue_read_event(sqlite3_stmt *st, void *row)
{
    struct queue_event *e = row;
    e->id = sqlite3_column_int64(st, 0);
    e->at = sqlite3_column_double(st, 1);
    sql_text(st, 2, e->file, sizeof e->file);
    sql_text(st, 3, e->exposure, sizeof e->exposure);
    sql_text(st, 4, e->job, sizeof e->job);
    sql_text(st, 5, e->from, sizeof e->from);
    sql_text(st, 6, e->to, sizeof e->to);
    sql_text(st, 7, e->message, sizeof e->message);
}

int queue_events(struct queue *q, int64_t after, const char *job, size_t limit,
                 struct queue_event **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int64_t of = 0;
    int code = 0;
    if (after < 0 && (size_t)-after < limit) {
        limit = (size_t)-after;
    }
    if (*job) {
        code = sql_prepare(q, &st, err, "SELECT id FROM job WHERE name = ?", "s", job);
        code = code ? code : sql_one(q, st, &of, err);
    }
    if (code) {
        return code;
    }
    int64_t n = (int64_t)limit;
    if (*job && after < 0) {
        code = sql_prepare(q, &st, err,
                           "SELECT * FROM (" QUEUE_EVENTS
                           "v.job = ? ORDER BY v.id DESC LIMIT ?) ORDER BY id",
                           "ii", of, n);
    } else if (*job) {
        code = sql_prepare(q, &st, err,
                           QUEUE_EVENTS "v.job = ? AND v.id > ? ORDER BY v.id LIMIT ?",
                           "iii", of, after, n);
    } else if (after < 0) {
        code = sql_prepare(q, &st, err,
                           "SELECT * FROM (" QUEUE_EVENTS
                           "true ORDER BY v.id DESC LIMIT ?) ORDER BY id",
                           "i", n);
    } else {
        code = sql_prepare(q, &st, err, QUEUE_EVENTS "v.id > ? ORDER BY v.id LIMIT ?",
                           "ii", after, n);
    }
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_event), queue_read_event, ret,
                           ret_n, err);
}

int queue_rejections(struct queue *q, size_t limit, struct queue_event **ret,
                     size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT id, at, file, '', '', from_state, to_state, message"
                           " FROM event WHERE to_state = 'rejected'"
                           " ORDER BY id DESC LIMIT ?",
                           "i", (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_event), queue_read_event, ret,
                           ret_n, err);
}

int queue_rejected_since(struct queue *q, double since, size_t limit, size_t *ret_n,
                         struct err *err)
{
    sqlite3_stmt *st;
    int64_t n = 0;
    int code = sql_prepare(q, &st, err,
                           "SELECT count(*) FROM (SELECT at FROM event WHERE"
                           " to_state = 'rejected' ORDER BY id DESC LIMIT ?)"
                           " WHERE at >= ?",
                           "id", (int64_t)limit, since);
    code = code ? code : sql_one(q, st, &n, err);
    if (!code) {
        *ret_n = (size_t)n;
    }
    return code;
}

/* ---- sums ---- */

static void count(struct queue_counts *c, const char *what, long n)
{
    if (!strncmp(what, "job.", 4)) {
        enum job_state s = job_state_of(what + 4);
        if (s < JOB_STATES) {
            c->jobs[s] = n;
        }
    } else if (!strncmp(what, "exposure.superseded.", 20)) {
        c->superseded += n;
    } else if (!strncmp(what, "exposure.gone.", 14)) {
        c->gone += n;
    } else if (!strncmp(what, "exposure.accepted.", 18)) {
        c->accepted += n;
        *(!strcmp(what + 18, "imprint")      ? &c->imprint
          : !strcmp(what + 18, "background") ? &c->background
                                             : &c->science) += n;
    } else if (!strcmp(what, "file.rejected")) {
        c->rejected = n;
    } else if (!strcmp(what, "file.duplicate")) {
        c->duplicates = n;
    }
}

int queue_count(struct queue *q, struct queue_counts *ret, struct err *err)
{
    struct queue_counts c = {0};
    sqlite3_stmt *st;
    int rc, code = sql_prepare(q, &st, err, "SELECT what, n FROM tally", "");
    if (code) {
        return code;
    }
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        count(&c, (const char *)sqlite3_column_text(st, 0),
              (long)sqlite3_column_int64(st, 1));
    }
    code = rc == SQLITE_DONE ? 0 : sql_fail(q, err);
    sql_done(q, st);
    if (!code) {
        *ret = c;
    }
    return code;
}
