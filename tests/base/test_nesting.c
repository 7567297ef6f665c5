#include <check.h>
#include <string.h>
#include "common/base/nesting.h"
#include "tests/support.h"

static bool within(const char *text, int depth)
{
    return nesting_within(text, strlen(text), depth);
}

START_TEST(test_nesting_counts_open_brackets)
{
    ck_assert(within("", 0));
    ck_assert(within("{\"a\": [1, 2], \"b\": {}}", 2));
    ck_assert(!within("{\"a\": [1, 2], \"b\": {}}", 1));
    ck_assert(within("[][][][]", 1));
    ck_assert(!within("[[[", 2));
}
END_TEST

START_TEST(test_nesting_leaves_texts_out)
{
    ck_assert(within("[\"[[[{{{\"]", 1));
    ck_assert(within("[\"a\\\"[[[\"]", 1));
    ck_assert(within("\"\\", 0)); /* ends within an escape */
    ck_assert(!within("[\"\\\\\"[", 1));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nesting");
    TCase *t = tcase_create("nesting");
    tcase_add_test(t, test_nesting_counts_open_brackets);
    tcase_add_test(t, test_nesting_leaves_texts_out);
    suite_add_tcase(s, t);
    return support_run(s);
}
