#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/lifecycle.h"
#include "tests/support.h"

START_TEST(test_lifecycle_jobs_have_no_dead_end)
{
    /* only superseded is one, and nothing leads back to new */
    for (int s = 0; s < JOB_STATES; s++) {
        bool leaves = false;
        for (int t = 0; t < JOB_STATES; t++) {
            leaves |= job_may_move((enum job_state)s, (enum job_state)t);
        }
        ck_assert_int_eq(leaves, s != JOB_SUPERSEDED);
        ck_assert(!job_may_move((enum job_state)s, JOB_NEW));
        ck_assert_int_eq(job_state_of(job_state_name((enum job_state)s)), s);
    }
    ck_assert_int_eq(job_state_of("nonsense"), JOB_STATES);
}
END_TEST

START_TEST(test_lifecycle_files_end_in_one_state)
{
    for (int s = 0; s < FILE_STATES; s++) {
        bool leaves = false;
        for (int t = 0; t < FILE_STATES; t++) {
            leaves |= file_may_move((enum file_state)s, (enum file_state)t);
        }
        ck_assert_int_eq(leaves,
                         s != FILE_DUPLICATE && s != FILE_REJECTED && s != FILE_GONE);
        ck_assert(!file_may_move((enum file_state)s, FILE_NEW));
        ck_assert_int_eq(file_state_of(file_state_name((enum file_state)s)), s);
    }
    ck_assert_int_eq(file_state_of("nonsense"), FILE_STATES);
}
END_TEST

/* Is "| from | to | when |" a line of the page? */
static void is_listed(const char *page, const char *from, const char *to,
                      const char *when)
{
    char line[300];
    snprintf(line, sizeof line, "\n| %s | %s | %s |\n", from, to, when);
    ck_assert_msg(strstr(page, line) != NULL, "docs/lifecycle.md lacks %s", line);
}

/* Rows of the table under a heading, up to the next one. */
static size_t rows_below(const char *page, const char *heading)
{
    const char *at = strstr(page, heading);
    ck_assert_ptr_nonnull(at);
    at = strstr(at, "\n| from | to | when |\n|---|---|---|\n");
    ck_assert_ptr_nonnull(at);
    at = strchr(strstr(at, "|---|---|---|"), '\n') + 1;
    size_t n = 0;
    while (*at == '|') {
        n++;
        at = strchr(at, '\n') + 1;
    }
    return n;
}

START_TEST(test_lifecycle_page_lists_both_tables)
{
    char *page = support_read_file("docs/lifecycle.md", NULL);
    for (size_t i = 0; i < job_transitions_n; i++) {
        const struct job_transition *t = &job_transitions[i];
        is_listed(page, job_state_name(t->from), job_state_name(t->to), t->when);
    }
    for (size_t i = 0; i < file_transitions_n; i++) {
        const struct file_transition *t = &file_transitions[i];
        is_listed(page, file_state_name(t->from), file_state_name(t->to), t->when);
    }
    ck_assert_uint_eq(rows_below(page, "\n## Files and exposures\n"),
                      file_transitions_n);
    ck_assert_uint_eq(rows_below(page, "\n## Jobs\n"), job_transitions_n);
    free(page);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lifecycle");
    TCase *t = tcase_create("lifecycle");
    tcase_add_test(t, test_lifecycle_jobs_have_no_dead_end);
    tcase_add_test(t, test_lifecycle_files_end_in_one_state);
    tcase_add_test(t, test_lifecycle_page_lists_both_tables);
    suite_add_tcase(s, t);
    return support_run(s);
}
