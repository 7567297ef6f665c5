#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "stages/recipe.h"
#include "tests/support.h"

static struct recipe_settings *settings_of(const char *name)
{
    struct recipe_settings *s = NULL;
    struct err err = {0};
    ck_assert_msg(recipe_settings_new(recipe_find(name), &s, &err) == 0, "%s",
                  err.message);
    return s;
}

static int step_of(const char *recipe, const char *stage)
{
    int i = -1;
    ck_assert_int_eq(recipe_step_find(recipe_find(recipe), stage, &i, NULL), 0);
    return i;
}

/* Every parameter of every stage has a default that its own table accepts. */
START_TEST(test_recipe_tables_are_sound)
{
    int n = 0;
    for (const struct recipe *r = recipes; r->name; r++, n++) {
        recipe_settings_free(settings_of(r->name));
        for (int i = 0; i < r->n_steps; i++) {
            const struct recipe_step *step = &r->steps[i];
            ck_assert_int_eq(strncmp(step->status_keyword, "S_", 2), 0);
            ck_assert_uint_le(strlen(step->status_keyword), 8);
            if (step->stage) {
                ck_assert_str_eq(step->stage->name, step->name);
                ck_assert_str_eq(step->stage->status_keyword, step->status_keyword);
                ck_assert(step->stage->run != NULL);
            }
        }
    }
    ck_assert_int_eq(n, 3);
    ck_assert_ptr_null(recipe_find("spec4"));
}
END_TEST

/* A text without choices names a file, which pinned jobs make absolute by its unit, or is a
 * list of names. */
START_TEST(test_recipe_paths_are_known_as_such)
{
    int paths = 0;
    for (const struct recipe *r = recipes; r->name; r++) {
        for (int i = 0; i < r->n_steps; i++) {
            const struct stage *stage = r->steps[i].stage;
            for (size_t k = 0; stage && k < stage->n_params; k++) {
                const struct param *p = &stage->params[k];
                if (p->type == PARAM_STRING && !p->choices) {
                    const bool is_path = !strcmp(p->unit, "file");
                    ck_assert_msg(is_path || !strcmp(p->unit, "names"), "%s.%s",
                                  stage->name, p->name);
                    paths += is_path;
                }
            }
        }
    }
    ck_assert_int_ge(paths, 4);
}
END_TEST

START_TEST(test_recipe_order_is_the_peers)
{
    static const char *const order[] = {"assign_wcs", "srctype", "flat_field",
                                        "pathloss",   "photom",  "cube_build",
                                        "extract_1d"};
    for (size_t i = 1; i < sizeof order / sizeof *order; i++) {
        ck_assert_int_lt(step_of("spec2", order[i - 1]), step_of("spec2", order[i]));
    }
    ck_assert_int_eq(step_of("spec2", "nsclean"),
                     step_of("spec2", "clean_flicker_noise"));
}
END_TEST

START_TEST(test_recipe_skip)
{
    struct recipe_settings *s = settings_of("spec2");
    struct err err = {0};
    int clean = step_of("spec2", "nsclean"), photom = step_of("spec2", "photom");
    ck_assert(recipe_is_skipped(s, clean)); /* off, as in the peer */
    ck_assert_int_eq(recipe_set(s, "nsclean", "skip", "False", &err), 0);
    ck_assert(!recipe_is_skipped(s, clean));
    ck_assert(!recipe_is_skipped(s, photom));
    ck_assert_int_eq(recipe_set(s, "photom", "skip", "true", &err), 0);
    ck_assert(recipe_is_skipped(s, photom));
    ck_assert_int_eq(recipe_set(s, "photom", "skip", "perhaps", &err), ERR_PARAM);
    recipe_settings_free(s);
    s = settings_of("spec3");
    ck_assert_int_eq(recipe_set(s, "assign_wcs", "skip", "true", &err), ERR_PARAM);
    ck_assert_int_eq(recipe_set(s, "assign_mtwcs", "skip", "true", &err), 0);
    ck_assert_int_eq(recipe_set(s, "assign_mtwcs", "skip", "False", &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "not built"));
    ck_assert_int_eq(recipe_set(s, "assign_mtwcs", "suffix", "x", &err), ERR_PARAM);
    recipe_settings_free(s);
}
END_TEST

START_TEST(test_recipe_unknown_names_are_answered_with_the_nearest)
{
    struct recipe_settings *s = settings_of("spec2");
    struct err err = {0};
    ck_assert_int_eq(recipe_set(s, "flatfield", "inverse", "true", &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean 'flat_field'?"));
    ck_assert_int_eq(recipe_set(s, "flat_field", "invers", "true", &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean 'inverse'?"));
    ck_assert_int_eq(recipe_set(s, "flat_field", "inverse", "maybe", &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "flat_field: inverse"));
    recipe_settings_free(s);
}
END_TEST

START_TEST(test_recipe_overrides)
{
    struct recipe_settings *s = settings_of("spec2");
    struct err err = {0};
    ck_assert_ptr_null(recipe_override(s, "photom", "photom"));
    ck_assert_int_eq(recipe_set(s, "photom", "override_photom", "a.fits", &err), 0);
    ck_assert_int_eq(recipe_set(s, "photom", "override_photom", "b.fits", &err), 0);
    ck_assert_str_eq(recipe_override(s, "photom", "photom"), "b.fits");
    ck_assert_ptr_null(recipe_override(s, "flat_field", "photom"));
    ck_assert_int_eq(recipe_set(s, "photom", "override_camera", "c.asdf", &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "photom, area"));
    ck_assert_int_eq(recipe_set(s, "photom", "override_area", "", &err), ERR_PARAM);
    recipe_settings_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recipe");
    TCase *t = tcase_create("recipe");
    tcase_add_test(t, test_recipe_tables_are_sound);
    tcase_add_test(t, test_recipe_paths_are_known_as_such);
    tcase_add_test(t, test_recipe_order_is_the_peers);
    tcase_add_test(t, test_recipe_skip);
    tcase_add_test(t, test_recipe_unknown_names_are_answered_with_the_nearest);
    tcase_add_test(t, test_recipe_overrides);
    suite_add_tcase(s, t);
    return support_run(s);
}
