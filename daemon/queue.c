#include "daemon/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/queue_sql.h"

/* ---- opening ---- */

static int version_of(struct queue *q, int64_t *ret, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, "PRAGMA user_version", "");
    code = code ? code : sql_one(q, st, ret, err);
    if (!code && *ret > QUEUE_SCHEMA) {
        code = err_set(err, ERR_IO,
                       "queue %s has schema %lld, this program knows %d: it was "
                       "written by a newer version",
                       q->path, (long long)*ret, QUEUE_SCHEMA);
    }
    return code;
}

static int connect(struct queue *q, int flags, struct err *err)
{
    if (sqlite3_open_v2(q->path, &q->db, flags | SQLITE_OPEN_NOMUTEX, NULL)) {
        return q->db ? sql_fail(q, err) : err_set(err, ERR_NOMEM, "out of memory");
    }
    sqlite3_busy_timeout(q->db, 5000);
    return 0;
}

static void disconnect(struct queue *q)
{
    for (size_t i = 0; i < SQL_CACHE; i++) {
        sqlite3_finalize(q->cache[i].st);
        q->cache[i].sql = NULL;
        q->cache[i].st = NULL;
    }
    sqlite3_close(q->db);
    q->db = NULL;
}

/* What is there, seen by a connection that cannot change it: a newer queue stays as it
 * is, to the last byte. *ret = 0 if there is nothing, or nothing that can be read before
 * what a death left half done is rolled back. */
static int look(struct queue *q, int64_t *ret, struct err *err)
{
    struct stat st;
    *ret = 0;
    if (stat(q->path, &st) || st.st_size == 0) {
        return 0;
    }
    int code = connect(q, SQLITE_OPEN_READONLY, err);
    code = code ? code : version_of(q, ret, err);
    if (code && q->db && sqlite3_extended_errcode(q->db) == SQLITE_READONLY_ROLLBACK) {
        code = 0;
    }
    disconnect(q);
    return code;
}

static int check_file(struct queue *q, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, "PRAGMA quick_check(1)", "");
    if (code) {
        return code;
    }
    char answer[200] = "no answer";
    if (sqlite3_step(st) == SQLITE_ROW) {
        sql_text(st, 0, answer, sizeof answer);
    }
    sql_done(q, st);
    return strcmp(answer, "ok")
               ? err_set(err, ERR_IO, "queue %s is damaged: %s", q->path, answer)
               : 0;
}

/* The state before a migration, beside the queue. */
static int keep_old(struct queue *q, int64_t version, struct err *err)
{
    char date[32];
    struct tm tm;
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
    char *path = mem_printf(err, "%s.schema%lld-%s", q->path, (long long)version, date);
    int code = path ? queue_backup(q, path, err) : ERR_NOMEM;
    free(path);
    return code;
}

static int open_to_write(struct queue *q, struct err *err)
{
    int64_t version;
    int code = look(q, &version, err);
    code = code ? code : connect(q, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    code = code ? code
                : sql_exec(q,
                           "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                           "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                           /* a full or locked /tmp is no reason to stop */
                           "PRAGMA temp_store = MEMORY;",
                           err);
    code = code ? code : version_of(q, &version, err);
    code = code ? code : check_file(q, err);
    if (!code && version > 0 && version < QUEUE_SCHEMA) {
        code = keep_old(q, version, err);
    }
    if (!code && version < QUEUE_SCHEMA) {
        code = queue_migrate(q, (int)version, err);
    }
    return code;
}

static int open_to_read(struct queue *q, struct err *err)
{
    int64_t version = 0;
    int code = connect(q, SQLITE_OPEN_READONLY, err);
    code = code ? code : version_of(q, &version, err);
    code =
        code ? code
             : sql_exec(q, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;", err);
    if (!code && version != QUEUE_SCHEMA) {
        code = err_set(err, ERR_IO,
                       "queue %s has schema %lld, not %d: start this version of ifud "
                       "once, it migrates",
                       q->path, (long long)version, QUEUE_SCHEMA);
    }
    return code;
}

int queue_open(const char *path, enum queue_mode mode, struct queue **ret,
               struct err *err)
{
    struct queue *q = mem_calloc(1, sizeof *q, err);
    if (!q || !(q->path = mem_strdup(path, err))) {
        free(q);
        return ERR_NOMEM;
    }
    int code = mode == QUEUE_READ ? open_to_read(q, err) : open_to_write(q, err);
    if (code) {
        queue_close(q);
    } else {
        *ret = q;
    }
    return code;
}

void queue_close(struct queue *q)
{
    if (q) {
        disconnect(q);
        free(q->path);
        free(q);
    }
}

/* ---- transactions ---- */

int queue_begin(struct queue *q, struct err *err)
{
    return sql_exec(q, "BEGIN IMMEDIATE", err);
}

void queue_rollback(struct queue *q)
{
    if (!sqlite3_get_autocommit(q->db)) {
        sql_exec(q, "ROLLBACK", NULL);
    }
}

int queue_commit(struct queue *q, struct err *err)
{
    int code = sql_exec(q, "COMMIT", err);
    if (code) {
        queue_rollback(q);
    }
    return code;
}

int queue_enter(struct queue *q, struct err *err)
{
    return sql_enter(q, err);
}

int queue_leave(struct queue *q, int code, struct err *err)
{
    return sql_leave(q, code, err);
}

/* ---- settings ---- */

static void read_setting(sqlite3_stmt *st, void *row)
{
    sql_text(st, 0, row, QUEUE_NAME);
}

int queue_get_setting(struct queue *q, const char *key, char *ret, size_t size,
                      struct err *err)
{
    sqlite3_stmt *st;
    char *value;
    size_t n;
    int code =
        sql_prepare(q, &st, err, "SELECT value FROM setting WHERE key = ?", "s", key);
    code = code ? code : sql_rows(q, st, QUEUE_NAME, read_setting, &value, &n, err);
    if (!code) {
        snprintf(ret, size, "%s", value);
        free(value);
    }
    return code;
}

int queue_set_setting(struct queue *q, const char *key, const char *value,
                      struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "INSERT INTO setting VALUES(?, ?)"
                           " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                           "ss", key, value);
    return code ? code : sql_finish(q, st, err);
}
