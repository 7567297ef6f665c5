#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/queue_find.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

static char *folder;
static struct queue *q;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    q = kit_open(folder);
}

static void teardown(void)
{
    queue_close(q);
    support_remove(folder);
}

/* Four exposures: done, held, queued, and one rewritten; a spec3 that has read them. */
static void fill(void)
{
    int64_t a = kit_accept(q, "a", 1, 100.0), b = kit_accept(q, "b", 2, 101.0);
    kit_accept(q, "c", 3, 102.0);
    kit_plan(q, 102.0, 1e9);
    kit_run(q, kit_spec2(q, a).id, "/p/a_cal.fits", 103.0);
    kit_move(q, kit_spec2(q, b).id, JOB_RUNNING, 104.0);
    kit_move(q, kit_spec2(q, b).id, JOB_HELD, 105.0);
    kit_accept(q, "a", 4, 106.0);
    kit_plan(q, 106.0, 1e9);
}

/* Change the file behind the queue's back. */
static void meddle(const char *sql)
{
    sqlite3 *db;
    queue_close(q);
    ck_assert_int_eq(sqlite3_open(support_path(folder, "queue.db"), &db), SQLITE_OK);
    ck_assert_msg(!sqlite3_exec(db, sql, NULL, NULL, NULL), "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    q = kit_open(folder);
}

static void finds(const char *sql, const char *what)
{
    char *report;
    meddle(sql);
    support_ok(queue_check(q, &report, &err), &err);
    ck_assert_msg(strstr(report, what) != NULL, "'%s' not in: %s", what, report);
    free(report);
}

START_TEST(test_queue_check_is_silent_when_all_is_well)
{
    kit_check(q);
    fill();
    kit_check(q);
    /* the same bytes came again: the file's way is told, the exposure stays as it is */
    const struct queue_file file = {
        .name = "b_rate.fits", .seen_at = 107.0, .settling_at = 107.0};
    struct queue_exposure b;
    support_ok(queue_find_exposure(q, "b", &b, &err), &err);
    support_ok(
        queue_note_file(q, b.id, &file, "duplicate", "the same bytes", 108.0, &err),
        &err);
    kit_check(q);
}
END_TEST

START_TEST(test_queue_check_finds_what_is_wrong)
{
    fill();
    finds("UPDATE job SET state = 'held' WHERE name = 'spec2-c-1'",
          "job spec2-c-1 is held, its last event says queued");
    finds("INSERT INTO product VALUES((SELECT id FROM job WHERE name = 'spec2-c-1'),"
          " 'x', 'x', '', 1)",
          "job spec2-c-1 has products and never ran");
    finds("DELETE FROM job_input; DELETE FROM product; DELETE FROM job"
          " WHERE name = 'spec2-b-1'",
          "exposure b_rate.fits is accepted and has 0 live spec2 jobs");
    finds("UPDATE tally SET n = n + 1 WHERE what = 'job.queued'",
          "the sum job.queued is");
    finds("UPDATE exposure SET state = 'lost' WHERE name = 'c_rate.fits'",
          "there is no state 'lost' of an exposure");
    finds("DELETE FROM grp", "group " KIT_GROUP " is not known");
    finds("PRAGMA foreign_keys = OFF; DELETE FROM exposure WHERE name = 'b_rate.fits';"
          "INSERT INTO job_input(job, position, exposure) VALUES(1, 9, 99)",
          "a row of job_input refers to a row of exposure");
}
END_TEST

START_TEST(test_queue_backup_is_whole_while_it_is_in_use)
{
    struct queue *copy = NULL;
    struct queue_counts a, b;
    fill();
    char path[300];
    snprintf(path, sizeof path, "%s", support_path(folder, "copy.db"));
    support_ok(queue_begin(q, &err), &err); /* what is not committed is not in it */
    support_ok(queue_set_setting(q, "later", "yes", &err), &err);
    struct queue *reader = NULL;
    support_ok(queue_open(support_path(folder, "queue.db"), QUEUE_READ, &reader, &err),
               &err);
    support_ok(queue_backup(reader, path, &err), &err);
    queue_close(reader);
    support_ok(queue_commit(q, &err), &err);
    support_ok(queue_open(path, QUEUE_WRITE, &copy, &err), &err);
    kit_check(copy);
    support_ok(queue_count(q, &a, &err), &err);
    support_ok(queue_count(copy, &b, &err), &err);
    ck_assert_mem_eq(&a, &b, sizeof a);
    char later[8];
    support_ok(queue_get_setting(copy, "later", later, sizeof later, &err), &err);
    ck_assert_str_eq(later, "");
    queue_close(copy);
    ck_assert_int_ne(access(support_path(folder, "copy.db.part"), F_OK), 0);
    ck_assert_int_ne(queue_backup(q, "/nonexistent/x.db", &err), 0);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/x.db"));
}
END_TEST

START_TEST(test_queue_readers_change_nothing)
{
    struct queue *reader = NULL;
    ck_assert_int_ne(
        queue_open(support_path(folder, "none.db"), QUEUE_READ, &reader, &err), 0);
    ck_assert_int_ne(access(support_path(folder, "none.db"), F_OK), 0);
    fill();
    support_ok(queue_open(support_path(folder, "queue.db"), QUEUE_READ, &reader, &err),
               &err);
    kit_check(reader);
    ck_assert_int_ne(queue_set_setting(reader, "a", "b", &err), 0);
    ck_assert_int_ne(queue_set_priority(reader, 1, 3, 1.0, &err), 0);
    queue_close(reader);
    /* also without a daemon, and what a dead one has left in the log counts */
    queue_close(q);
    q = NULL;
    support_ok(queue_open(support_path(folder, "queue.db"), QUEUE_READ, &q, &err),
               &err);
    kit_check(q);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue_care");
    TCase *t = tcase_create("queue_care");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_queue_check_is_silent_when_all_is_well);
    tcase_add_test(t, test_queue_check_finds_what_is_wrong);
    tcase_add_test(t, test_queue_backup_is_whole_while_it_is_in_use);
    tcase_add_test(t, test_queue_readers_change_nothing);
    suite_add_tcase(s, t);
    return support_run(s);
}
