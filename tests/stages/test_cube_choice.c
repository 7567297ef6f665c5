#include <check.h>
#include <string.h>
#include "stages/cube_choice.h"
#include "stages/stage.h"
#include "tests/support.h"

static struct params *params;

static void setup(void)
{
    struct err err = {0};
    support_ok(
        params_new(stage_cube_build.params, stage_cube_build.n_params, &params, &err),
        &err);
}

static void teardown(void)
{
    params_free(params);
}

static struct cube_choice choose(const char *grating, const char *filter)
{
    struct err err = {0};
    struct cube_choice c;
    support_ok(params_set(params, "grating", grating, &err), &err);
    support_ok(params_set(params, "filter", filter, &err), &err);
    support_ok(cube_choice_read(params, &c, &err), &err);
    return c;
}

/* By default everything goes, also what has no name here. */
START_TEST(test_cube_choice_all)
{
    const char *const all[] = {"all", "ALL", "", "g140m,all"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct cube_choice c = choose(all[i], "all");
        ck_assert(cube_choice_takes(&c, "G140M", "F070LP"));
        ck_assert(cube_choice_takes(&c, "PRISM", "CLEAR"));
        ck_assert(cube_choice_takes(&c, "MIRROR", "F110W"));
    }
}
END_TEST

/* One name of each, as in the peer; lists; one parameter alone. */
START_TEST(test_cube_choice_names)
{
    struct cube_choice c = choose("g395h", "f290lp");
    ck_assert(cube_choice_takes(&c, "G395H", "F290LP"));
    ck_assert(!cube_choice_takes(&c, "G395M", "F290LP"));
    ck_assert(!cube_choice_takes(&c, "G395H", "OPAQUE"));
    ck_assert(!cube_choice_takes(&c, "", ""));
    c = choose("G140H, prism", "f100lp,clear");
    ck_assert(cube_choice_takes(&c, "G140H", "F100LP"));
    ck_assert(cube_choice_takes(&c, "PRISM", "CLEAR"));
    ck_assert(!cube_choice_takes(&c, "G140H", "F070LP"));
    c = choose("g235h", "all");
    ck_assert(cube_choice_takes(&c, "G235H", "F170LP"));
    ck_assert(!cube_choice_takes(&c, "G235M", "F170LP"));
    c = choose("all", "f170lp");
    ck_assert(cube_choice_takes(&c, "G235M", "F170LP"));
    ck_assert(!cube_choice_takes(&c, "G395M", "F290LP"));
}
END_TEST

START_TEST(test_cube_choice_unknown)
{
    struct cube_choice c;
    struct err err = {0};
    support_ok(params_set(params, "grating", "g140m,g395", &err), &err);
    ck_assert_int_eq(cube_choice_read(params, &c, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "grating = 'g140m,g395': 'g395'"));
    ck_assert_ptr_nonnull(strstr(err.message, "g395m g395h prism"));
    support_ok(params_set(params, "grating", "all", &err), &err);
    support_ok(params_set(params, "filter", "f290lpp", &err), &err);
    ck_assert_int_eq(cube_choice_read(params, &c, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "clear opaque"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_choice");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cube_choice_all);
    tcase_add_test(t, test_cube_choice_names);
    tcase_add_test(t, test_cube_choice_unknown);
    suite_add_tcase(s, t);
    return support_run(s);
}
