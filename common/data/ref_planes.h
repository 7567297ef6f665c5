#ifndef IFUD_DATA_REF_PLANES_H
#define IFUD_DATA_REF_PLANES_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/fits_io.h"

/*
 * An image, or a stack of them, of a reference file: detector-sized planes of floats or
 * of DQ words, read piece by piece.
 *
 * A detector flat holds some forty planes of 2048 x 2048 values and as many of errors:
 * over a gigabyte, of which one exposure needs two planes per pixel, and only where
 * slices fall. So plain 32-bit images stay on disk: the file is kept open and pieces of
 * rows are read from it as they are asked for, which the system's page cache serves to
 * all workers at memory speed. Everything else (gzip, scaled values, other number
 * formats) is read into memory at once.
 *
 * The file must not be rewritten in place while it is in use (replacing it by rename is
 * fine); one that became shorter is an error, not a crash.
 * Ownership: ref_planes_done closes and frees. Thread: any may read.
 */
struct ref_planes {
    char *path; /* for messages */
    char extname[72];
    size_t nx, ny, n; /* columns, rows, planes; n = 0: there is no such image */
    int fd;           /* -1: all values are in memory */
    uint64_t at;      /* first byte in the file */
    uint32_t flip;    /* added (mod 2^32) to stored words: BZERO */
    void *values;     /* float or uint32_t; NULL where fd >= 0 */
};

enum ref_planes_kind { REF_PLANES_FLOAT, REF_PLANES_WORD };

/*
 * Prepare HDU `hdu` of the open file f (2 or 3 axes).
 * Returned: *ret; *ret_bytes is increased by the memory used
 */
int ref_planes_open(struct fits_in *f, int hdu, const char *path,
                    enum ref_planes_kind kind, struct ref_planes *ret,
                    size_t *ret_bytes, struct err *err);
void ref_planes_done(struct ref_planes *p); /* also of a zeroed struct */

/* n values of row y from column x on; the piece must lie within the plane (asserted). */
int ref_planes_floats(const struct ref_planes *p, size_t plane, size_t x, size_t y,
                      size_t n, float *ret, struct err *err);
int ref_planes_words(const struct ref_planes *p, size_t plane, size_t x, size_t y,
                     size_t n, uint32_t *ret, struct err *err);

#endif
