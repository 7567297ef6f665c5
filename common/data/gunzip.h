#ifndef IFUD_DATA_GUNZIP_H
#define IFUD_DATA_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

/*
 * Unpacking gzip files that come from strangers: a few thousand bytes can unpack to
 * millions, so every way has a bound that is checked while bytes are unpacked.
 * Thread: any, one at a time per struct. Test: tests/data/test_gunzip.c
 */

/* Does the file begin like gzip? The position of fd does not move. */
bool gunzip_is_gzip(int fd);

/*
 * Unpack a gzip file into memory.
 * Given:     fd, open for reading; name, for messages; max: the most bytes it may unpack
 *            to; fault: code of what is wrong with the content
 * Returned:  *ret, n bytes; the caller frees with free()
 */
int gunzip_read(int fd, const char *name, size_t max, int fault, unsigned char **ret,
                size_t *ret_n, struct err *err);

/*
 * The same bytes, read at any place without keeping them: some 200 kB of memory, however
 * many they are. Reading forwards is cheap, backwards begins anew.
 * Given:     fd and name must outlive it
 * Returned:  *ret, released with gunzip_close; *ret_size: how many bytes there are (all
 *            have been unpacked once, so the file is whole and its checksums are right)
 */
struct gunzip;
int gunzip_open(int fd, const char *name, size_t max, int fault, struct gunzip **ret,
                uint64_t *ret_size, struct err *err);
int gunzip_read_at(struct gunzip *g, uint64_t offset, void *buf, size_t n,
                   struct err *err);
void gunzip_close(struct gunzip *g); /* NULL is fine */

#endif
