#include "daemon/queue_sql.h"

#include <string.h>

static void read_copy(sqlite3_stmt *st, void *row)
{
    struct queue_copy *c = row;
    c->exposure = sqlite3_column_int64(st, 0);
    sql_text(st, 1, c->sha256, sizeof c->sha256);
    sql_text(st, 2, c->name, sizeof c->name);
}

int queue_copies(struct queue *q, int64_t after, size_t limit, struct queue_copy **ret,
                 size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT id, sha256, name FROM exposure WHERE id > ?"
                           " AND state <> 'gone' ORDER BY id LIMIT ?",
                           "ii", after, (int64_t)limit);
    return code ? code : sql_rows(q, st, sizeof **ret, read_copy, ret, ret_n, err);
}

int queue_content_state(struct queue *q, const char *sha256, enum file_state *ret,
                        struct err *err)
{
    sqlite3_stmt *st;
    int64_t live = 0, gone = 0;
    int code = queue_find_content(q, sha256, &live, err);
    if (!code && !live) {
        code = sql_prepare(q, &st, err,
                           "SELECT id FROM exposure WHERE sha256 = ?"
                           " AND state = 'gone' LIMIT 1",
                           "s", sha256);
        code = code ? code : sql_one(q, st, &gone, err);
    }
    if (!code) {
        *ret = live ? FILE_ACCEPTED : gone ? FILE_GONE : FILE_NEW;
    }
    return code;
}

int queue_job_of_exposure(struct queue *q, int64_t exposure, struct queue_job *ret,
                          struct err *err)
{
    sqlite3_stmt *st;
    int64_t id = 0;
    int code = sql_prepare(q, &st, err,
                           "SELECT id FROM job WHERE exposure = ?"
                           " AND state <> 'superseded' ORDER BY id DESC LIMIT 1",
                           "i", exposure);
    code = code ? code : sql_one(q, st, &id, err);
    if (!code && id) {
        return queue_get_job(q, id, ret, err);
    }
    if (!code) {
        *ret = (struct queue_job){0};
    }
    return code;
}

static void read_stored(sqlite3_stmt *st, void *row)
{
    struct queue_stored *s = row;
    s->job = sqlite3_column_int64(st, 0);
    sql_text(st, 1, s->name, sizeof s->name);
    sql_text(st, 2, s->path, sizeof s->path);
    s->bytes = sqlite3_column_int64(st, 3);
}

int queue_stored_products(struct queue *q, int64_t job, const char *path, size_t limit,
                          struct queue_stored **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT p.job, j.name, p.path, p.bytes FROM product p"
                           " CROSS JOIN job j ON j.id = p.job WHERE (p.job, p.path) >"
                           " (?, ?) AND j.state = 'done' ORDER BY p.job, p.path"
                           " LIMIT ?",
                           "isi", job, path, (int64_t)limit);
    return code ? code : sql_rows(q, st, sizeof **ret, read_stored, ret, ret_n, err);
}

static void read_place(sqlite3_stmt *st, void *row)
{
    struct queue_place *p = row;
    sql_text(st, 0, p->program, sizeof p->program);
    sql_text(st, 1, p->group, sizeof p->group);
}

int queue_places(struct queue *q, struct queue_place **ret, size_t *ret_n,
                 struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT DISTINCT program, grp FROM job WHERE state IN"
                           " ('queued', 'suspect', 'deferred', 'held', 'quarantined',"
                           " 'cancelled') AND attempt > 0",
                           "");
    return code ? code : sql_rows(q, st, sizeof **ret, read_place, ret, ret_n, err);
}
