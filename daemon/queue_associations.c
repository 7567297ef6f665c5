#include "daemon/queue_associations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/queue_sql.h"

/* ---- looking ---- */

int queue_find_association(struct queue *q, const char *sha256, int64_t *ret_id,
                           struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, "SELECT id FROM association WHERE sha256 = ?",
                           "s", sha256);
    return code ? code : sql_one(q, st, ret_id, err);
}

static void read_association(sqlite3_stmt *st, void *row)
{
    struct queue_association *a = row;
    a->id = sqlite3_column_int64(st, 0);
    sql_text(st, 1, a->sha256, sizeof a->sha256);
    sql_text(st, 2, a->name, sizeof a->name);
    sql_text(st, 3, a->state, sizeof a->state);
    sql_text(st, 4, a->recipe, sizeof a->recipe);
    a->accepted_at = sqlite3_column_double(st, 5);
}

int queue_get_association(struct queue *q, const char *name,
                          struct queue_association *ret, struct err *err)
{
    sqlite3_stmt *st;
    struct queue_association *a;
    size_t n;
    int code = sql_prepare(q, &st, err,
                           "SELECT id, sha256, name, state, recipe, accepted_at"
                           " FROM association WHERE name = ? ORDER BY id DESC LIMIT 1",
                           "s", name);
    code = code ? code : sql_rows(q, st, sizeof *a, read_association, &a, &n, err);
    if (code) {
        return code;
    }
    if (n) {
        *ret = *a;
    } else {
        code = err_set(err, ERR_INPUT, "no association '%.200s'", name);
    }
    free(a);
    return code;
}

static void read_named_row(sqlite3_stmt *st, void *row)
{
    struct queue_named_row *r = row;
    sql_text(st, 0, r->product, sizeof r->product);
    r->live = sqlite3_column_int(st, 1) != 0;
    sql_text(st, 2, r->expname, sizeof r->expname);
    sql_text(st, 3, r->role, sizeof r->role);
    sql_text(st, 4, r->exposure, sizeof r->exposure);
    sql_text(st, 5, r->job, sizeof r->job);
    sql_text(st, 6, r->state, sizeof r->state);
}

/* The exposure that a member m is: the one that is accepted, else the last that was. */
#define EXPOSURE_OF_MEMBER                                                             \
    " LEFT JOIN exposure e ON e.id = coalesce((SELECT max(x.id) FROM exposure x"       \
    " WHERE x.base = m.base AND x.state = 'accepted'), (SELECT max(x.id)"              \
    " FROM exposure x WHERE x.base = m.base AND x.state = 'gone'))"                    \
    " LEFT JOIN job j ON j.exposure = e.id AND j.state <> 'superseded'"

int queue_association_members(struct queue *q, int64_t association, size_t limit,
                              struct queue_named_row **ret, size_t *ret_n,
                              struct err *err)
{
    sqlite3_stmt *st;
    int code =
        sql_prepare(q, &st, err,
                    "SELECT p.name, p.live, m.expname, m.role, e.name, j.name,"
                    " j.state FROM association_product p"
                    " JOIN association_member m ON m.product = p.id" EXPOSURE_OF_MEMBER
                    " WHERE p.association = ?"
                    " ORDER BY p.id, m.position LIMIT ?",
                    "ii", association, (int64_t)limit);
    return code ? code : sql_rows(q, st, sizeof **ret, read_named_row, ret, ret_n, err);
}

/* ---- a new one ---- */

/* Groups that the products of an association concern, from now on or no more. */
static int mark(struct queue *q, int64_t association, struct err *err)
{
    static const char *const sql[] = {
        "INSERT INTO grp(name) SELECT p.name FROM association_product p"
        " WHERE p.association = ? AND p.recipe = 'spec3'"
        " ON CONFLICT(name) DO UPDATE SET dirty = 1 WHERE dirty = 0",
        "UPDATE grp SET dirty = 1 WHERE dirty = 0 AND name IN (SELECT e.grp"
        " FROM association_product p JOIN association_member m ON m.product = p.id"
        " JOIN exposure e ON e.base = m.base WHERE p.association = ?)"};
    int code = 0;
    for (size_t i = 0; i < sizeof sql / sizeof *sql && !code; i++) {
        sqlite3_stmt *st;
        code = sql_prepare(q, &st, err, sql[i], "i", association);
        code = code ? code : sql_finish(q, st, err);
    }
    return code;
}

#define RESOLVE(MEMBERS)                                                               \
    "UPDATE association_member AS m SET base = n.base FROM (SELECT o.product,"         \
    " o.position, coalesce((SELECT s.base FROM association_product d"                  \
    " JOIN association_member s ON s.product = d.id WHERE d.recipe = 'spec2'"          \
    " AND d.live = 1 AND d.name = o.named AND s.role = 'science'), o.named) AS base"   \
    " FROM " MEMBERS ") AS n WHERE m.product = n.product"                              \
    " AND m.position = n.position AND m.base <> n.base"

/* Members that are named as products of spec2 associations: whose exposures they are,
 * once this association is there and others go. The groups are marked if any changes. */
static int resolve(struct queue *q, const char *recipe, int64_t association,
                   struct err *err)
{
    sqlite3_stmt *st;
    int code =
        !strcmp(recipe, "spec3")
            ? sql_prepare(q, &st, err,
                          RESOLVE("association_product p JOIN association_member o"
                                  " ON o.product = p.id WHERE p.association = ?"),
                          "i", association)
            : sql_prepare(q, &st, err,
                          RESOLVE("association_member o JOIN association_product p"
                                  " ON p.id = o.product WHERE p.recipe = 'spec3'"
                                  " AND p.live = 1 AND o.named IN (SELECT name FROM"
                                  " association_product WHERE association = ?"
                                  " UNION ALL SELECT name FROM association_product"
                                  " WHERE live = 2)"),
                          "i", association);
    code = code ? code : sql_finish(q, st, err);
    if (!code && sqlite3_changes(q->db) > 0 && strcmp(recipe, "spec3") != 0) {
        code = queue_plan_anew(q, err);
    }
    return code;
}

struct old { /* an association that loses products */
    int64_t id;
    char name[QUEUE_NAME];
};

static void read_old(sqlite3_stmt *st, void *row)
{
    struct old *o = row;
    o->id = sqlite3_column_int64(st, 0);
    sql_text(st, 1, o->name, sizeof o->name);
}

/* If nothing of it is live any more. */
static int supersede(struct queue *q, const struct old *o, const char *by, double now,
                     struct err *err)
{
    sqlite3_stmt *st;
    char why[QUEUE_NAME + 40];
    int code = sql_prepare(q, &st, err,
                           "UPDATE association SET state = 'superseded', changed_at = ?"
                           " WHERE id = ? AND state = 'accepted' AND NOT EXISTS"
                           " (SELECT 1 FROM association_product p"
                           " WHERE p.association = association.id AND p.live = 1)",
                           "di", now, o->id);
    code = code ? code : sql_finish(q, st, err);
    if (code || !sqlite3_changes(q->db)) {
        return code;
    }
    snprintf(why, sizeof why, "%.200s took its place", by);
    struct queue_event_row e = {.file = o->name,
                                .from = "accepted",
                                .to = "superseded",
                                .message = why,
                                .at = now};
    return queue_add_event(q, &e, err);
}

/* What was there under the file's name or the names of its products is to go (live = 2):
 * the groups that it concerned are marked. */
static int push_out(struct queue *q, const struct association *a, const char *file,
                    struct old **ret, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "UPDATE association_product SET live = 2 WHERE live = 1"
                           " AND association IN (SELECT id FROM association"
                           " WHERE name = ? AND state = 'accepted')",
                           "s", file);
    code = code ? code : sql_finish(q, st, err);
    for (size_t i = 0; i < a->n_products && !code; i++) {
        code = sql_prepare(q, &st, err,
                           "UPDATE association_product SET live = 2 WHERE live = 1"
                           " AND recipe = ? AND name = ?",
                           "ss", a->recipe, a->products[i].name);
        code = code ? code : sql_finish(q, st, err);
    }
    code = code ? code
                : sql_prepare(q, &st, err,
                              "SELECT o.id, o.name FROM association_product p"
                              " JOIN association o ON o.id = p.association"
                              " WHERE p.live = 2 GROUP BY p.association",
                              "");
    code = code ? code : sql_rows(q, st, sizeof **ret, read_old, ret, ret_n, err);
    for (size_t i = 0; !code && i < *ret_n; i++) {
        code = mark(q, (*ret)[i].id, err);
    }
    return code;
}

/* It goes. */
static int end(struct queue *q, const struct old *old, size_t n, const char *by,
               double now, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err, "UPDATE association_product SET live = 0 WHERE live = 2", "");
    code = code ? code : sql_finish(q, st, err);
    for (size_t i = 0; i < n && !code; i++) {
        code = supersede(q, &old[i], by, now, err);
    }
    return code;
}

static int insert_members(struct queue *q, const struct association_product *p,
                          int64_t product, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < p->n_members && !code; i++) {
        sqlite3_stmt *st;
        const struct association_member *m = &p->members[i];
        if (m->role == ASSOCIATION_UNUSED) {
            continue;
        }
        code = sql_prepare(q, &st, err,
                           "INSERT INTO association_member(product, position, expname,"
                           " named, base, role) VALUES(?1, ?2, ?3, ?4, ?4, ?5)",
                           "iisss", product, (int64_t)i + 1, m->expname, m->base,
                           association_role_name(m->role));
        code = code ? code : sql_finish(q, st, err);
    }
    return code;
}

static int insert(struct queue *q, const struct association *a, const char *sha256,
                  const char *text, const char *file, double now, int64_t *ret_id,
                  struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "INSERT INTO association(sha256, name, state, recipe, text,"
                           " accepted_at, changed_at)"
                           " VALUES(?, ?, 'accepted', ?, ?, ?, ?)",
                           "ssssdd", sha256, file, a->recipe, text, now, now);
    code = code ? code : sql_finish(q, st, err);
    *ret_id = sqlite3_last_insert_rowid(q->db);
    for (size_t i = 0; i < a->n_products && !code; i++) {
        code = sql_prepare(q, &st, err,
                           "INSERT INTO association_product(association, recipe, name,"
                           " live) VALUES(?, ?, ?, 1)",
                           "iss", *ret_id, a->recipe, a->products[i].name);
        code = code ? code : sql_finish(q, st, err);
        code = code ? code
                    : insert_members(q, &a->products[i],
                                     sqlite3_last_insert_rowid(q->db), err);
    }
    return code;
}

int queue_add_association(struct queue *q, const struct association *a,
                          const char *sha256, const char *text,
                          const struct queue_file *file, double now, int64_t *ret_id,
                          struct err *err)
{
    char message[QUEUE_NAME + 60];
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    snprintf(message, sizeof message, "%s association of %zu product%s: %.200s%s",
             a->recipe, a->n_products, a->n_products == 1 ? "" : "s",
             a->products[0].name, a->n_products == 1 ? "" : ", ...");
    struct old *old = NULL;
    size_t n = 0;
    code = push_out(q, a, file->name, &old, &n, err);
    code = code ? code : insert(q, a, sha256, text, file->name, now, ret_id, err);
    code = code ? code : resolve(q, a->recipe, *ret_id, err);
    code = code ? code : end(q, old, n, file->name, now, err);
    code = code ? code : mark(q, *ret_id, err);
    code = code ? code : queue_note_file(q, 0, file, "accepted", message, now, err);
    free(old);
    return sql_leave(q, code, err);
}

/* ---- groups ---- */

static void read_named(sqlite3_stmt *st, void *row)
{
    struct queue_named *n = row;
    queue_read_member(st, &n->here);
    sql_text(st, QUEUE_MEMBER_WIDTH, n->expname, sizeof n->expname);
    sql_text(st, QUEUE_MEMBER_WIDTH + 1, n->role, sizeof n->role);
    sql_text(st, QUEUE_MEMBER_WIDTH + 2, n->file, sizeof n->file);
    n->at = sqlite3_column_double(st, QUEUE_MEMBER_WIDTH + 3);
    n->of = sqlite3_column_int64(st, QUEUE_MEMBER_WIDTH + 4);
    sql_text(st, QUEUE_MEMBER_WIDTH + 5, n->product, sizeof n->product);
    sql_text(st, QUEUE_MEMBER_WIDTH + 6, n->grating, sizeof n->grating);
    sql_text(st, QUEUE_MEMBER_WIDTH + 7, n->filter, sizeof n->filter);
    sql_text(st, QUEUE_MEMBER_WIDTH + 8, n->program, sizeof n->program);
    n->position = sqlite3_column_int64(st, QUEUE_MEMBER_WIDTH + 9);
}

#define NAMED_COLUMNS                                                                  \
    ", m.expname, m.role, a.name, a.accepted_at, s.id, CASE p.name WHEN s.base THEN "  \
    "''"                                                                               \
    " ELSE p.name END, e.grating, e.filter, e.program, m.position"

/* The spec3 product of the group's name. */
static int load_spec3(struct queue *q, struct queue_group *g, int64_t newest,
                      struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err,
        "SELECT " QUEUE_MEMBER_COLUMNS(
            " CASE m.role WHEN 'science' THEN EXISTS (SELECT 1 FROM job_input i"
            " WHERE i.input_job = j.id AND i.job = ?1) ELSE EXISTS (SELECT 1"
            " FROM companion c WHERE c.input_job = j.id AND c.job = ?1) END")
            NAMED_COLUMNS
        " FROM association_product p"
        " JOIN association a ON a.id = p.association"
        " JOIN association_member m ON m.product = p.id"
        " LEFT JOIN exposure s ON s.id = 0" EXPOSURE_OF_MEMBER
        " WHERE p.recipe = 'spec3' AND p.live = 1 AND p.name = ?2 ORDER BY m.position",
        "is", newest, g->name);
    return code ? code
                : sql_rows(q, st, sizeof *g->named, read_named, &g->named, &g->n_named,
                           err);
}

/* What the newest spec3 has read that its association does not name any more. */
static int load_dropped(struct queue *q, struct queue_group *g, int64_t newest,
                        struct err *err)
{
    sqlite3_stmt *st;
    int64_t n = 0;
    int code = sql_prepare(
        q, &st, err,
        "SELECT count(*) FROM (SELECT input_job, 'science' AS role FROM job_input"
        " WHERE job = ?1 UNION ALL SELECT input_job, role FROM companion"
        " WHERE job = ?1) subquery JOIN job j ON j.id = subquery.input_job WHERE NOT "
        "EXISTS"
        " (SELECT 1 FROM association_product p JOIN association_member m"
        " ON m.product = p.id WHERE p.recipe = 'spec3' AND p.live = 1 AND p.name = ?2"
        " AND m.base = j.base AND m.role = subquery.role)",
        "is", newest, g->name);
    code = code ? code : sql_one(q, st, &n, err);
    g->n_dropped = (size_t)n;
    return code;
}

/* Exposure by exposure, each in the order of its file. */
static int by_exposure(const void *a, const void *b)
{
    const struct queue_named *x = a, *y = b;
    return x->of != y->of ? (x->of > y->of) - (x->of < y->of)
                          : (x->position > y->position) - (x->position < y->position);
}

/* The spec2 products of the group's exposures; the newest of each. A product that names
 * nothing beside its exposure has one row without a role. */
static int load_spec2(struct queue *q, struct queue_group *g, struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err,
        "SELECT " QUEUE_MEMBER_COLUMNS(" 0") NAMED_COLUMNS
        " FROM exposure s JOIN association_product p ON p.id = (SELECT max(l.id)"
        " FROM association_member n JOIN association_product l ON l.id = n.product"
        " WHERE n.base = s.base AND n.role = 'science' AND l.recipe = 'spec2'"
        " AND l.live = 1) JOIN association a ON a.id = p.association"
        " LEFT JOIN association_member m ON m.product = p.id AND m.role <> "
        "'science'" EXPOSURE_OF_MEMBER " WHERE s.grp = ? AND s.state = 'accepted'",
        "s", g->name);
    code = code ? code
                : sql_rows(q, st, sizeof *g->taken, read_named, &g->taken, &g->n_taken,
                           err);
    if (!code) {
        qsort(g->taken, g->n_taken, sizeof *g->taken, by_exposure);
    }
    return code;
}

int queue_load_named(struct queue *q, struct queue_group *g, int64_t newest_spec3,
                     struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err, "SELECT proceed_at FROM grp WHERE name = ?",
                           "s", g->name);
    if (code) {
        return code;
    }
    g->proceed_at = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_double(st, 0) : 0;
    sql_done(q, st);
    code = load_spec3(q, g, newest_spec3, err);
    code = code || !g->n_named || !newest_spec3 ? code
                                                : load_dropped(q, g, newest_spec3, err);
    for (size_t i = 0; i < g->n_named && !*g->program;
         i++) { /* no exposure of its own */
        memcpy(g->program, g->named[i].program, sizeof g->program);
    }
    return code ? code : load_spec2(q, g, err);
}

int queue_proceed(struct queue *q, const char *group, double at, bool *ret_known,
                  struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(q, &st, err,
                           "UPDATE grp SET proceed_at = ?1, dirty = max(dirty, ?1 > 0)"
                           " WHERE name = ?2",
                           "ds", at, group);
    code = code ? code : sql_finish(q, st, err);
    *ret_known = !code && sqlite3_changes(q->db) > 0;
    return code;
}

/* ---- retention ---- */

static void read_id(sqlite3_stmt *st, void *row)
{
    *(int64_t *)row = sqlite3_column_int64(st, 0);
}

int queue_prune_associations(struct queue *q, double before, size_t limit,
                             size_t *ret_n, struct err *err)
{
    static const char *const rows_of_one[] = {
        "DELETE FROM association_member WHERE product IN (SELECT id FROM"
        " association_product WHERE association = ?)",
        "DELETE FROM association_product WHERE association = ?",
        "DELETE FROM association WHERE id = ?"};
    sqlite3_stmt *st;
    int64_t *ids;
    int code = sql_prepare(q, &st, err,
                           "SELECT id FROM association WHERE state = 'superseded'"
                           " AND changed_at < ? LIMIT ?",
                           "di", before, (int64_t)limit);
    code = code ? code : sql_rows(q, st, sizeof *ids, read_id, &ids, ret_n, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < *ret_n && !code; i++) {
        for (size_t k = 0; k < sizeof rows_of_one / sizeof *rows_of_one && !code; k++) {
            code = sql_prepare(q, &st, err, rows_of_one[k], "i", ids[i]);
            code = code ? code : sql_finish(q, st, err);
        }
    }
    free(ids);
    return code;
}
