#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/request.h"
#include "tests/support.h"

static struct request r;
static struct err err;

static int parse(const char *text)
{
    err = (struct err){0};
    return request_parse(text, strlen(text), &r, &err);
}

static void refused(const char *text, const char *why)
{
    ck_assert_int_eq(parse(text), ERR_PARAM);
    ck_assert_msg(strstr(err.message, why) != NULL, "%s: %s", text, err.message);
}

START_TEST(test_request_members)
{
    ck_assert_int_eq(
        parse("{\"request\": \"events\", \"job\": \"j\", \"after\": -7, \"limit\": 3,"
              " \"all\": true, \"priority\": -2, \"reason\": \"r\"}"),
        0);
    ck_assert_str_eq(r.verb, "events");
    ck_assert_str_eq(r.job, "j");
    ck_assert_str_eq(r.reason, "r");
    ck_assert(r.has_after && r.after == -7 && r.limit == 3 && r.all);
    ck_assert(r.has_priority && r.priority == -2);
    ck_assert_ptr_null(r.program);
    request_done(&r);
    ck_assert_ptr_null(r.verb);
    ck_assert_int_eq(parse("{\"request\": \"p\", \"priority\": 99999999999}"), 0);
    ck_assert_int_eq(r.priority, 1000); /* for the queue to refuse, not to wrap */
    request_done(&r);
}
END_TEST

START_TEST(test_request_refusals_say_what_is_wrong)
{
    refused("", "no JSON");
    refused("hello", "no JSON");
    refused("[1]", "no JSON object");
    refused("null", "no JSON object {...}: '[' or '{' expected near 'null'");
    refused("{}", "no \"request\"");
    refused("{\"request\": 3}", "\"request\" must be text");
    refused("{\"request\": \"show\", \"job\": 3}", "\"job\" must be text");
    refused("{\"request\": \"show\", \"limit\": 1.5}", "must be a whole number");
    refused("{\"request\": \"show\", \"all\": 1}", "must be true or false");
    refused("{\"request\": \"show\", \"jab\": \"x\"}", "no member 'jab'");
    refused("{\"request\": \"a\", \"request\": \"b\"}",
            "duplicate object key"); /* which one? */
    refused("{\"request\": \"status\"} x", "no JSON");
    refused("{\"request\": \"\\u0000\"}", "no JSON"); /* NUL in a text */
    refused("{\"request\": \"\xff\xfe\"}", "no JSON");
}
END_TEST

START_TEST(test_request_nul_bytes_are_no_end)
{
    static const char text[] = "{\"request\": \"status\"}\0{";
    ck_assert_int_eq(request_parse(text, sizeof text - 1, &r, &err), ERR_PARAM);
    ck_assert_int_eq(request_parse("\0", 1, &r, &err), ERR_PARAM);
}
END_TEST

START_TEST(test_request_depth_is_bounded_before_parsing)
{
    char deep[4096];
    memset(deep, '[', sizeof deep);
    ck_assert_int_eq(request_parse(deep, sizeof deep, &r, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "deeper than 8"));
    refused("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}",
            "deeper than 8");
    refused("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}", "member 'a'");
    /* brackets in texts are none, whatever is escaped there */
    ck_assert_int_eq(parse("{\"request\": \"\\\\\\\"[[[[[[[[[[[[[[[\"}"), 0);
    ck_assert_str_eq(r.verb, "\\\"[[[[[[[[[[[[[[[");
    request_done(&r);
    refused("{\"request\": \"\\\\\", \"a\": [[[[[[[[[[", "deeper than 8");
    refused("\"\\", "no JSON");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("request");
    TCase *t = tcase_create("request");
    tcase_add_test(t, test_request_members);
    tcase_add_test(t, test_request_refusals_say_what_is_wrong);
    tcase_add_test(t, test_request_nul_bytes_are_no_end);
    tcase_add_test(t, test_request_depth_is_bounded_before_parsing);
    suite_add_tcase(s, t);
    return support_run(s);
}
