#include "common/data/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "common/base/mem.h"

#define CHUNK (1u << 17)
#define WINDOW 2880 /* a block of FITS: what is read twice is read twice at once */

struct gunzip {
    z_stream z;
    int fd, fault;
    const char *name;
    unsigned char *in;
    off_t at;      /* of the packed file: the next byte to read */
    int status;    /* of zlib */
    bool over;     /* nothing follows */
    uint64_t n;    /* bytes unpacked so far */
    size_t n_last; /* the last of them */
    unsigned char last[WINDOW];
};

bool gunzip_is_gzip(int fd)
{
    unsigned char magic[2];
    return pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
}

static int begin(struct gunzip *g, int fd, const char *name, int fault, struct err *err)
{
    *g = (struct gunzip){.fd = fd, .fault = fault, .name = name};
    if (inflateInit2(&g->z, 16 + MAX_WBITS) != Z_OK) {
        return err_set(err, ERR_NOMEM, "%s: no memory to unpack it", name);
    }
    g->in = mem_alloc(CHUNK, 1, err);
    return g->in ? 0 : ERR_NOMEM;
}

static void end(struct gunzip *g)
{
    inflateEnd(&g->z);
    free(g->in);
}

/* More packed bytes; none are left: over. */
static int feed(struct gunzip *g, struct err *err)
{
    ssize_t got = pread(g->fd, g->in, CHUNK, g->at);
    if (got < 0) {
        return err_set(err, ERR_IO, "%s: %s", g->name, strerror(errno));
    }
    g->over = got == 0;
    if (g->over && g->status != Z_STREAM_END) {
        return err_set(err, g->fault, "%s: the gzip file is cut short", g->name);
    }
    g->at += got;
    g->z.next_in = g->in;
    g->z.avail_in = (unsigned)got;
    return 0;
}

/* The next bytes, of all members; fewer than n only at the end. */
static int next(struct gunzip *g, unsigned char *out, size_t n, size_t *ret_n,
                struct err *err)
{
    size_t done = 0;
    while (done < n && !g->over) {
        int code = g->z.avail_in ? 0 : feed(g, err);
        if (code || g->over) {
            *ret_n = done;
            return code;
        }
        if (g->status == Z_STREAM_END) {
            /* another member, or padding, which ends the data */
            if (g->z.next_in[0] != 0x1f || inflateReset(&g->z) != Z_OK) {
                g->over = true;
                break;
            }
        }
        size_t left = n - done < 1u << 30 ? n - done : 1u << 30;
        g->z.next_out = out + done;
        g->z.avail_out = (unsigned)left;
        g->status = inflate(&g->z, Z_NO_FLUSH);
        done += left - g->z.avail_out;
        if (g->status != Z_OK && g->status != Z_STREAM_END &&
            g->status != Z_BUF_ERROR) {
            return err_set(err, g->status == Z_MEM_ERROR ? ERR_NOMEM : g->fault,
                           "%s: the gzip data are damaged (zlib %d)", g->name,
                           g->status);
        }
    }
    *ret_n = done;
    return 0;
}

static int too_long(const struct gunzip *g, size_t max, struct err *err)
{
    return err_set(err, g->fault, "%s: unpacks to more than %zu bytes", g->name, max);
}

/* ---- into memory ---- */

static int unpack(struct gunzip *g, size_t max, unsigned char **out, size_t *ret_n,
                  struct err *err)
{
    size_t room = 0, n = 0;
    for (;;) {
        size_t more = room ? room : 16 * (size_t)CHUNK, got = 0;
        if (room > max) {
            return too_long(g, max, err);
        }
        more = more > max - room ? max - room + 1 : more; /* one more shows an excess */
        unsigned char *p = mem_realloc(*out, room + more, 1, err);
        if (!p) {
            return ERR_NOMEM;
        }
        *out = p;
        room += more;
        int code = next(g, p + n, room - n, &got, err);
        n += got;
        if (code || n < room) {
            *ret_n = n;
            return code;
        }
    }
}

int gunzip_read(int fd, const char *name, size_t max, int fault, unsigned char **ret,
                size_t *ret_n, struct err *err)
{
    struct gunzip g;
    unsigned char *out = NULL;
    size_t n = 0;
    int code = begin(&g, fd, name, fault, err);
    code = code ? code : unpack(&g, max, &out, &n, err);
    end(&g);
    if (code) {
        free(out);
        return code;
    }
    *ret = out;
    *ret_n = n;
    return 0;
}

/* ---- piece by piece ---- */

/* The next window of bytes. */
static int advance(struct gunzip *g, struct err *err)
{
    int code = next(g, g->last, sizeof g->last, &g->n_last, err);
    g->n += code ? 0 : g->n_last;
    return code;
}

static int rewind_to_start(struct gunzip *g, struct err *err)
{
    if (inflateReset(&g->z) != Z_OK) {
        return err_set(err, ERR_BUG, "%s: zlib cannot begin anew", g->name);
    }
    g->z.avail_in = 0;
    g->at = 0;
    g->status = Z_OK;
    g->over = false;
    g->n = 0;
    g->n_last = 0;
    return 0;
}

int gunzip_open(int fd, const char *name, size_t max, int fault, struct gunzip **ret,
                uint64_t *ret_size, struct err *err)
{
    struct gunzip *g = mem_alloc(1, sizeof *g, err);
    if (!g) {
        return ERR_NOMEM;
    }
    int code = begin(g, fd, name, fault, err);
    while (!code && !g->over) {
        code = advance(g, err);
        if (!code && g->n > max) {
            code = too_long(g, max, err);
        }
    }
    uint64_t size = g->n;
    code = code ? code : rewind_to_start(g, err);
    if (code) {
        gunzip_close(g);
        return code;
    }
    *ret = g;
    *ret_size = size;
    return 0;
}

int gunzip_read_at(struct gunzip *g, uint64_t offset, void *buf, size_t n,
                   struct err *err)
{
    unsigned char *out = buf;
    int code = offset < g->n - g->n_last ? rewind_to_start(g, err) : 0;
    while (!code && n) {
        if (offset < g->n) {
            size_t from = (size_t)(offset - (g->n - g->n_last));
            size_t m = n < g->n_last - from ? n : g->n_last - from;
            memcpy(out, g->last + from, m);
            out += m;
            offset += m;
            n -= m;
        } else if (g->over) {
            code = err_set(err, ERR_IO, "%s: it shrank while it was read", g->name);
        } else {
            code = advance(g, err);
        }
    }
    return code;
}

void gunzip_close(struct gunzip *g)
{
    if (g) {
        end(g);
        free(g);
    }
}
