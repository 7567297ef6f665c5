#ifndef IFUD_BASE_SHA256_H
#define IFUD_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

/*
 * SHA-256 as 64 lower-case hexadecimal digits. Thread: any.
 * Test: tests/base/test_sha256.c
 */
#define SHA256_HEX 65 /* with the terminator */

int sha256_bytes(const void *data, size_t n, char ret_hex[SHA256_HEX], struct err *err);

/* Of bytes that come one after another. sha256_end releases *sum (hex may be NULL: only
 * that) and sets it to NULL; NULL is fine then. */
struct sha256;
int sha256_begin(struct sha256 **ret, struct err *err);
int sha256_add(struct sha256 *sum, const void *data, size_t n, struct err *err);
int sha256_end(struct sha256 **sum, char *ret_hex, struct err *err);

/* Of an open file, from its beginning; the file position does not move.
 * *ret_bytes (may be NULL): how many bytes were read. */
int sha256_fd(int fd, const char *name, char ret_hex[SHA256_HEX], uint64_t *ret_bytes,
              struct err *err);

/* Of a regular file (symbolic links are followed). */
int sha256_file(const char *path, char ret_hex[SHA256_HEX], uint64_t *ret_bytes,
                struct err *err);

/* SHA-1, which the observatory's mapping files carry of themselves: no proof against
 * intent, only against damage. */
int sha1_bytes(const void *data, size_t n, char ret_hex[41], struct err *err);

#endif
