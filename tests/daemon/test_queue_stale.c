#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/queue_stale.h"
#include "tests/support.h"

static char *folder;
static struct queue *q;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    support_ok(queue_open(support_path(folder, "queue.db"), QUEUE_WRITE, &q, &err),
               &err);
}

static void teardown(void)
{
    queue_close(q);
    support_remove(folder);
}

/* A job that is done, with a product named after it. */
static int64_t add_done(const char *recipe, const char *base, const char *group,
                        const char *product)
{
    struct queue_job job = {.program = "01234"}, row;
    struct queue_product p = {.suffix = "x1d", .sha256 = "ab", .bytes = 7};
    snprintf(job.recipe, sizeof job.recipe, "%s", recipe);
    snprintf(job.base, sizeof job.base, "%s", base);
    snprintf(job.group, sizeof job.group, "%s", group);
    support_ok(queue_add_job(q, &job, 1, &row, &err), &err);
    support_ok(queue_move(q, row.id, JOB_QUEUED, NULL, 2, &err), &err);
    support_ok(queue_move(q, row.id, JOB_RUNNING, NULL, 3, &err), &err);
    if (product) {
        snprintf(p.path, sizeof p.path, "%s", product);
        support_ok(queue_set_products(q, row.id, &p, 1, &err), &err);
    }
    support_ok(queue_move(q, row.id, JOB_DONE, NULL, 4, &err), &err);
    return row.id;
}

static size_t count(void)
{
    size_t n;
    support_ok(queue_stale_count(q, 100, &n, &err), &err);
    return n;
}

static void set(int64_t job, const char *why, bool is_news)
{
    bool news;
    support_ok(queue_set_stale(q, job, "photom", why, 10, &news, &err), &err);
    ck_assert_int_eq(news, is_news);
}

START_TEST(test_queue_stale_rows_go_with_the_state)
{
    int64_t a = add_done("spec2", "a", "g", NULL),
            b = add_done("spec2", "b", "g", NULL);
    struct queue_stale *rows;
    size_t n;
    set(a, "photom: x, was y", true);
    set(a, "photom: x, was y", false);
    set(a, "photom: z, was y", true);
    set(b, "another", true);
    ck_assert_uint_eq(count(), 2);
    const struct queue_stale_filter one = {.job = a}, group = {.group = "g"},
                                    none = {.program = "09999"};
    support_ok(queue_stale(q, &one, 0, 10, &rows, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(rows->job.name, "spec2-a-1");
    ck_assert_str_eq(rows->step, "photom");
    ck_assert_str_eq(rows->why, "photom: z, was y");
    ck_assert_double_eq(rows->since, 10);
    free(rows);
    support_ok(queue_stale(q, &group, a, 10, &rows, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(rows->job.id, b);
    free(rows);
    support_ok(queue_stale(q, &none, 0, 10, &rows, &n, &err), &err);
    ck_assert_uint_eq(n, 0);
    free(rows);
    ck_assert(queue_is_group(q, "g"));
    ck_assert(!queue_is_group(q, "a"));
    support_ok(queue_unset_stale(q, b, &err), &err);
    support_ok(queue_move(q, a, JOB_SUPERSEDED, NULL, 11, &err), &err);
    ck_assert_uint_eq(count(), 0);
    set(a, "it is not done any more", true);
    ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(test_queue_stale_newer_versions_and_inputs)
{
    int64_t a = add_done("spec2", "a", "g", "/p/a_x1d.fits"),
            c = add_done("spec3", "g", "g", NULL);
    struct queue_job next = {.recipe = "spec3", .base = "g", .group = "g"}, row;
    struct queue_stale *rows;
    struct queue_product *p;
    size_t n;
    bool done;
    char first[2 * QUEUE_NAME];
    snprintf(next.program, sizeof next.program, "01234");
    support_ok(queue_set_inputs(q, c, &a, 1, &err), &err);
    support_ok(queue_inputs_done(q, c, &done, &err), &err);
    ck_assert(done);
    support_ok(queue_next_reader(q, 0, &row, &err), &err);
    ck_assert_int_eq(row.id, 0);
    set(a, "why", true);
    support_ok(queue_next_reader(q, 0, &row, &err), &err);
    ck_assert_int_eq(row.id, c);
    support_ok(queue_next_reader(q, c, &row, &err), &err);
    ck_assert_int_eq(row.id, 0);
    set(c, "why", true);
    support_ok(queue_next_reader(q, 0, &row, &err), &err);
    ck_assert_int_eq(row.id, 0);
    support_ok(queue_stale_inputs(q, c, &n, first, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(first, "spec2-a-1");
    support_ok(queue_stale_input_jobs(q, c, &rows, &n, &err), &err);
    ck_assert_int_eq(rows->job.id, a);
    free(rows);
    support_ok(queue_next_done(q, 0, &row, &err), &err);
    ck_assert_int_eq(row.id, a);
    support_ok(queue_next_done(q, a, &row, &err), &err);
    ck_assert_int_eq(row.id, c);

    /* a newer version is on its way: nothing is to be done about the older one */
    support_ok(queue_add_job(q, &next, 20, &row, &err), &err);
    ck_assert_uint_eq(count(), 1);
    support_ok(queue_move(q, row.id, JOB_CANCELLED, NULL, 21, &err), &err);
    ck_assert_uint_eq(count(), 2);
    support_ok(queue_next_done(q, c, &row, &err), &err);
    ck_assert_int_eq(row.id, 0);

    /* what a next version may go on from: the newest that has published anything */
    next = (struct queue_job){.recipe = "spec2", .base = "a", .group = "g"};
    snprintf(next.program, sizeof next.program, "01234");
    support_ok(queue_add_job(q, &next, 22, &row, &err), &err);
    support_ok(queue_earlier_products(q, &row, &p, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(p->path, "/p/a_x1d.fits");
    free(p);
    snprintf(row.program, sizeof row.program, "09999"); /* the same name is another's */
    support_ok(queue_earlier_products(q, &row, &p, &n, &err), &err);
    ck_assert_uint_eq(n, 0);
    free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue_stale");
    TCase *t = tcase_create("queue_stale");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_queue_stale_rows_go_with_the_state);
    tcase_add_test(t, test_queue_stale_newer_versions_and_inputs);
    suite_add_tcase(s, t);
    return support_run(s);
}
