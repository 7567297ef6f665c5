#include "daemon/queue_sql.h"

#include <stdio.h>
#include <string.h>

/*
 * Targets: groups whose jobs combine the spectra of the spec3 groups named "<target>_...".
 * They have no rows of their own beside that of grp: names say what belongs together.
 */

/* Job j is of such a group and its newest version; ?1 is the target. */
#define OF_TARGET                                                                      \
    " j.recipe = 'spec3' AND j.base >= ?1 || '_' AND j.base < ?1 || '`'"               \
    " AND j.state <> 'superseded' AND NOT EXISTS (SELECT 1 FROM job n"                 \
    " WHERE n.recipe = 'spec3' AND n.base = j.base AND n.version > j.version"          \
    " AND n.state <> 'superseded')"

static void read_disperser(sqlite3_stmt *st, void *row)
{
    struct queue_disperser *d = row;
    char state[16];
    d->job = sqlite3_column_int64(st, 0);
    sql_text(st, 1, d->group, sizeof d->group);
    sql_text(st, 2, d->program, sizeof d->program);
    sql_text(st, 3, state, sizeof state);
    d->state = job_state_of(state);
    d->changed_at = sqlite3_column_double(st, 4);
    d->has_spectrum = sqlite3_column_int(st, 5) != 0;
    d->read = sqlite3_column_int(st, 6) != 0;
    d->unsettled = sqlite3_column_int(st, 7) != 0;
}

int queue_load_dispersers(struct queue *q, struct queue_group *g,
                          int64_t newest_combine, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err,
        "SELECT j.id, j.base, j.program, j.state, j.changed_at,"
        " EXISTS (SELECT 1 FROM product p WHERE p.job = j.id AND p.suffix = 'x1d'),"
        " EXISTS (SELECT 1 FROM job_input i WHERE i.input_job = j.id AND i.job = ?2),"
        " EXISTS (SELECT 1 FROM grp WHERE name = j.grp AND dirty = 1) OR EXISTS"
        " (SELECT 1 FROM job s WHERE s.grp = j.grp AND s.recipe = 'spec2' AND s.state"
        " IN ('waiting', 'queued', 'running', 'suspect', 'deferred'))"
        " FROM job j WHERE" OF_TARGET " ORDER BY j.base",
        "si", g->name, newest_combine);
    code = code ? code
                : sql_rows(q, st, sizeof *g->dispersers, read_disperser, &g->dispersers,
                           &g->n_dispersers, err);
    if (!code && g->n_dispersers) {
        memcpy(g->program, g->dispersers->program, sizeof g->program);
    }
    return code;
}

int queue_mark_target(struct queue *q, const char *target, bool may_begin,
                      struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "UPDATE grp SET dirty = 1 WHERE name = ? AND dirty = 0", "s",
                           target);
    code = code ? code : sql_finish(q, st, err);
    code = code || !may_begin
               ? code
               : sql_prepare(q, &st, err,
                             "INSERT INTO grp(name) SELECT ?1 WHERE NOT EXISTS"
                             " (SELECT 1 FROM grp WHERE name = ?1) AND 2 <="
                             " (SELECT count(*) FROM job j WHERE" OF_TARGET ")",
                             "s", target);
    return code || !may_begin ? code : sql_finish(q, st, err);
}
