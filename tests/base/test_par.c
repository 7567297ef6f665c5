#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include "common/base/par.h"
#include "tests/support.h"

static int square(size_t i, int thread, void *arg, struct err *err)
{
    (void)thread;
    (void)err;
    ((size_t *)arg)[i] = i * i;
    return 0;
}

static int fail_from_seven(size_t i, int thread, void *arg, struct err *err)
{
    (void)thread;
    (void)arg;
    return i >= 7 ? err_set(err, ERR_INPUT, "piece %zu", i) : 0;
}

START_TEST(test_par_every_piece_once)
{
    for (int threads = 1; threads <= 8; threads *= 2) {
        struct par *par = NULL;
        ck_assert_int_eq(par_new(threads, &par, NULL), 0);
        size_t out[1000];
        for (int round = 0; round < 50; round++) {
            for (size_t i = 0; i < 1000; i++) {
                out[i] = 1;
            }
            ck_assert_int_eq(par_for(par, 1000, square, out, NULL, NULL), 0);
            for (size_t i = 0; i < 1000; i++) {
                ck_assert_uint_eq(out[i], i * i);
            }
        }
        par_free(par);
    }
}
END_TEST

START_TEST(test_par_reports_lowest_failure)
{
    struct par *par = NULL;
    ck_assert_int_eq(par_new(4, &par, NULL), 0);
    struct err err;
    for (int round = 0; round < 100; round++) {
        ck_assert_int_eq(par_for(par, 100, fail_from_seven, NULL, NULL, &err),
                         ERR_INPUT);
        ck_assert_str_eq(err.message, "piece 7");
    }
    par_free(par);
}
END_TEST

START_TEST(test_par_cancel)
{
    atomic_bool cancel = true;
    size_t out[10] = {99};
    struct err err;
    ck_assert_int_eq(par_for(NULL, 10, square, out, &cancel, &err), ERR_CANCELLED);
    ck_assert_uint_eq(out[0], 99);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("par");
    TCase *t = tcase_create("par");
    tcase_add_test(t, test_par_every_piece_once);
    tcase_add_test(t, test_par_reports_lowest_failure);
    tcase_add_test(t, test_par_cancel);
    suite_add_tcase(s, t);
    return support_run(s);
}
