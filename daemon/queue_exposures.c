#include "daemon/queue_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void queue_read_exposure(sqlite3_stmt *st, void *row)
{
    struct queue_exposure *e = row;
    e->id = sqlite3_column_int64(st, 0);
    sql_text(st, 1, e->sha256, sizeof e->sha256);
    sql_text(st, 2, e->name, sizeof e->name);
    sql_text(st, 3, e->base, sizeof e->base);
    sql_text(st, 4, e->state, sizeof e->state);
    sql_text(st, 5, e->role, sizeof e->role);
    sql_text(st, 6, e->group, sizeof e->group);
    sql_text(st, 7, e->program, sizeof e->program);
    sql_text(st, 8, e->observation, sizeof e->observation);
    sql_text(st, 9, e->visit, sizeof e->visit);
    sql_text(st, 10, e->target, sizeof e->target);
    sql_text(st, 11, e->detector, sizeof e->detector);
    sql_text(st, 12, e->filter, sizeof e->filter);
    sql_text(st, 13, e->grating, sizeof e->grating);
    e->pattern_number = sqlite3_column_int(st, 14);
    e->pattern_total = sqlite3_column_int(st, 15);
    e->bytes = sqlite3_column_int64(st, 16);
    e->accepted_at = sqlite3_column_double(st, 17);
    e->ra = sqlite3_column_double(st, 18);
    e->dec = sqlite3_column_double(st, 19);
    e->pa = sqlite3_column_double(st, 20);
    sql_text(st, 21, e->pattern_type, sizeof e->pattern_type);
    e->aid = sqlite3_column_int(st, 22) != 0;
    e->expstart = sql_real(st, 23);
    e->xtilt = sql_real(st, 24);
    e->ytilt = sql_real(st, 25);
}

int queue_find_content(struct queue *q, const char *sha256, int64_t *ret_id,
                       struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_prepare(
        q, &st, err, "SELECT id FROM exposure WHERE sha256 = ? AND state <> 'gone'",
        "s", sha256);
    return code ? code : sql_one(q, st, ret_id, err);
}

int queue_get_exposure(struct queue *q, int64_t id, struct queue_exposure *ret,
                       struct err *err)
{
    sqlite3_stmt *st;
    struct queue_exposure *e;
    size_t n;
    int code = sql_prepare(
        q, &st, err, "SELECT " QUEUE_EXPOSURE_COLUMNS " FROM exposure WHERE id = ?",
        "i", id);
    code = code ? code : sql_rows(q, st, sizeof *e, queue_read_exposure, &e, &n, err);
    if (code) {
        return code;
    }
    if (n) {
        *ret = *e;
    } else {
        code = err_set(err, ERR_BUG, "queue: no exposure %lld", (long long)id);
    }
    free(e);
    return code;
}

/* The events of a file on its way to `to`, each with its own time. */
static int add_way(struct queue *q, int64_t exposure, const struct queue_file *file,
                   enum file_state to, const char *message, double now, struct err *err)
{
    static const struct queue_file unknown = {.name = "", .settling_at = 0};
    const struct queue_file *f = file ? file : &unknown;
    bool settled = to != FILE_GONE || f->settling_at > 0;
    enum file_state from = settled ? FILE_SETTLING : FILE_SEEN;
    if (!file_may_move(from, to)) {
        return err_set(err, ERR_BUG, "file %s cannot go from %s to %s", f->name,
                       file_state_name(from), file_state_name(to));
    }
    struct queue_event_row e = {
        .exposure = exposure, .file = f->name, .from = "new", .message = ""};
    int code = 0;
    if (f->seen_at > 0) {
        e.to = "seen";
        e.at = f->seen_at;
        code = queue_add_event(q, &e, err);
    }
    if (!code && f->settling_at > 0) {
        e.from = "seen";
        e.to = "settling";
        e.at = f->settling_at;
        code = queue_add_event(q, &e, err);
    }
    e.from = file_state_name(from);
    e.to = file_state_name(to);
    e.message = message;
    e.at = now;
    return code ? code : queue_add_event(q, &e, err);
}

int queue_add_exposure(struct queue *q, const struct queue_exposure *e,
                       const struct queue_file *file, double now, int64_t *ret_id,
                       struct err *err)
{
    sqlite3_stmt *st;
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    code = sql_prepare(
        q, &st, err,
        "INSERT INTO exposure(sha256, name, base, state, role, grp, program,"
        " observation, visit, target, detector, filter, grating, pattern_number,"
        " pattern_total, bytes, accepted_at, changed_at, ra, dec, pa, pattern_type, "
        "aid,"
        " expstart, xtilt, ytilt)"
        " VALUES(?, ?, ?, 'accepted', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?)",
        "ssssssssssssiiidddddsiddd", e->sha256, e->name, e->base, e->role, e->group,
        e->program, e->observation, e->visit, e->target, e->detector, e->filter,
        e->grating, (int64_t)e->pattern_number, (int64_t)e->pattern_total, e->bytes,
        now, now, e->ra, e->dec, e->pa, e->pattern_type, (int64_t)e->aid, e->expstart,
        e->xtilt, e->ytilt);
    code = code ? code : sql_finish(q, st, err);
    int64_t id = sqlite3_last_insert_rowid(q->db);
    code = code ? code : add_way(q, id, file, FILE_ACCEPTED, e->name, now, err);
    code = sql_leave(q, code, err);
    if (!code) {
        *ret_id = id;
    }
    return code;
}

int queue_move_exposure(struct queue *q, int64_t id, enum file_state to,
                        const char *message, double now, struct err *err)
{
    sqlite3_stmt *st;
    struct queue_exposure e;
    int code = queue_get_exposure(q, id, &e, err);
    if (code) {
        return code;
    }
    if (!file_may_move(file_state_of(e.state), to)) {
        return err_set(err, ERR_BUG, "exposure %s cannot go from %s to %s", e.name,
                       e.state, file_state_name(to));
    }
    if ((code = sql_enter(q, err))) {
        return code;
    }
    code = sql_prepare(q, &st, err,
                       "UPDATE exposure SET state = ?, changed_at = ? WHERE id = ?",
                       "sdi", file_state_name(to), now, id);
    code = code ? code : sql_finish(q, st, err);
    struct queue_event_row event = {.exposure = id,
                                    .file = e.name,
                                    .from = e.state,
                                    .to = file_state_name(to),
                                    .message = message,
                                    .at = now};
    code = code ? code : queue_add_event(q, &event, err);
    return sql_leave(q, code, err);
}

int queue_note_file(struct queue *q, int64_t exposure, const struct queue_file *file,
                    const char *to, const char *message, double now, struct err *err)
{
    int code = sql_enter(q, err);
    if (code) {
        return code;
    }
    code = add_way(q, exposure, file, file_state_of(to), message, now, err);
    return sql_leave(q, code, err);
}
