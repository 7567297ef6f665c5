#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/inbox_names.h"
#include "tests/support.h"

static struct names names;

static void teardown(void)
{
    names_done(&names);
}

static struct names_file *add(const char *name, double due)
{
    struct names_file *f = names_add(&names, name);
    ck_assert_ptr_nonnull(f);
    names_put(&names, f, due);
    return f;
}

/* Take the first out of the heap. */
static const char *pop(void)
{
    struct names_file *f = names_first(&names);
    ck_assert_ptr_nonnull(f);
    names_pull(&names, f);
    return f->name;
}

START_TEST(test_names_by_time_then_in_their_order)
{
    add("late", 3);
    add("a", 1);
    add("b", 1);
    add("middle", 2);
    struct names_file *c = add("c", 9);
    names_put(&names, c, 1);
    static const char *const order[] = {"a", "b", "c", "middle", "late"};
    for (int i = 0; i < 5; i++) {
        ck_assert_str_eq(pop(), order[i]);
    }
    ck_assert_ptr_null(names_first(&names));
    ck_assert_uint_eq(names.n, 5); /* pulled, but there */
}
END_TEST

START_TEST(test_names_found_and_dropped)
{
    char any[] = "new\nline [1] \xff.fits";
    add("x", 1);
    struct names_file *f = add(any, 0.5);
    ck_assert_ptr_eq(names_find(&names, any), f);
    ck_assert_ptr_null(names_find(&names, "y"));
    names_drop(&names, f);
    ck_assert_ptr_null(names_find(&names, any));
    ck_assert_uint_eq(names.n, 1);
    ck_assert_str_eq(pop(), "x");
    names_drop(&names, names_find(&names, "x")); /* in no heap */
    ck_assert_uint_eq(names.n, 0);
}
END_TEST

/* 50,000 names in and out in any order; a list would need 10^9 steps. */
START_TEST(test_names_many)
{
    enum { MANY = 50000 };
    char name[40];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "jw%d_rate.fits", i);
        add(name, (double)((i * 7919L) % MANY));
    }
    for (int i = 0; i < MANY; i += 2) { /* half of them get another time */
        snprintf(name, sizeof name, "jw%d_rate.fits", i);
        names_put(&names, names_find(&names, name), (double)((i * 31L + 7) % MANY));
    }
    for (int i = 0; i < MANY; i += 5) {
        snprintf(name, sizeof name, "jw%d_rate.fits", i);
        names_drop(&names, names_find(&names, name));
    }
    double last = -1;
    size_t n = 0;
    for (struct names_file *f; (f = names_first(&names)); n++) {
        ck_assert_double_ge(f->due, last);
        last = f->due;
        names_drop(&names, f);
    }
    ck_assert_uint_eq(n, MANY - MANY / 5);
    ck_assert_uint_eq(names.n, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbox_names");
    TCase *t = tcase_create("names");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, test_names_by_time_then_in_their_order);
    tcase_add_test(t, test_names_found_and_dropped);
    tcase_add_test(t, test_names_many);
    suite_add_tcase(s, t);
    return support_run(s);
}
