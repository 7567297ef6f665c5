#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/retention.h"
#include "daemon/queue_find.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

#define DAY 86400.0
#define NOW (1000.0 * DAY)

static char *folder, *exposures;
static struct queue *q;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    q = kit_open(folder);
    exposures = strdup(support_path(folder, "exposures"));
    mkdir(exposures, 0700);
}

static void teardown(void)
{
    queue_close(q);
    free(exposures);
    support_remove(folder);
}

/* Accepted, with a copy of 10 bytes in the spool. */
static int64_t take(const char *base, long content, double now)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", exposures, kit_hash(content));
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/%s/%s_rate.fits", exposures, kit_hash(content),
             base);
    support_write_file(path, "0123456789", 10);
    return kit_accept(q, base, content, now);
}

static bool has_copy(long content)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", exposures, kit_hash(content));
    return access(path, F_OK) == 0;
}

static struct retention_sum prune(const struct queue_prune_rules *rules, bool dry_run)
{
    struct retention_sum sum;
    support_ok(retention_run(q, exposures, rules, dry_run, NOW, &sum, &err), &err);
    return sum;
}

START_TEST(test_retention_keeps_what_a_job_may_still_read)
{
    static const enum job_state live[] = {JOB_QUEUED,   JOB_RUNNING, JOB_SUSPECT,
                                          JOB_DEFERRED, JOB_HELD,    JOB_QUARANTINED};
    int64_t id[8];
    for (long i = 0; i < 6; i++) {
        char base[24];
        snprintf(base, sizeof base, "e%ld", i);
        id[i] = take(base, i, 1.0);
        if (live[i] != JOB_QUEUED) {
            kit_move(q, kit_spec2(q, id[i]).id, JOB_RUNNING, 2.0);
        }
        if (live[i] != JOB_QUEUED && live[i] != JOB_RUNNING) {
            kit_move(q, kit_spec2(q, id[i]).id, live[i], 3.0);
        }
    }
    id[6] = take("done", 6, 1.0);
    kit_run(q, kit_spec2(q, id[6]).id, "/p/d_cal.fits", 2.0);
    id[7] = take("cancelled", 7, 1.0);
    kit_move(q, kit_spec2(q, id[7]).id, JOB_CANCELLED, 2.0);
    kit_plan(q, 3.0, 1e12);
    struct queue_prune_rules rules = {.exposures_before = NOW - DAY};
    struct retention_sum dry = prune(&rules, true);
    ck_assert_int_eq(dry.exposures, 2);
    ck_assert_int_eq(dry.bytes, 20);
    ck_assert(has_copy(6) && has_copy(7)); /* nothing goes */
    struct retention_sum sum = prune(&rules, false);
    ck_assert_int_eq(sum.exposures, 2);
    ck_assert_int_eq(sum.bytes, 20);
    for (long i = 0; i < 6; i++) {
        ck_assert(has_copy(i));
    }
    ck_assert(!has_copy(6) && !has_copy(7));
    struct queue_exposure e;
    support_ok(queue_get_exposure(q, id[6], &e, &err), &err);
    ck_assert_str_eq(e.state, "gone");
    kit_check(q);
    ck_assert_int_eq(prune(&rules, false).exposures, 0);
}
END_TEST

START_TEST(test_retention_same_bytes_again_are_new)
{
    int64_t a = take("a", 1, 1.0);
    kit_run(q, kit_spec2(q, a).id, "/p/a_cal.fits", 2.0);
    struct queue_prune_rules rules = {.exposures_before = NOW - DAY};
    ck_assert_int_eq(prune(&rules, false).exposures, 1);
    int64_t again = take("a", 1, NOW);
    ck_assert_int_ne(again, a);
    struct queue_job j = kit_spec2(q, again);
    ck_assert_str_eq(j.name, "spec2-a-2");
    ck_assert_int_eq(j.state, JOB_QUEUED);
    kit_plan(q, NOW, 1e12);
    kit_run(q, j.id, "/p/a_cal.fits", NOW);
    /* the new one is young: its copy stays, though the old row has the same bytes */
    prune(&rules, false);
    ck_assert(has_copy(1));
    kit_check(q);
}
END_TEST

START_TEST(test_retention_superseded_jobs_and_exposures)
{
    int64_t old = take("a", 1, 1.0);
    kit_plan(q, 1.0, 1e12);
    kit_run(q, kit_spec2(q, old).id, "/p/a_cal.fits", 2.0);
    int64_t other = take("b", 2, 1.0);
    kit_run(q, kit_spec2(q, other).id, "/p/b_cal.fits", 2.0);
    kit_plan(q, 3.0, 0.0);
    struct queue_job spec3;
    support_ok(queue_find_job(q, "spec3-" KIT_GROUP "-1", &spec3, &err), &err);
    kit_run(q, spec3.id, "/p/g_s3d.fits", 4.0); /* reads spec2-a-1 */
    int64_t fresh = take("a", 3, 5.0);
    kit_plan(q, 5.0, 1e12);
    struct queue_prune_rules rules = {.superseded_before = NOW - DAY};
    /* the copy goes; the job stays while the spec3 that read it is there */
    struct retention_sum sum = prune(&rules, false);
    ck_assert_int_eq(sum.exposures, 1);
    ck_assert_int_eq(sum.jobs, 0);
    ck_assert(!has_copy(1) && has_copy(2) && has_copy(3));
    kit_check(q);
    kit_run(q, kit_spec2(q, fresh).id, "/p/a_cal.fits", 6.0);
    kit_plan(q, 7.0, 0.0);
    support_ok(queue_find_job(q, "spec3-" KIT_GROUP "-2", &spec3, &err), &err);
    kit_run(q, spec3.id, "/p/g_s3d.fits", 8.0);
    kit_plan(q, 9.0, 0.0);
    sum = prune(&rules, false);
    ck_assert_int_eq(sum.jobs, 2); /* the old spec3 and the old spec2 */
    struct queue_job j;
    ck_assert_int_eq(queue_find_job(q, "spec2-a-1", &j, &err), ERR_INPUT);
    support_ok(queue_find_job(q, "spec2-a-2", &j, &err), &err);
    kit_check(q);
}
END_TEST

START_TEST(test_retention_last_events_stay)
{
    for (long i = 0; i < 300; i++) { /* more than a step */
        char base[24];
        snprintf(base, sizeof base, "e%ld", i);
        int64_t id = kit_accept(q, base, i, 1.0);
        kit_run(q, kit_spec2(q, id).id, "/p/x_cal.fits", i < 150 ? 2.0 : NOW);
    }
    kit_plan(q, NOW, 1e12);
    /* one came again: what is told of that file is not the exposure's last event */
    const struct queue_file again = {
        .name = "e7_rate.fits", .seen_at = NOW, .settling_at = NOW};
    struct queue_exposure e7;
    support_ok(queue_find_exposure(q, "e7", &e7, &err), &err);
    support_ok(queue_note_file(q, e7.id, &again, "duplicate", "", NOW, &err), &err);
    struct queue_prune_rules rules = {.events_before = NOW - DAY};
    struct retention_sum dry = prune(&rules, true), sum = prune(&rules, false);
    ck_assert_int_eq(dry.events, sum.events);
    /* of each exposure: seen, settling; of its job: planned, queued, and running where
     * that is old */
    ck_assert_int_eq(sum.events, 300 * 4 + 150);
    kit_check(q);
    struct queue_event *events;
    size_t n;
    support_ok(queue_events(q, 0, "spec2-e0-1", 10, &events, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(events[0].to, "done");
    free(events);
    ck_assert_int_eq(prune(&rules, false).events, 0);
}
END_TEST

START_TEST(test_retention_keeps_all_by_default)
{
    struct queue_prune_rules rules = {0};
    int64_t a = take("a", 1, 1.0);
    kit_run(q, kit_spec2(q, a).id, "/p/a_cal.fits", 2.0);
    take("a", 2, 3.0);
    struct retention_sum sum = prune(&rules, false);
    ck_assert_int_eq(sum.events + sum.jobs + sum.exposures, 0);
    ck_assert(has_copy(1) && has_copy(2));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("retention");
    TCase *t = tcase_create("retention");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_retention_keeps_what_a_job_may_still_read);
    tcase_add_test(t, test_retention_same_bytes_again_are_new);
    tcase_add_test(t, test_retention_superseded_jobs_and_exposures);
    tcase_add_test(t, test_retention_last_events_stay);
    tcase_add_test(t, test_retention_keeps_all_by_default);
    suite_add_tcase(s, t);
    return support_run(s);
}
