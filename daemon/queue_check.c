#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define SHOWN "20" /* findings of each kind */

/* What must hold whatever happened; each returns one line of text for what does not. */
static const char *const invariants[] = {
    "PRAGMA integrity_check(" SHOWN ")",
    "SELECT 'a row of ' || \"table\" || ' refers to a row of ' || parent ||"
    " ' that is not there' FROM pragma_foreign_key_check LIMIT " SHOWN,

    "SELECT 'exposure ' || name || ' is accepted and has ' || n ||"
    " ' live spec2 jobs, not one' FROM (SELECT e.name, (SELECT count(*) FROM job j"
    " WHERE j.exposure = e.id AND j.state <> 'superseded') AS n FROM exposure e"
    " WHERE e.state = 'accepted' AND e.role = 'science') WHERE n <> 1 LIMIT " SHOWN,

    "SELECT 'job ' || name || ' reads ' || n || ' times the same exposure' FROM"
    " (SELECT j.name, count(*) AS n FROM companion c JOIN job j ON j.id = c.job"
    " GROUP BY c.job, coalesce(c.exposure, 0), coalesce(c.input_job, 0))"
    " WHERE n <> 1 LIMIT " SHOWN,

    "SELECT 'exposure ' || name || ' is ' || state || ', its last event says ' || said"
    " FROM (SELECT e.name, e.state, coalesce((SELECT v.to_state FROM event v"
    " WHERE v.exposure = e.id AND v.job IS NULL AND v.to_state NOT "
    "IN " QUEUE_OF_THE_FILE
    " ORDER BY v.id DESC LIMIT 1), 'nothing') AS said FROM exposure e)"
    " WHERE said <> state LIMIT " SHOWN,

    "SELECT 'job ' || name || ' is ' || state || ', its last event says ' || said"
    " FROM (SELECT j.name, j.state, coalesce((SELECT v.to_state FROM event v"
    " WHERE v.job = j.id ORDER BY v.id DESC LIMIT 1), 'nothing') AS said FROM job j)"
    " WHERE said <> state LIMIT " SHOWN,

    "SELECT 'job ' || j.name || ' is done without products' FROM job j"
    " WHERE j.state = 'done'"
    " AND NOT EXISTS (SELECT 1 FROM product p WHERE p.job = j.id) LIMIT " SHOWN,

    "SELECT 'job ' || j.name || ' has products and never ran' FROM job j"
    " WHERE j.attempt = 0"
    " AND EXISTS (SELECT 1 FROM product p WHERE p.job = j.id) LIMIT " SHOWN,

    "SELECT 'job ' || j.name || ' is ' || j.state || ' and reads nothing' FROM job j"
    " WHERE j.state IN ('queued', 'running', 'suspect', 'deferred', 'done')"
    " AND NOT EXISTS (SELECT 1 FROM job_input i WHERE i.job = j.id) LIMIT " SHOWN,

    "SELECT 'job ' || name || ' combines ' || n || ' spec3 jobs of ' || bases ||"
    " ' dispersers' FROM (SELECT j.name, count(s.id) AS n, count(DISTINCT s.base) AS"
    " bases FROM job j JOIN job_input i ON i.job = j.id LEFT JOIN job s ON s.id ="
    " i.input_job AND s.recipe = 'spec3' AND s.base > j.base || '_'"
    " AND s.base < j.base || '`' WHERE j.recipe = 'combine' GROUP BY j.id)"
    " WHERE n < 2 OR n <> bases LIMIT " SHOWN,

    "SELECT 'group ' || grp || ' is not known' FROM (SELECT DISTINCT grp FROM exposure)"
    " WHERE grp NOT IN (SELECT name FROM grp) LIMIT " SHOWN,

    "SELECT 'association ' || a.name || ' is ' || a.state || ' and has ' || n ||"
    " ' live products' FROM (SELECT a.name, a.state, (SELECT count(*) FROM"
    " association_product p WHERE p.association = a.id AND p.live = 1) AS n"
    " FROM association a) a WHERE a.state NOT IN ('accepted', 'superseded')"
    " OR (a.state = 'accepted') <> (n > 0) LIMIT " SHOWN,

    "SELECT 'product ' || p.name || ' of an association has ' || n || ' science"
    " members' FROM (SELECT p.name, p.recipe, (SELECT count(*) FROM association_member "
    "m"
    " WHERE m.product = p.id AND m.role = 'science') AS n FROM association_product p) p"
    " WHERE n = 0 OR (n <> 1 AND recipe = 'spec2') LIMIT " SHOWN,

    "SELECT 'group ' || p.name || ' of an association is not known' FROM"
    " association_product p WHERE p.live = 1 AND p.recipe = 'spec3'"
    " AND p.name NOT IN (SELECT name FROM grp) LIMIT " SHOWN,

    "WITH seen AS (SELECT 'job.' || state AS what, count(*) AS n FROM job"
    " GROUP BY state UNION ALL SELECT 'exposure.' || state || '.' || role, count(*)"
    " FROM exposure GROUP BY state, role UNION ALL SELECT 'group.without_imprint',"
    " coalesce(sum(without_imprint), 0) FROM grp)"
    " SELECT 'the sum ' || what || ' is ' || coalesce((SELECT n FROM tally t"
    " WHERE t.what = s.what), 0) || ', there are ' || n FROM seen s"
    " WHERE n <> coalesce((SELECT n FROM tally t WHERE t.what = s.what), 0)"
    " UNION ALL SELECT 'the sum ' || what || ' is ' || n || ', there are 0' FROM tally"
    " WHERE what NOT LIKE 'file.%' AND n <> 0"
    " AND what NOT IN (SELECT what FROM seen)",
};

static int add_line(char **report, const char *line, struct err *err)
{
    char *more = mem_printf(err, "%s%s\n", *report, line);
    if (!more) {
        return ERR_NOMEM;
    }
    free(*report);
    *report = more;
    return 0;
}

static int add_findings(struct queue *q, const char *sql, char **report,
                        struct err *err)
{
    sqlite3_stmt *st;
    int rc, code = sql_prepare(q, &st, err, sql, "");
    if (code) {
        return code;
    }
    while (!code && (rc = sqlite3_step(st)) != SQLITE_DONE) {
        const char *line = (const char *)sqlite3_column_text(st, 0);
        if (rc != SQLITE_ROW) {
            code = sql_fail(q, err);
        } else if (!line) {
            code = ERR_NOMEM;
        } else if (strcmp(line, "ok") != 0) {
            code = add_line(report, line, err);
        }
    }
    sql_done(q, st);
    return code;
}

/* Names that lifecycle.c does not know. */
static int add_unknown(struct queue *q, bool jobs, char **report, struct err *err)
{
    sqlite3_stmt *st;
    int rc, code = sql_prepare(q, &st, err,
                               jobs ? "SELECT DISTINCT state FROM job"
                                    : "SELECT DISTINCT state FROM exposure",
                               "");
    if (code) {
        return code;
    }
    while (!code && (rc = sqlite3_step(st)) != SQLITE_DONE) {
        char state[40], line[120];
        if (rc != SQLITE_ROW) {
            code = sql_fail(q, err);
            break;
        }
        sql_text(st, 0, state, sizeof state);
        if (jobs ? job_state_of(state) == JOB_STATES
                 : file_state_of(state) == FILE_STATES) {
            snprintf(line, sizeof line, "there is no state '%s' of %s", state,
                     jobs ? "a job" : "an exposure");
            code = add_line(report, line, err);
        }
    }
    sql_done(q, st);
    return code;
}

int queue_check(struct queue *q, char **ret_report, struct err *err)
{
    char *report = mem_strdup("", err);
    int code = report ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < sizeof invariants / sizeof *invariants && !code; i++) {
        code = add_findings(q, invariants[i], &report, err);
    }
    code = code ? code : add_unknown(q, true, &report, err);
    code = code ? code : add_unknown(q, false, &report, err);
    if (code) {
        free(report);
    } else {
        *ret_report = report;
    }
    return code;
}
