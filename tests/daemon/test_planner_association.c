#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/plan.h"
#include "daemon/queue_associations.h"
#include "daemon/queue_find.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

/* Associations in a real queue, planned as the daemon plans it. */
static char *folder;
static struct queue *q;
static struct err err;
static double now;
static long content;
static struct plan_rules rules;
#define QUIET 1000.0
#define HEADERS "jw01234-o001_t_nirspec_g395h-f290lp"

static void setup(void)
{
    folder = support_folder();
    q = kit_open(folder);
    now = 100.0;
    content = 0;
    rules = (struct plan_rules){.quiet_seconds = QUIET};
}

static void teardown(void)
{
    kit_check(q);
    queue_close(q);
    support_remove(folder);
}

/* ---- what comes ---- */

static int64_t arrive_as(const char *base, const char *role, const char *grating)
{
    struct queue_exposure e = {.pattern_number = 1, .pattern_total = 4, .bytes = 77};
    int64_t id;
    memcpy(e.sha256, kit_hash(++content), sizeof e.sha256);
    snprintf(e.base, sizeof e.base, "%s", base);
    snprintf(e.name, sizeof e.name, "%s_rate.fits", base);
    strcpy(e.role, role);
    strcpy(e.group, HEADERS);
    strcpy(e.program, "01234");
    strcpy(e.observation, "001");
    strcpy(e.visit, "001");
    strcpy(e.detector, "NRS1");
    snprintf(e.grating, sizeof e.grating, "%s", grating);
    strcpy(e.filter, "F290LP");
    e.aid = strcmp(role, "science") != 0;
    struct queue_file file = {.name = e.name, .seen_at = now, .settling_at = now};
    support_ok(queue_begin(q, &err), &err);
    support_ok(queue_add_exposure(q, &e, &file, now, &id, &err), &err);
    support_ok(plan_exposure(q, &rules, id, now, &err), &err);
    support_ok(queue_commit(q, &err), &err);
    return id;
}

static int64_t arrive(const char *base)
{
    return arrive_as(base, "science", "G395H");
}

/* One product; then name and role of each member, NULL. */
static void associate(const char *file, const char *recipe, const char *product, ...)
{
    char text[4000];
    const char *name;
    struct association a;
    va_list ap;
    int64_t id;
    int n = snprintf(text, sizeof text,
                     "{\"asn_type\": \"%s\", \"products\": [{\"name\": \"%s\","
                     " \"members\": [",
                     recipe, product);
    va_start(ap, product);
    for (const char *comma = ""; (name = va_arg(ap, const char *)); comma = ",") {
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "%s{\"expname\": \"%s.fits\", \"exptype\": \"%s\"}", comma, name,
                      va_arg(ap, const char *));
    }
    va_end(ap);
    snprintf(text + n, sizeof text - (size_t)n, "]}]}");
    support_ok(association_parse(text, strlen(text), file, NULL, &a, &err), &err);
    support_ok(
        queue_add_association(
            q, &a, kit_hash(++content), text,
            &(struct queue_file){.name = file, .seen_at = now, .settling_at = now}, now,
            &id, &err),
        &err);
    association_done(&a);
}

static void plan(void)
{
    for (bool all = false; !all;) {
        support_ok(plan_groups(q, &rules, now, 1.0, &all, &err), &err);
    }
}

/* ---- what becomes of it ---- */

/* Its state, JOB_NEW if there is none. */
static struct queue_job job(const char *name)
{
    struct queue_job j = {0};
    plan();
    return queue_find_job(q, name, &j, &err) ? (struct queue_job){.state = JOB_NEW} : j;
}

static void is(const char *name, enum job_state state)
{
    struct queue_job j = job(name);
    ck_assert_msg(j.state == state, "%s is %s, not %s: %s", name,
                  job_state_name(j.state), job_state_name(state), j.message);
}

static void reduce(const char *base)
{
    char name[300], path[320];
    for (int version = 9; version > 0; version--) {
        snprintf(name, sizeof name, "spec2-%s-%d", base, version);
        struct queue_job j = job(name);
        if (j.state == JOB_QUEUED) {
            snprintf(path, sizeof path, "/p/%s_cal.fits", name);
            kit_run(q, j.id, path, now);
            return;
        }
    }
    ck_abort_msg("no spec2 of %s is queued", base);
}

static void combine(const char *name)
{
    char path[300];
    struct queue_job j = job(name);
    ck_assert_msg(j.state == JOB_QUEUED, "%s is %s", name, job_state_name(j.state));
    snprintf(path, sizeof path, "/p/%s_s3d.fits", name);
    kit_run(q, j.id, path, now);
}

/* The exposures of what it reads, as one text. */
static const char *reads(const char *name)
{
    static char text[1000];
    struct queue_input *in;
    struct queue_companion *c;
    struct queue_job j = job(name);
    size_t n, at = 0;
    *text = 0;
    support_ok(queue_inputs(q, j.id, &in, &n, &err), &err);
    for (size_t i = 0; i < n && in[i].input_job; i++) {
        struct queue_job from;
        support_ok(queue_get_job(q, in[i].input_job, &from, &err), &err);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s ", from.base);
    }
    free(in);
    support_ok(queue_companions(q, j.id, &c, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        struct queue_exposure e;
        struct queue_job from;
        if (c[i].input_job) {
            support_ok(queue_get_job(q, c[i].input_job, &from, &err), &err);
        } else {
            support_ok(queue_get_exposure(q, c[i].exposure, &e, &err), &err);
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "%s:%s ", c[i].role,
                               c[i].input_job ? from.base : e.base);
    }
    free(c);
    return text;
}

static const char *waits(const char *group, bool members)
{
    static struct queue_waiting w;
    plan();
    support_ok(queue_group_waiting(q, group, &w, &err), &err);
    return members ? w.plan.members_wait : w.plan.waits_for;
}

static void proceed(const char *group)
{
    bool known;
    support_ok(queue_proceed(q, group, now, &known, &err), &err);
    ck_assert(known);
}

/* ---- spec3 ---- */

/* _i: what comes first, the association or (by some) its members. */
START_TEST(test_planner_association_whatever_the_order)
{
    for (int when = 0; when < 3; when++) {
        if (when == _i) {
            associate("a_asn.json", "spec3", "mine", "b_cal", "science", "a_cal",
                      "science", NULL);
        }
        if (when < 2) {
            arrive(when ? "b" : "a");
        }
        plan();
    }
    reduce("a");
    ck_assert_str_eq(waits("mine", false), "b_cal.fits (to be reduced)");
    reduce("b");
    now += 10 * QUIET;
    is("spec3-mine-1", JOB_QUEUED);
    ck_assert_str_eq(reads("spec3-mine-1"), "b a "); /* as the association has it */
    ck_assert(job("spec3-" HEADERS "-1").state == JOB_NEW ||
              job("spec3-" HEADERS "-1").state == JOB_SUPERSEDED);
}
END_TEST

START_TEST(test_planner_association_waits_for_ever_and_proceeds)
{
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", "b_cal", "science",
              NULL);
    ck_assert_str_eq(waits("mine", false),
                     "a_cal.fits (has not come), b_cal.fits (has not come)");
    arrive("a");
    reduce("a");
    now += 10 * QUIET;
    is("spec3-mine-1", JOB_WAITING);
    ck_assert_str_eq(waits("mine", false), "b_cal.fits (has not come)");
    proceed("mine");
    is("spec3-mine-1", JOB_QUEUED);
    ck_assert_str_eq(job("spec3-mine-1").message,
                     "an operator lets it go without what is missing");
    combine("spec3-mine-1");
    arrive("b"); /* late: its products are superseded */
    reduce("b");
    is("spec3-mine-2", JOB_QUEUED);
    ck_assert_str_eq(reads("spec3-mine-2"), "a b ");
    is("spec3-mine-1", JOB_DONE);
    combine("spec3-mine-2");
    is("spec3-mine-1", JOB_SUPERSEDED);
}
END_TEST

/* It concerns once what waits; what comes to wait later waits. */
START_TEST(test_planner_association_proceed_is_for_once)
{
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", "b_cal", "science",
              "c_cal", "science", NULL);
    arrive("a");
    plan();
    proceed("mine"); /* while one is still to be reduced */
    is("spec3-mine-1", JOB_WAITING);
    reduce("a");
    combine("spec3-mine-1");
    arrive("b");
    reduce("b");
    is("spec3-mine-2", JOB_WAITING);
    ck_assert_str_eq(waits("mine", false), "c_cal.fits (has not come)");
    proceed("mine");
    combine("spec3-mine-2");
}
END_TEST

/* Nobody waits for the dithers that a group of headers lacks whose exposures are all combined
 * elsewhere. */
START_TEST(test_planner_association_takes_all_members)
{
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", "b_cal", "science",
              NULL);
    arrive("a");
    reduce("a");
    ck_assert_str_eq(waits(HEADERS, false), "");
    ck_assert_str_eq(waits("mine", false), "b_cal.fits (has not come)");
    arrive("c"); /* one of its own: now it waits */
    reduce("c");
    ck_assert_ptr_nonnull(strstr(waits(HEADERS, false), "dither"));
}
END_TEST

/* Others of the group are combined by their headers, without those. */
START_TEST(test_planner_association_takes_its_members)
{
    arrive("a");
    arrive("b");
    arrive("c");
    associate("a_asn.json", "spec3", "mine", "b_cal", "science", NULL);
    reduce("a");
    reduce("b");
    reduce("c");
    now += 2 * QUIET;
    is("spec3-mine-1", JOB_QUEUED);
    is("spec3-" HEADERS "-1", JOB_QUEUED);
    ck_assert_str_eq(reads("spec3-mine-1"), "b ");
    ck_assert_str_eq(reads("spec3-" HEADERS "-1"), "a c ");
}
END_TEST

/* Named as the group of the headers: the association decides what is in it. */
START_TEST(test_planner_association_of_the_groups_name)
{
    arrive("a");
    arrive("b");
    reduce("a");
    reduce("b");
    now += 2 * QUIET;
    combine("spec3-" HEADERS "-1");
    associate("a_asn.json", "spec3", HEADERS, "b_cal", "science", NULL);
    is("spec3-" HEADERS "-2", JOB_QUEUED);
    ck_assert_str_eq(reads("spec3-" HEADERS "-2"), "b ");
    combine("spec3-" HEADERS "-2");
    is("spec3-" HEADERS "-1", JOB_SUPERSEDED);
    is("spec3-" HEADERS "-3", JOB_NEW);
}
END_TEST

START_TEST(test_planner_association_newer_supersedes)
{
    struct queue_association a;
    arrive("a");
    arrive("b");
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", "b_cal", "science",
              NULL);
    reduce("a");
    reduce("b");
    combine("spec3-mine-1");
    associate("a2_asn.json", "spec3", "mine", "b_cal", "science",
              NULL); /* its product */
    combine("spec3-mine-2");
    ck_assert_str_eq(reads("spec3-mine-2"), "b ");
    support_ok(queue_get_association(q, "a_asn.json", &a, &err), &err);
    ck_assert_str_eq(a.state, "superseded");
    associate("a2_asn.json", "spec3", "other", "a_cal", "science", NULL); /* the file */
    combine("spec3-other-1");
    is("spec3-mine-3", JOB_NEW);
    now += 2 * QUIET; /* b belongs to its headers again */
    combine("spec3-" HEADERS "-1");
    ck_assert_str_eq(reads("spec3-" HEADERS "-1"), "b ");
    size_t n;
    support_ok(queue_prune_associations(q, now, 10, &n, &err), &err);
    ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(test_planner_association_mixed_dispersers)
{
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", "b_cal", "science",
              NULL);
    arrive("a");
    arrive_as("b", "science", "G235H");
    reduce("a");
    reduce("b");
    is("spec3-mine-1", JOB_HELD);
    const char *why = job("spec3-mine-1").message;
    ck_assert_msg(strstr(why,
                         "a_asn.json mixes dispersers: a_cal.fits has F290LP/G395H, "
                         "b_cal.fits has F290LP/G235H; expected is one"),
                  "%s", why);
    support_ok(queue_retry(q, job("spec3-mine-1").id, "again", now, &err), &err);
    is("spec3-mine-1", JOB_HELD);
    is("spec3-mine-2", JOB_NEW);
    now++;
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", NULL);
    combine("spec3-mine-2");
    is("spec3-mine-1", JOB_SUPERSEDED);
}
END_TEST

/* A member that failed is waited for, too. */
START_TEST(test_planner_association_failed_member)
{
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", "b_cal", "science",
              NULL);
    arrive("a");
    arrive("b");
    reduce("a");
    struct queue_job j = job("spec2-b-1");
    kit_move(q, j.id, JOB_RUNNING, now);
    kit_move(q, j.id, JOB_HELD, now);
    ck_assert_str_eq(waits("mine", false), "b_cal.fits (its spec2 is held)");
    proceed("mine");
    combine("spec3-mine-1");
    ck_assert_str_eq(reads("spec3-mine-1"), "a ");
    kit_move(q, j.id, JOB_QUEUED, now);
    reduce("b");
    combine("spec3-mine-2");
}
END_TEST

START_TEST(test_planner_association_background_spectra)
{
    associate("a_asn.json", "spec3", "mine", "a_cal", "science", "s_x1d", "background",
              NULL);
    arrive("a");
    reduce("a");
    ck_assert_str_eq(waits("mine", false), "s_x1d.fits (has not come)");
    arrive_as("s", "background", "G395H");
    reduce("s");
    ck_assert_str_eq(reads("spec3-mine-1"), "a background:s ");
    combine("spec3-mine-1");
    is("spec3-mine-2", JOB_NEW);
}
END_TEST

/* ---- spec2 ---- */

START_TEST(test_planner_association_spec2_waits_for_its_members)
{
    struct queue_job j;
    associate("b_asn.json", "spec2", "named", "a_rate", "science", "l_rate", "imprint",
              "s_rate", "background", NULL);
    arrive("a");
    now += 10 * QUIET;
    is("spec2-a-1", JOB_WAITING);
    ck_assert_str_eq(waits(HEADERS, true),
                     "imprint l_rate.fits (has not come), background s_rate.fits (has "
                     "not come), named by b_asn.json");
    arrive_as("s", "science", "G395H"); /* the role is the association's */
    ck_assert_str_eq(waits(HEADERS, true),
                     "imprint l_rate.fits (has not come), named by b_asn.json");
    arrive_as("l", "imprint", "G395H");
    is("spec2-a-1", JOB_QUEUED);
    j = job("spec2-a-1");
    ck_assert_str_eq(j.product, "named");
    ck_assert_str_eq(reads("spec2-a-1"), "imprint:l background:s ");
    reduce("a");
    is("spec2-a-2", JOB_NEW);
}
END_TEST

START_TEST(test_planner_association_spec2_proceeds)
{
    associate("b_asn.json", "spec2", "a", "a_rate", "science", "l_rate", "imprint",
              NULL);
    arrive("a");
    is("spec2-a-1", JOB_WAITING);
    proceed(HEADERS);
    is("spec2-a-1", JOB_QUEUED);
    ck_assert_str_eq(job("spec2-a-1").product, "");
    reduce("a");
    now += 5;
    arrive_as("l", "imprint", "G395H");
    is("spec2-a-2", JOB_QUEUED);
    ck_assert_str_eq(reads("spec2-a-2"), "imprint:l ");
}
END_TEST

/* The association comes last: what differs is made again. */
START_TEST(test_planner_association_spec2_comes_last)
{
    rules.imprints = true;
    arrive_as("l", "imprint", "G395H");
    arrive_as("k", "imprint", "G395H");
    arrive("a");
    reduce("a");
    now += 5;
    associate("b_asn.json", "spec2", "a", "a_rate", "science", "l_rate", "imprint",
              NULL);
    is("spec2-a-2", JOB_QUEUED);
    ck_assert_str_eq(reads("spec2-a-2"), "imprint:l ");
    reduce("a");
    now += 5;
    associate("b_asn.json", "spec2", "a", "a_rate", "science", "l_rate", "imprint",
              "z_rate", "target_acquisition", NULL);
    is("spec2-a-3", JOB_NEW); /* nothing differs */
}
END_TEST

START_TEST(test_planner_association_spec2_mixed)
{
    associate("b_asn.json", "spec2", "a", "a_rate", "science", "l_rate", "imprint",
              NULL);
    arrive_as("l", "imprint", "G235H");
    arrive("a");
    is("spec2-a-1", JOB_HELD);
    ck_assert_ptr_nonnull(
        strstr(job("spec2-a-1").message, "l_rate.fits has F290LP/G235H"));
    now += 5;
    associate("b_asn.json", "spec2", "a", "a_rate", "science", NULL);
    is("spec2-a-1", JOB_SUPERSEDED);
    is("spec2-a-2", JOB_QUEUED);
}
END_TEST

/* A spec3 that calls the exposure by the product's name. */
START_TEST(test_planner_association_names_a_product)
{
    arrive("a");
    associate("c_asn.json", "spec3", "mine", "renamed_cal", "science", NULL);
    ck_assert_str_eq(waits("mine", false), "renamed_cal.fits (has not come)");
    associate("b_asn.json", "spec2", "renamed", "a_rate", "science", NULL);
    ck_assert_str_eq(waits("mine", false), "renamed_cal.fits (to be reduced)");
    reduce("a");
    combine("spec3-mine-1");
    associate("b_asn.json", "spec2", "a", "a_rate", "science", NULL);
    ck_assert_str_eq(waits("mine", false), "renamed_cal.fits (has not come)");
}
END_TEST

/* ---- groups of the headers ---- */

START_TEST(test_planner_association_proceed_without)
{
    arrive("a");
    reduce("a");
    is("spec3-" HEADERS "-1", JOB_WAITING);
    proceed(HEADERS);
    combine("spec3-" HEADERS "-1");
    arrive("b");
    reduce("b");
    is("spec3-" HEADERS "-2", JOB_WAITING);
    bool known;
    support_ok(queue_proceed(q, "nobody", now, &known, &err), &err);
    ck_assert(!known);
}
END_TEST

/* Also what waits for leakage that may still come. */
START_TEST(test_planner_association_proceed_spec2_without)
{
    rules.imprints = true;
    rules.wait_seconds = 60;
    arrive("a");
    is("spec2-a-1", JOB_WAITING);
    proceed(HEADERS);
    is("spec2-a-1", JOB_QUEUED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("planner_association");
    TCase *t = tcase_create("planner_association");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_planner_association_whatever_the_order, 0, 3);
    tcase_add_test(t, test_planner_association_waits_for_ever_and_proceeds);
    tcase_add_test(t, test_planner_association_proceed_is_for_once);
    tcase_add_test(t, test_planner_association_takes_all_members);
    tcase_add_test(t, test_planner_association_takes_its_members);
    tcase_add_test(t, test_planner_association_of_the_groups_name);
    tcase_add_test(t, test_planner_association_newer_supersedes);
    tcase_add_test(t, test_planner_association_mixed_dispersers);
    tcase_add_test(t, test_planner_association_failed_member);
    tcase_add_test(t, test_planner_association_background_spectra);
    tcase_add_test(t, test_planner_association_spec2_waits_for_its_members);
    tcase_add_test(t, test_planner_association_spec2_proceeds);
    tcase_add_test(t, test_planner_association_spec2_comes_last);
    tcase_add_test(t, test_planner_association_spec2_mixed);
    tcase_add_test(t, test_planner_association_names_a_product);
    tcase_add_test(t, test_planner_association_proceed_without);
    tcase_add_test(t, test_planner_association_proceed_spec2_without);
    suite_add_tcase(s, t);
    return support_run(s);
}
