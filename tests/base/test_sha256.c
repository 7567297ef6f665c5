#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/sha256.h"
#include "tests/support.h"

static struct err err;

/* FIPS 180-2, appendix B */
static const char abc[] =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char empty[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char million[] =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

START_TEST(test_sha256_known_sums)
{
    char hex[SHA256_HEX];
    support_ok(sha256_bytes("abc", 3, hex, &err), &err);
    ck_assert_str_eq(hex, abc);
    support_ok(sha256_bytes("", 0, hex, &err), &err);
    ck_assert_str_eq(hex, empty);
}
END_TEST

START_TEST(test_sha256_files)
{
    char hex[SHA256_HEX], *folder = support_folder();
    const size_t n = 1000000;
    uint64_t bytes = 0;
    char *as = malloc(n);
    memset(as, 'a', n);
    const char *path = support_path(folder, "x");
    support_write_file(path, as, n);
    support_ok(sha256_file(path, hex, &bytes, &err), &err);
    ck_assert_str_eq(hex, million);
    ck_assert_uint_eq(bytes, n);
    /* an open file: from its beginning, wherever it stands, and there it stays */
    int fd = open(path, O_RDONLY);
    ck_assert_int_eq(lseek(fd, 17, SEEK_SET), 17);
    support_ok(sha256_fd(fd, "x", hex, NULL, &err), &err);
    ck_assert_str_eq(hex, million);
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 17);
    close(fd);
    free(as);
    support_remove(folder);
}
END_TEST

START_TEST(test_sha256_piece_by_piece)
{
    char hex[SHA256_HEX], *as = malloc(1000000);
    struct sha256 *sum = NULL;
    memset(as, 'a', 1000000);
    support_ok(sha256_begin(&sum, &err), &err);
    for (size_t at = 0, n = 1; at < 1000000; at += n, n *= 2) {
        size_t m = n < 1000000 - at ? n : 1000000 - at;
        support_ok(sha256_add(sum, as + at, m, &err), &err);
    }
    support_ok(sha256_end(&sum, hex, &err), &err);
    ck_assert_ptr_null(sum);
    ck_assert_str_eq(hex, million);
    support_ok(sha256_end(&sum, NULL, &err), &err);
    free(as);
}
END_TEST

START_TEST(test_sha256_refuses)
{
    char hex[SHA256_HEX] = "kept", *folder = support_folder();
    ck_assert_int_eq(sha256_file(support_path(folder, "none"), hex, NULL, &err),
                     ERR_IO);
    ck_assert_int_eq(sha256_file(folder, hex, NULL, &err), ERR_INPUT);
    ck_assert_str_eq(hex, "kept");
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sha256");
    TCase *t = tcase_create("sha256");
    tcase_add_test(t, test_sha256_known_sums);
    tcase_add_test(t, test_sha256_files);
    tcase_add_test(t, test_sha256_piece_by_piece);
    tcase_add_test(t, test_sha256_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
