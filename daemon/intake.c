#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "daemon/messages.h"
#include "daemon/plan.h"
#include "daemon/service_state.h"

#define RETRY_INTAKE_SECONDS 10.0

bool intake_on_settled(void *user, const struct inbox_file *file)
{
    struct service *s = user;
    return !s->stopping &&
           spool_submit(s->spool, file->name, &file->st, file->last_chance);
}

void intake_on_trouble(void *user, const char *message)
{
    struct service *s = user;
    service_trouble(s, "inbox %s: %s", s->inbox_folder, message);
}

/* One commit: the exposure (or that it came again) and the jobs that follow. */
static int accept_exposure(struct service *s, const struct spool_result *r,
                           bool *ret_twice, struct err *err)
{
    const struct queue_exposure *e = &r->exposure;
    struct queue_file file = {.name = r->name};
    struct queue_exposure known = {0};
    int64_t id = 0;
    int code = queue_begin(s->queue, err);
    if (code) {
        return code;
    }
    code = queue_find_content(s->queue, e->sha256, &id, err);
    if (!code && id) {
        code = queue_get_exposure(s->queue, id, &known, err);
        char message[2 * QUEUE_NAME + 32];
        snprintf(message, sizeof message, "%s has the bytes of %s", e->name,
                 known.name);
        code = code ? code
                    : queue_note_file(s->queue, id, &file, "duplicate", message,
                                      service_now(), err);
    } else if (!code) {
        code = queue_add_exposure(s->queue, e, &file, service_now(), &id, err);
        code = code ? code : plan_exposure(s->queue, id, service_now(), err);
    }
    if (code) {
        queue_rollback(s->queue);
        return code;
    }
    if (!(code = queue_commit(s->queue, err))) {
        *ret_twice = known.id != 0;
        if (known.id && strcmp(known.name, e->name) != 0) {
            spool_forget(s->spool, e->sha256, e->name);
        }
    }
    return code;
}

static void take(struct service *s, const struct spool_result *r)
{
    struct err err = {0};
    bool twice = false;
    if (accept_exposure(s, r, &twice, &err)) {
        service_trouble(s, "cannot accept %s, trying again: %s", r->name, err.message);
        inbox_again(s->inbox, r->name, RETRY_INTAKE_SECONDS);
        return;
    }
    log_event(
        LOG_LEVEL_INFO,
        message_id(twice ? MESSAGE_EXPOSURE_DUPLICATE : MESSAGE_EXPOSURE_ACCEPTED),
        &(struct log_fields){.exposure = r->exposure.name},
        "exposure %s %s (%s, %.12s)", r->name, twice ? "came again" : "accepted",
        r->exposure.role, r->exposure.sha256);
    if (spool_clear(s->spool, r->name, &r->st)) {
        inbox_gone(s->inbox, r->name);
    } else {
        inbox_again(s->inbox, r->name, 0);
    }
}

void intake_on_spooled(void *user, const struct spool_result *r)
{
    struct service *s = user;
    struct err err = {0};
    struct queue_file file = {.name = r->name};
    switch (r->outcome) {
    case SPOOL_STORED:
        take(s, r);
        break;
    case SPOOL_CHANGED:
        inbox_again(s->inbox, r->name, 0);
        break;
    case SPOOL_GONE:
        inbox_gone(s->inbox, r->name);
        break;
    case SPOOL_INCOMPLETE:
        log_info("%s is not complete yet: %s", r->name, r->err.message);
        inbox_incomplete(s->inbox, r->name);
        break;
    case SPOOL_REJECTED:
        log_event(LOG_LEVEL_WARNING, message_id(MESSAGE_FILE_REJECTED),
                  &(struct log_fields){.exposure = r->name}, "rejected: %s",
                  r->err.message);
        if (queue_note_file(s->queue, 0, &file, "rejected", r->err.message,
                            service_now(), &err)) {
            service_trouble(s, "cannot record that %s was rejected: %s", r->name,
                            err.message);
        }
        inbox_gone(s->inbox, r->name);
        break;
    case SPOOL_TROUBLE:
        service_trouble(s, "cannot take in %s, trying again: %s", r->name,
                        r->err.message);
        inbox_again(s->inbox, r->name, RETRY_INTAKE_SECONDS);
        break;
    }
    service_dispatch(s);
}
