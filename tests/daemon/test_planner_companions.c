#include "daemon/planner_companions.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/plan.h"
#include "daemon/planner_choice.h"
#include "daemon/queue_find.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

/* A real queue, planned as the daemon plans it; now moves on by a second a step. */
static char *folder;
static struct queue *q;
static struct err err;
static double now;
static long arrivals;
static struct plan_rules rules;
#define WAIT 10.0
#define QUIET 1000.0

static void setup(void)
{
    folder = support_folder();
    q = kit_open(folder);
    now = 100.0;
    arrivals = 0;
    rules = (struct plan_rules){.quiet_seconds = QUIET,
                                .wait_seconds = WAIT,
                                .imprints = true,
                                .backgrounds = true,
                                .nods = true,
                                .linked = true};
}

static void teardown(void)
{
    kit_check(q);
    queue_close(q);
    support_remove(folder);
}

static struct queue_exposure exposure(const char *observation, int position,
                                      const char *role)
{
    struct queue_exposure e = {.pattern_number = position,
                               .pattern_total = 1,
                               .expstart = 60000,
                               .xtilt = 0.35,
                               .ytilt = 0.13,
                               .ra = 150,
                               .dec = 2};
    bool science = !strcmp(role, "science");
    memcpy(e.sha256, kit_hash(++arrivals), sizeof e.sha256);
    snprintf(e.base, sizeof e.base, "jw%s_%d_%s", observation, position, role);
    snprintf(e.role, sizeof e.role, "%s", role);
    snprintf(e.group, sizeof e.group, "o%s_%s", observation, science ? "t" : role);
    snprintf(e.observation, sizeof e.observation, "%s", observation);
    strcpy(e.program, "01234");
    strcpy(e.visit, "001");
    strcpy(e.target, science ? "t" : role);
    strcpy(e.detector, "NRS1");
    strcpy(e.grating, "G395H");
    strcpy(e.filter, "F290LP");
    e.aid = !science;
    return e;
}

static int64_t accept(struct queue_exposure e)
{
    int64_t id;
    now += 1;
    snprintf(e.name, sizeof e.name, "%.200s_rate.fits", e.base);
    support_ok(queue_begin(q, &err), &err);
    support_ok(queue_add_exposure(q, &e, NULL, now, &id, &err), &err);
    support_ok(plan_exposure(q, &rules, id, now, &err), &err);
    support_ok(queue_commit(q, &err), &err);
    return id;
}

static int64_t arrive(const char *observation, int position, const char *role)
{
    return accept(exposure(observation, position, role));
}

static int64_t nod(int position)
{
    struct queue_exposure e = exposure("001", position, "science");
    e.pattern_total = 2;
    strcpy(e.pattern_type, "2-POINT-NOD");
    return accept(e);
}

static int64_t other_program(const char *program, const char *observation, double days,
                             double degrees)
{
    struct queue_exposure e = exposure(observation, 1, "background");
    snprintf(e.base, sizeof e.base, "jw%s_%s_%ld", program, observation, arrivals);
    snprintf(e.group, sizeof e.group, "p%s_o%s", program, observation);
    snprintf(e.program, sizeof e.program, "%s", program);
    e.expstart += days;
    e.dec += degrees;
    return accept(e);
}

static void plan(void)
{
    now += 1;
    for (bool all = false; !all;) {
        support_ok(plan_groups(q, &rules, now, 1.0, &all, &err), &err);
    }
}

/* Plan once nothing has come for long enough. */
static void settle(void)
{
    now += WAIT;
    plan();
}

static struct queue_job job_of(int64_t e)
{
    return kit_spec2(q, e);
}

static void reduce(int64_t e)
{
    char path[80];
    snprintf(path, sizeof path, "/p/%lld_cal.fits", (long long)e);
    kit_run(q, job_of(e).id, path, now);
}

/* "imprint 3, background 4" */
static const char *companions(int64_t job)
{
    static char text[4][400];
    static int ring;
    char *t = text[ring++ % 4];
    struct queue_companion *c;
    size_t n;
    int at = 0;
    *t = 0;
    support_ok(queue_companions(q, job, &c, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        at += snprintf(t + at, 400 - (size_t)at, "%s%s %lld", i ? ", " : "", c[i].role,
                       (long long)(c[i].exposure ? c[i].exposure : c[i].input_job));
    }
    free(c);
    return t;
}

static const char *reads(int64_t e)
{
    return companions(job_of(e).id);
}

static struct queue_plan look(int64_t e)
{
    struct queue_waiting w;
    support_ok(queue_group_waiting(q, job_of(e).group, &w, &err), &err);
    return w.plan;
}

START_TEST(test_companions_names_of_blank_sky)
{
    static const char *const yes[] = {"SKY",         "NGC 1068 BKG", "sky2",
                                      "Blank-Field", "background_1", "M31-OFF",
                                      "SIMSKY",      "NGC1068BKG2"};
    static const char *const no[] = {"",     "SKYROCKET", "NGC 1068",
                                     "OFFA", "3C 273",    "7"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        ck_assert_msg(planner_says_blank(yes[i]), "%s", yes[i]);
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        ck_assert_msg(!planner_says_blank(no[i]), "%s", no[i]);
    }
}
END_TEST

START_TEST(test_companions_imprints_of_the_observation_else_of_the_program)
{
    int64_t a = arrive("001", 1, "science"), b = arrive("003", 1, "science");
    arrive("001", 1, "imprint"); /* 3 */
    arrive("002", 1, "imprint"); /* 4 */
    struct queue_exposure other = exposure("001", 2, "imprint");
    strcpy(other.detector, "NRS2");
    accept(other);
    strcpy(other.detector, "NRS1");
    strcpy(other.filter, "F170LP");
    memcpy(other.sha256, kit_hash(++arrivals), sizeof other.sha256);
    strcpy(other.base, "another");
    accept(other);
    settle();
    ck_assert_str_eq(reads(a), "imprint 3");
    ck_assert_str_eq(reads(b), "imprint 3, imprint 4");
    ck_assert_int_eq(job_of(a).state, JOB_QUEUED);
    ck_assert_int_eq(look(a).without_imprint, 0);
}
END_TEST

/* In a group of several observations each exposure is given those of its own, and the
 * group waits for every dither of each. */
START_TEST(test_companions_of_joined_observations)
{
    struct queue_exposure e[3] = {exposure("001", 1, "science"),
                                  exposure("002", 1, "science"),
                                  exposure("002", 2, "science")};
    int64_t id[3];
    struct queue_waiting w;
    for (int i = 0; i < 3; i++) {
        e[i].pattern_total = 2;
        strcpy(e[i].pattern_type, "2-POINT-NOD");
        planner_join(&e[i], "001-002");
        id[i] = accept(e[i]);
    }
    ck_assert_str_eq(e[0].group, e[1].group);
    arrive("001", 1, "imprint"); /* 4 */
    arrive("002", 1, "imprint"); /* 5 */
    now += QUIET;
    plan();
    ck_assert_str_eq(reads(id[0]), "imprint 4");
    ck_assert_str_eq(reads(id[1]), "background 3, imprint 5");
    ck_assert_str_eq(reads(id[2]), "background 2, imprint 5");
    support_ok(queue_group_waiting(q, e[0].group, &w, &err), &err);
    ck_assert_msg(
        strstr(w.plan.waits_for,
               "dither 1 NRS2 of visit 001001, dither 2 NRS1 and NRS2 of visit "
               "001001, dither 1 NRS2 of visit 002001") != NULL,
        "%s", w.plan.waits_for);
}
END_TEST

START_TEST(test_companions_dedicated_backgrounds_of_the_same_wheel_position)
{
    int64_t a = arrive("001", 1, "science");
    int64_t near = arrive("002", 1, "background");
    struct queue_exposure e = exposure("002", 2, "background");
    e.xtilt += 2e-8;
    accept(e);
    e = exposure("002", 3, "background");
    e.xtilt = e.ytilt = NAN; /* of an older queue: the stage looks at the file */
    int64_t unknown = accept(e);
    other_program("05678", "001", 0, 0);
    int64_t leak = arrive("002", 1, "imprint"); /* of the background's observation */
    arrive("001", 1, "imprint");
    settle();
    ck_assert_str_eq(reads(a), "background 2, background 4, imprint 7, imprint 6");
    ck_assert_int_eq(near, 2);
    ck_assert_int_eq(unknown, 4);
    ck_assert_int_eq(leak, 6);
    /* a background is reduced, too, and only leakage is subtracted from it */
    ck_assert_str_eq(reads(near), "imprint 6");
    rules.linked = false;
    int64_t b = arrive("001", 2, "science");
    settle();
    ck_assert_str_eq(reads(b), "imprint 7");
}
END_TEST

/* A program of several targets: each has its own. */
START_TEST(test_companions_dedicated_backgrounds_of_the_nearest_observation)
{
    struct queue_exposure far = exposure("003", 1, "background");
    far.dec += 5;
    int64_t a = arrive("001", 1, "science"), there = accept(far);
    arrive("002", 1, "background"); /* 3 */
    arrive("002", 2, "background"); /* 4 */
    struct queue_exposure e = exposure("004", 1, "science");
    e.dec += 5.1;
    int64_t b = accept(e);
    settle();
    ck_assert_int_eq(there, 2);
    ck_assert_str_eq(reads(a), "background 3, background 4");
    ck_assert_str_eq(reads(b), "background 2");
}
END_TEST

START_TEST(test_companions_nods_are_backgrounds_of_one_another)
{
    int64_t a = nod(1), b = nod(2);
    arrive("002", 1, "background");
    settle();
    ck_assert_str_eq(reads(a), "background 2");
    ck_assert_str_eq(reads(b), "background 1");
    rules.nods = false;
    struct queue_exposure e = exposure("001", 3, "science");
    strcpy(e.pattern_type, "2-POINT-NOD");
    int64_t c = accept(e);
    settle();
    ck_assert_str_eq(reads(c), "background 3");
}
END_TEST

START_TEST(test_companions_off_scene_is_offered_and_used_if_told)
{
    int64_t a = arrive("001", 1, "science");
    other_program("05678", "001", 40, 0);
    other_program("05679", "007", 2, 0.25);
    int64_t blank;
    struct queue_exposure e = exposure("009", 1, "science"); /* says SKY, no BKGDTARG */
    e.aid = true;
    e.expstart += 3;
    strcpy(e.target, "sky");
    blank = accept(e);
    settle();
    ck_assert_str_eq(reads(a), "");
    struct queue_plan p = look(a);
    ck_assert_str_eq(p.offer, "off-scene background, program 05679, observation 007, "
                              "2.0 days and 0.25 degrees away, for 1 exposure");
    ck_assert_int_eq(p.without_imprint, 1);
    ck_assert_str_eq(look(blank).offer, ""); /* it is one itself */
    struct queue_waiting *w;
    size_t n;
    support_ok(queue_offers(q, 9, &w, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    free(w);
    support_ok(queue_without_imprint(q, &n, &err), &err);
    ck_assert_uint_eq(n, 2);
    rules.off_scene = true;
    support_ok(queue_plan_anew(q, &err), &err);
    plan();
    ck_assert_str_eq(reads(a), "background 3"); /* it had not run */
    ck_assert_str_eq(look(a).offer, "");
    /* a nearer one of the same program that nothing links */
    ck_assert_double_lt(planner_distance(3, 0), planner_distance(2, 0.6));
}
END_TEST

START_TEST(test_companions_wait_for_quiet)
{
    int64_t a = arrive("001", 1, "science");
    plan();
    ck_assert_int_eq(job_of(a).state, JOB_WAITING);
    ck_assert_double_eq(look(a).look_at, 101 + WAIT);
    ck_assert_ptr_nonnull(strstr(look(a).members_wait, "may still come"));
    now = 108;
    arrive("002", 1, "background"); /* 109: of its program */
    now = 113;
    plan();
    ck_assert_int_eq(job_of(a).state, JOB_WAITING);
    now = 118;
    plan(); /* 119 */
    ck_assert_int_eq(job_of(a).state, JOB_QUEUED);
    ck_assert_double_eq(look(a).look_at, 0);
    ck_assert_str_eq(look(a).members_wait, "");
    /* nobody waits for what no stage would read */
    rules.imprints = rules.nods = rules.backgrounds = false;
    int64_t b = arrive("001", 2, "science");
    ck_assert_int_eq(job_of(b).state, JOB_QUEUED);
}
END_TEST

/* News without end keep nobody waiting for ever; of a job that is done they are gathered. */
START_TEST(test_companions_wait_has_an_end)
{
    int64_t a = arrive("001", 1, "science"); /* 101 */
    for (int k = 2; now < 101 + 10 * WAIT - 2; k++) {
        arrive("001", k, "science");
        plan();
        ck_assert_int_eq(job_of(a).state, JOB_WAITING);
    }
    arrive("001", 900, "science");
    plan();
    ck_assert_int_eq(job_of(a).state, JOB_QUEUED);
    reduce(a);
    arrive("001", 1, "imprint");
    plan();
    ck_assert_int_eq(job_of(a).version, 1);
    settle();
    ck_assert_int_eq(job_of(a).version, 2);
}
END_TEST

START_TEST(test_companions_nods_wait_for_all_positions)
{
    int64_t a = nod(1);
    settle();
    ck_assert_int_eq(job_of(a).state, JOB_WAITING);
    ck_assert_str_eq(look(a).members_wait, "nod position 2 on NRS1");
    ck_assert_double_eq(look(a).look_at, 101 + QUIET);
    int64_t b = nod(2);
    settle();
    ck_assert_int_eq(job_of(a).state, JOB_QUEUED);
    ck_assert_int_eq(job_of(b).state, JOB_QUEUED);
}
END_TEST

START_TEST(test_companions_nod_alone_goes_when_quiet)
{
    int64_t a = nod(1);
    plan();
    now += QUIET;
    plan();
    ck_assert_int_eq(job_of(a).state, JOB_QUEUED);
    ck_assert_str_eq(reads(a), "");
    /* or at once, when the daemon is to end its work */
    int64_t b = nod(1);
    plan();
    ck_assert_int_eq(job_of(b).state, JOB_WAITING);
    rules.wait_seconds = rules.quiet_seconds = 0;
    plan();
    ck_assert_int_eq(job_of(b).state, JOB_QUEUED);
}
END_TEST

START_TEST(test_companions_that_come_later)
{
    int64_t a = arrive("001", 1, "science"), b = arrive("001", 2, "science");
    settle();
    struct queue_job first = job_of(a), second = job_of(b);
    ck_assert_int_eq(first.version, 1);
    reduce(a);
    kit_move(q, second.id, JOB_RUNNING, now);
    int64_t leak = arrive("001", 1, "imprint");
    plan();
    ck_assert_int_eq(leak, 3);
    /* what is done stays so until all can have come; what runs, until it has ended */
    ck_assert_int_eq(job_of(a).version, 1);
    ck_assert_double_gt(look(a).look_at, now);
    ck_assert_ptr_nonnull(strstr(look(a).members_wait, "may still come"));
    settle();
    ck_assert_int_eq(job_of(a).version, 2);
    support_ok(queue_get_job(q, first.id, &first, &err), &err);
    ck_assert_int_eq(first.state, JOB_SUPERSEDED);
    ck_assert_ptr_nonnull(strstr(first.message, "imprint came later"));
    ck_assert_int_eq(job_of(b).id, second.id);
    ck_assert_int_eq(job_of(a).state, JOB_QUEUED);
    ck_assert_str_eq(reads(a), "imprint 3");
    struct queue_product p = {.path = "/p/b_cal.fits", .suffix = "cal", .bytes = 5};
    support_ok(queue_set_products(q, second.id, &p, 1, &err), &err);
    kit_move(q, second.id, JOB_DONE, now);
    settle();
    ck_assert_int_eq(job_of(b).version, 2);
    ck_assert_str_eq(reads(b), "imprint 3");
    /* what has not run only gets it */
    arrive("001", 2, "imprint");
    plan();
    ck_assert_int_eq(job_of(b).version, 2);
    ck_assert_str_eq(reads(b), "imprint 3, imprint 4");
    settle();
    reduce(b);
    settle();
    ck_assert_int_eq(job_of(b).version, 2); /* nothing is done for ever */
}
END_TEST

START_TEST(test_companions_rewritten_ones_count_as_new)
{
    int64_t a = arrive("001", 1, "science");
    arrive("001", 1, "imprint");
    settle();
    reduce(a);
    int64_t again = arrive("001", 1, "imprint"); /* same name, other bytes */
    settle();
    ck_assert_int_eq(job_of(a).version, 2);
    ck_assert_int_eq(again, 3);
    ck_assert_str_eq(reads(a), "imprint 3");
}
END_TEST

START_TEST(test_companions_that_are_gone_undo_nothing)
{
    int64_t a = arrive("001", 1, "science"), b = arrive("001", 2, "science");
    int64_t leak = arrive("001", 1, "imprint");
    settle();
    reduce(a);
    support_ok(queue_move_exposure(q, leak, FILE_GONE, "lost", now, &err), &err);
    settle();
    ck_assert_int_eq(job_of(a).version, 1);
    ck_assert_int_eq(job_of(a).state, JOB_DONE);
    ck_assert_str_eq(reads(b), ""); /* it could not read it */
    /* nor does another configuration */
    other_program("05678", "001", 1, 0);
    settle();
    rules.off_scene = true;
    support_ok(queue_plan_anew(q, &err), &err);
    settle();
    ck_assert_int_eq(job_of(a).version, 2); /* came later: the nearest */
    settle();
    reduce(a);
    rules.off_scene = false;
    support_ok(queue_plan_anew(q, &err), &err);
    settle();
    ck_assert_int_eq(job_of(a).version, 2);
}
END_TEST

START_TEST(test_companions_copies_stay_while_a_job_may_read_them)
{
    int64_t a = arrive("001", 1, "science"), leak = arrive("001", 1, "imprint");
    settle();
    struct queue_prune_rules old = {.exposures_before = now + 1};
    struct queue_pruned gone = {0};
    support_ok(queue_prune(q, &old, false, now, &gone, &err), &err);
    ck_assert_uint_eq(gone.n_copies, 0);
    queue_pruned_done(&gone);
    reduce(a);
    support_ok(queue_prune(q, &old, false, now, &gone, &err), &err);
    ck_assert_uint_eq(gone.n_copies, 2);
    queue_pruned_done(&gone);
    struct queue_exposure e;
    support_ok(queue_get_exposure(q, leak, &e, &err), &err);
    ck_assert_str_eq(e.state, "gone");
}
END_TEST

START_TEST(test_companions_held_before_they_were_chosen)
{
    int64_t a = arrive("001", 1, "science");
    plan();
    int64_t job = job_of(a).id;
    kit_move(q, job, JOB_HELD, now);
    arrive("001", 1, "imprint");
    support_ok(queue_retry(q, job, "released", now, &err), &err);
    ck_assert_int_eq(job_of(a).state, JOB_WAITING);
    settle();
    ck_assert_int_eq(job_of(a).state, JOB_QUEUED);
    ck_assert_str_eq(reads(a), "imprint 2");
}
END_TEST

static struct queue_job spec3(int version)
{
    char name[40];
    struct queue_job j;
    snprintf(name, sizeof name, "spec3-o001_t-%d", version);
    support_ok(queue_find_job(q, name, &j, &err), &err);
    return j;
}

START_TEST(test_companions_master_background_in_spec3)
{
    rules.in_spec3 = true;
    int64_t a = arrive("001", 1, "science"), sky = arrive("002", 1, "background");
    struct queue_exposure second = exposure("001", 1, "science");
    strcpy(second.detector, "NRS2");
    strcpy(second.base, "jw001_1_nrs2");
    int64_t b = accept(second);
    settle();
    ck_assert_str_eq(reads(a), "");
    reduce(a);
    reduce(b);
    plan();
    ck_assert_int_eq(spec3(1).state, JOB_WAITING);
    ck_assert_ptr_nonnull(strstr(look(a).waits_for, "background (to be reduced)"));
    reduce(sky);
    plan();
    ck_assert_int_eq(spec3(1).state, JOB_QUEUED);
    char want[40];
    snprintf(want, sizeof want, "background %lld", (long long)job_of(sky).id);
    ck_assert_str_eq(companions(spec3(1).id), want);
    kit_run(q, spec3(1).id, "/p/s3d.fits", now);
    plan();
    /* another background comes: the spectrum is another one */
    int64_t late = arrive("002", 2, "background");
    settle();
    reduce(late);
    settle();
    ck_assert_int_eq(spec3(2).state, JOB_QUEUED);
    ck_assert_ptr_nonnull(strchr(companions(spec3(2).id), ','));
    ck_assert_int_eq(job_of(a).version, 1);
}
END_TEST

START_TEST(test_companions_never_twice)
{
    rules.in_spec3 = true;
    int64_t a = nod(1), b = nod(2), sky = arrive("002", 1, "background");
    settle();
    reduce(a);
    reduce(b);
    reduce(sky);
    now += QUIET;
    settle();
    ck_assert_str_eq(reads(a), "background 2");
    ck_assert_str_eq(companions(spec3(1).id), "");
}
END_TEST

START_TEST(test_companions_are_bounded)
{
    int64_t a = arrive("001", 1, "science");
    for (int i = 1; i <= PLANNER_COMPANIONS + 3; i++) {
        struct queue_exposure e = exposure("002", i, "background");
        snprintf(e.base, sizeof e.base, "sky%03d", i);
        e.expstart -= i; /* the later the farther */
        accept(e);
    }
    settle();
    struct queue_companion *c;
    size_t n;
    support_ok(queue_companions(q, job_of(a).id, &c, &n, &err), &err);
    ck_assert_uint_eq(n, PLANNER_COMPANIONS);
    ck_assert_int_eq(c[0].exposure, 2);
    ck_assert_int_eq(c[n - 1].exposure, PLANNER_COMPANIONS + 1);
    free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("planner_companions");
    TCase *t = tcase_create("planner_companions");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_companions_names_of_blank_sky);
    tcase_add_test(t, test_companions_imprints_of_the_observation_else_of_the_program);
    tcase_add_test(t, test_companions_of_joined_observations);
    tcase_add_test(t, test_companions_dedicated_backgrounds_of_the_same_wheel_position);
    tcase_add_test(t, test_companions_dedicated_backgrounds_of_the_nearest_observation);
    tcase_add_test(t, test_companions_nods_are_backgrounds_of_one_another);
    tcase_add_test(t, test_companions_off_scene_is_offered_and_used_if_told);
    tcase_add_test(t, test_companions_wait_for_quiet);
    tcase_add_test(t, test_companions_wait_has_an_end);
    tcase_add_test(t, test_companions_nods_wait_for_all_positions);
    tcase_add_test(t, test_companions_nod_alone_goes_when_quiet);
    tcase_add_test(t, test_companions_that_come_later);
    tcase_add_test(t, test_companions_rewritten_ones_count_as_new);
    tcase_add_test(t, test_companions_that_are_gone_undo_nothing);
    tcase_add_test(t, test_companions_copies_stay_while_a_job_may_read_them);
    tcase_add_test(t, test_companions_held_before_they_were_chosen);
    tcase_add_test(t, test_companions_master_background_in_spec3);
    tcase_add_test(t, test_companions_never_twice);
    tcase_add_test(t, test_companions_are_bounded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
