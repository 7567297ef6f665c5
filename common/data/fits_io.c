#include "common/data/fits_io_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/mem.h"
#include "common/data/header_cards.h"

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

static int open_file(const char *path, int fault, bool headers_only,
                     struct fits_in **ret, struct err *err)
{
    struct fits_in *f = mem_calloc(1, sizeof *f, err);
    if (!f) {
        return ERR_NOMEM;
    }
    f->fd = -1;
    f->whole_of = -1;
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
    if (!f) {
        return;
    }
    if (f->fd >= 0) {
        close(f->fd);
    }
    header_done(&f->whole);
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

int fits_in_wrong(const struct fits_in *f, int hdu, struct err *err, const char *what)
{
    return err_set(err, f->fault, "%s, HDU %d (%s): %s", f->name, hdu,
                   f->s.hdus[hdu].extname, what);
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " ")] == '\0';
}

/* The cards of an HDU. Blank lines before END are room for more cards, none themselves. */
static int read_cards(struct fits_in *f, int hdu, enum header_part part,
                      struct header *h, struct err *err)
{
    const struct fits_hdu *d = &f->s.hdus[hdu];
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
                code = header_parse_line(h, "", part, err);
            }
            code = code ? code : header_parse_line(h, line, part, err);
        }
        if (code) {
            return code;
        }
    }
    return 0;
}

int fits_in_header(struct fits_in *f, int hdu, struct header *h, struct err *err)
{
    const bool image = f->s.hdus[hdu].kind == FITS_IMAGE;
    return read_cards(f, hdu, image ? HEADER_OF_IMAGE : HEADER_OF_TABLE, h, err);
}

int fits_in_whole_header(struct fits_in *f, int hdu, const struct header **ret,
                         struct err *err)
{
    if (f->whole_of != hdu) {
        header_done(&f->whole);
        f->whole_of = -1;
        int code = read_cards(f, hdu, HEADER_WHOLE, &f->whole, err);
        if (code) {
            return code;
        }
        f->whole_of = hdu;
    }
    *ret = &f->whole;
    return 0;
}
