#include "daemon/queue_associations.h"
#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- members ---- */

#define MEMBERS(NEWEST)                                                                \
    "SELECT " QUEUE_MEMBER_COLUMNS(                                                    \
        NEWEST) " FROM exposure e LEFT JOIN job j ON j.exposure = e.id AND"            \
                " j.state <> 'superseded'"
/* what is superseded with all its work plays no part any more */
#define PLAYS_A_PART " AND (e.state = 'accepted' OR j.id IS NOT NULL)"

void queue_read_member(sqlite3_stmt *st, void *row)
{
    struct queue_member *m = row;
    const char *state = (const char *)sqlite3_column_text(st, 1);
    const char *role = (const char *)sqlite3_column_text(st, 2);
    const char *job = (const char *)sqlite3_column_text(st, 9);
    m->exposure = sqlite3_column_int64(st, 0);
    m->live = state && !strcmp(state, "accepted");
    m->superseded = state && !strcmp(state, "superseded");
    m->science = role && !strcmp(role, "science");
    m->background = role && !strcmp(role, "background");
    sql_text(st, 3, m->visit, sizeof m->visit);
    sql_text(st, 4, m->detector, sizeof m->detector);
    m->pattern_number = sqlite3_column_int(st, 5);
    m->pattern_total = sqlite3_column_int(st, 6);
    m->accepted_at = sqlite3_column_double(st, 7);
    m->job = sqlite3_column_int64(st, 8);
    m->state = job ? job_state_of(job) : JOB_NEW;
    m->changed_at = sqlite3_column_double(st, 10);
    m->companions_at = sqlite3_column_double(st, 11);
    sql_text(st, 12, m->pattern_type, sizeof m->pattern_type);
    m->blank = sqlite3_column_int(st, 13) != 0 && m->science;
    m->expstart = sql_real(st, 14);
    m->xtilt = sql_real(st, 15);
    m->ytilt = sql_real(st, 16);
    m->ra = sqlite3_column_double(st, 17);
    m->dec = sqlite3_column_double(st, 18);
    m->older_runs = sqlite3_column_int(st, 19) != 0;
    m->read = sqlite3_column_int(st, 20) != 0;
    m->claimed = sqlite3_column_int(st, 21) != 0;
    m->named = sqlite3_column_int(st, 22) != 0;
    sql_text(st, 23, m->product, sizeof m->product);
    sql_text(st, 24, m->observation, sizeof m->observation);
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
    return code ? code
                : sql_rows(q, st, sizeof **ret, queue_read_member, ret, ret_n, err);
}

/* ---- groups ---- */

/* A group that exposures belong to, or that an association names or once named, has spec3
 * jobs; any other one is a target. */
static int load_recipe(struct queue *q, struct queue_group *g, struct err *err)
{
    sqlite3_stmt *st;
    int64_t has_members = 0;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT EXISTS (SELECT 1 FROM exposure WHERE grp = ?1)"
                    " OR EXISTS (SELECT 1 FROM association_product WHERE name = ?1"
                    " AND recipe = 'spec3' AND live = 1) OR EXISTS (SELECT 1 FROM job"
                    " WHERE grp = ?1 AND recipe = 'spec3')",
                    "s", g->name);
    code = code ? code : sql_one(q, st, &has_members, err);
    strcpy(g->recipe, has_members ? "spec3" : "combine");
    return code;
}

static int load_header(struct queue *q, struct queue_group *g, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT program, filter, grating, observation"
                           " FROM exposure"
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
        sql_text(st, 3, g->observation, sizeof g->observation);
    } else if (rc != SQLITE_DONE) {
        code = sql_fail(q, err);
    }
    sql_done(q, st);
    return code ? code : load_recipe(q, g, err);
}

/* Jobs of the group's recipe come after those of another, which it had before. */
static void own_last(struct queue_group *g)
{
    size_t n = 0; /* that are its own, at the beginning */
    while (n < g->n_jobs && !strcmp(g->jobs[n].recipe, g->recipe)) {
        n++;
    }
    for (size_t others = g->n_jobs - n; others && n; others--) {
        const struct queue_job last = g->jobs[g->n_jobs - 1];
        memmove(g->jobs + 1, g->jobs, (g->n_jobs - 1) * sizeof last);
        g->jobs[0] = last;
    }
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
                              " AND recipe IN ('combine', 'spec3')"
                              " AND state <> 'superseded' ORDER BY recipe, version",
                              "s", group);
    code =
        code ? code
             : sql_rows(q, st, sizeof *g.jobs, queue_read_job, &g.jobs, &g.n_jobs, err);
    own_last(&g);
    int64_t newest = !code && g.n_jobs ? g.jobs[g.n_jobs - 1].id : 0;
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
                : sql_rows(q, st, sizeof *g.members, queue_read_member, &g.members,
                           &g.n_members, err);
    code = code ? code : queue_load_neighbours(q, &g, newest, err);
    code = code ? code : queue_load_named(q, &g, newest, err);
    code = code || strcmp(g.recipe, "combine")
               ? code
               : queue_load_dispersers(q, &g, newest, err);
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
    free(g->jobs);
    free(g->neighbours);
    free(g->companions);
    free(g->named);
    free(g->taken);
    free(g->dispersers);
    *g = (struct queue_group){0};
}

/* ---- which are to be looked at ---- */

static void read_name(sqlite3_stmt *st, void *row)
{
    sql_text(st, 0, row, QUEUE_NAME);
}

int queue_groups_due(struct queue *q, double quiet_before, double now, size_t limit,
                     char (**ret)[QUEUE_NAME], size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT name FROM grp WHERE dirty = 1"
                           " UNION SELECT name FROM grp WHERE quiet_since > 0"
                           " AND quiet_since <= ?1 UNION SELECT name FROM grp"
                           " WHERE look_at > 0 AND look_at <= ?2 LIMIT ?3",
                           "ddi", quiet_before, now, (int64_t)limit);
    return code ? code : sql_rows(q, st, QUEUE_NAME, read_name, ret, ret_n, err);
}

int queue_group_planned(struct queue *q, const char *group,
                        const struct queue_plan *plan, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "UPDATE grp SET dirty = 0, quiet_since = ?, waits_for = ?,"
                           " look_at = ?, members_wait = ?, offer = ?,"
                           " without_imprint = ? WHERE name = ?",
                           "dsdssis", plan->quiet_since, plan->waits_for, plan->look_at,
                           plan->members_wait, plan->offer,
                           (int64_t)plan->without_imprint, group);
    return code ? code : sql_finish(q, st, err);
}

int queue_plan_anew(struct queue *q, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, "UPDATE grp SET dirty = 1 WHERE dirty = 0", "");
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
    sql_text(st, 1, w->plan.waits_for, sizeof w->plan.waits_for);
    w->plan.quiet_since = sqlite3_column_double(st, 2);
    w->plan.look_at = sqlite3_column_double(st, 3);
    sql_text(st, 4, w->plan.members_wait, sizeof w->plan.members_wait);
    sql_text(st, 5, w->plan.offer, sizeof w->plan.offer);
    w->plan.without_imprint = sqlite3_column_int(st, 6);
}

int queue_waiting(struct queue *q, size_t limit, struct queue_waiting **ret,
                  size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_WAITING_COLUMNS " FROM grp"
                           " WHERE waits_for <> '' OR members_wait <> ''"
                           " ORDER BY name LIMIT ?",
                           "i", (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof **ret, queue_read_waiting, ret, ret_n, err);
}

int queue_offers(struct queue *q, size_t limit, struct queue_waiting **ret,
                 size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_WAITING_COLUMNS " FROM grp"
                           " WHERE offer <> '' ORDER BY name LIMIT ?",
                           "i", (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof **ret, queue_read_waiting, ret, ret_n, err);
}

int queue_without_imprint(struct queue *q, size_t *ret, struct err *err)
{
    sqlite3_stmt *st;
    int64_t n = 0;
    int code = sql_prepare(
        q, &st, err, "SELECT n FROM tally WHERE what = 'group.without_imprint'", "");
    code = code ? code : sql_one(q, st, &n, err);
    *ret = (size_t)n;
    return code;
}
