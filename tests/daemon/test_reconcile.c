#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/reconcile.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

static char *folder, *exposures, *inbox, *products, *manifests;
static struct queue *q;
static struct reconcile_places places;
static struct reconcile r;
static struct err err;

static char *make(const char *name)
{
    char *path = strdup(support_path(folder, name));
    ck_assert_int_eq(mkdir(path, 0700), 0);
    return path;
}

static void setup(void)
{
    folder = support_folder();
    q = kit_open(folder);
    exposures = make("exposures");
    inbox = make("inbox");
    products = make("products");
    manifests = make("jobs");
    places = (struct reconcile_places){exposures, inbox, products, manifests};
    reconcile_init(&r, &places);
}

static void teardown(void)
{
    reconcile_done(&r);
    queue_close(q);
    free(exposures);
    free(inbox);
    free(products);
    free(manifests);
    support_remove(folder);
}

static const char *copy_path(long content, const char *name)
{
    static char path[900];
    snprintf(path, sizeof path, "%s/%s/%s", exposures, kit_hash(content), name);
    return path;
}

static void put_copy(long content, const char *name)
{
    mkdir(support_path(exposures, kit_hash(content)), 0700);
    support_write_file(copy_path(content, name), "0123456789", 10);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void compare(void)
{
    reconcile_done(&r);
    reconcile_init(&r, &places);
    for (int i = 0; r.at != RECONCILE_DONE; i++) {
        ck_assert_int_lt(i, 100);
        support_ok(reconcile_step(&r, q, true, 50.0, &err), &err);
    }
}

START_TEST(test_reconcile_finds_nothing_when_all_is_well)
{
    kit_accept(q, "a", 1, 1.0);
    put_copy(1, "a_rate.fits");
    compare();
    ck_assert_int_eq(r.lost + r.returned + r.removed + r.stranded + r.missing, 0);
    ck_assert(is_there(copy_path(1, "a_rate.fits")));
}
END_TEST

START_TEST(test_reconcile_exposure_without_a_copy)
{
    int64_t queued = kit_accept(q, "a", 1, 1.0), done = kit_accept(q, "b", 2, 1.0);
    kit_run(q, kit_spec2(q, done).id, "/p/b_cal.fits", 2.0);
    compare();
    ck_assert_int_eq(r.lost, 2);
    struct queue_job j = kit_spec2(q, queued);
    ck_assert_int_eq(j.state, JOB_HELD);
    ck_assert_ptr_nonnull(strstr(j.message, "drop the file again"));
    ck_assert_int_eq(kit_spec2(q, done).state, JOB_DONE);
    kit_check(q);
    /* the same file dropped again replaces it */
    int64_t again = kit_accept(q, "a", 1, 60.0);
    put_copy(1, "a_rate.fits");
    ck_assert_str_eq(kit_spec2(q, again).name, "spec2-a-2");
    ck_assert_int_eq(kit_spec2(q, again).state, JOB_QUEUED);
    support_ok(queue_get_job(q, j.id, &j, &err), &err);
    ck_assert_int_eq(j.state, JOB_SUPERSEDED);
    compare();
    ck_assert_int_eq(r.lost, 0);
    kit_check(q);
}
END_TEST

START_TEST(test_reconcile_copies_without_an_exposure)
{
    /* death between copy and commit: the file still lies in the inbox */
    put_copy(1, "a_rate.fits");
    support_write_file(support_path(inbox, "a_rate.fits"), "0123456789", 10);
    /* a queue restored from an older backup: the copy is all there is */
    put_copy(2, "b_rate.fits");
    /* the inbox has other bytes of that name */
    put_copy(3, "c_rate.fits");
    support_write_file(support_path(inbox, "c_rate.fits"), "other", 5);
    /* no hash: not ours */
    ck_assert_int_eq(mkdir(support_path(exposures, "notes"), 0700), 0);
    compare();
    ck_assert_int_eq(r.removed, 1);
    ck_assert_int_eq(r.returned, 1);
    ck_assert_int_eq(r.stranded, 1);
    ck_assert(!is_there(copy_path(1, "a_rate.fits")));
    ck_assert(!is_there(support_path(exposures, kit_hash(1))));
    ck_assert(is_there(support_path(inbox, "a_rate.fits")));
    ck_assert(!is_there(copy_path(2, "b_rate.fits")));
    ck_assert(is_there(support_path(inbox, "b_rate.fits")));
    ck_assert(is_there(copy_path(3, "c_rate.fits")));
    ck_assert(is_there(support_path(exposures, "notes")));
}
END_TEST

START_TEST(test_reconcile_leaves_copies_that_are_being_made)
{
    put_copy(1, "a_rate.fits");
    for (int i = 0; i < 5; i++) {
        support_ok(reconcile_step(&r, q, false, 50.0, &err), &err);
    }
    ck_assert_int_eq(r.at, RECONCILE_COPIES);
    ck_assert(is_there(copy_path(1, "a_rate.fits")));
}
END_TEST

START_TEST(test_reconcile_copies_of_what_is_gone)
{
    /* death in retention, after the commit */
    int64_t a = kit_accept(q, "a", 1, 1.0);
    kit_run(q, kit_spec2(q, a).id, "/p/a_cal.fits", 2.0);
    put_copy(1, "a_rate.fits");
    support_ok(queue_move_exposure(q, a, FILE_GONE, "old", 3.0, &err), &err);
    compare();
    ck_assert_int_eq(r.removed, 1);
    ck_assert(!is_there(support_path(exposures, kit_hash(1))));
    ck_assert(!is_there(support_path(inbox, "a_rate.fits")));
}
END_TEST

START_TEST(test_reconcile_products)
{
    char path[300];
    int64_t a = kit_accept(q, "a", 1, 1.0), b = kit_accept(q, "b", 2, 1.0);
    put_copy(1, "a_rate.fits");
    put_copy(2, "b_rate.fits");
    snprintf(path, sizeof path, "%s", support_path(products, "a_cal.fits"));
    support_write_file(path, "12345", 5);
    kit_run(q, kit_spec2(q, a).id, path, 2.0);
    kit_run(q, kit_spec2(q, b).id, support_path(products, "b_cal.fits"), 2.0);
    compare();
    ck_assert_int_eq(r.missing, 1);
    ck_assert_str_eq(r.missing_job, "spec2-b-1");
    ck_assert_ptr_nonnull(strstr(r.missing_path, "b_cal.fits"));
    support_truncate(path, 4);
    compare();
    ck_assert_int_eq(r.missing, 2);
    ck_assert_str_eq(r.missing_job, "spec2-a-1");
    ck_assert_str_eq(r.missing_path, path);
    /* made again by hand */
    support_ok(queue_retry(q, kit_spec2(q, b).id, "again", 9.0, &err), &err);
    ck_assert_int_eq(kit_spec2(q, b).state, JOB_QUEUED);
    compare();
    ck_assert_int_eq(r.missing, 1);
    kit_check(q);
}
END_TEST

START_TEST(test_reconcile_parts_of_dead_attempts)
{
    size_t n = 0;
    int64_t a = kit_accept(q, "a", 1, 1.0);
    kit_move(q, kit_spec2(q, a).id, JOB_RUNNING, 2.0);
    ck_assert_int_eq(mkdir(support_path(products, "01234"), 0700), 0);
    char group[300];
    snprintf(group, sizeof group, "%s/01234/" KIT_GROUP, products);
    ck_assert_int_eq(mkdir(group, 0700), 0);
    support_write_file(support_path(group, ".a_cal.fits.1.part"), "1", 1);
    support_write_file(support_path(group, "a_s3d.fits"), "1", 1);
    support_ok(queue_recover(q, 3.0, &n, &err), &err);
    support_ok(reconcile_parts(&places, q, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert(!is_there(support_path(group, ".a_cal.fits.1.part")));
    ck_assert(is_there(support_path(group, "a_s3d.fits")));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reconcile");
    TCase *t = tcase_create("reconcile");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_reconcile_finds_nothing_when_all_is_well);
    tcase_add_test(t, test_reconcile_exposure_without_a_copy);
    tcase_add_test(t, test_reconcile_copies_without_an_exposure);
    tcase_add_test(t, test_reconcile_leaves_copies_that_are_being_made);
    tcase_add_test(t, test_reconcile_copies_of_what_is_gone);
    tcase_add_test(t, test_reconcile_products);
    tcase_add_test(t, test_reconcile_parts_of_dead_attempts);
    suite_add_tcase(s, t);
    return support_run(s);
}
