#include "daemon/queue.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define SCHEMA_VERSION 1

struct queue {
    sqlite3 *db;
    char *path;
};

static const char schema[] =
    "CREATE TABLE exposure(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL, base TEXT NOT NULL, state TEXT NOT NULL, role TEXT NOT NULL,"
    " grp TEXT NOT NULL, program TEXT NOT NULL, observation TEXT NOT NULL,"
    " visit TEXT NOT NULL, target TEXT NOT NULL, detector TEXT NOT NULL,"
    " filter TEXT NOT NULL, grating TEXT NOT NULL, pattern_number INTEGER NOT NULL,"
    " pattern_total INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " accepted_at REAL NOT NULL) STRICT;"
    "CREATE INDEX exposure_grp ON exposure(grp);"
    "CREATE INDEX exposure_state ON exposure(state, role);"
    "CREATE TABLE job(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " recipe TEXT NOT NULL, base TEXT NOT NULL, grp TEXT NOT NULL,"
    " program TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL,"
    " attempt INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
    " created_at REAL NOT NULL, changed_at REAL NOT NULL,"
    " not_before REAL NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT '',"
    " error TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',"
    " exposure INTEGER REFERENCES exposure(id)) STRICT;"
    "CREATE UNIQUE INDEX job_version ON job(recipe, base, version);"
    "CREATE INDEX job_grp ON job(grp);"
    "CREATE INDEX job_state ON job(state, id);"
    "CREATE INDEX job_changed ON job(state, changed_at);"
    "CREATE TABLE job_input(job INTEGER NOT NULL REFERENCES job(id),"
    " position INTEGER NOT NULL, exposure INTEGER REFERENCES exposure(id),"
    " input_job INTEGER REFERENCES job(id), PRIMARY KEY(job, position)) STRICT;"
    "CREATE TABLE product(job INTEGER NOT NULL REFERENCES job(id), path TEXT NOT NULL,"
    " suffix TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " PRIMARY KEY(job, path)) STRICT;"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, at REAL NOT NULL, exposure INTEGER,"
    " job INTEGER, from_state TEXT NOT NULL, to_state TEXT NOT NULL,"
    " message TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_job ON event(job);"
    "CREATE INDEX event_file ON event(to_state) WHERE job IS NULL;"
    "PRAGMA user_version = 1;";

/* A full disk, a failing one, or a lack of memory may pass; the rest is a bug here. */
static int fail(const struct queue *q, struct err *err)
{
    int code = sqlite3_errcode(q->db) & 0xff;
    return err_set(err,
                   code == SQLITE_NOMEM                                ? ERR_NOMEM
                   : code == SQLITE_CONSTRAINT || code == SQLITE_ERROR ? ERR_BUG
                                                                       : ERR_IO,
                   "queue %s: %s", q->path, sqlite3_errmsg(q->db));
}

/* Prepare and bind: i int64_t, I int64_t or NULL if 0, d double, s text (NULL: ''). */
static int prepare(struct queue *q, sqlite3_stmt **ret, struct err *err,
                   const char *sql, const char *types, ...)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL)) {
        return fail(q, err);
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
        int code = fail(q, err);
        sqlite3_finalize(st);
        return code;
    }
    *ret = st;
    return 0;
}

/* Run a statement that returns no rows; finalizes it. */
static int finish(struct queue *q, sqlite3_stmt *st, struct err *err)
{
    int rc = sqlite3_step(st);
    int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(q, err);
    sqlite3_finalize(st);
    return code;
}

static int exec(struct queue *q, const char *sql, struct err *err)
{
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL) ? fail(q, err) : 0;
}

/* One integer; 0 rows give 0. */
static int one(struct queue *q, sqlite3_stmt *st, int64_t *ret, struct err *err)
{
    int rc = sqlite3_step(st);
    int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(q, err);
    if (!code) {
        *ret = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    }
    sqlite3_finalize(st);
    return code;
}

static void text(sqlite3_stmt *st, int column, char *ret, size_t size)
{
    const char *s = (const char *)sqlite3_column_text(st, column);
    snprintf(ret, size, "%s", s ? s : "");
}

/* All rows into a new array of `size` bytes each. Finalizes the statement. */
typedef void (*row_reader)(sqlite3_stmt *st, void *row);

static int rows(struct queue *q, sqlite3_stmt *st, size_t size, row_reader reader,
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
    code = rc == SQLITE_DONE ? 0 : fail(q, err);
    if (!code && !array && !(array = mem_calloc(1, size, err))) {
        code = ERR_NOMEM;
    }
out:
    sqlite3_finalize(st);
    if (code) {
        free(array);
    } else {
        *(void **)ret_array = array;
        *ret_n = n;
    }
    return code;
}

/* ---- opening ---- */

static int check_file(struct queue *q, struct err *err)
{
    sqlite3_stmt *st;
    int64_t version = 0;
    int code = prepare(q, &st, err, "PRAGMA user_version", "");
    code = code ? code : one(q, st, &version, err);
    if (!code && version > SCHEMA_VERSION) {
        return err_set(err, ERR_IO,
                       "queue %s has schema %lld, this program knows %d: it was "
                       "written by a newer version",
                       q->path, (long long)version, SCHEMA_VERSION);
    }
    if (!code && version == 0) {
        code = queue_begin(q, err);
        code = code ? code : exec(q, schema, err);
        if (code) {
            queue_rollback(q);
        } else {
            code = queue_commit(q, err);
        }
    }
    if (code || (code = prepare(q, &st, err, "PRAGMA quick_check(1)", ""))) {
        return code;
    }
    char answer[200] = "no answer";
    if (sqlite3_step(st) == SQLITE_ROW) {
        text(st, 0, answer, sizeof answer);
    }
    sqlite3_finalize(st);
    return strcmp(answer, "ok")
               ? err_set(err, ERR_IO, "queue %s is damaged: %s", q->path, answer)
               : 0;
}

int queue_open(const char *path, struct queue **ret, struct err *err)
{
    struct queue *q = mem_calloc(1, sizeof *q, err);
    if (!q || !(q->path = mem_strdup(path, err))) {
        free(q);
        return ERR_NOMEM;
    }
    int code = 0;
    if (sqlite3_open_v2(
            path, &q->db,
            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL)) {
        code = q->db ? fail(q, err) : err_set(err, ERR_NOMEM, "out of memory");
    }
    if (!code) {
        sqlite3_busy_timeout(q->db, 5000);
        code = exec(q,
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
                    err);
    }
    code = code ? code : check_file(q, err);
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
        sqlite3_close(q->db);
        free(q->path);
        free(q);
    }
}

int queue_begin(struct queue *q, struct err *err)
{
    return exec(q, "BEGIN IMMEDIATE", err);
}

void queue_rollback(struct queue *q)
{
    if (!sqlite3_get_autocommit(q->db)) {
        exec(q, "ROLLBACK", NULL);
    }
}

int queue_commit(struct queue *q, struct err *err)
{
    int code = exec(q, "COMMIT", err);
    if (code) {
        queue_rollback(q);
    }
    return code;
}

/* Several statements belong together: a savepoint works inside and outside BEGIN. */
static int enter(struct queue *q, struct err *err)
{
    return exec(q, "SAVEPOINT step", err);
}

static int leave(struct queue *q, int code, struct err *err)
{
    if (!code) {
        code = exec(q, "RELEASE step", err);
    }
    if (code) {
        exec(q, "ROLLBACK TO step; RELEASE step", NULL);
    }
    return code;
}

static int add_event(struct queue *q, int64_t exposure, int64_t job, const char *from,
                     const char *to, const char *message, double now, struct err *err)
{
    sqlite3_stmt *st;
    int code = prepare(q, &st, err,
                       "INSERT INTO event(at, exposure, job, from_state, to_state,"
                       " message) VALUES(?, ?, ?, ?, ?, ?)",
                       "dIIsss", now, exposure, job, from, to, message);
    return code ? code : finish(q, st, err);
}

/* ---- exposures ---- */

#define EXPOSURE_COLUMNS                                                               \
    "id, sha256, name, base, state, role, grp, program, observation, visit, target,"   \
    " detector, filter, grating, pattern_number, pattern_total, bytes, accepted_at"

static void read_exposure(sqlite3_stmt *st, void *row)
{
    struct queue_exposure *e = row;
    e->id = sqlite3_column_int64(st, 0);
    text(st, 1, e->sha256, sizeof e->sha256);
    text(st, 2, e->name, sizeof e->name);
    text(st, 3, e->base, sizeof e->base);
    text(st, 4, e->state, sizeof e->state);
    text(st, 5, e->role, sizeof e->role);
    text(st, 6, e->group, sizeof e->group);
    text(st, 7, e->program, sizeof e->program);
    text(st, 8, e->observation, sizeof e->observation);
    text(st, 9, e->visit, sizeof e->visit);
    text(st, 10, e->target, sizeof e->target);
    text(st, 11, e->detector, sizeof e->detector);
    text(st, 12, e->filter, sizeof e->filter);
    text(st, 13, e->grating, sizeof e->grating);
    e->pattern_number = sqlite3_column_int(st, 14);
    e->pattern_total = sqlite3_column_int(st, 15);
    e->bytes = sqlite3_column_int64(st, 16);
    e->accepted_at = sqlite3_column_double(st, 17);
}

int queue_find_content(struct queue *q, const char *sha256, int64_t *ret_id,
                       struct err *err)
{
    sqlite3_stmt *st;
    int code =
        prepare(q, &st, err, "SELECT id FROM exposure WHERE sha256 = ?", "s", sha256);
    return code ? code : one(q, st, ret_id, err);
}

int queue_add_exposure(struct queue *q, const struct queue_exposure *e, double now,
                       int64_t *ret_id, struct err *err)
{
    sqlite3_stmt *st;
    int code = enter(q, err);
    if (code) {
        return code;
    }
    code = prepare(
        q, &st, err,
        "INSERT INTO exposure(sha256, name, base, state, role, grp, program,"
        " observation, visit, target, detector, filter, grating, pattern_number,"
        " pattern_total, bytes, accepted_at)"
        " VALUES(?, ?, ?, 'accepted', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "ssssssssssssiiid", e->sha256, e->name, e->base, e->role, e->group, e->program,
        e->observation, e->visit, e->target, e->detector, e->filter, e->grating,
        (int64_t)e->pattern_number, (int64_t)e->pattern_total, e->bytes, now);
    code = code ? code : finish(q, st, err);
    int64_t id = sqlite3_last_insert_rowid(q->db);
    code = code ? code : add_event(q, id, 0, "", "accepted", e->name, now, err);
    code = leave(q, code, err);
    if (!code) {
        *ret_id = id;
    }
    return code;
}

int queue_get_exposure(struct queue *q, int64_t id, struct queue_exposure *ret,
                       struct err *err)
{
    sqlite3_stmt *st;
    struct queue_exposure *e;
    size_t n;
    int code = prepare(
        q, &st, err, "SELECT " EXPOSURE_COLUMNS " FROM exposure WHERE id = ?", "i", id);
    code = code ? code : rows(q, st, sizeof *e, read_exposure, &e, &n, err);
    if (code) {
        return code;
    }
    if (n) {
        *ret = *e;
    } else {
        code = err_set(err, ERR_BUG, "queue: no exposure %lld", (long long)id);
    }
    free(e);
    return code;
}

int queue_supersede_exposure(struct queue *q, int64_t id, double now,
                             const char *message, struct err *err)
{
    sqlite3_stmt *st;
    int code = enter(q, err);
    if (code) {
        return code;
    }
    code = prepare(q, &st, err,
                   "UPDATE exposure SET state = 'superseded'"
                   " WHERE id = ? AND state = 'accepted'",
                   "i", id);
    code = code ? code : finish(q, st, err);
    if (!code && sqlite3_changes(q->db) == 1) {
        code = add_event(q, id, 0, "accepted", "superseded", message, now, err);
    }
    return leave(q, code, err);
}

int queue_note_file(struct queue *q, int64_t exposure, const char *to,
                    const char *message, double now, struct err *err)
{
    return add_event(q, exposure, 0, "", to, message, now, err);
}

/* ---- jobs ---- */

#define JOB_COLUMNS                                                                    \
    "id, name, recipe, base, grp, program, version, state, attempt, failures,"         \
    " created_at, changed_at, not_before, stage, error, message, exposure"

static void read_job(sqlite3_stmt *st, void *row)
{
    struct queue_job *j = row;
    char state[16];
    j->id = sqlite3_column_int64(st, 0);
    text(st, 1, j->name, sizeof j->name);
    text(st, 2, j->recipe, sizeof j->recipe);
    text(st, 3, j->base, sizeof j->base);
    text(st, 4, j->group, sizeof j->group);
    text(st, 5, j->program, sizeof j->program);
    j->version = sqlite3_column_int(st, 6);
    text(st, 7, state, sizeof state);
    j->state = job_state_of(state);
    j->attempt = sqlite3_column_int(st, 8);
    j->failures = sqlite3_column_int(st, 9);
    j->created_at = sqlite3_column_double(st, 10);
    j->changed_at = sqlite3_column_double(st, 11);
    j->not_before = sqlite3_column_double(st, 12);
    text(st, 13, j->stage, sizeof j->stage);
    text(st, 14, j->error, sizeof j->error);
    text(st, 15, j->message, sizeof j->message);
    j->exposure = sqlite3_column_int64(st, 16);
}

/* The first row of a statement, or a row of id 0. Finalizes it. */
static int first_job(struct queue *q, sqlite3_stmt *st, struct queue_job *ret,
                     struct err *err)
{
    struct queue_job *j;
    size_t n;
    int code = rows(q, st, sizeof *j, read_job, &j, &n, err);
    if (!code) {
        *ret = *j; /* zeroed if there is none */
        free(j);
    }
    return code;
}

int queue_get_job(struct queue *q, int64_t id, struct queue_job *ret, struct err *err)
{
    sqlite3_stmt *st;
    struct queue_job j;
    int code =
        prepare(q, &st, err, "SELECT " JOB_COLUMNS " FROM job WHERE id = ?", "i", id);
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
    struct queue_job j;
    char *end;
    int64_t number = strtoll(name, &end, 10);
    int code = prepare(q, &st, err,
                       "SELECT " JOB_COLUMNS " FROM job WHERE name = ?1 OR id = ?2"
                       " OR base = ?1 ORDER BY name = ?1 DESC, id DESC LIMIT 1",
                       "si", name, *end ? (int64_t)0 : number);
    code = code ? code : first_job(q, st, &j, err);
    if (!code && !j.id) {
        return err_set(err, ERR_INPUT, "no job '%.200s'", name);
    }
    if (!code) {
        *ret = j;
    }
    return code;
}

int queue_add_job(struct queue *q, const struct queue_job *job, double now,
                  struct queue_job *ret, struct err *err)
{
    sqlite3_stmt *st;
    int64_t version = 0, id = 0;
    int code = enter(q, err);
    if (code) {
        return code;
    }
    code = prepare(q, &st, err,
                   "SELECT coalesce(max(version), 0) FROM job"
                   " WHERE recipe = ? AND base = ?",
                   "ss", job->recipe, job->base);
    code = code ? code : one(q, st, &version, err);
    char name[2 * QUEUE_NAME];
    snprintf(name, sizeof name, "%s-%s-%lld", job->recipe, job->base,
             (long long)version + 1);
    code = code ? code
                : prepare(q, &st, err,
                          "INSERT INTO job(name, recipe, base, grp, program, version,"
                          " state, created_at, changed_at, exposure)"
                          " VALUES(?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?)",
                          "sssssiddI", name, job->recipe, job->base, job->group,
                          job->program, version + 1, now, now, job->exposure);
    code = code ? code : finish(q, st, err);
    id = sqlite3_last_insert_rowid(q->db);
    if (!code && job->exposure) {
        code = prepare(q, &st, err,
                       "INSERT INTO job_input(job, position, exposure)"
                       " VALUES(?, 1, ?)",
                       "ii", id, job->exposure);
        code = code ? code : finish(q, st, err);
    }
    code = code ? code
                : add_event(q, job->exposure, id, job_state_name(JOB_NEW),
                            job_state_name(JOB_WAITING), "planned", now, err);
    code = leave(q, code, err);
    return code ? code : queue_get_job(q, id, ret, err);
}

int queue_set_inputs(struct queue *q, int64_t job, const int64_t *input_jobs, size_t n,
                     struct err *err)
{
    sqlite3_stmt *st;
    int code = enter(q, err);
    if (code) {
        return code;
    }
    code = prepare(q, &st, err, "DELETE FROM job_input WHERE job = ?", "i", job);
    code = code ? code : finish(q, st, err);
    for (size_t i = 0; i < n && !code; i++) {
        code = prepare(q, &st, err,
                       "INSERT INTO job_input(job, position, input_job)"
                       " VALUES(?, ?, ?)",
                       "iii", job, (int64_t)i + 1, input_jobs[i]);
        code = code ? code : finish(q, st, err);
    }
    return leave(q, code, err);
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
    int64_t failures = to == JOB_DONE || (j.state == JOB_HELD && to == JOB_QUEUED)
                           ? 0
                           : j.failures + c->count_failure;
    sqlite3_stmt *st;
    if ((code = enter(q, err))) {
        return code;
    }
    code = prepare(q, &st, err,
                   "UPDATE job SET state = ?, attempt = ?, failures = ?,"
                   " changed_at = ?, not_before = ?, stage = ?, error = ?, message = ?"
                   " WHERE id = ?",
                   "siiddsssi", job_state_name(to),
                   (int64_t)j.attempt + (to == JOB_RUNNING), failures, now,
                   c->not_before, c->stage, c->error, c->message, job);
    code = code ? code : finish(q, st, err);
    code = code ? code
                : add_event(q, 0, job, job_state_name(j.state), job_state_name(to),
                            c->message, now, err);
    return leave(q, code, err);
}

int queue_next(struct queue *q, struct queue_job *ret, struct err *err)
{
    sqlite3_stmt *st;
    int code = prepare(q, &st, err,
                       "SELECT " JOB_COLUMNS
                       " FROM job WHERE state = 'queued' ORDER BY id LIMIT 1",
                       "");
    return code ? code : first_job(q, st, ret, err);
}

/* Move every job of a list of ids; finalizes the statement. */
static void read_id(sqlite3_stmt *st, void *row)
{
    *(int64_t *)row = sqlite3_column_int64(st, 0);
}

static int move_all(struct queue *q, sqlite3_stmt *st, enum job_state to,
                    const char *message, double now, size_t *ret_n, struct err *err)
{
    int64_t *ids;
    size_t n;
    int code = rows(q, st, sizeof *ids, read_id, &ids, &n, err);
    if (code) {
        return code;
    }
    code = n ? enter(q, err) : 0;
    struct queue_change change = {.message = message};
    for (size_t i = 0; i < n && !code; i++) {
        code = queue_move(q, ids[i], to, &change, now, err);
    }
    code = n ? leave(q, code, err) : 0;
    free(ids);
    *ret_n = n;
    return code;
}

int queue_wake_deferred(struct queue *q, double now, double *ret_next, struct err *err)
{
    sqlite3_stmt *st;
    size_t n;
    int code = prepare(
        q, &st, err, "SELECT id FROM job WHERE state = 'deferred' AND not_before <= ?",
        "d", now);
    code = code ? code : move_all(q, st, JOB_QUEUED, "its time has come", now, &n, err);
    code =
        code ? code
             : prepare(q, &st, err,
                       "SELECT min(not_before) FROM job WHERE state = 'deferred'", "");
    if (code) {
        return code;
    }
    *ret_next = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_double(st, 0) : 0;
    sqlite3_finalize(st);
    return 0;
}

int queue_recover(struct queue *q, double now, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = prepare(q, &st, err, "SELECT id FROM job WHERE state = 'running'", "");
    return code ? code
                : move_all(q, st, JOB_QUEUED, "was running when the daemon ended", now,
                           ret_n, err);
}

int queue_jobs(struct queue *q, enum job_state state, size_t limit,
               struct queue_job **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = state == JOB_STATES
                   ? prepare(q, &st, err,
                             "SELECT " JOB_COLUMNS
                             " FROM job ORDER BY changed_at DESC, id DESC LIMIT ?",
                             "i", (int64_t)limit)
                   : prepare(q, &st, err,
                             "SELECT " JOB_COLUMNS " FROM job WHERE state = ?"
                             " ORDER BY changed_at DESC, id DESC LIMIT ?",
                             "si", job_state_name(state), (int64_t)limit);
    return code ? code
                : rows(q, st, sizeof(struct queue_job), read_job, ret, ret_n, err);
}

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
    int code = prepare(q, &st, err,
                       "SELECT job, exposure, input_job FROM job_input WHERE job = ?"
                       " ORDER BY position",
                       "i", job);
    return code ? code
                : rows(q, st, sizeof(struct queue_input), read_input, ret, ret_n, err);
}

int queue_set_products(struct queue *q, int64_t job, const struct queue_product *p,
                       size_t n, struct err *err)
{
    sqlite3_stmt *st;
    int code = enter(q, err);
    if (code) {
        return code;
    }
    code = prepare(q, &st, err, "DELETE FROM product WHERE job = ?", "i", job);
    code = code ? code : finish(q, st, err);
    for (size_t i = 0; i < n && !code; i++) {
        code = prepare(q, &st, err,
                       "INSERT INTO product(job, path, suffix, sha256, bytes)"
                       " VALUES(?, ?, ?, ?, ?)",
                       "isssi", job, p[i].path, p[i].suffix, p[i].sha256, p[i].bytes);
        code = code ? code : finish(q, st, err);
    }
    return leave(q, code, err);
}

static void read_product(sqlite3_stmt *st, void *row)
{
    struct queue_product *p = row;
    text(st, 0, p->path, sizeof p->path);
    text(st, 1, p->suffix, sizeof p->suffix);
    text(st, 2, p->sha256, sizeof p->sha256);
    p->bytes = sqlite3_column_int64(st, 3);
}

int queue_products(struct queue *q, int64_t job, struct queue_product **ret,
                   size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = prepare(q, &st, err,
                       "SELECT path, suffix, sha256, bytes FROM product WHERE job = ?"
                       " ORDER BY path",
                       "i", job);
    return code ? code
                : rows(q, st, sizeof(struct queue_product), read_product, ret, ret_n,
                       err);
}

/* ---- groups and sums ---- */

int queue_load_group(struct queue *q, const char *group, struct queue_group *ret,
                     struct err *err)
{
    sqlite3_stmt *st;
    struct queue_group g = {0};
    int code =
        prepare(q, &st, err,
                "SELECT " EXPOSURE_COLUMNS " FROM exposure WHERE grp = ? ORDER BY id",
                "s", group);
    code = code ? code
                : rows(q, st, sizeof *g.exposures, read_exposure, &g.exposures,
                       &g.n_exposures, err);
    code = code ? code
                : prepare(q, &st, err,
                          "SELECT " JOB_COLUMNS " FROM job WHERE grp = ? ORDER BY id",
                          "s", group);
    code = code ? code : rows(q, st, sizeof *g.jobs, read_job, &g.jobs, &g.n_jobs, err);
    code = code ? code
                : prepare(q, &st, err,
                          "SELECT i.job, i.exposure, i.input_job FROM job_input i"
                          " JOIN job j ON j.id = i.job WHERE j.grp = ?"
                          " ORDER BY i.job, i.position",
                          "s", group);
    code = code
               ? code
               : rows(q, st, sizeof *g.inputs, read_input, &g.inputs, &g.n_inputs, err);
    if (code) {
        queue_group_done(&g);
    } else {
        *ret = g;
    }
    return code;
}

void queue_group_done(struct queue_group *g)
{
    free(g->exposures);
    free(g->jobs);
    free(g->inputs);
    *g = (struct queue_group){0};
}

static void read_name(sqlite3_stmt *st, void *row)
{
    text(st, 0, row, QUEUE_NAME);
}

int queue_groups(struct queue *q, bool waiting, size_t limit, char (**ret)[QUEUE_NAME],
                 size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code =
        prepare(q, &st, err,
                waiting ? "SELECT DISTINCT grp FROM job WHERE state = 'waiting'"
                          " ORDER BY grp LIMIT ?"
                        : "SELECT DISTINCT grp FROM exposure ORDER BY grp LIMIT ?",
                "i", (int64_t)limit);
    return code ? code : rows(q, st, QUEUE_NAME, read_name, ret, ret_n, err);
}

int queue_count(struct queue *q, struct queue_counts *ret, struct err *err)
{
    struct queue_counts c = {0};
    sqlite3_stmt *st;
    int code =
        prepare(q, &st, err, "SELECT state, count(*) FROM job GROUP BY state", "");
    if (code) {
        return code;
    }
    while (sqlite3_step(st) == SQLITE_ROW) {
        enum job_state s = job_state_of((const char *)sqlite3_column_text(st, 0));
        if (s < JOB_STATES) {
            c.jobs[s] = (long)sqlite3_column_int64(st, 1);
        }
    }
    sqlite3_finalize(st);
    code =
        prepare(q, &st, err,
                "SELECT state, role, count(*) FROM exposure GROUP BY state, role", "");
    if (code) {
        return code;
    }
    while (sqlite3_step(st) == SQLITE_ROW) {
        long n = (long)sqlite3_column_int64(st, 2);
        const char *role = (const char *)sqlite3_column_text(st, 1);
        if (strcmp((const char *)sqlite3_column_text(st, 0), "accepted") != 0) {
            c.superseded += n;
            continue;
        }
        c.accepted += n;
        *(!strcmp(role, "imprint")      ? &c.imprint
          : !strcmp(role, "background") ? &c.background
                                        : &c.science) += n;
    }
    sqlite3_finalize(st);
    code = prepare(q, &st, err,
                   "SELECT to_state, count(*) FROM event WHERE job IS NULL"
                   " GROUP BY to_state",
                   "");
    if (code) {
        return code;
    }
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *to = (const char *)sqlite3_column_text(st, 0);
        long n = (long)sqlite3_column_int64(st, 1);
        if (!strcmp(to, "rejected")) {
            c.rejected = n;
        } else if (!strcmp(to, "duplicate")) {
            c.duplicates = n;
        }
    }
    sqlite3_finalize(st);
    *ret = c;
    return 0;
}

static void read_event(sqlite3_stmt *st, void *row)
{
    struct queue_event *e = row;
    e->id = sqlite3_column_int64(st, 0);
    e->at = sqlite3_column_double(st, 1);
    text(st, 2, e->exposure, sizeof e->exposure);
    text(st, 3, e->job, sizeof e->job);
    text(st, 4, e->from, sizeof e->from);
    text(st, 5, e->to, sizeof e->to);
    text(st, 6, e->message, sizeof e->message);
}

int queue_events(struct queue *q, int64_t after, const char *job, size_t limit,
                 struct queue_event **ret, size_t *ret_n, struct err *err)
{
#define EVENT_ROWS                                                                     \
    "SELECT v.id AS id, v.at, e.name, j.name, v.from_state, v.to_state, v.message"     \
    " FROM event v LEFT JOIN exposure e ON e.id = v.exposure"                          \
    " LEFT JOIN job j ON j.id = v.job WHERE (?1 = '' OR j.name = ?1)"
    sqlite3_stmt *st;
    if (after < 0 && (size_t)-after < limit) {
        limit = (size_t)-after;
    }
    int code =
        after < 0
            ? prepare(q, &st, err,
                      "SELECT * FROM (" EVENT_ROWS " ORDER BY v.id DESC LIMIT ?2)"
                      " ORDER BY id",
                      "si", job, (int64_t)limit)
            : prepare(q, &st, err, EVENT_ROWS " AND v.id > ?2 ORDER BY v.id LIMIT ?3",
                      "sii", job, after, (int64_t)limit);
    return code ? code
                : rows(q, st, sizeof(struct queue_event), read_event, ret, ret_n, err);
}

int queue_rejections(struct queue *q, size_t limit, struct queue_event **ret,
                     size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = prepare(q, &st, err,
                       "SELECT id, at, '', '', from_state, to_state, message FROM event"
                       " WHERE job IS NULL AND to_state = 'rejected'"
                       " ORDER BY id DESC LIMIT ?",
                       "i", (int64_t)limit);
    return code ? code
                : rows(q, st, sizeof(struct queue_event), read_event, ret, ret_n, err);
}
