#include "daemon/queue_sql.h"

/*
 * Schema 5: what is stale, and how the spectrum changed that a job replaced.
 *   stale       done jobs that would make something else now; a row goes with its job's
 *               state
 *   difference  of the spectrum that a job published from the one that it replaced
 *               (jobs/job_difference.h)
 */
/* clang-format off */
const char queue_to_5[] =
    "CREATE TABLE stale(job INTEGER PRIMARY KEY REFERENCES job(id), since REAL NOT NULL,"
    " step TEXT NOT NULL, why TEXT NOT NULL) STRICT;"
    "CREATE TRIGGER stale_moved AFTER UPDATE OF state ON job"
    " WHEN old.state = 'done' AND new.state <> 'done' BEGIN"
    " DELETE FROM stale WHERE job = new.id; END;"
    "CREATE TABLE difference(job INTEGER PRIMARY KEY REFERENCES job(id)"
    " ON DELETE CASCADE, compared INTEGER NOT NULL, median_percent REAL,"
    " largest_percent REAL, largest_percent_um REAL, largest_sigma REAL,"
    " largest_sigma_um REAL) STRICT;"
    "PRAGMA user_version = 5;";
/* clang-format on */
