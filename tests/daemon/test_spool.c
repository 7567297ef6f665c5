#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/sha256.h"
#include "daemon/spool.h"
#include "tests/loop.h"
#include "tests/support.h"

static uv_loop_t loop;
static struct spool *spool;
static char *top, *inbox, *folder, *rejected;
static struct spool_result last;
static char last_name[512];
static size_t n_done, outcomes[SPOOL_TROUBLE + 1];
static struct err err;

static void on_done(void *user, const struct spool_result *const *results, size_t n)
{
    (void)user;
    for (size_t i = 0; i < n; i++) {
        outcomes[results[i]->outcome]++;
    }
    last = *results[n - 1];
    snprintf(last_name, sizeof last_name, "%s", results[n - 1]->name);
    last.name = last_name;
    n_done += n;
}

static bool submit(const char *name, const struct stat *st, bool last_chance)
{
    struct inbox_file file = {.name = name, .st = *st, .last_chance = last_chance};
    return spool_submit(spool, &file);
}

static void open_spool(void)
{
    struct spool_options o = {.folder = folder,
                              .inbox = inbox,
                              .rejected = rejected,
                              .threads = 2,
                              .done = on_done};
    support_ok(spool_open(&loop, &o, &spool, &err), &err);
}

static void setup(void)
{
    uv_loop_init(&loop);
    top = support_folder();
    inbox = strdup(support_path(top, "inbox"));
    folder = strdup(support_path(top, "spool"));
    rejected = strdup(support_path(top, "rejected"));
    ck_assert_int_eq(mkdir(inbox, 0700), 0);
    open_spool();
    n_done = 0;
    memset(outcomes, 0, sizeof outcomes);
}

static void teardown(void)
{
    spool_close(spool);
    loop_end(&loop);
    support_remove(top);
    free(inbox);
    free(folder);
    free(rejected);
}

static bool enough(void *arg)
{
    return n_done >= *(size_t *)arg;
}

static void take(const char *name, bool last_chance)
{
    struct stat st;
    size_t n = n_done + 1;
    ck_assert_int_eq(lstat(support_path(inbox, name), &st), 0);
    ck_assert(submit(name, &st, last_chance));
    loop_until(&loop, enough, &n);
    ck_assert_str_eq(last.name, name);
}

static void put_rate(const char *name, const char *exp_type)
{
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395H");
    if (exp_type) {
        support_ok(header_set_string(&e->primary, "EXP_TYPE", exp_type, NULL, &err),
                   &err);
    }
    support_write_rate(support_path(inbox, name), e);
    exposure_free(e);
}

static bool is_there(const char *place, const char *name)
{
    struct stat st;
    return lstat(support_path(place, name), &st) == 0;
}

/* The reason beside a rejected file. */
static json_t *why(const char *name)
{
    char note[600];
    snprintf(note, sizeof note, "%s.why.json", name);
    json_t *root = json_load_file(support_path(rejected, note), 0, NULL);
    ck_assert_msg(root != NULL, "no %s", note);
    return root;
}

static void expect_why(const char *kept_as, const char *name, const char *word)
{
    json_t *root = why(kept_as);
    const char *file = json_string_value(json_object_get(root, "file"));
    const char *text = json_string_value(json_object_get(root, "why"));
    ck_assert_str_eq(file, name);
    ck_assert_msg(strstr(text, word) != NULL, "'%s' is not in: %s", word, text);
    ck_assert_str_eq(json_string_value(json_object_get(root, "error")), "input");
    json_decref(root);
    ck_assert(is_there(rejected, kept_as));
    ck_assert(!is_there(inbox, name));
}

START_TEST(test_spool_stores_an_exposure)
{
    char sha[SHA256_HEX];
    put_rate("a_nrs1_rate.fits", NULL);
    support_ok(sha256_file(support_path(inbox, "a_nrs1_rate.fits"), sha, NULL, &err),
               &err);
    take("a_nrs1_rate.fits", false);
    ck_assert_msg(last.outcome == SPOOL_STORED, "%s", last.err.message);
    ck_assert_str_eq(last.exposure.sha256, sha);
    ck_assert_str_eq(last.exposure.base, "a_nrs1");
    ck_assert_str_eq(last.exposure.detector, "NRS1");
    ck_assert_str_eq(last.exposure.role, "science");
    ck_assert_int_gt(last.exposure.bytes, 0);
    char *path = spool_path(spool, sha, "a_nrs1_rate.fits", &err), copy[SHA256_HEX];
    support_ok(sha256_file(path, copy, NULL, &err), &err);
    ck_assert_str_eq(copy, sha);
    free(path);
    /* the name stays until the row is committed */
    ck_assert(is_there(inbox, "a_nrs1_rate.fits"));
}
END_TEST

START_TEST(test_spool_same_bytes_under_two_names)
{
    put_rate("a_rate.fits", NULL);
    ck_assert_int_eq(
        link(support_path(inbox, "a_rate.fits"), support_path(inbox, "b_rate.fits")),
        0);
    take("a_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_STORED);
    char sha[65];
    strcpy(sha, last.exposure.sha256);
    take("b_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_STORED);
    ck_assert_str_eq(last.exposure.sha256, sha);
    spool_forget(spool, sha, "b_rate.fits");
    char *a = spool_path(spool, sha, "a_rate.fits", &err);
    char *b = spool_path(spool, sha, "b_rate.fits", &err);
    ck_assert_int_eq(access(a, F_OK), 0);
    ck_assert_int_ne(access(b, F_OK), 0);
    free(a);
    free(b);
}
END_TEST

START_TEST(test_spool_wrong_exposure_type_is_rejected)
{
    put_rate("lamp_rate.fits", "NRS_LAMP");
    take("lamp_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
    expect_why("lamp_rate.fits", "lamp_rate.fits", "EXP_TYPE");
    json_t *root = why("lamp_rate.fits");
    const char *text = json_string_value(json_object_get(root, "why"));
    ck_assert_ptr_null(
        strstr(text, folder)); /* the private path is nobody's business */
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(root, "sha256"))), 64);
    json_decref(root);
}
END_TEST

START_TEST(test_spool_detector_without_light_is_rejected)
{
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395M");
    support_ok(header_set_string(&e->primary, "DETECTOR", "NRS2", NULL, &err), &err);
    support_write_rate(support_path(inbox, "m_nrs2_rate.fits"), e);
    exposure_free(e);
    take("m_nrs2_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
    expect_why("m_nrs2_rate.fits", "m_nrs2_rate.fits", "NRS1");
}
END_TEST

START_TEST(test_spool_no_fits_is_rejected_at_once)
{
    support_write_file(support_path(inbox, "notes_rate.fits"), "dear diary", 10);
    take("notes_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
    expect_why("notes_rate.fits", "notes_rate.fits", "SIMPLE");
    /* what may still become one is waited for */
    support_write_file(support_path(inbox, "begun_rate.fits"), "SIMPLE", 6);
    take("begun_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_INCOMPLETE);
}
END_TEST

START_TEST(test_spool_truncated_is_incomplete_then_rejected)
{
    put_rate("cut_rate.fits", NULL);
    struct stat st;
    stat(support_path(inbox, "cut_rate.fits"), &st);
    support_truncate(support_path(inbox, "cut_rate.fits"), (size_t)st.st_size / 2);
    take("cut_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_INCOMPLETE);
    ck_assert(is_there(inbox, "cut_rate.fits"));
    take("cut_rate.fits", true);
    ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
    expect_why("cut_rate.fits", "cut_rate.fits", "cut_rate.fits");
}
END_TEST

START_TEST(test_spool_hostile_names_and_kinds)
{
    static const char *const names[] = {"notes.txt", "a.fits(evil.fits)", "-x.fits",
                                        "with space.fits"};
    static const char *const kept[] = {"notes.txt", "a.fits_evil.fits_", "_x.fits",
                                       "with_space.fits"};
    for (int i = 0; i < 4; i++) {
        support_write_file(support_path(inbox, names[i]), "text", 4);
        take(names[i], false);
        ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
        expect_why(kept[i], names[i], "name");
    }
    ck_assert(!is_there(inbox, "evil.fits"));
    ck_assert_int_eq(mkfifo(support_path(inbox, "f.fits"), 0600), 0);
    take("f.fits", false);
    expect_why("f.fits", "f.fits", "FIFO");
    ck_assert_int_eq(symlink("/etc/passwd", support_path(inbox, "l.fits")), 0);
    take("l.fits", false);
    expect_why("l.fits", "l.fits", "symbolic link");
    struct stat st;
    ck_assert_int_eq(lstat(support_path(rejected, "l.fits"), &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
}
END_TEST

START_TEST(test_spool_rejected_names_do_not_collide)
{
    for (int i = 0; i < 3; i++) {
        support_write_file(support_path(inbox, "x.txt"), "text", 4);
        take("x.txt", false);
    }
    ck_assert(is_there(rejected, "x.txt"));
    ck_assert(is_there(rejected, "x.txt.1"));
    expect_why("x.txt.2", "x.txt", "name");
}
END_TEST

START_TEST(test_spool_changed_and_gone)
{
    put_rate("a_rate.fits", NULL);
    struct stat st;
    stat(support_path(inbox, "a_rate.fits"), &st);
    st.st_size--; /* as if it had grown since it settled */
    size_t n = 1;
    ck_assert(submit("a_rate.fits", &st, false));
    loop_until(&loop, enough, &n);
    ck_assert_int_eq(last.outcome, SPOOL_CHANGED);
    unlink(support_path(inbox, "a_rate.fits"));
    n = 2;
    ck_assert(submit("a_rate.fits", &st, false));
    loop_until(&loop, enough, &n);
    ck_assert_int_eq(last.outcome, SPOOL_GONE);
}
END_TEST

START_TEST(test_spool_tmp_is_emptied_at_the_start)
{
    spool_close(spool);
    char tmp[4096];
    snprintf(tmp, sizeof tmp, "%s/tmp", folder);
    support_write_file(support_path(tmp, "left.fits"), "x", 1);
    open_spool();
    ck_assert(!is_there(tmp, "left.fits"));
}
END_TEST

START_TEST(test_spool_room_is_bounded)
{
    struct stat st = {.st_mode = S_IFREG};
    size_t n = 0;
    while (n < 1000 && submit("none.fits", &st, false)) {
        n++;
    }
    ck_assert_uint_lt(n, 1000);
    loop_until(&loop, enough, &n);
    ck_assert_uint_eq(spool_busy(spool), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("spool");
    TCase *t = tcase_create("spool");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_spool_stores_an_exposure);
    tcase_add_test(t, test_spool_same_bytes_under_two_names);
    tcase_add_test(t, test_spool_wrong_exposure_type_is_rejected);
    tcase_add_test(t, test_spool_detector_without_light_is_rejected);
    tcase_add_test(t, test_spool_no_fits_is_rejected_at_once);
    tcase_add_test(t, test_spool_truncated_is_incomplete_then_rejected);
    tcase_add_test(t, test_spool_hostile_names_and_kinds);
    tcase_add_test(t, test_spool_rejected_names_do_not_collide);
    tcase_add_test(t, test_spool_changed_and_gone);
    tcase_add_test(t, test_spool_tmp_is_emptied_at_the_start);
    tcase_add_test(t, test_spool_room_is_bounded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
