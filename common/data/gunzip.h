#ifndef IFUD_DATA_GUNZIP_H
#define IFUD_DATA_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"

/* Does the file begin like gzip? The position of fd does not move. */
bool gunzip_is_gzip(int fd);

/*
 * Unpack a gzip file into memory.
 * Given:     fd, open for reading; name, for messages; max: the most bytes it may unpack
 *            to; fault: code of what is wrong with the content
 * Returned:  *ret, n bytes; the caller frees with free()
 * Thread:    any. Test: tests/data/test_fits_io.c
 */
int gunzip_read(int fd, const char *name, size_t max, int fault, unsigned char **ret,
                size_t *ret_n, struct err *err);

#endif
