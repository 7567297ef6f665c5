#include "daemon/queue_find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/queue_sql.h"

/* Rows that one call looks at. */
#define WINDOW 5000

#define RECIPES 3

int queue_select(struct queue *q, const struct queue_filter *filter, int64_t from,
                 size_t limit, struct queue_job **ret, size_t *ret_n, int64_t *ret_next,
                 struct err *err)
{
    sqlite3_stmt *st;
    int64_t last = 0;
    const char *state = filter->state < JOB_STATES ? job_state_name(filter->state) : "";
    int code = sql_prepare(q, &st, err, "SELECT coalesce(max(id), 0) FROM job", "");
    code = code ? code : sql_one(q, st, &last, err);
    if (code) {
        return code;
    }
    if (filter->newest_first) {
        int64_t top = from > 0 && from <= last ? from - 1 : last;
        code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job"
                           " WHERE id <= ?1 AND id > ?2 AND (?3 = '' OR state = ?3)"
                           " AND (?4 = '' OR program = ?4) AND (?5 = '' OR grp = ?5)"
                           " ORDER BY id DESC LIMIT ?6",
                           "iisssi", top, top - WINDOW, state, filter->program,
                           filter->group, (int64_t)limit);
        *ret_next = top - WINDOW > 0 ? top - WINDOW + 1 : 0;
    } else {
        code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job"
                           " WHERE id > ?1 AND id <= ?2 AND (?3 = '' OR state = ?3)"
                           " AND (?4 = '' OR program = ?4) AND (?5 = '' OR grp = ?5)"
                           " ORDER BY id LIMIT ?6",
                           "iisssi", from, from + WINDOW, state, filter->program,
                           filter->group, (int64_t)limit);
        *ret_next = from + WINDOW < last ? from + WINDOW : 0;
    }
    code = code ? code
                : sql_rows(q, st, sizeof(struct queue_job), queue_read_job, ret, ret_n,
                           err);
    if (!code && *ret_n == limit && limit) { /* there may be more in the window */
        *ret_next = (*ret)[limit - 1].id;
    }
    return code;
}

int queue_find_exposure(struct queue *q, const char *name, struct queue_exposure *ret,
                        struct err *err)
{
    sqlite3_stmt *st;
    char base[QUEUE_NAME];
    struct queue_exposure *e;
    size_t n;
    snprintf(base, sizeof base, "%s", name);
    base[strcspn(base, ".")] = 0;
    size_t length = strlen(base);
    if (length > 5 && !strcmp(base + length - 5, "_rate")) {
        base[length - 5] = 0;
    }
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_EXPOSURE_COLUMNS " FROM exposure"
                           " WHERE base = ? ORDER BY id DESC LIMIT 1",
                           "s", base);
    code = code ? code : sql_rows(q, st, sizeof *e, queue_read_exposure, &e, &n, err);
    if (code) {
        return code;
    }
    if (n) {
        *ret = *e;
    } else {
        code = err_set(err, ERR_INPUT, "no exposure '%.200s'", name);
    }
    free(e);
    return code;
}

static void read_name(sqlite3_stmt *st, void *row)
{
    sql_text(st, 0, row, 2 * QUEUE_NAME);
}

/* How many bytes two texts have in common at their beginnings. */
static size_t in_common(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n]) {
        n++;
    }
    return n;
}

int queue_near_job(struct queue *q, const char *name, char ret[2 * QUEUE_NAME],
                   struct err *err)
{
    static const char *const recipes[] = {"spec2", "spec3", "combine"};
    *ret = 0;
    const char *base = name;
    for (int i = 0; i < RECIPES; i++) {
        size_t n = strlen(recipes[i]);
        base = !strncmp(name, recipes[i], n) && name[n] == '-' ? name + n + 1 : base;
    }
    size_t best = 0;
    for (int i = 0; i < 2 * RECIPES; i++) { /* its neighbours in the order of names */
        sqlite3_stmt *st;
        char(*names)[2 * QUEUE_NAME];
        size_t n;
        int code =
            i < RECIPES
                ? sql_prepare(q, &st, err,
                              "SELECT name FROM job WHERE recipe = ? AND base >= ?"
                              " ORDER BY base, version DESC LIMIT 1",
                              "ss", recipes[i], base)
                : sql_prepare(q, &st, err,
                              "SELECT name FROM job WHERE recipe = ? AND base < ?"
                              " ORDER BY base DESC, version DESC LIMIT 1",
                              "ss", recipes[i - RECIPES], base);
        code = code ? code : sql_rows(q, st, sizeof *names, read_name, &names, &n, err);
        if (code) {
            return code;
        }
        size_t common = n ? in_common(strchr(*names, '-') + 1, base) : 0;
        if (common > best && 2 * common >= strlen(base)) {
            best = common;
            memcpy(ret, *names, sizeof *names);
        }
        free(names);
    }
    return 0;
}

int queue_ahead(struct queue *q, const struct queue_job *job, size_t limit,
                size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int64_t n;
    int code = sql_prepare(q, &st, err,
                           "SELECT count(*) FROM (SELECT 1 FROM job"
                           " WHERE state = 'queued' AND program = ? AND priority = ?"
                           " AND queued_at < ? LIMIT ?)",
                           "sidi", job->program, (int64_t)job->priority, job->queued_at,
                           (int64_t)limit);
    code = code ? code : sql_one(q, st, &n, err);
    if (!code) {
        *ret_n = (size_t)n;
    }
    return code;
}

int queue_program_queued(struct queue *q, const char *program, size_t limit,
                         size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int64_t n;
    int code = sql_prepare(q, &st, err,
                           "SELECT count(*) FROM (SELECT 1 FROM job"
                           " WHERE state = 'queued' AND program = ? LIMIT ?)",
                           "si", program, (int64_t)limit);
    code = code ? code : sql_one(q, st, &n, err);
    if (!code) {
        *ret_n = (size_t)n;
    }
    return code;
}

int queue_jobs_of_exposure(struct queue *q, int64_t exposure, size_t limit,
                           struct queue_job **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_JOB_COLUMNS " FROM job WHERE id IN"
                           " (SELECT id FROM job WHERE exposure = ?1 UNION"
                           " SELECT job FROM companion WHERE exposure = ?1)"
                           " ORDER BY id LIMIT ?2",
                           "ii", exposure, (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_job), queue_read_job, ret, ret_n,
                           err);
}

int queue_exposure_events(struct queue *q, int64_t exposure, size_t limit,
                          struct queue_event **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT * FROM (" QUEUE_EVENTS "v.exposure = ? AND v.job IS NULL"
                    " ORDER BY v.id DESC LIMIT ?) ORDER BY id",
                    "ii", exposure, (int64_t)limit);
    return code ? code
                : sql_rows(q, st, sizeof(struct queue_event), queue_read_event, ret,
                           ret_n, err);
}

int queue_group_waiting(struct queue *q, const char *group, struct queue_waiting *ret,
                        struct err *err)
{
    sqlite3_stmt *st;
    struct queue_waiting *w;
    size_t n;
    int code = sql_prepare(q, &st, err,
                           "SELECT " QUEUE_WAITING_COLUMNS " FROM grp WHERE name = ?",
                           "s", group);
    code = code ? code : sql_rows(q, st, sizeof *w, queue_read_waiting, &w, &n, err);
    if (!code) {
        *ret = *w; /* zeroed if there is none */
        free(w);
    }
    return code;
}
