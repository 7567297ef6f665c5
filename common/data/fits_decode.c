#include "common/data/fits_decode.h"

#include <endian.h>
#include <fitsio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"

#define BLOCK 2880
#define CHUNK ((size_t)1 << 18) /* numbers at a time */
#define PLAIN ((size_t)1 << 14) /* the same, where they stay in the cache */

int fits_check_library(struct err *err)
{
    return fits_is_reentrant() ? 0
                               : err_set(err, ERR_BUG,
                                         "this cfitsio was built without thread "
                                         "support (--enable-reentrant)");
}

/* cfitsio sets itself up at its first open, and two threads at once may both try. */
static void begin_cfitsio(void)
{
    fits_init_cfitsio();
}

/* The header of an image of n numbers: one block. */
static void write_header(const struct fits_coding *c, size_t n, char *block)
{
    char lines[9][81];
    int k = 0;
    snprintf(lines[k++], 81, "SIMPLE  = %20s", "T");
    snprintf(lines[k++], 81, "BITPIX  = %20d", c->bitpix);
    snprintf(lines[k++], 81, "NAXIS   = %20d", 1);
    snprintf(lines[k++], 81, "NAXIS1  = %20zu", n);
    snprintf(lines[k++], 81, "BSCALE  = %26.17G", c->scale);
    snprintf(lines[k++], 81, "BZERO   = %26.17G", c->zero);
    if (c->has_null && c->bitpix > 0) {
        snprintf(lines[k++], 81, "BLANK   = %20lld", (long long)c->null);
    }
    snprintf(lines[k++], 81, "END");
    memset(block, ' ', BLOCK);
    for (int i = 0; i < k; i++) {
        memcpy(block + (ptrdiff_t)i * 80, lines[i], strlen(lines[i]));
    }
}

/* Decode the image of n numbers that stands in buf. */
static int decode(void *buf, size_t size, size_t n, enum fits_wanted wanted,
                  bool null_is_nan, int fault, void *ret, struct err *err)
{
    static const int types[] = {TFLOAT, TDOUBLE, TUINT, TLONGLONG};
    float nan_float = __builtin_nanf("");
    double nan_double = __builtin_nan("");
    void *null = !null_is_nan                 ? NULL
                 : wanted == FITS_WANT_FLOAT  ? (void *)&nan_float
                 : wanted == FITS_WANT_DOUBLE ? (void *)&nan_double
                                              : NULL;
    fitsfile *fp = NULL;
    int status = 0, any = 0, ignored = 0;
    fits_open_memfile(&fp, "numbers", READONLY, &buf, &size, 0, NULL, &status);
    if (!status) {
        fits_read_img(fp, types[wanted], 1, (LONGLONG)n, null, ret, &any, &status);
    }
    if (fp) {
        fits_close_file(fp, &ignored);
    }
    if (status) {
        /* the text of the code: that of the stack is shared between threads */
        char text[FLEN_STATUS] = "";
        fits_get_errstatus(status, text);
        return err_set(err, status == MEMORY_ALLOCATION ? ERR_NOMEM : fault,
                       "%s (cfitsio %d)", text, status);
    }
    return 0;
}

/* ---- 32-bit numbers that are stored as they are wanted, but for the order of bytes - */

/* May they be taken as they are? *ret_flip: what is added (mod 2^32) to stored words. */
static bool is_plain(const struct fits_coding *c, enum fits_wanted wanted,
                     bool null_is_nan, uint32_t *ret_flip)
{
    const bool words = wanted == FITS_WANT_UINT32 && c->bitpix == 32;
    *ret_flip = words && c->zero == 2147483648.0 ? 0x80000000u : 0;
    if (c->scale != 1 || (c->zero != 0 && !*ret_flip)) {
        return false;
    }
    return words || (wanted == FITS_WANT_FLOAT && c->bitpix == -32 && !null_is_nan);
}

/* In place. Returned: all stored words or-ed, so that one that is negative is seen. */
__attribute__((optimize("O3"))) static uint32_t swap_words(char *at, size_t n,
                                                           uint32_t flip)
{
    uint32_t all = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, at + i * sizeof word, sizeof word);
        word = be32toh(word);
        all |= word;
        word += flip;
        memcpy(at + i * sizeof word, &word, sizeof word);
    }
    return all;
}

/* *ret_done false: cfitsio has to tell of a negative number what is wrong with it. */
static int read_plain(const struct fits_cells *cells, size_t n, enum fits_wanted wanted,
                      uint32_t flip, bool *ret_done, void *ret, struct err *err)
{
    *ret_done = true;
    for (size_t first = 0; first < n && *ret_done; first += PLAIN) {
        const size_t m = n - first < PLAIN ? n - first : PLAIN;
        char *to = (char *)ret + first * sizeof(uint32_t);
        const int code = cells->read(cells->arg, first, m, to, err);
        if (code) {
            return code;
        }
        const uint32_t all = swap_words(to, m, flip);
        *ret_done = wanted == FITS_WANT_FLOAT || flip || !(all >> 31);
    }
    return 0;
}

int fits_decode(const struct fits_coding *coding, const struct fits_cells *cells,
                size_t n, enum fits_wanted wanted, bool null_is_nan, int fault,
                void *ret, struct err *err)
{
    _Static_assert(sizeof(unsigned) == sizeof(uint32_t), "cfitsio's TUINT");
    _Static_assert(sizeof(LONGLONG) == sizeof(int64_t), "cfitsio's TLONGLONG");
    static const size_t sizes[] = {sizeof(float), sizeof(double), sizeof(uint32_t),
                                   sizeof(int64_t)};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const size_t stored = (size_t)abs(coding->bitpix) / 8;
    const size_t most = n < CHUNK ? n : CHUNK;
    uint32_t flip;
    if (is_plain(coding, wanted, null_is_nan, &flip)) {
        bool done;
        const int fault_of_file = read_plain(cells, n, wanted, flip, &done, ret, err);
        if (fault_of_file || done) {
            return fault_of_file;
        }
    }
    char *buf = mem_calloc(1, BLOCK + (most * stored + BLOCK - 1) / BLOCK * BLOCK, err);
    int code = buf ? 0 : ERR_NOMEM;
    pthread_once(&once, begin_cfitsio);
    for (size_t first = 0; !code && first < n;) {
        size_t m = n - first < CHUNK ? n - first : CHUNK;
        write_header(coding, m, buf);
        code = cells->read(cells->arg, first, m, buf + BLOCK, err);
        code = code ? code
                    : decode(buf, BLOCK + (m * stored + BLOCK - 1) / BLOCK * BLOCK, m,
                             wanted, null_is_nan, fault,
                             (char *)ret + first * sizes[wanted], err);
        first += m;
    }
    free(buf);
    return code;
}
