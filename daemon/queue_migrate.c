#include "daemon/queue_sql.h"

#include "common/base/mem.h"

/*
 * Schema 2 with what to_3, queue_to_4 and queue_to_5 add. Beside the rows proper:
 *   tally    how many jobs, exposures and files are in each state, kept by triggers, so
 *            that a status costs the same with a hundred thousand jobs
 *   grp      one row for each group: to be looked at (dirty), since when it is quiet (0:
 *            quietness does not release it) and what it waits for. Triggers mark it dirty whenever something
 *            changes that its spec3 depends on.
 *   share    worker time used by each program
 *   class    when a job of each program and priority last started
 *   setting  what outlives the daemon
 *   companion  what a job reads beside its inputs
 */
static const char tables[] =
    "CREATE TABLE exposure(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL,"
    " name TEXT NOT NULL, base TEXT NOT NULL, state TEXT NOT NULL, role TEXT NOT NULL,"
    " grp TEXT NOT NULL, program TEXT NOT NULL, observation TEXT NOT NULL,"
    " visit TEXT NOT NULL, target TEXT NOT NULL, detector TEXT NOT NULL,"
    " filter TEXT NOT NULL, grating TEXT NOT NULL, pattern_number INTEGER NOT NULL,"
    " pattern_total INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " accepted_at REAL NOT NULL, changed_at REAL NOT NULL, ra REAL NOT NULL DEFAULT 0,"
    " dec REAL NOT NULL DEFAULT 0, pa REAL NOT NULL DEFAULT 0) STRICT;"
    "CREATE UNIQUE INDEX exposure_content ON exposure(sha256) WHERE state <> 'gone';"
    "CREATE INDEX exposure_gone ON exposure(sha256) WHERE state = 'gone';"
    "CREATE INDEX exposure_grp ON exposure(grp, base, id);"
    "CREATE INDEX exposure_base ON exposure(base, program);"
    "CREATE INDEX exposure_changed ON exposure(state, changed_at);"

    "CREATE TABLE job(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " recipe TEXT NOT NULL, base TEXT NOT NULL, grp TEXT NOT NULL,"
    " program TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL,"
    " attempt INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
    " created_at REAL NOT NULL, changed_at REAL NOT NULL,"
    " not_before REAL NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT '',"
    " error TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',"
    " exposure INTEGER REFERENCES exposure(id), priority INTEGER NOT NULL DEFAULT 0,"
    " crashes INTEGER NOT NULL DEFAULT 0, estimate_bytes INTEGER NOT NULL DEFAULT 0,"
    " peak_bytes INTEGER NOT NULL DEFAULT 0, measured INTEGER NOT NULL DEFAULT 0,"
    " queued_at REAL NOT NULL DEFAULT 0, wish TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE UNIQUE INDEX job_version ON job(recipe, base, version);"
    "CREATE INDEX job_grp ON job(grp, recipe, version);"
    "CREATE INDEX job_exposure ON job(exposure) WHERE exposure IS NOT NULL;"
    "CREATE INDEX job_state ON job(state, changed_at);"
    "CREATE INDEX job_changed ON job(changed_at);"
    "CREATE INDEX job_queued ON job(program, priority, queued_at)"
    " WHERE state = 'queued';"
    "CREATE INDEX job_due ON job(not_before) WHERE state = 'deferred';"
    "CREATE INDEX job_measured ON job(recipe, measured) WHERE measured > 0;"

    "CREATE TABLE job_input(job INTEGER NOT NULL REFERENCES job(id),"
    " position INTEGER NOT NULL, exposure INTEGER REFERENCES exposure(id),"
    " input_job INTEGER REFERENCES job(id), PRIMARY KEY(job, position)) STRICT;"
    "CREATE INDEX job_input_exposure ON job_input(exposure)"
    " WHERE exposure IS NOT NULL;"
    "CREATE INDEX job_input_from ON job_input(input_job, job)"
    " WHERE input_job IS NOT NULL;"

    "CREATE TABLE product(job INTEGER NOT NULL REFERENCES job(id), path TEXT NOT NULL,"
    " suffix TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " PRIMARY KEY(job, path)) STRICT;"

    "CREATE TABLE event(id INTEGER PRIMARY KEY, at REAL NOT NULL,"
    " file TEXT NOT NULL DEFAULT '', exposure INTEGER, job INTEGER,"
    " from_state TEXT NOT NULL, to_state TEXT NOT NULL, message TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_job ON event(job) WHERE job IS NOT NULL;"
    "CREATE INDEX event_exposure ON event(exposure) WHERE exposure IS NOT NULL;"
    "CREATE INDEX event_rejected ON event(id) WHERE to_state = 'rejected';";

static const char sums[] =
    "CREATE TABLE tally(what TEXT PRIMARY KEY, n INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE grp(name TEXT PRIMARY KEY, dirty INTEGER NOT NULL DEFAULT 1,"
    " quiet_since REAL NOT NULL DEFAULT 0, waits_for TEXT NOT NULL DEFAULT '')"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX grp_dirty ON grp(name) WHERE dirty = 1;"
    "CREATE INDEX grp_quiet ON grp(quiet_since) WHERE quiet_since > 0;"
    "CREATE INDEX grp_waits ON grp(name) WHERE waits_for <> '';"
    "CREATE TABLE share(program TEXT PRIMARY KEY, used_seconds REAL NOT NULL,"
    " at REAL NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE class(program TEXT NOT NULL, priority INTEGER NOT NULL,"
    " started_at REAL NOT NULL, PRIMARY KEY(program, priority)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID;"

#define COUNT(WHAT, BY)                                                                \
    " INSERT INTO tally VALUES(" WHAT ", " BY ")"                                      \
    " ON CONFLICT(what) DO UPDATE SET n = n + " BY ";"
#define DIRTY(GROUP)                                                                   \
    " INSERT INTO grp(name) VALUES(" GROUP ")"                                         \
    " ON CONFLICT(name) DO UPDATE SET dirty = 1 WHERE dirty = 0;"

    "CREATE TRIGGER job_inserted AFTER INSERT ON job BEGIN" /**/
    COUNT("'job.' || new.state", "1")
        DIRTY("new.grp") "END;"                                                 /**/
                         "CREATE TRIGGER job_deleted AFTER DELETE ON job BEGIN" /**/
    COUNT("'job.' || old.state",
          "-1") "END;"                                                  /**/
                "CREATE TRIGGER job_moved AFTER UPDATE OF state ON job" /**/
                " WHEN new.state <> old.state BEGIN"                    /**/
    COUNT("'job.' || old.state", "-1") COUNT(
        "'job.' || new.state",
        "1") "END;"
             /* what a group waits for names its members' states only where they are final */
             "CREATE TRIGGER job_settled AFTER UPDATE OF state ON job"
             " WHEN new.state <> old.state AND"
             " (new.state IN ('done', 'held', 'quarantined', 'cancelled', 'superseded')"
             " OR old.state IN ('running', 'done', 'held', 'quarantined', 'cancelled'))"
             " BEGIN" DIRTY("new.grp") "END;"

                                       "CREATE TRIGGER exposure_inserted AFTER INSERT "
                                       "ON exposure BEGIN"    /**/
    COUNT("'exposure.' || new.state || '.' || new.role", "1") /**/
    DIRTY(
        "new.grp") "END;" /**/
                   "CREATE TRIGGER exposure_moved AFTER UPDATE OF state ON exposure" /**/
                   " WHEN new.state <> old.state BEGIN"        /**/
    COUNT("'exposure.' || old.state || '.' || old.role", "-1") /**/
    COUNT("'exposure.' || new.state || '.' || new.role", "1")  /**/
    DIRTY("new.grp") "END;"

                     "CREATE TRIGGER job_started AFTER UPDATE OF state ON job"
                     " WHEN new.state = 'running' AND old.state <> 'running' BEGIN"
                     " INSERT INTO class VALUES(new.program, new.priority, "
                     "new.changed_at)"
                     " ON CONFLICT(program, priority) DO UPDATE SET started_at = "
                     "excluded.started_at;"
                     "END;"

                     /* files, as often as they came: pruned events stay counted */
                     "CREATE TRIGGER event_inserted AFTER INSERT ON event"   /**/
                     " WHEN new.to_state IN ('rejected', 'duplicate') BEGIN" /**/
    COUNT("'file.' || new.to_state", "1") "END;";

/* The tables of schema 1, moved aside; their rows go into those of schema 2, whose
 * triggers count them. */
static const char from_1_aside[] =
    "DROP INDEX exposure_grp; DROP INDEX exposure_state; DROP INDEX job_version;"
    "DROP INDEX job_grp; DROP INDEX job_state; DROP INDEX job_changed;"
    "DROP INDEX event_job; DROP INDEX event_file;"
    "ALTER TABLE exposure RENAME TO exposure_1; ALTER TABLE job RENAME TO job_1;"
    "ALTER TABLE job_input RENAME TO job_input_1;"
    "ALTER TABLE product RENAME TO product_1; ALTER TABLE event RENAME TO event_1;";

static const char from_1_rows[] =
    "INSERT INTO exposure(id, sha256, name, base, state, role, grp, program,"
    " observation, visit, target, detector, filter, grating, pattern_number,"
    " pattern_total, bytes, accepted_at, changed_at)"
    " SELECT id, sha256, name, base, state, role, grp, program, observation, visit,"
    " target, detector, filter, grating, pattern_number, pattern_total, bytes,"
    " accepted_at, coalesce((SELECT max(v.at) FROM event_1 v WHERE v.exposure = e.id"
    " AND v.to_state = e.state), accepted_at) FROM exposure_1 e ORDER BY id;"
    "INSERT INTO job(id, name, recipe, base, grp, program, version, state, attempt,"
    " failures, created_at, changed_at, not_before, stage, error, message, exposure,"
    " queued_at)"
    " SELECT id, name, recipe, base, grp, program, version, state, attempt, failures,"
    " created_at, changed_at, not_before, stage, error, message, exposure,"
    " CASE state WHEN 'waiting' THEN 0.0 ELSE changed_at END FROM job_1 ORDER BY id;"
    "INSERT INTO job_input(job, position, exposure, input_job)"
    " SELECT job, position, exposure, input_job FROM job_input_1;"
    "INSERT INTO product(job, path, suffix, sha256, bytes)"
    " SELECT job, path, suffix, sha256, bytes FROM product_1;"
    "INSERT INTO event(id, at, file, exposure, job, from_state, to_state, message)"
    " SELECT v.id, v.at, coalesce(CASE WHEN v.job IS NULL THEN e.name END, ''),"
    " v.exposure, v.job, v.from_state, v.to_state, v.message"
    " FROM event_1 v LEFT JOIN exposure e ON e.id = v.exposure ORDER BY v.id;"
    "DROP TABLE product_1; DROP TABLE job_input_1; DROP TABLE event_1;"
    "DROP TABLE job_1; DROP TABLE exposure_1;";

/* Groups whose jobs may read an exposure X beside their own. */
#define ROUND(X)                                                                       \
    "SELECT g.grp FROM exposure g WHERE g.grating = " X ".grating"                     \
    " AND g.filter = " X ".filter AND g.state = 'accepted'"                            \
    " AND (g.program = " X ".program OR " X ".role <> 'imprint')"
#define DIRTY_ROUND(X)                                                                 \
    " UPDATE grp SET dirty = 1 WHERE dirty = 0 AND name IN (" ROUND(X) ");"

/* Leakage and background exposures belong to jobs. */
static const char to_3[] =
    "ALTER TABLE exposure ADD COLUMN pattern_type TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE exposure ADD COLUMN aid INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE exposure ADD COLUMN expstart REAL;"
    "ALTER TABLE exposure ADD COLUMN xtilt REAL;"
    "ALTER TABLE exposure ADD COLUMN ytilt REAL;"
    "ALTER TABLE job ADD COLUMN companions_at REAL NOT NULL DEFAULT 0;"
    "ALTER TABLE grp ADD COLUMN look_at REAL NOT NULL DEFAULT 0;"
    "ALTER TABLE grp ADD COLUMN members_wait TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE grp ADD COLUMN offer TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE grp ADD COLUMN without_imprint INTEGER NOT NULL DEFAULT 0;"
    "UPDATE exposure SET aid = 1 WHERE role <> 'science';"
    "UPDATE grp SET dirty = 1 WHERE name IN (SELECT grp FROM exposure"
    " WHERE role = 'background' AND state = 'accepted');"

    "CREATE INDEX exposure_optics ON exposure(grating, filter, program, grp)"
    " WHERE state = 'accepted';"
    "CREATE INDEX exposure_aid ON exposure(grating, filter, base)"
    " WHERE state = 'accepted' AND aid = 1;"
    "CREATE INDEX grp_look ON grp(look_at) WHERE look_at > 0;"
    "DROP INDEX grp_waits;"
    "CREATE INDEX grp_waits ON grp(name) WHERE waits_for <> '' OR members_wait <> '';"
    "CREATE INDEX job_warned ON job(changed_at, id)"
    " WHERE state = 'done' AND message <> '';"
    "CREATE INDEX grp_offer ON grp(name) WHERE offer <> '';"
    "CREATE TRIGGER grp_counted AFTER UPDATE OF without_imprint ON grp"
    " WHEN new.without_imprint <> old.without_imprint BEGIN" /**/
    COUNT(
        "'group.without_imprint'",
        "new.without_imprint - old.without_imprint") "END;"

                                                     "CREATE TABLE companion(job "
                                                     "INTEGER NOT NULL REFERENCES "
                                                     "job(id),"
                                                     " position INTEGER NOT NULL, "
                                                     "exposure INTEGER REFERENCES "
                                                     "exposure(id),"
                                                     " input_job INTEGER REFERENCES "
                                                     "job(id), role TEXT NOT NULL, why "
                                                     "TEXT NOT NULL,"
                                                     " PRIMARY KEY(job, position)) "
                                                     "STRICT;"
                                                     "CREATE INDEX companion_exposure "
                                                     "ON companion(exposure)"
                                                     " WHERE exposure IS NOT NULL;"
                                                     "CREATE INDEX companion_from ON "
                                                     "companion(input_job, job)"
                                                     " WHERE input_job IS NOT NULL;"

                                                     "CREATE TRIGGER aid_inserted "
                                                     "AFTER INSERT ON exposure WHEN "
                                                     "new.aid = 1 BEGIN" /**/
    DIRTY_ROUND("new") "END;"                                            /**/
                       "CREATE TRIGGER aid_moved AFTER UPDATE OF state ON exposure"
                       " WHEN new.aid = 1 AND new.state <> old.state BEGIN" /**/
    DIRTY_ROUND(
        "new") "END;" /**/
               "CREATE TRIGGER aid_settled AFTER UPDATE OF state ON job"
               " WHEN new.exposure IS NOT NULL AND new.state <> old.state AND"
               " (new.state IN ('done', 'held', 'quarantined', 'cancelled', "
               "'superseded')"
               " OR old.state IN ('done', 'held', 'quarantined', 'cancelled')) BEGIN"
               " UPDATE grp SET dirty = 1 WHERE dirty = 0 AND name IN (SELECT g.grp"
               " FROM exposure a JOIN exposure g ON g.grating = a.grating"
               " AND g.filter = a.filter AND g.state = 'accepted'"
               " AND (g.program = a.program OR a.role <> 'imprint')"
               " WHERE a.id = new.exposure AND a.aid = 1); END;"
               "PRAGMA user_version = 3;";

int queue_migrate(struct queue *q, int from, struct err *err)
{
    /* renaming a table must not rewrite what refers to it, nor dropping it check that */
    int code =
        sql_exec(q, "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;", err);
    code = code ? code : queue_begin(q, err);
    if (code) {
        return code;
    }
    code = from == 1 ? sql_exec(q, from_1_aside, err) : 0;
    code = code || from >= 2 ? code : sql_exec(q, tables, err);
    code = code || from >= 2 ? code : sql_exec(q, sums, err);
    code = code || from != 1 ? code : sql_exec(q, from_1_rows, err);
    code = code || from >= 3 ? code : sql_exec(q, to_3, err);
    code = code || from >= 4 ? code : sql_exec(q, queue_to_4, err);
    code = code ? code : sql_exec(q, queue_to_5, err);
    if (code) {
        queue_rollback(q);
    } else {
        code = queue_commit(q, err);
    }
    return code ? code
                : sql_exec(q,
                           "PRAGMA legacy_alter_table = OFF;"
                           "PRAGMA foreign_keys = ON;",
                           err);
}
