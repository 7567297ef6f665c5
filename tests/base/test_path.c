#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/path.h"
#include "tests/support.h"

static struct err err;

static void joined(const char *folder, const char *name, const char *expected)
{
    char *path = path_join(folder, name, &err);
    ck_assert_str_eq(path, expected);
    free(path);
}

static void folder_of(const char *path, const char *expected)
{
    char *folder = path_folder(path, &err);
    ck_assert_str_eq(folder, expected);
    free(folder);
}

START_TEST(test_path_join)
{
    joined("a", "b", "a/b");
    joined("a/", "b", "a/b");
    joined("/", "b", "/b");
    joined("", "b", "b");
    joined(NULL, "b", "b");
    joined("a", "/b", "/b");
}
END_TEST

START_TEST(test_path_parts)
{
    ck_assert_str_eq(path_base("a/b.fits"), "b.fits");
    ck_assert_str_eq(path_base("b"), "b");
    ck_assert_str_eq(path_base("a/"), "");
    folder_of("a/b", "a");
    folder_of("b", ".");
    folder_of("/b", "/");
    folder_of("a/b/c", "a/b");
    ck_assert(path_has_suffix("x_rate.fits", "_rate.fits"));
    ck_assert(!path_has_suffix("rate.fits", "_rate.fits"));
    ck_assert(!path_has_suffix("x_RATE.fits", "_rate.fits"));
}
END_TEST

START_TEST(test_path_safe_names)
{
    static const char *const good[] = {"a", "jw01234001001_02101_00001_nrs1_cal.fits",
                                       "A+B=c-1"};
    static const char *const bad[] = {"",         ".",   "..",  ".a",   "-a",
                                      "a/b",      "a b", "a\\", "a[1]", "a(b)",
                                      "\xc3\xa9", "a\n", "~",   "a;b"};
    char name[202];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(path_is_safe_name(good[i]), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!path_is_safe_name(bad[i]), "%s", bad[i]);
    }
    memset(name, 'a', sizeof name);
    name[200] = '\0';
    ck_assert(path_is_safe_name(name));
    name[200] = 'a';
    name[201] = '\0';
    ck_assert(!path_is_safe_name(name));
}
END_TEST

START_TEST(test_path_slug)
{
    static const char *const pairs[][2] = {{"NGC 1068 (nuc)", "ngc-1068-nuc"},
                                           {"  M 87  ", "m-87"},
                                           {"../../etc", "etc"},
                                           {"a--b__c", "a-b-c"},
                                           {"\xc3\xa9", ""},
                                           {"", ""},
                                           {"2MASS J0523-1403", "2mass-j0523-1403"}};
    char slug[64], small[5];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ck_assert_uint_eq(path_slug(pairs[i][0], slug, sizeof slug),
                          strlen(pairs[i][1]));
        ck_assert_str_eq(slug, pairs[i][1]);
    }
    ck_assert_uint_eq(path_slug("abc def", small, sizeof small), 3);
    ck_assert_str_eq(small, "abc"); /* no '-' at the end when it is cut */
    ck_assert_uint_eq(path_slug("abcdef", small, sizeof small), 4);
}
END_TEST

START_TEST(test_path_sync)
{
    char *top = support_folder();
    const char *file = support_path(top, "file"), *link = support_path(top, "link");
    support_write_file(file, "x", 1);
    ck_assert_int_eq(symlink(file, link), 0);
    support_ok(path_sync(file, O_NOFOLLOW, &err), &err);
    support_ok(path_sync(top, O_DIRECTORY, &err), &err);
    support_ok(path_sync(link, 0, &err), &err);
    ck_assert_int_eq(path_sync(link, O_NOFOLLOW, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "link: cannot sync: "));
    ck_assert_int_eq(path_sync(file, O_DIRECTORY, &err), ERR_IO);
    ck_assert_int_eq(path_sync(support_path(top, "none"), 0, &err), ERR_IO);
    support_remove(top);
}
END_TEST

START_TEST(test_path_make_folder)
{
    char *top = support_folder();
    struct stat st;
    support_ok(path_make_folder(support_path(top, "a/b//c/"), 0700, &err), &err);
    ck_assert_int_eq(stat(support_path(top, "a/b/c"), &st), 0);
    ck_assert(S_ISDIR(st.st_mode));
    support_ok(path_make_folder(support_path(top, "a/b/c"), 0700, &err), &err);
    support_write_file(support_path(top, "file"), "x", 1);
    ck_assert_int_eq(path_make_folder(support_path(top, "file/d"), 0700, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "not a folder"));
    support_remove(top);
}
END_TEST

START_TEST(test_path_same_file)
{
    char *top = support_folder();
    const char *a = support_path(top, "a"), *b = support_path(top, "b");
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct stat first, now;
    support_write_file(a, "x", 1);
    ck_assert_int_eq(utimensat(AT_FDCWD, a, times, 0), 0);
    ck_assert_int_eq(stat(a, &first), 0);
    ck_assert_int_eq(rename(a, b), 0);
    ck_assert_int_eq(stat(b, &now), 0);
    ck_assert(path_same_file(&first, &now)); /* whatever it is called */
    ck_assert_int_eq(
        utimensat(AT_FDCWD, b, (struct timespec[2]){{.tv_sec = 9}, {.tv_nsec = 1}}, 0),
        0);
    ck_assert_int_eq(stat(b, &now), 0);
    ck_assert(!path_same_file(&first, &now));
    support_write_file(a, "x", 1);
    ck_assert_int_eq(utimensat(AT_FDCWD, a, times, 0), 0);
    ck_assert_int_eq(stat(a, &now), 0);
    ck_assert(!path_same_file(&first, &now)); /* another of the same size and time */
    support_remove(top);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("path");
    TCase *t = tcase_create("path");
    tcase_add_test(t, test_path_join);
    tcase_add_test(t, test_path_parts);
    tcase_add_test(t, test_path_safe_names);
    tcase_add_test(t, test_path_slug);
    tcase_add_test(t, test_path_sync);
    tcase_add_test(t, test_path_make_folder);
    tcase_add_test(t, test_path_same_file);
    suite_add_tcase(s, t);
    return support_run(s);
}
