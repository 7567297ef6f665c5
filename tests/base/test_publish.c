#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/publish.h"
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

static void check_text(const char *name, const char *expected)
{
    char *text = support_read_file(support_path(folder, name), NULL);
    ck_assert_str_eq(text, expected);
    free(text);
}

static bool exists(const char *name)
{
    return access(support_path(folder, name), F_OK) == 0;
}

START_TEST(test_publish_shows_nothing_before_the_commit)
{
    struct publish p = {0};
    support_ok(publish_begin(folder, "a_cal.fits", 3, &p, &err), &err);
    ck_assert_str_eq(p.part_path, support_path(folder, ".a_cal.fits.3.part"));
    support_write_file(p.part_path, "new", 3);
    ck_assert(!exists("a_cal.fits"));
    support_ok(publish_commit(&p, &err), &err);
    check_text("a_cal.fits", "new");
    ck_assert(!exists(".a_cal.fits.3.part"));
    ck_assert_ptr_null(p.part_path);
    publish_abort(&p); /* harmless afterwards */
    check_text("a_cal.fits", "new");
}
END_TEST

START_TEST(test_publish_replaces_and_keeps_until_then)
{
    struct publish p = {0};
    support_ok(publish_bytes(folder, "x.json", 1, "old", 3, &err), &err);
    support_ok(publish_begin(folder, "x.json", 2, &p, &err), &err);
    support_write_file(p.part_path, "new", 3);
    check_text("x.json", "old");
    support_ok(publish_commit(&p, &err), &err);
    check_text("x.json", "new");
}
END_TEST

START_TEST(test_publish_abort_removes_the_part)
{
    struct publish p = {0};
    support_ok(publish_begin(folder, "x", 1, &p, &err), &err);
    support_write_file(p.part_path, "half", 4);
    publish_abort(&p);
    ck_assert(!exists(".x.1.part"));
    ck_assert(!exists("x"));
}
END_TEST

START_TEST(test_publish_clears_what_the_same_attempt_left)
{
    struct publish p = {0};
    support_write_file(support_path(folder, ".x.1.part"), "stale", 5);
    support_write_file(support_path(folder, ".x.2.part"), "other", 5);
    support_ok(publish_begin(folder, "x", 1, &p, &err), &err);
    ck_assert(!exists(".x.1.part"));
    ck_assert(exists(".x.2.part")); /* another attempt's is left alone */
    publish_abort(&p);
}
END_TEST

START_TEST(test_publish_fails_cleanly)
{
    struct publish p = {0};
    /* nothing was written */
    support_ok(publish_begin(folder, "x", 1, &p, &err), &err);
    ck_assert_int_eq(publish_commit(&p, &err), ERR_IO);
    ck_assert(!exists("x"));
    /* a folder is in the way: the part is removed */
    ck_assert_int_eq(mkdir(support_path(folder, "d"), 0700), 0);
    ck_assert_int_eq(publish_bytes(folder, "d", 1, "x", 1, &err), ERR_IO);
    ck_assert(!exists(".d.1.part"));
    /* no such folder */
    ck_assert_int_eq(publish_bytes(support_path(folder, "no"), "x", 1, "x", 1, &err),
                     ERR_IO);
}
END_TEST

START_TEST(test_publish_refuses_unsafe_names)
{
    static const char *const names[] = {"../x", "a/b", "",   ".hidden",
                                        "-x",   "a b", "a\n"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct publish p = {0};
        ck_assert_int_eq(publish_begin(folder, names[i], 1, &p, &err), ERR_PARAM);
        ck_assert_ptr_null(p.part_path);
    }
}
END_TEST

/* Add a file with its own name as text. */
static void add(struct publish_set *set, const char *name)
{
    support_ok(publish_set_bytes(set, folder, name, 4, name, strlen(name), &err), &err);
}

START_TEST(test_publish_set_appears_together)
{
    struct publish_set set = {0};
    size_t i;
    add(&set, "a_cal.fits");
    support_ok(publish_set_begin(&set, folder, "a_s3d.fits", 4, &i, &err), &err);
    ck_assert_uint_eq(i, 1);
    support_write_file(set.parts[i].part_path, "cube", 4);
    support_ok(publish_set_sync(&set, i, &err), &err);
    add(&set, "a_cal.fits"); /* once more: one file */
    ck_assert_uint_eq(set.n, 2);
    ck_assert(!exists("a_cal.fits") && !exists("a_s3d.fits"));
    support_ok(publish_set_commit(&set, &err), &err);
    check_text("a_cal.fits", "a_cal.fits");
    check_text("a_s3d.fits", "cube");
    ck_assert_uint_eq(set.n, 0);
    ck_assert_uint_eq(publish_sweep(folder, "", 0), 0); /* no part is left */
}
END_TEST

START_TEST(test_publish_set_abort_publishes_nothing)
{
    struct publish_set set = {0};
    add(&set, "a");
    add(&set, "b");
    publish_set_abort(&set);
    publish_set_abort(&set); /* harmless */
    ck_assert(!exists("a") && !exists("b") && !exists(".a.4.part"));
}
END_TEST

START_TEST(test_publish_set_is_all_or_nothing)
{
    struct publish_set set = {0};
    add(&set, "a");
    add(&set, "b");
    add(&set, "c");
    ck_assert_int_eq(mkdir(support_path(folder, "b"), 0700), 0); /* in the way */
    ck_assert_int_eq(publish_set_commit(&set, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, ".b.4.part"));
    ck_assert(!exists("a") && !exists("c"));
    ck_assert_uint_eq(publish_sweep(folder, "", 0), 0);
}
END_TEST

START_TEST(test_publish_sweep_takes_the_parts_of_one_attempt)
{
    static const char *const names[] = {".x_cal.fits.1.part", ".x_cal.fits.11.part",
                                        ".y_cal.fits.1.part", "x_cal.fits.1.part"};
    for (int i = 0; i < 4; i++) {
        support_write_file(support_path(folder, names[i]), "x", 1);
    }
    ck_assert_uint_eq(publish_sweep(folder, "x_", 1), 1);
    ck_assert(!exists(names[0]) && exists(names[1]) && exists(names[2]));
    ck_assert_uint_eq(publish_sweep(folder, "x_", 0), 1);
    ck_assert(!exists(names[1]) && exists(names[2]) && exists(names[3]));
    ck_assert_uint_eq(publish_sweep(support_path(folder, "none"), "", 0), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("publish");
    TCase *t = tcase_create("publish");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_publish_shows_nothing_before_the_commit);
    tcase_add_test(t, test_publish_replaces_and_keeps_until_then);
    tcase_add_test(t, test_publish_abort_removes_the_part);
    tcase_add_test(t, test_publish_clears_what_the_same_attempt_left);
    tcase_add_test(t, test_publish_fails_cleanly);
    tcase_add_test(t, test_publish_refuses_unsafe_names);
    tcase_add_test(t, test_publish_set_appears_together);
    tcase_add_test(t, test_publish_set_abort_publishes_nothing);
    tcase_add_test(t, test_publish_set_is_all_or_nothing);
    tcase_add_test(t, test_publish_sweep_takes_the_parts_of_one_attempt);
    suite_add_tcase(s, t);
    return support_run(s);
}
