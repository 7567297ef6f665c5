#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/fits_decode.h"
#include "common/data/fits_io_impl.h"

/* Values out of images and binary tables: where they stand, and how they are stored. */

/* The message of a failed fits_decode is but its reason: say where. */
static int decode(struct fits_in *f, int hdu, const struct fits_coding *coding,
                  const struct fits_cells *cells, size_t n, enum fits_wanted wanted,
                  bool null_is_nan, void *ret, const char *what, struct err *err)
{
    int code = fits_decode(coding, cells, n, wanted, null_is_nan, f->fault, ret, err);
    return code == f->fault ? err_prefix(err, "%s, HDU %d (%s): cannot read %s",
                                         f->name, hdu, f->s.hdus[hdu].extname, what)
                            : code;
}

static int opened_for_headers(const struct fits_in *f, struct err *err)
{
    return err_set(err, ERR_BUG, "%s: opened for its headers", f->name);
}

/* The numeric card "<stem><number>" (0: no number), where there is one; false: it is no
 * finite number. */
static bool real_of(const struct header *h, const char *stem, int number, double *ret)
{
    char keyword[16];
    snprintf(keyword, sizeof keyword, number ? "%s%d" : "%s", stem, number);
    return !header_find(h, keyword) || header_get_real(h, keyword, ret);
}

/* How an image (number 0) or a column is scaled, by BSCALE, BZERO and BLANK or TSCALn,
 * TZEROn and TNULLn. */
static int scaling(struct fits_in *f, int hdu, const struct header *h, int number,
                   struct fits_coding *c, struct err *err)
{
    char keyword[16];
    long null;
    c->scale = 1.0;
    c->zero = 0.0;
    bool right = real_of(h, number ? "TSCAL" : "BSCALE", number, &c->scale) &&
                 real_of(h, number ? "TZERO" : "BZERO", number, &c->zero);
    snprintf(keyword, sizeof keyword, number ? "TNULL%d" : "BLANK", number);
    c->has_null = header_get_int(h, keyword, &null);
    c->null = c->has_null ? null : 0;
    if (!right || c->scale == 0.0) {
        return fits_in_wrong(f, hdu, err,
                             number
                                 ? "TSCALn and TZEROn must be numbers, and TSCALn "
                                   "not 0"
                                 : "BSCALE and BZERO must be numbers, and BSCALE not "
                                   "0");
    }
    return 0;
}

/* ---- images ---- */

struct pixels {
    struct fits_in *f;
    uint64_t at;
    size_t size; /* bytes of one */
};

static int read_pixels(void *arg, size_t first, size_t n, void *buf, struct err *err)
{
    const struct pixels *p = arg;
    return p->f->src.read_at(p->f->src.arg, p->at + first * p->size, buf, n * p->size,
                             err);
}

int fits_in_image(struct fits_in *f, int hdu, struct fits_image *ret, struct err *err)
{
    const struct fits_hdu *d = &f->s.hdus[hdu];
    const struct header *h;
    struct fits_image p = {f, hdu, {.bitpix = d->bitpix}};
    if (d->kind != FITS_IMAGE || !d->pixels) {
        return fits_in_wrong(f, hdu, err,
                             d->is_compressed
                                 ? "a tile-compressed image; unpack the file first"
                                 : "expected an image, but there is none");
    }
    int code =
        f->packed ? opened_for_headers(f, err) : fits_in_whole_header(f, hdu, &h, err);
    code = code ? code : scaling(f, hdu, h, 0, &p.coding, err);
    if (!code) {
        *ret = p;
    }
    return code;
}

static int read_piece(const struct fits_image *p, size_t first, size_t n,
                      enum fits_wanted wanted, void *ret, struct err *err)
{
    const struct fits_hdu *d = &p->f->s.hdus[p->hdu];
    const size_t size = (size_t)abs(d->bitpix) / 8;
    struct pixels pixels = {p->f, d->data_at + first * size, size};
    assert(first <= d->pixels && n <= d->pixels - first);
    return decode(p->f, p->hdu, &p->coding, &(struct fits_cells){read_pixels, &pixels},
                  n, wanted, d->bitpix > 0, ret, "the image", err);
}

int fits_image_floats(const struct fits_image *p, size_t first, size_t n, float *ret,
                      struct err *err)
{
    return read_piece(p, first, n, FITS_WANT_FLOAT, ret, err);
}

int fits_image_uint32s(const struct fits_image *p, size_t first, size_t n,
                       uint32_t *ret, struct err *err)
{
    return read_piece(p, first, n, FITS_WANT_UINT32, ret, err);
}

static int read_image(struct fits_in *f, int hdu, enum fits_wanted wanted, size_t size,
                      void **ret, struct err *err)
{
    struct fits_image p;
    const size_t n = f->s.hdus[hdu].pixels;
    int code = fits_in_image(f, hdu, &p, err);
    if (code) {
        return code;
    }
    void *data = mem_alloc(n, size, err);
    if (!data) {
        return ERR_NOMEM;
    }
    code = read_piece(&p, 0, n, wanted, data, err);
    if (code) {
        free(data);
        return code;
    }
    *ret = data;
    return 0;
}

int fits_in_floats(struct fits_in *f, int hdu, float **ret, struct err *err)
{
    void *data;
    int code = read_image(f, hdu, FITS_WANT_FLOAT, sizeof **ret, &data, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_doubles(struct fits_in *f, int hdu, double **ret, struct err *err)
{
    void *data;
    int code = read_image(f, hdu, FITS_WANT_DOUBLE, sizeof **ret, &data, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_uint32s(struct fits_in *f, int hdu, uint32_t **ret, struct err *err)
{
    void *data;
    int code = read_image(f, hdu, FITS_WANT_UINT32, sizeof **ret, &data, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_bytes(struct fits_in *f, int hdu, size_t most, unsigned char **ret,
                  size_t *ret_n, struct err *err)
{
    const struct fits_hdu *d = &f->s.hdus[hdu];
    if (f->packed) {
        return opened_for_headers(f, err);
    }
    if (d->data_bytes > most) {
        return fits_in_wrong(f, hdu, err, "its data are larger than any that are read");
    }
    size_t n = (size_t)d->data_bytes;
    unsigned char *data = mem_alloc(n + 1, 1, err);
    int code = data ? f->src.read_at(f->src.arg, d->data_at, data, n, err) : ERR_NOMEM;
    if (code) {
        free(data);
        return code;
    }
    *ret = data;
    *ret_n = n;
    return 0;
}

/* ---- tables ---- */

/* What a cell may hold (Standard 4.0, table 18). */
static const struct {
    char code;
    unsigned char size; /* bytes of one element; of X: of eight */
    signed char bitpix; /* 0: not read as numbers */
} kinds[] = {{'L', 1, 0},  {'X', 1, 0}, {'B', 1, 8},   {'I', 2, 16},  {'J', 4, 32},
             {'K', 8, 64}, {'A', 1, 0}, {'E', 4, -32}, {'D', 8, -64}, {'C', 8, 0},
             {'M', 16, 0}, {'P', 8, 0}, {'Q', 16, 0}};

struct column {
    int number; /* from 1; 0: there is none */
    char code;
    int bitpix;
    size_t size;          /* bytes of one element */
    size_t repeat;        /* elements of a cell */
    size_t offset, width; /* bytes in the row */
    size_t text;          /* of A: the length of one text, if it is given (rAw) */
};

/* "3J", "E", "16A", "1PE(5)"; false: it is none of these or longer than a row. */
static bool parse_form(const char *form, size_t row, struct column *ret)
{
    char *end;
    const char *p = form + strspn(form, " ");
    size_t repeat = 1;
    if (*p >= '0' && *p <= '9') {
        unsigned long long v = strtoull(p, &end, 10);
        if (v > 8 * (unsigned long long)row) {
            return false;
        }
        repeat = (size_t)v;
        p = end;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].code == *p) {
            ret->code = *p;
            ret->bitpix = kinds[i].bitpix;
            ret->size = kinds[i].size;
            ret->repeat = repeat;
            ret->width = *p == 'X' ? (repeat + 7) / 8 : repeat * ret->size;
            ret->text = *p == 'A' ? strtoul(p + 1, NULL, 10) : 0;
            return ret->width <= row;
        }
    }
    return false;
}

/*
 * Look a column up; *ret number 0 if it is absent. Literal names: no wildcards. Every
 * column up to it, and the sum of all, must fit the row.
 */
static int find_column(struct fits_in *f, int hdu, const char *name, struct column *ret,
                       struct err *err)
{
    const struct fits_hdu *d = &f->s.hdus[hdu];
    const struct header *h;
    size_t at = 0;
    *ret = (struct column){0};
    if (d->kind != FITS_TABLE) {
        return 0;
    }
    int code = fits_in_whole_header(f, hdu, &h, err);
    if (code) {
        return code;
    }
    for (int i = 1; i <= d->fields; i++) {
        char keyword[16], what[120];
        const char *form = "", *title = "";
        struct column c = {.number = i, .offset = at};
        snprintf(keyword, sizeof keyword, "TFORM%d", i);
        header_get_string(h, keyword, &form);
        if (!parse_form(form, d->axes[0] - at, &c)) {
            snprintf(what, sizeof what,
                     "%s is '%.40s'; expected a format that fits the row of %zu bytes",
                     keyword, form, d->axes[0]);
            return fits_in_wrong(f, hdu, err, what);
        }
        at += c.width;
        snprintf(keyword, sizeof keyword, "TTYPE%d", i);
        if (!ret->number && header_get_string(h, keyword, &title) &&
            !strcasecmp(title, name)) {
            *ret = c;
        }
    }
    return at == d->axes[0]
               ? 0
               : fits_in_wrong(f, hdu, err, "the columns are shorter than the row");
}

bool fits_in_has_column(struct fits_in *f, int hdu, const char *column,
                        size_t *ret_repeat, char *ret_unit)
{
    struct column c;
    if (find_column(f, hdu, column, &c, NULL) || !c.number) {
        return false;
    }
    if (ret_repeat) {
        *ret_repeat = c.code == 'A' ? 1 : c.repeat;
    }
    if (ret_unit) {
        char keyword[16];
        const char *unit = "";
        snprintf(keyword, sizeof keyword, "TUNIT%d", c.number);
        header_get_string(&f->whole, keyword, &unit);
        snprintf(ret_unit, 72, "%s", unit);
    }
    return true;
}

/* The column, which must exist and hold text, or numbers. */
static int need_column(struct fits_in *f, int hdu, const char *column, bool text,
                       struct column *ret, struct err *err)
{
    char what[300];
    int code =
        f->packed ? opened_for_headers(f, err) : find_column(f, hdu, column, ret, err);
    if (code) {
        return code;
    }
    if (!ret->number) {
        snprintf(what, sizeof what, "there is no column '%.80s'", column);
    } else if (ret->code == 'P' || ret->code == 'Q') {
        snprintf(what, sizeof what, "column '%.80s' is of variable length", column);
    } else if (text ? ret->code != 'A' : !ret->bitpix) {
        snprintf(what, sizeof what, "column '%.80s' should hold %s", column,
                 text ? "text" : "numbers");
    } else {
        return 0;
    }
    return fits_in_wrong(f, hdu, err, what);
}

/* The cells of one column, one after another. */
struct cells {
    struct fits_in *f;
    const struct fits_hdu *d;
    const struct column *c;
    char *rows; /* a few rows; NULL: cells are read one by one */
    size_t n_rows, first, filled;
};

#define ROWS_BYTES ((size_t)1 << 20)

/* Row `row` of the table, from its first byte on, for a table of small rows. */
static int row_at(struct cells *s, size_t row, const char **ret, struct err *err)
{
    const size_t size = s->d->axes[0];
    if (row < s->first || row >= s->first + s->filled) {
        size_t n = s->d->rows - row < s->n_rows ? s->d->rows - row : s->n_rows;
        s->filled = 0;
        int code = s->f->src.read_at(s->f->src.arg, s->d->data_at + row * size, s->rows,
                                     n * size, err);
        if (code) {
            return code;
        }
        s->first = row;
        s->filled = n;
    }
    *ret = s->rows + (row - s->first) * size;
    return 0;
}

/* Bytes from..from + n of the column's bytes, its cells joined. */
static int read_cells(void *arg, size_t from, size_t n, char *buf, struct err *err)
{
    struct cells *s = arg;
    const size_t width = s->c->width;
    int code = 0;
    while (n && !code) {
        const size_t row = from / width, skip = from % width;
        const size_t m = n < width - skip ? n : width - skip;
        const char *at;
        if (s->rows) {
            code = row_at(s, row, &at, err);
            if (!code) {
                memcpy(buf, at + s->c->offset + skip, m);
            }
        } else {
            code = s->f->src.read_at(
                s->f->src.arg,
                s->d->data_at + row * s->d->axes[0] + s->c->offset + skip, buf, m, err);
        }
        from += m;
        n -= m;
        buf += m;
    }
    return code;
}

static int read_elements(void *arg, size_t first, size_t n, void *buf, struct err *err)
{
    const struct cells *s = arg;
    return read_cells(arg, first * s->c->size, n * s->c->size, buf, err);
}

static int cells_open(struct fits_in *f, int hdu, const struct column *c,
                      struct cells *ret, struct err *err)
{
    *ret = (struct cells){.f = f, .d = &f->s.hdus[hdu], .c = c};
    const size_t size = ret->d->axes[0];
    if (size && size <= ROWS_BYTES / 4) {
        ret->n_rows = ROWS_BYTES / size;
        ret->n_rows = ret->n_rows < ret->d->rows ? ret->n_rows : ret->d->rows;
        ret->rows = mem_alloc(ret->n_rows, size, err);
        return ret->rows ? 0 : ERR_NOMEM;
    }
    return 0;
}

static int read_numbers(struct fits_in *f, int hdu, const char *column,
                        enum fits_wanted wanted, void **ret, size_t *ret_repeat,
                        struct err *err)
{
    struct column c;
    struct cells cells;
    struct fits_coding coding = {0};
    char what[120];
    size_t n;
    int code = need_column(f, hdu, column, false, &c, err);
    code = code ? code : scaling(f, hdu, &f->whole, c.number, &coding, err);
    if (code) {
        return code;
    }
    if (mem_mul(c.repeat, f->s.hdus[hdu].rows, &n) || n > LONG_MAX / 8) {
        return fits_in_wrong(f, hdu, err, "a column is too long");
    }
    coding.bitpix = c.bitpix;
    void *data = mem_alloc(n, 8, err);
    code = data ? cells_open(f, hdu, &c, &cells, err) : ERR_NOMEM;
    if (code) {
        free(data);
        return code;
    }
    snprintf(what, sizeof what, "column '%.80s'", column);
    code = decode(f, hdu, &coding, &(struct fits_cells){read_elements, &cells}, n,
                  wanted, true, data, what, err);
    free(cells.rows);
    if (code) {
        free(data);
        return code;
    }
    *ret = data;
    if (ret_repeat) {
        *ret_repeat = c.repeat;
    }
    return 0;
}

int fits_in_column_doubles(struct fits_in *f, int hdu, const char *column, double **ret,
                           size_t *ret_repeat, struct err *err)
{
    void *data;
    int code = read_numbers(f, hdu, column, FITS_WANT_DOUBLE, &data, ret_repeat, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_column_ints(struct fits_in *f, int hdu, const char *column, int64_t **ret,
                        size_t *ret_repeat, struct err *err)
{
    void *data;
    int code = read_numbers(f, hdu, column, FITS_WANT_INT64, &data, ret_repeat, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_column_strings(struct fits_in *f, int hdu, const char *column, char ***ret,
                           struct err *err)
{
    struct column c;
    struct cells cells;
    size_t rows = f->s.hdus[hdu].rows, bytes;
    int code = need_column(f, hdu, column, true, &c, err);
    if (code) {
        return code;
    }
    /* one block: the pointers, then the cells */
    if ((c.text && c.text < c.width) ||
        mem_mul(rows, sizeof(char *) + c.width + 1, &bytes)) {
        return fits_in_wrong(f, hdu, err,
                             "a column of texts has an unusual layout (TFORM nAw)");
    }
    char **text = mem_calloc(bytes + 1, 1, err);
    code = text ? cells_open(f, hdu, &c, &cells, err) : ERR_NOMEM;
    if (code) {
        free(text);
        return code;
    }
    for (size_t i = 0; i < rows && !code; i++) {
        text[i] = (char *)(text + rows) + i * (c.width + 1);
        code = read_cells(&cells, i * c.width, c.width, text[i], err);
        size_t n = strnlen(text[i], c.width);
        while (n && text[i][n - 1] == ' ') {
            n--;
        }
        text[i][n] = '\0';
    }
    free(cells.rows);
    if (code) {
        free(text);
        return code;
    }
    *ret = text;
    return 0;
}
