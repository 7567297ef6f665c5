#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "cli/ctl_text.h"
#include "tests/support.h"

/* What `ifuctl reduce --stale` prints of an answer. The caller frees. */
static char *reduced(const char *json)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    json_t *answer = json_loads(json, 0, NULL);
    ck_assert_ptr_nonnull(answer);
    ctl_print_reduced(out, answer);
    fclose(out);
    json_decref(answer);
    return text;
}

/* After a start or a reload not all may be known yet. */
START_TEST(test_ctl_text_stale_says_that_there_may_be_more)
{
    char *text = reduced("{\"queued\": [{\"job\": \"a-2\", \"instead_of\": \"a-1\"}]}");
    ck_assert_str_eq(text, "a-2 takes the place of a-1\n");
    free(text);
    text = reduced("{\"queued\": [], \"refused\": 0, \"looking\": true}");
    ck_assert_str_eq(text,
                     "nothing of that is stale\nall products are being looked at; "
                     "ask again for those that turn out to be stale\n");
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ctl_text_stale");
    TCase *t = tcase_create("ctl_text_stale");
    tcase_add_test(t, test_ctl_text_stale_says_that_there_may_be_more);
    suite_add_tcase(s, t);
    return support_run(s);
}
