#include "common/data/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "common/base/mem.h"

#define CHUNK (1u << 17)

bool gunzip_is_gzip(int fd)
{
    unsigned char magic[2];
    return pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
}

/* Room for at least one more byte; doubles up to max. */
static int grow(unsigned char **buf, size_t *room, size_t max, const char *name,
                int fault, struct err *err)
{
    if (*room >= max) {
        return err_set(err, fault, "%s: unpacks to more than %zu bytes", name, max);
    }
    size_t next = *room ? 2 * *room : 16 * (size_t)CHUNK;
    next = next > max ? max : next;
    unsigned char *p = mem_realloc(*buf, next, 1, err);
    if (!p) {
        return ERR_NOMEM;
    }
    *buf = p;
    *room = next;
    return 0;
}

/* Unpack all members; the stream is ready. */
static int unpack(z_stream *z, int fd, const char *name, size_t max, int fault,
                  unsigned char **out, size_t *ret_n, struct err *err)
{
    unsigned char *in = mem_alloc(CHUNK, 1, err);
    size_t room = 0, n = 0;
    off_t at = 0;
    int code = in ? 0 : ERR_NOMEM, status = Z_OK;
    while (!code) {
        if (z->avail_in == 0) {
            ssize_t got = pread(fd, in, CHUNK, at);
            if (got < 0) {
                code = err_set(err, ERR_IO, "%s: %s", name, strerror(errno));
                break;
            }
            if (got == 0) {
                if (status != Z_STREAM_END) {
                    code = err_set(err, fault, "%s: the gzip file is cut short", name);
                }
                break;
            }
            at += got;
            z->next_in = in;
            z->avail_in = (unsigned)got;
        }
        if (status == Z_STREAM_END) {
            /* another member, or padding, which ends the data */
            if (z->next_in[0] != 0x1f || inflateReset(z) != Z_OK) {
                break;
            }
        }
        if (n == room) {
            code = grow(out, &room, max, name, fault, err);
            if (code) {
                break;
            }
        }
        size_t left = room - n < 1u << 30 ? room - n : 1u << 30;
        z->next_out = *out + n;
        z->avail_out = (unsigned)left;
        status = inflate(z, Z_NO_FLUSH);
        n += left - z->avail_out;
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
            code = err_set(err, status == Z_MEM_ERROR ? ERR_NOMEM : fault,
                           "%s: the gzip data are damaged (zlib %d)", name, status);
        }
    }
    free(in);
    *ret_n = n;
    return code;
}

int gunzip_read(int fd, const char *name, size_t max, int fault, unsigned char **ret,
                size_t *ret_n, struct err *err)
{
    z_stream z = {0};
    unsigned char *out = NULL;
    size_t n = 0;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        return err_set(err, ERR_NOMEM, "%s: no memory to unpack it", name);
    }
    int code = unpack(&z, fd, name, max, fault, &out, &n, err);
    inflateEnd(&z);
    if (code) {
        free(out);
        return code;
    }
    *ret = out;
    *ret_n = n;
    return 0;
}
