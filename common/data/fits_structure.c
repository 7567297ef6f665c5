#include "common/data/fits_structure.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"

#define LINE 80

/* What is known of the header being read. */
struct walk {
    const struct fits_source *src;
    const char *name;
    int fault;
    int number; /* of the HDU, 0 = primary */
    struct fits_hdu hdu;
    char xtension[16];
    bool is_group, is_simple;
    uint64_t pcount, gcount;
};

static int wrong(const struct walk *w, struct err *err, const char *what)
{
    return err_set(err, w->fault, "%s, HDU %d%s%s%s: %s", w->name, w->number,
                   w->hdu.extname[0] ? " (" : "", w->hdu.extname,
                   w->hdu.extname[0] ? ")" : "", what);
}

/* Value of a card "KEYWORD = 123 / ..." as a number >= min. */
static int number_of(const struct walk *w, const char *line, int64_t min, int64_t max,
                     int64_t *ret, struct err *err)
{
    char text[LINE], *end;
    snprintf(text, sizeof text, "%.70s", line + 10);
    const char *from = text + strspn(text, " ");
    errno = 0;
    long long v = strtoll(from, &end, 10);
    const char *behind = end + strspn(end, " ");
    bool whole = end != from && (isdigit((unsigned char)*from) || *from == '-') &&
                 (*behind == '\0' || *behind == '/');
    if (!whole || errno || v < min || v > max) {
        char what[200];
        snprintf(what, sizeof what,
                 "%.8s is '%.40s'; expected a whole number in %" PRId64 "..%" PRId64,
                 line, from, min, max);
        return wrong(w, err, what);
    }
    *ret = v;
    return 0;
}

/* Value of a card "KEYWORD = 'text' / ..."; "" if it is no string. */
static void string_of(const char *line, char *ret, size_t size)
{
    const char *p = line + 10;
    const char *end = line + LINE;
    size_t n = 0;
    while (p < end && *p == ' ') {
        p++;
    }
    if (p < end && *p == '\'') {
        for (p++; p < end && n + 1 < size; p++) {
            if (*p == '\'') {
                if (p + 1 >= end || p[1] != '\'') {
                    break;
                }
                p++;
            }
            ret[n++] = isprint((unsigned char)*p) ? *p : '?';
        }
    }
    while (n && ret[n - 1] == ' ') {
        n--;
    }
    ret[n] = '\0';
}

static bool is(const char *line, const char *keyword)
{
    size_t n = strlen(keyword);
    return !strncmp(line, keyword, n) && strspn(line + n, " ") >= 8 - n &&
           line[8] == '=' && line[9] == ' ';
}

static bool is_true(const char *line)
{
    const char *p = line + 10;
    while (p < line + LINE - 1 && *p == ' ') {
        p++;
    }
    return *p == 'T';
}

/* The mandatory cards are known by their place: a second one further on is nothing. */
static int take_mandatory(struct walk *w, int place, const char *line, struct err *err)
{
    int64_t v = 0;
    int code = 0;
    if (place == 0 && w->number) {
        string_of(line, w->xtension, sizeof w->xtension);
    } else if (place == 0) {
        w->is_simple = is_true(line);
    } else if (place == 1) {
        code = number_of(w, line, -64, 64, &v, err);
        w->hdu.bitpix = (int)v;
        if (!code && v != 8 && v != 16 && v != 32 && v != 64 && v != -32 && v != -64) {
            code = wrong(w, err, "BITPIX is none of 8, 16, 32, 64, -32, -64");
        }
    } else if (place == 2) {
        code = number_of(w, line, 0, FITS_MAX_AXES, &v, err);
        w->hdu.n_axes = (int)v;
    } else if (place < 3 + w->hdu.n_axes) {
        code = number_of(w, line, 0, INT64_MAX, &v, err);
        w->hdu.axes[place - 3] = (size_t)v;
    } else if (is(line, "TFIELDS")) {
        code = number_of(w, line, 0, 999, &v, err);
        w->hdu.fields = (int)v;
    } else {
        code = number_of(w, line, 0, INT64_MAX, &v, err);
        *(is(line, "PCOUNT") ? &w->pcount : &w->gcount) = (uint64_t)v;
    }
    return code;
}

static int take_line(struct walk *w, const char *line, struct err *err)
{
    int64_t v = 0;
    if (is(line, "EXTVER")) {
        int code = number_of(w, line, INT_MIN, INT_MAX, &v, err);
        w->hdu.extver = (int)v;
        return code;
    }
    if (is(line, "EXTNAME")) {
        string_of(line, w->hdu.extname, sizeof w->hdu.extname);
    } else if (is(line, "GROUPS")) {
        w->is_group = is_true(line);
    } else if (is(line, "ZIMAGE")) {
        w->hdu.is_compressed = is_true(line);
    }
    return 0;
}

/*
 * The mandatory keywords stand first and in a fixed order (Standard 4.0, 4.4.1);
 * cfitsio trusts what it finds there, so it is checked before. `place` counts from 0;
 * *ret_mandatory: is this the place of such a card?
 */
static int check_place(const struct walk *w, int place, const char *line,
                       bool *ret_mandatory, struct err *err)
{
    char expected[16] = "";
    const int behind = 3 + w->hdu.n_axes; /* the first card behind the axes */
    if (place == 0) {
        snprintf(expected, sizeof expected, "%s", w->number ? "XTENSION" : "SIMPLE");
    } else if (place < 3) {
        snprintf(expected, sizeof expected, "%s", place == 1 ? "BITPIX" : "NAXIS");
    } else if (place < behind) {
        snprintf(expected, sizeof expected, "NAXIS%d", place - 2);
    } else if (w->number && place < behind + 2) {
        snprintf(expected, sizeof expected, "%s",
                 place == behind ? "PCOUNT" : "GCOUNT");
    } else if (place == behind + 2 && !strcmp(w->xtension, "BINTABLE")) {
        snprintf(expected, sizeof expected, "TFIELDS");
    }
    *ret_mandatory = expected[0] != '\0';
    if (!expected[0] || is(line, expected)) {
        return 0;
    }
    if (place == 0) {
        return wrong(w, err, "no FITS file: the first card is not SIMPLE or XTENSION");
    }
    char what[80];
    snprintf(what, sizeof what, "card %d is '%.8s'; expected %s", place + 1, line,
             expected);
    return wrong(w, err, what);
}

bool fits_may_begin(const char *bytes, size_t n)
{
    static const char first[] = "SIMPLE  =", gzip[] = "\x1f\x8b", empty[9] = {0};
    size_t m = n < 9 ? n : 9;
    return !memcmp(bytes, first, m) || !memcmp(bytes, gzip, m < 2 ? m : 2) ||
           !memcmp(bytes, empty, m);
}

/* Read the header blocks of one HDU up to END. */
static int read_header(struct walk *w, struct err *err)
{
    char block[FITS_BLOCK + 1];
    block[FITS_BLOCK] = '\0';
    int place = 0;
    if (w->number == 0) {
        size_t n = w->src->size < sizeof block ? (size_t)w->src->size : sizeof block;
        int code = w->src->read_at(w->src->arg, 0, block, n, err);
        if (code) {
            return code;
        }
        if (!fits_may_begin(block, n)) {
            return wrong(w, err, "no FITS file: it does not begin with SIMPLE  =");
        }
        block[FITS_BLOCK] = '\0';
    }
    for (uint64_t at = w->hdu.header_at;; at += FITS_BLOCK) {
        if (w->src->size - at < FITS_BLOCK) {
            return wrong(w, err, "the file ends within the header: it is cut short");
        }
        int code = w->src->read_at(w->src->arg, at, block, FITS_BLOCK, err);
        if (code) {
            return code;
        }
        for (int i = 0; i < FITS_BLOCK; i += LINE) {
            char line[LINE + 1];
            memcpy(line, block + i, LINE);
            line[LINE] = '\0';
            if (memchr(line, '\0', LINE)) {
                return wrong(w, err, "the header holds zero bytes: no FITS header");
            }
            bool mandatory = false;
            code = check_place(w, place, line, &mandatory, err);
            if (code) {
                return code;
            }
            if (!strncmp(line, "END     ", 8)) {
                w->hdu.data_at = at + FITS_BLOCK;
                return 0;
            }
            code = mandatory ? take_mandatory(w, place, line, err)
                             : take_line(w, line, err);
            if (!code && ++place > FITS_MAX_CARDS) {
                code = wrong(w, err, "the header has more than 20000 cards");
            }
            if (code) {
                return code;
            }
        }
    }
}

/* Check the keywords and work out the size of the data. */
static int measure(struct walk *w, struct err *err)
{
    struct fits_hdu *h = &w->hdu;
    if (w->number == 0) {
        if (!w->is_simple || (w->is_group && h->n_axes && !h->axes[0])) {
            return wrong(w, err, "SIMPLE is not T, or the file holds random groups");
        }
        h->kind = FITS_IMAGE;
        if (!h->extname[0]) {
            snprintf(h->extname, sizeof h->extname, "PRIMARY");
        }
    } else if (!strcmp(w->xtension, "IMAGE")) {
        h->kind = FITS_IMAGE;
    } else if (!strcmp(w->xtension, "BINTABLE")) {
        h->kind = FITS_TABLE;
        if (h->bitpix != 8 || h->n_axes != 2) {
            return wrong(w, err, "a table must have BITPIX 8 and NAXIS 2");
        }
        h->rows = h->axes[0] ? h->axes[1] : 0;
    } else {
        h->kind = FITS_OTHER;
    }
    if (h->kind != FITS_OTHER && w->gcount != 1) {
        return wrong(w, err, "GCOUNT must be 1");
    }
    if (h->kind == FITS_IMAGE && w->pcount) {
        return wrong(w, err, "PCOUNT of an image must be 0");
    }
    size_t n = h->n_axes > 0, values, bytes;
    int overflow = 0;
    for (int i = 0; i < h->n_axes; i++) {
        overflow |= mem_mul(n, h->axes[i], &n);
    }
    h->pixels = n;
    values = n + w->pcount;
    overflow |= values < n;
    overflow |= mem_mul(values, w->gcount, &values);
    overflow |= mem_mul(values, (size_t)abs(h->bitpix) / 8, &bytes);
    if (overflow || bytes > INT64_MAX / 2) {
        return wrong(w, err, "the axes multiply to more bytes than a file can hold");
    }
    h->data_bytes = n || w->number ? bytes : 0;
    if (h->data_bytes > w->src->size - h->data_at) {
        char what[200];
        snprintf(what, sizeof what,
                 "the file is cut short: the header promises %" PRIu64
                 " bytes of data, %" PRIu64 " are missing",
                 h->data_bytes, h->data_bytes - (w->src->size - h->data_at));
        return wrong(w, err, what);
    }
    return 0;
}

/* Is there another HDU at `at`? A file may end in bytes that are none. */
static int more_at(const struct walk *w, uint64_t at, bool *ret, struct err *err)
{
    char word[8];
    *ret = false;
    if (at >= w->src->size) {
        return 0;
    }
    size_t n = w->src->size - at < 8 ? (size_t)(w->src->size - at) : 8;
    int code = w->src->read_at(w->src->arg, at, word, n, err);
    *ret = !code && !memcmp(word, "XTENSION", n);
    return code;
}

int fits_structure_read(const struct fits_source *src, const char *name, int fault,
                        struct fits_structure *ret, struct err *err)
{
    struct fits_structure s = {0};
    size_t room = 0;
    uint64_t at = 0;
    bool more = true;
    int code = 0;
    while (more && !code) {
        struct walk w = {.src = src, .name = name, .fault = fault, .number = s.n};
        w.gcount = 1;
        w.hdu.header_at = at;
        w.hdu.extver = 1;
        if (s.n == FITS_MAX_HDUS) {
            code = err_set(err, fault, "%s: more than %d HDUs", name, FITS_MAX_HDUS);
            break;
        }
        code = read_header(&w, err);
        code = code ? code : measure(&w, err);
        if (code) {
            break;
        }
        if ((size_t)s.n == room) {
            room = room ? 2 * room : 16;
            struct fits_hdu *hdus = mem_realloc(s.hdus, room, sizeof *hdus, err);
            if (!hdus) {
                code = ERR_NOMEM;
                break;
            }
            s.hdus = hdus;
        }
        s.hdus[s.n++] = w.hdu;
        at = w.hdu.data_at +
             (w.hdu.data_bytes + FITS_BLOCK - 1) / FITS_BLOCK * FITS_BLOCK;
        code = more_at(&w, at, &more, err);
    }
    if (code) {
        fits_structure_done(&s);
        return code;
    }
    *ret = s;
    return 0;
}

void fits_structure_done(struct fits_structure *s)
{
    free(s->hdus);
    *s = (struct fits_structure){0};
}
