#include "daemon/queue_sql.h"

#include <stdlib.h>

static void read_input(sqlite3_stmt *st, void *row)
{
    struct queue_input *in = row;
    in->job = sqlite3_column_int64(st, 0);
    in->exposure = sqlite3_column_int64(st, 1);
    in->input_job = sqlite3_column_int64(st, 2);
}

int queue_load_group(struct queue *q, const char *group, struct queue_group *ret,
                     struct err *err)
{
    sqlite3_stmt *st;
    struct queue_group g = {0};
    int code =
        sql_prepare(q, &st, err,
                    "SELECT " QUEUE_EXPOSURE_COLUMNS " FROM exposure WHERE grp = ?"
                    " ORDER BY id",
                    "s", group);
    code = code ? code
                : sql_rows(q, st, sizeof *g.exposures, queue_read_exposure,
                           &g.exposures, &g.n_exposures, err);
    code = code ? code
                : sql_prepare(q, &st, err,
                              "SELECT " QUEUE_JOB_COLUMNS
                              " FROM job WHERE grp = ? ORDER BY id",
                              "s", group);
    code =
        code ? code
             : sql_rows(q, st, sizeof *g.jobs, queue_read_job, &g.jobs, &g.n_jobs, err);
    code = code ? code
                : sql_prepare(q, &st, err,
                              "SELECT i.job, i.exposure, i.input_job FROM job_input i"
                              " JOIN job j ON j.id = i.job WHERE j.grp = ?"
                              " ORDER BY i.job, i.position",
                              "s", group);
    code = code ? code
                : sql_rows(q, st, sizeof *g.inputs, read_input, &g.inputs, &g.n_inputs,
                           err);
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
    sql_text(st, 0, row, QUEUE_NAME);
}

int queue_groups(struct queue *q, bool waiting, size_t limit, char (**ret)[QUEUE_NAME],
                 size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code =
        waiting ? sql_prepare(q, &st, err,
                              "SELECT DISTINCT grp FROM job"
                              " WHERE state = 'waiting' ORDER BY grp LIMIT ?",
                              "i", (int64_t)limit)
                : sql_prepare(q, &st, err, "SELECT name FROM grp ORDER BY name LIMIT ?",
                              "i", (int64_t)limit);
    return code ? code : sql_rows(q, st, QUEUE_NAME, read_name, ret, ret_n, err);
}
