#include "common/data/crds_expr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT 256
#define MAX_DEPTH 32

struct value {
    bool is_number;
    double number;
    char text[MAX_TEXT];
};

struct reader {
    const char *whole, *at;
    crds_lookup lookup;
    void *user;
    struct err *err;
    int code;  /* of the first fault */
    int depth; /* parentheses */
    bool idle; /* read only: what stands here is not reached */
};

static void fault(struct reader *r, const char *what)
{
    if (!r->code) {
        r->code = err_set(r->err, ERR_REFERENCE, "condition '%.200s': %s at '%.40s'",
                          r->whole, what, r->at);
    }
}

static void skip(struct reader *r)
{
    r->at += strspn(r->at, " \t\r\n");
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static bool take(struct reader *r, const char *sign)
{
    skip(r);
    size_t n = strlen(sign);
    bool is_word = isalpha((unsigned char)sign[0]);
    if (strncmp(r->at, sign, n) || (is_word && is_name(r->at[n]))) {
        return false;
    }
    r->at += n;
    return true;
}

static struct value truth(bool yes)
{
    return (struct value){.is_number = true, .number = yes};
}

static bool is_true(const struct value *v)
{
    return v->is_number ? !(v->number >= 0 && v->number <= 0) : v->text[0] != '\0';
}

static struct value condition(struct reader *r);

static void read_string(struct reader *r, struct value *v)
{
    size_t n = strlen(v->text);
    char quote = *r->at++;
    while (*r->at && *r->at != quote && n < MAX_TEXT - 1) {
        v->text[n++] = *r->at++;
    }
    v->text[n] = '\0';
    if (*r->at != quote) {
        fault(r, "a string without end or too long");
        return;
    }
    r->at++;
}

static struct value read_name(struct reader *r)
{
    struct value v = {0};
    char name[MAX_TEXT];
    size_t n = 0;
    while (n < MAX_TEXT - 1 && is_name(r->at[n])) {
        name[n] = r->at[n];
        n++;
    }
    name[n] = '\0';
    if (!n) {
        fault(r, "a value is missing");
        return v;
    }
    r->at += n;
    if (!strcmp(name, "True") || !strcmp(name, "False")) {
        return truth(name[0] == 'T');
    }
    const char *found = r->idle ? "" : r->lookup(r->user, name);
    if (!found || strlen(found) >= MAX_TEXT) {
        r->at -= n;
        fault(r, "an unknown name");
        return v;
    }
    strcpy(v.text, found);
    return v;
}

/* A value, or a condition in parentheses. */
static struct value operand(struct reader *r)
{
    struct value v = {0};
    skip(r);
    if (*r->at == '\'' || *r->at == '"') {
        for (; !r->code && (*r->at == '\'' || *r->at == '"'); skip(r)) {
            read_string(r, &v);
        }
        return v;
    }
    if (isdigit((unsigned char)*r->at) || *r->at == '-' || *r->at == '+') {
        char *end;
        v.number = strtod(r->at, &end);
        v.is_number = true;
        if (end == r->at) {
            fault(r, "a number is malformed");
        }
        r->at = end;
        return v;
    }
    if (take(r, "(")) {
        if (++r->depth > MAX_DEPTH) {
            fault(r, "too many parentheses");
            return v;
        }
        v = condition(r);
        r->depth--;
        if (!r->code && !take(r, ")")) {
            fault(r, "')' is missing");
        }
        return v;
    }
    return read_name(r);
}

static bool equal(const struct value *a, const struct value *b)
{
    return a->is_number == b->is_number &&
           (a->is_number ? a->number >= b->number && a->number <= b->number
                         : !strcmp(a->text, b->text));
}

/* Is v one of the values in parentheses or brackets? A string: does it hold v? */
static bool is_in(struct reader *r, const struct value *v)
{
    skip(r);
    char open = *r->at;
    bool found = false, is_list = open == '[';
    if (open != '(' && open != '[') {
        struct value whole = operand(r);
        if (!r->idle && (whole.is_number || v->is_number)) {
            fault(r, "'in' needs a tuple or text");
        }
        return !r->code && strstr(whole.text, v->text) != NULL;
    }
    r->at++;
    char close[2] = {is_list ? ']' : ')', '\0'};
    struct value first = {0};
    int n = 0;
    for (; !r->code && !take(r, close); n++) {
        struct value item = operand(r);
        if (n == 0) {
            first = item;
        }
        found = found || equal(&item, v);
        if (take(r, ",")) {
            is_list = true;
        } else if (!take(r, close)) {
            fault(r, "',' or the end of the values is missing");
        } else if (!is_list) { /* ("text"): no tuple */
            return !first.is_number && strstr(first.text, v->text);
        } else {
            break;
        }
    }
    return found;
}

static struct value comparison(struct reader *r)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};
    struct value a = operand(r);
    bool negated = take(r, "not");
    if (take(r, "in")) {
        return truth(is_in(r, &a) != negated);
    }
    if (negated) {
        fault(r, "'in' is missing behind 'not'");
    }
    for (int i = 0; i < 6 && !r->code; i++) {
        if (!take(r, signs[i])) {
            continue;
        }
        struct value b = operand(r);
        if (i < 2) {
            return truth(equal(&a, &b) == (i == 0));
        }
        if (a.is_number != b.is_number && !r->idle) {
            fault(r, "text and a number have no order");
            return a;
        }
        double order = a.is_number ? (a.number > b.number) - (a.number < b.number)
                                   : (double)strcmp(a.text, b.text);
        return truth(i == 2   ? order <= 0
                     : i == 3 ? order >= 0
                     : i == 4 ? order < 0
                              : order > 0);
    }
    return a;
}

static struct value negation(struct reader *r)
{
    if (!take(r, "not")) {
        return comparison(r);
    }
    if (++r->depth > MAX_DEPTH) {
        fault(r, "too many 'not'");
        return truth(false);
    }
    struct value v = negation(r);
    r->depth--;
    return truth(!is_true(&v));
}

/* Operands joined by `and` or `or`: the value of the first that settles it. */
static struct value joined(struct reader *r, const char *word,
                           struct value (*next)(struct reader *r), bool settles)
{
    const bool idle = r->idle;
    struct value v = next(r);
    while (!r->code && take(r, word)) {
        bool settled = is_true(&v) == settles;
        r->idle = idle || settled;
        struct value w = next(r);
        v = settled ? v : w;
    }
    r->idle = idle;
    return v;
}

static struct value conjunction(struct reader *r)
{
    return joined(r, "and", negation, false);
}

static struct value condition(struct reader *r)
{
    return joined(r, "or", conjunction, true);
}

int crds_expr(const char *text, crds_lookup lookup, void *user, bool *ret,
              struct err *err)
{
    struct err mine = {0};
    struct reader r = {.whole = text,
                       .at = text,
                       .lookup = lookup,
                       .user = user,
                       .err = err ? err : &mine};
    struct value v = condition(&r);
    skip(&r);
    if (!r.code && *r.at) {
        fault(&r, "the end is expected");
    }
    if (!r.code) {
        *ret = is_true(&v);
    }
    return r.code;
}
