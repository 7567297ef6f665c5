#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/plan.h"
#include "daemon/planner.h"
#include "daemon/queue_associations.h"
#include "daemon/queue_find.h"
#include "tests/support.h"

/* Dispersers of one target in a real queue, planned as the daemon plans them. */
static char *folder;
static struct queue *q;
static struct err err;
static double now;
static int arrivals;
#define QUIET 1000.0
static struct plan_rules rules;
#define TARGET "jw01234-o001_t_nirspec"
#define COMBINE(VERSION) "combine-" TARGET "-" VERSION

static const struct disperser {
    const char *grating, *filter, *group;
} prism = {"PRISM", "CLEAR", TARGET "_prism-clear"},
  g235 = {"G235M", "F170LP", TARGET "_g235m-f170lp"},
  g395 = {"G395M", "F290LP", TARGET "_g395m-f290lp"};

static void setup(void)
{
    folder = support_folder();
    q = NULL;
    support_ok(queue_open(support_path(folder, "queue.db"), QUEUE_WRITE, &q, &err),
               &err);
    now = 100.0;
    arrivals = 0;
    rules = (struct plan_rules){.quiet_seconds = QUIET, .combine = true};
}

/* Whatever was done, the queue is in order. */
static void teardown(void)
{
    char *report;
    support_ok(queue_check(q, &report, &err), &err);
    ck_assert_str_eq(report, "");
    free(report);
    queue_close(q);
    support_remove(folder);
}

/* The only exposure of a visit through a disperser; visits tell late ones. */
static void arrive(const struct disperser *d, int visit)
{
    struct queue_exposure e = {.pattern_number = 1, .pattern_total = 1};
    int64_t id;
    snprintf(e.sha256, sizeof e.sha256, "%064d", ++arrivals);
    snprintf(e.base, sizeof e.base, "jw_%s_%03d", d->grating, visit);
    snprintf(e.name, sizeof e.name, "%.200s_rate.fits", e.base);
    snprintf(e.visit, sizeof e.visit, "%03d", visit);
    strcpy(e.role, "science");
    strcpy(e.group, d->group);
    strcpy(e.program, "01234");
    strcpy(e.detector, "NRS1");
    strcpy(e.grating, d->grating);
    strcpy(e.filter, d->filter);
    support_ok(queue_begin(q, &err), &err);
    support_ok(queue_add_exposure(q, &e, NULL, now, &id, &err), &err);
    support_ok(plan_exposure(q, &rules, id, now, &err), &err);
    support_ok(queue_commit(q, &err), &err);
}

/* A job by name, NULL if there is none; in a ring of eight. */
static const struct queue_job *look(const char *name)
{
    static struct queue_job ring[8];
    static int at;
    struct queue_job *j = &ring[at++ % 8];
    struct err none = {0};
    return queue_find_job(q, name, j, &none) ? NULL : j;
}

static enum job_state state(const char *name)
{
    const struct queue_job *j = look(name);
    return j ? j->state : JOB_NEW;
}

static const struct queue_job *spec3(const struct disperser *d, int version)
{
    char name[400];
    snprintf(name, sizeof name, "spec3-%s-%d", d->group, version);
    return look(name);
}

static void plan(void)
{
    bool all = false;
    while (!all) {
        support_ok(plan_groups(q, &rules, now, 1.0, &all, &err), &err);
    }
}

/* What the target waits for. */
static const char *waits(void)
{
    static struct queue_waiting w;
    w = (struct queue_waiting){0};
    support_ok(queue_group_waiting(q, TARGET, &w, &err), &err);
    return w.plan.waits_for;
}

/* Run a queued job to its end; if that is done, with one product. */
static void run(const struct queue_job *j, enum job_state end, const char *suffix)
{
    struct queue_product p = {.bytes = 1};
    ck_assert_ptr_nonnull(j);
    support_ok(queue_move(q, j->id, JOB_RUNNING, NULL, now, &err), &err);
    if (end == JOB_DONE) {
        snprintf(p.path, sizeof p.path, "/p/%s_%s.fits", j->name, suffix);
        snprintf(p.suffix, sizeof p.suffix, "%s", suffix);
        support_ok(queue_set_products(q, j->id, &p, 1, &err), &err);
    }
    support_ok(queue_move(q, j->id, end, NULL, now, &err), &err);
    plan();
}

static void reduce(const struct disperser *d, int visit)
{
    char name[100];
    snprintf(name, sizeof name, "spec2-jw_%s_%03d-1", d->grating, visit);
    run(look(name), JOB_DONE, "cal");
}

/* An exposure, and the spec3 of what is there. */
static void publish(const struct disperser *d, int visit, int version)
{
    arrive(d, visit);
    plan();
    reduce(d, visit);
    run(spec3(d, version), JOB_DONE, "x1d");
}

static void need_inputs(const char *name, const char *const *inputs, size_t n)
{
    struct queue_input *in;
    size_t m;
    support_ok(queue_inputs(q, look(name)->id, &in, &m, &err), &err);
    ck_assert_uint_eq(m, n);
    for (size_t i = 0; i < n; i++) {
        struct queue_job j;
        support_ok(queue_get_job(q, in[i].input_job, &j, &err), &err);
        ck_assert_str_eq(j.name, inputs[i]);
    }
    free(in);
}

START_TEST(test_planner_combine_a_target_is_its_groups_name_without_the_disperser)
{
    char target[QUEUE_NAME];
    ck_assert(planner_target("jw01234-o001-002_ngc-1_nirspec_g140h-f070lp", target));
    ck_assert_str_eq(target, "jw01234-o001-002_ngc-1_nirspec");
    ck_assert(planner_target("jw01234-c1001_t001_nirspec_prism-clear", target));
    ck_assert_str_eq(target, "jw01234-c1001_t001_nirspec");
    static const char *const others[] = {
        TARGET, "mine",         "mine_dither-a", "mine_g395h",
        "",     "_prism-clear", "prism-clear",   TARGET "_g395h-f070lp"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_msg(!planner_target(others[i], target), "%s", others[i]);
    }
}
END_TEST

START_TEST(test_planner_combine_one_disperser_is_not_combined)
{
    publish(&prism, 1, 1);
    ck_assert_int_eq(state(COMBINE("1")), JOB_NEW);
    bool known;
    support_ok(queue_proceed(q, TARGET, now, &known, &err), &err);
    ck_assert(!known); /* nor is there a group of it */
}
END_TEST

START_TEST(test_planner_combine_goes_once_all_spec3_are_done)
{
    publish(&prism, 1, 1);
    arrive(&g395, 1);
    plan();
    ck_assert_int_eq(state(COMBINE("1")), JOB_WAITING);
    ck_assert_str_eq(waits(), "g395m-f290lp (to be reduced)");
    reduce(&g395, 1);
    ck_assert_str_eq(waits(), "g395m-f290lp (to be reduced)");
    run(spec3(&g395, 1), JOB_DONE, "x1d");
    ck_assert_str_eq(waits(), "");
    ck_assert_int_eq(state(COMBINE("1")), JOB_QUEUED);
    ck_assert_str_eq(look(COMBINE("1"))->program, "01234");
    ck_assert_str_eq(look(TARGET)->name, COMBINE("1"));
    static const char *const both[] = {"spec3-" TARGET "_g395m-f290lp-1",
                                       "spec3-" TARGET "_prism-clear-1"};
    need_inputs(COMBINE("1"), both, 2);
    run(look(COMBINE("1")), JOB_DONE, "c1d");
    publish(&g235, 1, 1); /* a third one, later */
    ck_assert_int_eq(state(COMBINE("2")), JOB_QUEUED);
    static const char *const three[] = {"spec3-" TARGET "_g235m-f170lp-1",
                                        "spec3-" TARGET "_g395m-f290lp-1",
                                        "spec3-" TARGET "_prism-clear-1"};
    need_inputs(COMBINE("2"), three, 3);
}
END_TEST

/* Both dispersers get another exposure: one next version, of both, and no other. */
START_TEST(test_planner_combine_a_late_exposure_gives_the_next_version)
{
    publish(&prism, 1, 1);
    publish(&g395, 1, 1);
    run(look(COMBINE("1")), JOB_DONE, "c1d");
    arrive(&prism, 2);
    arrive(&g395, 2);
    plan();
    ck_assert_int_eq(state(COMBINE("1")), JOB_DONE);
    ck_assert_int_eq(state(COMBINE("2")), JOB_NEW);
    reduce(&prism, 2);
    run(spec3(&prism, 2), JOB_DONE, "x1d");
    ck_assert_int_eq(state(COMBINE("2")), JOB_NEW); /* one alone is news of nothing */
    reduce(&g395, 2);
    ck_assert_int_ne(state(COMBINE("2")), JOB_QUEUED);
    run(spec3(&g395, 2), JOB_DONE, "x1d");
    ck_assert_int_eq(state(COMBINE("2")), JOB_QUEUED);
    ck_assert_int_eq(state(COMBINE("1")), JOB_DONE); /* its products are there still */
    static const char *const both[] = {"spec3-" TARGET "_g395m-f290lp-2",
                                       "spec3-" TARGET "_prism-clear-2"};
    need_inputs(COMBINE("2"), both, 2);
    run(look(COMBINE("2")), JOB_DONE, "c1d");
    ck_assert_int_eq(state(COMBINE("1")), JOB_SUPERSEDED);
    plan();
    ck_assert_int_eq(state(COMBINE("3")), JOB_NEW);

    /* what was superseded goes together with what it read */
    const struct queue_prune_rules old = {.superseded_before = now + 1};
    struct queue_pruned pruned;
    support_ok(queue_prune(q, &old, false, now, &pruned, &err), &err);
    ck_assert_int_eq(pruned.jobs, 3);
    queue_pruned_done(&pruned);
    ck_assert_int_eq(state(COMBINE("1")), JOB_NEW);
}
END_TEST

/* A spec3 that failed is named; the others go when it is quiet, or when an operator says so. */
START_TEST(test_planner_combine_goes_on_without_what_failed)
{
    publish(&prism, 1, 1);
    publish(&g235, 1, 1);
    ck_assert_int_eq(state(COMBINE("1")), JOB_QUEUED);
    run(look(COMBINE("1")), JOB_DONE, "c1d");
    arrive(&g395, 1);
    arrive(&prism, 2);
    plan();
    reduce(&g395, 1);
    run(spec3(&g395, 1), JOB_HELD, NULL);
    reduce(&prism, 2);
    run(spec3(&prism, 2), JOB_DONE, "x1d");
    ck_assert_int_eq(state(COMBINE("2")), JOB_WAITING);
    ck_assert_str_eq(waits(), "g395m-f290lp (its spec3 is held)");
    now += QUIET;
    plan();
    ck_assert_int_eq(state(COMBINE("2")), JOB_QUEUED);
    run(look(COMBINE("2")), JOB_DONE, "c1d");
    arrive(&prism, 3);
    plan();
    reduce(&prism, 3);
    run(spec3(&prism, 3), JOB_DONE, "x1d");
    ck_assert_int_eq(state(COMBINE("3")), JOB_WAITING);
    bool known;
    support_ok(queue_proceed(q, TARGET, now, &known, &err), &err);
    ck_assert(known);
    plan();
    ck_assert_int_eq(state(COMBINE("3")), JOB_QUEUED);
}
END_TEST

START_TEST(test_planner_combine_never_goes_with_one_spectrum)
{
    publish(&prism, 1, 1);
    arrive(&g395, 1);
    plan();
    reduce(&g395, 1);
    run(spec3(&g395, 1), JOB_DONE, "s3d");
    ck_assert_str_eq(waits(), "g395m-f290lp (it has no x1d)");
    bool known;
    support_ok(queue_proceed(q, TARGET, now, &known, &err), &err);
    now += 2 * QUIET;
    plan();
    ck_assert_int_eq(state(COMBINE("1")), JOB_WAITING);
}
END_TEST

START_TEST(test_planner_combine_is_switched_off_and_on)
{
    publish(&prism, 1, 1);
    arrive(&g395, 1);
    plan();
    ck_assert_int_eq(state(COMBINE("1")), JOB_WAITING);
    rules.combine = false;
    support_ok(queue_plan_anew(q, &err), &err);
    plan();
    ck_assert_int_eq(state(COMBINE("1")), JOB_SUPERSEDED);
    ck_assert_str_eq(waits(), "");
    reduce(&g395, 1);
    run(spec3(&g395, 1), JOB_DONE, "x1d");
    ck_assert_int_eq(state(COMBINE("2")), JOB_NEW);
    rules.combine = true;
    support_ok(queue_plan_anew(q, &err), &err);
    plan();
    ck_assert_int_eq(state(COMBINE("2")), JOB_QUEUED);
}
END_TEST

static void associate(const char *file, const char *product, const char *exposure)
{
    struct association a;
    const struct queue_file f = {.name = file};
    char text[600], hash[65];
    int64_t id;
    snprintf(text, sizeof text,
             "{\"asn_type\": \"spec3\", \"products\": [{\"name\": \"%s\", \"members\":"
             " [{\"expname\": \"%s_cal.fits\", \"exptype\": \"science\"}]}]}",
             product, exposure);
    snprintf(hash, sizeof hash, "%064d", ++arrivals);
    support_ok(association_parse(text, strlen(text), file, "spec3", &a, &err), &err);
    support_ok(queue_add_association(q, &a, hash, text, &f, now, &id, &err), &err);
    association_done(&a);
    plan();
}

/* Products of associations go by their names: by the convention, or by none. */
START_TEST(test_planner_combine_products_of_associations)
{
    publish(&prism, 1, 1);
    arrive(&g395, 1);
    associate("a_asn.json", TARGET "_g395m-f290lp", "jw_G395M_001");
    arrive(&g235, 1);
    associate("b_asn.json", "mine", "jw_G235M_001");
    reduce(&g395, 1);
    reduce(&g235, 1);
    run(spec3(&g395, 1), JOB_DONE, "x1d");
    run(look("spec3-mine-1"), JOB_DONE, "x1d");
    static const char *const both[] = {"spec3-" TARGET "_g395m-f290lp-1",
                                       "spec3-" TARGET "_prism-clear-1"};
    need_inputs(COMBINE("1"), both, 2);
    ck_assert_int_eq(state(COMBINE("1")), JOB_QUEUED);
}
END_TEST

/* The name of a target belongs to an association that gives it to a product of its own. */
START_TEST(test_planner_combine_yields_to_an_association_of_its_name)
{
    publish(&prism, 1, 1);
    arrive(&g395, 1);
    plan();
    ck_assert_int_eq(state(COMBINE("1")), JOB_WAITING);
    associate("c_asn.json", TARGET, "jw_PRISM_001");
    ck_assert_int_eq(state(COMBINE("1")), JOB_SUPERSEDED);
    ck_assert_int_eq(state("spec3-" TARGET "-1"), JOB_QUEUED);
    ck_assert_int_eq(state(COMBINE("2")), JOB_NEW);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("planner_combine");
    TCase *t = tcase_create("planner_combine");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(
        t, test_planner_combine_a_target_is_its_groups_name_without_the_disperser);
    tcase_add_test(t, test_planner_combine_one_disperser_is_not_combined);
    tcase_add_test(t, test_planner_combine_goes_once_all_spec3_are_done);
    tcase_add_test(t, test_planner_combine_a_late_exposure_gives_the_next_version);
    tcase_add_test(t, test_planner_combine_goes_on_without_what_failed);
    tcase_add_test(t, test_planner_combine_never_goes_with_one_spectrum);
    tcase_add_test(t, test_planner_combine_is_switched_off_and_on);
    tcase_add_test(t, test_planner_combine_products_of_associations);
    tcase_add_test(t, test_planner_combine_yields_to_an_association_of_its_name);
    suite_add_tcase(s, t);
    return support_run(s);
}
