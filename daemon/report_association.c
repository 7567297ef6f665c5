#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "daemon/messages.h"
#include "daemon/queue_associations.h"
#include "daemon/queue_find.h"
#include "daemon/report_parts.h"
#include "daemon/service_state.h"

#define MAX_MEMBERS 500

/* ---- show ---- */

/* What a member is here: "" if all is well with it. */
static const char *lacks(const struct queue_association *a,
                         const struct queue_named_row *m)
{
    bool is_reduced = !strcmp(a->recipe, "spec3") || !strcmp(m->role, "science");
    return !*m->exposure                            ? "has not come"
           : is_reduced && strcmp(m->state, "done") ? (*m->state ? m->state : "waiting")
                                                    : "";
}

/* What it waits for, in words. */
static void say_why(const struct queue_association *a, const struct queue_named_row *m,
                    size_t n, char *ret, size_t size)
{
    size_t at = 0, left = 0;
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        const char *what = m[i].live ? lacks(a, &m[i]) : "";
        if (*what && at + strlen(m[i].expname) + strlen(what) + 80 < size) {
            at += (size_t)snprintf(ret + at, size - at, "%s%s (%s)",
                                   at ? ", " : "waits for: ", m[i].expname, what);
        } else {
            left += *what != 0;
        }
    }
    if (left) {
        snprintf(ret + at, size - at, " and %zu more", left);
    } else if (!at) {
        snprintf(ret, size, "%s",
                 strcmp(a->state, "accepted") ? "another association took its place"
                                              : "all that it names is there");
    }
}

static json_t *member_of(const struct queue_association *a,
                         const struct queue_named_row *row)
{
    json_t *m = json_object();
    report_put(m, "member", report_text(row->expname));
    report_put(m, "role", report_text(row->role));
    report_put(m, "exposure", report_text(row->exposure));
    report_put(m, "job", report_text(row->job));
    report_put(m, "state", report_text(row->state));
    report_put(m, "lacks", report_text(lacks(a, row)));
    return m;
}

json_t *report_association(const struct report *r, const struct queue_association *a,
                           struct err *err)
{
    struct queue_named_row *rows;
    size_t n;
    char why[1024];
    if (queue_association_members(r->queue, a->id, MAX_MEMBERS, &rows, &n, err)) {
        return NULL;
    }
    json_t *products = json_array(), *members = NULL, *o = json_object();
    for (size_t i = 0; i < n; i++) {
        if (!i || strcmp(rows[i].product, rows[i - 1].product) != 0) {
            json_t *p = json_object();
            members = json_array();
            report_put(p, "product", report_text(rows[i].product));
            report_put(p, "live", json_boolean(rows[i].live));
            report_put(p, "members", members);
            json_array_append_new(products, p);
        }
        json_array_append_new(members, member_of(a, &rows[i]));
    }
    say_why(a, rows, n, why, sizeof why);
    free(rows);
    report_put(o, "association", report_text(a->name));
    report_put(o, "recipe", report_text(a->recipe));
    report_put(o, "state", report_text(a->state));
    report_put(o, "sha256", report_text(a->sha256));
    report_put(o, "accepted_at", json_real(a->accepted_at));
    report_put(o, "why", report_text(why));
    report_put(o, "products", products);
    return o;
}

/* ---- proceed ---- */

/* Has it a job that waits? */
static int has_waiting(const struct report *r, const char *group, bool *ret,
                       struct err *err)
{
    struct queue_filter f = {.state = JOB_WAITING, .group = group};
    int64_t next = 0;
    *ret = false;
    do {
        struct queue_job *jobs;
        size_t n;
        int code = queue_select(r->queue, &f, next, 1, &jobs, &n, &next, err);
        if (code) {
            return code;
        }
        free(jobs);
        *ret = n > 0;
    } while (!*ret && next);
    return 0;
}

json_t *report_proceed(const struct report *r, const struct request *in,
                       struct err *err)
{
    struct queue_waiting w = {0};
    bool waits = false, known = false;
    int code = in->group ? queue_group_waiting(r->queue, in->group, &w, err)
                         : err_set(err, ERR_PARAM, "proceed needs \"group\": its name");
    if (!code && !*w.group) {
        code = err_set(err, ERR_INPUT,
                       "no group '%.200s'; ifuctl status names those that wait",
                       in->group);
    }
    code = code ? code : has_waiting(r, w.group, &waits, err);
    if (!code && !waits) {
        code = err_set(err, ERR_PARAM, "group %.200s has no job that waits: %s%.300s",
                       w.group,
                       *w.plan.waits_for ? "nothing of it has come: " : "nothing to do",
                       w.plan.waits_for);
    }
    code = code ? code : queue_proceed(r->queue, w.group, service_now(), &known, err);
    if (code) {
        return NULL;
    }
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_COMMAND), NULL,
              "group %s: operator's command proceed: goes on without %s%s%s", w.group,
              w.plan.waits_for, *w.plan.waits_for && *w.plan.members_wait ? "; " : "",
              w.plan.members_wait);
    json_t *o = json_object();
    report_put(o, "command", report_text("proceed"));
    report_put(o, "group", report_text(w.group));
    report_put(o, "waits_for", report_text(w.plan.waits_for));
    report_put(o, "members_wait", report_text(w.plan.members_wait));
    return o;
}
