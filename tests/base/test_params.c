#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/params.h"
#include "tests/support.h"

static const struct param table[] = {
    {.name = "subtract_background",
     .type = PARAM_BOOL,
     .fallback = "none",
     .may_be_none = true,
     .unit = "",
     .doc = "take the annulus off"},
    {.name = "skip",
     .type = PARAM_BOOL,
     .fallback = "false",
     .unit = "",
     .doc = "leave out"},
    {.name = "threads",
     .type = PARAM_INT,
     .fallback = "2",
     .min = 1,
     .max = 64,
     .unit = "",
     .doc = "inner threads"},
    {.name = "scale",
     .type = PARAM_REAL,
     .fallback = "0.1",
     .min = 0.001,
     .max = 10,
     .unit = "arcsec",
     .doc = "spaxel"},
    {.name = "weighting",
     .type = PARAM_STRING,
     .fallback = "drizzle",
     .choices = "drizzle|emsm|msm",
     .unit = "",
     .doc = "how"},
    {.name = "wavelengths",
     .type = PARAM_LIST,
     .fallback = "none",
     .may_be_none = true,
     .unit = "um",
     .doc = "which"},
};

static struct params *p;
static struct err err;

static void setup(void)
{
    err = (struct err){0};
    support_ok(params_new(table, sizeof table / sizeof *table, &p, &err), &err);
}

static void teardown(void)
{
    params_free(p);
}

static void set(const char *name, const char *text)
{
    support_ok(params_set(p, name, text, &err), &err);
}

static void refused(const char *name, const char *text, const char *says)
{
    ck_assert_int_eq(params_set(p, name, text, &err), ERR_PARAM);
    ck_assert_msg(strstr(err.message, says) != NULL, "'%s' does not say '%s'",
                  err.message, says);
}

START_TEST(test_params_defaults)
{
    const double *list;
    ck_assert(params_is_none(p, "subtract_background"));
    ck_assert(!params_bool(p, "skip"));
    ck_assert_int_eq(params_int(p, "threads"), 2);
    ck_assert_double_eq(params_real(p, "scale"), 0.1);
    ck_assert_str_eq(params_string(p, "weighting"), "drizzle");
    ck_assert_uint_eq(params_list(p, "wavelengths", &list), 0);
}
END_TEST

START_TEST(test_params_set)
{
    const double *list;
    set("skip", "True");
    ck_assert(params_bool(p, "skip"));
    set("skip", "0");
    ck_assert(!params_bool(p, "skip"));
    set("threads", "8");
    ck_assert_int_eq(params_int(p, "threads"), 8);
    set("scale", "5e-2");
    ck_assert_double_eq(params_real(p, "scale"), 0.05);
    ck_assert_str_eq(params_text(p, "scale"), "0.05"); /* canonical */
    support_ok(params_set(p, "scale", "10.0", &err), &err);
    ck_assert_str_eq(params_text(p, "scale"), "10"); /* not 1e+01 */
    support_ok(params_set(p, "scale", "0.05", &err), &err);
    set("weighting", "emsm");
    ck_assert_str_eq(params_text(p, "weighting"), "emsm");
    set("wavelengths", "1.5,2,3e0");
    ck_assert_uint_eq(params_list(p, "wavelengths", &list), 3);
    ck_assert_double_eq(list[0], 1.5);
    ck_assert_double_eq(list[2], 3);
    set("wavelengths", "None");
    ck_assert(params_is_none(p, "wavelengths"));
}
END_TEST

START_TEST(test_params_refused_values_change_nothing)
{
    refused("threads", "0", "outside 1 to 64");
    refused("threads", "2.5", "whole number");
    refused("threads", "two", "not a finite number");
    refused("threads", "none", "cannot be none");
    refused("scale", "nan", "not a finite number");
    refused("scale", "11", "arcsec");
    refused("scale", "0.1 arcsec", "not a finite number");
    refused("skip", "maybe", "true or false");
    refused("weighting", "drizz", "drizzle|emsm|msm");
    refused("weighting", "drizzle|emsm", "drizzle|emsm|msm");
    refused("wavelengths", "1,x", "not a finite number");
    ck_assert_int_eq(params_int(p, "threads"), 2);
    ck_assert_double_eq(params_real(p, "scale"), 0.1);
    ck_assert_str_eq(params_string(p, "weighting"), "drizzle");
    ck_assert(params_is_none(p, "wavelengths"));
}
END_TEST

START_TEST(test_params_unknown_names)
{
    refused("weigthing", "msm", "did you mean 'weighting'?");
    refused("zzzzzzzzzzzzzzzzzzzzzzz", "1", "no parameter");
    ck_assert_ptr_null(strstr(err.message, "did you mean"));
    ck_assert_str_eq(params_nearest(table, 6, "thread"), "threads");
}
END_TEST

START_TEST(test_params_bad_table)
{
    static const struct param bad[] = {{.name = "x",
                                        .type = PARAM_INT,
                                        .fallback = "9",
                                        .min = 1,
                                        .max = 5,
                                        .unit = "",
                                        .doc = "its default is out of bounds"}};
    struct params *q = NULL;
    ck_assert_int_eq(params_new(bad, 1, &q, &err), ERR_PARAM);
    ck_assert_ptr_null(q);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("params");
    TCase *t = tcase_create("params");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_params_defaults);
    tcase_add_test(t, test_params_set);
    tcase_add_test(t, test_params_refused_values_change_nothing);
    tcase_add_test(t, test_params_unknown_names);
    tcase_add_test(t, test_params_bad_table);
    suite_add_tcase(s, t);
    return support_run(s);
}
