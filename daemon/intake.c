#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/messages.h"
#include "daemon/plan.h"
#include "daemon/queue_associations.h"
#include "daemon/reserve.h"
#include "daemon/rules.h"
#include "daemon/service_state.h"

/*
 * From settled files to rows: room is claimed, the spool copies, one transaction records a
 * whole batch, then the names go.
 */

#define RETRY_INTAKE_SECONDS 10.0 /* or retry_seconds, if that is less */
#define NOTES_AT_ONCE 500

/* What became of a file that is no exposure, until it is in a row. */
struct note {
    char name[NAME_MAX];
    const char *to; /* "gone", "rejected" */
    double seen_at, settling_at;
    char *message;
    struct note *next;
};

struct intake {
    struct reserve *reserve;
    struct note *notes, **notes_end;
    char waits[RESERVE_WHY + NAME_MAX + 10]; /* a file that is too large for the room */
    double waits_until;                      /* when that is old news; s since 1970 */
};

static double real(const struct service *s, const char *key)
{
    return params_real(s->config->values, key);
}

/* ---- room ---- */

const char *intake_blocked(const struct service *s)
{
    const struct intake *in = s->intake;
    const char *why = in ? reserve_why(in->reserve) : "";
    return *why || !in ? why : service_now() < in->waits_until ? in->waits : "";
}

const char *intake_reserve_low(const struct service *s)
{
    return s->intake ? reserve_why(s->intake->reserve) : "";
}

static void look_for_room(struct service *s)
{
    struct reserve *r = s->intake->reserve;
    const struct params *v = s->config->values;
    bool was_low = *reserve_why(r);
    reserve_set(r, (int64_t)params_int(v, "reserve_mb") << 20,
                params_int(v, "reserve_inodes"));
    bool room = reserve_look(r);
    if (!room && !was_low) {
        log_event(LOG_LEVEL_WARNING, message_id(MESSAGE_TROUBLE), NULL,
                  "below the reserve: nothing is taken in and no job starts: %s",
                  reserve_why(r));
    } else if (room && was_low) {
        log_info("there is room again: files are taken in and jobs start");
    }
    if (room) {
        inbox_kick(s->inbox);
    }
}

/* There is room, but not for this one. */
static void note_large(struct service *s, const struct inbox_file *file,
                       const char *why)
{
    struct intake *in = s->intake;
    char shown[NAME_MAX];
    bool is_news = service_now() >= in->waits_until;
    path_show(file->name, shown, sizeof shown);
    snprintf(in->waits, sizeof in->waits, "%s waits: %s", shown, why);
    in->waits_until = service_now() + 2 * RETRY_INTAKE_SECONDS;
    if (is_news) {
        log_event(LOG_LEVEL_WARNING, message_id(MESSAGE_TROUBLE),
                  &(struct log_fields){.exposure = shown}, "%s", in->waits);
    }
}

/* What a file will take in the spool. */
static int64_t bytes_of(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_size <= SPOOL_MAX_BYTES ? st->st_size : 0;
}

static enum inbox_answer on_settled(void *user, const struct inbox_file *file)
{
    struct service *s = user;
    char why[RESERVE_WHY];
    int64_t bytes = bytes_of(&file->st);
    if (s->stopping || *intake_reserve_low(s)) {
        return INBOX_FULL;
    }
    if (!reserve_claim(s->intake->reserve, bytes, why)) {
        note_large(s, file, why);
        return INBOX_LATER;
    }
    if (!spool_submit(s->spool, file)) {
        reserve_release(s->intake->reserve, bytes);
        return INBOX_FULL;
    }
    return INBOX_TAKEN;
}

static void on_trouble(void *user, const char *message)
{
    struct service *s = user;
    service_trouble(s, "inbox %s: %s", s->inbox_folder, message);
}

/* ---- notes ---- */

static void add_note(struct intake *in, const char *name, const char *to,
                     double seen_at, double settling_at, const char *message)
{
    struct note *note = mem_calloc(1, sizeof *note, NULL);
    if (!note) {
        return; /* only the event is lost: the file is where it should be */
    }
    path_show(name, note->name, sizeof note->name);
    note->to = to;
    note->seen_at = seen_at;
    note->settling_at = settling_at;
    note->message = mem_strdup(message, NULL);
    *in->notes_end = note;
    in->notes_end = &note->next;
}

static void on_gone(void *user, const struct inbox_file *file)
{
    struct service *s = user;
    add_note(s->intake, file->name, "gone", file->seen_at, file->settling_at,
             "left the inbox by itself");
}

/* Forget the notes that are in rows: those before `end`. */
static void drop_notes(struct intake *in, const struct note *end)
{
    while (in->notes && in->notes != end) {
        struct note *note = in->notes;
        in->notes = note->next;
        free(note->message);
        free(note);
    }
    if (!in->notes) {
        in->notes_end = &in->notes;
    }
}

/* Within a transaction; *ret_end: the first note that is not in it. */
static int record_notes(struct service *s, const struct note **ret_end, struct err *err)
{
    const struct note *note = s->intake->notes;
    int code = 0;
    for (int n = 0; note && n < NOTES_AT_ONCE && !code; n++) {
        struct queue_file file = {.name = note->name,
                                  .seen_at = note->seen_at,
                                  .settling_at = note->settling_at};
        code = queue_note_file(s->queue, 0, &file, note->to,
                               note->message ? note->message : "", service_now(), err);
        note = note->next;
    }
    *ret_end = note;
    return code;
}

static void flush_notes(struct service *s)
{
    const struct note *end;
    struct err err = {0};
    if (!s->intake->notes) {
        return;
    }
    int code = queue_begin(s->queue, &err);
    if (!code && (code = record_notes(s, &end, &err))) {
        queue_rollback(s->queue);
    }
    if (!code && !(code = queue_commit(s->queue, &err))) {
        drop_notes(s->intake, end);
    }
    if (code) {
        service_trouble(s, "cannot record what became of files, trying again: %s",
                        err.message);
    }
}

/* ---- a batch ---- */

enum fate { FATE_FAILED, FATE_NEW, FATE_KNOWN };

struct taken { /* what became of one stored file */
    enum fate fate;
    bool forget; /* its copy has another name than the one that is known */
    struct err err;
};

/* The association, or that it came again. */
static int record_association(struct service *s, const struct spool_result *r,
                              struct taken *ret, struct err *err)
{
    struct queue_file file = {
        .name = r->name, .seen_at = r->seen_at, .settling_at = r->settling_at};
    int64_t id = 0;
    int code = queue_find_association(s->queue, r->exposure.sha256, &id, err);
    ret->fate = id ? FATE_KNOWN : FATE_NEW;
    ret->forget = false;
    if (code) {
        return code;
    }
    return id ? queue_note_file(s->queue, 0, &file, "duplicate",
                                "an association with these bytes came before",
                                service_now(), err)
              : queue_add_association(s->queue, &r->association, r->exposure.sha256,
                                      r->text, &file, service_now(), &id, err);
}

/* The exposure, or that it came again, and the jobs that follow. */
static int record_one(struct service *s, const struct spool_result *r,
                      struct taken *ret, struct err *err)
{
    struct queue_exposure own = r->exposure, *e = &own;
    struct queue_file file = {
        .name = r->name, .seen_at = r->seen_at, .settling_at = r->settling_at};
    int64_t id = 0;
    int code = queue_find_content(s->queue, e->sha256, &id, err);
    if (code) {
        return code;
    }
    ret->fate = id ? FATE_KNOWN : FATE_NEW;
    if (id) {
        struct queue_exposure known = {0};
        char message[2 * QUEUE_NAME + 32];
        code = queue_get_exposure(s->queue, id, &known, err);
        snprintf(message, sizeof message, "%.255s has the bytes of %.255s", e->name,
                 known.name);
        code = code ? code
                    : queue_note_file(s->queue, id, &file, "duplicate", message,
                                      service_now(), err);
        ret->forget = strcmp(known.name, e->name) != 0;
    } else {
        code = rules_group(s->config, e, err);
        code = code ? code
                    : queue_add_exposure(s->queue, e, &file, service_now(), &id, err);
        struct plan_rules rules;
        rules_of(s->config, &rules);
        code = code ? code : plan_exposure(s->queue, &rules, id, service_now(), err);
        ret->forget = false;
    }
    return code;
}

/* All in one transaction, each for itself: if the row of one is refused the others stand.
 * A disk or memory that refuses ends the batch. */
static int record_batch(struct service *s, const struct spool_result *const *results,
                        struct taken *taken, size_t n, struct err *err)
{
    const struct note *end = NULL;
    int code = queue_begin(s->queue, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n && !code; i++) {
        bool is_association = results[i]->outcome == SPOOL_READ;
        if (results[i]->outcome != SPOOL_STORED && !is_association) {
            continue;
        }
        struct err *own = &taken[i].err;
        int one = queue_enter(s->queue, own);
        one = one              ? one
              : is_association ? record_association(s, results[i], &taken[i], own)
                               : record_one(s, results[i], &taken[i], own);
        one = queue_leave(s->queue, one, own);
        if (one) {
            taken[i].fate = FATE_FAILED;
        }
        if (one == ERR_IO || one == ERR_NOMEM) {
            *err = *own;
            code = one;
        }
    }
    code = code ? code : record_notes(s, &end, err);
    if (code) {
        queue_rollback(s->queue);
    } else if (!(code = queue_commit(s->queue, err))) {
        drop_notes(s->intake, end);
    }
    for (size_t i = 0; i < n && code; i++) {
        taken[i].fate = FATE_FAILED;
        taken[i].err = *err;
    }
    return code;
}

static double retry_seconds(const struct service *s)
{
    double wait = params_real(s->config->values, "retry_seconds");
    return wait < RETRY_INTAKE_SECONDS ? wait : RETRY_INTAKE_SECONDS;
}

static void tell_taken(const struct spool_result *r, bool is_new)
{
    bool is_association = r->outcome == SPOOL_READ;
    log_event(
        LOG_LEVEL_INFO,
        message_id(is_new ? MESSAGE_EXPOSURE_ACCEPTED : MESSAGE_EXPOSURE_DUPLICATE),
        &(struct log_fields){.exposure = r->shown}, "%s %s %s (%s, %.12s)",
        is_association ? "association" : "exposure", r->shown,
        is_new ? "accepted" : "came again",
        is_association ? r->association.recipe : r->exposure.role, r->exposure.sha256);
}

/* A member that no recipe takes may be a slip of the pen. */
static void tell_unused(const struct spool_result *r)
{
    const struct association *a = &r->association;
    for (size_t i = 0; i < a->n_products; i++) {
        const struct association_product *p = &a->products[i];
        for (size_t k = 0; k < p->n_members; k++) {
            const struct association_member *m = &p->members[k];
            if (m->role == ASSOCIATION_UNUSED) {
                log_event(LOG_LEVEL_WARNING, NULL,
                          &(struct log_fields){.exposure = r->shown},
                          "association %s: product %.200s: member %.200s is left out: "
                          "%s does not use exptype '%s'",
                          r->shown, p->name, m->expname, a->recipe, m->exptype);
            }
        }
    }
}

/* Its row is committed: the name goes. */
static void clear(struct service *s, const struct spool_result *r,
                  const struct taken *taken)
{
    struct err err = {0};
    tell_taken(r, taken->fate == FATE_NEW);
    if (r->outcome == SPOOL_READ && taken->fate == FATE_NEW) {
        tell_unused(r);
    }
    if (taken->forget &&
        spool_forget(s->spool, r->exposure.sha256, r->exposure.name, &err)) {
        service_trouble(s, "%s, trying again", err.message);
        inbox_again(s->inbox, r->name, retry_seconds(s));
        return;
    }
    int code = inbox_clear(s->inbox, r->name, &r->st, &err);
    if (!code) {
        inbox_gone(s->inbox, r->name);
    } else if (code == ERR_INPUT) {
        inbox_again(s->inbox, r->name, 0);
    } else {
        service_trouble(s, "%s is accepted, but %s", r->shown, err.message);
        inbox_keep(s->inbox, r->name);
    }
}

static void finish_one(struct service *s, const struct spool_result *r,
                       const struct taken *taken)
{
    switch (r->outcome) {
    case SPOOL_STORED:
    case SPOOL_READ:
        if (taken->fate != FATE_FAILED) {
            clear(s, r, taken);
            return;
        }
        service_trouble(s, "cannot accept %s, trying again: %s", r->shown,
                        taken->err.message);
        inbox_again(s->inbox, r->name, retry_seconds(s));
        break;
    case SPOOL_CHANGED:
        inbox_again(s->inbox, r->name, 0);
        break;
    case SPOOL_INCOMPLETE:
        log_info("%s is not complete yet: %s", r->shown, r->err.message);
        inbox_incomplete(s->inbox, r->name);
        break;
    case SPOOL_GONE:
    case SPOOL_REJECTED:
        inbox_gone(s->inbox, r->name);
        break;
    case SPOOL_TROUBLE:
        service_trouble(s, "cannot take in %s, trying again: %s", r->shown,
                        r->err.message);
        inbox_again(s->inbox, r->name, retry_seconds(s));
        break;
    }
}

/* The notes of a batch go into its transaction. */
static void note_batch(struct service *s, const struct spool_result *const *results,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct spool_result *r = results[i];
        reserve_release(s->intake->reserve, bytes_of(&r->st));
        if (r->outcome == SPOOL_REJECTED) {
            log_event(LOG_LEVEL_WARNING, message_id(MESSAGE_FILE_REJECTED),
                      &(struct log_fields){.exposure = r->shown}, "rejected: %s",
                      r->err.message);
            add_note(s->intake, r->name, "rejected", r->seen_at, r->settling_at,
                     r->err.message);
        } else if (r->outcome == SPOOL_GONE) {
            add_note(s->intake, r->name, "gone", r->seen_at, r->settling_at,
                     "left the inbox by itself");
        }
    }
}

static void on_spooled(void *user, const struct spool_result *const *results, size_t n)
{
    struct service *s = user;
    struct err err = {0};
    struct taken *taken = mem_calloc(n, sizeof *taken, &err);
    note_batch(s, results, n);
    if (taken) {
        record_batch(s, results, taken, n, &err);
    }
    for (size_t i = 0; i < n; i++) {
        struct taken failed = {.err = err};
        finish_one(s, results[i], taken ? &taken[i] : &failed);
    }
    free(taken);
    inbox_kick(s->inbox);
    service_dispatch(s);
}

/* ---- start, time, end ---- */

void intake_tick(struct service *s)
{
    look_for_room(s);
    flush_notes(s);
}

int intake_open(struct service *s, struct err *err)
{
    const struct params *v = s->config->values;
    const struct reserve_place places[] = {{"spool_folder", s->spool_folder},
                                           {"products_folder", s->products_folder},
                                           {"rejected_folder", s->rejected_folder}};
    struct intake *in = mem_calloc(1, sizeof *in, err);
    if (!in) {
        return ERR_NOMEM;
    }
    in->notes_end = &in->notes;
    int code = reserve_open(places, 3, (int64_t)params_int(v, "reserve_mb") << 20,
                            params_int(v, "reserve_inodes"), &in->reserve, err);
    if (code) {
        free(in);
        return code;
    }
    s->intake = in;
    struct spool_options spool = {.folder = s->spool_folder,
                                  .inbox = s->inbox_folder,
                                  .rejected = s->rejected_folder,
                                  .threads = (int)params_int(v, "intake_threads"),
                                  .done = on_spooled,
                                  .user = s};
    struct inbox_options inbox = {.folder = s->inbox_folder,
                                  .settle_seconds = real(s, "settle_seconds"),
                                  .incomplete_seconds = real(s, "incomplete_seconds"),
                                  .rescan_seconds = real(s, "rescan_seconds"),
                                  .settled = on_settled,
                                  .gone = on_gone,
                                  .trouble = on_trouble,
                                  .user = s};
    code = spool_open(&s->loop, &spool, &s->spool, err);
    code = code ? code : inbox_open(&s->loop, &inbox, &s->inbox, err);
    if (!code) {
        look_for_room(s);
    }
    return code;
}

void intake_close(struct service *s)
{
    inbox_close(s->inbox);
    spool_close(s->spool);
    s->inbox = NULL;
    s->spool = NULL;
    if (s->intake) {
        flush_notes(s);
        drop_notes(s->intake, NULL);
        reserve_close(s->intake->reserve);
        free(s->intake);
        s->intake = NULL;
    }
}
