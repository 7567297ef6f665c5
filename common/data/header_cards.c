#include "common/data/header_cards.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"

/* ---- structural keywords ---------------------------------------------------------- */

/* Does `keyword` consist of `stem` and decimal digits? */
static bool is_numbered(const char *keyword, const char *stem)
{
    size_t n = strlen(stem);
    if (strncasecmp(keyword, stem, n) || !keyword[n]) {
        return false;
    }
    return strspn(keyword + n, "0123456789") == strlen(keyword + n);
}

bool header_is_structural(const char *keyword, bool of_table)
{
    static const char *const plain[] = {
        "SIMPLE", "XTENSION", "BITPIX",   "NAXIS",   "PCOUNT", "GCOUNT", "EXTEND",
        "BSCALE", "BZERO",    "CHECKSUM", "DATASUM", "END",    "GROUPS", "LONGSTRN"};
    static const char *const column[] = {"TTYPE", "TFORM", "TUNIT", "TDIM",  "TSCAL",
                                         "TZERO", "TNULL", "TDISP", "TBCOL", "TCOMM"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (!strcasecmp(keyword, plain[i])) {
            return true;
        }
    }
    if (is_numbered(keyword, "NAXIS")) {
        return true;
    }
    if (!of_table) {
        return !strcasecmp(keyword, "BLANK");
    }
    for (size_t i = 0; i < sizeof column / sizeof *column; i++) {
        if (is_numbered(keyword, column[i])) {
            return true;
        }
    }
    return !strcasecmp(keyword, "TFIELDS") || !strcasecmp(keyword, "THEAP");
}

/* ---- lines to cards --------------------------------------------------------------- */

static void trim(char *s)
{
    size_t n = strlen(s);
    while (n && s[n - 1] == ' ') {
        s[--n] = '\0';
    }
}

/* The comment behind a slash at or after p, without leading blanks. */
static const char *comment_at(const char *p)
{
    p += strspn(p, " ");
    if (*p != '/') {
        return "";
    }
    p++;
    return *p == ' ' ? p + 1 : p;
}

/* Read a quoted string at *p (on the quote) into text; *p ends behind it. */
static void unquote(const char **p, char *text)
{
    const char *s = *p + 1;
    while (*s) {
        if (*s == '\'') {
            if (s[1] != '\'') {
                s++;
                break;
            }
            s++;
        }
        *text++ = *s++;
    }
    *text = '\0';
    *p = s;
}

static int join_continue(struct header *h, const char *line, struct err *err)
{
    struct card *last = h->n ? &h->cards[h->n - 1] : NULL;
    size_t n = last ? strlen(last->text) : 0;
    const char *p = line + 8 + strspn(line + 8, " ");
    if (!last || last->type != CARD_STRING || !n || n > HEADER_MAX_TEXT ||
        last->text[n - 1] != '&' || *p != '\'') {
        return header_append(h, "COMMENT", CARD_COMMENT, line, "", err);
    }
    char text[HEADER_LINE + 1];
    unquote(&p, text);
    trim(text);
    char *joined = mem_printf(err, "%.*s%s", (int)n - 1, last->text, text);
    if (!joined) {
        return ERR_NOMEM;
    }
    const char *more = comment_at(p);
    char *comment = mem_printf(err, "%s%s", last->comment, more);
    if (!comment) {
        free(joined);
        return ERR_NOMEM;
    }
    trim(comment);
    free(last->text);
    free(last->comment);
    last->text = joined;
    last->comment = comment;
    return 0;
}

/* Split "value / comment" at p and append the card. */
static int append_value(struct header *h, const char *keyword, const char *p,
                        struct err *err)
{
    char text[HEADER_LINE + 1];
    enum card_type type;
    p += strspn(p, " ");
    if (*p == '\'') {
        unquote(&p, text);
        type = CARD_STRING;
    } else {
        size_t n = strcspn(p, "/");
        memcpy(text, p, n);
        text[n] = '\0';
        p += n;
        if (text[0] == 'T' || text[0] == 'F') {
            type = CARD_BOOL;
        } else if (text[0] && text[strspn(text, "+-0123456789 ")] == '\0') {
            type = CARD_INT;
        } else {
            type = CARD_REAL;
        }
    }
    trim(text);
    if (!text[0] && type == CARD_INT) {
        type = CARD_REAL; /* a keyword without a value */
    }
    return header_append(h, keyword, type, text, comment_at(p), err);
}

int header_parse_line(struct header *h, const char *line, enum header_part part,
                      struct err *err)
{
    char buf[HEADER_LINE + 1], keyword[HEADER_LINE + 1];
    snprintf(buf, sizeof buf, "%s", line);
    trim(buf);
    snprintf(keyword, sizeof keyword, "%.8s", buf);
    trim(keyword);
    if (!strcmp(keyword, "CONTINUE")) {
        return join_continue(h, buf, err);
    }
    if (!strcmp(keyword, "HIERARCH") && strchr(buf, '=')) {
        const char *eq = strchr(buf, '=');
        const char *from = buf + 8 + strspn(buf + 8, " ");
        snprintf(keyword, sizeof keyword, "%.*s", (int)(eq > from ? eq - from : 0),
                 from);
        trim(keyword);
        if (keyword[0]) {
            return append_value(h, keyword, eq + 1, err);
        }
    }
    if (part != HEADER_WHOLE &&
        header_is_structural(keyword, part == HEADER_OF_TABLE)) {
        return 0;
    }
    if (strlen(buf) >= 9 && buf[8] == '=' && (buf[9] == ' ' || !buf[9]) && keyword[0]) {
        return append_value(h, keyword, buf + 9, err);
    }
    const char *text = strlen(buf) > 8 ? buf + 8 : "";
    return header_append(h, keyword, keyword[0] ? CARD_COMMENT : CARD_BLANK, text, "",
                         err);
}

/* ---- cards to lines --------------------------------------------------------------- */

struct out {
    int (*line)(void *arg, const char *text, struct err *err);
    void *arg;
};

/* Pad or cut to 80 printable bytes and hand over. */
static int put(const struct out *out, const char *text, struct err *err)
{
    char line[HEADER_LINE + 1];
    size_t n = strnlen(text, HEADER_LINE);
    for (size_t i = 0; i < HEADER_LINE; i++) {
        unsigned char c = i < n ? (unsigned char)text[i] : ' ';
        line[i] = c < ' ' || c > '~' ? '?' : (char)c;
    }
    line[HEADER_LINE] = '\0';
    return out->line(out->arg, line, err);
}

/* "KEYWORD = ", for HIERARCH keywords "HIERARCH a b = ". */
static void start_of(const struct card *c, char *ret, size_t size)
{
    if (strlen(c->keyword) <= 8 && !strchr(c->keyword, ' ')) {
        snprintf(ret, size, "%-8s= ", c->keyword);
    } else {
        snprintf(ret, size, "HIERARCH %.58s = ", c->keyword);
    }
}

/* Quote as much of *s as fits in `room` bytes with both quotes; *s moves on. */
static void quote(const char **s, size_t room, bool may_continue, char *ret)
{
    size_t n = 0;
    const char *p = *s;
    size_t left = room - 2;
    size_t need = 0;
    for (const char *q = p; *q; q++) {
        need += *q == '\'' ? 2 : 1;
    }
    bool cut = need > left;
    if (cut && may_continue) {
        left--; /* for the & */
    }
    ret[n++] = '\'';
    while (*p) {
        size_t w = *p == '\'' ? 2 : 1;
        if (n - 1 + w > left) {
            break;
        }
        if (w == 2) {
            ret[n++] = '\'';
        }
        ret[n++] = *p++;
    }
    if (cut && may_continue) {
        ret[n++] = '&';
    }
    while (!cut && n < 9) {
        ret[n++] = ' ';
    }
    ret[n++] = '\'';
    ret[n] = '\0';
    *s = p;
}

static int format_string(const struct card *c, const struct out *out, struct err *err)
{
    char start[HEADER_LINE + 1], value[HEADER_LINE + 16], line[4 * HEADER_LINE];
    start_of(c, start, sizeof start);
    const char *rest = c->text;
    quote(&rest, HEADER_LINE - strlen(start), true, value);
    while (*rest) {
        snprintf(line, sizeof line, "%s%s", start, value);
        int code = put(out, line, err);
        if (code) {
            return code;
        }
        snprintf(start, sizeof start, "CONTINUE  ");
        quote(&rest, HEADER_LINE - 10, true, value);
    }
    snprintf(line, sizeof line, "%s%-20s%s%.80s", start, value,
             c->comment[0] ? " / " : "", c->comment);
    return put(out, line, err);
}

/* COMMENT, HISTORY and blank cards, over as many lines as needed. */
static int format_comment(const struct card *c, const struct out *out, struct err *err)
{
    const char *s = c->text;
    do {
        char line[HEADER_LINE + 1];
        snprintf(line, sizeof line, "%-8.8s%.72s", c->keyword, s);
        int code = put(out, line, err);
        if (code) {
            return code;
        }
        s += strnlen(s, 72);
    } while (*s);
    return 0;
}

int header_format_card(const struct card *c,
                       int (*line)(void *arg, const char *text, struct err *err),
                       void *arg, struct err *err)
{
    const struct out out = {line, arg};
    if (c->type == CARD_COMMENT || c->type == CARD_BLANK) {
        return format_comment(c, &out, err);
    }
    if (c->type == CARD_STRING) {
        return format_string(c, &out, err);
    }
    char start[HEADER_LINE + 1], whole[3 * HEADER_LINE];
    start_of(c, start, sizeof start);
    snprintf(whole, sizeof whole, "%s%20.70s%s%.80s", start, c->text,
             c->comment[0] ? " / " : "", c->comment);
    return put(&out, whole, err);
}
