#include "common/base/params.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"

struct value {
    char *text; /* canonical */
    bool none;
    bool b;
    long i;
    double r;
    double *list;
    size_t n_list;
};

struct params {
    const struct param *table;
    size_t n;
    struct value *values;
};

static void value_clear(struct value *v)
{
    free(v->text);
    free(v->list);
    *v = (struct value){0};
}

static int find(const struct param *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(table[i].name, name)) {
            return (int)i;
        }
    }
    return -1;
}

/* Levenshtein distance of two short names; at most 63 characters count. */
static int distance(const char *a, const char *b)
{
    int row[64];
    int nb = (int)strnlen(b, 63);
    for (int j = 0; j <= nb; j++) {
        row[j] = j;
    }
    for (int i = 1; a[i - 1] && i < 64; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < best ? change : best;
        }
    }
    return row[nb];
}

const char *params_nearest(const struct param *table, size_t n, const char *name)
{
    const char *best = NULL;
    int best_d = 1 + (int)strnlen(name, 63) / 2;
    for (size_t i = 0; i < n; i++) {
        int d = distance(table[i].name, name);
        if (d < best_d) {
            best_d = d;
            best = table[i].name;
        }
    }
    return best;
}

static bool is_none(const char *text)
{
    return !strcasecmp(text, "none");
}

static int parse_real(const struct param *p, const char *text, double *ret,
                      struct err *err)
{
    char *end;
    errno = 0;
    double r = strtod(text, &end);
    while (isspace((unsigned char)*end)) {
        end++;
    }
    if (end == text || *end || !isfinite(r)) {
        return err_set(err, ERR_PARAM, "%s = '%s' is not a finite number", p->name,
                       text);
    }
    if ((p->min != 0 || p->max != 0) && (r < p->min || r > p->max)) {
        return err_set(err, ERR_PARAM, "%s = %s is outside %g to %g%s%s", p->name, text,
                       p->min, p->max, *p->unit ? " " : "", p->unit);
    }
    *ret = r;
    return 0;
}

static int parse_list(const struct param *p, const char *text, struct value *v,
                      struct err *err)
{
    size_t n = 1;
    for (const char *c = text; *c; c++) {
        n += *c == ',' || *c == ' ';
    }
    v->list = mem_calloc(n, sizeof *v->list, err);
    char *copy = mem_strdup(text, err), *save = NULL;
    if (!v->list || !copy) {
        free(copy);
        return ERR_NOMEM;
    }
    int code = 0;
    for (char *t = strtok_r(copy, ", ", &save); t && !code;
         t = strtok_r(NULL, ", ", &save)) {
        code = parse_real(p, t, &v->list[v->n_list++], err);
    }
    free(copy);
    return code;
}

static int parse_bool(const struct param *p, const char *text, struct value *v,
                      struct err *err)
{
    v->b = !strcasecmp(text, "true") || !strcmp(text, "1");
    if (!v->b && strcasecmp(text, "false") && strcmp(text, "0")) {
        return err_set(err, ERR_PARAM, "%s = '%s': give true or false", p->name, text);
    }
    v->text = mem_strdup(v->b ? "true" : "false", err);
    return 0;
}

static int parse_whole(const struct param *p, const char *text, struct value *v,
                       struct err *err)
{
    double r = 0;
    int code = parse_real(p, text, &r, err);
    if (!code && (r != floor(r) || fabs(r) > 1e15)) {
        code = err_set(err, ERR_PARAM, "%s = '%s': give a whole number", p->name, text);
    }
    v->i = (long)r;
    v->text = code ? NULL : mem_printf(err, "%ld", v->i);
    return code;
}

/* The shortest text that reads back as the same number. */
static char *shortest(double r, struct err *err)
{
    char *text = mem_printf(err, "%.17g", r);
    for (int d = 1; text && d < 17; d++) {
        char s[40];
        snprintf(s, sizeof s, "%.*g", d, r);
        if (strtod(s, NULL) == r && strlen(s) <= strlen(text)) {
            strcpy(text, s); /* "30" stays: "3e+01" is longer */
            break;
        }
    }
    return text;
}

static bool is_choice(const char *choices, const char *text)
{
    const size_t n = strlen(text);
    for (const char *c = choices; *c;) {
        const size_t m = strcspn(c, "|");
        if (m == n && !strncmp(c, text, m)) {
            return true;
        }
        c += m + (c[m] == '|');
    }
    return false;
}

static int parse(const struct param *p, const char *text, struct value *v,
                 struct err *err)
{
    if (is_none(text)) {
        if (!p->may_be_none) {
            return err_set(err, ERR_PARAM, "%s cannot be none: %s", p->name, p->doc);
        }
        v->none = true;
        v->text = mem_strdup("none", err);
        return v->text ? 0 : ERR_NOMEM;
    }
    int code = 0;
    switch (p->type) {
    case PARAM_BOOL:
        code = parse_bool(p, text, v, err);
        break;
    case PARAM_INT:
        code = parse_whole(p, text, v, err);
        break;
    case PARAM_REAL:
        code = parse_real(p, text, &v->r, err);
        v->text = code ? NULL : shortest(v->r, err);
        break;
    case PARAM_STRING:
        if (p->choices && !is_choice(p->choices, text)) {
            return err_set(err, ERR_PARAM, "%s = '%s': give one of %s", p->name, text,
                           p->choices);
        }
        v->text = mem_strdup(text, err);
        break;
    case PARAM_LIST:
        code = parse_list(p, text, v, err);
        v->text = code ? NULL : mem_strdup(text, err);
        break;
    }
    return code ? code : v->text ? 0 : ERR_NOMEM;
}

int params_new(const struct param *table, size_t n, struct params **ret,
               struct err *err)
{
    struct params *params = mem_calloc(1, sizeof *params, err);
    if (!params) {
        return ERR_NOMEM;
    }
    params->table = table;
    params->n = n;
    params->values = mem_calloc(n, sizeof *params->values, err);
    int code = params->values ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        code = parse(&table[i], table[i].fallback, &params->values[i], err);
    }
    if (code) {
        params_free(params);
        return code;
    }
    *ret = params;
    return 0;
}

void params_free(struct params *params)
{
    if (!params) {
        return;
    }
    for (size_t i = 0; params->values && i < params->n; i++) {
        value_clear(&params->values[i]);
    }
    free(params->values);
    free(params);
}

int params_set(struct params *params, const char *name, const char *text,
               struct err *err)
{
    int i = find(params->table, params->n, name);
    if (i < 0) {
        const char *near = params_nearest(params->table, params->n, name);
        return err_set(err, ERR_PARAM, "no parameter '%s'%s%s%s", name,
                       near ? "; did you mean '" : "", near ? near : "",
                       near ? "'?" : "");
    }
    struct value v = {0};
    int code = parse(&params->table[i], text, &v, err);
    if (code) {
        value_clear(&v);
        return code;
    }
    value_clear(&params->values[i]);
    params->values[i] = v;
    return 0;
}

static const struct value *get(const struct params *params, const char *name, int type)
{
    int i = find(params->table, params->n, name);
    assert(i >= 0 && (type < 0 || (int)params->table[i].type == type));
    (void)type;
    return &params->values[i];
}

bool params_is_none(const struct params *params, const char *name)
{
    return get(params, name, -1)->none;
}

bool params_bool(const struct params *params, const char *name)
{
    return get(params, name, PARAM_BOOL)->b;
}

long params_int(const struct params *params, const char *name)
{
    return get(params, name, PARAM_INT)->i;
}

double params_real(const struct params *params, const char *name)
{
    return get(params, name, PARAM_REAL)->r;
}

const char *params_string(const struct params *params, const char *name)
{
    const struct value *v = get(params, name, PARAM_STRING);
    return v->none ? NULL : v->text;
}

size_t params_list(const struct params *params, const char *name,
                   const double **ret_values)
{
    const struct value *v = get(params, name, PARAM_LIST);
    *ret_values = v->list;
    return v->none ? 0 : v->n_list;
}

const char *params_text(const struct params *params, const char *name)
{
    return get(params, name, -1)->text;
}

const struct param *params_table(const struct params *params, size_t *ret_n)
{
    *ret_n = params->n;
    return params->table;
}
