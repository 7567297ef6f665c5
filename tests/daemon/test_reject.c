#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/reject.h"
#include "tests/support.h"

static char *top, *inbox, *rejected;
static int dir;
static struct err err, why;

static void setup(void)
{
    top = support_folder();
    inbox = strdup(support_path(top, "inbox"));
    rejected = strdup(support_path(top, "rejected"));
    mkdir(inbox, 0700);
    mkdir(rejected, 0700);
    dir = open(inbox, O_RDONLY | O_DIRECTORY);
    err_set(&why, ERR_INPUT, "no good");
}

static void teardown(void)
{
    close(dir);
    free(inbox);
    free(rejected);
    support_remove(top);
}

static int reject(const char *name, const char *folder)
{
    struct stat st;
    ck_assert_int_eq(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return reject_file(dir, name, &st, folder, &why, "", &err);
}

static bool is_there(const char *folder, const char *name)
{
    struct stat st;
    return lstat(support_path(folder, name), &st) == 0;
}

static void put(const char *name, const char *text)
{
    support_write_file(support_path(inbox, name), text, strlen(text));
}

START_TEST(test_reject_hostile_names)
{
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = 0;
    const char *const names[] = {"new\nline.fits", "a.fits[1][col x]", "\xff\xfe.fits",
                                 longest,          "..fits",           "-rf"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        put(names[i], "text");
        support_ok(reject(names[i], rejected), &err);
        ck_assert(!is_there(inbox, names[i]));
    }
    static const char *const kept[] = {"new_line.fits", "a.fits_1__col_x_",
                                       "__.fits",       "_.fits",
                                       "_rf",           "_.fits.why.json"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        ck_assert_msg(is_there(rejected, kept[i]), "no %s", kept[i]);
    }
}
END_TEST

/* What was refused before is not overwritten by the reason of another. */
START_TEST(test_reject_a_reason_takes_no_other_name)
{
    put("x.why.json", "mine");
    support_ok(reject("x.why.json", rejected), &err);
    put("x", "text");
    support_ok(reject("x", rejected), &err);
    size_t n;
    char *text = support_read_file(support_path(rejected, "x.why.json"), &n);
    ck_assert_str_eq(text, "mine");
    free(text);
    ck_assert(is_there(rejected, "x.1"));
    ck_assert(is_there(rejected, "x.1.why.json"));
}
END_TEST

START_TEST(test_reject_without_a_folder_keeps_the_file)
{
    put("x", "text");
    ck_assert_int_eq(reject("x", support_path(top, "none")), ERR_IO);
    ck_assert(is_there(inbox, "x"));
}
END_TEST

START_TEST(test_reject_leaves_a_file_that_took_the_name)
{
    struct stat st;
    put("x", "bad");
    ck_assert_int_eq(fstatat(dir, "x", &st, 0), 0);
    put("new", "another");
    ck_assert_int_eq(rename(support_path(inbox, "new"), support_path(inbox, "x")), 0);
    ck_assert_int_eq(reject_file(dir, "x", &st, rejected, &why, "", &err), ERR_NODATA);
    ck_assert(is_there(inbox, "x"));
    ck_assert(!is_there(rejected, "x"));
    ck_assert(!is_there(rejected, "x.why.json"));
}
END_TEST

/* To another file system, where there is one. */
START_TEST(test_reject_to_another_file_system)
{
    char far[] = "/dev/shm/ifud-test-XXXXXX";
    struct stat here, there;
    if (!mkdtemp(far) || stat(far, &there) || stat(inbox, &here) ||
        here.st_dev == there.st_dev) {
        fprintf(stderr, "there is no other file system at /dev/shm: not tested\n");
        rmdir(far);
        return;
    }
    put("x", "text");
    support_ok(reject("x", far), &err);
    ck_assert(!is_there(inbox, "x"));
    ck_assert(is_there(far, "x"));
    ck_assert(is_there(far, "x.why.json"));
    /* a huge one stays, and nothing is left behind */
    put("huge", "");
    ck_assert_int_eq(truncate(support_path(inbox, "huge"), REJECT_MAX_BYTES + 1), 0);
    ck_assert_int_eq(reject("huge", far), ERR_IO);
    ck_assert(is_there(inbox, "huge"));
    ck_assert(!is_there(far, "huge"));
    ck_assert(!is_there(far, "huge.why.json"));
    support_remove(strdup(far));
}
END_TEST

START_TEST(test_reject_many_of_one_name)
{
    for (int i = 0; i < 150; i++) {
        put("x", "text");
        support_ok(reject("x", rejected), &err);
    }
    ck_assert(is_there(rejected, "x.99"));
    ck_assert(!is_there(rejected, "x.100"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reject");
    TCase *t = tcase_create("reject");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_reject_hostile_names);
    tcase_add_test(t, test_reject_a_reason_takes_no_other_name);
    tcase_add_test(t, test_reject_without_a_folder_keeps_the_file);
    tcase_add_test(t, test_reject_leaves_a_file_that_took_the_name);
    tcase_add_test(t, test_reject_to_another_file_system);
    tcase_add_test(t, test_reject_many_of_one_name);
    suite_add_tcase(s, t);
    return support_run(s);
}
