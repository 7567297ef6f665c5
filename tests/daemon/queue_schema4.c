#include "tests/daemon/queue_schema4.h"

#include <check.h>
#include <sqlite3.h>

#include "tests/daemon/queue_schema3.h"

/* What schema 4 added. */
/* clang-format off */
static const char added[] =
    "CREATE TABLE association(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, "
    "name TEXT NOT NULL, state TEXT NOT NULL, recipe TEXT NOT NULL, text TEXT NOT "
    "NULL, accepted_at REAL NOT NULL, changed_at REAL NOT NULL) STRICT;"
    "CREATE INDEX association_name ON association(name);"
    "CREATE INDEX association_state ON association(state, changed_at);"
    "CREATE TABLE association_product(id INTEGER PRIMARY KEY, association INTEGER "
    "NOT NULL REFERENCES association(id), recipe TEXT NOT NULL, name TEXT NOT NULL, "
    "live INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX association_product_live ON association_product(recipe, "
    "name) WHERE live = 1;"
    "CREATE INDEX association_product_leaving ON association_product(association) "
    "WHERE live = 2;"
    "CREATE INDEX association_product_of ON association_product(association);"
    "CREATE TABLE association_member( product INTEGER NOT NULL REFERENCES "
    "association_product(id), position INTEGER NOT NULL, expname TEXT NOT NULL, "
    "named TEXT NOT NULL, base TEXT NOT NULL, role TEXT NOT NULL, PRIMARY "
    "KEY(product, position)) STRICT;"
    "CREATE INDEX association_member_base ON association_member(base);"
    "CREATE INDEX association_member_named ON association_member(named);"
    "ALTER TABLE job ADD COLUMN product TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE grp ADD COLUMN proceed_at REAL NOT NULL DEFAULT 0;"
    "CREATE TRIGGER named_inserted AFTER INSERT ON exposure BEGIN UPDATE grp SET "
    "dirty = 1 WHERE dirty = 0 AND name IN (SELECT p.name FROM association_member m "
    "JOIN association_product p ON p.id = m.product WHERE m.base = new.base AND "
    "p.live = 1 AND p.recipe = 'spec3' UNION SELECT e.grp FROM association_member m "
    "JOIN association_product p ON p.id = m.product JOIN association_member s ON "
    "s.product = p.id JOIN exposure e ON e.base = s.base WHERE m.base = new.base "
    "AND p.live = 1 AND p.recipe = 'spec2' AND s.role = 'science' AND e.state = "
    "'accepted');END;"
    "CREATE TRIGGER named_moved AFTER UPDATE OF state ON exposure WHEN new.state <> "
    "old.state BEGIN UPDATE grp SET dirty = 1 WHERE dirty = 0 AND name IN (SELECT "
    "p.name FROM association_member m JOIN association_product p ON p.id = "
    "m.product WHERE m.base = new.base AND p.live = 1 AND p.recipe = 'spec3' UNION "
    "SELECT e.grp FROM association_member m JOIN association_product p ON p.id = "
    "m.product JOIN association_member s ON s.product = p.id JOIN exposure e ON "
    "e.base = s.base WHERE m.base = new.base AND p.live = 1 AND p.recipe = 'spec2' "
    "AND s.role = 'science' AND e.state = 'accepted');END;"
    "CREATE TRIGGER named_settled AFTER UPDATE OF state ON job WHEN new.exposure IS "
    "NOT NULL AND new.state <> old.state AND (new.state IN ('done', 'held', "
    "'quarantined', 'cancelled', 'superseded') OR old.state IN ('running', 'done', "
    "'held', 'quarantined', 'cancelled')) BEGIN UPDATE grp SET dirty = 1 WHERE "
    "dirty = 0 AND name IN (SELECT p.name FROM association_member m JOIN "
    "association_product p ON p.id = m.product WHERE m.base = new.base AND p.live = "
    "1 AND p.recipe = 'spec3' UNION SELECT e.grp FROM association_member m JOIN "
    "association_product p ON p.id = m.product JOIN association_member s ON "
    "s.product = p.id JOIN exposure e ON e.base = s.base WHERE m.base = new.base "
    "AND p.live = 1 AND p.recipe = 'spec2' AND s.role = 'science' AND e.state = "
    "'accepted');END;"
    "PRAGMA user_version = 4;";
/* clang-format on */

void queue_schema4_write(const char *path)
{
    sqlite3 *db;
    queue_schema3_write(path);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(!sqlite3_exec(db, added, NULL, NULL, NULL), "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}
