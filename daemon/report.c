#include "daemon/report.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/report_parts.h"
#include "daemon/service_state.h"

/* BESIDE: takes long, so it is answered by ifud --answer and not by a running daemon. */
enum needs { JOB = 1, OWNER = 2, LIVE = 4, BESIDE = 8 };

static const struct verb {
    const char *name;
    report_maker make;
    int needs;
} verbs[] = {
    {"status", report_status, 0},
    {"show", report_show, JOB},
    {"list", report_list, 0},
    {"events", report_events, 0},
    {"retry", report_move, OWNER | LIVE},
    {"release", report_move, OWNER | LIVE},
    {"hold", report_move, OWNER | LIVE},
    {"cancel", report_move, OWNER | LIVE},
    {"quarantine", report_move, OWNER | LIVE},
    {"priority", report_move, OWNER | LIVE},
    {"proceed", report_proceed, OWNER | LIVE},
    {"drain", report_drain, OWNER | LIVE},
    {"resume", report_drain, OWNER | LIVE},
    {"rescan", report_rescan, OWNER | LIVE},
    {"check", report_check, OWNER | BESIDE},
    {"backup", report_backup, OWNER | BESIDE},
    {"prune", report_prune, OWNER | LIVE},
    {"prunable", report_prunable, OWNER | BESIDE},
    {"stale", report_stale, 0},
    {"reduce", report_reduce, OWNER | LIVE},
};

#define N_VERBS (sizeof verbs / sizeof *verbs)

static int unknown_verb(const char *name, struct err *err)
{
    char list[400] = "";
    for (size_t i = 0; i < N_VERBS; i++) {
        strcat(list, i ? ", " : "");
        strcat(list, verbs[i].name);
    }
    return err_set(err, ERR_PARAM, "no request '%.40s': there are %s", name, list);
}

static json_t *answer(const struct report *r, const struct request *in, bool is_owner,
                      struct err *err)
{
    const struct verb *v = NULL;
    for (size_t i = 0; i < N_VERBS; i++) {
        v = !strcmp(verbs[i].name, in->verb) ? &verbs[i] : v;
    }
    if (!v) {
        unknown_verb(in->verb, err);
    } else if ((v->needs & OWNER) && !is_owner) {
        err_set(err, ERR_PARAM, "only the owner of the daemon and root may %s",
                v->name);
    } else if ((v->needs & LIVE) && !r->live) {
        err_set(err, ERR_IO, "the daemon is not running: %s needs it", v->name);
    } else if ((v->needs & BESIDE) && r->live) {
        err_set(err, ERR_PARAM, "%s takes long: ask ifud --answer for it", v->name);
    } else if ((v->needs & JOB) && !in->job) {
        err_set(err, ERR_PARAM, "%s needs \"job\": its name or number", v->name);
    } else {
        return v->make(r, in, err);
    }
    return NULL;
}

char *report_answer(const struct report *r, const char *request, size_t n,
                    bool is_owner)
{
    struct err err = {0};
    struct request in = {0};
    json_t *out = NULL;
    if (!request_parse(request, n, &in, &err)) {
        out = answer(r, &in, is_owner, &err);
    }
    if (out) {
        report_put(out, "ok", json_true());
    } else {
        out = json_object();
        report_put(out, "ok", json_false());
        report_put(out, "code", report_text(err_name(err.code)));
        report_put(out, "error", report_text(err.message));
    }
    char *line = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    request_done(&in);
    return line;
}

char *report_on_request(void *service, const char *request, size_t n, bool is_owner)
{
    struct service *s = service;
    struct report r = {.queue = s->queue,
                       .config = s->config,
                       .inbox_folder = s->inbox_folder,
                       .spool_folder = s->spool_folder,
                       .rejected_folder = s->rejected_folder,
                       .place = s->place,
                       .live = s};
    return report_answer(&r, request, n, is_owner);
}
