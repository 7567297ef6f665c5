#include "common/data/crds_literal.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/sha256.h"

#define MAX_BYTES ((size_t)64 << 20)
#define MAX_DEPTH 32
#define MAX_NODES ((size_t)4 << 20)

struct reader {
    const char *name, *at, *end;
    int line;
    size_t nodes;
    struct err *err;
};

void crds_node_done(struct crds_node *node)
{
    for (size_t i = 0; i < node->n; i++) {
        crds_node_done(&node->items[i]);
    }
    free(node->items);
    free(node->text);
    *node = (struct crds_node){0};
}

void crds_mapping_done(struct crds_mapping *m)
{
    crds_node_done(&m->header);
    crds_node_done(&m->selector);
}

static int wrong(const struct reader *r, const char *expected)
{
    return err_set(r->err, ERR_REFERENCE, "%s, line %d: expected %s", r->name, r->line,
                   expected);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end) {
        char c = *r->at;
        if (c == '#') {
            while (r->at < r->end && *r->at != '\n') {
                r->at++;
            }
        } else if (c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == '\f') {
            r->line += c == '\n';
            r->at++;
        } else if (c == '\\' && r->end - r->at > 1 && r->at[1] == '\n') {
            r->line++;
            r->at += 2;
        } else {
            break;
        }
    }
}

static bool next_is(struct reader *r, char c)
{
    skip_space(r);
    return r->at < r->end && *r->at == c;
}

static bool take(struct reader *r, char c)
{
    if (!next_is(r, c)) {
        return false;
    }
    r->at++;
    return true;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A word of letters, digits and '_'; its length, 0 if there is none. */
static size_t word(struct reader *r, const char **ret)
{
    skip_space(r);
    *ret = r->at;
    if (r->at < r->end && isdigit((unsigned char)*r->at)) {
        return 0;
    }
    while (r->at < r->end && is_name(*r->at)) {
        r->at++;
    }
    return (size_t)(r->at - *ret);
}

/* Append n bytes to *text of *length, which has room for them. */
static void append(char *text, size_t *length, const char *bytes, size_t n)
{
    memcpy(text + *length, bytes, n);
    *length += n;
}

/* What stands for a backslash and c, or 0: both are kept. */
static char escaped(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case '\\':
    case '\'':
    case '"':
        return c;
    default:
        return 0;
    }
}

/* One string behind its opening quote(s) into text, which has room for the rest of the
 * file. */
static int string_body(struct reader *r, char quote, bool is_long, char *text,
                       size_t *length)
{
    const int first = r->line;
    for (; r->at < r->end; r->at++) {
        char c = *r->at;
        if (c == quote && (!is_long || (r->end - r->at > 2 && r->at[1] == quote &&
                                        r->at[2] == quote))) {
            r->at += is_long ? 3 : 1;
            return 0;
        }
        if (c == '\0' || (c == '\n' && !is_long)) {
            return wrong(r, c ? "the end of the string" : "text without zero bytes");
        }
        r->line += c == '\n';
        if (c == '\\' && r->end - r->at > 1) {
            char plain = escaped(*++r->at);
            r->line += *r->at == '\n';
            if (*r->at == '\0') {
                return wrong(r, "text without zero bytes");
            }
            if (plain) {
                append(text, length, &plain, 1);
            } else if (*r->at != '\n') {
                append(text, length, r->at - 1, 2);
            }
        } else {
            append(text, length, &c, 1);
        }
    }
    r->line = first;
    return wrong(r, "an end of the string that begins here");
}

/* The length of the string's source, quotes and all, to know how much room it needs. */
static size_t string_room(const struct reader *r, char quote, bool is_long)
{
    const char *c = r->at;
    for (; c < r->end; c++) {
        if (*c == '\\') {
            c++;
        } else if (*c == quote &&
                   (!is_long || (r->end - c > 2 && c[1] == quote && c[2] == quote))) {
            break;
        } else if (*c == '\n' && !is_long) {
            break;
        }
    }
    return (size_t)((c < r->end ? c : r->end) - r->at);
}

/* One or more strings side by side. */
static int read_string(struct reader *r, struct crds_node *node)
{
    size_t length = 0;
    int code = 0;
    node->kind = CRDS_STRING;
    do {
        char quote = *r->at++;
        bool is_long = r->end - r->at > 1 && r->at[0] == quote && r->at[1] == quote;
        r->at += is_long ? 2 : 0;
        size_t room = string_room(r, quote, is_long);
        char *grown = mem_realloc(node->text, length + room + 1, 1, r->err);
        if (!grown) {
            return ERR_NOMEM;
        }
        node->text = grown;
        code = string_body(r, quote, is_long, node->text, &length);
    } while (!code && (next_is(r, '\'') || next_is(r, '"')));
    if (!code) {
        node->text[length] = '\0';
    }
    return code;
}

static int read_number(struct reader *r, struct crds_node *node)
{
    char text[64], *end;
    size_t n = 0;
    while (r->at + n < r->end && n < sizeof text - 1 && r->at[n] &&
           (isalnum((unsigned char)r->at[n]) || strchr("+-.", r->at[n]))) {
        text[n] = r->at[n];
        n++;
    }
    text[n] = '\0';
    strtod(text, &end);
    if (end == text || *end || strpbrk(text, "xXnN")) {
        return wrong(r, "a number");
    }
    r->at += n;
    node->kind = CRDS_NUMBER;
    node->text = mem_strdup(text, r->err);
    return node->text ? 0 : ERR_NOMEM;
}

static int read_value(struct reader *r, struct crds_node *node, int depth);

static struct crds_node *push(struct reader *r, struct crds_node *parent, size_t *room)
{
    if (++r->nodes > MAX_NODES) {
        wrong(r, "fewer values");
        return NULL;
    }
    if (parent->n == *room) {
        size_t more = *room ? 2 * *room : 4;
        struct crds_node *grown =
            mem_realloc(parent->items, more, sizeof *grown, r->err);
        if (!grown) {
            return NULL;
        }
        parent->items = grown;
        *room = more;
    }
    parent->items[parent->n] = (struct crds_node){0};
    return &parent->items[parent->n++];
}

static int read_item(struct reader *r, struct crds_node *parent, size_t *room,
                     int depth)
{
    struct crds_node *item = push(r, parent, room);
    return item ? read_value(r, item, depth + 1) : r->err->code;
}

/* Behind "(" or "[": a tuple; one value in parentheses without a comma is that value. */
static int read_tuple(struct reader *r, struct crds_node *node, char close, int depth)
{
    size_t room = 0;
    bool comma = close == ']';
    int code = 0;
    node->kind = CRDS_TUPLE;
    while (!code && !take(r, close)) {
        code = read_item(r, node, &room, depth);
        if (!code && take(r, ',')) {
            comma = true;
        } else if (!code && !next_is(r, close)) {
            code = wrong(r, close == ']' ? "',' or ']'" : "',' or ')'");
        }
    }
    if (!code && !comma && node->n == 1) {
        struct crds_node only = node->items[0];
        free(node->items);
        *node = only;
    }
    return code;
}

static int read_dict(struct reader *r, struct crds_node *node, int depth)
{
    size_t room = 0;
    int code = 0;
    node->kind = CRDS_DICT;
    while (!code && !take(r, '}')) {
        code = read_item(r, node, &room, depth);
        if (!code && !take(r, ':')) {
            code = wrong(r, "':' and a value");
        }
        code = code ? code : read_item(r, node, &room, depth);
        if (!code && !take(r, ',') && !next_is(r, '}')) {
            code = wrong(r, "',' or '}'");
        }
    }
    return code;
}

/* True, False, None or Name(argument). */
static int read_word(struct reader *r, struct crds_node *node, int depth)
{
    const char *name;
    size_t room = 0, n = word(r, &name);
    if (!n) {
        return wrong(r, "a value");
    }
    if (n == 4 && !memcmp(name, "None", 4)) {
        return 0;
    }
    node->text = mem_strndup(name, n, r->err);
    if (!node->text) {
        return ERR_NOMEM;
    }
    if (!strcmp(node->text, "True") || !strcmp(node->text, "False")) {
        node->kind = CRDS_BOOL;
        return 0;
    }
    node->kind = CRDS_CALL;
    if (!take(r, '(')) {
        return wrong(r, "'(' behind a name");
    }
    int code = read_item(r, node, &room, depth);
    if (!code) {
        take(r, ',');
        code = take(r, ')') ? 0 : wrong(r, "')'");
    }
    return code;
}

static int read_value(struct reader *r, struct crds_node *node, int depth)
{
    if (depth > MAX_DEPTH) {
        return wrong(r, "values that are not nested so deeply");
    }
    skip_space(r);
    if (r->at >= r->end) {
        return wrong(r, "a value before the end of the file");
    }
    char c = *r->at;
    if (c == '\'' || c == '"') {
        return read_string(r, node);
    }
    if (isdigit((unsigned char)c) || c == '-' || c == '+' || c == '.') {
        return read_number(r, node);
    }
    if (take(r, '(')) {
        return read_tuple(r, node, ')', depth);
    }
    if (take(r, '[')) {
        return read_tuple(r, node, ']', depth);
    }
    return take(r, '{') ? read_dict(r, node, depth) : read_word(r, node, depth);
}

static int begin(struct reader *r, const char *text, size_t n, const char *name,
                 struct err *err)
{
    *r = (struct reader){
        .name = name, .at = text, .end = text + n, .line = 1, .err = err};
    return n <= MAX_BYTES
               ? 0
               : err_set(err, ERR_REFERENCE, "%s has %zu bytes; expected at most %zu",
                         name, n, MAX_BYTES);
}

int crds_literal_parse(const char *text, size_t n, const char *name,
                       struct crds_node *ret, struct err *err)
{
    struct err mine = {0};
    struct reader r;
    struct crds_node node = {0};
    int code = begin(&r, text, n, name, err ? err : &mine);
    code = code ? code : read_value(&r, &node, 0);
    skip_space(&r);
    if (!code && r.at < r.end) {
        code = wrong(&r, "the end of the file");
    }
    if (code) {
        crds_node_done(&node);
        return code;
    }
    *ret = node;
    return 0;
}

/* Into the header or the selector; a comment is read and dropped. */
static int read_statement(struct reader *r, struct crds_mapping *m)
{
    const char *name;
    struct crds_node comment = {0}, *node = &comment;
    size_t n = word(r, &name);
    bool is_header = n == 6 && !memcmp(name, "header", 6);
    bool is_selector = n == 8 && !memcmp(name, "selector", 8);
    if (!is_header && !is_selector && !(n == 7 && !memcmp(name, "comment", 7))) {
        return wrong(r, "'header', 'selector' or 'comment'");
    }
    if (!take(r, '=')) {
        return wrong(r, "'='");
    }
    if (is_header || is_selector) {
        node = is_header ? &m->header : &m->selector;
        crds_node_done(node); /* the last one counts */
    }
    int code = read_value(r, node, 0);
    if (!code && is_header && node->kind != CRDS_DICT) {
        code = wrong(r, "a header in {}");
    }
    if (!code && is_selector && node->kind != CRDS_DICT && node->kind != CRDS_CALL) {
        code = wrong(r, "a selector in {} or Match({})");
    }
    crds_node_done(&comment);
    return code;
}

/* Of all lines but those that speak of the sum itself. */
static int checksum(const char *text, size_t n, char ret[41], struct err *err)
{
    static const char own[] = "sha1sum";
    char *kept = mem_alloc(n + 1, 1, err);
    size_t length = 0;
    if (!kept) {
        return ERR_NOMEM;
    }
    for (const char *line = text, *end = text + n; line < end;) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        size_t size = (size_t)((feed ? feed + 1 : end) - line);
        if (!memmem(line, size, own, sizeof own - 1)) {
            append(kept, &length, line, size);
        }
        line += size;
    }
    int code = sha1_bytes(kept, length, ret, err);
    free(kept);
    return code;
}

int crds_mapping_parse(const char *text, size_t n, const char *name,
                       struct crds_mapping *ret, struct err *err)
{
    struct err mine = {0};
    struct reader r;
    struct crds_mapping m = {0};
    int code = begin(&r, text, n, name, err ? err : &mine);
    for (skip_space(&r); !code && r.at < r.end; skip_space(&r)) {
        code = read_statement(&r, &m);
    }
    if (!code && (m.header.kind == CRDS_NONE || m.selector.kind == CRDS_NONE)) {
        code = err_set(err, ERR_REFERENCE, "%s: expected a 'header' and a 'selector'",
                       name);
    }
    code = code ? code : checksum(text, n, m.sha1, err);
    if (code) {
        crds_mapping_done(&m);
        return code;
    }
    *ret = m;
    return 0;
}

const struct crds_node *crds_dict_get(const struct crds_node *dict, const char *key)
{
    const struct crds_node *found = NULL;
    for (size_t i = 0; dict->kind == CRDS_DICT && i + 1 < dict->n; i += 2) {
        const struct crds_node *k = &dict->items[i];
        if (k->kind == CRDS_STRING && !strcmp(k->text, key)) {
            found = &dict->items[i + 1];
        }
    }
    return found;
}

const char *crds_dict_string(const struct crds_node *dict, const char *key)
{
    const struct crds_node *node = crds_dict_get(dict, key);
    return node && node->kind == CRDS_STRING ? node->text : NULL;
}
