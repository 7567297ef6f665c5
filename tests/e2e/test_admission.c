#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/machine.h"
#include "daemon/queue.h"
#include "tests/daemon_child.h"
#include "tests/support.h"
#include "tests/tiny.h"

/* The real daemon admits by memory: what it says, and what it has measured. */

static struct daemon_child d;

static void teardown(void)
{
    daemon_child_done(&d);
}

/* The job's row, read beside the stopped daemon. */
static void read_job(const char *name, struct queue_job *ret)
{
    struct queue *q;
    struct err err = {0};
    char path[400];
    snprintf(path, sizeof path, "%s/spool/queue.db", d.top);
    support_ok(queue_open(path, QUEUE_READ, &q, &err), &err);
    support_ok(queue_find_job(q, name, ret, &err), &err);
    queue_close(q);
}

START_TEST(test_admission_measures_what_runs_alone)
{
    struct queue_job job;
    daemon_child_init(&d, TINY_SETTINGS);
    tiny_make(d.references);
    tiny_expose(d.references, d.inbox, 1, 1);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.done", 1);
    daemon_child_stop(&d);
    read_job(tiny_name("spec2-", 1, "-1"), &job);
    ck_assert_int_gt(job.estimate_bytes, 1 << 20);
    ck_assert_int_gt(job.peak_bytes, 1 << 18);
    ck_assert_int_lt(job.peak_bytes, 200 << 20);
}
END_TEST

START_TEST(test_admission_says_when_a_job_is_larger_than_the_budget)
{
    daemon_child_init(&d, TINY_SETTINGS ", \"memory_mb\": 17, "
                                        "\"references_memory_mb\": 16");
    tiny_make(d.references);
    tiny_expose(d.references, d.inbox, 1, 2);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.done", 2);
    daemon_child_stop(&d);
    char *log = support_read_file(d.log, NULL);
    ck_assert_ptr_nonnull(strstr(log, "more than the budget of 1 MB: it runs alone"));
    free(log);
}
END_TEST

/* Room for one at a time: the second worker stays idle, and the log says why. */
START_TEST(test_admission_waits_for_room)
{
    daemon_child_init(&d, TINY_SETTINGS
                      ", \"memory_mb\": 26, \"references_memory_mb\": 16, "
                      "\"workers\": 2, \"threads_per_worker\": 1");
    tiny_make(d.references);
    daemon_child_start(&d);
    ck_assert_int_eq(daemon_child_number(&d, "memory.budget_bytes"), 10 << 20);
    daemon_child_ctl(&d, "drain", NULL); /* until there is something to wait for */
    tiny_expose(d.references, d.inbox, 1, 4);
    daemon_child_until(&d, "exposures.accepted", 4);
    daemon_child_ctl(&d, "resume", NULL);
    daemon_child_until(&d, "jobs.done", 4);
    ck_assert_int_eq(daemon_child_number(&d, "memory.reserved_bytes"), 0);
    daemon_child_stop(&d);
    char *log = support_read_file(d.log, NULL);
    if (machine_cores() > 1) { /* else there is one worker */
        ck_assert_ptr_nonnull(
            strstr(log, "MB of memory; the budget is 10 MB, and 1 job runs with"));
    }
    free(log);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("admission e2e");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, test_admission_measures_what_runs_alone);
    tcase_add_test(t, test_admission_says_when_a_job_is_larger_than_the_budget);
    tcase_add_test(t, test_admission_waits_for_room);
    suite_add_tcase(s, t);
    return support_run(s);
}
