#include "daemon/queue_associations.h"
#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * One step of retention: few enough rows for one commit that delays nobody. What is never
 * taken: the last event of a job and of an exposure, the newest version of anything, what
 * another job reads, and the copy of an exposure whose job is not done with it.
 */
#define STEP 200

/* Jobs: superseded long ago and not the newest of their name ... */
#define IS_OLD(J)                                                                      \
    " " J ".state = 'superseded' AND " J ".changed_at < ?1"                            \
    " AND EXISTS (SELECT 1 FROM job n WHERE n.recipe = " J ".recipe"                   \
    " AND n.base = " J ".base AND n.version > " J ".version)"
/* ... and nobody reads from them who stays. Readers go before what they read. */
#define OLD_JOBS                                                                       \
    "SELECT j.id FROM job j WHERE" IS_OLD(                                             \
        "j") " AND NOT EXISTS (SELECT 1 FROM job_input i JOIN job r ON r.id = i.job"   \
             " WHERE i.input_job = j.id AND NOT (" IS_OLD(                             \
                 "r") ") UNION ALL SELECT 1 FROM companion c JOIN job r ON"            \
                      " r.id = c.job WHERE c.input_job = j.id AND NOT (" IS_OLD(       \
                          "r") ")) ORDER BY j.recipe <> 'combine', j.recipe DESC, "    \
                               "j.changed_at LIMIT ?2"

/* Exposures whose copy no job needs any more. */
#define NOT_NEEDED                                                                     \
    " AND NOT EXISTS (SELECT 1 FROM job j WHERE j.exposure = e.id"                     \
    " AND j.state NOT IN ('done', 'cancelled', 'superseded'))"                         \
    " AND NOT EXISTS (SELECT 1 FROM companion c JOIN job j ON j.id = c.job"            \
    " WHERE c.exposure = e.id AND j.state NOT IN ('done', 'cancelled', 'superseded'))"
#define OLD_EXPOSURES                                                                  \
    "SELECT id, sha256, name FROM (SELECT * FROM (SELECT e.id, e.sha256, e.name"       \
    " FROM exposure e WHERE e.state = 'superseded' AND e.changed_at < ?1" NOT_NEEDED   \
    " LIMIT ?3) UNION ALL SELECT * FROM (SELECT e.id, e.sha256, e.name"                \
    " FROM exposure e WHERE e.state = 'accepted' AND e.changed_at < ?2" NOT_NEEDED     \
    " LIMIT ?3)) LIMIT ?3"

/* Events in their order, and whether each is the last of its job or exposure. */
#define EVENTS                                                                         \
    "SELECT v.id, v.at, CASE WHEN v.job IS NOT NULL THEN v.id ="                       \
    " (SELECT max(l.id) FROM event l WHERE l.job = v.job)"                             \
    " WHEN v.exposure IS NOT NULL AND v.to_state NOT IN " QUEUE_OF_THE_FILE            \
    " THEN v.id ="                                                                     \
    " (SELECT max(l.id) FROM event l WHERE l.exposure = v.exposure"                    \
    " AND l.job IS NULL AND l.to_state NOT IN " QUEUE_OF_THE_FILE ") ELSE 0 END"       \
    " FROM event v WHERE v.id > ?1 ORDER BY v.id LIMIT ?2"

static void read_id(sqlite3_stmt *st, void *row)
{
    *(int64_t *)row = sqlite3_column_int64(st, 0);
}

static int run_for(struct queue *q, const char *sql, int64_t id, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, sql, "i", id);
    return code ? code : sql_finish(q, st, err);
}

static void read_kept(sqlite3_stmt *st, void *row)
{
    struct queue_stored *s = row;
    s->job = sqlite3_column_int64(st, 0);
    sql_text(st, 1, s->name, sizeof s->name);
    sql_text(st, 2, s->path, sizeof s->path);
    s->bytes = sqlite3_column_int64(st, 3);
}

int queue_kept_products(struct queue *q, double superseded_before, size_t limit,
                        struct queue_stored **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT p.job, j.name, max(p.path), p.bytes FROM product p"
                    " JOIN job j ON j.id = p.job WHERE j.id IN (" OLD_JOBS
                    ") AND instr(p.path, '/superseded/') > 0"
                    " GROUP BY p.job LIMIT ?3",
                    "dii", superseded_before, (int64_t)INT32_MAX, (int64_t)limit);
    return code ? code : sql_rows(q, st, sizeof **ret, read_kept, ret, ret_n, err);
}

int queue_forget_products(struct queue *q, int64_t job, struct err *err)
{
    return run_for(q, "DELETE FROM product WHERE job = ?", job, err);
}

static int prune_jobs(struct queue *q, double before, bool dry_run, size_t limit,
                      struct queue_pruned *ret, struct err *err)
{
    static const char *const rows_of_a_job[] = {
        "DELETE FROM product WHERE job = ?",   "DELETE FROM job_input WHERE job = ?",
        "DELETE FROM companion WHERE job = ?", "DELETE FROM event WHERE job = ?",
        "DELETE FROM job WHERE id = ?",
    };
    sqlite3_stmt *st;
    int64_t *ids;
    size_t n;
    int code = sql_prepare(q, &st, err, OLD_JOBS, "di", before, (int64_t)limit);
    code = code ? code : sql_rows(q, st, sizeof *ids, read_id, &ids, &n, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n && !code && !dry_run; i++) {
        for (size_t k = 0; k < sizeof rows_of_a_job / sizeof *rows_of_a_job && !code;
             k++) {
            code = run_for(q, rows_of_a_job[k], ids[i], err);
        }
    }
    free(ids);
    ret->jobs = (long)n;
    return code;
}

static void read_copy(sqlite3_stmt *st, void *row)
{
    struct queue_copy *c = row;
    c->exposure = sqlite3_column_int64(st, 0);
    sql_text(st, 1, c->sha256, sizeof c->sha256);
    sql_text(st, 2, c->name, sizeof c->name);
}

static int prune_exposures(struct queue *q, const struct queue_prune_rules *rules,
                           bool dry_run, size_t limit, double now,
                           struct queue_pruned *ret, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, OLD_EXPOSURES, "ddi", rules->superseded_before,
                           rules->exposures_before, (int64_t)limit);
    code = code ? code
                : sql_rows(q, st, sizeof *ret->copies, read_copy, &ret->copies,
                           &ret->n_copies, err);
    for (size_t i = 0; !code && !dry_run && i < ret->n_copies; i++) {
        code = queue_move_exposure(q, ret->copies[i].exposure, FILE_GONE,
                                   "kept for the configured time", now, err);
    }
    return code;
}

struct event_age {
    int64_t id;
    double at;
    bool last;
};

static void read_age(sqlite3_stmt *st, void *row)
{
    struct event_age *e = row;
    e->id = sqlite3_column_int64(st, 0);
    e->at = sqlite3_column_double(st, 1);
    e->last = sqlite3_column_int(st, 2) != 0;
}

/* Events are nearly in the order of their times: once none of a stretch is old, no later
 * one is. */
static int prune_events(struct queue *q, double before, bool dry_run, size_t limit,
                        struct queue_pruned *ret, struct err *err)
{
    sqlite3_stmt *st;
    struct event_age *e;
    size_t n, old = 0;
    int code =
        sql_prepare(q, &st, err, EVENTS, "ii", ret->events_until, (int64_t)limit);
    code = code ? code : sql_rows(q, st, sizeof *e, read_age, &e, &n, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n && !code; i++) {
        old += e[i].at < before;
        if (e[i].at < before && !e[i].last) {
            ret->events++;
            code = dry_run ? 0
                           : run_for(q, "DELETE FROM event WHERE id = ?", e[i].id, err);
        }
        ret->events_until = e[i].id;
    }
    free(e);
    ret->more |= old && n == limit;
    return code;
}

int queue_prune(struct queue *q, const struct queue_prune_rules *rules, bool dry_run,
                double now, struct queue_pruned *ret, struct err *err)
{
    /* what a dry run would do is only counted: then all at once */
    size_t limit = dry_run ? INT32_MAX : STEP;
    *ret = (struct queue_pruned){.events_until = ret->events_until};
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    if (rules->superseded_before > 0) {
        code = prune_jobs(q, rules->superseded_before, dry_run, limit, ret, err);
    }
    if (!code && (rules->superseded_before > 0 || rules->exposures_before > 0)) {
        code = prune_exposures(q, rules, dry_run, limit, now, ret, err);
    }
    size_t n = 0;
    if (!code && rules->superseded_before > 0 && !dry_run) {
        code = queue_prune_associations(q, rules->superseded_before, limit, &n, err);
        ret->more |= n == limit;
    }
    if (!code && rules->events_before > 0) {
        code = prune_events(q, rules->events_before, dry_run, limit, ret, err);
    }
    ret->more |= (size_t)ret->jobs == limit || ret->n_copies == limit;
    code = sql_leave(q, code, err);
    if (code) {
        queue_pruned_done(ret);
    }
    return code;
}

void queue_pruned_done(struct queue_pruned *p)
{
    free(p->copies);
    *p = (struct queue_pruned){0};
}
