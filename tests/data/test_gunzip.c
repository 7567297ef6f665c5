#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "common/data/fits_io.h"
#include "common/data/gunzip.h"
#include "tests/support.h"

#define N 100000

static char *folder;
static unsigned char plain[N];
static int fd;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    for (size_t i = 0; i < N; i++) {
        plain[i] = (unsigned char)(i * 2654435761u >> 24);
    }
    fd = -1;
}

static void teardown(void)
{
    if (fd >= 0) {
        close(fd);
    }
    support_remove(folder);
}

/* `members` gzip members with the bytes shared among them. */
static const char *pack(const char *name, int members)
{
    const char *path = support_path(folder, name);
    for (int i = 0; i < members; i++) {
        gzFile gz = gzopen(path, "ab");
        ck_assert_int_eq(gzwrite(gz, plain + i * (N / members), N / members),
                         N / members);
        gzclose(gz);
    }
    return path;
}

/* A megabyte of zeros n times, as one member. */
static const char *bomb(const char *name, int megabytes)
{
    const char *path = support_path(folder, name);
    void *zeros = calloc(1, 1 << 20);
    gzFile gz = gzopen(path, "wb9");
    for (int i = 0; i < megabytes; i++) {
        ck_assert_int_eq(gzwrite(gz, zeros, 1 << 20), 1 << 20);
    }
    gzclose(gz);
    free(zeros);
    return path;
}

START_TEST(test_gunzip_reads_all_members)
{
    unsigned char *out = NULL;
    size_t n = 0;
    fd = open(pack("a.gz", 4), O_RDONLY);
    ck_assert(gunzip_is_gzip(fd));
    support_ok(gunzip_read(fd, "a.gz", N, ERR_INPUT, &out, &n, &err), &err);
    ck_assert_uint_eq(n, N);
    ck_assert_mem_eq(out, plain, N);
    free(out);
}
END_TEST

START_TEST(test_gunzip_reads_at_any_place)
{
    static const size_t places[] = {0, 2879, 2880, 50000, 50008, 50000, 7, N - 9};
    struct gunzip *g = NULL;
    uint64_t size = 0;
    unsigned char piece[6000];
    fd = open(pack("a.gz", 3), O_RDONLY);
    size_t n = N / 3 * 3;
    support_ok(gunzip_open(fd, "a.gz", N, ERR_INPUT, &g, &size, &err), &err);
    ck_assert_uint_eq(size, n);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t m = n - places[i] < sizeof piece ? n - places[i] : sizeof piece;
        support_ok(gunzip_read_at(g, places[i], piece, m, &err), &err);
        ck_assert_mem_eq(piece, plain + places[i], m);
    }
    ck_assert_int_eq(gunzip_read_at(g, n - 3, piece, 4, &err), ERR_IO);
    gunzip_close(g);
}
END_TEST

START_TEST(test_gunzip_bound_is_checked_while_unpacking)
{
    struct gunzip *g = NULL;
    uint64_t size;
    unsigned char *out = NULL;
    size_t n;
    fd = open(bomb("bomb.gz", 64), O_RDONLY);
    ck_assert_int_eq(
        gunzip_open(fd, "bomb.gz", (64 << 20) - 1, ERR_INPUT, &g, &size, &err),
        ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "unpacks to more than"));
    ck_assert_int_eq(
        gunzip_read(fd, "bomb.gz", (64 << 20) - 1, ERR_INPUT, &out, &n, &err),
        ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "unpacks to more than"));
    support_ok(gunzip_open(fd, "bomb.gz", 64 << 20, ERR_INPUT, &g, &size, &err), &err);
    ck_assert_uint_eq(size, 64 << 20);
    gunzip_close(g);
    support_ok(gunzip_read(fd, "bomb.gz", 64 << 20, ERR_INPUT, &out, &n, &err), &err);
    ck_assert_uint_eq(n, 64 << 20);
    free(out);
}
END_TEST

START_TEST(test_gunzip_cut_and_damaged)
{
    struct gunzip *g = NULL;
    uint64_t size;
    size_t n;
    const char *path = pack("a.gz", 1);
    char *packed = support_read_file(path, &n);
    support_truncate(path, n - 3);
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(gunzip_open(fd, "a.gz", N, ERR_INPUT, &g, &size, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "cut short"));
    close(fd);
    packed[n - 6] = (char)~packed[n - 6]; /* of the checksum */
    support_write_file(path, packed, n);
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(gunzip_open(fd, "a.gz", N, ERR_INPUT, &g, &size, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "damaged"));
    free(packed);
}
END_TEST

/* Headers of a packed file are those of the plain one. */
START_TEST(test_gunzip_fits_headers)
{
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395H");
    const char *paths[2] = {support_path(folder, "a_rate.fits"), NULL};
    support_write_rate(paths[0], e);
    exposure_free(e);
    size_t n;
    char *bytes = support_read_file(paths[0], &n);
    paths[1] = support_path(folder, "b_rate.fits.gz");
    gzFile gz = gzopen(paths[1], "wb");
    ck_assert_int_eq(gzwrite(gz, bytes, (unsigned)n), (int)n);
    gzclose(gz);
    free(bytes);
    struct header h[2] = {{0}};
    for (int i = 0; i < 2; i++) {
        struct fits_in *f = NULL;
        int sci;
        support_ok(fits_in_open_headers(paths[i], ERR_INPUT, &f, &err), &err);
        support_ok(fits_in_need(f, "SCI", &sci, &err), &err);
        support_ok(fits_in_header(f, 0, &h[i], &err), &err);
        support_ok(fits_in_header(f, sci, &h[i], &err), &err);
        fits_in_close(f);
    }
    ck_assert_uint_gt(h[0].n, 30);
    ck_assert_uint_eq(h[0].n, h[1].n);
    for (size_t i = 0; i < h[0].n; i++) {
        ck_assert_str_eq(h[0].cards[i].keyword, h[1].cards[i].keyword);
        ck_assert_str_eq(h[0].cards[i].text, h[1].cards[i].text);
    }
    header_done(&h[0]);
    header_done(&h[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gunzip");
    TCase *t = tcase_create("gunzip");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_gunzip_reads_all_members);
    tcase_add_test(t, test_gunzip_reads_at_any_place);
    tcase_add_test(t, test_gunzip_bound_is_checked_while_unpacking);
    tcase_add_test(t, test_gunzip_cut_and_damaged);
    tcase_add_test(t, test_gunzip_fits_headers);
    suite_add_tcase(s, t);
    return support_run(s);
}
