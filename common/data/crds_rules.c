#include "common/data/crds_rules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/data/crds_match.h"
#include "common/data/crds_selector.h"

#define UNDEFINED "UNDEFINED"
#define NOT_FOUND 1 /* no error yet: the next best entries may do */

/* What stands behind one question. */
struct asked {
    const struct crds_rules *rules;
    crds_lookup lookup;
    void *user;
    char *why; /* 256 bytes */
    struct err *err;
    bool *many; /* several files at once were chosen: wrong even if none is required */
};

enum crds_answer crds_special(const char *name)
{
    if (!strcmp(name, "N/A") || !strcmp(name, "TEMP_N/A") || !strcmp(name, "n/a") ||
        !strcmp(name, "temp_n/a")) {
        return CRDS_NA;
    }
    return !strcmp(name, "OMIT") || !strcmp(name, "TEMP_OMIT") || !strcmp(name, "omit")
               ? CRDS_OMIT
               : CRDS_FILE;
}

/* ---- conditions of the header ----------------------------------------------------- */

/* Conditions without parentheses around are lower-cased by the peer. */
static int condition(const struct asked *q, const char *text, bool *ret)
{
    struct err none = {0};
    size_t n = strlen(text);
    char *own = mem_strdup(text, &none);
    if (!own) {
        return ERR_NOMEM;
    }
    for (char *c = own; *c && !(n > 1 && text[0] == '(' && text[n - 1] == ')'); c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    int code = crds_expr(own, q->lookup, q->user, ret, &none);
    free(own);
    return code;
}

/* May the rules be asked at all? What cannot be evaluated stands in no one's way. */
static enum crds_answer check_header(const struct asked *q)
{
    const struct crds_node *h = &q->rules->header;
    const char *omit = crds_dict_string(h, "rmap_omit");
    const char *relevance = crds_dict_string(h, "rmap_relevance");
    bool yes = false;
    if (omit && !condition(q, omit, &yes) && yes) {
        snprintf(q->why, 256, "rmap_omit says that it is to be left out");
        return CRDS_OMIT;
    }
    if (relevance && strcasecmp(relevance, "always") &&
        !condition(q, relevance, &yes) && !yes) {
        snprintf(q->why, 256, "rmap_relevance says that it is not applicable");
        return CRDS_NA;
    }
    return CRDS_FILE;
}

/* A key's value as the rules see it; *ret NULL if the key is not known. */
static int value_of(const struct asked *q, const char *key, const char **ret)
{
    const struct crds_node *h = &q->rules->header;
    const struct crds_node *comments = crds_dict_get(h, "comment_parkeys");
    const struct crds_node *relevance = crds_dict_get(h, "parkey_relevance");
    *ret = q->lookup(q->user, key);
    for (size_t i = 0; comments && comments->kind == CRDS_TUPLE && i < comments->n;
         i++) {
        if (comments->items[i].text && !strcasecmp(comments->items[i].text, key)) {
            *ret = "N/A";
        }
    }
    for (size_t i = 0;
         relevance && relevance->kind == CRDS_DICT && i + 1 < relevance->n; i += 2) {
        const char *name = relevance->items[i].text;
        const char *text = relevance->items[i + 1].text;
        bool yes = true;
        if (name && text && !strcasecmp(name, key)) {
            int code = crds_expr(text, q->lookup, q->user, &yes, q->err);
            if (code) {
                return code;
            }
            *ret = yes ? *ret : "N/A";
        }
    }
    return 0;
}

/* ---- choosing --------------------------------------------------------------------- */

/* "2022-06-01 12:30:00.5" in the form that is compared as text. */
static bool normal_date(const char *text, char ret[40])
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, used = 0, all = 0;
    double s = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &y, &mo, &d, &used) != 3 || y < 1) {
        return false;
    }
    text += used;
    if (*text) {
        if (sscanf(text, " %2d:%2d%n", &h, &mi, &all) != 2) {
            return false;
        }
        text += all;
        if (*text == ':') {
            char *end;
            s = strtod(text + 1, &end);
            text = end;
        }
    }
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    if (*text || mo < 1 || mo > 12 || d < 1 || d > days[mo - 1] ||
        (mo == 2 && d == 29 && !leap) || h < 0 || h > 23 || mi < 0 || mi > 59 ||
        !(s >= 0 && s < 60)) {
        return false;
    }
    int whole = (int)s, micro = (int)((s - whole) * 1e6);
    int n = snprintf(ret, 40, "%04d-%02d-%02d %02d:%02d:%02d", y % 10000, mo, d, h, mi,
                     whole % 100);
    if (micro > 0) {
        snprintf(ret + n, (size_t)(40 - n), ".%06d", micro % 1000000);
    }
    return true;
}

static int date_of(const struct asked *q, const struct crds_selector *s, char ret[40])
{
    char text[200] = "";
    size_t n = 0;
    for (size_t k = 0; k < s->keys->n; k++) {
        const char *value = NULL;
        int code = value_of(q, s->keys->items[k].text, &value);
        if (code) {
            return code;
        }
        if (!value || !strcmp(value, UNDEFINED) ||
            n + strlen(value) + 2 > sizeof text) {
            return err_set(q->err, ERR_REFERENCE, "%s is not defined",
                           s->keys->items[k].text);
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", k ? " " : "", value);
    }
    return normal_date(text, ret)
               ? 0
               : err_set(q->err, ERR_REFERENCE, "'%.60s' is no date", text);
}

/* The newest of the merged UseAfters that is not later than the exposure. */
static int choose_date(const struct asked *q, const struct crds_selector *const *group,
                       size_t n, const char **ret)
{
    char date[40];
    const struct crds_entry *best = NULL;
    int code = date_of(q, group[0], date);
    for (size_t g = 0; g < n && !code; g++) {
        for (size_t i = 0; i < group[g]->n; i++) {
            const struct crds_entry *e = &group[g]->entries[i];
            int order = best ? strcmp(e->date, best->date) : 1;
            if (strcmp(e->date, date) <= 0 &&
                (order > 0 || (order == 0 && strcmp(e->file, best->file) >= 0))) {
                best = e;
            }
        }
    }
    if (code || !best) {
        return code ? code
                    : (err_set(q->err, ERR_REFERENCE,
                               "every UseAfter is later than the exposure (%s)", date),
                       NOT_FOUND);
    }
    size_t used = strlen(q->why);
    snprintf(q->why + used, 256 - used, ", UseAfter %s", best->date);
    *ret = best->file;
    return 0;
}

/* Is the value among those that stand in a column? */
static bool is_listed(const struct crds_selector *s, size_t k, const char *value)
{
    size_t size = strlen(value);
    bool found = s->n == 0 || !strcmp(value, "*") || !strcmp(value, "N/A") ||
                 (strncmp(value, "NOT", 3) && crds_is_esoteric(value));
    for (size_t i = 0; i < s->n && !found; i++) {
        const char *p = s->entries[i].patterns[k];
        found = crds_is_esoteric(p);
        for (; !found; p++) {
            size_t n = strcspn(p, "|");
            found = (n == size && !memcmp(p, value, n)) || (n == 1 && *p == '*') ||
                    (n == 3 && !memcmp(p, "N/A", 3));
            p += n;
            if (!*p) {
                break;
            }
        }
    }
    return found;
}

/* The same, or is it substituted by one that is? */
static bool is_valid(const struct crds_rules *r, const struct crds_selector *s,
                     size_t k, const char *value)
{
    struct crds_node node = {.kind = CRDS_STRING};
    char own[256];
    if (is_listed(s, k, value) || strlen(value) >= sizeof own) {
        return is_listed(s, k, value);
    }
    strcpy(own, value);
    node.text = own;
    const struct crds_node *instead = crds_substitute(r, s->keys->items[k].text, &node);
    return instead && instead->kind == CRDS_STRING && is_listed(s, k, instead->text);
}

static bool nobody_cares(const struct crds_selector *s, size_t k)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->entries[i].patterns[k], "N/A")) {
            return false;
        }
    }
    return true;
}

/* Points of every entry: how many values match; -1: one does not. */
static int score(const struct asked *q, const struct crds_selector *s, int *points)
{
    for (size_t k = 0; k < s->keys->n; k++) {
        const char *key = s->keys->items[k].text, *value = NULL;
        int code = value_of(q, key, &value);
        if (code) {
            return code;
        }
        if (!value && !nobody_cares(s, k)) {
            return err_set(q->err, ERR_REFERENCE,
                           "its rules ask for %s, which is not known here", key);
        }
        value = value ? value : UNDEFINED;
        if (!is_valid(q->rules, s, k, value)) {
            return err_set(q->err, ERR_REFERENCE, "%s is '%.60s', for which no rule is",
                           key, value);
        }
        for (size_t i = 0; i < s->n; i++) {
            int match =
                points[i] < 0 ? -1 : crds_matcher_try(s->entries[i].matchers[k], value);
            points[i] = match < 0 ? -1 : points[i] + match;
        }
    }
    return 0;
}

static void tell(const struct asked *q, const struct crds_selector *s,
                 const struct crds_entry *e)
{
    int n = snprintf(q->why, 256, "Match (");
    for (size_t k = 0; k < s->keys->n && n < 200; k++) {
        n += snprintf(q->why + n, (size_t)(256 - n), "%s%.40s", k ? ", " : "",
                      e->patterns[k]);
    }
    if (n < 250) {
        snprintf(q->why + n, (size_t)(256 - n), ")");
    }
}

static int choose(const struct asked *q, const struct crds_selector *s,
                  const char **ret);

/* Of entries that fit equally well. */
static int choose_among(const struct asked *q, const struct crds_selector *s,
                        const size_t *which, size_t n, const char **ret)
{
    const struct crds_entry *first = &s->entries[which[0]];
    tell(q, s, first);
    if (n == 1 && !first->inner) {
        *ret = first->file;
        return 0;
    }
    if (n == 1 && first->inner->is_match) {
        return choose(q, first->inner, ret);
    }
    const struct crds_selector **group = mem_calloc(n, sizeof *group, q->err);
    int code = group ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        const struct crds_entry *e = &s->entries[which[i]];
        group[i] = e->inner;
        if (n > 1 && (!q->rules->merge || !e->inner || e->inner->is_match)) {
            code = err_set(q->err, ERR_REFERENCE, "%zu rules fit equally well: %s", n,
                           q->why);
            *q->many = q->rules->merge && !first->inner;
        }
    }
    code = code ? code : choose_date(q, group, n, ret);
    free(group);
    return code;
}

static int choose_match(const struct asked *q, const struct crds_selector *s,
                        const char **ret)
{
    int *points = mem_calloc(s->n, sizeof *points, q->err);
    size_t *which = mem_calloc(s->n, sizeof *which, q->err);
    int code = points && which ? score(q, s, points) : ERR_NOMEM;
    bool late = false;
    if (!code) {
        code = NOT_FOUND;
    }
    for (long level = (long)s->keys->n; level >= 0 && code == NOT_FOUND; level--) {
        size_t n = 0;
        for (size_t i = 0; i < s->n; i++) {
            if (points[i] == level) {
                which[n++] = i;
            }
        }
        code = n ? choose_among(q, s, which, n, ret) : NOT_FOUND;
        late = late || n;
    }
    if (code == NOT_FOUND && !late) {
        err_set(q->err, ERR_REFERENCE, "no rule fits");
    }
    free(which);
    free(points);
    return code;
}

/* NOT_FOUND (with a message) if nothing fits; the peer goes on to other entries then. */
static int choose(const struct asked *q, const struct crds_selector *s,
                  const char **ret)
{
    return s->is_match ? choose_match(q, s, ret) : choose_date(q, &s, 1, ret);
}

int crds_rules_ask(const struct crds_rules *rules, crds_lookup lookup, void *user,
                   enum crds_answer *ret, char **ret_file, char ret_why[256],
                   struct err *err)
{
    struct err mine = {0}; /* what did not fit is no error once something does */
    bool many = false;
    struct asked q = {rules, lookup, user, ret_why, &mine, &many};
    const char *file = NULL;
    ret_why[0] = '\0';
    *ret_file = NULL;
    *ret = check_header(&q);
    if (*ret != CRDS_FILE) {
        return 0;
    }
    const char *required = crds_dict_string(&rules->header, "reffile_required");
    int code = choose(&q, rules->top, &file);
    if (code == ERR_NOMEM) {
        return err_set(err, code, "%s", mine.message);
    }
    if (code && !many && required && strcasecmp(required, "YES") &&
        strcasecmp(required, "NONE")) {
        snprintf(ret_why, 256, "not required, and %.200s", mine.message);
        *ret = CRDS_NA;
        return 0;
    }
    if (code) {
        return err_set(err, ERR_REFERENCE, "%s", mine.message);
    }
    *ret = crds_special(file);
    if (*ret == CRDS_FILE) {
        *ret_file = mem_strdup(file, err);
        return *ret_file ? 0 : ERR_NOMEM;
    }
    return 0;
}
