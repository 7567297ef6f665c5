#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
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
    support_ok(spool_forget(spool, sha, "b_rate.fits", &err), &err);
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

START_TEST(test_spool_batch_with_bad_ones)
{
    struct exposure *e = support_exposure(8, 8, 1, 1, "NRS1", "F290LP", "G395H");
    char name[32];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "f%d_rate.fits", i);
        if (i % 3 == 0) {
            support_write_file(support_path(inbox, name), "no exposure", 11);
        } else {
            support_ok(header_set_int(&e->primary, "EXPOSURE", i, NULL, &err), &err);
            support_write_rate(support_path(inbox, name), e);
        }
    }
    exposure_free(e);
    size_t n = 60;
    for (int i = 0; i < 60; i++) {
        struct stat st;
        snprintf(name, sizeof name, "f%d_rate.fits", i);
        ck_assert_int_eq(lstat(support_path(inbox, name), &st), 0);
        ck_assert(submit(name, &st, false));
    }
    loop_until(&loop, enough, &n);
    ck_assert_uint_eq(outcomes[SPOOL_STORED], 40);
    ck_assert_uint_eq(outcomes[SPOOL_REJECTED], 20);
    char tmp[4096];
    snprintf(tmp, sizeof tmp, "%s/tmp", folder);
    ck_assert_int_eq(rmdir(tmp), 0); /* nothing is left there */
    ck_assert_int_eq(mkdir(tmp, 0700), 0);
}
END_TEST

/* What looks at the headers must not let cfitsio uncompress anything. */
START_TEST(test_spool_tile_compressed_is_rejected)
{
    put_rate("a_rate.fits", NULL);
    size_t n;
    char *bytes = support_read_file(support_path(inbox, "a_rate.fits"), &n);
    size_t at = 0;
    while (memcmp(bytes + at, "XTENSION= 'IMAGE", 16) != 0) {
        at += 2880;
        ck_assert_uint_lt(at, n);
    }
    static const char *const cards[] = {
        "XTENSION= 'BINTABLE'",           "BITPIX  =                    8",
        "NAXIS   =                    2", "NAXIS1  =                    8",
        "NAXIS2  =                    1", "PCOUNT  =                 2000",
        "GCOUNT  =                    1", "TFIELDS =                    1",
        "TTYPE1  = 'COMPRESSED_DATA'",    "TFORM1  = '1PB(2000)'",
        "ZIMAGE  =                    T", "ZCMPTYPE= 'RICE_1  '",
        "ZBITPIX =                  -32", "ZNAXIS  =                    2",
        "ZNAXIS1 =           2000000000", "ZNAXIS2 =           2000000000",
        "EXTNAME = 'SCI     '",           "END"};
    size_t n_cards = sizeof cards / sizeof *cards;
    memset(bytes + at, ' ', 2880);
    for (size_t i = 0; i < n_cards; i++) {
        memcpy(bytes + at + 80 * i, cards[i], strlen(cards[i]));
    }
    support_write_file(support_path(inbox, "a_rate.fits"), bytes, at + 2 * 2880);
    free(bytes);
    take("a_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
    expect_why("a_rate.fits", "a_rate.fits", "tile-compressed");
}
END_TEST

/* A packed file that unpacks to more than a gigabyte; a megabyte on the disk. */
START_TEST(test_spool_gzip_bomb_is_rejected)
{
    char *zeros = calloc(1, 1 << 24), card[81] = "SIMPLE  =                    T";
    gzFile gz = gzopen(support_path(inbox, "bomb_rate.fits.gz"), "wb1");
    memcpy(zeros, card, 30);
    for (int i = 0; i < 66; i++) {
        ck_assert_int_eq(gzwrite(gz, zeros, 1 << 24), 1 << 24);
        memset(zeros, 0, 30);
    }
    gzclose(gz);
    free(zeros);
    take("bomb_rate.fits.gz", true);
    ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
    expect_why("bomb_rate.fits.gz", "bomb_rate.fits.gz", "unpacks to more than");
}
END_TEST

START_TEST(test_spool_packed_exposure_is_stored)
{
    put_rate("a_rate.fits", NULL);
    size_t n;
    char *bytes = support_read_file(support_path(inbox, "a_rate.fits"), &n);
    gzFile gz = gzopen(support_path(inbox, "b_rate.fits.gz"), "wb");
    ck_assert_int_eq(gzwrite(gz, bytes, (unsigned)n), (int)n);
    gzclose(gz);
    free(bytes);
    take("b_rate.fits.gz", false);
    ck_assert_msg(last.outcome == SPOOL_STORED, "%s", last.err.message);
    ck_assert_str_eq(last.exposure.base, "b");
}
END_TEST

START_TEST(test_spool_huge_sparse_file_is_not_copied)
{
    support_write_file(support_path(inbox, "huge_rate.fits"), "", 0);
    ck_assert_int_eq(
        truncate(support_path(inbox, "huge_rate.fits"), SPOOL_MAX_BYTES * 1000), 0);
    take("huge_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_REJECTED);
    expect_why("huge_rate.fits", "huge_rate.fits", "larger than");
}
END_TEST

START_TEST(test_spool_a_link_that_took_the_name_is_not_followed)
{
    put_rate("a_rate.fits", NULL);
    struct stat st;
    ck_assert_int_eq(lstat(support_path(inbox, "a_rate.fits"), &st), 0);
    ck_assert_int_eq(
        rename(support_path(inbox, "a_rate.fits"), support_path(top, "elsewhere")), 0);
    ck_assert_int_eq(
        symlink(support_path(top, "elsewhere"), support_path(inbox, "a_rate.fits")), 0);
    size_t n = 1;
    ck_assert(submit("a_rate.fits", &st, false));
    loop_until(&loop, enough, &n);
    ck_assert_int_eq(last.outcome, SPOOL_CHANGED);
    unlink(support_path(inbox, "a_rate.fits"));
    ck_assert_int_eq(mkfifo(support_path(inbox, "a_rate.fits"), 0600), 0);
    n = 2;
    ck_assert(submit("a_rate.fits", &st, false)); /* and waits for no writer */
    loop_until(&loop, enough, &n);
    ck_assert_int_eq(last.outcome, SPOOL_CHANGED);
}
END_TEST

/* A name that others swap all the time: every copy is one of the two files, whole. */
struct swapper {
    char one[300], two[300], spare[300], name[300];
    atomic_bool stop;
};

static void *swap_main(void *arg)
{
    static char failed[] = "cannot swap";
    struct swapper *s = arg;
    while (!atomic_load(&s->stop)) {
        for (int i = 0; i < 2; i++) {
            unlink(s->spare);
            if (link(i ? s->one : s->two, s->spare) || rename(s->spare, s->name)) {
                return failed;
            }
        }
        symlink(s->one, s->spare);
        rename(s->spare, s->name);
    }
    return NULL;
}

START_TEST(test_spool_names_swapped_meanwhile)
{
    struct swapper s = {.stop = false};
    char sums[2][SHA256_HEX];
    pthread_t thread;
    put_rate("one_rate.fits", NULL);
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS2", "F290LP", "G395H");
    support_write_rate(support_path(inbox, "two_rate.fits"), e);
    exposure_free(e);
    snprintf(s.one, sizeof s.one, "%s", support_path(inbox, "one_rate.fits"));
    snprintf(s.two, sizeof s.two, "%s", support_path(inbox, "two_rate.fits"));
    snprintf(s.spare, sizeof s.spare, "%s", support_path(inbox, "spare"));
    snprintf(s.name, sizeof s.name, "%s", support_path(inbox, "a_rate.fits"));
    support_ok(sha256_file(s.one, sums[0], NULL, &err), &err);
    support_ok(sha256_file(s.two, sums[1], NULL, &err), &err);
    ck_assert_int_eq(link(s.one, s.name), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, swap_main, &s), 0);
    size_t stored = 0;
    for (size_t i = 1; i <= 200; i++) {
        struct stat st = {0};
        while (fstatat(AT_FDCWD, s.name, &st, AT_SYMLINK_NOFOLLOW) ||
               !S_ISREG(st.st_mode)) {
        }
        ck_assert(submit("a_rate.fits", &st, false));
        loop_until(&loop, enough, &i);
        ck_assert_msg(last.outcome == SPOOL_STORED || last.outcome == SPOOL_CHANGED,
                      "%d %s", last.outcome, last.err.message);
        if (last.outcome == SPOOL_STORED) {
            stored++;
            bool two =
                st.st_ino == last.st.st_ino && !strcmp(last.exposure.detector, "NRS2");
            ck_assert_str_eq(last.exposure.sha256, sums[two]);
        }
    }
    atomic_store(&s.stop, true);
    void *why_not = NULL;
    pthread_join(thread, &why_not);
    ck_assert_msg(!why_not, "%s", (char *)why_not);
    ck_assert_uint_gt(stored, 0);
}
END_TEST

/* Root reads everything: the threads of the spool work as somebody else. */
START_TEST(test_spool_unreadable_file_waits)
{
    put_rate("a_rate.fits", NULL);
    ck_assert_int_eq(chmod(support_path(inbox, "a_rate.fits"), 0), 0);
    if (geteuid() == 0) {
        spool_close(spool);
        loop_end(&loop);
        uv_loop_init(&loop);
        ck_assert_int_eq(chmod(top, 0777), 0);
        ck_assert_int_eq(chmod(inbox, 0777), 0);
        ck_assert_int_eq(chmod(rejected, 0777), 0);
        support_remove(strdup(folder));
        ck_assert_int_eq(seteuid(65534), 0);
        open_spool();
    }
    take("a_rate.fits", false);
    ck_assert_int_eq(last.outcome, SPOOL_TROUBLE);
    ck_assert_ptr_nonnull(strstr(last.err.message, "Permission denied"));
    ck_assert(is_there(inbox, "a_rate.fits"));
    if (geteuid() == 65534) {
        ck_assert_int_eq(seteuid(0), 0);
    }
}
END_TEST

START_TEST(test_spool_without_an_inbox_waits)
{
    put_rate("a_rate.fits", NULL);
    struct stat st;
    char away[4096];
    ck_assert_int_eq(lstat(support_path(inbox, "a_rate.fits"), &st), 0);
    snprintf(away, sizeof away, "%s.away", inbox);
    ck_assert_int_eq(rename(inbox, away), 0);
    size_t n = 1;
    ck_assert(submit("a_rate.fits", &st, false));
    loop_until(&loop, enough, &n);
    ck_assert_int_eq(last.outcome, SPOOL_TROUBLE);
    ck_assert_int_eq(rename(away, inbox), 0);
    take("a_rate.fits", false); /* the folder is found by its path */
    ck_assert_int_eq(last.outcome, SPOOL_STORED);
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
    tcase_add_test(t, test_spool_batch_with_bad_ones);
    tcase_add_test(t, test_spool_tile_compressed_is_rejected);
    tcase_add_test(t, test_spool_gzip_bomb_is_rejected);
    tcase_add_test(t, test_spool_packed_exposure_is_stored);
    tcase_add_test(t, test_spool_huge_sparse_file_is_not_copied);
    tcase_add_test(t, test_spool_a_link_that_took_the_name_is_not_followed);
    tcase_add_test(t, test_spool_names_swapped_meanwhile);
    tcase_add_test(t, test_spool_unreadable_file_waits);
    tcase_add_test(t, test_spool_without_an_inbox_waits);
    suite_add_tcase(s, t);
    return support_run(s);
}
