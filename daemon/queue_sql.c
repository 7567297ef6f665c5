#include "daemon/queue_sql.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

int sql_fail(const struct queue *q, struct err *err)
{
    int code = sqlite3_errcode(q->db) & 0xff;
    return err_set(err,
                   code == SQLITE_NOMEM                                ? ERR_NOMEM
                   : code == SQLITE_CONSTRAINT || code == SQLITE_ERROR ? ERR_BUG
                                                                       : ERR_IO,
                   "queue %s: %s", q->path, sqlite3_errmsg(q->db));
}

/* A free statement for this text: from the cache, or new. */
static int take(struct queue *q, const char *sql, sqlite3_stmt **ret, struct err *err)
{
    size_t at = ((uintptr_t)sql >> 3) % SQL_CACHE;
    for (size_t i = 0; i < SQL_CACHE && q->cache[at].sql && q->cache[at].sql != sql;
         i++) {
        at = (at + 1) % SQL_CACHE;
    }
    if (q->cache[at].sql == sql && !sqlite3_stmt_busy(q->cache[at].st)) {
        *ret = q->cache[at].st;
        return 0;
    }
    sqlite3_stmt *st;
    if (sqlite3_prepare_v3(q->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL)) {
        return sql_fail(q, err);
    }
    if (!q->cache[at].sql) {
        q->cache[at].sql = sql;
        q->cache[at].st = st;
    }
    *ret = st;
    return 0;
}

void sql_done(struct queue *q, sqlite3_stmt *st)
{
    if (!st) {
        return;
    }
    for (size_t i = 0; i < SQL_CACHE; i++) {
        if (q->cache[i].st == st) {
            sqlite3_reset(st);
            sqlite3_clear_bindings(st);
            return;
        }
    }
    sqlite3_finalize(st);
}

int sql_prepare(struct queue *q, sqlite3_stmt **ret, struct err *err, const char *sql,
                const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    int code = take(q, sql, &st, err);
    if (code) {
        return code;
    }
    va_list ap;
    va_start(ap, types);
    int rc = SQLITE_OK;
    for (int i = 0; types[i] && rc == SQLITE_OK; i++) {
        if (types[i] == 'd') {
            rc = sqlite3_bind_double(st, i + 1, va_arg(ap, double));
        } else if (types[i] == 's') {
            const char *s = va_arg(ap, const char *);
            rc = sqlite3_bind_text(st, i + 1, s ? s : "", -1, SQLITE_TRANSIENT);
        } else {
            int64_t v = va_arg(ap, int64_t);
            rc = types[i] == 'I' && v == 0 ? sqlite3_bind_null(st, i + 1)
                                           : sqlite3_bind_int64(st, i + 1, v);
        }
    }
    va_end(ap);
    if (rc != SQLITE_OK) {
        code = sql_fail(q, err);
        sql_done(q, st);
        return code;
    }
    *ret = st;
    return 0;
}

int sql_finish(struct queue *q, sqlite3_stmt *st, struct err *err)
{
    int rc = sqlite3_step(st);
    int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sql_fail(q, err);
    sql_done(q, st);
    return code;
}

int sql_one(struct queue *q, sqlite3_stmt *st, int64_t *ret, struct err *err)
{
    int rc = sqlite3_step(st);
    int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sql_fail(q, err);
    if (!code) {
        *ret = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    }
    sql_done(q, st);
    return code;
}

void sql_text(sqlite3_stmt *st, int column, char *ret, size_t size)
{
    const char *s = (const char *)sqlite3_column_text(st, column);
    snprintf(ret, size, "%s", s ? s : "");
}

double sql_real(sqlite3_stmt *st, int column)
{
    return sqlite3_column_type(st, column) == SQLITE_NULL
               ? (double)NAN
               : sqlite3_column_double(st, column);
}

int sql_rows(struct queue *q, sqlite3_stmt *st, size_t size, sql_reader reader,
             void *ret_array, size_t *ret_n, struct err *err)
{
    char *array = NULL;
    size_t n = 0, room = 0;
    int rc, code = 0;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (n == room) {
            room = room ? 2 * room : 8;
            char *more = mem_realloc(array, room, size, err);
            if (!more) {
                code = ERR_NOMEM;
                goto out;
            }
            array = more;
        }
        memset(array + n * size, 0, size);
        reader(st, array + n++ * size);
    }
    code = rc == SQLITE_DONE ? 0 : sql_fail(q, err);
    if (!code && !array && !(array = mem_calloc(1, size, err))) {
        code = ERR_NOMEM;
    }
out:
    sql_done(q, st);
    if (code) {
        free(array);
    } else {
        *(void **)ret_array = array;
        *ret_n = n;
    }
    return code;
}

int sql_exec(struct queue *q, const char *sql, struct err *err)
{
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL) ? sql_fail(q, err) : 0;
}

int sql_enter(struct queue *q, struct err *err)
{
    return sql_exec(q, "SAVEPOINT step", err);
}

int sql_leave(struct queue *q, int code, struct err *err)
{
    if (!code) {
        code = sql_exec(q, "RELEASE step", err);
    }
    if (code) {
        sql_exec(q, "ROLLBACK TO step; RELEASE step", NULL);
    }
    return code;
}
