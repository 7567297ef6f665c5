#include "common/data/fits_io.h"

#include <errno.h>
#include <fcntl.h>
#include <fitsio.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/mem.h"
#include "common/data/gunzip.h"
#include "common/data/header_cards.h"

int fits_check_library(struct err *err)
{
    return fits_is_reentrant() ? 0
                               : err_set(err, ERR_BUG,
                                         "this cfitsio was built without thread "
                                         "support (--enable-reentrant)");
}

/* A cfitsio status as one of ours; the text is that of the code, never the stack's. */
static int translate(int status, int fault, const char *name, const char *where,
                     const char *what, struct err *err)
{
    char text[FLEN_STATUS] = "";
    int system_error = errno;
    fits_get_errstatus(status, text);
    int code = fault;
    if (status == MEMORY_ALLOCATION) {
        code = ERR_NOMEM;
    } else if (status == WRITE_ERROR || status == READ_ERROR || status == SEEK_ERROR ||
               status == FILE_NOT_CREATED || status == FILE_NOT_CLOSED) {
        code = ERR_IO;
    }
    bool say = code == ERR_IO && system_error;
    return err_set(err, code, "%s%s: %s: %s (cfitsio %d)%s%s", name, where, what, text,
                   status, say ? ", " : "", say ? strerror(system_error) : "");
}

/* ---- reading: files --------------------------------------------------------------- */

struct fits_in {
    char *name;
    int fault;
    int fd;             /* -1 once it is in memory */
    unsigned char *mem; /* unpacked file, or NULL */
    void *mem_at;       /* what cfitsio keeps a pointer to */
    size_t mem_size;
    struct gunzip *packed; /* opened for its headers: unpacked as it is read */
    struct fits_source src;
    fitsfile *fp; /* NULL until pixels are read */
    struct fits_structure s;
};

static int read_fd(void *arg, uint64_t offset, void *buf, size_t n, struct err *err)
{
    const struct fits_in *f = arg;
    size_t done = 0;
    while (done < n) {
        ssize_t got =
            pread(f->fd, (char *)buf + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return err_set(err, ERR_IO, "%s: %s", f->name,
                           got ? strerror(errno) : "the file shrank while it was read");
        }
        done += (size_t)got;
    }
    return 0;
}

static int read_mem(void *arg, uint64_t offset, void *buf, size_t n, struct err *err)
{
    const struct fits_in *f = arg;
    (void)err;
    memcpy(buf, f->mem + offset, n);
    return 0;
}

static int read_packed(void *arg, uint64_t offset, void *buf, size_t n, struct err *err)
{
    const struct fits_in *f = arg;
    return gunzip_read_at(f->packed, offset, buf, n, err);
}

static int open_packed(struct fits_in *f, bool headers_only, struct err *err)
{
    int code = headers_only ? gunzip_open(f->fd, f->name, FITS_MAX_UNPACKED, f->fault,
                                          &f->packed, &f->src.size, err)
                            : gunzip_read(f->fd, f->name, FITS_MAX_UNPACKED, f->fault,
                                          &f->mem, &f->mem_size, err);
    f->src.read_at = headers_only ? read_packed : read_mem;
    f->src.size = headers_only ? f->src.size : f->mem_size;
    return code;
}

/* Open the regular file, and unpack it if it is gzip. */
static int open_bytes(struct fits_in *f, bool headers_only, struct err *err)
{
    struct stat st;
    f->fd = open(f->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f->fd < 0 || fstat(f->fd, &st)) {
        int code = errno == ENOENT || errno == ENOTDIR ? f->fault : ERR_IO;
        return err_set(err, code, "%s: %s", f->name, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, f->fault, "%s: not a regular file", f->name);
    }
    f->src = (struct fits_source){read_fd, f, (uint64_t)st.st_size};
    int code = gunzip_is_gzip(f->fd) ? open_packed(f, headers_only, err) : 0;
    if (code) {
        return code;
    }
    return f->src.size ? 0 : err_set(err, f->fault, "%s: the file is empty", f->name);
}

/* cfitsio sets itself up at its first open, and two threads at once may both try. */
static void begin_cfitsio(void)
{
    fits_init_cfitsio();
}

/* Hand the same bytes to cfitsio: by descriptor, so no name is ever parsed. */
static int open_cfitsio(struct fits_in *f, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int status = 0;
    pthread_once(&once, begin_cfitsio);
    if (f->mem) {
        f->mem_at = f->mem;
        fits_open_memfile(&f->fp, "unpacked", READONLY, &f->mem_at, &f->mem_size, 0,
                          NULL, &status);
    } else {
        char path[40];
        snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
        fits_open_diskfile(&f->fp, path, READONLY, &status);
    }
    return status ? translate(status, f->fault, f->name, "", "cannot open", err) : 0;
}

static int open_file(const char *path, int fault, bool headers_only,
                     struct fits_in **ret, struct err *err)
{
    struct fits_in *f = mem_calloc(1, sizeof *f, err);
    if (!f) {
        return ERR_NOMEM;
    }
    f->fd = -1;
    f->fault = fault;
    f->name = mem_strdup(path, err);
    int code = f->name ? 0 : ERR_NOMEM;
    code = code ? code : open_bytes(f, headers_only, err);
    code = code ? code : fits_structure_read(&f->src, f->name, fault, &f->s, err);
    if (code) {
        fits_in_close(f);
        return code;
    }
    *ret = f;
    return 0;
}

int fits_in_open(const char *path, int fault, struct fits_in **ret, struct err *err)
{
    return open_file(path, fault, false, ret, err);
}

int fits_in_open_headers(const char *path, int fault, struct fits_in **ret,
                         struct err *err)
{
    return open_file(path, fault, true, ret, err);
}

void fits_in_close(struct fits_in *f)
{
    int status = 0;
    if (!f) {
        return;
    }
    if (f->fp) {
        fits_close_file(f->fp, &status);
    }
    if (f->fd >= 0) {
        close(f->fd);
    }
    fits_structure_done(&f->s);
    gunzip_close(f->packed);
    free(f->mem);
    free(f->name);
    free(f);
}

int fits_in_count(const struct fits_in *f)
{
    return f->s.n;
}

const struct fits_hdu *fits_in_hdu(const struct fits_in *f, int hdu)
{
    return &f->s.hdus[hdu];
}

int fits_in_find(const struct fits_in *f, const char *extname, int extver)
{
    for (int i = 0; i < f->s.n; i++) {
        const struct fits_hdu *h = &f->s.hdus[i];
        if (!strcasecmp(h->extname, extname) && (!extver || h->extver == extver)) {
            return i;
        }
    }
    return -1;
}

int fits_in_need(const struct fits_in *f, const char *extname, int *ret_hdu,
                 struct err *err)
{
    int i = fits_in_find(f, extname, 0);
    if (i < 0) {
        return err_set(err, f->fault, "%s: there is no extension %s", f->name, extname);
    }
    *ret_hdu = i;
    return 0;
}

/* A complaint about one HDU. */
static int wrong(const struct fits_in *f, int hdu, struct err *err, const char *what)
{
    return err_set(err, f->fault, "%s, HDU %d (%s): %s", f->name, hdu,
                   f->s.hdus[hdu].extname, what);
}

static int failed(const struct fits_in *f, int hdu, int status, const char *what,
                  struct err *err)
{
    char where[120];
    snprintf(where, sizeof where, ", HDU %d (%s)", hdu, f->s.hdus[hdu].extname);
    return translate(status, f->fault, f->name, where, what, err);
}

/* Move cfitsio there. */
static int go(struct fits_in *f, int hdu, struct err *err)
{
    int status = 0;
    int code = f->packed ? err_set(err, ERR_BUG, "%s: opened for its headers", f->name)
               : f->fp   ? 0
                         : open_cfitsio(f, err);
    if (code) {
        return code;
    }
    errno = 0;
    fits_movabs_hdu(f->fp, hdu + 1, NULL, &status);
    return status ? failed(f, hdu, status, "cannot read the header", err) : 0;
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " ")] == '\0';
}

/* Blank lines before END are room for more cards, none themselves. */
int fits_in_header(struct fits_in *f, int hdu, struct header *h, struct err *err)
{
    const struct fits_hdu *d = &f->s.hdus[hdu];
    const bool table = d->kind != FITS_IMAGE;
    char block[FITS_BLOCK], line[HEADER_LINE + 1];
    size_t blanks = 0;
    for (uint64_t at = d->header_at; at < d->data_at; at += FITS_BLOCK) {
        int code = f->src.read_at(f->src.arg, at, block, FITS_BLOCK, err);
        for (int i = 0; !code && i < FITS_BLOCK; i += HEADER_LINE) {
            memcpy(line, block + i, HEADER_LINE);
            line[HEADER_LINE] = '\0';
            if (!strncmp(line, "END     ", 8)) {
                return 0;
            }
            if (is_blank(line)) {
                blanks++;
                continue;
            }
            for (; blanks && !code; blanks--) {
                code = header_parse_line(h, "", table, err);
            }
            code = code ? code : header_parse_line(h, line, table, err);
        }
        if (code) {
            return code;
        }
    }
    return 0;
}

/* ---- reading: images -------------------------------------------------------------- */

static int read_image(struct fits_in *f, int hdu, int type, size_t size, void *null,
                      void **ret, struct err *err)
{
    const struct fits_hdu *h = &f->s.hdus[hdu];
    int status = 0, any = 0;
    if (h->kind != FITS_IMAGE || !h->pixels) {
        return wrong(f, hdu, err,
                     h->is_compressed ? "a tile-compressed image; unpack the file first"
                                      : "expected an image, but there is none");
    }
    int code = go(f, hdu, err);
    if (code) {
        return code;
    }
    void *data = mem_alloc(h->pixels, size, err);
    if (!data) {
        return ERR_NOMEM;
    }
    errno = 0;
    fits_read_img(f->fp, type, 1, (LONGLONG)h->pixels, h->bitpix > 0 ? null : NULL,
                  data, &any, &status);
    if (status) {
        free(data);
        return failed(f, hdu, status, "cannot read the image", err);
    }
    *ret = data;
    return 0;
}

int fits_in_floats(struct fits_in *f, int hdu, float **ret, struct err *err)
{
    float null = __builtin_nanf("");
    void *data;
    int code = read_image(f, hdu, TFLOAT, sizeof **ret, &null, &data, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_doubles(struct fits_in *f, int hdu, double **ret, struct err *err)
{
    double null = __builtin_nan("");
    void *data;
    int code = read_image(f, hdu, TDOUBLE, sizeof **ret, &null, &data, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_uint32s(struct fits_in *f, int hdu, uint32_t **ret, struct err *err)
{
    _Static_assert(sizeof(unsigned int) == sizeof(uint32_t), "cfitsio's TUINT");
    void *data;
    int code = read_image(f, hdu, TUINT, sizeof **ret, NULL, &data, err);
    *ret = code ? *ret : data;
    return code;
}

/* ---- reading: tables -------------------------------------------------------------- */

struct column_info {
    int number;
    int type; /* cfitsio's */
    size_t repeat, width;
};

/* Look a column up; *ret_number 0 if absent. Literal names: no wildcards. */
static int find_column(struct fits_in *f, int hdu, const char *column,
                       struct column_info *ret, struct err *err)
{
    int code = go(f, hdu, err);
    int n = 0, status = 0;
    ret->number = 0;
    if (code || f->s.hdus[hdu].kind != FITS_TABLE) {
        return code;
    }
    fits_get_num_cols(f->fp, &n, &status);
    for (int i = 1; !status && i <= n; i++) {
        char key[FLEN_KEYWORD], name[FLEN_VALUE] = "";
        snprintf(key, sizeof key, "TTYPE%d", i);
        fits_read_key(f->fp, TSTRING, key, name, NULL, &status);
        if (status == KEY_NO_EXIST) {
            status = 0;
        } else if (!status && !strcasecmp(name, column)) {
            LONGLONG repeat, width;
            fits_get_coltypell(f->fp, i, &ret->type, &repeat, &width, &status);
            ret->number = i;
            ret->repeat = (size_t)repeat;
            ret->width = (size_t)width;
            break;
        }
    }
    return status ? failed(f, hdu, status, "cannot read the columns", err) : 0;
}

bool fits_in_has_column(struct fits_in *f, int hdu, const char *column,
                        size_t *ret_repeat, char *ret_unit)
{
    struct column_info c;
    if (find_column(f, hdu, column, &c, NULL) || !c.number) {
        return false;
    }
    if (ret_repeat) {
        *ret_repeat = c.type == TSTRING ? 1 : c.repeat;
    }
    if (ret_unit) {
        char key[FLEN_KEYWORD], unit[FLEN_VALUE] = "";
        int status = 0;
        snprintf(key, sizeof key, "TUNIT%d", c.number);
        fits_read_key(f->fp, TSTRING, key, unit, NULL, &status);
        snprintf(ret_unit, 72, "%s", status ? "" : unit);
    }
    return true;
}

/* The column, which must exist, be of fixed length, and be text or not. */
static int need_column(struct fits_in *f, int hdu, const char *column, bool text,
                       struct column_info *ret, struct err *err)
{
    char what[300];
    int code = find_column(f, hdu, column, ret, err);
    if (code) {
        return code;
    }
    if (!ret->number) {
        snprintf(what, sizeof what, "there is no column '%.80s'", column);
    } else if (ret->type < 0) {
        snprintf(what, sizeof what, "column '%.80s' is of variable length", column);
    } else if ((ret->type == TSTRING) != text) {
        snprintf(what, sizeof what, "column '%.80s' should hold %s", column,
                 text ? "text" : "numbers");
    } else {
        return 0;
    }
    return wrong(f, hdu, err, what);
}

static int read_numbers(struct fits_in *f, int hdu, const char *column, int type,
                        void *null, void **ret, size_t *ret_repeat, struct err *err)
{
    struct column_info c;
    size_t n;
    int code = need_column(f, hdu, column, false, &c, err);
    if (code) {
        return code;
    }
    if (mem_mul(c.repeat, f->s.hdus[hdu].rows, &n) || n > LONG_MAX / 8) {
        return wrong(f, hdu, err, "a column is too long");
    }
    void *data = mem_alloc(n, 8, err);
    if (!data) {
        return ERR_NOMEM;
    }
    int status = 0, any = 0;
    errno = 0;
    if (n) {
        fits_read_col(f->fp, type, c.number, 1, 1, (LONGLONG)n, null, data, &any,
                      &status);
    }
    if (status) {
        free(data);
        char what[120];
        snprintf(what, sizeof what, "cannot read column '%.80s'", column);
        return failed(f, hdu, status, what, err);
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
    double null = __builtin_nan("");
    void *data;
    int code = read_numbers(f, hdu, column, TDOUBLE, &null, &data, ret_repeat, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_column_ints(struct fits_in *f, int hdu, const char *column, int64_t **ret,
                        size_t *ret_repeat, struct err *err)
{
    _Static_assert(sizeof(LONGLONG) == sizeof(int64_t), "cfitsio's TLONGLONG");
    void *data;
    int code = read_numbers(f, hdu, column, TLONGLONG, NULL, &data, ret_repeat, err);
    *ret = code ? *ret : data;
    return code;
}

int fits_in_column_strings(struct fits_in *f, int hdu, const char *column, char ***ret,
                           struct err *err)
{
    struct column_info c;
    size_t rows = f->s.hdus[hdu].rows, cell, bytes;
    int code = need_column(f, hdu, column, true, &c, err);
    if (code) {
        return code;
    }
    /* one block: the pointers, then the cells */
    cell = c.repeat + 1;
    if (c.width < c.repeat || mem_mul(rows, sizeof(char *) + cell, &bytes)) {
        return wrong(f, hdu, err,
                     "a column of texts has an unusual layout (TFORM nAw)");
    }
    char **text = mem_calloc(bytes + 1, 1, err);
    if (!text) {
        return ERR_NOMEM;
    }
    char *cells = (char *)(text + rows);
    for (size_t i = 0; i < rows; i++) {
        text[i] = cells + i * cell;
    }
    int status = 0, any = 0;
    char null[1] = "";
    errno = 0;
    if (rows) {
        fits_read_col_str(f->fp, c.number, 1, 1, (LONGLONG)rows, null, text, &any,
                          &status);
    }
    if (status) {
        free(text);
        return failed(f, hdu, status, "cannot read a column of texts", err);
    }
    for (size_t i = 0; i < rows; i++) {
        size_t n = strnlen(text[i], c.repeat);
        while (n && text[i][n - 1] == ' ') {
            text[i][--n] = '\0';
        }
    }
    *ret = text;
    return 0;
}
