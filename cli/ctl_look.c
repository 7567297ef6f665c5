#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "cli/ctl_text.h"

#define PAGE 500 /* jobs or events in one answer */

static void nap(double seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds};
    t.tv_nsec = (long)(1e9 * (seconds - (double)t.tv_sec));
    nanosleep(&t, NULL);
}

static long whole(const json_t *o, const char *key)
{
    return (long)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* ---- status ---- */

static int status_exit(const struct ctl *c, const json_t *status)
{
    const json_t *jobs = json_object_get(status, "jobs");
    return !c->exit_code                                          ? CTL_DONE
           : c->is_down                                           ? CTL_DOWN
           : whole(jobs, "held") + whole(jobs, "quarantined") > 0 ? CTL_HELD
           : whole(jobs, "queued") + whole(jobs, "running") + whole(jobs, "suspect") +
                       whole(jobs, "deferred") +
                       whole(json_object_get(status, "inbox"), "files") >
                   0
               ? CTL_OPEN
               : CTL_DONE;
}

int ctl_do_status(struct ctl *c, const char *name, int n, char **words)
{
    (void)n;
    (void)words;
    for (;;) {
        struct err err = {0};
        json_t *answer = NULL;
        int status, code = ctl_query(c, ctl_request(name), true, &answer, &err);
        if (c->watch && !c->json && isatty(STDOUT_FILENO)) {
            fputs("\033[H\033[2J", stdout);
        }
        if (code && c->watch) {
            printf("%s\n", err.message);
        } else if (code) {
            return ctl_fail(c, &err);
        } else if (c->json) {
            ctl_print_json(answer);
        } else {
            ctl_print_status(stdout, answer);
        }
        status = code ? CTL_FAILED : status_exit(c, answer);
        json_decref(answer);
        if (!c->watch || fflush(stdout)) {
            return status;
        }
        nap(2);
    }
}

/* ---- show, why ---- */

static int ask_job(struct ctl *c, const char *job, json_t **ret)
{
    struct err err = {0};
    json_t *request = ctl_request("show");
    json_object_set_new(request, "job", json_string(job));
    int code = ctl_query(c, request, true, ret, &err);
    return code ? ctl_fail(c, &err) : CTL_DONE;
}

static int job_exit(const char *state)
{
    static const char *const ended[] = {"done", "superseded", "cancelled", "accepted",
                                        "gone"};
    if (!strcmp(state, "held") || !strcmp(state, "quarantined")) {
        return CTL_HELD;
    }
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++) {
        if (!strcmp(state, ended[i])) {
            return CTL_DONE;
        }
    }
    return CTL_OPEN;
}

int ctl_do_show(struct ctl *c, const char *name, int n, char **words)
{
    json_t *answer = NULL;
    int status = ask_job(c, words[0], &answer);
    (void)name;
    (void)n;
    if (status) {
        return status;
    }
    if (c->json) {
        ctl_print_json(answer);
    } else {
        ctl_print_show(stdout, answer);
    }
    status = c->exit_code ? job_exit(text(answer, "state")) : CTL_DONE;
    json_decref(answer);
    return status;
}

int ctl_do_why(struct ctl *c, const char *name, int n, char **words)
{
    json_t *answer = NULL;
    int status = ask_job(c, words[0], &answer);
    (void)name;
    (void)n;
    if (!status && c->json) {
        ctl_print_json(answer);
    } else if (!status) {
        ctl_print_why(stdout, answer);
    }
    json_decref(answer);
    return status;
}

/* ---- list ---- */

static json_t *list_request(const struct ctl *c, long limit, json_int_t from)
{
    json_t *r = ctl_request("list");
    json_object_set_new(r, "limit", json_integer(limit < PAGE ? limit : PAGE));
    json_object_set_new(r, "after", json_integer(from));
    if (c->state) {
        json_object_set_new(r, "state", json_string(c->state));
    }
    if (c->program) {
        json_object_set_new(r, "program", json_string(c->program));
    }
    if (c->group) {
        json_object_set_new(r, "group", json_string(c->group));
    }
    return r;
}

int ctl_do_list(struct ctl *c, const char *name, int n, char **words)
{
    json_t *all = json_array();
    long limit = c->limit ? c->limit : 50;
    json_int_t from = 0;
    int status = CTL_DONE;
    (void)name;
    (void)n;
    (void)words;
    do {
        struct err err = {0};
        json_t *answer = NULL;
        long left = limit - (long)json_array_size(all);
        if (ctl_query(c, list_request(c, left, from), true, &answer, &err)) {
            status = ctl_fail(c, &err);
            from = 0;
        } else {
            json_array_extend(all, json_object_get(answer, "jobs"));
            from = json_integer_value(json_object_get(answer, "next"));
        }
        json_decref(answer);
    } while (from && (long)json_array_size(all) < limit);
    if (!status && c->json) {
        json_t *o = json_pack("{s:b,s:O}", "ok", 1, "jobs", all);
        ctl_print_json(o);
        json_decref(o);
    } else if (!status) {
        ctl_print_list(stdout, all, c->names);
    }
    json_decref(all);
    return status;
}

/* ---- events ---- */

static void print_events(const struct ctl *c, const json_t *answer)
{
    size_t i;
    const json_t *e, *events = json_object_get(answer, "events");
    if (!c->json) {
        ctl_print_events(stdout, events);
    } else if (!c->follow) {
        ctl_print_json(answer);
    } else {
        json_array_foreach(events, i, e) /* one event per line */
        {
            json_dumpf(e, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
            putchar('\n');
        }
    }
}

int ctl_do_events(struct ctl *c, const char *name, int n, char **words)
{
    json_int_t last = -(c->limit ? c->limit : 50);
    bool is_first = true;
    for (;;) {
        struct err err = {0};
        json_t *answer = NULL, *request = ctl_request(name);
        json_object_set_new(request, "after", json_integer(last));
        json_object_set_new(request, "limit", json_integer(last < 0 ? -last : PAGE));
        if (n) {
            json_object_set_new(request, "job", json_string(words[0]));
        }
        int code = ctl_query(c, request, true, &answer, &err);
        if (code && (is_first || !c->follow)) {
            return ctl_fail(c, &err);
        }
        const json_t *events = json_object_get(answer, "events");
        size_t got = json_array_size(events);
        if (got || is_first) {
            print_events(c, answer);
        }
        if (got) {
            last = json_integer_value(
                json_object_get(json_array_get(events, got - 1), "id"));
        } else if (is_first) {
            last = 0;
        }
        json_decref(answer);
        is_first = false;
        if (!c->follow || fflush(stdout)) {
            return CTL_DONE;
        }
        nap(got == PAGE ? 0 : c->is_down ? 2 : 0.5);
    }
}
