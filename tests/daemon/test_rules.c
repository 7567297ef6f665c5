#include "daemon/rules.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/work.h"
#include "stages/recipe.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

static struct config *config;
static struct err err;

static void take(const char *json)
{
    config_free(config);
    config = NULL;
    support_ok(config_parse(json, "test.json", &config, &err), &err);
}

static void setup(void)
{
    config = NULL;
}

static void teardown(void)
{
    config_free(config);
}

/* Is the stage built and on unless it is skipped? */
static bool built(const char *recipe, const char *stage)
{
    struct recipe_settings *s;
    int step;
    support_ok(recipe_step_find(recipe_find(recipe), stage, &step, &err), &err);
    support_ok(recipe_settings_new(recipe_find(recipe), &s, &err), &err);
    bool on = !recipe_is_skipped(s, step);
    recipe_settings_free(s);
    return on;
}

/* Observations that are combined; others, and other programs, are not. */
START_TEST(test_rules_observation_lists)
{
    static const struct {
        const char *program, *observation, *group, *visit;
    } is[] = {
        {"01234", "001", "jw01234-o001-002_t_nirspec_g395h-f290lp", "001003"},
        {"01234", "002", "jw01234-o001-002_t_nirspec_g395h-f290lp", "002003"},
        {"01234", "003", "own", "003"},
        {"05678", "001", "own", "003"},
        {"05678", "007", "jw05678-o005-006-007_t_nirspec_g395h-f290lp", "007003"},
    };
    take("{\"observation_lists\": [\"1234:1,002\", \"05678:5,6,7\"]}");
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        struct queue_exposure e = {.group = "own", .visit = "003", .target = "t"};
        strcpy(e.grating, "G395H");
        strcpy(e.filter, "F290LP");
        strcpy(e.program, is[i].program);
        strcpy(e.observation, is[i].observation);
        support_ok(rules_group(config, &e, &err), &err);
        ck_assert_str_eq(e.group, is[i].group);
        ck_assert_str_eq(e.visit, is[i].visit);
    }
}
END_TEST

START_TEST(test_rules_follow_the_keys)
{
    struct plan_rules r;
    take("{\"member_wait_seconds\": 3, \"group_quiet_seconds\": 5}");
    rules_of(config, &r);
    ck_assert_double_eq(r.wait_seconds, 3);
    ck_assert_double_eq(r.quiet_seconds, 5);
    ck_assert(r.linked && !r.off_scene && !r.in_spec3);
    ck_assert_int_eq(r.imprints, built("spec2", "imprint_subtract"));
    ck_assert_int_eq(r.backgrounds, built("spec2", "bkg_subtract"));
    ck_assert_int_eq(r.nods, r.backgrounds);
    take("{\"background_policy\": \"nearest\", \"nod_subtraction\": false,"
         " \"background_stage\": \"master_background\"}");
    rules_of(config, &r);
    ck_assert(r.linked && r.off_scene && r.in_spec3 && !r.nods);
    ck_assert_int_eq(r.backgrounds, built("spec3", "master_background"));
    take("{\"background_policy\": \"off\"}");
    rules_of(config, &r);
    ck_assert(!r.linked && !r.off_scene && r.combine);
    take("{\"combine_spectra\": false}");
    rules_of(config, &r);
    ck_assert(!r.combine);
}
END_TEST

START_TEST(test_rules_nobody_waits_for_what_is_skipped)
{
    struct plan_rules r;
    take("{\"spec2_settings\": [\"imprint_subtract.skip=true\","
         " \"bkg_subtract.skip=true\"], \"background_stage\":"
         " \"master_background\", \"spec3_settings\":"
         " [\"master_background.skip=true\"]}");
    rules_of(config, &r);
    ck_assert(!r.imprints && !r.nods && !r.backgrounds);
    take("{\"spec3_settings\": [\"extract_1d.skip=true\"]}");
    rules_of(config, &r);
    ck_assert(!r.combine); /* no spectra */
    take("{\"combine_settings\": [\"combine_1d.skip=true\"]}");
    rules_of(config, &r);
    ck_assert(!r.combine);
}
END_TEST

START_TEST(test_rules_other_ones_plan_anew)
{
    char *folder = support_folder();
    struct queue *q = kit_open(folder);
    bool planned;
    take("{\"member_wait_seconds\": 3}");
    support_ok(rules_apply(q, config, &err), &err);
    kit_accept(q, "a", 1, 1.0);
    kit_plan(q, 2.0, 1e9);
    support_ok(rules_apply(q, config, &err), &err);
    support_ok(queue_is_planned(q, &planned, &err), &err);
    ck_assert(planned); /* the same */
    take("{\"member_wait_seconds\": 4}");
    support_ok(rules_apply(q, config, &err), &err);
    support_ok(queue_is_planned(q, &planned, &err), &err);
    ck_assert(!planned);
    queue_close(q);
    support_remove(folder);
}
END_TEST

/* What the daemon is shipped with is what its recipes take, and what the manual says. */
START_TEST(test_rules_shipped_settings_are_valid)
{
    static const char *const names[] = {"spec2", "spec3"};
    char *json = support_read_file("config/ifud.json", NULL);
    char *manual = support_read_file("docs/operator.md", NULL);
    take(json);
    free(json);
    for (int k = 0; k < 2; k++) {
        struct recipe_settings *s;
        struct job job = {0};
        support_ok(recipe_settings_new(recipe_find(names[k]), &s, &err), &err);
        support_ok(work_settings(config, names[k], &job, &err), &err);
        for (size_t i = 0; i < job.n_settings; i++) {
            const struct job_setting *set = &job.settings[i];
            char row[200];
            support_ok(recipe_set(s, set->stage, set->name, set->value, &err), &err);
            snprintf(row, sizeof row, "| `%s.%s=%s` |", set->stage, set->name,
                     set->value);
            ck_assert_msg(strstr(manual, row) != NULL, "no row %s", row);
        }
        ck_assert_uint_gt(job.n_settings, 0);
        job_done(&job);
        recipe_settings_free(s);
    }
    free(manual);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("rules");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_rules_follow_the_keys);
    tcase_add_test(t, test_rules_observation_lists);
    tcase_add_test(t, test_rules_nobody_waits_for_what_is_skipped);
    tcase_add_test(t, test_rules_other_ones_plan_anew);
    tcase_add_test(t, test_rules_shipped_settings_are_valid);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
