/*
 * A file system of 64 MB that others fill: the daemon lives and says why it waits, and
 * ends its work by itself when there is room (docs/reliability.md, scenario 3).
 *
 * It is a tmpfs, mounted in a namespace of this process. Where that is not allowed, this
 * is said aloud, and test_disk_faults.c is all there is.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/fault/tree.h"
#include "tests/fault/workload.h"
#include "tests/support.h"

#define PATIENCE 60 /* s */

static struct workload w;

static void setup(void)
{
    workload_init(&w);
    /* it is not told to end: what belongs together comes within a second */
    workload_shell(&w, "sed -i 's/\"member_wait_seconds\": 3600/"
                       "\"member_wait_seconds\": 5/' thread.json child.json");
}

static void teardown(void)
{
    workload_done(&w);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

/* Be root of a new namespace, for whoever is not root here. */
static bool enter_namespace(void)
{
    char users[40], groups[40];
    snprintf(users, sizeof users, "0 %u 1\n", getuid());
    snprintf(groups, sizeof groups, "0 %u 1\n", getgid());
    if (unshare(CLONE_NEWNS) == 0) {
        return true;
    }
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", users) &&
           write_text("/proc/self/gid_map", groups);
}

/* Phase 1 on a small file system, its files parked; false, said aloud, if it cannot be. */
static bool mount_small(void)
{
    tree_remove(w.disk);
    ck_assert_int_eq(mkdir(w.disk, 0700), 0);
    if (!enter_namespace() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", w.disk, "tmpfs", 0, "size=64m")) {
        fprintf(
            stderr,
            "no file system can be mounted here (%s): a disk that is really full is "
            "not tried\n",
            strerror(errno));
        return false;
    }
    workload_shell(&w, ": >log && cp -a start1/. disk && mkdir disk/parked && "
                       "mv disk/inbox/* disk/parked");
    return true;
}

/* Others fill it and leave so many bytes. */
static void fill(off_t leave)
{
    static const char block[65536];
    char path[300];
    snprintf(path, sizeof path, "%s/of-others", w.disk);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    for (size_t n = sizeof block; n > 0; n /= 2) {
        while (write(fd, block, n) > 0) {
        }
        ck_assert_int_eq(errno, ENOSPC);
    }
    off_t size = lseek(fd, 0, SEEK_CUR);
    ck_assert_int_eq(ftruncate(fd, size - leave), 0);
    close(fd);
}

/* Until the daemon's log has the words; it must live all the while. */
static void until_said(pid_t pid, const char *words, const char *or_words)
{
    double end = clock_steady() + PATIENCE;
    for (;;) {
        char *text = workload_text(&w);
        bool said = strstr(text, words) || strstr(text, or_words);
        if (!said && (waitpid(pid, NULL, WNOHANG) != 0 || clock_steady() > end)) {
            fprintf(stderr, "---- log\n%s----\n", text);
            ck_abort_msg("dead, or never said: %s", words);
        }
        free(text);
        if (said) {
            return;
        }
        support_beat();
    }
}

/* The files come when `leave` bytes are left; there is room again once it has said
 * `words`. */
static void run_on_a_full_disk(off_t leave, const char *words, bool child)
{
    static const char done[] = "job combine-jw01234-o001_simtarg_nirspec-2 done";
    if (!mount_small()) {
        return;
    }
    struct life life = {.phase = 1, .child = child, .stay = true};
    pid_t pid = workload_start(&w, &life);
    until_said(pid, " ready: ", " ready: ");
    fill(leave);
    workload_shell(&w, "mv disk/parked/* disk/inbox && rmdir disk/parked");
    until_said(pid, words, "disk is full");           /* or SQLite says it */
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0); /* it lives */
    workload_shell(&w, "rm disk/of-others");
    until_said(pid, done, done);
    kill(pid, SIGTERM);
    ck_assert_int_eq(workload_wait(pid, 0), LIFE_DONE);
    char *wrong = workload_check_end(&w, 1, false);
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
    }
    ck_assert_msg(wrong == NULL, "it does not end as it should");
}

START_TEST(test_full_disk_files_wait_in_the_inbox)
{
    run_on_a_full_disk(0, "No space left on device", false);
}
END_TEST

START_TEST(test_full_disk_jobs_are_deferred)
{
    run_on_a_full_disk(260000, " deferred at stage", false);
}
END_TEST

START_TEST(test_full_disk_jobs_of_their_own_are_deferred)
{
    run_on_a_full_disk(260000, " deferred at stage", true);
}
END_TEST

START_TEST(test_full_disk_nothing_begins_below_the_reserve)
{
    workload_shell(&w, "sed -i 's/\"reserve_mb\": 0/\"reserve_mb\": 8/' thread.json");
    run_on_a_full_disk(4000000, "8 MB", false);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("full_disk");
    TCase *t = tcase_create("full_disk");
    tcase_set_timeout(t, 300);
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_test(t, test_full_disk_files_wait_in_the_inbox);
    tcase_add_test(t, test_full_disk_jobs_are_deferred);
    tcase_add_test(t, test_full_disk_jobs_of_their_own_are_deferred);
    tcase_add_test(t, test_full_disk_nothing_begins_below_the_reserve);
    suite_add_tcase(s, t);
    return support_run(s);
}
