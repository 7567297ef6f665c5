#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/lifecycle.h"
#include "daemon/messages.h"
#include "tests/support.h"

START_TEST(test_messages_have_ids_of_their_own)
{
    for (int i = 0; i < MESSAGE_N; i++) {
        const char *id = message_id((enum message)i);
        ck_assert_uint_eq(strlen(id), 32);
        for (int k = 0; k < 32; k++) {
            ck_assert(isdigit(id[k]) || (id[k] >= 'a' && id[k] <= 'f'));
        }
        for (int k = 0; k < i; k++) {
            ck_assert_str_ne(id, message_id((enum message)k));
            ck_assert_str_ne(message_name((enum message)i),
                             message_name((enum message)k));
        }
    }
}
END_TEST

START_TEST(test_messages_of_jobs_go_by_the_state)
{
    ck_assert_str_eq(message_id_of_job(job_state_name(JOB_DONE)),
                     message_id(MESSAGE_JOB_DONE));
    ck_assert_str_eq(message_id_of_job(job_state_name(JOB_QUARANTINED)),
                     message_id(MESSAGE_JOB_QUARANTINED));
    ck_assert_ptr_null(message_id_of_job("started")); /* no state */
}
END_TEST

START_TEST(test_messages_are_explained)
{
    char *catalog = support_read_file("systemd/ifud.catalog", NULL);
    char *manual = support_read_file("docs/operator.md", NULL);
    for (int i = 0; i < MESSAGE_N; i++) {
        char entry[64], row[100];
        snprintf(entry, sizeof entry,
                 "\n-- %s\nSubject: ", message_id((enum message)i));
        ck_assert_msg(strstr(catalog, entry) != NULL, "no entry %s in the catalog",
                      message_name((enum message)i));
        snprintf(row, sizeof row, "| `%s` | `%s` |", message_name((enum message)i),
                 message_id((enum message)i));
        ck_assert_msg(strstr(manual, row) != NULL, "no row %s in docs/operator.md",
                      row);
    }
    free(catalog);
    free(manual);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("messages");
    TCase *t = tcase_create("messages");
    tcase_add_test(t, test_messages_have_ids_of_their_own);
    tcase_add_test(t, test_messages_of_jobs_go_by_the_state);
    tcase_add_test(t, test_messages_are_explained);
    suite_add_tcase(s, t);
    return support_run(s);
}
