#include <check.h>
#include <string.h>
#include "common/base/params.h"

static const struct param table[] = {
    {"flag", PARAM_BOOL, "false", 0, 0, NULL, "", "a flag", false},
    {"count", PARAM_INT, "3", 1, 10, NULL, "", "a count", false},
    {"size", PARAM_REAL, "0.1", 0, 1e6, NULL, "arcsec", "a size", false},
    {"kind", PARAM_STRING, "none", 0, 0, "one|two", "", "a kind", true},
    {"center", PARAM_LIST, "none", 0, 0, NULL, "", "a place", true},
};

static struct params *fresh(void)
{
    struct params *p = NULL;
    ck_assert_int_eq(params_new(table, 5, &p, NULL), 0);
    return p;
}

static void refuse(const char *name, const char *text, const char *says)
{
    struct params *p = fresh();
    struct err err = {0};
    ck_assert_int_eq(params_set(p, name, text, &err), ERR_PARAM);
    ck_assert_msg(strstr(err.message, says) != NULL, "no '%s' in: %s", says,
                  err.message);
    params_free(p);
}

START_TEST(test_params_defaults_and_values)
{
    struct params *p = fresh();
    const double *list = NULL;
    ck_assert(!params_bool(p, "flag"));
    ck_assert_int_eq(params_int(p, "count"), 3);
    ck_assert_double_eq(params_real(p, "size"), 0.1);
    ck_assert(params_is_none(p, "kind") && !params_string(p, "kind"));
    ck_assert_uint_eq(params_list(p, "center", &list), 0);
    ck_assert_int_eq(params_set(p, "flag", "True", NULL), 0);
    ck_assert_int_eq(params_set(p, "kind", "two", NULL), 0);
    ck_assert_int_eq(params_set(p, "center", "1.5,-2", NULL), 0);
    ck_assert(params_bool(p, "flag"));
    ck_assert_str_eq(params_string(p, "kind"), "two");
    ck_assert_uint_eq(params_list(p, "center", &list), 2);
    ck_assert(list[0] == 1.5 && list[1] == -2);
    ck_assert_int_eq(params_set(p, "center", "None", NULL), 0);
    ck_assert_uint_eq(params_list(p, "center", &list), 0);
    params_free(p);
}
END_TEST

/* The text of a number is the shortest that reads back as the same. */
START_TEST(test_params_text_of_numbers)
{
    static const char *const texts[][2] = {
        {"100", "100"},   {"1e2", "100"},    {"0.10", "0.1"},
        {"250.0", "250"}, {"1e-9", "1e-09"}, {"0.30000000000000004", NULL},
    };
    struct params *p = fresh();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert_int_eq(params_set(p, "size", texts[i][0], NULL), 0);
        ck_assert_str_eq(params_text(p, "size"),
                         texts[i][1] ? texts[i][1] : texts[i][0]);
    }
    params_free(p);
}
END_TEST

START_TEST(test_params_refuse)
{
    refuse("siz", "1", "did you mean 'size'?");
    refuse("size", "-1", "outside 0 to 1e+06 arcsec");
    refuse("size", "nan", "finite");
    refuse("size", "none", "cannot be none");
    refuse("count", "2.5", "whole number");
    refuse("count", "11", "outside");
    refuse("flag", "maybe", "true or false");
    refuse("kind", "three", "one|two");
    refuse("center", "1,x", "center");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("params");
    TCase *t = tcase_create("params");
    tcase_add_test(t, test_params_defaults_and_values);
    tcase_add_test(t, test_params_text_of_numbers);
    tcase_add_test(t, test_params_refuse);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
