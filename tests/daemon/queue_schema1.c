#include "tests/daemon/queue_schema1.h"

#include <check.h>
#include <sqlite3.h>

#include "tests/daemon/queue_rows.h"

static const char schema[] =
    "CREATE TABLE exposure(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL, base TEXT NOT NULL, state TEXT NOT NULL, role TEXT NOT NULL,"
    " grp TEXT NOT NULL, program TEXT NOT NULL, observation TEXT NOT NULL,"
    " visit TEXT NOT NULL, target TEXT NOT NULL, detector TEXT NOT NULL,"
    " filter TEXT NOT NULL, grating TEXT NOT NULL, pattern_number INTEGER NOT NULL,"
    " pattern_total INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " accepted_at REAL NOT NULL) STRICT;"
    "CREATE INDEX exposure_grp ON exposure(grp);"
    "CREATE INDEX exposure_state ON exposure(state, role);"
    "CREATE TABLE job(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " recipe TEXT NOT NULL, base TEXT NOT NULL, grp TEXT NOT NULL,"
    " program TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL,"
    " attempt INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
    " created_at REAL NOT NULL, changed_at REAL NOT NULL,"
    " not_before REAL NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT '',"
    " error TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',"
    " exposure INTEGER REFERENCES exposure(id)) STRICT;"
    "CREATE UNIQUE INDEX job_version ON job(recipe, base, version);"
    "CREATE INDEX job_grp ON job(grp);"
    "CREATE INDEX job_state ON job(state, id);"
    "CREATE INDEX job_changed ON job(state, changed_at);"
    "CREATE TABLE job_input(job INTEGER NOT NULL REFERENCES job(id),"
    " position INTEGER NOT NULL, exposure INTEGER REFERENCES exposure(id),"
    " input_job INTEGER REFERENCES job(id), PRIMARY KEY(job, position)) STRICT;"
    "CREATE TABLE product(job INTEGER NOT NULL REFERENCES job(id), path TEXT NOT NULL,"
    " suffix TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " PRIMARY KEY(job, path)) STRICT;"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, at REAL NOT NULL, exposure INTEGER,"
    " job INTEGER, from_state TEXT NOT NULL, to_state TEXT NOT NULL,"
    " message TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_job ON event(job);"
    "CREATE INDEX event_file ON event(to_state) WHERE job IS NULL;"
    "PRAGMA user_version = 1;";

#define EXPOSURE(ID, SHA, NAME, BASE, STATE, ROLE)                                     \
    "INSERT INTO exposure VALUES(" #ID ", '" SHA "', '" NAME "', '" BASE "', '" STATE  \
    "', '" ROLE "', 'g', '01234', '001', '001', 't', 'NRS1', 'F290LP', 'G395H', " #ID  \
    ", 4, 77, 10" #ID ".0);"
#define EVENT(EXPOSURE_ID, JOB_ID, FROM, TO, MESSAGE)                                  \
    "INSERT INTO event(at, exposure, job, from_state, to_state, message)"              \
    " VALUES(100.0, " EXPOSURE_ID ", " JOB_ID ", '" FROM "', '" TO "', '" MESSAGE      \
    "');"

/* A row a line. */
/* clang-format off */
static const char rows[] = QUEUE_ROWS
    EVENT("1", "NULL", "", "accepted", "a_rate.fits")
    EVENT("2", "NULL", "", "accepted", "a_rate.fits")
    EVENT("1", "NULL", "accepted", "superseded", "rewritten")
    EVENT("3", "NULL", "", "accepted", "b_rate.fits")
    EVENT("4", "NULL", "", "accepted", "leak_rate.fits")
    EVENT("4", "NULL", "", "duplicate", "x_rate.fits has the bytes of leak_rate.fits")
    EVENT("NULL", "NULL", "", "rejected", "junk.fits: no FITS file")
    EVENT("NULL", "1", "done", "superseded", "its exposure was rewritten")
    EVENT("NULL", "2", "running", "done", "")
    EVENT("NULL", "3", "queued", "running", "")
    EVENT("NULL", "4", "new", "waiting", "planned");
/* clang-format on */

void queue_schema1_write(const char *path)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_msg(!sqlite3_exec(db, schema, NULL, NULL, NULL), "%s",
                  sqlite3_errmsg(db));
    ck_assert_msg(!sqlite3_exec(db, rows, NULL, NULL, NULL), "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}
