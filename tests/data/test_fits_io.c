#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "common/base/par.h"
#include "common/data/fits_io.h"
#include "tests/support.h"

static char *folder;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    err = (struct err){0};
}

static void teardown(void)
{
    support_remove(folder);
}

/* A small file: primary, an image of 5 x 3 floats, one of 4 unsigned, a table. */
static const char *small_file(const char *name)
{
    static const size_t axes[2] = {5, 3}, four[1] = {4};
    float image[15];
    const uint32_t flags[4] = {0, 1, 0x80000000u, 0xffffffffu};
    const double slope[4] = {1, NAN, -2.5, 1e300};
    const int32_t slice[2] = {-7, 30};
    const char *const names[2] = {"ABC", "A LONGER ONE"};
    const uint32_t dq[2] = {5, 0xfffffffeu};
    const struct fits_column columns[] = {
        {.name = "slope",
         .unit = "um",
         .type = FITS_DOUBLE,
         .repeat = 2,
         .data = slope},
        {.name = "slice", .type = FITS_INT32, .repeat = 1, .data = slice},
        {.name = "name", .type = FITS_STRING, .repeat = 12, .data = names},
        {.name = "dq", .type = FITS_UINT32, .repeat = 1, .data = dq},
    };
    struct header h = {0};
    struct fits_out *f = NULL;
    const char *path = support_path(folder, name);
    for (int i = 0; i < 15; i++) {
        image[i] = (float)i * 0.5F;
    }
    image[7] = NAN;
    support_ok(header_set_string(&h, "BUNIT", "DN/s", NULL, &err), &err);
    support_ok(header_set_int(&h, "NAXIS1", 99, NULL, &err), &err); /* must not go in */
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    support_ok(fits_out_image(f, "SCI", &h, FITS_FLOAT, 2, axes, image, &err), &err);
    support_ok(fits_out_image(f, "DQ", NULL, FITS_UINT32, 1, four, flags, &err), &err);
    support_ok(fits_out_table(f, "TAB", NULL, 2, columns, 4, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
    header_done(&h);
    return path;
}

static struct fits_in *open_ok(const char *path)
{
    struct fits_in *f = NULL;
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    return f;
}

/* Opening must fail with this code and a message that holds `says`. */
static void open_fails(const char *path, int code, const char *says)
{
    struct fits_in *f = NULL;
    ck_assert_int_eq(fits_in_open(path, ERR_INPUT, &f, &err), code);
    ck_assert_ptr_null(f);
    ck_assert_msg(strstr(err.message, says) != NULL, "'%s' does not say '%s'",
                  err.message, says);
}

static void check_pieces(struct fits_in *f, int sci)
{
    struct fits_image image;
    float some[4];
    uint32_t flags[2] = {7, 7};
    support_ok(fits_in_image(f, sci, &image, &err), &err);
    support_ok(fits_image_floats(&image, 6, 4, some, &err), &err);
    ck_assert(some[0] == 3 && isnan(some[1]) && some[2] == 4 && some[3] == 4.5F);
    support_ok(fits_in_image(f, 2, &image, &err), &err);
    support_ok(fits_image_uint32s(&image, 2, 1, flags, &err), &err);
    ck_assert_uint_eq(flags[0], 0x80000000u);
    ck_assert_uint_eq(flags[1], 7);
    ck_assert_int_eq(fits_in_image(f, 3, &image, &err), ERR_INPUT); /* a table */
}

static void check_small(struct fits_in *f)
{
    float *image = NULL;
    double *wide = NULL;
    uint32_t *flags = NULL;
    ck_assert_int_eq(fits_in_count(f), 4);
    int sci = fits_in_find(f, "sci", 1);
    ck_assert_int_eq(sci, 1);
    ck_assert_int_eq(fits_in_find(f, "SCI", 2), -1);
    ck_assert_int_eq(fits_in_hdu(f, sci)->n_axes, 2);
    ck_assert_uint_eq(fits_in_hdu(f, sci)->axes[0], 5);
    ck_assert_uint_eq(fits_in_hdu(f, sci)->pixels, 15);
    support_ok(fits_in_floats(f, sci, &image, &err), &err);
    support_ok(fits_in_doubles(f, sci, &wide, &err), &err);
    for (int i = 0; i < 15; i++) {
        if (i == 7) {
            ck_assert(isnan(image[i]) && isnan(wide[i]));
        } else {
            ck_assert_double_eq((double)image[i], i * 0.5);
            ck_assert_double_eq(wide[i], i * 0.5);
        }
    }
    support_ok(fits_in_uint32s(f, 2, &flags, &err), &err);
    ck_assert_uint_eq(flags[0], 0);
    ck_assert_uint_eq(flags[1], 1);
    ck_assert_uint_eq(flags[2], 0x80000000u);
    ck_assert_uint_eq(flags[3], 0xffffffffu);
    free(image);
    free(wide);
    free(flags);
    check_pieces(f, sci);
}

START_TEST(test_fits_io_library_is_reentrant)
{
    support_ok(fits_check_library(&err), &err);
}
END_TEST

START_TEST(test_fits_io_images_round_trip)
{
    struct header h = {0};
    const char *unit = NULL;
    struct fits_in *f = open_ok(small_file("a.fits"));
    check_small(f);
    support_ok(fits_in_header(f, 1, &h, &err), &err);
    ck_assert(header_get_string(&h, "BUNIT", &unit));
    ck_assert_str_eq(unit, "DN/s");
    ck_assert_ptr_null(header_find(&h, "NAXIS1"));
    ck_assert_ptr_nonnull(header_find(&h, "EXTNAME"));
    header_done(&h);
    fits_in_close(f);
}
END_TEST

START_TEST(test_fits_io_tables_round_trip)
{
    struct fits_in *f = open_ok(small_file("a.fits"));
    double *slope = NULL;
    int64_t *whole = NULL;
    char **names = NULL, unit[72];
    size_t repeat = 0;
    ck_assert_uint_eq(fits_in_hdu(f, 3)->rows, 2);
    ck_assert(fits_in_has_column(f, 3, "SLOPE", &repeat, unit));
    ck_assert_uint_eq(repeat, 2);
    ck_assert_str_eq(unit, "um");
    ck_assert(!fits_in_has_column(f, 3, "sl*", NULL, NULL));
    support_ok(fits_in_column_doubles(f, 3, "slope", &slope, &repeat, &err), &err);
    ck_assert_uint_eq(repeat, 2);
    ck_assert_double_eq(slope[0], 1);
    ck_assert(isnan(slope[1]));
    ck_assert_double_eq(slope[3], 1e300);
    support_ok(fits_in_column_ints(f, 3, "slice", &whole, NULL, &err), &err);
    ck_assert_int_eq(whole[0], -7);
    ck_assert_int_eq(whole[1], 30);
    free(whole);
    support_ok(fits_in_column_ints(f, 3, "dq", &whole, NULL, &err), &err);
    ck_assert_int_eq(whole[1], 0xfffffffe);
    support_ok(fits_in_column_strings(f, 3, "name", &names, &err), &err);
    ck_assert_str_eq(names[0], "ABC");
    ck_assert_str_eq(names[1], "A LONGER ONE");
    ck_assert_int_eq(fits_in_column_ints(f, 3, "none", &whole, NULL, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(
        strstr(err.message, "HDU 3 (TAB): there is no column 'none'"));
    ck_assert_int_eq(fits_in_column_doubles(f, 3, "name", &slope, NULL, &err),
                     ERR_INPUT);
    ck_assert_int_eq(fits_in_column_strings(f, 3, "dq", &names, &err), ERR_INPUT);
    free(slope);
    free(whole);
    free(names);
    fits_in_close(f);
}
END_TEST

START_TEST(test_fits_io_gzip)
{
    size_t n;
    char *bytes = support_read_file(small_file("a.fits"), &n);
    const char *path = support_path(folder, "named-without-suffix");
    gzFile gz = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(gz, bytes, (unsigned)n), (int)n);
    gzclose(gz);
    struct fits_in *f = open_ok(path);
    check_small(f);
    fits_in_close(f);
    char *packed = support_read_file(path, &n);
    support_truncate(path, n - 5);
    open_fails(path, ERR_INPUT, "cut short");
    packed[n / 2] = (char)~packed[n / 2];
    support_write_file(path, packed, n);
    struct fits_in *g = NULL;
    ck_assert_int_eq(fits_in_open(path, ERR_REFERENCE, &g, &err), ERR_REFERENCE);
    free(packed);
    free(bytes);
}
END_TEST

/* Every length of a cut file is refused, or is a whole number of HDUs. */
START_TEST(test_fits_io_truncated)
{
    size_t n;
    char *bytes = support_read_file(small_file("a.fits"), &n);
    const char *path = support_path(folder, "cut.fits");
    for (size_t keep = 0; keep < n; keep += keep < 3000 ? 97 : 720) {
        struct fits_in *f = NULL;
        support_write_file(path, bytes, keep);
        int code = fits_in_open(path, ERR_INPUT, &f, &err);
        if (code == 0) {
            ck_assert_int_lt(fits_in_count(f), 5);
            fits_in_close(f);
        } else {
            ck_assert_int_eq(code, ERR_INPUT);
        }
    }
    support_write_file(path, bytes, 2 * 2880 + 40);
    open_fails(path, ERR_INPUT, "HDU 1 (SCI): the file is cut short");
    support_write_file(path, bytes, 2880 + 100);
    open_fails(path, ERR_INPUT, "HDU 1: the file ends within the header");
    support_write_file(path, bytes, 0);
    open_fails(path, ERR_INPUT, "empty");
    free(bytes);
}
END_TEST

START_TEST(test_fits_io_hostile_names)
{
    size_t n;
    char *bytes = support_read_file(small_file("a.fits"), &n);
    static const char *const names[] = {
        "a.fits(evil.fits)", "x.fits[1]", "a.fits[SCI][col evil=1]",
        "!a.fits",           "~",         "mem:",
        "a.fits+1",          "-",         "a b'c\".fits"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = support_path(folder, names[i]);
        struct fits_out *out = NULL;
        open_fails(path, ERR_INPUT, "No such file");
        support_write_file(path, bytes, n);
        struct fits_in *f = open_ok(path);
        check_small(f);
        fits_in_close(f);
        ck_assert_int_eq(unlink(path), 0);
        support_ok(fits_out_create(path, &out, &err), &err);
        support_ok(fits_out_primary(out, NULL, &err), &err);
        support_ok(fits_out_close(out, &err), &err);
        ck_assert_int_eq(access(path, F_OK), 0);
    }
    ck_assert_int_ne(access(support_path(folder, "evil.fits"), F_OK), 0);
    ck_assert_int_ne(access("evil.fits", F_OK), 0);
    free(bytes);
}
END_TEST

START_TEST(test_fits_io_not_a_regular_file)
{
    const char *fifo = support_path(folder, "fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    open_fails(fifo, ERR_INPUT, "not a regular file"); /* and does not wait */
    open_fails(folder, ERR_INPUT, "not a regular file");
}
END_TEST

/* A file made of these lines, padded to blocks. */
static const char *made_of(const char *const *lines, size_t n_lines, size_t blocks)
{
    const char *path = support_path(folder, "made.fits");
    char *bytes = malloc(blocks * 2880);
    memset(bytes, ' ', blocks * 2880);
    for (size_t i = 0; i < n_lines; i++) {
        memcpy(bytes + 80 * i, lines[i], strlen(lines[i]));
    }
    support_write_file(path, bytes, blocks * 2880);
    free(bytes);
    return path;
}

START_TEST(test_fits_io_hostile_headers)
{
    const char *huge[] = {
        "SIMPLE  =                    T", "BITPIX  =                  -64",
        "NAXIS   =                    2", "NAXIS1  =        4000000000",
        "NAXIS2  =        4000000000",    "END"};
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "more bytes than a file can hold");
    huge[3] = "NAXIS1  =               100000";
    huge[4] = "NAXIS2  =               100000";
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "cut short");
    huge[4] = "NAXIS2  =                   -1";
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "expected a whole number");
    huge[4] = "COMMENT";
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "card 5 is 'COMMENT '; expected NAXIS2");
    huge[2] = "NAXIS   =                  999";
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "NAXIS");
    huge[2] = "NAXIS   =                    0";
    huge[1] = "BITPIX  =                    7";
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "BITPIX");
    huge[1] = "COMMENT";
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "expected BITPIX");
    huge[0] = "PNG";
    open_fails(made_of(huge, 6, 2), ERR_INPUT, "no FITS file");
    static const char *const endless[] = {"SIMPLE  =                    T",
                                          "BITPIX  =                    8",
                                          "NAXIS   =                    0"};
    open_fails(made_of(endless, 3, 3), ERR_INPUT, "ends within the header");
}
END_TEST

START_TEST(test_fits_io_too_many_cards)
{
    const char **lines = calloc(FITS_MAX_CARDS + 10, sizeof *lines);
    lines[0] = "SIMPLE  =                    T";
    lines[1] = "BITPIX  =                    8";
    lines[2] = "NAXIS   =                    0";
    lines[3] = "TEXT    = 'a&'";
    for (size_t i = 4; i < FITS_MAX_CARDS + 9; i++) {
        lines[i] = "CONTINUE  'a&'";
    }
    lines[FITS_MAX_CARDS + 9] = "END";
    open_fails(made_of(lines, FITS_MAX_CARDS + 10, FITS_MAX_CARDS / 36 + 2), ERR_INPUT,
               "more than");
    free(lines);
}
END_TEST

START_TEST(test_fits_io_scaled_integers)
{
    /* 16-bit with BZERO, BSCALE and BLANK: 0 is blank */
    static const char *const lines[] = {
        "SIMPLE  =                    T", "BITPIX  =                   16",
        "NAXIS   =                    1", "NAXIS1  =                    3",
        "BSCALE  =                  0.5", "BZERO   =                 10.0",
        "BLANK   =                    0", "END"};
    const char *path = made_of(lines, 8, 2);
    size_t n;
    char *bytes = support_read_file(path, &n);
    static const unsigned char data[6] = {0, 0, 0, 4, 0xff, 0xfe};
    memcpy(bytes + 2880, data, 6);
    support_write_file(path, bytes, n);
    free(bytes);
    double *values = NULL;
    struct fits_in *f = open_ok(path);
    support_ok(fits_in_doubles(f, 0, &values, &err), &err);
    ck_assert(isnan(values[0]));
    ck_assert_double_eq(values[1], 12);
    ck_assert_double_eq(values[2], 9);
    free(values);
    fits_in_close(f);
}
END_TEST

/* cfitsio divided by zero at the first look at such a header; found by tests/fuzz. */
START_TEST(test_fits_io_compressed)
{
    float *image = NULL;
    struct header h = {0};
    struct fits_in *f = open_ok("tests/fuzz/found/fits/compressed-blocksize-0.fits");
    ck_assert(fits_in_hdu(f, 1)->is_compressed);
    support_ok(fits_in_header(f, 1, &h, &err), &err);
    ck_assert_int_eq(fits_in_floats(f, 1, &image, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "unpack the file first"));
    header_done(&h);
    fits_in_close(f);
}
END_TEST

/* 32-bit integers: as they are, and refused where one is negative. */
START_TEST(test_fits_io_plain_integers)
{
    static const char *const lines[] = {
        "SIMPLE  =                    T", "BITPIX  =                   32",
        "NAXIS   =                    1", "NAXIS1  =                    2", "END"};
    const char *path = made_of(lines, 5, 2);
    size_t n;
    char *bytes = support_read_file(path, &n);
    static const unsigned char data[8] = {0x7f, 1, 2, 3, 0, 0, 0, 30};
    uint32_t *words = NULL;
    memcpy(bytes + 2880, data, sizeof data);
    support_write_file(path, bytes, n);
    struct fits_in *f = open_ok(path);
    support_ok(fits_in_uint32s(f, 0, &words, &err), &err);
    ck_assert(words[0] == 0x7f010203 && words[1] == 30);
    free(words);
    words = NULL;
    fits_in_close(f);
    bytes[2880 + 4] = (char)0x80;
    support_write_file(path, bytes, n);
    f = open_ok(path);
    ck_assert_int_eq(fits_in_uint32s(f, 0, &words, &err), ERR_INPUT);
    ck_assert_ptr_null(words);
    ck_assert_ptr_nonnull(strstr(err.message, "HDU 0 (PRIMARY): cannot read"));
    fits_in_close(f);
    free(bytes);
}
END_TEST

START_TEST(test_fits_io_hostile_values)
{
    const char *lines[] = {
        "SIMPLE  =                    T", "BITPIX  =                   16",
        "NAXIS   =                    1", "NAXIS1  =                    3",
        "BSCALE  =                    0", "END"};
    static const char *const wrong[] = {"BSCALE  =                    0",
                                        "BSCALE  =                1E999",
                                        "BSCALE  = 'x'", "BZERO   = 3 x"};
    double *values = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        lines[4] = wrong[i];
        struct fits_in *f = open_ok(made_of(lines, 6, 2));
        ck_assert_int_eq(fits_in_doubles(f, 0, &values, &err), ERR_INPUT);
        ck_assert_msg(strstr(err.message, "BSCALE and BZERO must be numbers") != NULL,
                      "%s", err.message);
        fits_in_close(f);
    }
    /* an integer that no 32 bits hold */
    lines[4] = "BZERO   =           5000000000";
    uint32_t *words = NULL;
    struct fits_in *f = open_ok(made_of(lines, 6, 2));
    ck_assert_int_eq(fits_in_uint32s(f, 0, &words, &err), ERR_INPUT);
    ck_assert_msg(strstr(err.message, "HDU 0 (PRIMARY): cannot read the image") != NULL,
                  "%s", err.message);
    fits_in_close(f);
}
END_TEST

/* A table of two rows of eight bytes: this TFORM1, and its only column is refused. */
static void form_fails(const char *form, const char *says)
{
    const char *lines[36 + 14];
    char tform[81];
    double *values = NULL;
    for (int i = 0; i < 50; i++) {
        lines[i] = "";
    }
    lines[0] = "SIMPLE  =                    T";
    lines[1] = "BITPIX  =                    8";
    lines[2] = "NAXIS   =                    0";
    lines[3] = "END";
    lines[36] = "XTENSION= 'BINTABLE'";
    lines[37] = "BITPIX  =                    8";
    lines[38] = "NAXIS   =                    2";
    lines[39] = "NAXIS1  =                    8";
    lines[40] = "NAXIS2  =                    2";
    lines[41] = "PCOUNT  =                    0";
    lines[42] = "GCOUNT  =                    1";
    lines[43] = "TFIELDS =                    1";
    lines[44] = "TTYPE1  = 'A'";
    snprintf(tform, sizeof tform, "TFORM1  = '%s'", form);
    lines[45] = tform;
    lines[46] = "END";
    struct fits_in *f = open_ok(made_of(lines, 50, 3));
    ck_assert_int_eq(fits_in_column_doubles(f, 1, "A", &values, NULL, &err), ERR_INPUT);
    ck_assert_msg(strstr(err.message, says) != NULL, "%s: %s", form, err.message);
    fits_in_close(f);
}

START_TEST(test_fits_io_hostile_tables)
{
    form_fails("2D", "expected a format that fits the row of 8 bytes");
    form_fails("9E", "expected a format that fits");
    form_fails("4611686018427387905D", "expected a format that fits");
    form_fails("99999999999999999999J", "expected a format that fits");
    form_fails("", "expected a format that fits");
    form_fails("-1J", "expected a format that fits");
    form_fails("1Z", "expected a format that fits");
    form_fails("1J", "the columns are shorter than the row");
    form_fails("1PE(9)", "of variable length");
    form_fails("64X", "should hold numbers");
    form_fails("8A", "should hold numbers");
}
END_TEST

START_TEST(test_fits_io_wrong_kind)
{
    float *image = NULL;
    int hdu;
    struct fits_in *f = open_ok(small_file("a.fits"));
    ck_assert_int_eq(fits_in_floats(f, 3, &image, &err), ERR_INPUT);
    ck_assert_int_eq(fits_in_floats(f, 0, &image, &err), ERR_INPUT);
    ck_assert_int_eq(fits_in_need(f, "ERR", &hdu, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "there is no extension ERR"));
    fits_in_close(f);
}
END_TEST

START_TEST(test_fits_io_writing_refused)
{
    struct fits_out *f = NULL;
    const char *path = small_file("a.fits");
    ck_assert_int_eq(fits_out_create(path, &f, &err), ERR_IO); /* never over another */
    ck_assert_int_eq(fits_out_create(support_path(folder, "no/x"), &f, &err), ERR_IO);
    path = support_path(folder, "gone.fits");
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    fits_out_discard(f);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_fits_io_full_disk)
{
    /* a device that is always full, below an ordinary name */
    if (access("/dev/full", W_OK)) {
        return;
    }
    struct fits_out *f = NULL;
    static const size_t axes[1] = {1 << 20};
    float *zeros = calloc(1 << 20, sizeof *zeros);
    support_ok(fits_out_create(support_path(folder, "full.fits"), &f, &err), &err);
    int full = open("/dev/full", O_WRONLY);
    struct stat st;
    int fd = -1;
    for (int i = 3; i < full; i++) { /* the writer's descriptor is the last one below */
        fd = fstat(i, &st) == 0 && S_ISREG(st.st_mode) ? i : fd;
    }
    ck_assert_int_ge(fd, 3);
    ck_assert_int_eq(dup2(full, fd), fd);
    close(full);
    int code = fits_out_primary(f, NULL, &err);
    code =
        code ? code : fits_out_image(f, "SCI", NULL, FITS_FLOAT, 1, axes, zeros, &err);
    ck_assert_int_eq(code, ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "No space left"));
    fits_out_discard(f);
    free(zeros);
}
END_TEST

/* Every third file is cut: its own error, and no other's, reaches its reader. */
static int read_one(size_t i, int thread, void *arg, struct err *e)
{
    struct fits_in *f = NULL;
    float *image = NULL;
    const char *const *paths = arg;
    struct err own = {0};
    (void)thread;
    int code = fits_in_open(paths[i % 3], ERR_INPUT, &f, &own);
    if (i % 3 == 2) {
        bool right = code == ERR_INPUT && strstr(own.message, "cut.fits") &&
                     strstr(own.message, "cut short");
        return right ? 0 : err_set(e, ERR_BUG, "piece %zu: %s", i, own.message);
    }
    code = code ? code : fits_in_floats(f, 1, &image, &own);
    bool right = !code && image[14] == 7.0F && isnan(image[7]);
    free(image);
    fits_in_close(f);
    return right ? 0 : err_set(e, ERR_BUG, "piece %zu: %s", i, own.message);
}

START_TEST(test_fits_io_many_threads)
{
    size_t n;
    struct par *par = NULL;
    const char *paths[3] = {small_file("a.fits"), small_file("b.fits"),
                            small_file("cut.fits")};
    free(support_read_file(paths[2], &n));
    support_truncate(paths[2], n - 2880);
    support_ok(par_new(4, &par, &err), &err);
    support_ok(par_for(par, 600, read_one, paths, NULL, &err), &err);
    par_free(par);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fits_io");
    TCase *t = tcase_create("fits_io");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_fits_io_library_is_reentrant);
    tcase_add_test(t, test_fits_io_images_round_trip);
    tcase_add_test(t, test_fits_io_tables_round_trip);
    tcase_add_test(t, test_fits_io_gzip);
    tcase_add_test(t, test_fits_io_truncated);
    tcase_add_test(t, test_fits_io_hostile_names);
    tcase_add_test(t, test_fits_io_not_a_regular_file);
    tcase_add_test(t, test_fits_io_hostile_headers);
    tcase_add_test(t, test_fits_io_too_many_cards);
    tcase_add_test(t, test_fits_io_scaled_integers);
    tcase_add_test(t, test_fits_io_compressed);
    tcase_add_test(t, test_fits_io_plain_integers);
    tcase_add_test(t, test_fits_io_hostile_values);
    tcase_add_test(t, test_fits_io_hostile_tables);
    tcase_add_test(t, test_fits_io_wrong_kind);
    tcase_add_test(t, test_fits_io_writing_refused);
    tcase_add_test(t, test_fits_io_full_disk);
    tcase_add_test(t, test_fits_io_many_threads);
    suite_add_tcase(s, t);
    return support_run(s);
}
