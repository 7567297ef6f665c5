#include "common/data/ref_planes.h"

#include <assert.h>
#include <byteswap.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/mem.h"

enum { WORD = 4 }; /* bytes of a stored value */

static int read_all(int fd, void *buf, size_t n, uint64_t at)
{
    char *p = buf;
    while (n) {
        ssize_t got = pread(fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : ENODATA;
        }
        p += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return 0;
}

/* The value of a numeric card among the 80-byte cards of a header, or `absent`. */
static double card_value(const char *cards, size_t n, const char *keyword,
                         double absent)
{
    for (size_t i = 0; i + 80 <= n; i += 80) {
        char key[9] = {0}, value[71] = {0};
        memcpy(key, cards + i, 8);
        if (!strcmp(key, keyword)) {
            memcpy(value, cards + i + 10, 70);
            return strtod(value, NULL);
        }
    }
    return absent;
}

/*
 * May rows be taken from the file as they are? Returns whether, and the offset that
 * unsigned words are stored with.
 */
static bool is_plain(int fd, const struct fits_hdu *hdu, enum ref_planes_kind kind,
                     uint32_t *ret_flip)
{
    unsigned char magic[2];
    size_t n = (size_t)(hdu->data_at - hdu->header_at);
    if (hdu->is_compressed || read_all(fd, magic, 2, 0) ||
        (magic[0] == 0x1f && magic[1] == 0x8b) ||
        hdu->bitpix != (kind == REF_PLANES_FLOAT ? -32 : 32)) {
        return false;
    }
    char *cards = malloc(n);
    bool plain = cards && !read_all(fd, cards, n, hdu->header_at);
    if (plain) {
        double scale = card_value(cards, n, "BSCALE  ", 1);
        double zero = card_value(cards, n, "BZERO   ", 0);
        bool is_unsigned = kind == REF_PLANES_WORD && zero == 2147483648.0;
        plain = scale == 1 && (is_unsigned || (zero == 0 && kind == REF_PLANES_FLOAT));
        *ret_flip = is_unsigned ? 0x80000000u : 0;
    }
    free(cards);
    return plain;
}

int ref_planes_open(struct fits_in *f, int hdu_index, const char *path,
                    enum ref_planes_kind kind, struct ref_planes *ret,
                    size_t *ret_bytes, struct err *err)
{
    const struct fits_hdu *hdu = fits_in_hdu(f, hdu_index);
    struct ref_planes p = {.fd = -1};
    if (hdu->kind != FITS_IMAGE || hdu->n_axes < 2 || hdu->n_axes > 3 || !hdu->pixels) {
        return err_set(err, ERR_REFERENCE,
                       "%s: HDU %s must be an image of two or three axes, not %d", path,
                       hdu->extname, hdu->n_axes);
    }
    p.nx = hdu->axes[0];
    p.ny = hdu->axes[1];
    p.n = hdu->n_axes == 3 ? hdu->axes[2] : 1;
    p.at = hdu->data_at;
    snprintf(p.extname, sizeof p.extname, "%s", hdu->extname);
    p.path = mem_strdup(path, err);
    if (!p.path) {
        return ERR_NOMEM;
    }
    p.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (p.fd < 0) {
        int code = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        free(p.path);
        return code;
    }
    if (!is_plain(p.fd, hdu, kind, &p.flip)) {
        close(p.fd);
        p.fd = -1;
        int code = kind == REF_PLANES_FLOAT
                       ? fits_in_floats(f, hdu_index, (float **)&p.values, err)
                       : fits_in_uint32s(f, hdu_index, (uint32_t **)&p.values, err);
        if (code) {
            free(p.path);
            return code;
        }
        *ret_bytes += hdu->pixels * sizeof(float);
    }
    *ret_bytes += strlen(path) + 1;
    *ret = p;
    return 0;
}

void ref_planes_done(struct ref_planes *p)
{
    if (p->n && p->fd >= 0) {
        close(p->fd);
    }
    free(p->path);
    free(p->values);
    *p = (struct ref_planes){.fd = -1};
}

/* n 32-bit values, floats or words, in the host's byte order. */
static int read_words(const struct ref_planes *p, size_t plane, size_t x, size_t y,
                      size_t n, void *ret, struct err *err)
{
    assert(plane < p->n && y < p->ny && x <= p->nx && n <= p->nx - x);
    size_t first = (plane * p->ny + y) * p->nx + x;
    if (p->fd < 0) {
        memcpy(ret, (const char *)p->values + first * WORD, n * WORD);
        return 0;
    }
    int fault = read_all(p->fd, ret, n * WORD, p->at + first * WORD);
    if (fault == ENODATA) {
        return err_set(err, ERR_REFERENCE,
                       "%s: HDU %s: the file is shorter than when it was opened",
                       p->path, p->extname);
    }
    if (fault) {
        return err_set(err, ERR_IO, "%s: HDU %s: %s", p->path, p->extname,
                       strerror(fault));
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, (char *)ret + i * WORD, WORD);
        word = bswap_32(word);
        memcpy((char *)ret + i * WORD, &word, WORD);
    }
#endif
    return 0;
}

int ref_planes_floats(const struct ref_planes *p, size_t plane, size_t x, size_t y,
                      size_t n, float *ret, struct err *err)
{
    return read_words(p, plane, x, y, n, ret, err);
}

int ref_planes_words(const struct ref_planes *p, size_t plane, size_t x, size_t y,
                     size_t n, uint32_t *ret, struct err *err)
{
    int code = read_words(p, plane, x, y, n, ret, err);
    for (size_t i = 0; !code && i < n; i++) {
        ret[i] += p->flip;
    }
    return code;
}
