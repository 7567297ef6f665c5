#ifndef IFUD_DATA_FITS_IO_H
#define IFUD_DATA_FITS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/fits_decode.h"
#include "common/data/fits_structure.h"
#include "common/data/header.h"

/*
 * FITS files. Files and headers are read by our own code (fits_io.c); values are
 * converted by cfitsio, which never sees a file or its headers (fits_decode.h). Writing
 * (fits_out.c) goes straight to the file, so that a full disk is known by its own name.
 *
 * Files come from strangers. A path is never parsed (no "[ext]", no "(copy)", no URL),
 * must be a regular file, and is opened read-only; gzip files (by their first bytes,
 * not their name) are unpacked into memory up to FITS_MAX_UNPACKED. Opening walks all
 * headers: sizes are checked for overflow and against the length of the file before
 * anything is allocated, and a file that is cut short is refused naming the HDU.
 *
 * Thread: a handle belongs to one thread; different handles may be used at once.
 */

#define FITS_MAX_UNPACKED ((size_t)1 << 30) /* bytes: the most a .gz may unpack to */

/* ERR_BUG unless cfitsio was built for use by several threads. Programs call it once. */
int fits_check_library(struct err *err);

/* ---- reading ---------------------------------------------------------------------- */

struct fits_in;

/*
 * Open for reading.
 * Given:     path; fault: the code for everything wrong with the content, ERR_INPUT or
 *            ERR_REFERENCE (a failing disk is ERR_IO, a lack of memory ERR_NOMEM)
 * Returned:  *ret, to be closed with fits_in_close by the same thread
 * Test:      tests/data/test_fits_io.c
 */
int fits_in_open(const char *path, int fault, struct fits_in **ret, struct err *err);
/*
 * The same for whoever wants to know what is in a file and reads no pixels: a gzip file
 * is unpacked piece by piece, so that any file takes little memory, and cfitsio never
 * sees it. Only fits_in_count, _hdu, _find, _need and _header may be called.
 */
int fits_in_open_headers(const char *path, int fault, struct fits_in **ret,
                         struct err *err);
void fits_in_close(struct fits_in *f); /* NULL is fine */

/* The HDUs, 0 = primary; struct fits_hdu says kind, name, axes, rows. Borrowed. */
int fits_in_count(const struct fits_in *f);
const struct fits_hdu *fits_in_hdu(const struct fits_in *f, int hdu);
/* Index of the HDU of this EXTNAME (case ignored) and EXTVER (0: any); -1 if absent. */
int fits_in_find(const struct fits_in *f, const char *extname, int extver);
/* The same, but absence is an error that names the file and the extension. */
int fits_in_need(const struct fits_in *f, const char *extname, int *ret_hdu,
                 struct err *err);

/* Append the cards of an HDU to *h (long strings joined; structural cards left out;
 * of tables also TTYPEn, TFORMn, TUNITn and their like). */
int fits_in_header(struct fits_in *f, int hdu, struct header *h, struct err *err);

/*
 * A whole image as a new array of hdu->pixels values, fastest axis first; BSCALE, BZERO
 * and BLANK are applied (BLANK gives NaN in floats, 0 in integers). Integers that do
 * not fit are an error. The caller frees *ret with free().
 */
int fits_in_floats(struct fits_in *f, int hdu, float **ret, struct err *err);
int fits_in_doubles(struct fits_in *f, int hdu, double **ret, struct err *err);
int fits_in_uint32s(struct fits_in *f, int hdu, uint32_t **ret, struct err *err);

/*
 * The same piece by piece, into arrays of the caller's: n values from `first` on, which
 * must lie within the image (asserted). Borrows f, which must stay open.
 * Thread: pieces may be read by several threads at once.
 */
struct fits_image {
    struct fits_in *f;
    int hdu;
    struct fits_coding coding;
};
int fits_in_image(struct fits_in *f, int hdu, struct fits_image *ret, struct err *err);
int fits_image_floats(const struct fits_image *p, size_t first, size_t n, float *ret,
                      struct err *err);
int fits_image_uint32s(const struct fits_image *p, size_t first, size_t n,
                       uint32_t *ret, struct err *err);

/*
 * The data of an HDU as they stand in the file, at most `most` bytes (an ASDF extension
 * is read so). The caller frees *ret.
 */
int fits_in_bytes(struct fits_in *f, int hdu, size_t most, unsigned char **ret,
                  size_t *ret_n, struct err *err);

/* ---- binary tables ---- */

/* Is there such a column (case ignored)? Elements per row and unit ("" if none; 72
 * bytes) are returned where the pointers are not NULL. */
bool fits_in_has_column(struct fits_in *f, int hdu, const char *column,
                        size_t *ret_repeat, char *ret_unit);

/*
 * A column as rows * repeat values, row by row (rows: fits_in_hdu()->rows). TSCAL, TZERO
 * and TNULL are applied (TNULL gives NaN; in integers it is an error). `repeat` is the
 * length of a cell (for strings: 1). Variable-length columns are refused.
 * The caller frees *ret with one free(), strings too.
 */
int fits_in_column_doubles(struct fits_in *f, int hdu, const char *column, double **ret,
                           size_t *ret_repeat, struct err *err);
int fits_in_column_ints(struct fits_in *f, int hdu, const char *column, int64_t **ret,
                        size_t *ret_repeat, struct err *err);
int fits_in_column_strings(struct fits_in *f, int hdu, const char *column, char ***ret,
                           struct err *err);

/* ---- writing ---------------------------------------------------------------------- */

enum fits_type {
    FITS_UINT8,  /* uint8_t */
    FITS_INT16,  /* int16_t */
    FITS_INT32,  /* int32_t */
    FITS_UINT32, /* uint32_t, stored with BZERO = 2^31 */
    FITS_INT64,  /* int64_t; columns only */
    FITS_FLOAT,  /* float */
    FITS_DOUBLE, /* double */
    FITS_STRING  /* const char *; columns only */
};

struct fits_column {
    const char *name;
    const char *unit; /* NULL or "": none */
    enum fits_type type;
    size_t repeat;    /* values per cell; for strings the width in bytes */
    const char *dim;  /* TDIMn such as "(1,3610)", or NULL */
    const void *data; /* rows * repeat values; strings: rows pointers */
};

struct fits_out;

/*
 * Create a new file (an existing one is an error; see publish.h) and write HDUs in
 * order, the primary first. After a failure only fits_out_discard is left to call.
 * Cards of `h` (may be NULL) follow the structural ones; EXTNAME comes from the
 * argument, and an EXTVER of the header is kept.
 * ERR_IO carries the system's reason (a full disk, for example).
 */
int fits_out_create(const char *path, struct fits_out **ret, struct err *err);
int fits_out_primary(struct fits_out *f, const struct header *h, struct err *err);
/* axes: fastest first. data: the product of axes values of `type`, borrowed. */
int fits_out_image(struct fits_out *f, const char *extname, const struct header *h,
                   enum fits_type type, int n_axes, const size_t *axes,
                   const void *data, struct err *err);
/* The same piece by piece: begin, then all values in order, then end. */
int fits_out_image_begin(struct fits_out *f, const char *extname,
                         const struct header *h, enum fits_type type, int n_axes,
                         const size_t *axes, struct err *err);
int fits_out_image_values(struct fits_out *f, enum fits_type type, size_t n,
                          const void *data, struct err *err);
int fits_out_image_end(struct fits_out *f, struct err *err);
int fits_out_table(struct fits_out *f, const char *extname, const struct header *h,
                   size_t rows, const struct fits_column *columns, size_t n_columns,
                   struct err *err);
/* Flush and close; frees f even on failure. Does not fsync: publish_commit does. */
int fits_out_close(struct fits_out *f, struct err *err);
/* Close and remove the file. NULL is fine. */
void fits_out_discard(struct fits_out *f);

#endif
