#ifndef IFUD_DAEMON_QUEUE_SQL_H
#define IFUD_DAEMON_QUEUE_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "daemon/queue.h"

/*
 * Inside the queue: statements, rows and savepoints for the files daemon/queue*.c, the
 * only ones that speak SQLite.
 *
 * A statement is prepared once for each place in the code (its SQL must be a literal: the
 * cache knows it by address) and given back with sql_done, or by the function that says
 * that it does so.
 * Thread: the queue's. Test: tests/daemon/test_queue.c
 */
#define SQL_CACHE 256 /* a power of two, more than there are statements */

struct queue {
    sqlite3 *db;
    char *path;
    struct {
        const char *sql;
        sqlite3_stmt *st;
    } cache[SQL_CACHE];
};

/* Events that tell of a file alone: its bytes may come again while the exposure that they are
 * stays as it is. */
#define QUEUE_OF_THE_FILE "('new', 'seen', 'settling', 'duplicate')"

#define QUEUE_SCHEMA 5 /* PRAGMA user_version; queue_migrate.c */

/* The error of the connection. A full disk, a failing one, or a lack of memory may pass;
 * what SQLite refuses for other reasons is a bug here. */
int sql_fail(const struct queue *q, struct err *err);

/* Prepare and bind: i int64_t, I int64_t or NULL if 0, d double, s text (NULL: ''). */
int sql_prepare(struct queue *q, sqlite3_stmt **ret, struct err *err, const char *sql,
                const char *types, ...);
void sql_done(struct queue *q, sqlite3_stmt *st); /* NULL is fine */

/* Run a statement whose rows do not matter. Gives it back. */
int sql_finish(struct queue *q, sqlite3_stmt *st, struct err *err);
/* Its first integer; no row: 0. Gives it back. */
int sql_one(struct queue *q, sqlite3_stmt *st, int64_t *ret, struct err *err);
/* All rows into a new array of `size` bytes each (zeroed, never NULL). Gives it back. */
typedef void (*sql_reader)(sqlite3_stmt *st, void *row);
int sql_rows(struct queue *q, sqlite3_stmt *st, size_t size, sql_reader reader,
             void *ret_array, size_t *ret_n, struct err *err);
void sql_text(sqlite3_stmt *st, int column, char *ret, size_t size);
double sql_real(sqlite3_stmt *st, int column); /* NULL: NaN, which is written as NULL */

/* Several statements of any text. */
int sql_exec(struct queue *q, const char *sql, struct err *err);

/* Several statements belong together: a savepoint works inside and outside BEGIN. leave
 * rolls back to it if code is not 0, and returns the code. */
int sql_enter(struct queue *q, struct err *err);
int sql_leave(struct queue *q, int code, struct err *err);

/* ---- shared by the files of the queue ---- */

int queue_migrate(struct queue *q, int from, struct err *err); /* queue_migrate.c */
extern const char queue_to_4[];                   /* queue_migrate_associations.c */
extern const char queue_to_5[];                   /* queue_migrate_stale.c */
void queue_read_job(sqlite3_stmt *st, void *row); /* queue_jobs.c */
#define QUEUE_JOB_COLUMNS                                                              \
    "id, name, recipe, base, grp, program, version, state, attempt, failures,"         \
    " created_at, changed_at, not_before, stage, error, message, exposure, priority,"  \
    " crashes, estimate_bytes, peak_bytes, queued_at, wish, product"
void queue_read_product(sqlite3_stmt *st,
                        void *row); /* queue_jobs.c: path, suffix, sha256, bytes */
void queue_read_exposure(sqlite3_stmt *st, void *row); /* queue_exposures.c */
#define QUEUE_EXPOSURE_COLUMNS                                                         \
    "id, sha256, name, base, state, role, grp, program, observation, visit, target,"   \
    " detector, filter, grating, pattern_number, pattern_total, bytes, accepted_at,"   \
    " ra, dec, pa, pattern_type, aid, expstart, xtilt, ytilt"

void queue_read_event(sqlite3_stmt *st, void *row); /* queue_events.c */
#define QUEUE_EVENTS                                                                   \
    "SELECT v.id AS id, v.at, v.file, e.name, j.name, v.from_state, v.to_state,"       \
    " v.message FROM event v LEFT JOIN exposure e ON e.id = v.exposure"                \
    " LEFT JOIN job j ON j.id = v.job WHERE "

/* One member: exposure e with its job j. NEWEST: does the group's newest spec3 read it? */
void queue_read_member(sqlite3_stmt *st, void *row); /* queue_groups.c */
#define QUEUE_MEMBER_WIDTH 25
#define QUEUE_MEMBER_COLUMNS(NEWEST)                                                   \
    "e.id, e.state, e.role, e.visit, e.detector, e.pattern_number,"                    \
    " e.pattern_total, e.accepted_at, j.id, j.state, j.changed_at, j.companions_at,"   \
    " e.pattern_type, e.aid, e.expstart, e.xtilt, e.ytilt, e.ra, e.dec,"               \
    " CASE j.state WHEN 'waiting' THEN EXISTS (SELECT 1 FROM job o WHERE"              \
    " o.recipe = 'spec2' AND o.base = j.base AND o.program = j.program"                \
    " AND o.state = 'running') ELSE 0 END," NEWEST                                     \
    ", EXISTS (SELECT 1 FROM association_member am JOIN association_product ap"        \
    " ON ap.id = am.product WHERE am.base = e.base AND am.role = 'science'"            \
    " AND ap.live = 1 AND ap.recipe = 'spec3'), EXISTS (SELECT 1"                      \
    " FROM association_member am JOIN association_product ap ON ap.id = am.product"    \
    " WHERE am.base = e.base AND am.role = 'science' AND ap.live = 1"                  \
    " AND ap.recipe = 'spec2'), j.product, e.observation"

void queue_read_waiting(sqlite3_stmt *st, void *row); /* queue_groups.c */
#define QUEUE_WAITING_COLUMNS                                                          \
    "name, waits_for, quiet_since, look_at, members_wait, offer, without_imprint"

/* queue_companions.c */
int queue_load_neighbours(struct queue *q, struct queue_group *g, int64_t newest_spec3,
                          struct err *err);

/* queue_dispersers.c */
int queue_load_dispersers(struct queue *q, struct queue_group *g,
                          int64_t newest_combine, struct err *err);

struct queue_event_row { /* for queue_add_event; ids 0 and NULL texts are none */
    int64_t exposure, job;
    const char *file, *from, *to, *message;
    double at;
};
int queue_add_event(struct queue *q, const struct queue_event_row *e, struct err *err);

#endif
