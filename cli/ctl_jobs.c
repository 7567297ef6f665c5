#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"
#include "cli/ctl_text.h"

static void put_text(json_t *request, const char *key, const char *value)
{
    if (value) {
        json_object_set_new(request, key, json_string(value));
    }
}

static json_t *move_request(const struct ctl *c, const char *verb, const char *job,
                            const int *priority, json_int_t from)
{
    json_t *r = ctl_request(verb);
    put_text(r, "job", job);
    put_text(r, "program", c->program);
    put_text(r, "group", c->group);
    put_text(r, "state", c->state);
    put_text(r, "reason", c->reason);
    if (c->all) {
        json_object_set_new(r, "all", json_true());
    }
    if (priority) {
        json_object_set_new(r, "priority", json_integer(*priority));
    }
    if (from) {
        json_object_set_new(r, "after", json_integer(from));
    }
    return r;
}

/* One job, or (NULL) all pages of a selection. Adds to the totals. */
static int move(struct ctl *c, const char *verb, const char *job, const int *priority,
                json_t *total)
{
    json_int_t from = 0;
    do {
        struct err err = {0};
        json_t *answer = NULL;
        if (ctl_query(c, move_request(c, verb, job, priority, from), false, &answer,
                      &err)) {
            return ctl_fail(c, &err);
        }
        json_t *changed = json_object_get(total, "changed");
        json_t *unchanged = json_object_get(total, "unchanged");
        json_int_t refused = json_integer_value(json_object_get(total, "refused"));
        json_array_extend(changed, json_object_get(answer, "changed"));
        json_array_extend(unchanged, json_object_get(answer, "unchanged"));
        refused += json_integer_value(json_object_get(answer, "refused"));
        json_object_set_new(total, "refused", json_integer(refused));
        from = json_integer_value(json_object_get(answer, "next"));
        json_decref(answer);
    } while (from);
    return CTL_DONE;
}

static int move_all(struct ctl *c, const char *verb, int n, char **jobs,
                    const int *priority)
{
    bool by_selection = c->all || c->program || c->group;
    if (by_selection == (n > 0) || (c->all && (c->program || c->group))) {
        return ctl_misuse("name jobs, or give one of --program and --group, or --all");
    }
    json_t *total = json_pack("{s:b,s:s,s:[],s:[],s:i}", "ok", 1, "command", verb,
                              "changed", "unchanged", "refused", 0);
    int status = CTL_DONE;
    for (int i = 0; i < n && status != CTL_DOWN; i++) { /* the others are still done */
        int s = move(c, verb, jobs[i], priority, total);
        status = s ? s : status;
    }
    if (by_selection) {
        status = move(c, verb, NULL, priority, total);
    }
    if (c->json) {
        ctl_print_json(total);
    } else if (status == CTL_DONE ||
               json_array_size(json_object_get(total, "changed"))) {
        ctl_print_moves(stdout, total);
    }
    json_decref(total);
    return status;
}

int ctl_do_move(struct ctl *c, const char *name, int n, char **words)
{
    return move_all(c, name, n, words, NULL);
}

int ctl_do_priority(struct ctl *c, const char *name, int n, char **words)
{
    char *end;
    long v = -c->minus;
    bool is_number = c->minus > 0;
    if (!is_number && n > 0) {
        v = strtol(words[n - 1], &end, 10);
        is_number = !*end && end != words[n - 1];
        n--;
    }
    int priority = (int)v;
    if (!is_number || v < -10 || v > 10) {
        return ctl_misuse("priority ends with a whole number from -10 to 10");
    }
    return move_all(c, name, n, words, &priority);
}

int ctl_do_service(struct ctl *c, const char *name, int n, char **words)
{
    struct err err = {0};
    json_t *answer = NULL;
    (void)n;
    (void)words;
    if (ctl_query(c, ctl_request(name), false, &answer, &err)) {
        return ctl_fail(c, &err);
    }
    if (c->json) {
        ctl_print_json(answer);
    } else {
        ctl_print_service(stdout, name, answer);
    }
    json_decref(answer);
    return CTL_DONE;
}

int ctl_do_proceed(struct ctl *c, const char *name, int n, char **words)
{
    int status = CTL_DONE;
    for (int i = 0; i < n && status != CTL_DOWN; i++) { /* the others are still done */
        struct err err = {0};
        json_t *answer = NULL, *request = ctl_request(name);
        put_text(request, "group", words[i]);
        if (ctl_query(c, request, false, &answer, &err)) {
            status = ctl_fail(c, &err);
        } else if (c->json) {
            ctl_print_json(answer);
        } else {
            ctl_print_proceed(stdout, answer);
        }
        json_decref(answer);
    }
    return status;
}
