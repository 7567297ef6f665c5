#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "tests/support.h"

START_TEST(test_mem_products_are_checked)
{
    size_t n = 7;
    ck_assert_int_eq(mem_mul(1u << 20, 1u << 20, &n), 0);
    ck_assert_uint_eq(n, (size_t)1 << 40);
    ck_assert_int_eq(mem_mul(SIZE_MAX / 2, 3, &n), ERR_NOMEM);
    ck_assert_uint_eq(n, (size_t)1 << 40); /* untouched */
}
END_TEST

START_TEST(test_mem_overflow_is_refused)
{
    struct err err = {0};
    ck_assert_ptr_null(mem_calloc(SIZE_MAX / 4, 8, &err));
    ck_assert_int_eq(err.code, ERR_NOMEM);
    ck_assert_ptr_null(mem_alloc(SIZE_MAX / 4, 8, &err));
    char *p = mem_alloc(4, 1, &err);
    memcpy(p, "abc", 4);
    ck_assert_ptr_null(mem_realloc(p, SIZE_MAX / 4, 8, &err));
    ck_assert_str_eq(p, "abc"); /* still valid */
    free(p);
}
END_TEST

START_TEST(test_mem_nothing_is_something)
{
    struct err err = {0};
    void *p = mem_calloc(0, 8, &err), *q = mem_alloc(0, 8, &err);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(q);
    p = mem_realloc(p, 0, 8, &err);
    ck_assert_ptr_nonnull(p);
    free(p);
    free(q);
}
END_TEST

START_TEST(test_mem_zeroed_and_aligned)
{
    const size_t n = 100003;
    int *zeros = mem_calloc(n, sizeof *zeros, NULL);
    float *large = mem_alloc(n, sizeof *large, NULL);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(zeros[i], 0);
    }
    ck_assert_uint_eq((uintptr_t)large % 64, 0);
    free(zeros);
    free(large);
}
END_TEST

START_TEST(test_mem_strings)
{
    char *a = mem_strdup("abc", NULL), *b = mem_strndup("abcdef", 2, NULL);
    char *c = mem_printf(NULL, "%s-%d", a, 7);
    ck_assert_str_eq(a, "abc");
    ck_assert_str_eq(b, "ab");
    ck_assert_str_eq(c, "abc-7");
    free(a);
    free(b);
    free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mem");
    TCase *t = tcase_create("mem");
    tcase_add_test(t, test_mem_products_are_checked);
    tcase_add_test(t, test_mem_overflow_is_refused);
    tcase_add_test(t, test_mem_nothing_is_something);
    tcase_add_test(t, test_mem_zeroed_and_aligned);
    tcase_add_test(t, test_mem_strings);
    suite_add_tcase(s, t);
    return support_run(s);
}
