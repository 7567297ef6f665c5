#include <string.h>

#include "cli/ctl.h"
#include "cli/ctl_text.h"

static void put_text(json_t *request, const char *key, const char *value)
{
    if (value) {
        json_object_set_new(request, key, json_string(value));
    }
}

static json_t *request_for(const struct ctl *c, const char *verb, const char *job,
                           json_int_t after)
{
    json_t *r = ctl_request(verb);
    put_text(r, "job", job);
    put_text(r, "program", c->program);
    put_text(r, "group", c->group);
    json_object_set_new(r, "after", json_integer(after));
    if (c->all) {
        json_object_set_new(r, "all", json_true());
    }
    return r;
}

/* All pages; the list `key` of each into one, the rest as the last page has it. */
static int ask_pages(struct ctl *c, const char *verb, const char *job, bool offline,
                     const char *key, json_t **ret)
{
    json_int_t after = 0;
    json_t *all = json_array(), *last = NULL;
    do {
        struct err err = {0};
        json_t *answer = NULL;
        if (ctl_query(c, request_for(c, verb, job, after), offline, &answer, &err)) {
            json_decref(all);
            json_decref(last);
            return ctl_fail(c, &err);
        }
        json_array_extend(all, json_object_get(answer, key));
        after = json_integer_value(json_object_get(answer, "next"));
        json_decref(last);
        last = answer;
    } while (after);
    json_object_set_new(last, key, all);
    *ret = last;
    return CTL_DONE;
}

int ctl_do_stale(struct ctl *c, const char *name, int n, char **words)
{
    json_t *answer = NULL;
    (void)n;
    (void)words;
    int status = ask_pages(c, name, NULL, true, "stale", &answer);
    if (!status && c->json) {
        ctl_print_json(answer);
    } else if (!status) {
        ctl_print_stale(stdout, answer, c->names);
    }
    json_decref(answer);
    return status;
}

static int reduce(struct ctl *c, const char *verb, const char *job, json_t *total)
{
    json_t *answer = NULL;
    int status = ask_pages(c, verb, job, false, "queued", &answer);
    if (!status) {
        json_int_t refused = json_integer_value(json_object_get(total, "refused")) +
                             json_integer_value(json_object_get(answer, "refused"));
        json_array_extend(json_object_get(total, "queued"),
                          json_object_get(answer, "queued"));
        json_object_set_new(total, "refused", json_integer(refused));
        if (json_is_true(json_object_get(answer, "looking"))) {
            json_object_set_new(total, "looking", json_true());
        }
    }
    json_decref(answer);
    return status;
}

int ctl_do_reduce(struct ctl *c, const char *name, int n, char **words)
{
    const bool by_selection = c->all || c->program || c->group;
    if (!c->stale) {
        return ctl_misuse("only what is stale is reduced again: reduce --stale ...");
    }
    if (by_selection == (n > 0) || (c->all && (c->program || c->group))) {
        return ctl_misuse(
            "name jobs or groups, or give one of --program and --group, or "
            "--all");
    }
    json_t *total = json_pack("{s:b,s:s,s:[],s:i}", "ok", 1, "command", name, "queued",
                              "refused", 0);
    int status = CTL_DONE;
    for (int i = 0; i < n && status != CTL_DOWN; i++) {
        int s = reduce(c, name, words[i], total);
        status = s ? s : status;
    }
    if (by_selection) {
        status = reduce(c, name, NULL, total);
    }
    if (c->json) {
        ctl_print_json(total);
    } else if (status == CTL_DONE ||
               json_array_size(json_object_get(total, "queued"))) {
        ctl_print_reduced(stdout, total);
    }
    json_decref(total);
    return status;
}
