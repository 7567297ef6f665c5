#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/ctl_client.h"
#include "common/base/clock.h"
#include "daemon/queue.h"
#include "tests/daemon_child.h"
#include "tests/support.h"
#include "tests/tiny.h"

/*
 * Poison of four kinds among twenty good exposures, through the real daemon, started again
 * by us after each death as systemd does. tests/fault/poison.c strikes when the job of a
 * chosen exposure opens its _cal: not at intake, and at each attempt.
 */

#define PATIENCE 200.0
#define GOOD 20
#define TIME_LIMIT 8 /* s: a good job takes 0.2 on an idle machine */

static const struct poison {
    const char *kind;
    int dither;
    enum job_state ends;
    const char *says; /* in `ifuctl show` */
} poisons[] = {
    {"segv", 3, JOB_QUARANTINED, "signal 11"},
    {"abort", 9, JOB_QUARANTINED, "signal 6"},
    {"loop", 15, JOB_QUARANTINED, "did not end"},
    /* killed as the kernel kills when memory is short: more memory may help, a crash of
     * its own is not proven, so it is tried again with more and then held */
    {"bomb", 21, JOB_HELD, "no-memory"},
};
enum { POISONS = sizeof poisons / sizeof *poisons };

static struct daemon_child d;

static void teardown(void)
{
    unsetenv("LD_PRELOAD");
    daemon_child_done(&d);
}

static void setup_with(const char *extra)
{
    char options[600];
    char text[1000], library[4096], pairs[400] = "";
    snprintf(text, sizeof text,
             TINY_SETTINGS
             ", \"workers\": 2, \"threads_per_worker\": 1, "
             "\"retry_seconds\": 0.05, \"retry_limit\": 2, "
             "\"job_time_limit_seconds\": %d, \"job_grace_seconds\": 0.5%s",
             TIME_LIMIT, extra);
    daemon_child_init(&d, text);
    tiny_make(d.references);
    tiny_expose(d.references, d.inbox, 1, GOOD + POISONS);
    for (size_t i = 0; i < POISONS; i++) {
        size_t n = strlen(pairs);
        snprintf(pairs + n, sizeof pairs - n, "%s%s=%05d_nrs1_cal", n ? "," : "",
                 poisons[i].kind, poisons[i].dither);
    }
    snprintf(library, sizeof library, "%s/../tests/fault/poison.so",
             getenv("IFUD_BIN"));
    ck_assert_msg(access(library, R_OK) == 0, "no %s", library);
    setenv("IFUD_POISON", pairs, 1);
    setenv("IFUD_POISON_MB", "64", 1);
    setenv("LD_PRELOAD", library, 1);
    /* under a sanitizer, too, a death by signal stays one */
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0:handle_segv=0", 1);
    const char *tsan = getenv("TSAN_OPTIONS");
    snprintf(options, sizeof options, "%s%shandle_segv=0", tsan ? tsan : "",
             tsan ? ":" : "");
    setenv("TSAN_OPTIONS", options, 1);
}

/* Jobs in a state, or -1 while nobody answers. */
static long jobs_in(const char *state)
{
    json_t *answer = NULL, *request = json_pack("{s:s}", "request", "status");
    struct err err = {0};
    long n = -1;
    if (!ctl_ask(d.socket, request, &answer, &err)) {
        n = (long)json_integer_value(
            json_object_get(json_object_get(answer, "jobs"), state));
        json_decref(answer);
    }
    json_decref(request);
    return n;
}

/* Run the daemon, again and again, until every job has its end. Returns its deaths. */
static int live(void)
{
    int deaths = 0, status;
    double end = clock_steady() + PATIENCE;
    daemon_child_launch(&d);
    while (jobs_in("done") < GOOD ||
           jobs_in("quarantined") + jobs_in("held") < POISONS) {
        daemon_child_need(&d, clock_steady() < end, "not all jobs came to their end");
        if (daemon_child_died(&d, &status)) {
            daemon_child_need(&d, WIFSIGNALED(status), "the daemon gave up: status %x",
                              (unsigned)status);
            deaths++;
            daemon_child_launch(&d);
        }
        support_beat();
    }
    daemon_child_stop(&d);
    unsetenv("LD_PRELOAD");
    return deaths;
}

static const struct poison *poison_of(int dither)
{
    for (size_t i = 0; i < POISONS; i++) {
        if (poisons[i].dither == dither) {
            return &poisons[i];
        }
    }
    return NULL;
}

static void check_good(const struct queue_job *job)
{
    char path[900];
    ck_assert_msg(job->state == JOB_DONE, "%s is %s: %s", job->name,
                  job_state_name(job->state), job->message);
    ck_assert_msg(job->failures == 0 && job->crashes == 0,
                  "%s pays for another's poison: %d failures, %d crashes", job->name,
                  job->failures, job->crashes);
    snprintf(path, sizeof path, "%s/%s/%s/%s_s3d.fits", d.products, job->program,
             job->group, job->base);
    ck_assert_msg(access(path, R_OK) == 0, "no %s", path);
}

static void check_poison(const struct queue_job *job, const struct poison *p)
{
    char *text;
    ck_assert_msg(job->state == p->ends, "%s (%s) is %s: %s", job->name, p->kind,
                  job_state_name(job->state), job->message);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "show", job->name),
        0);
    ck_assert_msg(strstr(text, p->says) && strstr(text, "photom"),
                  "%s: stage and '%s' are not said:\n%s", p->kind, p->says, text);
    if (!strcmp(p->kind, "segv") || !strcmp(p->kind, "abort")) {
        ck_assert_msg(strstr(text, "fits_out_create"), "%s: no backtrace:\n%s", p->kind,
                      text);
    }
    free(text);
}

/* Every job is where it should be, read beside the stopped daemon. */
static void check_all(void)
{
    struct queue *q;
    struct err err = {0};
    char path[400];
    snprintf(path, sizeof path, "%s/spool/queue.db", d.top);
    support_ok(queue_open(path, QUEUE_READ, &q, &err), &err);
    for (int i = 1; i <= GOOD + POISONS; i++) {
        struct queue_job job;
        support_ok(queue_find_job(q, tiny_name("spec2-", i, "-1"), &job, &err), &err);
        const struct poison *p = poison_of(i);
        if (p) {
            check_poison(&job, p);
        } else {
            check_good(&job);
        }
    }
    queue_close(q);
}

START_TEST(test_poison_costs_a_thread_daemon_one_death_each)
{
    setup_with("");
    int deaths = live();
    ck_assert_msg(deaths >= 1 && deaths <= POISONS, "%d deaths for %d poisons", deaths,
                  (int)POISONS);
    check_all();
}
END_TEST

START_TEST(test_poison_costs_a_child_daemon_nothing)
{
    setup_with(", \"executor\": \"child\"");
    ck_assert_int_eq(live(), 0);
    check_all();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("poison");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 240);
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, test_poison_costs_a_thread_daemon_one_death_each);
    tcase_add_test(t, test_poison_costs_a_child_daemon_nothing);
    suite_add_tcase(s, t);
    return support_run(s);
}
