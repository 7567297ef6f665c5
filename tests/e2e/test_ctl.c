#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/ctl_client.h"
#include "tests/daemon_child.h"
#include "tests/support.h"

/*
 * ifuctl and the real daemon. There are no references: each job that runs is held at its
 * first stage. While the daemon drains, jobs stay queued.
 */

#define BASE(n) "jw01234001001_02101_0000" #n "_nrs1"

static struct daemon_child d;
static char *said, *complained; /* by the last ifuctl */

static void setup(void)
{
    daemon_child_init(&d, "\"rescan_seconds\": 3600, \"group_quiet_seconds\": 86400");
}

static void teardown(void)
{
    free(said);
    free(complained);
    said = complained = NULL;
    daemon_child_done(&d);
}

static char *slurp(const char *path)
{
    size_t n;
    return support_read_file(path, &n);
}

static bool holds(const char *path, const char *word)
{
    char *text = access(path, R_OK) ? strdup("") : slurp(path);
    bool found = strstr(text, word) != NULL;
    free(text);
    return found;
}

/* Run ifuctl with these words (split at spaces); its exit status. */
static int ctl(const char *words)
{
    char copy[1000], out[400], complaints[400], bin[4096], *save = NULL;
    char *argv[32] = {bin, strdup("--config"), d.config};
    int n = 3, status = -1;
    snprintf(copy, sizeof copy, "%s", words);
    snprintf(out, sizeof out, "%.300s/out", d.top);
    snprintf(complaints, sizeof complaints, "%.300s/complaints", d.top);
    snprintf(bin, sizeof bin, "%.4000s/ifuctl", getenv("IFUD_BIN"));
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        argv[n++] = w;
    }
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
        dup2(open(complaints, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
        execv(bin, argv);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    free(argv[1]);
    free(said);
    free(complained);
    said = slurp(out);
    complained = slurp(complaints);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define expect(status, words)                                                          \
    do {                                                                               \
        int is = ctl(words);                                                           \
        ck_assert_msg(is == (status), "ifuctl %s: status %d\n%s%s", words, is, said,   \
                      complained);                                                     \
    } while (0)
#define says(word)                                                                     \
    ck_assert_msg(strstr(said, word) != NULL, "no '%s' in:\n%s", word, said)
#define complains(word)                                                                \
    ck_assert_msg(strstr(complained, word) != NULL, "no '%s' in:\n%s", word, complained)

/* The answer of ifuctl --json. */
static json_t *json(void)
{
    json_t *o = json_loads(said, 0, NULL);
    ck_assert_msg(o != NULL, "no JSON: %s", said);
    return o;
}

static void drop_rate(int number)
{
    struct err err = {0};
    char path[400], name[80];
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395H");
    snprintf(name, sizeof name, "jw01234001001_02101_%05d_nrs1_rate.fits", number);
    snprintf(path, sizeof path, "%.200s/%s", d.top, name);
    support_ok(header_set_int(&e->primary, "PATT_NUM", number, NULL, &err), &err);
    support_ok(header_set_int(&e->primary, "NUMDTHPT", 99, NULL, &err), &err);
    support_write_rate(path, e);
    exposure_free(e);
    ck_assert_int_eq(rename(path, support_path(d.inbox, name)), 0);
}

/* A daemon that drains, with n jobs in its queue. */
static void start_with_queue(int n)
{
    daemon_child_start(&d);
    expect(0, "drain");
    for (int i = 1; i <= n; i++) {
        drop_rate(i);
    }
    daemon_child_until(&d, "jobs.queued", n);
    daemon_child_until(&d, "jobs.waiting", 1); /* the group */
}

START_TEST(test_ctl_hold_release_cancel_quarantine)
{
    start_with_queue(3);
    expect(0, "hold " BASE(1) " --reason storm");
    says("spec2-" BASE(1) "-1 is held, was queued");
    expect(0, "hold " BASE(1)); /* idempotent */
    says("is held already");
    expect(0, "show " BASE(1));
    says("an operator held it: storm");
    says("next       held until an operator acts");
    expect(3, "show --exit-code " BASE(1));
    expect(0, "list --state held --names");
    ck_assert_str_eq(said, "spec2-" BASE(1) "-1\n");
    expect(0, "release " BASE(1));
    says("is queued, was held");
    expect(0, "release " BASE(1));
    says("is queued already");
    expect(4, "show --exit-code " BASE(1));
    expect(0, "cancel " BASE(2));
    says("is cancelled, was queued");
    expect(0, "show --exit-code " BASE(2));
    expect(1, "release " BASE(2)); /* that is what retry is for */
    complains("see ifuctl retry");
    expect(0, "quarantine " BASE(3));
    expect(1, "hold " BASE(3));
    complains("is quarantined: hold it is not possible");
    expect(0, "why " BASE(3));
    says("ifuctl retry spec2-" BASE(3) "-1");
    expect(3, "status --exit-code");
    expect(0, "retry " BASE(2) " " BASE(3));
    ck_assert_int_eq(daemon_child_number(&d, "jobs.queued"), 3);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_ctl_selections)
{
    start_with_queue(4);
    expect(0, "hold --program 01234");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.held"),
                     5); /* the group waits, too */
    expect(0, "hold --program 99999");
    says("no such job");
    expect(0, "retry --all --json");
    json_t *o = json();
    ck_assert_uint_eq(json_array_size(json_object_get(o, "changed")), 5);
    json_decref(o);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.held"), 0);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.queued"), 4);
    expect(0, "priority " BASE(4) " 7");
    says("has priority 7\n");
    expect(0, "priority " BASE(4) " 7");
    says("has priority 7 already");
    expect(0, "priority " BASE(4) " -3");
    says("has priority -3\n");
    expect(0, "cancel --all --state waiting");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.cancelled"), 1);
    expect(0, "list --json --limit 2");
    o = json();
    ck_assert_uint_eq(json_array_size(json_object_get(o, "jobs")), 2);
    json_decref(o);
    expect(0, "list --program 01234");
    says("spec2-" BASE(1) "-1");
    expect(1, "list --state asleep");
    complains("no state 'asleep'");
    /* wrong use says what is right */
    expect(2, "hold");
    complains("name jobs");
    expect(2, "hold --all " BASE(1));
    expect(2, "priority " BASE(1) " 11");
    complains("-10 to 10");
    expect(2, "dance");
    complains("no command 'dance'");
    expect(2, "status now");
    complains("status takes no argument");
    expect(1, "retry spec2-jw01234001001_02101_00009_nrs1-1");
    complains("did you mean 'spec2-jw01234001001_02101_0000");
    expect(1, "retry nothing-like-it");
    complains("no job 'nothing-like-it'\n");
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_ctl_drain_outlives_the_daemon)
{
    start_with_queue(1);
    expect(0, "drain");
    says("draining already");
    expect(0, "why " BASE(1));
    says("nothing new starts: an operator drains it");
    daemon_child_stop(&d);
    daemon_child_start(&d);
    drop_rate(2);
    daemon_child_until(&d, "jobs.queued", 2); /* intake goes on, nothing starts */
    expect(0, "status");
    says("draining");
    says("BLOCKED    nothing new starts");
    expect(0, "resume");
    says("jobs start again");
    expect(0, "resume");
    says("it was not draining");
    expect(3, "wait --timeout 60");
    complains("2 jobs are held");
    expect(0, "status");
    says("NEEDS YOU  2 jobs held");
    says("next: held until an operator acts: remove the cause, then: ifuctl retry");
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_ctl_rescan)
{
    daemon_child_start(&d);
    expect(0, "rescan");
    says("are being listed");
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_ctl_show_an_exposure_and_events)
{
    start_with_queue(1);
    expect(0, "show " BASE(1) "_rate.fits");
    says("exposure   " BASE(1) "_rate.fits");
    says("spec2-" BASE(1) "-1");
    says("settling -> accepted");
    expect(0, "show --json " BASE(1));
    json_t *o = json(), *from = json_object_get(o, "exposure");
    ck_assert_str_eq(json_string_value(json_object_get(from, "exposure")),
                     BASE(1) "_rate.fits");
    ck_assert_uint_gt(json_array_size(json_object_get(from, "events")), 0);
    json_decref(o);
    expect(0, "events --limit 1");
    ck_assert_ptr_null(strchr(strchr(said, '\n') + 1, '\n'));
    expect(0, "events " BASE(1));
    says("waiting -> queued");
    expect(1, "events nothing");
    daemon_child_stop(&d);
}
END_TEST

/* events --follow prints what happens while it runs. */
START_TEST(test_ctl_events_follow)
{
    char out[400], bin[4096];
    start_with_queue(1);
    snprintf(out, sizeof out, "%.300s/follow", d.top);
    snprintf(bin, sizeof bin, "%.4000s/ifuctl", getenv("IFUD_BIN"));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
        execl(bin, bin, "--config", d.config, "events", "--follow", (char *)NULL);
        _exit(127);
    }
    expect(0, "hold " BASE(1) " --reason follow-me");
    support_until(holds(out, "follow-me"), 20, "it does not follow");
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    daemon_child_stop(&d);
}
END_TEST

/* ---- the daemon is down ---- */

START_TEST(test_ctl_offline_answers)
{
    char line[500];
    start_with_queue(2);
    expect(0, "hold " BASE(1));
    daemon_child_stop(&d);
    expect(0, "status");
    complains("the daemon is not running; this is the queue as it was left");
    says("ifud " IFUD_VERSION " down");
    says("DOWN       nothing is taken in");
    says("0 running, 1 queued, 1 waiting, 1 held");
    expect(5, "status --exit-code");
    expect(0, "status --json");
    json_t *o = json();
    ck_assert_str_eq(json_string_value(json_object_get(o, "state")), "down");
    ck_assert(json_is_true(json_object_get(o, "draining")));
    json_decref(o);
    expect(0, "show " BASE(1));
    says("held");
    expect(0, "why " BASE(2));
    says("the daemon is not running");
    expect(0, "events");
    says("queued -> held");
    expect(0, "list --state held --names");
    says("spec2-" BASE(1) "-1");
    expect(1, "show nothing");
    complains("no job 'nothing'");
    expect(5, "wait");
    complains("files and jobs are still open: start the daemon");
    static const char *const commands[] = {"retry " BASE(1), "hold " BASE(2),
                                           "drain",          "resume",
                                           "rescan",         "priority 3 --all"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        expect(5, commands[i]);
        complains("the daemon is not running");
    }
    snprintf(line, sizeof line, "queue backup %.300s/copy.db", d.top);
    expect(0, line);
    struct stat st;
    ck_assert_int_eq(stat(support_path(d.top, "copy.db"), &st), 0);
    ck_assert_int_gt(st.st_size, 4096);
    expect(2, "queue dance");
    expect(0, "queue check");
    says("the queue is in order");
    expect(0, "queue prune --dry-run");
    says("0 events, 0 superseded jobs and 0 exposures (0 MB) would go");
    expect(5, "queue prune");
    /* nothing was changed: it goes on where it was */
    daemon_child_start(&d);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.held"), 1);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.queued"), 1);
    snprintf(line, sizeof line, "queue backup %.300s/live.db", d.top);
    expect(0, line); /* beside the daemon, too */
    expect(0, "queue check");
    expect(0, "queue prune --dry-run");
    expect(0, "queue prune");
    says("retention begins");
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_ctl_offline_without_a_queue_makes_none)
{
    struct stat st;
    expect(5, "status");
    complains("no ifud answers");
    complains("there is no queue");
    ck_assert_int_ne(lstat(support_path(d.top, "spool"), &st), 0);
}
END_TEST

/* ifud --answer with these bytes on its standard input; what it answered. */
static json_t *answer(const char *request, size_t n)
{
    char in[400], out[400], bin[4096];
    int status;
    snprintf(in, sizeof in, "%.300s/in", d.top);
    snprintf(out, sizeof out, "%.300s/answer", d.top);
    snprintf(bin, sizeof bin, "%.4000s/ifud", getenv("IFUD_BIN"));
    support_write_file(in, request, n);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open(in, O_RDONLY), STDIN_FILENO);
        dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
        execl(bin, bin, "--config", d.config, "--answer", (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    json_t *o = json_load_file(out, 0, NULL);
    ck_assert_ptr_nonnull(o);
    return o;
}

static void refused(const char *request, size_t n, const char *why)
{
    json_t *o = answer(request, n);
    const char *error = json_string_value(json_object_get(o, "error"));
    ck_assert(json_is_false(json_object_get(o, "ok")));
    ck_assert_msg(error && strstr(error, why), "%s", error);
    json_decref(o);
}

START_TEST(test_ctl_offline_hostile_requests)
{
    char deep[6000];
    daemon_child_start(&d);
    daemon_child_stop(&d);
    memset(deep, '[', sizeof deep);
    refused(deep, 4000, "deeper than 8");
    refused(deep, sizeof deep, "longer than 4096");
    refused("", 0, "no JSON");
    refused("\0\n", 2, "no JSON");
    refused("{\"request\": \"dance\"}", 20, "no request 'dance'");
    refused("{\"request\": \"show\"}", 19, "needs \"job\"");
    refused("{\"request\": \"hold\", \"job\": \"1\"}", 31, "not running");
    json_t *o = answer("{\"request\": \"status\"}", 21); /* no line's end: fine */
    ck_assert(json_is_true(json_object_get(o, "ok")));
    json_decref(o);
}
END_TEST

/* The same to the socket of a real daemon, which goes on. */
START_TEST(test_ctl_hostile_requests_to_the_daemon)
{
    static const char *const requests[] = {
        "[[[[[[[[[[[[[[[[[[\n",
        "garbage\xff\xfe\n",
        "{\"request\": [[[[[[[[[[]]]]]]]]]]}\n",
        "{\"request\": \"events\", \"after\": -9223372036854775808}\n",
        "{\"request\": \"events\", \"limit\": 9223372036854775807}\n",
        "{\"request\": \"list\", \"after\": -9223372036854775808}\n",
        "{\"request\": \"list\", \"after\": 9223372036854775807}\n",
        "{\"request\": \"retry\", \"all\": true, \"after\": 9223372036854775807}\n",
        "{\"request\": \"retry\", \"all\": true, \"after\": -5}\n",
        "{\"request\": \"check\"}\n",
        "{\"request\": \"backup\", \"path\": \"/tmp/x\"}\n",
        "{\"request\": \"show\", \"job\": \"\"}\n",
        "{\"request\": \"show\", \"job\": \"99999999999999999999999\"}\n",
        "{\"request\": \"hold\", \"job\": \"%s%n' OR 1=1 --\"}\n"};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    daemon_child_start(&d);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", d.socket);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        char text[100000];
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
        ck_assert_int_gt(send(fd, requests[i], strlen(requests[i]), MSG_NOSIGNAL), 0);
        size_t n = 0;
        ssize_t m;
        while (!memchr(text, '\n', n) &&
               (m = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0) {
            n += (size_t)m;
        }
        text[n] = 0;
        json_t *o = json_loads(text, 0, NULL);
        ck_assert_msg(json_is_boolean(json_object_get(o, "ok")), "%s: %s", requests[i],
                      text);
        json_decref(o);
        close(fd);
    }
    daemon_child_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ctl");
    TCase *t = tcase_create("ctl");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_ctl_hold_release_cancel_quarantine);
    tcase_add_test(t, test_ctl_selections);
    tcase_add_test(t, test_ctl_drain_outlives_the_daemon);
    tcase_add_test(t, test_ctl_rescan);
    tcase_add_test(t, test_ctl_show_an_exposure_and_events);
    tcase_add_test(t, test_ctl_events_follow);
    tcase_add_test(t, test_ctl_offline_answers);
    tcase_add_test(t, test_ctl_offline_without_a_queue_makes_none);
    tcase_add_test(t, test_ctl_offline_hostile_requests);
    tcase_add_test(t, test_ctl_hostile_requests_to_the_daemon);
    suite_add_tcase(s, t);
    return support_run(s);
}
