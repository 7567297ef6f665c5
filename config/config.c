#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "config/check.h"

#define MAX_FILE (1u << 20)
#define MAX_LINES 1000
#define MAX_LINE 4096

static const struct param *row(const char *name)
{
    for (size_t i = 0; i < config_table_n; i++) {
        if (!strcmp(config_table[i].name, name)) {
            return &config_table[i];
        }
    }
    return NULL;
}

static bool is_strings(const struct param *p)
{
    return !strcmp(p->unit, CONFIG_STRINGS);
}

/* The lines of an array of strings. */
static char *join_lines(const char *name, const json_t *array, struct err *err)
{
    size_t room = 1, at = 0;
    const json_t *item;
    size_t i;
    if (json_array_size(array) > MAX_LINES) {
        err_set(err, ERR_PARAM, "%s has %zu items; at most %d", name,
                json_array_size(array), MAX_LINES);
        return NULL;
    }
    json_array_foreach(array, i, item)
    {
        const char *s = json_string_value(item);
        if (!s || !*s || strchr(s, '\n') || strlen(s) > MAX_LINE) {
            err_set(err, ERR_PARAM,
                    "%s[%zu] is not a line of text: give stage.parameter=value", name,
                    i);
            return NULL;
        }
        room += strlen(s) + 1;
    }
    char *text = mem_calloc(room, 1, err);
    if (!text) {
        return NULL;
    }
    json_array_foreach(array, i, item)
    {
        at += (size_t)snprintf(text + at, room - at, "%s%s", i ? "\n" : "",
                               json_string_value(item));
    }
    return text;
}

/* A JSON value as the text that params_set takes; NULL if it is of a wrong kind. */
static char *value_text(const struct param *p, const json_t *v, struct err *err)
{
    if (is_strings(p)) {
        if (!json_is_array(v)) {
            err_set(err, ERR_PARAM, "%s must be an array of strings", p->name);
            return NULL;
        }
        return join_lines(p->name, v, err);
    }
    if (json_is_null(v)) {
        return mem_strdup("none", err);
    }
    bool fits = false;
    switch (p->type) {
    case PARAM_BOOL:
        fits = json_is_boolean(v);
        break;
    case PARAM_INT:
    case PARAM_REAL:
        fits = json_is_number(v);
        break;
    case PARAM_STRING:
    case PARAM_LIST:
        fits = json_is_string(v) && *json_string_value(v);
        break;
    }
    if (!fits) {
        err_set(err, ERR_PARAM, "%s must be a %s (default %s)", p->name,
                p->type == PARAM_BOOL                           ? "true or false"
                : p->type == PARAM_INT || p->type == PARAM_REAL ? "number"
                                                                : "text in quotes",
                p->fallback);
        return NULL;
    }
    if (json_is_string(v)) {
        return mem_strdup(json_string_value(v), err);
    }
    return json_is_boolean(v) ? mem_strdup(json_is_true(v) ? "true" : "false", err)
                              : mem_printf(err, "%.17g", json_number_value(v));
}

static int fill(struct config *c, json_t *root, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach(root, key, v)
    {
        const struct param *p = row(key);
        if (!p) {
            const char *near = params_nearest(config_table, config_table_n, key);
            return err_set(err, ERR_PARAM, "unknown key '%.60s'%s%s%s", key,
                           near ? "; did you mean '" : "", near ? near : "",
                           near ? "'?" : " (ifud --help lists them all)");
        }
        char *text = value_text(p, v, err);
        int code = text ? params_set(c->values, key, text, err)
                        : (err ? err->code : ERR_PARAM);
        free(text);
        if (code) {
            return code;
        }
    }
    return config_check(c, err);
}

int config_socket_group(const struct config *config, int64_t *ret, struct err *err)
{
    const char *name = params_string(config->values, "socket_group");
    struct group group, *found = NULL;
    char buffer[65536];
    int rc = name ? getgrnam_r(name, &group, buffer, sizeof buffer, &found) : 0;
    if (name && !found) {
        return err_set(err, ERR_PARAM,
                       "socket_group '%.60s' is no group of this machine%s%s; give a "
                       "group's name, or null",
                       name, rc ? ": " : "", rc ? strerror(rc) : "");
    }
    *ret = found ? (int64_t)group.gr_gid : -1;
    return 0;
}

static int parse(const char *json, size_t n, const char *name, struct config **ret,
                 struct err *err)
{
    struct err local = {0};
    err = err ? err : &local;
    json_error_t where;
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        return err_set(err, ERR_PARAM, "%s line %d: %s", name, where.line, where.text);
    }
    int code = 0;
    struct config *c = NULL;
    if (!json_is_object(root)) {
        code = err_set(err, ERR_PARAM, "%s is not a JSON object {...}", name);
        goto out;
    }
    c = mem_calloc(1, sizeof *c, err);
    if (!c || !(c->path = mem_strdup(name, err))) {
        code = ERR_NOMEM;
        goto out;
    }
    code = params_new(config_table, config_table_n, &c->values, err);
    if (!code && (code = fill(c, root, err))) {
        err_prefix(err, "%s", name);
    }
out:
    json_decref(root);
    if (code) {
        config_free(c);
    } else {
        *ret = c;
    }
    return code;
}

int config_parse(const char *json, const char *name, struct config **ret,
                 struct err *err)
{
    return parse(json, strlen(json), name, ret, err);
}

/* The whole of a regular file: a FIFO would keep us waiting. */
static int read_all(const char *path, char *text, size_t room, size_t *ret_n,
                    struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        int code = err_set(err, ERR_IO, "cannot read configuration %s: %s", path,
                           strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    int code = 0;
    size_t at = 0;
    ssize_t n = 1;
    if (!S_ISREG(st.st_mode)) {
        code = err_set(err, ERR_IO,
                       "cannot read configuration %s: it is no regular file", path);
    }
    while (!code && at < room && n != 0) {
        n = read(fd, text + at, room - at);
        if (n < 0 && errno != EINTR) {
            code = err_set(err, ERR_IO, "cannot read configuration %s: %s", path,
                           strerror(errno));
        }
        at += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    *ret_n = at;
    return code;
}

int config_read(const char *path, struct config **ret, struct err *err)
{
    size_t n = 0;
    char *text = mem_alloc(MAX_FILE + 1, 1, err);
    int code = text ? read_all(path, text, MAX_FILE + 1, &n, err) : ERR_NOMEM;
    if (!code && n > MAX_FILE) {
        code = err_set(err, ERR_PARAM, "%s is longer than %u bytes", path, MAX_FILE);
    }
    code = code ? code : parse(text, n, path, ret, err);
    free(text);
    return code;
}

void config_free(struct config *config)
{
    if (config) {
        params_free(config->values);
        free(config->path);
        free(config);
    }
}

char **config_strings(const struct config *config, const char *name, size_t *ret_n,
                      struct err *err)
{
    const char *text = params_string(config->values, name);
    text = text ? text : "";
    size_t n = *text != 0;
    for (const char *c = text; *c; c++) {
        n += *c == '\n';
    }
    size_t head = (n + 1) * sizeof(char *);
    char **list = mem_calloc(head + strlen(text) + 1, 1, err);
    if (!list) {
        return NULL;
    }
    char *copy = strcpy((char *)list + head, text), *save = NULL;
    size_t i = 0;
    for (char *t = strtok_r(copy, "\n", &save); t && i < n;
         t = strtok_r(NULL, "\n", &save)) {
        list[i++] = t;
    }
    if (ret_n) {
        *ret_n = i;
    }
    return list;
}

int config_workers(const struct config *config, int cores)
{
    long workers = params_int(config->values, "workers");
    return workers < cores ? (int)workers : cores < 1 ? 1 : cores;
}

int config_inner_threads(const struct config *config, int cores)
{
    long workers = config_workers(config, cores);
    long inner = params_int(config->values, "threads_per_worker");
    long share = cores / workers;
    if (inner == 0 || inner > share) {
        inner = share;
    }
    return inner < 1 ? 1 : (int)inner;
}

char *config_to_json(const struct config *config, struct err *err)
{
    json_t *root = json_object();
    for (size_t i = 0; i < config_table_n; i++) {
        const struct param *p = &config_table[i];
        const char *text = params_text(config->values, p->name);
        json_t *v;
        if (is_strings(p)) {
            v = json_array();
            char **lines = config_strings(config, p->name, NULL, err);
            for (size_t k = 0; lines && lines[k]; k++) {
                json_array_append_new(v, json_string(lines[k]));
            }
            free(lines);
        } else if (params_is_none(config->values, p->name)) {
            v = json_null();
        } else if (p->type == PARAM_BOOL) {
            v = json_boolean(params_bool(config->values, p->name));
        } else if (p->type == PARAM_INT) {
            v = json_integer(params_int(config->values, p->name));
        } else if (p->type == PARAM_REAL) {
            double r = params_real(config->values, p->name);
            v = r == (double)(long)r ? json_integer((long)r) : json_real(r);
        } else {
            v = json_string(text);
        }
        json_object_set_new(root, p->name, v);
    }
    char *text = json_dumps(root, JSON_INDENT(4) | JSON_REAL_PRECISION(10));
    json_decref(root);
    if (!text) {
        err_set(err, ERR_NOMEM, "out of memory while writing the configuration");
    }
    return text;
}

char *config_help(struct err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) {
        err_set(err, ERR_NOMEM, "out of memory while writing help");
        return NULL;
    }
    for (size_t i = 0; i < config_table_n; i++) {
        const struct param *p = &config_table[i];
        fprintf(f, "  %s = %s", p->name,
                is_strings(p)  ? "[]"
                : *p->fallback ? p->fallback
                               : "\"\"");
        if (*p->unit && !is_strings(p)) {
            fprintf(f, " %s", p->unit);
        }
        if (p->choices) {
            fprintf(f, "  (%s)", p->choices);
        } else if (p->min != 0 || p->max != 0) {
            fprintf(f, "  (%.10g to %.10g)", p->min, p->max);
        } else if (p->may_be_none) {
            fprintf(f, "  (or null)");
        }
        fprintf(f, "\n      %s%s\n", p->doc,
                config_is_live(p->name) ? "" : " [restart]");
    }
    if (fclose(f)) {
        free(text);
        err_set(err, ERR_NOMEM, "out of memory while writing help");
        return NULL;
    }
    return text;
}
