#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include "daemon/reserve.h"
#include "tests/support.h"

#define MB ((int64_t)1 << 20)

static char *folder;
static int64_t bytes, inodes; /* free */
static struct reserve *r;
static struct err err;

static void setup(void)
{
    struct statvfs v;
    folder = support_folder();
    ck_assert_int_eq(statvfs(folder, &v), 0);
    bytes = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    inodes = v.f_files ? (int64_t)v.f_favail : 0;
}

static void teardown(void)
{
    reserve_close(r);
    support_remove(folder);
}

static void open_reserve(int64_t want_bytes, int64_t want_inodes)
{
    const struct reserve_place places[] = {{"spool_folder", folder}, {"other", "/"}};
    support_ok(reserve_open(places, 2, want_bytes, want_inodes, &r, &err), &err);
}

/* The disk is used by others: limits keep a quarter of what is free as a distance. */
START_TEST(test_reserve_bytes)
{
    open_reserve(bytes / 4, 0);
    ck_assert(reserve_look(r));
    ck_assert_str_eq(reserve_why(r), "");
    reserve_set(r, 2 * bytes, 0);
    ck_assert(!reserve_look(r));
    ck_assert_ptr_nonnull(strstr(reserve_why(r), "reserve_mb"));
    ck_assert_ptr_nonnull(strstr(reserve_why(r), folder));
    reserve_set(r, 0, 0); /* none is kept */
    ck_assert(reserve_look(r));
}
END_TEST

START_TEST(test_reserve_inodes)
{
    open_reserve(0, inodes ? 2 * inodes : 1);
    ck_assert(reserve_look(r) == (inodes == 0));
    ck_assert(inodes == 0 || strstr(reserve_why(r), "reserve_inodes"));
    reserve_set(r, 0, inodes / 4);
    ck_assert(reserve_look(r));
}
END_TEST

START_TEST(test_reserve_claims_add_up)
{
    char why[RESERVE_WHY] = "";
    open_reserve(bytes / 4, 0);
    ck_assert(reserve_claim(r, bytes / 2, why));
    ck_assert(!reserve_claim(r, bytes / 2, why));
    ck_assert_ptr_nonnull(strstr(why, "to be written"));
    ck_assert(reserve_look(r)); /* nothing is written yet */
    reserve_release(r, bytes / 2);
    ck_assert(reserve_claim(r, bytes / 2, why));
    ck_assert(!reserve_claim(r, INT64_MAX, why));
    ck_assert(!reserve_claim(r, -1, why));
}
END_TEST

START_TEST(test_reserve_does_not_flicker)
{
    /* low, then a little more room than the limit: still low */
    open_reserve(2 * bytes, 0);
    ck_assert(!reserve_look(r));
    reserve_set(r, bytes - bytes / 100, 0);
    ck_assert(!reserve_look(r));
    reserve_set(r, bytes / 2, 0);
    ck_assert(reserve_look(r));
}
END_TEST

START_TEST(test_reserve_a_place_that_is_gone_has_no_room)
{
    const struct reserve_place places[] = {{"spool_folder", "/nonexistent/x"}};
    char why[RESERVE_WHY];
    support_ok(reserve_open(places, 1, 1, 0, &r, &err), &err);
    ck_assert(!reserve_look(r));
    ck_assert_ptr_nonnull(strstr(reserve_why(r), "/nonexistent/x"));
    ck_assert(!reserve_claim(r, 1, why));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reserve");
    TCase *t = tcase_create("reserve");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_reserve_bytes);
    tcase_add_test(t, test_reserve_inodes);
    tcase_add_test(t, test_reserve_claims_add_up);
    tcase_add_test(t, test_reserve_does_not_flicker);
    tcase_add_test(t, test_reserve_a_place_that_is_gone_has_no_room);
    suite_add_tcase(s, t);
    return support_run(s);
}
