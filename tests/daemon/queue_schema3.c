#include "tests/daemon/queue_schema3.h"

#include <check.h>
#include <sqlite3.h>

#include "tests/daemon/queue_rows.h"

/* As SQLite keeps it. */
/* clang-format off */
static const char *const schema[] = {
    "CREATE TABLE exposure(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, name "
    "TEXT NOT NULL, base TEXT NOT NULL, state TEXT NOT NULL, role TEXT NOT "
    "NULL, grp TEXT NOT NULL, program TEXT NOT NULL, observation TEXT NOT NULL, "
    "visit TEXT NOT NULL, target TEXT NOT NULL, detector TEXT NOT NULL, filter "
    "TEXT NOT NULL, grating TEXT NOT NULL, pattern_number INTEGER NOT NULL, "
    "pattern_total INTEGER NOT NULL, bytes INTEGER NOT NULL, accepted_at REAL "
    "NOT NULL, changed_at REAL NOT NULL, ra REAL NOT NULL DEFAULT 0, dec REAL "
    "NOT NULL DEFAULT 0, pa REAL NOT NULL DEFAULT 0, pattern_type TEXT NOT NULL "
    "DEFAULT '', aid INTEGER NOT NULL DEFAULT 0, expstart REAL, xtilt REAL, "
    "ytilt REAL) STRICT;"
    "CREATE TABLE job(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, recipe "
    "TEXT NOT NULL, base TEXT NOT NULL, grp TEXT NOT NULL, program TEXT NOT "
    "NULL, version INTEGER NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT "
    "NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, created_at REAL NOT "
    "NULL, changed_at REAL NOT NULL, not_before REAL NOT NULL DEFAULT 0, stage "
    "TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', message TEXT NOT "
    "NULL DEFAULT '', exposure INTEGER REFERENCES exposure(id), priority "
    "INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0, "
    "estimate_bytes INTEGER NOT NULL DEFAULT 0, peak_bytes INTEGER NOT NULL "
    "DEFAULT 0, measured INTEGER NOT NULL DEFAULT 0, queued_at REAL NOT NULL "
    "DEFAULT 0, wish TEXT NOT NULL DEFAULT '', companions_at REAL NOT NULL "
    "DEFAULT 0) STRICT;"
    "CREATE TABLE job_input(job INTEGER NOT NULL REFERENCES job(id), position "
    "INTEGER NOT NULL, exposure INTEGER REFERENCES exposure(id), input_job "
    "INTEGER REFERENCES job(id), PRIMARY KEY(job, position)) STRICT;"
    "CREATE TABLE product(job INTEGER NOT NULL REFERENCES job(id), path TEXT "
    "NOT NULL, suffix TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT "
    "NULL, PRIMARY KEY(job, path)) STRICT;"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, at REAL NOT NULL, file TEXT NOT "
    "NULL DEFAULT '', exposure INTEGER, job INTEGER, from_state TEXT NOT NULL, "
    "to_state TEXT NOT NULL, message TEXT NOT NULL) STRICT;"
    "CREATE TABLE tally(what TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, "
    "WITHOUT ROWID;"
    "CREATE TABLE grp(name TEXT PRIMARY KEY, dirty INTEGER NOT NULL DEFAULT 1, "
    "quiet_since REAL NOT NULL DEFAULT 0, waits_for TEXT NOT NULL DEFAULT '', "
    "look_at REAL NOT NULL DEFAULT 0, members_wait TEXT NOT NULL DEFAULT '', "
    "offer TEXT NOT NULL DEFAULT '', without_imprint INTEGER NOT NULL DEFAULT "
    "0) STRICT, WITHOUT ROWID;"
    "CREATE TABLE share(program TEXT PRIMARY KEY, used_seconds REAL NOT NULL, "
    "at REAL NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE class(program TEXT NOT NULL, priority INTEGER NOT NULL, "
    "started_at REAL NOT NULL, PRIMARY KEY(program, priority)) STRICT, WITHOUT "
    "ROWID;"
    "CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, "
    "WITHOUT ROWID;"
    "CREATE TABLE companion(job INTEGER NOT NULL REFERENCES job(id), position "
    "INTEGER NOT NULL, exposure INTEGER REFERENCES exposure(id), input_job "
    "INTEGER REFERENCES job(id), role TEXT NOT NULL, why TEXT NOT NULL, PRIMARY "
    "KEY(job, position)) STRICT;"
    "CREATE UNIQUE INDEX exposure_content ON exposure(sha256) WHERE state <> "
    "'gone';"
    "CREATE INDEX exposure_gone ON exposure(sha256) WHERE state = 'gone';"
    "CREATE INDEX exposure_grp ON exposure(grp, base, id);",

    "CREATE INDEX exposure_base ON exposure(base, program);"
    "CREATE INDEX exposure_changed ON exposure(state, changed_at);"
    "CREATE UNIQUE INDEX job_version ON job(recipe, base, version);"
    "CREATE INDEX job_grp ON job(grp, recipe, version);"
    "CREATE INDEX job_exposure ON job(exposure) WHERE exposure IS NOT NULL;"
    "CREATE INDEX job_state ON job(state, changed_at);"
    "CREATE INDEX job_changed ON job(changed_at);"
    "CREATE INDEX job_queued ON job(program, priority, queued_at) WHERE state = "
    "'queued';"
    "CREATE INDEX job_due ON job(not_before) WHERE state = 'deferred';"
    "CREATE INDEX job_measured ON job(recipe, measured) WHERE measured > 0;"
    "CREATE INDEX job_input_exposure ON job_input(exposure) WHERE exposure IS "
    "NOT NULL;"
    "CREATE INDEX job_input_from ON job_input(input_job, job) WHERE input_job "
    "IS NOT NULL;"
    "CREATE INDEX event_job ON event(job) WHERE job IS NOT NULL;"
    "CREATE INDEX event_exposure ON event(exposure) WHERE exposure IS NOT NULL;"
    "CREATE INDEX event_rejected ON event(id) WHERE to_state = 'rejected';"
    "CREATE INDEX grp_dirty ON grp(name) WHERE dirty = 1;"
    "CREATE INDEX grp_quiet ON grp(quiet_since) WHERE quiet_since > 0;"
    "CREATE INDEX exposure_optics ON exposure(grating, filter, program, grp) "
    "WHERE state = 'accepted';"
    "CREATE INDEX exposure_aid ON exposure(grating, filter, base) WHERE state = "
    "'accepted' AND aid = 1;"
    "CREATE INDEX grp_look ON grp(look_at) WHERE look_at > 0;"
    "CREATE INDEX grp_waits ON grp(name) WHERE waits_for <> '' OR members_wait "
    "<> '';"
    "CREATE INDEX job_warned ON job(changed_at, id) WHERE state = 'done' AND "
    "message <> '';"
    "CREATE INDEX grp_offer ON grp(name) WHERE offer <> '';"
    "CREATE INDEX companion_exposure ON companion(exposure) WHERE exposure IS "
    "NOT NULL;"
    "CREATE INDEX companion_from ON companion(input_job, job) WHERE input_job "
    "IS NOT NULL;"
    "CREATE TRIGGER job_inserted AFTER INSERT ON job BEGIN INSERT INTO tally "
    "VALUES('job.' || new.state, 1) ON CONFLICT(what) DO UPDATE SET n = n + 1; "
    "INSERT INTO grp(name) VALUES(new.grp) ON CONFLICT(name) DO UPDATE SET "
    "dirty = 1 WHERE dirty = 0;END;"
    "CREATE TRIGGER job_deleted AFTER DELETE ON job BEGIN INSERT INTO tally "
    "VALUES('job.' || old.state, -1) ON CONFLICT(what) DO UPDATE SET n = n + "
    "-1;END;"
    "CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN new.state <> "
    "old.state BEGIN INSERT INTO tally VALUES('job.' || old.state, -1) ON "
    "CONFLICT(what) DO UPDATE SET n = n + -1; INSERT INTO tally VALUES('job.' "
    "|| new.state, 1) ON CONFLICT(what) DO UPDATE SET n = n + 1;END;"
    "CREATE TRIGGER job_settled AFTER UPDATE OF state ON job WHEN new.state <> "
    "old.state AND (new.state IN ('done', 'held', 'quarantined', 'cancelled', "
    "'superseded') OR old.state IN ('running', 'done', 'held', 'quarantined', "
    "'cancelled')) BEGIN INSERT INTO grp(name) VALUES(new.grp) ON "
    "CONFLICT(name) DO UPDATE SET dirty = 1 WHERE dirty = 0;END;"
    "CREATE TRIGGER exposure_inserted AFTER INSERT ON exposure BEGIN INSERT "
    "INTO tally VALUES('exposure.' || new.state || '.' || new.role, 1) ON "
    "CONFLICT(what) DO UPDATE SET n = n + 1; INSERT INTO grp(name) "
    "VALUES(new.grp) ON CONFLICT(name) DO UPDATE SET dirty = 1 WHERE dirty = "
    "0;END;",

    "CREATE TRIGGER exposure_moved AFTER UPDATE OF state ON exposure WHEN "
    "new.state <> old.state BEGIN INSERT INTO tally VALUES('exposure.' || "
    "old.state || '.' || old.role, -1) ON CONFLICT(what) DO UPDATE SET n = n + "
    "-1; INSERT INTO tally VALUES('exposure.' || new.state || '.' || new.role, "
    "1) ON CONFLICT(what) DO UPDATE SET n = n + 1; INSERT INTO grp(name) "
    "VALUES(new.grp) ON CONFLICT(name) DO UPDATE SET dirty = 1 WHERE dirty = "
    "0;END;"
    "CREATE TRIGGER job_started AFTER UPDATE OF state ON job WHEN new.state = "
    "'running' AND old.state <> 'running' BEGIN INSERT INTO class "
    "VALUES(new.program, new.priority, new.changed_at) ON CONFLICT(program, "
    "priority) DO UPDATE SET started_at = excluded.started_at;END;"
    "CREATE TRIGGER event_inserted AFTER INSERT ON event WHEN new.to_state IN "
    "('rejected', 'duplicate') BEGIN INSERT INTO tally VALUES('file.' || "
    "new.to_state, 1) ON CONFLICT(what) DO UPDATE SET n = n + 1;END;"
    "CREATE TRIGGER grp_counted AFTER UPDATE OF without_imprint ON grp WHEN "
    "new.without_imprint <> old.without_imprint BEGIN INSERT INTO tally "
    "VALUES('group.without_imprint', new.without_imprint - old.without_imprint) "
    "ON CONFLICT(what) DO UPDATE SET n = n + new.without_imprint - "
    "old.without_imprint;END;"
    "CREATE TRIGGER aid_inserted AFTER INSERT ON exposure WHEN new.aid = 1 "
    "BEGIN UPDATE grp SET dirty = 1 WHERE dirty = 0 AND name IN (SELECT g.grp "
    "FROM exposure g WHERE g.grating = new.grating AND g.filter = new.filter "
    "AND g.state = 'accepted' AND (g.program = new.program OR new.role <> "
    "'imprint'));END;"
    "CREATE TRIGGER aid_moved AFTER UPDATE OF state ON exposure WHEN new.aid = "
    "1 AND new.state <> old.state BEGIN UPDATE grp SET dirty = 1 WHERE dirty = "
    "0 AND name IN (SELECT g.grp FROM exposure g WHERE g.grating = new.grating "
    "AND g.filter = new.filter AND g.state = 'accepted' AND (g.program = "
    "new.program OR new.role <> 'imprint'));END;"
    "CREATE TRIGGER aid_settled AFTER UPDATE OF state ON job WHEN new.exposure "
    "IS NOT NULL AND new.state <> old.state AND (new.state IN ('done', 'held', "
    "'quarantined', 'cancelled', 'superseded') OR old.state IN ('done', 'held', "
    "'quarantined', 'cancelled')) BEGIN UPDATE grp SET dirty = 1 WHERE dirty = "
    "0 AND name IN (SELECT g.grp FROM exposure a JOIN exposure g ON g.grating = "
    "a.grating AND g.filter = a.filter AND g.state = 'accepted' AND (g.program "
    "= a.program OR a.role <> 'imprint') WHERE a.id = new.exposure AND a.aid = "
    "1); END;"
    "PRAGMA user_version = 3;"};

#define EXPOSURE(ID, SHA, NAME, BASE, STATE, ROLE)                                     \
    "INSERT INTO exposure(id, sha256, name, base, state, role, grp, program,"          \
    " observation, visit, target, detector, filter, grating, pattern_number,"          \
    " pattern_total, bytes, accepted_at, changed_at, aid) VALUES(" #ID ", '" SHA       \
    "', '" NAME "', '" BASE "', '" STATE "', '" ROLE                                   \
    "', 'g', '01234', '001', '001', 't', 'NRS1',"                                      \
    " 'F290LP', 'G395H', " #ID ", 4, 77, 10" #ID ".0, 10" #ID ".0, '" ROLE            \
    "' <> 'science');"
#define EVENT(FILE, EXPOSURE_ID, JOB_ID, FROM, TO)                                     \
    "INSERT INTO event(at, file, exposure, job, from_state, to_state, message)"        \
    " VALUES(100.0, '" FILE "', " EXPOSURE_ID ", " JOB_ID ", '" FROM "', '" TO         \
    "', '');"

static const char rows[] = QUEUE_ROWS
    EVENT("a_rate.fits", "1", "NULL", "settling", "accepted")
    EVENT("a_rate.fits", "2", "NULL", "settling", "accepted")
    EVENT("a_rate.fits", "1", "NULL", "accepted", "superseded")
    EVENT("b_rate.fits", "3", "NULL", "settling", "accepted")
    EVENT("leak_rate.fits", "4", "NULL", "settling", "accepted")
    EVENT("x_rate.fits", "4", "NULL", "settling", "duplicate")
    EVENT("junk.fits", "NULL", "NULL", "settling", "rejected")
    EVENT("", "NULL", "1", "done", "superseded")
    EVENT("", "NULL", "2", "running", "done")
    EVENT("", "NULL", "3", "queued", "running")
    EVENT("", "NULL", "4", "new", "waiting")
    "INSERT INTO companion VALUES(2, 1, 4, NULL, 'imprint', 'leakage');"
    "UPDATE job SET companions_at = 150.0 WHERE id = 2;"
    "UPDATE grp SET look_at = 300.0, members_wait = 'more', without_imprint = 1;";
/* clang-format on */

static void run(sqlite3 *db, const char *sql)
{
    ck_assert_msg(!sqlite3_exec(db, sql, NULL, NULL, NULL), "%s", sqlite3_errmsg(db));
}

void queue_schema3_write(const char *path)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    run(db, "PRAGMA journal_mode = WAL");
    for (size_t i = 0; i < sizeof schema / sizeof *schema; i++) {
        run(db, schema[i]);
    }
    run(db, rows);
    sqlite3_close(db);
}
