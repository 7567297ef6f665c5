#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/inbox.h"
#include "tests/loop.h"
#include "tests/support.h"

/* Short enough to be quick, long enough to tell still from moving on a busy machine. */
#define SETTLE 0.15

static uv_loop_t loop;
static struct inbox *inbox;
static char *folder;
static char offered[64][64];
static bool last_chance[64];
static double seen_at[64], settling_at[64];
static size_t n_offered, room, n_gone, n_later;
static const char *later_name;
static char last_gone[64];
static bool may_be_troubled;
static struct err err;

static enum inbox_answer on_settled(void *user, const struct inbox_file *file)
{
    (void)user;
    if (later_name && !strcmp(file->name, later_name)) {
        n_later++;
        return INBOX_LATER;
    }
    if (n_offered >= room) {
        return INBOX_FULL;
    }
    seen_at[n_offered] = file->seen_at;
    settling_at[n_offered] = file->settling_at;
    last_chance[n_offered] = file->last_chance;
    snprintf(offered[n_offered++], sizeof offered[0], "%s", file->name);
    return INBOX_TAKEN;
}

static void on_gone(void *user, const struct inbox_file *file)
{
    (void)user;
    snprintf(last_gone, sizeof last_gone, "%s", file->name);
    ck_assert_double_gt(file->seen_at, 1e9);
    n_gone++;
}

static void on_trouble(void *user, const char *message)
{
    (void)user;
    ck_assert_msg(may_be_troubled, "%s", message);
}

static void open_inbox(double rescan_seconds, double incomplete_seconds)
{
    struct inbox_options o = {.folder = folder,
                              .settle_seconds = SETTLE,
                              .incomplete_seconds = incomplete_seconds,
                              .rescan_seconds = rescan_seconds,
                              .settled = on_settled,
                              .gone = on_gone,
                              .trouble = on_trouble};
    support_ok(inbox_open(&loop, &o, &inbox, &err), &err);
}

static void setup(void)
{
    uv_loop_init(&loop);
    folder = support_folder();
    n_offered = n_gone = n_later = 0;
    later_name = NULL;
    may_be_troubled = false;
    room = 64;
}

static void teardown(void)
{
    inbox_close(inbox);
    loop_end(&loop);
    support_remove(folder);
}

static void put(const char *name, const char *content)
{
    support_write_file(support_path(folder, name), content, strlen(content));
}

static bool was_offered(const char *name)
{
    for (size_t i = 0; i < n_offered; i++) {
        if (!strcmp(offered[i], name)) {
            return true;
        }
    }
    return false;
}

static bool enough(void *arg)
{
    return n_offered >= *(size_t *)arg;
}

static void wait_offered(size_t n)
{
    loop_until(&loop, enough, &n);
}

START_TEST(test_inbox_finds_what_was_there_and_what_comes)
{
    put("before.fits", "x");
    open_inbox(3600, 10);
    wait_offered(1);
    ck_assert_str_eq(offered[0], "before.fits");
    put("after.fits", "x");
    wait_offered(2);
    ck_assert_str_eq(offered[1], "after.fits");
    ck_assert_uint_eq(inbox_count(inbox, NULL), 2);
    unlink(support_path(folder, "before.fits"));
    inbox_gone(inbox, "before.fits");
    ck_assert_uint_eq(inbox_count(inbox, NULL), 1);
}
END_TEST

START_TEST(test_inbox_renamed_and_linked_files_are_seen)
{
    open_inbox(3600, 10);
    put(".hidden", "x");
    ck_assert_int_eq(
        rename(support_path(folder, ".hidden"), support_path(folder, "moved.fits")), 0);
    wait_offered(1);
    ck_assert_str_eq(offered[0], "moved.fits");
    ck_assert_int_eq(
        link(support_path(folder, "moved.fits"), support_path(folder, "linked.fits")),
        0);
    wait_offered(2);
    ck_assert(was_offered("linked.fits"));
}
END_TEST

START_TEST(test_inbox_skips_temporary_names_and_folders)
{
    static const char *const names[] = {".a.fits.Xy12", "a.fits.part",     "b.fits~",
                                        "c.tmp",        "d.fits.filepart", "#e.fits#",
                                        "f.partial",    "g.crdownload"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert(inbox_is_temporary(names[i]));
        put(names[i], "x");
    }
    ck_assert(!inbox_is_temporary("jw1_nrs1_rate.fits"));
    ck_assert(!inbox_is_temporary("part"));
    ck_assert_int_eq(mkdir(support_path(folder, "folder"), 0700), 0);
    put("good.fits", "x");
    open_inbox(3600, 10);
    wait_offered(1);
    loop_for(&loop, 2 * SETTLE);
    ck_assert_uint_eq(n_offered, 1);
    ck_assert_str_eq(offered[0], "good.fits");
}
END_TEST

START_TEST(test_inbox_a_growing_file_is_not_offered)
{
    open_inbox(3600, 10);
    FILE *f = fopen(support_path(folder, "slow.fits"), "w");
    for (int i = 0; i < 20; i++) { /* well beyond the settle time in all */
        fputc('x', f);
        fflush(f);
        loop_for(&loop, SETTLE / 5);
        ck_assert_uint_eq(n_offered, 0);
    }
    fclose(f);
    wait_offered(1);
}
END_TEST

START_TEST(test_inbox_links_and_fifos_are_offered_as_what_they_are)
{
    ck_assert_int_eq(mkfifo(support_path(folder, "fifo.fits"), 0600), 0);
    ck_assert_int_eq(symlink("/etc/passwd", support_path(folder, "link.fits")), 0);
    open_inbox(3600, 10);
    wait_offered(2);
    ck_assert(was_offered("fifo.fits"));
    ck_assert(was_offered("link.fits"));
}
END_TEST

START_TEST(test_inbox_incomplete_is_offered_again_when_it_grows_or_late)
{
    put("cut.fits", "x");
    open_inbox(3600, 3 * SETTLE);
    wait_offered(1);
    ck_assert(!last_chance[0]);
    inbox_incomplete(inbox, "cut.fits");
    size_t incomplete = 0;
    ck_assert_uint_eq(inbox_count(inbox, &incomplete), 1);
    ck_assert_uint_eq(incomplete, 1);
    put("cut.fits", "more");
    wait_offered(2); /* grown: as if new */
    ck_assert(!last_chance[1]);
    inbox_incomplete(inbox, "cut.fits");
    wait_offered(3); /* stood still for incomplete_seconds */
    ck_assert(last_chance[2]);
}
END_TEST

START_TEST(test_inbox_again_waits)
{
    put("a.fits", "x");
    open_inbox(3600, 10);
    wait_offered(1);
    inbox_again(inbox, "a.fits", 4 * SETTLE);
    put("b.fits", "x");
    wait_offered(2);
    ck_assert_str_eq(offered[1], "b.fits");
    wait_offered(3);
    ck_assert_str_eq(offered[2], "a.fits");
}
END_TEST

START_TEST(test_inbox_full_then_kicked)
{
    room = 1;
    put("a.fits", "x");
    put("b.fits", "x");
    open_inbox(3600, 10);
    wait_offered(1);
    loop_for(&loop, 2 * SETTLE);
    ck_assert_uint_eq(n_offered, 1);
    room = 64;
    inbox_kick(inbox);
    wait_offered(2);
    loop_for(&loop, 2 * SETTLE);
    ck_assert_uint_eq(n_offered, 2); /* each once */
}
END_TEST

START_TEST(test_inbox_overflow_is_made_good_by_a_listing)
{
    /* more names than the kernel keeps notices of for a loop that stands still */
    long limit = 16384;
    size_t n;
    char *text = support_read_file("/proc/sys/fs/inotify/max_queued_events", &n);
    limit = atol(text);
    free(text);
    if (limit > 20000) {
        return; /* this kernel keeps so many that the test would take too long */
    }
    open_inbox(3600, 10);
    room = (size_t)-1;
    for (long i = 0; i < limit / 2 + 100; i++) {
        int fd = open(support_path(folder, "same.fits"), O_WRONLY | O_CREAT, 0600);
        close(fd);
        ck_assert_int_eq(fchmodat(AT_FDCWD, support_path(folder, "same.fits"),
                                  i % 2 ? 0600 : 0640, 0),
                         0);
    }
    put("last.fits", "x"); /* its notice is lost */
    room = 64;
    wait_offered(2);
    ck_assert(was_offered("last.fits"));
}
END_TEST

START_TEST(test_inbox_periodic_listing)
{
    open_inbox(0.1, 10);
    inbox_drain(inbox);
    put("a.fits", "x");
    wait_offered(1);
    unlink(support_path(folder, "a.fits"));
    inbox_gone(inbox, "a.fits");
    ck_assert_uint_eq(inbox_count(inbox, NULL), 0);
}
END_TEST

START_TEST(test_inbox_missing_folder_is_an_error)
{
    struct inbox_options o = {.folder = "/nonexistent/inbox"};
    ck_assert_int_eq(inbox_open(&loop, &o, &inbox, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/inbox"));
    inbox = NULL;
}
END_TEST

START_TEST(test_inbox_times_of_a_file)
{
    open_inbox(3600, 10);
    put("a.fits", "x");
    loop_for(&loop, SETTLE / 2);
    inbox_drain(inbox);
    put("a.fits", "more");
    wait_offered(1);
    ck_assert_double_gt(seen_at[0], 1e9);
    ck_assert_double_gt(settling_at[0], seen_at[0]); /* it changed once */
}
END_TEST

START_TEST(test_inbox_a_file_that_leaves_is_reported)
{
    open_inbox(3600, 10);
    put("a.fits", "x");
    put("b.fits", "x");
    inbox_drain(inbox);
    ck_assert_uint_eq(inbox_count(inbox, NULL), 2);
    unlink(support_path(folder, "a.fits"));
    wait_offered(1);
    ck_assert_str_eq(offered[0], "b.fits");
    ck_assert_uint_eq(n_gone, 1);
    ck_assert_str_eq(last_gone, "a.fits");
    unlink(support_path(folder, "b.fits"));
    inbox_gone(inbox, "b.fits"); /* known: not reported */
    ck_assert_uint_eq(n_gone, 1);
}
END_TEST

static bool came_again(void *arg)
{
    (void)arg;
    return n_later == 2;
}

START_TEST(test_inbox_later_does_not_hold_up_others)
{
    later_name = "a.fits";
    put("a.fits", "x");
    put("b.fits", "x");
    open_inbox(3600, 10);
    wait_offered(1);
    ck_assert_str_eq(offered[0], "b.fits");
    ck_assert_uint_eq(n_later, 1);
    inbox_retime(inbox, SETTLE / 2, 10, 3600); /* it waits still: now less long */
    loop_until(&loop, came_again, NULL);
}
END_TEST

START_TEST(test_inbox_times_in_the_future_do_not_matter)
{
    put("a.fits", "x");
    const struct timespec t[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, support_path(folder, "a.fits"), t, 0), 0);
    open_inbox(3600, 10);
    wait_offered(1);
}
END_TEST

static struct stat stat_of(const char *name)
{
    struct stat st;
    ck_assert_int_eq(lstat(support_path(folder, name), &st), 0);
    return st;
}

START_TEST(test_inbox_clears_only_the_file_that_was_taken)
{
    put("a.fits", "x");
    open_inbox(3600, 10);
    struct stat st = stat_of("a.fits");
    put("new", "another");
    ck_assert_int_eq(
        rename(support_path(folder, "new"), support_path(folder, "a.fits")), 0);
    ck_assert_int_eq(inbox_clear(inbox, "a.fits", &st, &err), ERR_INPUT);
    struct stat new = stat_of("a.fits");
    ck_assert_int_eq(inbox_clear(inbox, "a.fits", &new, &err), 0);
    ck_assert_int_ne(access(support_path(folder, "a.fits"), F_OK), 0);
    ck_assert_int_eq(inbox_clear(inbox, "a.fits", &new, &err), 0); /* gone is fine */
}
END_TEST

START_TEST(test_inbox_gives_back_what_a_death_left)
{
    put(".ifud-taken-a.fits", "x");
    put(".ifud-taken-b.fits", "x");
    put("b.fits", "another");
    open_inbox(3600, 10);
    wait_offered(3);
    ck_assert(was_offered("a.fits"));
    ck_assert(was_offered("b.fits"));
    ck_assert(was_offered("1-b.fits"));
}
END_TEST

START_TEST(test_inbox_keeps_what_cannot_be_removed)
{
    put("a.fits", "x");
    open_inbox(0.1, 10);
    wait_offered(1);
    inbox_keep(inbox, "a.fits");
    ck_assert_uint_eq(inbox_count(inbox, NULL), 1);
    loop_for(&loop, 3 * SETTLE); /* now it can: it goes at the next listing */
    ck_assert_uint_eq(n_offered, 1);
    ck_assert_uint_eq(inbox_count(inbox, NULL), 0);
    ck_assert_int_ne(access(support_path(folder, "a.fits"), F_OK), 0);
    ck_assert_uint_eq(n_gone, 0);
}
END_TEST

static bool is_known(void *arg)
{
    inbox_drain(inbox);
    return inbox_count(inbox, NULL) == *(size_t *)arg;
}

START_TEST(test_inbox_folder_moved_and_made_again)
{
    char away[4096];
    snprintf(away, sizeof away, "%s.away", folder);
    size_t none = 0;
    open_inbox(3600, 10);
    put("old.fits", "x");
    wait_offered(1);
    may_be_troubled = true;
    ck_assert_int_eq(rename(folder, away), 0);
    inbox_gone(inbox, "old.fits");
    inbox_drain(inbox);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    put("new.fits", "x");
    wait_offered(2); /* within a second: by its path */
    ck_assert_str_eq(offered[1], "new.fits");
    unlink(support_path(folder, "new.fits"));
    inbox_gone(inbox, "new.fits");
    put("noticed.fits", "x"); /* the new folder is watched */
    wait_offered(3);
    unlink(support_path(folder, "noticed.fits"));
    inbox_gone(inbox, "noticed.fits");
    loop_until(&loop, is_known, &none);
    support_remove(strdup(away));
}
END_TEST

START_TEST(test_inbox_folder_removed_and_made_again)
{
    open_inbox(3600, 10);
    may_be_troubled = true;
    ck_assert_int_eq(rmdir(folder), 0);
    inbox_drain(inbox);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    put("new.fits", "x");
    wait_offered(1);
}
END_TEST

START_TEST(test_inbox_shorter_times_count_at_once)
{
    struct inbox_options o = {.folder = folder,
                              .settle_seconds = 3600,
                              .incomplete_seconds = 10,
                              .rescan_seconds = 3600,
                              .settled = on_settled,
                              .gone = on_gone,
                              .trouble = on_trouble};
    size_t one = 1;
    put("a.fits", "x");
    support_ok(inbox_open(&loop, &o, &inbox, &err), &err);
    loop_until(&loop, is_known, &one);
    inbox_retime(inbox, SETTLE, 10, 3600);
    wait_offered(1);
}
END_TEST

/* 20,000 names: the loop turns many times while they are listed. */
START_TEST(test_inbox_listing_in_slices)
{
    enum { MANY = 20000 };
    char name[32];
    size_t all = MANY;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%d.fits", i);
        int fd = open(support_path(folder, name), O_WRONLY | O_CREAT, 0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    room = 10;
    open_inbox(3600, 10);
    int turns = 0;
    while (inbox_count(inbox, NULL) < all) {
        uv_run(&loop, UV_RUN_NOWAIT);
        turns++;
    }
    ck_assert_int_gt(turns, 3);
    wait_offered(10);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%d.fits", i);
        unlink(support_path(folder, name));
    }
    for (size_t i = 0; i < 10; i++) {
        inbox_gone(inbox, offered[i]);
    }
    all = 0;
    loop_until(&loop, is_known, &all);
    ck_assert_uint_eq(n_gone, MANY - 10);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbox");
    TCase *t = tcase_create("inbox");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_inbox_finds_what_was_there_and_what_comes);
    tcase_add_test(t, test_inbox_renamed_and_linked_files_are_seen);
    tcase_add_test(t, test_inbox_skips_temporary_names_and_folders);
    tcase_add_test(t, test_inbox_a_growing_file_is_not_offered);
    tcase_add_test(t, test_inbox_links_and_fifos_are_offered_as_what_they_are);
    tcase_add_test(t, test_inbox_incomplete_is_offered_again_when_it_grows_or_late);
    tcase_add_test(t, test_inbox_again_waits);
    tcase_add_test(t, test_inbox_full_then_kicked);
    tcase_add_test(t, test_inbox_overflow_is_made_good_by_a_listing);
    tcase_add_test(t, test_inbox_periodic_listing);
    tcase_add_test(t, test_inbox_missing_folder_is_an_error);
    tcase_add_test(t, test_inbox_times_of_a_file);
    tcase_add_test(t, test_inbox_a_file_that_leaves_is_reported);
    tcase_add_test(t, test_inbox_later_does_not_hold_up_others);
    tcase_add_test(t, test_inbox_times_in_the_future_do_not_matter);
    tcase_add_test(t, test_inbox_clears_only_the_file_that_was_taken);
    tcase_add_test(t, test_inbox_gives_back_what_a_death_left);
    tcase_add_test(t, test_inbox_keeps_what_cannot_be_removed);
    tcase_add_test(t, test_inbox_folder_moved_and_made_again);
    tcase_add_test(t, test_inbox_folder_removed_and_made_again);
    tcase_add_test(t, test_inbox_shorter_times_count_at_once);
    tcase_add_test(t, test_inbox_listing_in_slices);
    suite_add_tcase(s, t);
    return support_run(s);
}
