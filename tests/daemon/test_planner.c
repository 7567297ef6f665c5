#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/plan.h"
#include "daemon/planner.h"
#include "tests/support.h"

/* A group in a real queue, planned as the daemon plans it. */
static char *folder;
static struct queue *q;
static struct err err;
static double now;
static int arrivals;
#define QUIET 1000.0
static const struct plan_rules rules = {.quiet_seconds = QUIET};
#define GROUP "jw01234-o001_t_nirspec_g395h-f290lp"

static void setup(void)
{
    folder = support_folder();
    q = NULL;
    support_ok(queue_open(support_path(folder, "queue.db"), QUEUE_WRITE, &q, &err),
               &err);
    now = 100.0;
    arrivals = 0;
}

static void teardown(void)
{
    queue_close(q);
    support_remove(folder);
}

static struct queue_exposure exposure(int dither, const char *detector,
                                      const char *role)
{
    struct queue_exposure e = {.pattern_number = dither, .pattern_total = 2};
    snprintf(e.sha256, sizeof e.sha256, "%064d", ++arrivals);
    snprintf(e.base, sizeof e.base, "jw_%05d_%s_%s", dither, detector, role);
    snprintf(e.name, sizeof e.name, "%.200s_rate.fits", e.base);
    strcpy(e.role, role);
    strcpy(e.group, GROUP);
    strcpy(e.program, "01234");
    strcpy(e.visit, "001");
    strcpy(e.detector, detector);
    strcpy(e.grating, "G395H");
    strcpy(e.filter, "F290LP");
    return e;
}

static int64_t accept(const struct queue_exposure *e)
{
    int64_t id;
    support_ok(queue_begin(q, &err), &err);
    support_ok(queue_add_exposure(q, e, NULL, now, &id, &err), &err);
    support_ok(plan_exposure(q, &rules, id, now, &err), &err);
    support_ok(queue_commit(q, &err), &err);
    return id;
}

static int64_t arrive(int dither, const char *detector, const char *role)
{
    struct queue_exposure e = exposure(dither, detector, role);
    return accept(&e);
}

/* A job by name, id 0 if there is none; in a ring of eight. */
static struct queue_job *look(const char *name)
{
    static struct queue_job ring[8];
    static int at;
    struct queue_job *j = &ring[at++ % 8];
    if (queue_find_job(q, name, j, &err)) {
        return NULL;
    }
    return j;
}

static struct queue_job *job(const char *recipe, int version)
{
    char name[400];
    snprintf(name, sizeof name, "%s-" GROUP "-%d", recipe, version);
    return look(name);
}

static struct queue_job *spec2_of(int64_t id)
{
    struct queue_exposure e;
    support_ok(queue_get_exposure(q, id, &e, &err), &err);
    for (int version = 9; version > 0; version--) {
        char name[400];
        snprintf(name, sizeof name, "spec2-%s-%d", e.base, version);
        struct queue_job *j = look(name);
        if (j && j->exposure == id) {
            return j;
        }
    }
    return NULL;
}

/* Plan the group; returns what it waits for. */
static const char *plan(void)
{
    static char why[512];
    struct queue_waiting *w;
    size_t n;
    bool all = false;
    while (!all) {
        support_ok(plan_groups(q, &rules, now, 1.0, &all, &err), &err);
    }
    support_ok(queue_waiting(q, 5, &w, &n, &err), &err);
    snprintf(why, sizeof why, "%s", n ? w[0].plan.waits_for : "");
    free(w);
    return why;
}

static double quiet_since(void)
{
    struct queue_waiting *w;
    size_t n;
    support_ok(queue_waiting(q, 5, &w, &n, &err), &err);
    double since = n ? w[0].plan.quiet_since : 0.0;
    free(w);
    return since;
}

static void move(const struct queue_job *j, enum job_state to)
{
    ck_assert_ptr_nonnull(j);
    support_ok(queue_move(q, j->id, to, NULL, now, &err), &err);
}

static void run(const struct queue_job *j, enum job_state end)
{
    move(j, JOB_RUNNING);
    move(j, end);
}

static size_t inputs_of(const struct queue_job *j)
{
    struct queue_input *in;
    size_t n;
    support_ok(queue_inputs(q, j->id, &in, &n, &err), &err);
    free(in);
    return n;
}

/* All four exposures of two dithers, reduced. */
static void full_group(void)
{
    arrive(2, "NRS2", "science"); /* not in the order of their names */
    arrive(1, "NRS1", "science");
    arrive(1, "NRS2", "science");
    arrive(2, "NRS1", "science");
    plan();
    for (int64_t e = 1; e <= 4; e++) {
        run(spec2_of(e), JOB_DONE);
    }
}

START_TEST(test_planner_a_spec2_per_reduced_exposure)
{
    int64_t a = arrive(1, "NRS1", "science");
    int64_t leak = arrive(1, "NRS1", "imprint"), sky = arrive(1, "NRS1", "background");
    plan();
    ck_assert_int_eq(spec2_of(a)->state, JOB_QUEUED);
    ck_assert_ptr_null(spec2_of(leak));
    ck_assert_int_eq(spec2_of(sky)->state, JOB_QUEUED); /* a spectrum of the sky */
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
}
END_TEST

START_TEST(test_planner_waits_for_what_is_missing)
{
    int64_t a = arrive(1, "NRS1", "science");
    const char *why = plan();
    ck_assert_ptr_nonnull(strstr(why, "dither 1 NRS2"));
    ck_assert_ptr_nonnull(strstr(why, "dither 2 NRS1 and NRS2"));
    ck_assert_ptr_nonnull(strstr(why, "dither 1 NRS1 (to be reduced)"));
    run(spec2_of(a), JOB_DONE);
    why = plan();
    ck_assert_ptr_null(strstr(why, "dither 1 NRS1"));
    ck_assert_double_eq(quiet_since(), now);
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
}
END_TEST

/* Of a long list as many whole items as there is room for, and the number of others. */
START_TEST(test_planner_a_long_list_ends_with_a_number)
{
    for (int dither = 1; dither <= 12; dither++) {
        struct queue_exposure e = exposure(dither, "NRS1", "science");
        e.pattern_total = 12;
        accept(&e);
    }
    ck_assert_str_eq(
        plan(),
        "dither 1 NRS2, dither 2 NRS2, dither 3 NRS2, dither 4 NRS2, "
        "dither 5 NRS2, dither 6 NRS2, dither 7 NRS2, dither 8 NRS2, "
        "dither 9 NRS2, dither 10 NRS2 and 2 more, dither 1 NRS1 (to be reduced), "
        "dither 2 NRS1 (to be reduced), dither 3 NRS1 (to be reduced), "
        "dither 4 NRS1 (to be reduced) and 8 more");
}
END_TEST

START_TEST(test_planner_spec3_when_complete_in_order)
{
    full_group();
    ck_assert_str_eq(plan(), "");
    struct queue_job *j = job("spec3", 1);
    ck_assert_int_eq(j->state, JOB_QUEUED);
    ck_assert_uint_eq(inputs_of(j), 4);
    struct queue_input *in;
    size_t n;
    support_ok(queue_inputs(q, j->id, &in, &n, &err), &err);
    for (size_t i = 1; i < 4; i++) {
        struct queue_job a, b;
        support_ok(queue_get_job(q, in[i - 1].input_job, &a, &err), &err);
        support_ok(queue_get_job(q, in[i].input_job, &b, &err), &err);
        ck_assert_str_lt(a.base, b.base);
    }
    free(in);
}
END_TEST

START_TEST(test_planner_incomplete_group_goes_when_quiet)
{
    int64_t a = arrive(1, "NRS1", "science"), b = arrive(1, "NRS2", "science");
    plan();
    run(spec2_of(a), JOB_DONE);
    now = 600;
    run(spec2_of(b), JOB_HELD);
    now = 1599;
    plan();
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
    now = 1600;
    plan();
    ck_assert_int_eq(job("spec3", 1)->state, JOB_QUEUED);
    ck_assert_uint_eq(inputs_of(job("spec3", 1)), 1);
}
END_TEST

START_TEST(test_planner_is_not_quiet_while_a_member_is_pending)
{
    int64_t a = arrive(1, "NRS1", "science");
    arrive(1, "NRS2", "science");
    plan();
    run(spec2_of(a), JOB_DONE);
    now = 1e6;
    plan();
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
}
END_TEST

START_TEST(test_planner_nothing_reduced_is_never_combined)
{
    int64_t a = arrive(1, "NRS1", "science");
    plan();
    run(spec2_of(a), JOB_HELD);
    now = 1e6;
    const char *why = plan();
    ck_assert_ptr_nonnull(strstr(why, "its spec2 is held"));
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
}
END_TEST

START_TEST(test_planner_late_exposure_supersedes)
{
    int64_t a = arrive(1, "NRS1", "science"), b = arrive(1, "NRS2", "science");
    int64_t c = arrive(2, "NRS1", "science");
    plan();
    run(spec2_of(a), JOB_DONE);
    run(spec2_of(b), JOB_DONE);
    run(spec2_of(c), JOB_DONE);
    now += QUIET;
    plan();
    run(job("spec3", 1), JOB_DONE);
    plan();
    ck_assert_ptr_null(job("spec3", 2));
    int64_t late = arrive(2, "NRS2", "science");
    plan();
    run(spec2_of(late), JOB_DONE);
    plan();
    struct queue_job *second = job("spec3", 2);
    ck_assert_ptr_nonnull(second);
    ck_assert_int_eq(second->state, JOB_QUEUED);
    ck_assert_uint_eq(inputs_of(second), 4);
    ck_assert_int_eq(job("spec3", 1)->state, JOB_DONE); /* until the new one is */
    run(second, JOB_DONE);
    plan();
    ck_assert_int_eq(job("spec3", 1)->state, JOB_SUPERSEDED);
    ck_assert_int_eq(job("spec3", 2)->state, JOB_DONE);
}
END_TEST

START_TEST(test_planner_waits_for_a_running_version)
{
    full_group();
    plan();
    struct queue_job *first = job("spec3", 1);
    move(first, JOB_RUNNING);
    struct queue_exposure another = exposure(2, "NRS1", "science");
    strcpy(another.base, "jw_another_nrs1");
    int64_t late = accept(&another);
    plan();
    run(spec2_of(late), JOB_DONE);
    plan();
    ck_assert_ptr_null(job("spec3", 2));
    move(first, JOB_DONE);
    plan();
    ck_assert_int_eq(job("spec3", 2)->state, JOB_QUEUED);
}
END_TEST

START_TEST(test_planner_rewritten_exposure_replaces)
{
    full_group();
    plan();
    run(job("spec3", 1), JOB_DONE);
    plan();
    int64_t again = arrive(1, "NRS1", "science"); /* same name, other content */
    struct queue_exposure old;
    support_ok(queue_get_exposure(q, 2, &old, &err), &err);
    ck_assert_str_eq(old.state, "superseded");
    ck_assert_int_eq(spec2_of(2)->state, JOB_SUPERSEDED);
    ck_assert_int_eq(spec2_of(again)->version, 2);
    run(spec2_of(again), JOB_DONE);
    plan();
    ck_assert_int_eq(job("spec3", 2)->state, JOB_QUEUED);
    ck_assert_uint_eq(inputs_of(job("spec3", 2)), 4);
}
END_TEST

START_TEST(test_planner_rewritten_while_the_old_one_runs)
{
    int64_t old = arrive(1, "NRS1", "science");
    plan();
    move(spec2_of(old), JOB_RUNNING);
    int64_t again = arrive(1, "NRS1", "science");
    plan();
    /* both would publish under the same names: one after the other */
    ck_assert_int_eq(spec2_of(again)->state, JOB_WAITING);
    ck_assert_int_eq(spec2_of(old)->state, JOB_RUNNING);
    move(spec2_of(old), JOB_DONE);
    plan();
    ck_assert_int_eq(spec2_of(old)->state, JOB_SUPERSEDED);
    ck_assert_int_eq(spec2_of(again)->state, JOB_QUEUED);
}
END_TEST

START_TEST(test_planner_gone_exposures_keep_counting)
{
    full_group();
    for (int64_t e = 1; e <= 4; e++) {
        support_ok(queue_move_exposure(q, e, FILE_GONE, "old", now, &err), &err);
    }
    plan();
    struct queue_job *first = job("spec3", 1);
    ck_assert_int_eq(first->state, JOB_QUEUED);
    ck_assert_uint_eq(inputs_of(first), 4);
    run(first, JOB_DONE);
    plan();
    ck_assert_int_eq(job("spec3", 1)->state, JOB_DONE);
    /* the same bytes again are a new exposure: reduced and combined anew */
    struct queue_exposure e;
    support_ok(queue_get_exposure(q, 2, &e, &err), &err);
    int64_t id = 9;
    support_ok(queue_find_content(q, e.sha256, &id, &err), &err);
    ck_assert_int_eq(id, 0);
    id = accept(&e);
    plan();
    ck_assert_int_eq(spec2_of(2)->state, JOB_SUPERSEDED);
    ck_assert_int_eq(spec2_of(id)->version, 2);
    run(spec2_of(id), JOB_DONE);
    plan();
    ck_assert_uint_eq(inputs_of(job("spec3", 2)), 4);
}
END_TEST

START_TEST(test_planner_cancelled_counts_as_final)
{
    int64_t a = arrive(1, "NRS1", "science"), b = arrive(1, "NRS2", "science");
    plan();
    run(spec2_of(a), JOB_DONE);
    move(spec2_of(b), JOB_CANCELLED);
    ck_assert_ptr_nonnull(strstr(plan(), "dither 1 NRS2 (its spec2 is cancelled)"));
    now += QUIET;
    plan();
    ck_assert_uint_eq(inputs_of(job("spec3", 1)), 1);
    /* a cancelled spec3 is left alone until there is news */
    move(job("spec3", 1), JOB_CANCELLED);
    plan();
    ck_assert_ptr_null(job("spec3", 2));
}
END_TEST

START_TEST(test_planner_visits_are_complete_one_by_one)
{
    full_group();
    struct queue_exposure visit2 = exposure(1, "NRS1", "science");
    strcpy(visit2.visit, "002");
    strcpy(visit2.base, "jw_visit2");
    int64_t other = accept(&visit2);
    plan();
    run(spec2_of(other), JOB_DONE);
    const char *why = plan();
    ck_assert_ptr_nonnull(strstr(why, "dither 1 NRS2 of visit 002"));
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
}
END_TEST

START_TEST(test_planner_detectors_that_are_reached)
{
    ck_assert(exposure_reaches("NRS1", "G140M", "F100LP"));
    ck_assert(!exposure_reaches("NRS2", "G140M", "F100LP"));
    ck_assert(!exposure_reaches("NRS2", "G395M", "F290LP"));
    ck_assert(!exposure_reaches("NRS2", "PRISM", "CLEAR"));
    ck_assert(!exposure_reaches("NRS2", "G140H", "F070LP"));
    ck_assert(exposure_reaches("NRS2", "G140H", "F100LP"));
    ck_assert(exposure_reaches("NRS2", "G235H", "F170LP"));
    ck_assert(exposure_reaches("NRS2", "G395H", "F290LP"));
    struct queue_exposure one = exposure(1, "NRS1", "science");
    struct queue_exposure two = exposure(2, "NRS1", "science");
    strcpy(one.grating, "G395M");
    strcpy(two.grating, "G395M");
    int64_t a = accept(&one), b = accept(&two);
    plan();
    run(spec2_of(a), JOB_DONE);
    run(spec2_of(b), JOB_DONE);
    plan();
    ck_assert_int_eq(job("spec3", 1)->state, JOB_QUEUED);
}
END_TEST

START_TEST(test_planner_describe)
{
    struct exposure_meta m = {.pattern_number = 3, .pattern_total = 4};
    struct queue_exposure e;
    strcpy(m.detector, "NRS2");
    strcpy(m.grating, "G395H");
    strcpy(m.filter, "F290LP");
    strcpy(m.program, "01234");
    strcpy(m.observation, "001");
    strcpy(m.visit, "001");
    strcpy(m.target_name, "NGC 1068 (nuc)");
    ck_assert_int_eq(planner_describe(&m, "jw1_nrs2_rate.fits.gz", &e, &err), 0);
    ck_assert_str_eq(e.base, "jw1_nrs2");
    ck_assert_str_eq(e.name, "jw1_nrs2_rate.fits.gz");
    ck_assert_str_eq(e.group, "jw01234-o001_ngc-1068-nuc_nirspec_g395h-f290lp");
    ck_assert_str_eq(e.role, "science");
    ck_assert_int_eq(e.pattern_number, 3);
    ck_assert(!e.aid);
    m.is_background = true;
    strcpy(m.target_name, "../../etc");
    strcpy(m.program, "../x");
    ck_assert_int_eq(planner_describe(&m, "a_rate.fits", &e, &err), 0);
    ck_assert_str_eq(e.role, "background");
    ck_assert(e.aid);
    ck_assert_ptr_null(strchr(e.group, '/'));
    ck_assert_ptr_null(strchr(e.program, '/'));
    m.is_imprint = true;
    ck_assert_int_eq(planner_describe(&m, "a_rate.fits", &e, &err), 0);
    ck_assert_str_eq(e.role, "imprint");
    strcpy(m.grating, "G395M");
    ck_assert_int_eq(planner_describe(&m, "a_rate.fits", &e, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "never reaches DETECTOR NRS2"));
    strcpy(m.grating, "G395H");
    strcpy(m.bunit, "MJy/sr");
    ck_assert_int_eq(planner_describe(&m, "a_cal.fits", &e, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "calibrated already"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("planner");
    TCase *t = tcase_create("planner");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_planner_a_spec2_per_reduced_exposure);
    tcase_add_test(t, test_planner_waits_for_what_is_missing);
    tcase_add_test(t, test_planner_a_long_list_ends_with_a_number);
    tcase_add_test(t, test_planner_spec3_when_complete_in_order);
    tcase_add_test(t, test_planner_incomplete_group_goes_when_quiet);
    tcase_add_test(t, test_planner_is_not_quiet_while_a_member_is_pending);
    tcase_add_test(t, test_planner_nothing_reduced_is_never_combined);
    tcase_add_test(t, test_planner_late_exposure_supersedes);
    tcase_add_test(t, test_planner_waits_for_a_running_version);
    tcase_add_test(t, test_planner_rewritten_exposure_replaces);
    tcase_add_test(t, test_planner_rewritten_while_the_old_one_runs);
    tcase_add_test(t, test_planner_gone_exposures_keep_counting);
    tcase_add_test(t, test_planner_cancelled_counts_as_final);
    tcase_add_test(t, test_planner_visits_are_complete_one_by_one);
    tcase_add_test(t, test_planner_detectors_that_are_reached);
    tcase_add_test(t, test_planner_describe);
    suite_add_tcase(s, t);
    return support_run(s);
}
