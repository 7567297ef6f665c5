#include <lz4.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "common/base/mem.h"
#include "common/data/asdf_impl.h"

/*
 * Blocks: a magic number, the length of the header, then flags, compression, the bytes
 * allocated, used and decompressed (big endian), an MD5 of the bytes used, the bytes.
 * Reference: ASDF Standard, "Low-level file layout".
 */

#define MAGIC "\323BLK"
#define MIN_HEADER 48
#define FLAG_STREAMED 1u

static unsigned long long big(const unsigned char *p, int n)
{
    unsigned long long v = 0;

    for (int i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static int block_error(const struct asdf *a, size_t i, struct err *err,
                       const char *what)
{
    return err_set(err, ERR_REFERENCE, "%s: block %zu: %s", a->name, i, what);
}

/* All zero: there is no checksum. Without MD5 in the system's library: not checked. */
static bool checksum_right(const unsigned char *want, const unsigned char *data,
                           size_t n)
{
    static const unsigned char none[16] = {0};
    unsigned char got[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    return memcmp(want, none, 16) == 0 ||
           EVP_Digest(data, n, got, &length, EVP_md5(), NULL) != 1 || length != 16 ||
           memcmp(got, want, 16) == 0;
}

/* One block at `at`; *ret_next is where the next one would begin. */
static int block_read(struct asdf *a, size_t at, struct asdf_block *b, size_t *ret_next,
                      struct err *err)
{
    const unsigned char *p = a->bytes + at;
    const size_t left = a->n_bytes - at;
    size_t header, room;

    if (left < 6 + MIN_HEADER || (header = (size_t)big(p + 4, 2)) < MIN_HEADER ||
        left - 6 < header) {
        return block_error(a, a->n_blocks, err, "its header is truncated or too short");
    }
    p += 6;
    room = left - 6 - header;
    const unsigned long long allocated = big(p + 8, 8), used = big(p + 16, 8),
                             size = big(p + 24, 8);
    const bool streamed = (big(p, 4) & FLAG_STREAMED) != 0;

    memcpy(b->compression, p + 4, 4);
    b->compression[4] = '\0';
    b->offset = at + 6 + header;
    if (streamed) {
        b->used = b->size = room;
        *ret_next = a->n_bytes;
        return 0;
    }
    if (used > allocated || allocated > room) {
        return block_error(a, a->n_blocks, err,
                           used > allocated
                               ? "it claims to use more bytes than it has"
                               : "the file ends before it does: truncated");
    }
    /* deflate shrinks 1030 times at best, lz4 255 times */
    if (size > ASDF_MAX_DATA || (b->compression[0] == '\0' && size > used) ||
        size / 1100 > used + 64) {
        return block_error(a, a->n_blocks, err, "it claims an impossible size");
    }
    if (!checksum_right(p + 32, a->bytes + b->offset, (size_t)used)) {
        return block_error(a, a->n_blocks, err, "its checksum is wrong: damaged");
    }
    b->used = (size_t)used;
    b->size = (size_t)size;
    *ret_next = b->offset + (size_t)allocated;
    return 0;
}

int asdf_blocks_find(struct asdf *a, size_t from, struct err *err)
{
    const unsigned char *first =
        from < a->n_bytes ? memmem(a->bytes + from, a->n_bytes - from, MAGIC, 4) : NULL;
    size_t at = first != NULL ? (size_t)(first - a->bytes) : a->n_bytes, cap = 0;

    while (at + 4 <= a->n_bytes && memcmp(a->bytes + at, MAGIC, 4) == 0) {
        if (a->n_blocks == cap) {
            cap = cap == 0 ? 16 : 2 * cap;
            struct asdf_block *more = mem_realloc(a->blocks, cap, sizeof(*more), err);

            if (more == NULL) {
                return ERR_NOMEM;
            }
            a->blocks = more;
        }
        int rc = block_read(a, at, &a->blocks[a->n_blocks], &at, err);

        if (rc != 0) {
            return rc;
        }
        a->n_blocks++;
    }
    return 0;
}

/*
 * lz4 as the peer's library frames it: pieces, each with its stored length (big endian),
 * which counts the piece's own header: its length once decompressed (little endian).
 */
static bool lz4_decode(const unsigned char *p, size_t n, unsigned char *to, size_t size)
{
    while (n >= 8) {
        const size_t stored = (size_t)big(p, 4);
        const size_t plain =
            (size_t)p[4] | (size_t)p[5] << 8 | (size_t)p[6] << 16 | (size_t)p[7] << 24;

        if (stored < 4 || stored > n - 4 || plain > size ||
            plain > LZ4_MAX_INPUT_SIZE || stored > LZ4_MAX_INPUT_SIZE ||
            LZ4_decompress_safe((const char *)p + 8, (char *)to, (int)stored - 4,
                                (int)plain) != (int)plain) {
            return false;
        }
        p += 4 + stored;
        n -= 4 + stored;
        to += plain;
        size -= plain;
    }
    return n == 0 && size == 0;
}

int asdf_block_data(const struct asdf *a, size_t i, const unsigned char **ret,
                    size_t *ret_n, unsigned char **ret_owned, struct err *err)
{
    const struct asdf_block *b = &a->blocks[i];
    const unsigned char *stored = a->bytes + b->offset;
    unsigned char *plain;
    bool right = false;

    *ret_owned = NULL;
    if (b->compression[0] == '\0') {
        *ret = stored;
        *ret_n = b->size;
        return 0;
    }
    if (strcmp(b->compression, "zlib") != 0 && strcmp(b->compression, "lz4") != 0) {
        return err_set(err, ERR_REFERENCE,
                       "%s: block %zu: compression '%.4s'; zlib and lz4 are read",
                       a->name, i, b->compression);
    }
    plain = mem_alloc(b->size, 1, err);
    if (plain == NULL) {
        return ERR_NOMEM;
    }
    if (b->compression[0] == 'z') {
        uLongf n = (uLongf)b->size;

        right = uncompress(plain, &n, stored, (uLong)b->used) == Z_OK && n == b->size;
    } else {
        right = lz4_decode(stored, b->used, plain, b->size);
    }
    if (!right) {
        free(plain);
        return block_error(a, i, err, "it does not decompress: damaged");
    }
    *ret = *ret_owned = plain;
    *ret_n = b->size;
    return 0;
}
