#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What jobs read beside their inputs, and what there is for them to read. */

int queue_set_companions(struct queue *q, int64_t job,
                         const struct queue_companion *list, size_t n, double now,
                         struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    code = sql_prepare(q, &st, err, "DELETE FROM companion WHERE job = ?", "i", job);
    code = code ? code : sql_finish(q, st, err);
    for (size_t i = 0; i < n && !code; i++) {
        code = sql_prepare(q, &st, err,
                           "INSERT INTO companion(job, position, exposure, input_job,"
                           " role, why) VALUES(?, ?, ?, ?, ?, ?)",
                           "iiIIss", job, (int64_t)i + 1, list[i].exposure,
                           list[i].input_job, list[i].role, list[i].why);
        code = code ? code : sql_finish(q, st, err);
    }
    code =
        code ? code
             : sql_prepare(q, &st, err, "UPDATE job SET companions_at = ? WHERE id = ?",
                           "di", now, job);
    code = code ? code : sql_finish(q, st, err);
    return sql_leave(q, code, err);
}

int queue_set_product_name(struct queue *q, int64_t job, const char *name,
                           struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, "UPDATE job SET product = ? WHERE id = ?", "si",
                           name, job);
    return code ? code : sql_finish(q, st, err);
}

static void read_companion(sqlite3_stmt *st, void *row)
{
    struct queue_companion *c = row;
    c->job = sqlite3_column_int64(st, 0);
    c->exposure = sqlite3_column_int64(st, 1);
    c->input_job = sqlite3_column_int64(st, 2);
    sql_text(st, 3, c->role, sizeof c->role);
    sql_text(st, 4, c->why, sizeof c->why);
    c->position = sqlite3_column_int64(st, 5);
}

#define COLUMNS "c.job, c.exposure, c.input_job, c.role, c.why, c.position"

int queue_companions(struct queue *q, int64_t job, struct queue_companion **ret,
                     size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " COLUMNS " FROM companion c WHERE c.job = ?"
                           " ORDER BY c.position",
                           "i", job);
    return code ? code : sql_rows(q, st, sizeof **ret, read_companion, ret, ret_n, err);
}

static void read_neighbour(sqlite3_stmt *st, void *row)
{
    struct queue_neighbour *n = row;
    const char *role = (const char *)sqlite3_column_text(st, 1);
    const char *state = (const char *)sqlite3_column_text(st, 13);
    n->exposure = sqlite3_column_int64(st, 0);
    n->imprint = role && !strcmp(role, "imprint");
    n->background = role && !strcmp(role, "background");
    sql_text(st, 2, n->program, sizeof n->program);
    sql_text(st, 3, n->observation, sizeof n->observation);
    sql_text(st, 4, n->detector, sizeof n->detector);
    sql_text(st, 5, n->base, sizeof n->base);
    n->accepted_at = sqlite3_column_double(st, 6);
    n->expstart = sql_real(st, 7);
    n->xtilt = sql_real(st, 8);
    n->ytilt = sql_real(st, 9);
    n->ra = sqlite3_column_double(st, 10);
    n->dec = sqlite3_column_double(st, 11);
    n->job = sqlite3_column_int64(st, 12);
    n->state = state ? job_state_of(state) : JOB_NEW;
    n->job_created_at = sqlite3_column_double(st, 14);
    n->read = sqlite3_column_int(st, 15) != 0;
}

static int by_job(const void *a, const void *b)
{
    const struct queue_companion *x = a, *y = b;
    return x->job != y->job ? (x->job > y->job) - (x->job < y->job)
                            : (x->position > y->position) - (x->position < y->position);
}

int queue_load_neighbours(struct queue *q, struct queue_group *g, int64_t newest_spec3,
                          struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err,
        "SELECT e.id, e.role, e.program, e.observation, e.detector, e.base,"
        " e.accepted_at, e.expstart, e.xtilt, e.ytilt, e.ra, e.dec, j.id, j.state,"
        " j.created_at,"
        " EXISTS (SELECT 1 FROM companion c WHERE c.input_job = j.id AND c.job = ?1)"
        " FROM exposure e INDEXED BY exposure_aid LEFT JOIN job j"
        " ON j.exposure = e.id AND j.state <> 'superseded'"
        " WHERE e.state = 'accepted' AND e.aid = 1 AND e.grating = ?2 AND e.filter = ?3"
        " AND (e.program = ?4 OR e.role <> 'imprint') ORDER BY e.base, e.id",
        "isss", newest_spec3, g->grating, g->filter, g->program);
    code = code ? code
                : sql_rows(q, st, sizeof *g->neighbours, read_neighbour, &g->neighbours,
                           &g->n_neighbours, err);
    code = code ? code
                : sql_prepare(q, &st, err,
                              "SELECT " COLUMNS " FROM job j JOIN companion c"
                              " ON c.job = j.id WHERE j.grp = ? AND j.recipe = 'spec2'"
                              " AND j.state <> 'superseded'",
                              "s", g->name);
    code = code ? code
                : sql_rows(q, st, sizeof *g->companions, read_companion, &g->companions,
                           &g->n_companions, err);
    if (!code) {
        qsort(g->companions, g->n_companions, sizeof *g->companions, by_job);
    }
    return code;
}
