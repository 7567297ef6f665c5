#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/lock.h"
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

/*
 * A process that takes the lock, as a daemon does, and one that it has left behind,
 * as a job's process. Both live until their pipe closes.
 */
struct owner {
    pid_t daemon;
    int daemon_end, job_end; /* close to let it end */
};

/* Say that we are ready, wait until the other end of `life` closes, and end. */
static void live(int life, int ready)
{
    char byte = 'r';
    ck_assert_int_eq(write(ready, &byte, 1), 1);
    close(ready);
    while (read(life, &byte, 1) > 0) {
    }
    _exit(0);
}

static void start_owner(struct owner *o)
{
    int daemon_life[2], job_life[2], ready[2], fd;
    ck_assert_int_eq(pipe(daemon_life) | pipe(job_life) | pipe(ready), 0);
    o->daemon = fork();
    if (o->daemon == 0) {
        close(daemon_life[1]);
        close(job_life[1]);
        close(ready[0]);
        support_ok(lock_take(support_path(folder, "lock"), 0, &fd, &err), &err);
        if (fork() == 0) {
            live(job_life[0], ready[1]);
        }
        live(daemon_life[0], ready[1]);
    }
    close(daemon_life[0]);
    close(job_life[0]);
    close(ready[1]);
    char bytes[2];
    for (size_t n = 0; n < 2;) {
        ssize_t m = read(ready[0], bytes + n, 2 - n);
        ck_assert_int_gt(m, 0);
        n += (size_t)m;
    }
    close(ready[0]);
    o->daemon_end = daemon_life[1];
    o->job_end = job_life[1];
}

static void end_daemon(struct owner *o)
{
    close(o->daemon_end);
    ck_assert_int_eq(waitpid(o->daemon, NULL, 0), o->daemon);
}

START_TEST(test_lock_is_taken_and_given_back)
{
    const char *path = support_path(folder, "lock");
    int fd = -1;
    char expected[32];
    support_ok(lock_take(path, 0, &fd, &err), &err);
    char *text = support_read_file(path, NULL);
    snprintf(expected, sizeof expected, "%-20ld\n", (long)getpid());
    ck_assert_str_eq(text, expected);
    free(text);
    close(fd);
    support_ok(lock_take(path, 0, &fd, &err), &err);
    close(fd);
}
END_TEST

START_TEST(test_lock_is_refused_at_once_while_the_daemon_lives)
{
    struct owner o;
    int fd = -1;
    start_owner(&o);
    ck_assert_int_eq(lock_take(support_path(folder, "lock"), 3600, &fd, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "another ifud works in this spool"));
    ck_assert_int_eq(fd, -1);
    close(o.job_end);
    end_daemon(&o);
}
END_TEST

START_TEST(test_lock_waits_for_the_last_job_of_a_dead_daemon)
{
    struct owner o;
    int fd = -1;
    start_owner(&o);
    end_daemon(&o);
    ck_assert_int_eq(lock_take(support_path(folder, "lock"), 0.05, &fd, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "a job of it still runs"));
    close(o.job_end);
    support_ok(lock_take(support_path(folder, "lock"), 20, &fd, &err), &err);
    close(fd);
}
END_TEST

START_TEST(test_lock_names_what_is_in_the_way)
{
    int fd = -1;
    ck_assert_int_eq(lock_take(support_path(folder, "no/lock"), 0, &fd, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "no/lock"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lock");
    TCase *t = tcase_create("lock");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_lock_is_taken_and_given_back);
    tcase_add_test(t, test_lock_is_refused_at_once_while_the_daemon_lives);
    tcase_add_test(t, test_lock_waits_for_the_last_job_of_a_dead_daemon);
    tcase_add_test(t, test_lock_names_what_is_in_the_way);
    suite_add_tcase(s, t);
    return support_run(s);
}
