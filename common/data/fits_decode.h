#ifndef IFUD_DATA_FITS_DECODE_H
#define IFUD_DATA_FITS_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

/*
 * Numbers as FITS stores them into numbers in memory: the only room of cfitsio.
 *
 * cfitsio trusts headers: one that contradicts itself makes it divide by zero or write
 * where it should not. So it never sees a file. It is given an image of one axis, in
 * memory, whose header is written here, and decodes that. Cells of tables are numbers of
 * the same kinds (BITPIX 8, 16, 32, 64, -32, -64) and go the same way.
 *
 * Thread: any. Test: tests/data/test_fits_io.c, tests/fuzz
 */
struct fits_coding {
    int bitpix;
    double scale, zero; /* value = stored * scale + zero; finite, scale not 0 */
    bool has_null;
    int64_t null; /* the stored integer that stands for no value */
};

enum fits_wanted {
    FITS_WANT_FLOAT,
    FITS_WANT_DOUBLE,
    FITS_WANT_UINT32,
    FITS_WANT_INT64
};

/* Where the stored bytes come from: numbers first .. first + n - 1 into buf. */
struct fits_cells {
    int (*read)(void *arg, size_t first, size_t n, void *buf, struct err *err);
    void *arg;
};

/*
 * Given:     n numbers of `cells`, stored as `coding`; null_is_nan: floats and doubles
 *            get NaN where there is no value
 * Returned:  ret: n values of the wanted type
 * Errors:    `fault`, for numbers that do not fit, with a message that says why; what
 *            cells->read returns; ERR_NOMEM
 */
int fits_decode(const struct fits_coding *coding, const struct fits_cells *cells,
                size_t n, enum fits_wanted wanted, bool null_is_nan, int fault,
                void *ret, struct err *err);

#endif
