#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/kept.h"
#include "daemon/retention.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

/* Versions of one spec2 that publish under the same names, in a real folder. */

#define DAY 86400.0

static char *folder, *products;
static struct queue *q;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    q = kit_open(folder);
    products = strdup(support_path(folder, "products"));
    mkdir(products, 0700);
}

static void teardown(void)
{
    kit_check(q);
    queue_close(q);
    free(products);
    support_remove(folder);
}

static void put(const char *name, const char *text)
{
    char part[700];
    snprintf(part, sizeof part, "%.600s/.part", products);
    support_write_file(part, text, strlen(text));
    ck_assert_int_eq(rename(part, support_path(products, name)), 0);
}

static void holds(const char *name, const char *text)
{
    char *is = support_read_file(support_path(products, name), NULL);
    ck_assert_str_eq(is, text);
    free(is);
}

/* Run it as the daemon does; what it publishes says `text`. */
static struct queue_job run(int64_t exposure, const char *text, double now)
{
    struct queue_job j = kit_spec2(q, exposure);
    struct queue_product p[2] = {{.suffix = "cal", .bytes = 3},
                                 {.suffix = "s3d", .bytes = 3}};
    snprintf(p[0].path, sizeof p[0].path, "%.600s/a_cal.fits", products);
    snprintf(p[1].path, sizeof p[1].path, "%.600s/a_s3d.fits", products);
    kit_move(q, j.id, JOB_RUNNING, now);
    support_ok(kept_link(q, &j, &err), &err);
    support_ok(kept_link(q, &j, &err), &err); /* once more after a death */
    put("a_spec2_manifest.json", text);
    put("a_cal.fits", text);
    put("a_s3d.fits", text);
    support_ok(queue_begin(q, &err), &err);
    support_ok(queue_set_products(q, j.id, p, 2, &err), &err);
    support_ok(kept_record(q, &j, &err), &err);
    kit_move(q, j.id, JOB_DONE, now);
    support_ok(queue_commit(q, &err), &err);
    return j;
}

static const char *path_of(const struct queue_job *j, size_t i)
{
    static char path[4096];
    struct queue_product *p;
    size_t n;
    support_ok(queue_products(q, j->id, &p, &n, &err), &err);
    ck_assert_uint_lt(i, n);
    snprintf(path, sizeof path, "%s", p[i].path + strlen(products) + 1);
    free(p);
    return path;
}

START_TEST(test_kept_stays_beside_the_next_version)
{
    struct queue_job first = run(kit_accept(q, "a", 1, 1.0), "one", 2.0);
    ck_assert_str_eq(path_of(&first, 0), "a_cal.fits");
    ck_assert_int_eq(access(support_path(products, "superseded"), F_OK), -1);
    struct queue_job second = run(kit_accept(q, "a", 2, 3.0), "two", 4.0);
    ck_assert_str_eq(path_of(&second, 0), "a_cal.fits");
    ck_assert_str_eq(path_of(&first, 0), "superseded/spec2-a-1/a_cal.fits");
    ck_assert_str_eq(path_of(&first, 1), "superseded/spec2-a-1/a_s3d.fits");
    holds("a_cal.fits", "two");
    holds("superseded/spec2-a-1/a_cal.fits", "one");
    holds("superseded/spec2-a-1/a_spec2_manifest.json", "one");
    run(kit_accept(q, "a", 3, 5.0), "three", 6.0);
    holds("superseded/spec2-a-1/a_s3d.fits", "one");
    holds("superseded/spec2-a-2/a_s3d.fits", "two");
    ck_assert_str_eq(path_of(&second, 1), "superseded/spec2-a-2/a_s3d.fits");
}
END_TEST

/* The next version died once it had published: what it had replaced is still there. */
START_TEST(test_kept_survives_a_death)
{
    struct queue_job first = run(kit_accept(q, "a", 1, 1.0), "one", 2.0);
    struct queue_job second = kit_spec2(q, kit_accept(q, "a", 2, 3.0));
    support_ok(kept_link(q, &second, &err), &err);
    put("a_cal.fits", "two");
    /* by its row the older version lies where the next one is now */
    char *place = kept_path(support_path(products, "a_cal.fits"), first.name, &err);
    ck_assert_str_eq(place, support_path(products, "superseded/spec2-a-1/a_cal.fits"));
    free(place);
    place = kept_path(support_path(products, "b_cal.fits"), first.name, &err);
    ck_assert_str_eq(place, support_path(products, "b_cal.fits"));
    free(place);
    run(second.exposure, "two again", 4.0);
    holds("superseded/spec2-a-1/a_cal.fits", "one");
    ck_assert_str_eq(path_of(&first, 0), "superseded/spec2-a-1/a_cal.fits");
}
END_TEST

/* What fails for a while makes the job wait: the older version is not given up. */
START_TEST(test_kept_waits_for_the_disk)
{
    struct queue_job first = run(kit_accept(q, "a", 1, 1.0), "one", 2.0);
    struct queue_job second = kit_spec2(q, kit_accept(q, "a", 2, 3.0));
    put("superseded", "in the way");
    ck_assert_int_eq(kept_link(q, &second, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "spec2-a-1"));
    ck_assert_int_eq(unlink(support_path(products, "superseded")), 0);
    err = (struct err){0};
    run(second.exposure, "two", 4.0);
    holds("superseded/spec2-a-1/a_cal.fits", "one");
    ck_assert_str_eq(path_of(&first, 0), "superseded/spec2-a-1/a_cal.fits");
}
END_TEST

START_TEST(test_kept_goes_with_its_job)
{
    const struct queue_prune_rules rules = {.superseded_before = 100 * DAY};
    struct retention_sum sum;
    struct queue_job old;
    run(kit_accept(q, "a", 1, 1.0), "one", 2.0);
    run(kit_accept(q, "a", 2, 3.0), "two", 4.0);
    support_ok(retention_run(q, folder, &rules, true, 200 * DAY, &sum, &err), &err);
    ck_assert_int_eq(sum.jobs, 1);
    ck_assert_int_eq(sum.bytes, 9); /* three files of three bytes */
    holds("superseded/spec2-a-1/a_cal.fits", "one");
    support_ok(retention_run(q, folder, &rules, false, 200 * DAY, &sum, &err), &err);
    ck_assert_int_eq(sum.jobs, 1);
    ck_assert_int_eq(sum.bytes, 9);
    ck_assert_int_eq(access(support_path(products, "superseded"), F_OK), -1);
    holds("a_cal.fits", "two");
    ck_assert_int_eq(queue_find_job(q, "spec2-a-1", &old, &err), ERR_INPUT);
}
END_TEST

/* Products of its own place are never removed, nor is what is not there missed. */
START_TEST(test_kept_removes_nothing_else)
{
    long long bytes = 0;
    put("a_cal.fits", "one");
    kept_remove(support_path(products, "a_cal.fits"), false, &bytes);
    holds("a_cal.fits", "one");
    kept_remove(support_path(products, "superseded/none/a_cal.fits"), false, &bytes);
    ck_assert_int_eq(bytes, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kept");
    TCase *t = tcase_create("kept");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_kept_stays_beside_the_next_version);
    tcase_add_test(t, test_kept_survives_a_death);
    tcase_add_test(t, test_kept_waits_for_the_disk);
    tcase_add_test(t, test_kept_goes_with_its_job);
    tcase_add_test(t, test_kept_removes_nothing_else);
    suite_add_tcase(s, t);
    return support_run(s);
}
