#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- members ---- */

#define MEMBERS(NEWEST)                                                                \
    "SELECT e.id, e.state, e.role, e.visit, e.detector, e.pattern_number,"             \
    " e.pattern_total, e.accepted_at, j.id, j.state, j.changed_at," NEWEST             \
    " FROM exposure e LEFT JOIN job j ON j.exposure = e.id"
/* what is superseded with all its work plays no part any more */
#define PLAYS_A_PART                                                                   \
    " AND (e.state = 'accepted' OR (j.id IS NOT NULL AND j.state <> 'superseded'))"

static void read_member(sqlite3_stmt *st, void *row)
{
    struct queue_member *m = row;
    const char *state = (const char *)sqlite3_column_text(st, 1);
    const char *role = (const char *)sqlite3_column_text(st, 2);
    const char *job = (const char *)sqlite3_column_text(st, 9);
    m->exposure = sqlite3_column_int64(st, 0);
    m->live = state && !strcmp(state, "accepted");
    m->superseded = state && !strcmp(state, "superseded");
    m->science = role && !strcmp(role, "science");
    sql_text(st, 3, m->visit, sizeof m->visit);
    sql_text(st, 4, m->detector, sizeof m->detector);
    m->pattern_number = sqlite3_column_int(st, 5);
    m->pattern_total = sqlite3_column_int(st, 6);
    m->accepted_at = sqlite3_column_double(st, 7);
    m->job = sqlite3_column_int64(st, 8);
    m->state = job ? job_state_of(job) : JOB_NEW;
    m->changed_at = sqlite3_column_double(st, 10);
    m->read = sqlite3_column_int(st, 11) != 0;
}

int queue_load_base(struct queue *q, const char *base, const char *program,
                    struct queue_member **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code =
        sql_prepare(q, &st, err,
                    MEMBERS(" 0") " WHERE e.base = ? AND e.program = ?" PLAYS_A_PART
                                  " ORDER BY e.id",
                    "ss", base, program);
    return code ? code : sql_rows(q, st, sizeof **ret, read_member, ret, ret_n, err);
}

/* ---- groups ---- */

static int load_header(struct queue *q, struct queue_group *g, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT program, filter, grating FROM exposure"
                           " WHERE grp = ? LIMIT 1",
                           "s", g->name);
    if (code) {
        return code;
    }
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        sql_text(st, 0, g->program, sizeof g->program);
        sql_text(st, 1, g->filter, sizeof g->filter);
        sql_text(st, 2, g->grating, sizeof g->grating);
    } else if (rc != SQLITE_DONE) {
        code = sql_fail(q, err);
    }
    sql_done(q, st);
    return code;
}

int queue_load_group(struct queue *q, const char *group, struct queue_group *ret,
                     struct err *err)
{
    sqlite3_stmt *st;
    struct queue_group g = {0};
    snprintf(g.name, sizeof g.name, "%s", group);
    int code = load_header(q, &g, err);
    code = code ? code
                : sql_prepare(q, &st, err,
                              "SELECT " QUEUE_JOB_COLUMNS " FROM job WHERE grp = ?"
                              " AND recipe = 'spec3' AND state <> 'superseded'"
                              " ORDER BY version",
                              "s", group);
    code = code ? code
                : sql_rows(q, st, sizeof *g.spec3, queue_read_job, &g.spec3, &g.n_spec3,
                           err);
    int64_t newest = !code && g.n_spec3 ? g.spec3[g.n_spec3 - 1].id : 0;
    code =
        code
            ? code
            : sql_prepare(
                  q, &st, err,
                  MEMBERS(" EXISTS (SELECT 1 FROM job_input i"
                          " WHERE i.input_job = j.id AND i.job = ?1)") " WHERE e.grp = "
                                                                       "?2" PLAYS_A_PART
                                                                       " ORDER BY "
                                                                       "e.base, e.id",
                  "is", newest, group);
    code = code ? code
                : sql_rows(q, st, sizeof *g.members, read_member, &g.members,
                           &g.n_members, err);
    if (code) {
        queue_group_done(&g);
    } else {
        *ret = g;
    }
    return code;
}

void queue_group_done(struct queue_group *g)
{
    free(g->members);
    free(g->spec3);
    *g = (struct queue_group){0};
}

/* ---- which are to be looked at ---- */

static void read_name(sqlite3_stmt *st, void *row)
{
    sql_text(st, 0, row, QUEUE_NAME);
}

int queue_groups_due(struct queue *q, double quiet_before, size_t limit,
                     char (**ret)[QUEUE_NAME], size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT name FROM grp WHERE dirty = 1"
                           " UNION SELECT name FROM grp WHERE quiet_since > 0"
                           " AND quiet_since <= ?1 LIMIT ?2",
                           "di", quiet_before, (int64_t)limit);
    return code ? code : sql_rows(q, st, QUEUE_NAME, read_name, ret, ret_n, err);
}

int queue_group_planned(struct queue *q, const char *group, double quiet_since,
                        const char *waits_for, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "UPDATE grp SET dirty = 0, quiet_since = ?, waits_for = ?"
                           " WHERE name = ?",
                           "dss", quiet_since, waits_for, group);
    return code ? code : sql_finish(q, st, err);
}

int queue_is_planned(struct queue *q, bool *ret, struct err *err)
{
    sqlite3_stmt *st;
    int64_t dirty = 0;
    int code = sql_prepare(q, &st, err,
                           "SELECT EXISTS (SELECT 1 FROM grp WHERE dirty = 1)", "");
    code = code ? code : sql_one(q, st, &dirty, err);
    *ret = !code && !dirty;
    return code;
}

void queue_read_waiting(sqlite3_stmt *st, void *row)
{
    struct queue_waiting *w = row;
    sql_text(st, 0, w->group, sizeof w->group);
    sql_text(st, 1, w->waits_for, sizeof w->waits_for);
    w->quiet_since = sqlite3_column_double(st, 2);
}

int queue_waiting(struct queue *q, size_t limit, struct queue_waiting **ret,
                  size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT name, waits_for, quiet_since FROM grp"
                           " WHERE waits_for <> '' ORDER BY name LIMIT ?",
                           "i", (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof **ret, queue_read_waiting, ret, ret_n, err);
}
