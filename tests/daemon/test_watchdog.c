#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/base/log.h"
#include "daemon/notify.h"
#include "daemon/watchdog.h"
#include "tests/support.h"

START_TEST(test_watchdog_judges_each_by_its_limit)
{
    struct watch w[3] = {{"a worker", 0, 10}, {"a copy", 5, 5}, {"a long job", 1e9, 0}};
    char why[200] = "";
    ck_assert(watchdog_judge(NULL, 0, why, sizeof why));
    ck_assert(watchdog_judge(w, 3, why, sizeof why)); /* at its limit is within it */
    ck_assert_str_eq(why, "");
    w[1].quiet = 5.6;
    ck_assert(!watchdog_judge(w, 3, why, sizeof why));
    ck_assert_str_eq(why, "a copy: no progress for 6 s, at most 5 s");
    w[0].quiet = 12;
    ck_assert(!watchdog_judge(w, 3, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "a worker")); /* the worst */
    w[0].quiet = w[1].quiet = 0;
    ck_assert(watchdog_judge(w, 3, why, sizeof why));
}
END_TEST

START_TEST(test_watchdog_heartbeat)
{
    struct heartbeat h = {0};
    ck_assert_double_eq(heartbeat_quiet(&h), 0);
    heartbeat_beat(&h);
    double first = heartbeat_quiet(&h);
    ck_assert(first > 0 && first < 10);
    while (heartbeat_quiet(&h) == first) { /* time goes on */
    }
    ck_assert_double_gt(heartbeat_quiet(&h), first);
    heartbeat_rest(&h);
    ck_assert_double_eq(heartbeat_quiet(&h), 0);
}
END_TEST

START_TEST(test_watchdog_interval_is_half_of_what_the_manager_says)
{
    ck_assert_double_eq(notify_watchdog_interval("30000000", NULL, 7), 15);
    ck_assert_double_eq(notify_watchdog_interval("30000000", "7", 7), 15);
    ck_assert_double_eq(notify_watchdog_interval("30000000", "8", 7), 0);
    ck_assert_double_eq(notify_watchdog_interval("30000000", "7x", 7), 0);
    ck_assert_double_eq(notify_watchdog_interval("30000000", "", 7), 0);
    ck_assert_double_eq(notify_watchdog_interval(NULL, "7", 7), 0);
    ck_assert_double_eq(notify_watchdog_interval("", NULL, 7), 0);
    ck_assert_double_eq(notify_watchdog_interval("0", NULL, 7), 0);
    ck_assert_double_eq(notify_watchdog_interval("-5", NULL, 7), 0);
    ck_assert_double_eq(notify_watchdog_interval("5s", NULL, 7), 0);
}
END_TEST

START_TEST(test_watchdog_says_last_words)
{
    char *folder = support_folder();
    char path[400];
    snprintf(path, sizeof path, "%s", support_path(folder, "log"));
    pid_t pid = fork();
    if (pid == 0) {
        if (log_open_file(path, NULL)) {
            _exit(9);
        }
        watchdog_catch_abort();
        watchdog_saw("job spec2-a-1 at stage photom for 7 s");
        kill(getpid(), SIGABRT);
        _exit(8); /* not reached: the process still dies of it */
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    char *text = support_read_file(path, NULL);
    ck_assert_msg(strstr(text, "ifud is aborted: the loop last ran 0.") &&
                      strstr(text, "then ran: job spec2-a-1 at stage photom for 7 s\n"),
                  "%s", text);
    free(text);
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("watchdog");
    TCase *t = tcase_create("watchdog");
    tcase_add_test(t, test_watchdog_judges_each_by_its_limit);
    tcase_add_test(t, test_watchdog_heartbeat);
    tcase_add_test(t, test_watchdog_interval_is_half_of_what_the_manager_says);
    tcase_add_test(t, test_watchdog_says_last_words);
    suite_add_tcase(s, t);
    return support_run(s);
}
