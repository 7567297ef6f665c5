#include "common/data/header.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"

static void card_done(struct card *c)
{
    free(c->text);
    free(c->comment);
}

void header_done(struct header *h)
{
    for (size_t i = 0; i < h->n; i++) {
        card_done(&h->cards[i]);
    }
    free(h->cards);
    *h = (struct header){0};
}

int header_copy(struct header *dst, const struct header *src, struct err *err)
{
    struct header copy = {0};
    for (size_t i = 0; i < src->n; i++) {
        const struct card *c = &src->cards[i];
        int code = header_append(&copy, c->keyword, c->type, c->text, c->comment, err);
        if (code) {
            header_done(&copy);
            return code;
        }
    }
    header_done(dst);
    *dst = copy;
    return 0;
}

static struct card *find(const struct header *h, const char *keyword)
{
    for (size_t i = 0; i < h->n; i++) {
        if (!strcasecmp(h->cards[i].keyword, keyword)) {
            return &h->cards[i];
        }
    }
    return NULL;
}

const struct card *header_find(const struct header *h, const char *keyword)
{
    return find(h, keyword);
}

bool header_get_string(const struct header *h, const char *keyword, const char **ret)
{
    const struct card *c = find(h, keyword);
    if (!c || c->type != CARD_STRING) {
        return false;
    }
    *ret = c->text;
    return true;
}

bool header_get_real(const struct header *h, const char *keyword, double *ret)
{
    const struct card *c = find(h, keyword);
    if (!c || (c->type != CARD_REAL && c->type != CARD_INT)) {
        return false;
    }
    /* FITS allows D for the exponent */
    char text[72];
    size_t n = strlen(c->text);
    if (n == 0 || n >= sizeof text) {
        return false;
    }
    for (size_t i = 0; i <= n; i++) {
        text[i] = c->text[i] == 'D' || c->text[i] == 'd' ? 'E' : c->text[i];
    }
    char *end;
    double v = strtod(text, &end);
    if (*end || !isfinite(v)) {
        return false;
    }
    *ret = v;
    return true;
}

bool header_get_int(const struct header *h, const char *keyword, long *ret)
{
    const struct card *c = find(h, keyword);
    if (!c || c->type != CARD_INT) {
        return false;
    }
    char *end;
    errno = 0;
    long v = strtol(c->text, &end, 10);
    if (end == c->text || *end || errno) {
        return false;
    }
    *ret = v;
    return true;
}

bool header_get_bool(const struct header *h, const char *keyword, bool *ret)
{
    const struct card *c = find(h, keyword);
    if (!c || c->type != CARD_BOOL) {
        return false;
    }
    *ret = c->text[0] == 'T';
    return true;
}

int header_append(struct header *h, const char *keyword, enum card_type type,
                  const char *text, const char *comment, struct err *err)
{
    if (strlen(keyword) >= sizeof h->cards->keyword) {
        return err_set(err, ERR_INPUT, "keyword '%s' is longer than %zu bytes", keyword,
                       sizeof h->cards->keyword - 1);
    }
    if (h->n == h->room) {
        size_t room = h->room ? 2 * h->room : 64;
        struct card *cards = mem_realloc(h->cards, room, sizeof *cards, err);
        if (!cards) {
            return ERR_NOMEM;
        }
        h->cards = cards;
        h->room = room;
    }
    struct card c = {.type = type};
    for (size_t i = 0; keyword[i]; i++) {
        c.keyword[i] = (char)toupper((unsigned char)keyword[i]);
    }
    c.text = mem_strdup(text ? text : "", err);
    c.comment = c.text ? mem_strdup(comment ? comment : "", err) : NULL;
    if (!c.comment) {
        card_done(&c);
        return ERR_NOMEM;
    }
    h->cards[h->n++] = c;
    return 0;
}

/* Replace value and (unless NULL) comment of a keyword, or append the card. */
static int set(struct header *h, const char *keyword, enum card_type type,
               const char *text, const char *comment, struct err *err)
{
    struct card *c = find(h, keyword);
    if (!c) {
        return header_append(h, keyword, type, text, comment, err);
    }
    char *new_text = mem_strdup(text, err);
    char *new_comment =
        new_text ? mem_strdup(comment ? comment : c->comment, err) : NULL;
    if (!new_comment) {
        free(new_text);
        return ERR_NOMEM;
    }
    card_done(c);
    c->type = type;
    c->text = new_text;
    c->comment = new_comment;
    return 0;
}

int header_set_string(struct header *h, const char *keyword, const char *value,
                      const char *comment, struct err *err)
{
    return set(h, keyword, CARD_STRING, value, comment, err);
}

/* The shortest decimal text that reads back as the same number, with a '.' or 'E'. */
static void real_text(double v, char *text, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*G", digits, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    if (!strpbrk(text, ".E")) {
        size_t n = strlen(text);
        snprintf(text + n, size - n, ".0");
    }
}

int header_set_real(struct header *h, const char *keyword, double value,
                    const char *comment, struct err *err)
{
    char text[40] = "";
    if (isfinite(value)) {
        real_text(value, text, sizeof text);
    }
    return set(h, keyword, CARD_REAL, text, comment, err);
}

int header_set_int(struct header *h, const char *keyword, long value,
                   const char *comment, struct err *err)
{
    char text[40];
    snprintf(text, sizeof text, "%ld", value);
    return set(h, keyword, CARD_INT, text, comment, err);
}

int header_set_bool(struct header *h, const char *keyword, bool value,
                    const char *comment, struct err *err)
{
    return set(h, keyword, CARD_BOOL, value ? "T" : "F", comment, err);
}

void header_remove(struct header *h, const char *keyword)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (strcasecmp(h->cards[i].keyword, keyword)) {
            h->cards[kept++] = h->cards[i];
        } else {
            card_done(&h->cards[i]);
        }
    }
    h->n = kept;
}
