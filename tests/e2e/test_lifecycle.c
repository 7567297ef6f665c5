#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/sha256.h"
#include "tests/daemon_child.h"
#include "tests/support.h"

/*
 * The daemon and its service manager, whose part the test plays: it reads NOTIFY_SOCKET,
 * sends signals, and judges the end. What hangs is made to hang by tests/fault/poison.c.
 */

#define PATIENCE 30.0

static struct daemon_child d;
static int manager = -1;   /* our end of NOTIFY_SOCKET */
static char said[1 << 16]; /* all that came, one datagram per line group */
static size_t n_said;

static void start_with(const char *extra)
{
    daemon_child_init(&d, extra);
}

static void setup(void)
{
    n_said = 0;
    *said = 0;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void teardown(void)
{
    daemon_child_done(&d);
    if (manager >= 0) {
        close(manager);
        manager = -1;
    }
}

static char *log_text(void)
{
    size_t n;
    return support_read_file(d.log, &n);
}

static bool logged(const char *words)
{
    char *text = log_text();
    bool found = strstr(text, words) != NULL;
    free(text);
    return found;
}

static void until_logged(const char *words)
{
    support_until(logged(words), PATIENCE, "the log does not say: %s", words);
}

/* ---- the manager ---- */

static void manage(const char *watchdog_usec)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.90s/notify", d.top);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&addr, sizeof addr), 0);
    setenv("NOTIFY_SOCKET", addr.sun_path, 1);
    if (watchdog_usec) {
        setenv("WATCHDOG_USEC", watchdog_usec, 1);
    }
}

/* Wait for one datagram; false if none comes in time. */
static bool hear(double wait)
{
    struct pollfd p = {.fd = manager, .events = POLLIN};
    ck_assert_uint_lt(n_said, sizeof said - 2048);
    if (poll(&p, 1, wait > 0 ? (int)(wait * 1000) : 0) <= 0) {
        return false;
    }
    ssize_t n = recv(manager, said + n_said, 2000, 0);
    ck_assert_int_gt(n, 0);
    n_said += (size_t)n;
    said[n_said++] = '\n';
    said[n_said] = 0;
    return true;
}

/* Until `words` came after what was said up to *from; moves *from behind them. */
static void until_said(const char *words, size_t *from)
{
    double end = clock_steady() + PATIENCE;
    const char *at;
    while (!(at = strstr(said + *from, words))) {
        ck_assert_msg(clock_steady() < end, "not said: %s\nonly:\n%s", words,
                      said + *from);
        hear(0.1);
    }
    *from = (size_t)(at - said) + strlen(words);
}

/* No WATCHDOG=1 for `wait` seconds. */
static bool silent(double wait)
{
    double end = clock_steady() + wait;
    size_t from = n_said;
    while (clock_steady() < end) {
        hear(end - clock_steady());
    }
    return !strstr(said + from, "WATCHDOG=1");
}

/* Wait for the end of the daemon; its status as waitpid gives it. */
static int ended(void)
{
    int status = -1;
    support_until(daemon_child_died(&d, &status), PATIENCE, "ifud does not end");
    return status;
}

/* ---- work, and what hangs ---- */

/* An exposure in the inbox; ret: the hash of its bytes (may be NULL). */
static void drop(int number, char ret[SHA256_HEX])
{
    char path[400], name[80];
    struct err err = {0};
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395H");
    snprintf(name, sizeof name, "jw01234001001_02101_%05d_nrs1_rate.fits", number);
    snprintf(path, sizeof path, "%.200s/%s", d.top, name);
    support_ok(header_set_int(&e->primary, "PATT_NUM", number, NULL, &err), &err);
    support_ok(header_set_int(&e->primary, "NUMDTHPT", 99, NULL, &err), &err);
    support_write_rate(path, e);
    exposure_free(e);
    if (ret) {
        support_ok(sha256_file(path, ret, NULL, &err), &err);
    }
    ck_assert_int_eq(rename(path, support_path(d.inbox, name)), 0);
}

static void poison(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void poison(const char *fmt, ...)
{
    char text[400], library[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(library, sizeof library, "%s/../tests/fault/poison.so",
             getenv("IFUD_BIN"));
    ck_assert_msg(access(library, R_OK) == 0, "no %s", library);
    setenv("IFUD_POISON", text, 1);
    setenv("LD_PRELOAD", library, 1);
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
}

static void no_poison(void)
{
    unsetenv("LD_PRELOAD");
    unsetenv("IFUD_POISON");
}

/* The daemon runs, and the job of one exposure hangs in its worker for ever. */
static void start_hanging(void)
{
    char hash[SHA256_HEX];
    drop(1, hash);
    poison("loop=%s/jw", hash); /* the copy in the spool, which the job alone opens */
    daemon_child_start(&d);
    no_poison();
    until_logged("started, attempt 1");
}

/* ---- tests ---- */

START_TEST(test_lifecycle_manager_hears_all_of_a_life)
{
    size_t from = 0;
    start_with("\"stop_seconds\": 5");
    manage("400000");
    daemon_child_start(&d);
    until_said("READY=1", &from);
    ck_assert_ptr_null(strstr(said, "STOPPING"));
    until_said("STATUS=", &from);
    for (int i = 0; i < 3; i++) {
        until_said("WATCHDOG=1", &from);
    }
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    until_said("RELOADING=1\nMONOTONIC_USEC=", &from);
    ck_assert_int_gt(atoll(said + from), 0);
    until_said("READY=1", &from);
    until_said("WATCHDOG=1", &from);
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    until_said("STOPPING=1", &from);
    ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(test_lifecycle_ready_comes_after_recovery)
{
    size_t from = 0;
    start_with("");
    start_hanging();
    ck_assert_int_eq(kill(d.pid, SIGKILL), 0);
    ended();
    manage(NULL);
    daemon_child_start(&d);
    until_said("READY=1", &from);
    ck_assert(logged("when the daemon ended"));
    ck_assert_ptr_null(strstr(said, "WATCHDOG")); /* nobody asked for it */
    daemon_child_until(&d, "jobs.held", 1);       /* no reference: it ran to its end */
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_lifecycle_stalled_worker_is_not_petted_for)
{
    size_t from = 0;
    start_with("\"job_time_limit_seconds\": 0.5, \"job_grace_seconds\": 0.5");
    manage("400000");
    start_hanging();
    until_said("WATCHDOG=1", &from);
    until_said("STATUS=Stalled: job spec2-jw01234001001_02101_00001_nrs1-1", &from);
    ck_assert(silent(1.0));
    ck_assert_int_eq(waitpid(d.pid, NULL, WNOHANG), 0); /* the end is the manager's */
    ck_assert_int_eq(kill(d.pid, SIGABRT), 0);
    int status = ended();
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert(logged("then ran: job spec2-jw01234001001_02101_00001_nrs1-1"));
}
END_TEST

START_TEST(test_lifecycle_stalled_worker_without_manager_aborts)
{
    start_with("\"job_time_limit_seconds\": 0.5, \"job_grace_seconds\": 0.5");
    start_hanging();
    int status = ended();
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert(logged("stalled: job spec2-"));
    ck_assert(logged("ifud is aborted"));
    daemon_child_start(&d); /* without the poison */
    daemon_child_until(&d, "jobs.held", 1);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_lifecycle_stalled_loop_is_silent)
{
    size_t from = 0;
    start_with("");
    manage("400000");
    poison("loop=spool/jobs/"); /* the manifest, which the loop writes */
    daemon_child_start(&d);
    no_poison();
    until_said("WATCHDOG=1", &from);
    drop(1, NULL);
    until_logged("accepted");
    double end = clock_steady() + PATIENCE;
    while (!silent(1.0)) {
        ck_assert_msg(clock_steady() < end, "the loop does not hang");
    }
    ck_assert_int_eq(kill(d.pid, SIGABRT), 0);
    int status = ended();
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert(logged("the loop last ran"));
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.held", 1);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), 1);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_lifecycle_stop_is_bounded)
{
    size_t from = 0;
    start_with("\"stop_seconds\": 0.3, \"job_grace_seconds\": 0.5");
    manage(NULL);
    start_hanging();
    double begin = clock_steady();
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    int status = ended();
    double took = clock_steady() - begin;
    ck_assert_msg(took >= 0.8 && took < 10, "%g s", took);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    ck_assert(logged("did not stop"));
    until_said("STOPPING=1", &from);
    until_said("EXTEND_TIMEOUT_USEC=", &from);
    ck_assert_int_gt(atoll(said + from), 5000000);
    daemon_child_start(&d); /* nothing is lost */
    daemon_child_until(&d, "jobs.held", 1);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), 1);
    daemon_child_stop(&d);
}
END_TEST

/* A job's own process can be killed: then the end is a clean one. */
START_TEST(test_lifecycle_stop_kills_a_process_that_hangs)
{
    start_with("\"stop_seconds\": 0.3, \"job_grace_seconds\": 0.5, "
               "\"executor\": \"child\"");
    drop(1, NULL);
    poison("loop=spool/jobs/spec2-"); /* ifurun reads its manifest */
    daemon_child_start(&d);
    no_poison();
    until_logged("started, attempt 1");
    double begin = clock_steady();
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    int status = ended();
    ck_assert_double_lt(clock_steady() - begin, 10);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    ck_assert(logged("stopped, will run again"));
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.held", 1);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_lifecycle_second_signal_stops_at_once)
{
    start_with("\"stop_seconds\": 3600, \"job_grace_seconds\": 0.3");
    start_hanging();
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    until_logged("stopping after the running stages");
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    int status = ended();
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    ck_assert(logged("stopping at once"));
}
END_TEST

/* The configuration file with other members; the folders stay. */
static void configure(const char *extra)
{
    char text[4096];
    int n = snprintf(text, sizeof text,
                     "{\"inbox_folder\": \"%s\", \"spool_folder\": \"%.200s/spool\","
                     " \"products_folder\": \"%s\", \"rejected_folder\": \"%s\","
                     " \"references_folder\": \"%s\", \"socket_path\": \"%s\"%s%s}",
                     d.inbox, d.top, d.products, d.rejected, d.references, d.socket,
                     *extra ? ", " : "", extra);
    support_write_file(d.config, text, (size_t)n);
}

/* A text of the status' "config"; "" for null. In a static buffer. */
static const char *config_status(const char *key)
{
    static char text[1200];
    json_t *status = daemon_child_status(&d);
    const char *value =
        json_string_value(json_object_get(json_object_get(status, "config"), key));
    snprintf(text, sizeof text, "%s", value ? value : "");
    json_decref(status);
    return text;
}

START_TEST(test_lifecycle_reload_takes_what_may_change)
{
    start_with("");
    configure("\"settle_seconds\": 3600");
    daemon_child_start(&d);
    ck_assert_str_eq(config_status("file"), d.config);
    drop(1, NULL);
    daemon_child_until(&d, "inbox.files", 1); /* and stays there */
    configure("\"settle_seconds\": 0.05, \"workers\": 2, \"log_level\": \"debug\"");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    drop(2, NULL);
    daemon_child_until(&d, "exposures.accepted", 1);
    ck_assert_str_eq(config_status("error"), "");
    ck_assert_str_eq(config_status("restart_needed_for"), "workers");
    ck_assert(logged("not before a restart: workers"));
    ck_assert_int_eq(daemon_child_number(&d, "workers"), 1);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_lifecycle_bad_configuration_leaves_the_old_one)
{
    static const char *const bad[] = {"\"settle_second\": 1",
                                      "\"workers\": 0",
                                      "\"stop_seconds\": 1, \"stop_seconds\": 2",
                                      "\"socket_mode\": 7",
                                      "\"spec2_settings\": [\"x\"]",
                                      "\"log_file\": \"/\", ]"};
    static const char *const words[] = {"did you mean 'settle_seconds'",
                                        "workers",
                                        "duplicate",
                                        "socket_mode",
                                        "spec2_settings",
                                        "line"};
    size_t from = 0;
    start_with("");
    manage(NULL);
    daemon_child_start(&d);
    until_said("READY=1", &from);
    for (int i = 0; i < 6; i++) {
        configure(bad[i]);
        ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
        until_said("RELOADING=1", &from);
        until_said("READY=1\nSTATUS=The configuration stays as it was", &from);
        ck_assert_msg(strstr(config_status("error"), words[i]) != NULL, "%s",
                      config_status("error"));
        drop(i + 1, NULL);
        daemon_child_until(&d, "exposures.accepted", i + 1); /* with the old one */
    }
    ck_assert_int_eq(unlink(d.config), 0);
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    until_said("cannot read configuration", &from);
    ck_assert_int_eq(mkfifo(d.config, 0600), 0);
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    until_said("no regular file", &from);
    ck_assert_int_eq(unlink(d.config), 0);
    configure("\"settle_seconds\": 0.05");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    until_said("READY=1\nSTATUS=The configuration was read again", &from);
    ck_assert_str_eq(config_status("error"), "");
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_lifecycle_signals_under_load_lose_nothing)
{
    enum { N = 40 };
    start_with("\"rescan_seconds\": 3600, \"workers\": 2");
    for (int round = 0, i = 1; round < 4; round++) {
        daemon_child_start(&d);
        for (; i <= N * (round + 1) / 4; i++) {
            drop(i, NULL);
            if (i % 3 == 0) {
                configure(i % 2 ? "\"settle_seconds\": 0.05" : "\"broken\": 1");
                ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
            }
            if (i % 7 == 0) {
                ck_assert_int_eq(kill(d.pid, SIGUSR1), 0);
            }
        }
        configure("\"settle_seconds\": 0.05");
        daemon_child_stop(&d);
    }
    daemon_child_start(&d);
    daemon_child_until(&d, "exposures.accepted", N);
    daemon_child_until(&d, "jobs.held", N);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.duplicates"), 0);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.rejected"), 0);
    ck_assert_int_eq(daemon_child_number(&d, "inbox.files"), 0);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_lifecycle_log_file_is_rotated)
{
    char extra[400], path[300], old[300];
    start_with("");
    snprintf(path, sizeof path, "%.200s/ifud.log", d.top);
    snprintf(old, sizeof old, "%.200s/ifud.log.1", d.top);
    snprintf(extra, sizeof extra, "\"log_file\": \"%s\", \"settle_seconds\": 0.05",
             path);
    configure(extra);
    daemon_child_start(&d);
    ck_assert_int_eq(rename(path, old), 0);
    ck_assert_int_eq(kill(d.pid, SIGUSR1), 0);
    support_until(access(path, R_OK) == 0, PATIENCE, "no new log");
    drop(1, NULL);
    daemon_child_until(&d, "exposures.accepted", 1);
    daemon_child_stop(&d);
    char *a = support_read_file(old, NULL), *b = support_read_file(path, NULL);
    ck_assert(strstr(a, " ready: ") && !strstr(a, "accepted"));
    ck_assert(strstr(b, "accepted") && strstr(b, "ifud stopped"));
    free(a);
    free(b);
    ck_assert(!logged("ready"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lifecycle");
    TCase *t = tcase_create("lifecycle");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_lifecycle_manager_hears_all_of_a_life);
    tcase_add_test(t, test_lifecycle_ready_comes_after_recovery);
    tcase_add_test(t, test_lifecycle_stalled_worker_is_not_petted_for);
    tcase_add_test(t, test_lifecycle_stalled_worker_without_manager_aborts);
    tcase_add_test(t, test_lifecycle_stalled_loop_is_silent);
    tcase_add_test(t, test_lifecycle_stop_is_bounded);
    tcase_add_test(t, test_lifecycle_stop_kills_a_process_that_hangs);
    tcase_add_test(t, test_lifecycle_second_signal_stops_at_once);
    tcase_add_test(t, test_lifecycle_reload_takes_what_may_change);
    tcase_add_test(t, test_lifecycle_bad_configuration_leaves_the_old_one);
    tcase_add_test(t, test_lifecycle_signals_under_load_lose_nothing);
    tcase_add_test(t, test_lifecycle_log_file_is_rotated);
    suite_add_tcase(s, t);
    return support_run(s);
}
