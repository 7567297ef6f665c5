#include "daemon/request.h"

#include <string.h>

#include "common/base/nesting.h"

enum kind { TEXT, WHOLE, TRUTH };

static const struct member {
    const char *name;
    enum kind kind;
} members[] = {
    {"request", TEXT}, {"job", TEXT},    {"program", TEXT},   {"group", TEXT},
    {"state", TEXT},   {"reason", TEXT}, {"path", TEXT},      {"all", TRUTH},
    {"after", WHOLE},  {"limit", WHOLE}, {"priority", WHOLE},
};

/* Far beyond what makes sense, and far from an overflow. */
#define MAX_NUMBER (INT64_C(1) << 50)

static int64_t bounded(int64_t v, int64_t max)
{
    return v < -max ? -max : v > max ? max : v;
}

static int check_members(json_t *root, struct err *err)
{
    static const char *const wants[] = {"text", "a whole number", "true or false"};
    const char *key;
    json_t *v;
    json_object_foreach(root, key, v)
    {
        const struct member *m = NULL;
        for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
            m = !strcmp(members[i].name, key) ? &members[i] : m;
        }
        if (!m) {
            return err_set(err, ERR_PARAM, "a request has no member '%.40s'", key);
        }
        bool fits = m->kind == TEXT    ? json_is_string(v)
                    : m->kind == WHOLE ? json_is_integer(v)
                                       : json_is_boolean(v);
        if (!fits) {
            return err_set(err, ERR_PARAM, "\"%s\" must be %s", key, wants[m->kind]);
        }
    }
    return 0;
}

int request_parse(const char *text, size_t n, struct request *ret, struct err *err)
{
    json_error_t where;
    if (!nesting_within(text, n, REQUEST_MAX_DEPTH)) {
        return err_set(err, ERR_PARAM, "the request is nested deeper than %d",
                       REQUEST_MAX_DEPTH);
    }
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        return err_set(err, ERR_PARAM, "the request is no JSON object {...}: %s",
                       where.text);
    }
    int code = json_is_object(root)
                   ? check_members(root, err)
                   : err_set(err, ERR_PARAM, "the request is no JSON object {...}");
    struct request r = {.root = root};
    if (!code) {
        const json_t *after = json_object_get(root, "after");
        const json_t *priority = json_object_get(root, "priority");
        const json_t *limit = json_object_get(root, "limit");
        r.verb = json_string_value(json_object_get(root, "request"));
        r.job = json_string_value(json_object_get(root, "job"));
        r.program = json_string_value(json_object_get(root, "program"));
        r.group = json_string_value(json_object_get(root, "group"));
        r.state = json_string_value(json_object_get(root, "state"));
        r.reason = json_string_value(json_object_get(root, "reason"));
        r.path = json_string_value(json_object_get(root, "path"));
        r.all = json_is_true(json_object_get(root, "all"));
        r.has_after = after != NULL;
        r.after = bounded(json_integer_value(after), MAX_NUMBER);
        r.limit = bounded(json_integer_value(limit), MAX_NUMBER);
        r.has_priority = priority != NULL;
        r.priority = (int)bounded(json_integer_value(priority), 1000);
        if (!r.verb) {
            code = err_set(err, ERR_PARAM, "the request has no \"request\": its name");
        }
    }
    if (code) {
        json_decref(root);
    } else {
        *ret = r;
    }
    return code;
}

void request_done(struct request *request)
{
    json_decref(request->root);
    *request = (struct request){0};
}
