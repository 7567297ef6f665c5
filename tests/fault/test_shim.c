/* The shim strikes where it is told to, and the workload is the same each time: without
 * that the other tests of this folder would say nothing. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fault/workload.h"
#include "tests/support.h"

static struct workload w;

static void setup(void)
{
    workload_init(&w);
}

static void teardown(void)
{
    workload_done(&w);
}

START_TEST(test_shim_undisturbed_lives_are_alike)
{
    for (int phase = 0; phase < WORKLOAD_PHASES; phase++) {
        workload_restore(&w, phase);
        ck_assert_int_eq(workload_run(&w, &(struct life){.phase = phase}), LIFE_DONE);
        char *wrong = workload_check_end(&w, phase, false);
        ck_assert_msg(wrong == NULL, "%s", wrong);
        ck_assert_int_gt(atomic_load(&w.state->calls), 100);
    }
}
END_TEST

START_TEST(test_shim_kills_at_the_call_told)
{
    static const char *const actions[] = {"kill", "killall", "tear"};
    for (int i = 0; i < 3; i++) {
        struct life life = {.at = 20 + i, .span = 1, .action = actions[i]};
        workload_restore(&w, 0);
        ck_assert_int_eq(workload_run(&w, &life), LIFE_KILLED);
        ck_assert_int_eq(atomic_load(&w.state->calls), 20 + i);
        ck_assert_int_eq(atomic_load(&w.state->hits), 1);
    }
}
END_TEST

START_TEST(test_shim_fails_calls_as_told)
{
    struct life life = {.at = 1, .span = 0, .action = "ENOSPC"};
    workload_restore(&w, 0);
    ck_assert_int_eq(workload_run(&w, &life), LIFE_FAILED); /* no spool, no service */
    char *text = workload_text(&w);
    ck_assert_msg(strstr(text, "No space left on device") != NULL, "%s", text);
    free(text);
    life = (struct life){.at = 1, .span = 0, .action = "EIO", .name = "queue.db-wal"};
    workload_restore(&w, 0);
    ck_assert_int_eq(workload_run(&w, &life), LIFE_FAILED);
    ck_assert_int_gt(atomic_load(&w.state->hits), 0);
}
END_TEST

/* A picture that missed what goes wrong would prove nothing. */
START_TEST(test_shim_pictures_see_what_is_wrong)
{
    static const char *const harms[] = {
        "echo >>\"$(ls disk/products/*/*/*_cal.fits | head -1)\"",
        "rm disk/products/*/*/*_x1d.fits",
        "touch disk/products/01234/.x.1.part",
        "rm \"$(ls disk/spool/exposures/*/*_rate.fits | head -1)\"",
        "mkdir disk/spool/exposures/f && touch disk/spool/exposures/f/orphan.fits",
        "touch disk/spool/tmp/x",
        "rm disk/rejected/notes.txt",
        "rm disk/spool/queue.db"};
    for (size_t i = 0; i < sizeof harms / sizeof *harms; i++) {
        workload_restore(&w, 0);
        ck_assert_int_eq(workload_run(&w, &(struct life){0}), LIFE_DONE);
        workload_shell(&w, harms[i]);
        char *wrong = workload_check_end(&w, 0, false);
        ck_assert_msg(wrong != NULL, "not seen: %s", harms[i]);
        free(wrong);
    }
    workload_restore(&w, 0);
    workload_shell(&w, "rm disk/inbox/*1_nrs1_rate.fits");
    char *wrong = workload_check_dead(&w, 0);
    ck_assert(wrong != NULL && strstr(wrong, "lost"));
    free(wrong);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shim");
    TCase *t = tcase_create("shim");
    tcase_set_timeout(t, 300);
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_test(t, test_shim_undisturbed_lives_are_alike);
    tcase_add_test(t, test_shim_kills_at_the_call_told);
    tcase_add_test(t, test_shim_fails_calls_as_told);
    tcase_add_test(t, test_shim_pictures_see_what_is_wrong);
    suite_add_tcase(s, t);
    return support_run(s);
}
