#include "daemon/queue_sql.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

/* What scheduling asks of the queue: candidates, shares of programs, memory used. */

static void read_candidate(sqlite3_stmt *st, void *row)
{
    struct queue_candidate *c = row;
    c->id = sqlite3_column_int64(st, 0);
    sql_text(st, 1, c->program, sizeof c->program);
    c->priority = sqlite3_column_int(st, 2);
    c->queued_at = sqlite3_column_double(st, 3);
    c->started_at = sqlite3_column_double(st, 4);
}

#define FIRST_QUEUED(BEYOND)                                                           \
    "SELECT id, program, priority, queued_at, coalesce((SELECT started_at FROM class " \
    "c"                                                                                \
    " WHERE c.program = job.program AND c.priority = job.priority), 0.0)"              \
    " FROM job INDEXED BY job_queued WHERE state = 'queued' AND " BEYOND               \
    " ORDER BY program, priority, queued_at LIMIT 1"

/* The first of the next class: a higher priority of the same program, or else the next
 * program. ret->id = 0: there is none. */
static int next_class(struct queue *q, const struct queue_candidate *last,
                      struct queue_candidate *ret, struct err *err)
{
    *ret = (struct queue_candidate){0};
    for (int i = last->id ? 0 : 2; i < (last->id ? 2 : 3) && !ret->id; i++) {
        sqlite3_stmt *st;
        int code =
            i == 0
                ? sql_prepare(q, &st, err, FIRST_QUEUED("program = ? AND priority > ?"),
                              "si", last->program, (int64_t)last->priority)
            : i == 1 ? sql_prepare(q, &st, err, FIRST_QUEUED("program > ?"), "s",
                                   last->program)
                     : sql_prepare(q, &st, err, FIRST_QUEUED("program >= ''"), "");
        if (code) {
            return code;
        }
        int rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            read_candidate(st, ret);
        }
        code = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sql_fail(q, err);
        sql_done(q, st);
        if (code) {
            return code;
        }
    }
    return 0;
}

/* From class to class by the index: no other row is read. */
int queue_candidates(struct queue *q, struct queue_candidate **ret, size_t *ret_n,
                     struct err *err)
{
    struct queue_candidate *all = NULL, last = {0}, next;
    size_t n = 0, room = 0;
    int code;
    while (!(code = next_class(q, &last, &next, err)) && next.id) {
        if (n == room) {
            room = room ? 2 * room : 16;
            struct queue_candidate *more = mem_realloc(all, room, sizeof *more, err);
            if (!more) {
                code = ERR_NOMEM;
                break;
            }
            all = more;
        }
        all[n++] = last = next;
    }
    if (code) {
        free(all);
        return code;
    }
    *ret = all;
    *ret_n = n;
    return 0;
}

/* ---- shares ---- */

/* used_seconds are of the time `at`, which is read into `running` for a moment. */
struct share_row {
    struct queue_share share;
    double at;
};

static void read_share(sqlite3_stmt *st, void *row)
{
    struct share_row *s = row;
    sql_text(st, 0, s->share.program, sizeof s->share.program);
    s->share.used_seconds = sqlite3_column_double(st, 1);
    s->at = sqlite3_column_double(st, 2);
    s->share.running = sqlite3_column_int(st, 3);
}

static double decayed(double used, double at, double now, double half_life)
{
    double age = now > at ? now - at : 0.0;
    return half_life > 0 ? used * exp2(-age / half_life) : used;
}

int queue_shares(struct queue *q, double now, double half_life,
                 struct queue_share **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    struct share_row *rows;
    size_t n;
    int code = sql_prepare(
        q, &st, err,
        "WITH busy AS MATERIALIZED (SELECT program, count(*) AS n FROM job"
        " WHERE state = 'running' GROUP BY program)"
        " SELECT s.program, s.used_seconds, s.at, coalesce(b.n, 0) FROM share s"
        " LEFT JOIN busy b ON b.program = s.program"
        " UNION ALL SELECT b.program, 0.0, 0.0, b.n FROM busy b"
        " WHERE b.program NOT IN (SELECT program FROM share)",
        "");
    code = code ? code : sql_rows(q, st, sizeof *rows, read_share, &rows, &n, err);
    if (code) {
        return code;
    }
    struct queue_share *shares = mem_calloc(n, sizeof *shares, err);
    if (!shares) {
        free(rows);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        shares[i] = rows[i].share;
        shares[i].used_seconds =
            decayed(rows[i].share.used_seconds, rows[i].at, now, half_life);
    }
    free(rows);
    *ret = shares;
    *ret_n = n;
    return 0;
}

int queue_use(struct queue *q, const char *program, double seconds, double now,
              double half_life, struct err *err)
{
    sqlite3_stmt *st;
    struct share_row *row;
    size_t n;
    int code = sql_prepare(q, &st, err,
                           "SELECT program, used_seconds, at, 0 FROM share"
                           " WHERE program = ?",
                           "s", program);
    code = code ? code : sql_rows(q, st, sizeof *row, read_share, &row, &n, err);
    if (code) {
        return code;
    }
    double used = seconds + decayed(row->share.used_seconds, row->at, now, half_life);
    free(row);
    code = sql_prepare(q, &st, err,
                       "INSERT INTO share VALUES(?, ?, ?) ON CONFLICT(program) DO"
                       " UPDATE SET used_seconds = excluded.used_seconds,"
                       " at = excluded.at",
                       "sdd", program, used, now);
    return code ? code : sql_finish(q, st, err);
}

/* ---- memory ---- */

int queue_set_memory(struct queue *q, int64_t job, int64_t estimate_bytes,
                     int64_t peak_bytes, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    if (estimate_bytes > 0) {
        code =
            sql_prepare(q, &st, err, "UPDATE job SET estimate_bytes = ? WHERE id = ?",
                        "ii", estimate_bytes, job);
        code = code ? code : sql_finish(q, st, err);
    }
    if (!code && peak_bytes > 0) { /* measured: the order in which they were */
        code = sql_prepare(q, &st, err,
                           "UPDATE job SET peak_bytes = ?1, measured = 1 +"
                           " coalesce((SELECT max(m.measured) FROM job m"
                           " WHERE m.recipe = job.recipe AND m.measured > 0), 0)"
                           " WHERE id = ?2",
                           "ii", peak_bytes, job);
        code = code ? code : sql_finish(q, st, err);
    }
    return sql_leave(q, code, err);
}

int queue_memory_ratio(struct queue *q, const char *recipe, double *ret,
                       struct err *err)
{
    sqlite3_stmt *st;
    double ratio = 0.0;
    int code = sql_prepare(q, &st, err,
                           "SELECT estimate_bytes, peak_bytes FROM job"
                           " WHERE recipe = ? AND measured > 0"
                           " ORDER BY measured DESC LIMIT 20",
                           "s", recipe);
    if (code) {
        return code;
    }
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        double estimate = sqlite3_column_double(st, 0);
        double r = estimate > 0 ? sqlite3_column_double(st, 1) / estimate : 0.0;
        ratio = r > ratio ? r : ratio;
    }
    code = rc == SQLITE_DONE ? 0 : sql_fail(q, err);
    sql_done(q, st);
    if (!code) {
        *ret = ratio;
    }
    return code;
}
