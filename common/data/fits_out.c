#include "common/data/fits_io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "common/base/mem.h"
#include "common/data/header_cards.h"

#define BUFFER ((size_t)1 << 20)

struct fits_out {
    char *name;
    int fd;
    uint64_t bytes;
    unsigned char *buffer; /* BUFFER bytes, `used` of them waiting */
    size_t used;
};

static const struct kind {
    int bitpix;
    size_t size;
    char form;     /* TFORM */
    uint64_t zero; /* BZERO or TZERO */
} kinds[] = {
    [FITS_UINT8] = {8, 1, 'B', 0},    [FITS_INT16] = {16, 2, 'I', 0},
    [FITS_INT32] = {32, 4, 'J', 0},   [FITS_UINT32] = {32, 4, 'J', 1u << 31},
    [FITS_INT64] = {64, 8, 'K', 0},   [FITS_FLOAT] = {-32, 4, 'E', 0},
    [FITS_DOUBLE] = {-64, 8, 'D', 0}, [FITS_STRING] = {8, 1, 'A', 0},
};

/* ---- bytes ------------------------------------------------------------------------ */

static int flush(struct fits_out *f, struct err *err)
{
    size_t done = 0;
    while (done < f->used) {
        ssize_t n = write(f->fd, f->buffer + done, f->used - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(err, ERR_IO, "%s: cannot write: %s", f->name,
                           strerror(errno));
        }
        done += (size_t)n;
    }
    f->used = 0;
    return 0;
}

/* Room for n <= BUFFER bytes at the end of the buffer; the caller fills them. */
static int room(struct fits_out *f, size_t n, unsigned char **ret, struct err *err)
{
    int code = BUFFER - f->used < n ? flush(f, err) : 0;
    if (!code) {
        *ret = f->buffer + f->used;
        f->used += n;
        f->bytes += n;
    }
    return code;
}

/* Fill the last block. */
static int pad(struct fits_out *f, char with, struct err *err)
{
    size_t n = (FITS_BLOCK - f->bytes % FITS_BLOCK) % FITS_BLOCK;
    unsigned char *at;
    int code = room(f, n, &at, err);
    if (!code) {
        memset(at, with, n);
    }
    return code;
}

/* n values of `size` bytes to big-endian; `flip` is applied to 4-byte values first. */
static void swap(unsigned char *restrict to, const void *restrict from, size_t n,
                 size_t size, uint32_t flip)
{
    if (size == 4) {
        for (size_t i = 0; i < n; i++) {
            uint32_t v;
            memcpy(&v, (const char *)from + 4 * i, 4);
            v = __builtin_bswap32(v ^ flip);
            memcpy(to + 4 * i, &v, 4);
        }
    } else if (size == 8) {
        for (size_t i = 0; i < n; i++) {
            uint64_t v;
            memcpy(&v, (const char *)from + 8 * i, 8);
            v = __builtin_bswap64(v);
            memcpy(to + 8 * i, &v, 8);
        }
    } else if (size == 2) {
        for (size_t i = 0; i < n; i++) {
            uint16_t v;
            memcpy(&v, (const char *)from + 2 * i, 2);
            v = __builtin_bswap16(v);
            memcpy(to + 2 * i, &v, 2);
        }
    } else {
        memcpy(to, from, n);
    }
}

/* ---- headers ---------------------------------------------------------------------- */

static int put_line(void *arg, const char *text, struct err *err)
{
    unsigned char *at;
    int code = room(arg, HEADER_LINE, &at, err);
    if (!code) {
        memcpy(at, text, HEADER_LINE);
    }
    return code;
}

static int put_card(struct fits_out *f, const char *keyword, enum card_type type,
                    const char *text, const char *comment, struct err *err)
{
    struct card c = {.type = type};
    snprintf(c.keyword, sizeof c.keyword, "%s", keyword);
    c.text = (char *)(uintptr_t)text; /* only read */
    c.comment = (char *)(uintptr_t)comment;
    return header_format_card(&c, put_line, f, err);
}

static int put_string(struct fits_out *f, const char *keyword, const char *text,
                      const char *comment, struct err *err)
{
    return put_card(f, keyword, CARD_STRING, text, comment, err);
}

static int put_number(struct fits_out *f, const char *keyword, int64_t value,
                      const char *comment, struct err *err)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return put_card(f, keyword, CARD_INT, text, comment, err);
}

/* SIMPLE or XTENSION, BITPIX and the axes. */
static int begin(struct fits_out *f, const char *xtension, int bitpix, int n_axes,
                 const size_t *axes, struct err *err)
{
    int code = xtension ? put_string(f, "XTENSION", xtension, "", err)
                        : put_card(f, "SIMPLE", CARD_BOOL, "T",
                                   "conforms to FITS standard", err);
    code = code ? code : put_number(f, "BITPIX", bitpix, "array data type", err);
    code =
        code ? code : put_number(f, "NAXIS", n_axes, "number of array dimensions", err);
    for (int i = 0; !code && i < n_axes; i++) {
        char keyword[32];
        snprintf(keyword, sizeof keyword, "NAXIS%d", i + 1);
        code = put_number(f, keyword, (int64_t)axes[i], "", err);
    }
    if (!xtension) {
        return code ? code : put_card(f, "EXTEND", CARD_BOOL, "T", "", err);
    }
    code = code ? code : put_number(f, "PCOUNT", 0, "number of parameters", err);
    return code ? code : put_number(f, "GCOUNT", 1, "number of groups", err);
}

/* The carried cards, EXTVER if it is not among them, END and the padding. */
static int finish(struct fits_out *f, const struct header *h, bool of_table,
                  bool primary, struct err *err)
{
    int code = 0;
    for (size_t i = 0; h && !code && i < h->n; i++) {
        const struct card *c = &h->cards[i];
        if (!header_is_structural(c->keyword, of_table) &&
            strcasecmp(c->keyword, "EXTNAME")) {
            code = header_format_card(c, put_line, f, err);
        }
    }
    if (!code && !primary && !(h && header_find(h, "EXTVER"))) {
        code = put_number(f, "EXTVER", 1, "extension value", err);
    }
    if (!code) {
        char end[HEADER_LINE + 1];
        snprintf(end, sizeof end, "%-80s", "END");
        code = put_line(f, end, err);
    }
    return code ? code : pad(f, ' ', err);
}

/* ---- HDUs ------------------------------------------------------------------------- */

int fits_out_create(const char *path, struct fits_out **ret, struct err *err)
{
    struct fits_out *f = mem_calloc(1, sizeof *f, err);
    if (!f) {
        return ERR_NOMEM;
    }
    f->fd = -1;
    f->name = mem_strdup(path, err);
    f->buffer = f->name ? mem_alloc(BUFFER, 1, err) : NULL;
    int code = f->buffer ? 0 : ERR_NOMEM;
    if (!code) {
        f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (f->fd < 0) {
            code = err_set(err, ERR_IO, "%s: cannot create: %s", path, strerror(errno));
        }
    }
    if (code) {
        free(f->buffer);
        free(f->name);
        free(f);
        return code;
    }
    *ret = f;
    return 0;
}

int fits_out_primary(struct fits_out *f, const struct header *h, struct err *err)
{
    int code = begin(f, NULL, 8, 0, NULL, err);
    return code ? code : finish(f, h, false, true, err);
}

int fits_out_image_begin(struct fits_out *f, const char *extname,
                         const struct header *h, enum fits_type type, int n_axes,
                         const size_t *axes, struct err *err)
{
    const struct kind *k = &kinds[type];
    int code = begin(f, "IMAGE", k->bitpix, n_axes, axes, err);
    if (!code && k->zero) {
        code = put_number(f, "BSCALE", 1, "", err);
        code = code ? code : put_number(f, "BZERO", (int64_t)k->zero, "", err);
    }
    code = code ? code : put_string(f, "EXTNAME", extname, "extension name", err);
    return code ? code : finish(f, h, false, false, err);
}

int fits_out_image_values(struct fits_out *f, enum fits_type type, size_t n,
                          const void *data, struct err *err)
{
    const struct kind *k = &kinds[type];
    const size_t step = BUFFER / k->size;
    int code = 0;
    for (size_t i = 0; !code && i < n; i += step) {
        size_t m = n - i < step ? n - i : step;
        unsigned char *at;
        code = room(f, m * k->size, &at, err);
        if (!code) {
            swap(at, (const char *)data + i * k->size, m, k->size, (uint32_t)k->zero);
        }
    }
    return code;
}

int fits_out_image_end(struct fits_out *f, struct err *err)
{
    return pad(f, '\0', err);
}

int fits_out_image(struct fits_out *f, const char *extname, const struct header *h,
                   enum fits_type type, int n_axes, const size_t *axes,
                   const void *data, struct err *err)
{
    size_t n = n_axes > 0;
    for (int i = 0; i < n_axes; i++) {
        if (mem_mul(n, axes[i], &n)) {
            return err_set(err, ERR_BUG, "%s: %s: axes too large", f->name, extname);
        }
    }
    int code = fits_out_image_begin(f, extname, h, type, n_axes, axes, err);
    code = code ? code : fits_out_image_values(f, type, n, data, err);
    return code ? code : fits_out_image_end(f, err);
}

/* The keywords that describe one column, `i` counted from 1. */
static int describe(struct fits_out *f, size_t i, const struct fits_column *c,
                    struct err *err)
{
    const struct kind *k = &kinds[c->type];
    char keyword[32], form[32];
    snprintf(keyword, sizeof keyword, "TTYPE%zu", i);
    int code = put_string(f, keyword, c->name, "", err);
    snprintf(keyword, sizeof keyword, "TFORM%zu", i);
    if (c->repeat == 1 && c->type != FITS_STRING) {
        snprintf(form, sizeof form, "%c", k->form);
    } else {
        snprintf(form, sizeof form, "%zu%c", c->repeat, k->form);
    }
    code = code ? code : put_string(f, keyword, form, "", err);
    if (!code && c->unit && c->unit[0]) {
        snprintf(keyword, sizeof keyword, "TUNIT%zu", i);
        code = put_string(f, keyword, c->unit, "", err);
    }
    if (!code && c->dim) {
        snprintf(keyword, sizeof keyword, "TDIM%zu", i);
        code = put_string(f, keyword, c->dim, "", err);
    }
    if (!code && k->zero) {
        snprintf(keyword, sizeof keyword, "TZERO%zu", i);
        code = put_number(f, keyword, (int64_t)k->zero, "", err);
    }
    return code;
}

/* One cell, in pieces that fit the buffer. */
static int put_cell(struct fits_out *f, const struct fits_column *c, size_t row,
                    struct err *err)
{
    const struct kind *k = &kinds[c->type];
    unsigned char *at;
    int code = 0;
    for (size_t i = 0; !code && i < c->repeat; i += BUFFER / 8) {
        size_t m = c->repeat - i < BUFFER / 8 ? c->repeat - i : BUFFER / 8;
        code = room(f, m * k->size, &at, err);
        if (code) {
            break;
        }
        if (c->type == FITS_STRING) {
            const char *s = ((const char *const *)c->data)[row];
            size_t n = strlen(s);
            n = n > i ? n - i : 0;
            n = n > m ? m : n;
            memset(at, ' ', m);
            memcpy(at, s + (n ? i : 0), n);
        } else {
            swap(at, (const char *)c->data + (row * c->repeat + i) * k->size, m,
                 k->size, (uint32_t)k->zero);
        }
    }
    return code;
}

int fits_out_table(struct fits_out *f, const char *extname, const struct header *h,
                   size_t rows, const struct fits_column *columns, size_t n_columns,
                   struct err *err)
{
    size_t axes[2] = {0, rows}, all;
    for (size_t i = 0; i < n_columns; i++) {
        size_t cell;
        if (mem_mul(columns[i].repeat, kinds[columns[i].type].size, &cell) ||
            __builtin_add_overflow(axes[0], cell, &axes[0]) ||
            mem_mul(axes[0], rows, &all)) {
            return err_set(err, ERR_BUG, "%s: %s: table too large", f->name, extname);
        }
    }
    int code = begin(f, "BINTABLE", 8, 2, axes, err);
    code = code ? code
                : put_number(f, "TFIELDS", (int64_t)n_columns, "number of table fields",
                             err);
    for (size_t i = 0; !code && i < n_columns; i++) {
        code = describe(f, i + 1, &columns[i], err);
    }
    code = code ? code : put_string(f, "EXTNAME", extname, "extension name", err);
    code = code ? code : finish(f, h, true, false, err);
    for (size_t row = 0; !code && row < rows; row++) {
        for (size_t i = 0; !code && i < n_columns; i++) {
            code = put_cell(f, &columns[i], row, err);
        }
    }
    return code ? code : pad(f, '\0', err);
}

int fits_out_close(struct fits_out *f, struct err *err)
{
    int code = flush(f, err);
    if (close(f->fd) && !code) {
        code = err_set(err, ERR_IO, "%s: cannot close: %s", f->name, strerror(errno));
    }
    free(f->buffer);
    free(f->name);
    free(f);
    return code;
}

void fits_out_discard(struct fits_out *f)
{
    if (f) {
        close(f->fd);
        unlink(f->name);
        free(f->buffer);
        free(f->name);
        free(f);
    }
}
