#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/queue.h"
#include "tests/daemon/queue_schema1.h"
#include "tests/support.h"

static char *folder;
static const char *path;
static struct queue *q;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    path = strdup(support_path(folder, "queue.db"));
    q = NULL;
}

static void teardown(void)
{
    queue_close(q);
    support_remove(folder);
}

static void is_migrated(void)
{
    struct queue_counts c;
    struct queue_exposure e;
    struct queue_job j;
    struct queue_event *events;
    struct queue_product *p;
    size_t n;
    support_ok(queue_count(q, &c, &err), &err);
    ck_assert_int_eq(c.accepted, 3);
    ck_assert_int_eq(c.science, 2);
    ck_assert_int_eq(c.imprint, 1);
    ck_assert_int_eq(c.superseded, 1);
    ck_assert_int_eq(c.rejected, 1);
    ck_assert_int_eq(c.duplicates, 1);
    ck_assert_int_eq(c.jobs[JOB_DONE], 1);
    ck_assert_int_eq(c.jobs[JOB_RUNNING], 1);
    ck_assert_int_eq(c.jobs[JOB_WAITING], 1);
    ck_assert_int_eq(c.jobs[JOB_SUPERSEDED], 1);
    support_ok(queue_get_exposure(q, 2, &e, &err), &err);
    ck_assert_str_eq(e.sha256, "bb");
    ck_assert_int_eq(e.pattern_number, 2);
    ck_assert_double_eq(e.accepted_at, 102.0);
    support_ok(queue_find_job(q, "spec2-b-1", &j, &err), &err);
    ck_assert_int_eq(j.exposure, 3);
    ck_assert_int_eq(j.attempt, 1);
    ck_assert_int_eq(j.priority, 0);
    support_ok(queue_products(q, 2, &p, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    free(p);
    support_ok(queue_events(q, 0, "", 100, &events, &n, &err), &err);
    ck_assert_uint_eq(n, 11);
    ck_assert_str_eq(events[0].file, "a_rate.fits");
    ck_assert_str_eq(events[10].job, "spec3-g-1");
    free(events);
}

/* Names in the folder that begin so. */
static int count_files(const char *prefix, char *ret_last, size_t size)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strncmp(e->d_name, prefix, strlen(prefix))) {
            snprintf(ret_last, size, "%s", e->d_name);
            n++;
        }
    }
    closedir(d);
    return n;
}

START_TEST(test_queue_migrate_keeps_rows_and_a_copy)
{
    char name[300];
    queue_schema1_write(path);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    is_migrated();
    ck_assert_int_eq(count_files("queue.db.schema1-", name, sizeof name), 1);
    /* the copy is a queue of schema 1 that migrates as well */
    queue_close(q);
    q = NULL;
    support_ok(queue_open(support_path(folder, name), QUEUE_WRITE, &q, &err), &err);
    is_migrated();
    queue_close(q);
    q = NULL;
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err); /* once only */
    is_migrated();
}
END_TEST

START_TEST(test_queue_migrate_is_refused_to_readers)
{
    queue_schema1_write(path);
    ck_assert_int_eq(queue_open(path, QUEUE_READ, &q, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "schema 1"));
    ck_assert_ptr_null(q);
}
END_TEST

/* A queue is made in rollback mode: a death there leaves a journal beside it. */
START_TEST(test_queue_opens_after_a_death_while_it_was_made)
{
    /* magic, no pages, nonce, the file had 0 pages before, sector and page size */
    static const unsigned char journal[512] = {
        0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 0, 1,    2,
        3,    4,    0,    0,    0,    0,    0,    0,    2, 0, 0, 0, 0x10, 0};
    char name[4096];
    size_t n;
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    queue_close(q);
    q = NULL;
    char *data = support_read_file(path, &n);
    ck_assert_uint_gt(n, 4096);
    support_write_file(path, data, 4096); /* its first page alone was written */
    free(data);
    snprintf(name, sizeof name, "%s-journal", path);
    support_write_file(name, journal, sizeof journal);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    struct queue_counts c;
    support_ok(queue_count(q, &c, &err), &err);
    ck_assert_int_eq(c.accepted, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue_migrate");
    TCase *t = tcase_create("queue_migrate");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_queue_migrate_keeps_rows_and_a_copy);
    tcase_add_test(t, test_queue_migrate_is_refused_to_readers);
    tcase_add_test(t, test_queue_opens_after_a_death_while_it_was_made);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
