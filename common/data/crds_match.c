#include "common/data/crds_match.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"

#define NA "N/A"
#define MAX_DEPTH 8 /* NOT NOT ... */

enum how { EQUAL, GLOB, DO_NOT_CARE, COMPARE, BOTH, EITHER, NEGATION };

struct crds_matcher {
    enum how how;
    char *text;    /* EQUAL: the value; GLOB: alternatives; others: as written */
    char order[3]; /* COMPARE: ">", ">=", "<" or "<=" */
    double number; /* COMPARE */
    struct crds_matcher *a, *b;
};

static bool starts(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

static bool starts_any_case(const char *text, const char *with)
{
    return !strncasecmp(text, with, strlen(with));
}

/* Text without space around it. */
static char *trimmed(const char *text, size_t n, struct err *err)
{
    while (n && isspace((unsigned char)*text)) {
        text++;
        n--;
    }
    while (n && isspace((unsigned char)text[n - 1])) {
        n--;
    }
    return mem_strndup(text, n, err);
}

/* Digits, one point, an exponent; nothing else. */
static bool is_number(const char *c)
{
    size_t before, after = 0;
    c += *c == '-' || *c == '+';
    before = strspn(c, "0123456789");
    c += before;
    if (*c == '.') {
        c++;
        after = strspn(c, "0123456789");
        c += after;
        if (before && !after) {
            return !*c;
        }
    }
    if (!before && !after) {
        return false;
    }
    if (*c == 'E' || *c == 'e') {
        c++;
        c += *c == '-' || *c == '+';
        before = strspn(c, "0123456789");
        if (!before) {
            return false;
        }
        c += before;
    }
    return !*c;
}

/* The shortest decimal that is this double, as Python writes it. */
static char *number_text(double x, struct err *err)
{
    char text[40], *e;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, x);
        if (strtod(text, NULL) == x) {
            break;
        }
    }
    e = strchr(text, 'e');
    if (!e) {
        return mem_strdup(text, err); /* inf */
    }
    int power = atoi(e + 1);
    int digits = (int)(e - text) - (text[0] == '-') - (strchr(text, '.') != NULL);
    if (power >= -4 && power < 16) {
        int after = digits - 1 - power;
        return mem_printf(err, "%.*f", after > 1 ? after : 1, x);
    }
    *e = '\0';
    return mem_printf(err, "%se%c%02d", text, power < 0 ? '-' : '+', abs(power));
}

char *crds_condition(const char *value, struct err *err)
{
    static const char *const na[] = {"-2147483648.0", "()", NA, "NOT APPLICABLE",
                                     "NOT_APPLICABLE"};
    char *text = trimmed(value, strlen(value), err);
    if (!text) {
        return NULL;
    }
    for (char *c = text; *c; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    if (is_number(text)) {
        char *number = number_text(strtod(text, NULL), err);
        free(text);
        text = number;
    }
    for (size_t i = 0; text && i < sizeof na / sizeof *na; i++) {
        if (starts(text, na[i])) {
            free(text);
            return mem_strdup(NA, err);
        }
    }
    const char *plain = !text                           ? NULL
                        : !strcmp(text, "ANY")          ? "*"
                        : !strcmp(text, "4294967295.0") ? "-1.0"
                        : !strcmp(text, "TRUE")         ? "T"
                        : !strcmp(text, "FALSE")        ? "F"
                                                        : NULL;
    if (plain) {
        free(text);
        text = mem_strdup(plain, err);
    }
    return text;
}

bool crds_is_esoteric(const char *p)
{
    size_t n = strlen(p);
    return (n && strchr("{(#", p[0]) && strchr("})#", p[n - 1])) ||
           starts_any_case(p, "BETWEEN") || starts_any_case(p, "NOT");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Append a copy to a list of strings. Takes over `text` (may be NULL: no memory). */
static int add(char ***list, size_t *n, char *text, struct err *err)
{
    char **grown = text ? mem_realloc(*list, *n + 1, sizeof *grown, err) : NULL;
    if (!grown) {
        free(text);
        return ERR_NOMEM;
    }
    *list = grown;
    grown[(*n)++] = text;
    return 0;
}

/* "A|B" joined from a list, which is freed. */
static char *join(char **list, size_t n, struct err *err)
{
    size_t length = 1;
    for (size_t i = 0; i < n; i++) {
        length += strlen(list[i]) + 1;
    }
    char *text = mem_alloc(length, 1, err), *at = text;
    for (size_t i = 0; i < n; i++) {
        if (text) {
            at = stpcpy(at, i ? "|" : "");
            at = stpcpy(at, list[i]);
        }
        free(list[i]);
    }
    if (text) {
        *at = '\0';
    }
    free(list);
    return text;
}

/* Alternatives of a string, sorted as they are written and then conditioned; empty ones
 * are left out. */
static char *alternatives(const char *text, struct err *err)
{
    char **list = NULL;
    size_t n = 0;
    int code = 0;
    for (const char *c = text; !code; c++) {
        size_t size = strcspn(c, "|");
        char *one = trimmed(c, size, err);
        if (one && !*one) {
            free(one);
        } else {
            code = add(&list, &n, one, err);
        }
        c += size;
        if (!*c) {
            break;
        }
    }
    if (!code && n) {
        qsort(list, n, sizeof *list, by_text);
    }
    for (size_t i = 0; i < n && !code; i++) {
        char *plain = crds_condition(list[i], err);
        code = plain ? 0 : ERR_NOMEM;
        if (plain) {
            free(list[i]);
            list[i] = plain;
        }
    }
    char *joined = join(list, n, err);
    if (code) {
        free(joined);
        return NULL;
    }
    return joined;
}

static bool is_enclosed(const char *text, char open, char close)
{
    size_t n = strlen(text);
    return n >= 2 && text[0] == open && text[n - 1] == close;
}

char *crds_pattern(const struct crds_node *node, struct err *err)
{
    const char *text = node->text ? node->text : "None";
    if (node->kind == CRDS_STRING &&
        (is_enclosed(text, '{', '}') || is_enclosed(text, '(', ')'))) {
        return mem_strdup(text, err);
    }
    if (node->kind == CRDS_STRING && strchr(text, '|') && !crds_is_esoteric(text)) {
        return alternatives(text, err);
    }
    if (node->kind != CRDS_TUPLE && node->kind != CRDS_DICT &&
        node->kind != CRDS_CALL) {
        return crds_condition(text, err);
    }
    char **list = NULL;
    size_t n = 0;
    int code = 0;
    for (size_t i = 0; i < node->n && !code && node->kind == CRDS_TUPLE; i++) {
        const struct crds_node *item = &node->items[i];
        code = item->kind == CRDS_TUPLE || item->kind == CRDS_DICT ||
                       item->kind == CRDS_CALL
                   ? ERR_REFERENCE
                   : add(&list, &n,
                         crds_condition(item->text ? item->text : "None", err), err);
    }
    char *joined = join(list, n, err);
    if (code == ERR_REFERENCE || node->kind != CRDS_TUPLE) {
        free(joined);
        err_set(err, ERR_REFERENCE, "expected text, a number or a tuple of these");
        return NULL;
    }
    if (code) {
        free(joined);
        return NULL;
    }
    return joined;
}

bool crds_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text) {
        bool same = false;
        const char *next = pattern + 1;
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
            continue;
        }
        const char *close =
            *pattern == '['
                ? strchr(pattern + 1 + (pattern[1] == '!') +
                             (pattern[1] && pattern[2] == ']' && pattern[1] == '!'),
                         ']')
                : NULL;
        if (close == pattern + 1) {
            close = strchr(pattern + 2, ']');
        }
        if (close) {
            bool not = pattern[1] == '!';
            for (const char *c = pattern + 1 + not ; c < close; c++) {
                if (c + 2 < close && c[1] == '-') {
                    same = same || (*text >= c[0] && *text <= c[2]);
                    c += 2;
                } else {
                    same = same || *text == *c;
                }
            }
            same = same != not ;
            next = close + 1;
        } else {
            same = *pattern && (*pattern == '?' || *pattern == *text);
        }
        if (same) {
            pattern = next;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return !*pattern;
}

void crds_matcher_free(struct crds_matcher *m)
{
    if (m) {
        crds_matcher_free(m->a);
        crds_matcher_free(m->b);
        free(m->text);
        free(m);
    }
}

static int build(const char *p, const char *what, int depth, struct crds_matcher **ret,
                 struct err *err);

static int malformed(const char *pattern, const char *what, const char *expected,
                     struct err *err)
{
    return err_set(err, ERR_REFERENCE, "%s: pattern '%.100s': expected %s", what,
                   pattern, expected);
}

/* ">= 1.5": what follows the number is not looked at. */
static int build_compare(const char *p, const char *what, struct crds_matcher *m,
                         struct err *err)
{
    m->how = COMPARE;
    m->order[0] = p[0];
    m->order[1] = p[1] == '=' ? '=' : '\0';
    const char *number = p + 1 + (p[1] == '=');
    number += strspn(number, " \t\n\r\f\v");
    size_t n = strspn(number, "+-.0123456789eE");
    char *text = mem_strndup(number, n, err);
    if (!text) {
        return ERR_NOMEM;
    }
    while (n && !is_number(text)) {
        text[--n] = '\0';
    }
    m->number = strtod(text, NULL);
    free(text);
    return n ? 0 : malformed(p, what, "a number behind '<' or '>'", err);
}

/* Both sides of an AND or OR. */
static int build_pair(const char *p, const char *between, const char *what, int depth,
                      struct crds_matcher *m, struct err *err)
{
    const char *cut = strstr(p, between), *rest = cut + strlen(between);
    const char *more = strstr(rest, between);
    size_t n = strlen(rest);
    m->how = !strcmp(between, "AND") ? BOTH : EITHER;
    n = more ? (size_t)(more - rest) : n;
    n -= !more && n && p[-1] == '#' && rest[n - 1] == '#';
    char *left = trimmed(p, (size_t)(cut - p), err), *right = trimmed(rest, n, err);
    int code = left && right ? 0 : ERR_NOMEM;
    code = code ? code : build(left, what, depth + 1, &m->a, err);
    code = code ? code : build(right, what, depth + 1, &m->b, err);
    free(left);
    free(right);
    return code;
}

static int build_between(const char *p, const char *what, int depth,
                         struct crds_matcher *m, struct err *err)
{
    char word[3][64] = {"", "", ""}, more[2] = "";
    int n = sscanf(p, "%63s %63s %63s %1s", word[0], word[1], word[2], more);
    if (n != 3 || !is_number(word[1]) || !is_number(word[2]) ||
        strtod(word[1], NULL) > strtod(word[2], NULL)) {
        return malformed(p, what, "BETWEEN and two numbers, the smaller one first",
                         err);
    }
    char low[70], high[70];
    snprintf(low, sizeof low, ">=%s", word[1]);
    snprintf(high, sizeof high, "<%s", word[2]);
    m->how = BOTH;
    int code = build(low, what, depth + 1, &m->a, err);
    return code ? code : build(high, what, depth + 1, &m->b, err);
}

/* Between '#' and '#'. */
static int build_relation(const char *p, const char *what, int depth,
                          struct crds_matcher *m, struct err *err)
{
    if (strstr(p, " AND ")) {
        return build_pair(p + 1, "AND", what, depth, m, err);
    }
    if (strstr(p, " OR ")) {
        return build_pair(p + 1, "OR", what, depth, m, err);
    }
    char *inner = mem_strndup(p + 1, strlen(p) - 2, err);
    m->how = EITHER;
    int code = inner ? build(inner, what, depth + 1, &m->a, err) : ERR_NOMEM;
    free(inner);
    return code;
}

static int build_negation(const char *p, const char *what, int depth,
                          struct crds_matcher *m, struct err *err)
{
    char *rest = trimmed(p + 4, strlen(p + 4), err);
    m->how = NEGATION;
    int code = rest ? build(rest, what, depth + 1, &m->a, err) : ERR_NOMEM;
    free(rest);
    return code;
}

static int build(const char *p, const char *what, int depth, struct crds_matcher **ret,
                 struct err *err)
{
    if (depth > MAX_DEPTH) {
        return malformed(p, what, "conditions that are not nested so deeply", err);
    }
    if (is_enclosed(p, '(', ')')) {
        return malformed(p, what, "no regular expression: those are not supported",
                         err);
    }
    struct crds_matcher *m = mem_calloc(1, sizeof *m, err);
    const bool literal = is_enclosed(p, '{', '}');
    int code = m ? 0 : ERR_NOMEM;
    if (m) {
        m->text = literal ? mem_strndup(p + 1, strlen(p) - 2, err) : mem_strdup(p, err);
        code = m->text ? 0 : ERR_NOMEM;
    }
    if (code) {
        crds_matcher_free(m);
        return code;
    }
    if (literal) {
        m->how = EQUAL;
    } else if (is_enclosed(p, '#', '#')) {
        code = build_relation(p, what, depth, m, err);
    } else if (starts_any_case(p, "BETWEEN")) {
        code = build_between(p, what, depth, m, err);
    } else if (starts_any_case(p, "NOT ")) {
        code = build_negation(p, what, depth, m, err);
    } else if (strpbrk(p, "|*")) {
        m->how = GLOB;
    } else if (!strcmp(p, NA)) {
        m->how = DO_NOT_CARE;
    } else if (p[0] == '<' || p[0] == '>') {
        code = build_compare(p, what, m, err);
    } else {
        m->how = EQUAL;
    }
    if (code) {
        crds_matcher_free(m);
        return code;
    }
    *ret = m;
    return 0;
}

int crds_matcher_new(const char *pattern, const char *what, struct crds_matcher **ret,
                     struct err *err)
{
    return build(pattern, what, 0, ret, err);
}

/* Does one of "A|B*|C" match the whole value? */
static bool any_alternative(const char *list, const char *value)
{
    char one[256];
    for (const char *c = list;; c++) {
        size_t n = strcspn(c, "|");
        if (n && n < sizeof one) {
            memcpy(one, c, n);
            one[n] = '\0';
            if (crds_glob(one, value)) {
                return true;
            }
        }
        c += n;
        if (!*c) {
            return false;
        }
    }
}

static bool compares(const struct crds_matcher *m, const char *value)
{
    char *end;
    double x = strtod(value, &end);
    if (end == value || *end || strpbrk(value, "xX")) {
        return false;
    }
    bool equal = m->order[1] == '=' && x >= m->number && x <= m->number;
    return equal || (m->order[0] == '>' ? x > m->number : x < m->number);
}

int crds_matcher_try(const struct crds_matcher *m, const char *value)
{
    int inner;
    if (m->how == DO_NOT_CARE) {
        return 0;
    }
    if (m->how == NEGATION) {
        return -crds_matcher_try(m->a, value);
    }
    if (m->how == EITHER && !m->b) {
        return crds_matcher_try(m->a, value);
    }
    if (!strcmp(value, "*") || (m->how != GLOB && !strcmp(value, m->text))) {
        return 1;
    }
    if (!strcmp(value, NA)) {
        return 0;
    }
    switch (m->how) {
    case GLOB:
        return any_alternative(m->text, value) ? 1 : -1;
    case COMPARE:
        return compares(m, value) ? 1 : -1;
    case BOTH:
    case EITHER:
        inner =
            (crds_matcher_try(m->a, value) == 1) + (crds_matcher_try(m->b, value) == 1);
        return inner >= (m->how == BOTH ? 2 : 1) ? 1 : -1;
    default:
        return -1;
    }
}
