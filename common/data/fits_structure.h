#ifndef IFUD_DATA_FITS_STRUCTURE_H
#define IFUD_DATA_FITS_STRUCTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

/*
 * Where the HDUs of a FITS file begin and end, from its headers alone, and whether the
 * file is as long as they say. Reads header blocks only; knows nothing of cfitsio.
 * Hostile input is expected: sizes are multiplied with an overflow check.
 * Reference: FITS Standard 4.0, sections 3 and 4. Test: tests/data/test_fits_io.c
 */

#define FITS_MAX_AXES 8
#define FITS_MAX_HDUS 10000
#define FITS_MAX_CARDS 20000 /* of one header */
#define FITS_BLOCK 2880

enum fits_kind { FITS_IMAGE, FITS_TABLE, FITS_OTHER };

struct fits_hdu {
    enum fits_kind kind; /* FITS_TABLE: BINTABLE. FITS_OTHER: not read (ASCII table) */
    char extname[72];    /* "" if none; the primary is "PRIMARY" unless named */
    int extver;          /* 1 if absent */
    int bitpix;
    int n_axes;
    size_t axes[FITS_MAX_AXES]; /* fastest first */
    size_t pixels;              /* product of axes; 0 if there are none */
    size_t rows;                /* of a table; 0 if they hold no bytes */
    int fields;                 /* columns of a table */
    bool is_compressed;         /* a tile-compressed image: refused when read */
    uint64_t header_at, data_at, data_bytes; /* without the padding */
};

struct fits_structure {
    struct fits_hdu *hdus;
    int n;
};

/* Bytes of a file, wherever they are: read exactly n at `offset`; 0 or ERR_IO. */
struct fits_source {
    int (*read_at)(void *arg, uint64_t offset, void *buf, size_t n, struct err *err);
    void *arg;
    uint64_t size;
};

/*
 * Walk the file.
 * Given:     src; name, for messages; fault: the code of what is wrong with the content
 * Returned:  *ret, released with fits_structure_done
 * A file that ends within an HDU is refused with the HDU's number and name and the
 * bytes missing. (The padding of the last block may be missing.)
 */
int fits_structure_read(const struct fits_source *src, const char *name, int fault,
                        struct fits_structure *ret, struct err *err);
void fits_structure_done(struct fits_structure *s);

/*
 * May a file that begins with these n bytes be FITS, plain or gzip, once it is whole? A
 * file that is still being copied may be short, or hold zeros where nothing has come yet.
 */
bool fits_may_begin(const char *bytes, size_t n);

#endif
