#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/err.h"
#include "tests/support.h"

START_TEST(test_err_set_and_prefix)
{
    struct err err = {0};
    ck_assert_int_eq(err_set(&err, ERR_INPUT, "%s is %d", "NAXIS", 3), ERR_INPUT);
    ck_assert_int_eq(err.code, ERR_INPUT);
    ck_assert_str_eq(err.message, "NAXIS is 3");
    ck_assert_int_eq(err_prefix(&err, "%s", "a.fits"), ERR_INPUT);
    ck_assert_str_eq(err.message, "a.fits: NAXIS is 3");
}
END_TEST

START_TEST(test_err_is_one_line)
{
    struct err err = {0};
    err_set(&err, ERR_IO, "two\nlines\r");
    ck_assert_str_eq(err.message, "two lines ");
}
END_TEST

START_TEST(test_err_long_messages_are_cut)
{
    struct err err = {0};
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&err, ERR_IO, "%s", text);
    ck_assert_uint_eq(strlen(err.message), sizeof err.message - 1);
    err_prefix(&err, "%s", text);
    ck_assert_uint_eq(strlen(err.message), sizeof err.message - 1);
}
END_TEST

START_TEST(test_err_may_be_null)
{
    ck_assert_int_eq(err_set(NULL, ERR_NODATA, "x"), ERR_NODATA);
    ck_assert_int_eq(err_prefix(NULL, "x"), ERR_BUG);
}
END_TEST

START_TEST(test_err_names_round_trip)
{
    for (int code = ERR_BUG; code <= 0; code++) {
        ck_assert_str_ne(err_name(code), "unknown");
        ck_assert_int_eq(err_code_of(err_name(code)), code);
    }
    ck_assert_str_eq(err_name(17), "unknown");
    ck_assert_int_eq(err_code_of("none of them"), ERR_BUG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("err");
    TCase *t = tcase_create("err");
    tcase_add_test(t, test_err_set_and_prefix);
    tcase_add_test(t, test_err_is_one_line);
    tcase_add_test(t, test_err_long_messages_are_cut);
    tcase_add_test(t, test_err_may_be_null);
    tcase_add_test(t, test_err_names_round_trip);
    suite_add_tcase(s, t);
    return support_run(s);
}
