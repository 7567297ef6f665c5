#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/planner.h"

/* A group in memory, and what the planner's steps do to it: a queue without a disk. */
static struct queue_exposure exposures[64];
static struct queue_job jobs[64];
static struct queue_input inputs[256];
static struct queue_group g;
static double now;
#define QUIET 1000.0

static void setup(void)
{
    memset(exposures, 0, sizeof exposures);
    memset(jobs, 0, sizeof jobs);
    g = (struct queue_group){exposures, 0, jobs, 0, inputs, 0};
    now = 100.0;
}

static int64_t arrive(int dither, const char *detector, const char *role)
{
    struct queue_exposure *e = &exposures[g.n_exposures++];
    e->id = (int64_t)g.n_exposures;
    snprintf(e->base, sizeof e->base, "jw_%05d_%s_%s", dither, detector, role);
    strcpy(e->state, "accepted");
    strcpy(e->role, role);
    strcpy(e->visit, "001");
    strcpy(e->detector, detector);
    strcpy(e->grating, "G395H");
    strcpy(e->filter, "F290LP");
    e->pattern_number = dither;
    e->pattern_total = 2;
    e->accepted_at = now;
    return e->id;
}

static struct queue_job *job(const char *recipe, int version)
{
    for (size_t i = 0; i < g.n_jobs; i++) {
        if (!strcmp(jobs[i].recipe, recipe) && jobs[i].version == version) {
            return &jobs[i];
        }
    }
    return NULL;
}

static struct queue_job *spec2_of(int64_t exposure)
{
    for (size_t i = 0; i < g.n_jobs; i++) {
        if (jobs[i].exposure == exposure) {
            return &jobs[i];
        }
    }
    return NULL;
}

static void move(struct queue_job *j, enum job_state to)
{
    ck_assert_msg(job_may_move(j->state, to), "%s: %s -> %s", j->name,
                  job_state_name(j->state), job_state_name(to));
    j->state = to;
    j->changed_at = now;
}

static void add(const struct plan_step *s)
{
    struct queue_job *j = &jobs[g.n_jobs++];
    bool is_spec2 = s->verb == PLAN_ADD_SPEC2;
    j->id = (int64_t)g.n_jobs;
    j->state = JOB_WAITING;
    strcpy(j->recipe, is_spec2 ? "spec2" : "spec3");
    strcpy(j->base, is_spec2 ? exposures[s->exposure - 1].base : "group");
    j->exposure = s->exposure;
    j->version = 1;
    for (size_t i = 0; i + 1 < g.n_jobs; i++) {
        j->version +=
            !strcmp(jobs[i].recipe, j->recipe) && !strcmp(jobs[i].base, j->base);
    }
    snprintf(j->name, sizeof j->name, "job %zu", g.n_jobs);
}

/* Apply steps until there is nothing to do; returns what the group waits for. */
static const char *plan(void)
{
    static char why[512];
    struct err err = {0};
    for (int i = 0; i < 100; i++) {
        struct plan_step s;
        ck_assert_msg(planner_next(&g, now, QUIET, &s, &err) == 0, "%s", err.message);
        switch (s.verb) {
        case PLAN_NOTHING:
            strcpy(why, s.why);
            plan_step_done(&s);
            return why;
        case PLAN_SUPERSEDE_EXPOSURE:
            strcpy(exposures[s.exposure - 1].state, "superseded");
            break;
        case PLAN_ADD_SPEC2:
        case PLAN_ADD_SPEC3:
            add(&s);
            break;
        case PLAN_QUEUE:
            for (size_t k = 0; k < s.n_inputs; k++) {
                inputs[g.n_inputs++] =
                    (struct queue_input){.job = s.job, .input_job = s.inputs[k]};
            }
            move(&jobs[s.job - 1], JOB_QUEUED);
            break;
        case PLAN_SUPERSEDE:
            move(&jobs[s.job - 1], JOB_SUPERSEDED);
            break;
        }
        plan_step_done(&s);
    }
    ck_abort_msg("the plan does not end");
    return NULL;
}

static void run(struct queue_job *j, enum job_state end)
{
    ck_assert_ptr_nonnull(j);
    move(j, JOB_RUNNING);
    move(j, end);
}

static size_t inputs_of(const struct queue_job *j)
{
    size_t n = 0;
    for (size_t i = 0; i < g.n_inputs; i++) {
        n += inputs[i].job == j->id;
    }
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

START_TEST(test_planner_a_spec2_per_science_exposure)
{
    int64_t a = arrive(1, "NRS1", "science");
    int64_t leak = arrive(1, "NRS1", "imprint"), sky = arrive(1, "NRS1", "background");
    plan();
    ck_assert_int_eq(spec2_of(a)->state, JOB_QUEUED);
    ck_assert_ptr_null(spec2_of(leak));
    ck_assert_ptr_null(spec2_of(sky));
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
}
END_TEST

START_TEST(test_planner_waits_for_what_is_missing)
{
    int64_t a = arrive(1, "NRS1", "science");
    const char *why = plan();
    ck_assert_ptr_nonnull(strstr(why, "dither 1 NRS2"));
    ck_assert_ptr_nonnull(strstr(why, "dither 2 NRS1 and NRS2"));
    ck_assert_ptr_nonnull(strstr(why, "dither 1 NRS1 (queued)"));
    run(spec2_of(a), JOB_DONE);
    why = plan();
    ck_assert_ptr_null(strstr(why, "dither 1 NRS1"));
    ck_assert_ptr_nonnull(strstr(why, "1000 s of quiet"));
    ck_assert_int_eq(job("spec3", 1)->state, JOB_WAITING);
}
END_TEST

START_TEST(test_planner_spec3_when_complete_in_order)
{
    full_group();
    ck_assert_str_eq(plan(), "");
    struct queue_job *j = job("spec3", 1);
    ck_assert_int_eq(j->state, JOB_QUEUED);
    ck_assert_uint_eq(inputs_of(j), 4);
    for (size_t i = 1; i < 4; i++) {
        ck_assert_str_lt(jobs[inputs[i - 1].input_job - 1].base,
                         jobs[inputs[i].input_job - 1].base);
    }
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
    ck_assert_int_eq(second->state, JOB_DONE);
}
END_TEST

START_TEST(test_planner_waits_for_a_running_version)
{
    full_group();
    plan();
    struct queue_job *first = job("spec3", 1);
    move(first, JOB_RUNNING);
    int64_t late = arrive(2, "NRS1", "science");
    strcpy(exposures[late - 1].base, "jw_another_nrs1");
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
    plan();
    ck_assert_str_eq(exposures[1].state, "superseded");
    ck_assert_int_eq(spec2_of(2)->state, JOB_SUPERSEDED);
    ck_assert_int_eq(spec2_of(again)->version, 2);
    run(spec2_of(again), JOB_DONE);
    plan();
    ck_assert_int_eq(job("spec3", 2)->state, JOB_QUEUED);
    ck_assert_uint_eq(inputs_of(job("spec3", 2)), 4);
}
END_TEST

START_TEST(test_planner_visits_are_complete_one_by_one)
{
    full_group();
    int64_t other = arrive(1, "NRS1", "science");
    strcpy(exposures[other - 1].visit, "002");
    strcpy(exposures[other - 1].base, "jw_visit2");
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
    int64_t a = arrive(1, "NRS1", "science"), b = arrive(2, "NRS1", "science");
    strcpy(exposures[0].grating, "G395M");
    strcpy(exposures[1].grating, "G395M");
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
    struct err err = {0};
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
    m.is_background = true;
    strcpy(m.target_name, "../../etc");
    strcpy(m.program, "../x");
    ck_assert_int_eq(planner_describe(&m, "a_rate.fits", &e, &err), 0);
    ck_assert_str_eq(e.role, "background");
    ck_assert_ptr_null(strchr(e.group, '/'));
    ck_assert_ptr_null(strchr(e.program, '/'));
    m.is_imprint = true;
    ck_assert_int_eq(planner_describe(&m, "a_rate.fits", &e, &err), 0);
    ck_assert_str_eq(e.role, "imprint");
    strcpy(m.grating, "G395M");
    ck_assert_int_eq(planner_describe(&m, "a_rate.fits", &e, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "never reaches DETECTOR NRS2"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("planner");
    TCase *t = tcase_create("planner");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, test_planner_a_spec2_per_science_exposure);
    tcase_add_test(t, test_planner_waits_for_what_is_missing);
    tcase_add_test(t, test_planner_spec3_when_complete_in_order);
    tcase_add_test(t, test_planner_incomplete_group_goes_when_quiet);
    tcase_add_test(t, test_planner_is_not_quiet_while_a_member_is_pending);
    tcase_add_test(t, test_planner_nothing_reduced_is_never_combined);
    tcase_add_test(t, test_planner_late_exposure_supersedes);
    tcase_add_test(t, test_planner_waits_for_a_running_version);
    tcase_add_test(t, test_planner_rewritten_exposure_replaces);
    tcase_add_test(t, test_planner_visits_are_complete_one_by_one);
    tcase_add_test(t, test_planner_detectors_that_are_reached);
    tcase_add_test(t, test_planner_describe);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
