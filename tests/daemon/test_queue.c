#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/queue.h"
#include "daemon/queue_sql.h"
#include "tests/support.h"

static char *folder, path[4096];
static struct queue *q;
static struct err err;

static void ok(int code)
{
    ck_assert_msg(code == 0, "%s", err.message);
}

static void setup(void)
{
    folder = support_folder();
    snprintf(path, sizeof path, "%s/queue.db", folder);
    q = NULL;
    ok(queue_open(path, QUEUE_WRITE, &q, &err));
}

static void teardown(void)
{
    queue_close(q);
    support_remove(folder);
}

static int64_t add_exposure(const char *base, char digit)
{
    struct queue_exposure e = {.pattern_number = 1, .pattern_total = 4, .bytes = 77};
    memset(e.sha256, digit, 64);
    snprintf(e.name, sizeof e.name, "%s_rate.fits", base);
    snprintf(e.base, sizeof e.base, "%s", base);
    strcpy(e.role, "science");
    strcpy(e.group, "g");
    strcpy(e.detector, "NRS1");
    int64_t id = 0;
    ok(queue_add_exposure(q, &e, NULL, 100.0, &id, &err));
    ck_assert_int_gt(id, 0);
    return id;
}

static struct queue_job add_job(const char *recipe, const char *base, int64_t exposure)
{
    struct queue_job j = {.exposure = exposure}, row;
    snprintf(j.recipe, sizeof j.recipe, "%s", recipe);
    snprintf(j.base, sizeof j.base, "%s", base);
    strcpy(j.group, "g");
    ok(queue_add_job(q, &j, 101.0, &row, &err));
    return row;
}

START_TEST(test_queue_exposures_are_found_by_content)
{
    int64_t a = add_exposure("a", 'a'), found = 99;
    char sha[65] = {0};
    memset(sha, 'a', 64);
    ok(queue_find_content(q, sha, &found, &err));
    ck_assert_int_eq(found, a);
    memset(sha, 'b', 64);
    ok(queue_find_content(q, sha, &found, &err));
    ck_assert_int_eq(found, 0);
    struct queue_exposure e;
    ok(queue_get_exposure(q, a, &e, &err));
    ck_assert_str_eq(e.name, "a_rate.fits");
    ck_assert_str_eq(e.state, "accepted");
    ck_assert_int_eq(e.pattern_total, 4);
    ck_assert_int_eq(e.bytes, 77);
    ck_assert_double_eq(e.accepted_at, 100.0);
}
END_TEST

START_TEST(test_queue_same_content_twice_is_refused)
{
    add_exposure("a", 'a');
    struct queue_exposure e = {0};
    memset(e.sha256, 'a', 64);
    int64_t id = 5;
    ck_assert_int_ne(queue_add_exposure(q, &e, NULL, 1.0, &id, &err), 0);
    ck_assert_int_eq(id, 5);
    struct queue_counts c;
    ok(queue_count(q, &c, &err));
    ck_assert_int_eq(c.accepted, 1);
}
END_TEST

START_TEST(test_queue_a_job_lives_along_the_table)
{
    struct queue_job j = add_job("spec2", "a", add_exposure("a", 'a'));
    ck_assert_str_eq(j.name, "spec2-a-1");
    ck_assert_int_eq(j.state, JOB_WAITING);
    ok(queue_move(q, j.id, JOB_QUEUED, NULL, 102.0, &err));
    struct queue_candidate *next;
    size_t n;
    ok(queue_candidates(q, &next, &n, &err));
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(next[0].id, j.id);
    ck_assert_double_eq(next[0].queued_at, 102.0);
    free(next);
    ok(queue_move(q, j.id, JOB_RUNNING, NULL, 103.0, &err));
    ok(queue_candidates(q, &next, &n, &err));
    ck_assert_uint_eq(n, 0);
    free(next);
    struct queue_change c = {.message = "disk full",
                             .error = "io",
                             .stage = "photom",
                             .not_before = 200.0,
                             .count_failure = true};
    ok(queue_move(q, j.id, JOB_DEFERRED, &c, 104.0, &err));
    double due;
    ok(queue_wake_deferred(q, 150.0, &due, &err));
    ck_assert_double_eq(due, 200.0);
    ok(queue_get_job(q, j.id, &j, &err));
    ck_assert_int_eq(j.state, JOB_DEFERRED);
    ck_assert_int_eq(j.failures, 1);
    ck_assert_int_eq(j.attempt, 1);
    ck_assert_str_eq(j.stage, "photom");
    ok(queue_wake_deferred(q, 200.0, &due, &err));
    ck_assert_double_eq(due, 0);
    ok(queue_move(q, j.id, JOB_RUNNING, NULL, 201.0, &err));
    ok(queue_move(q, j.id, JOB_DONE, NULL, 202.0, &err));
    ok(queue_get_job(q, j.id, &j, &err));
    ck_assert_int_eq(j.state, JOB_DONE);
    ck_assert_int_eq(j.attempt, 2);
    ck_assert_int_eq(j.failures, 0);

    /* every move is an event, in order */
    static const char *const states[] = {"waiting", "queued",  "running", "deferred",
                                         "queued",  "running", "done"};
    struct queue_event *events;
    ok(queue_events(q, 0, "spec2-a-1", 100, &events, &n, &err));
    ck_assert_uint_eq(n, 7);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(events[i].to, states[i]);
        ck_assert_str_eq(events[i].from, i ? states[i - 1] : "new");
    }
    free(events);
    ok(queue_events(q, -2, "", 100, &events, &n, &err));
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(events[0].to, "running");
    ck_assert_str_eq(events[1].to, "done");
    free(events);
}
END_TEST

START_TEST(test_queue_other_moves_are_refused)
{
    struct queue_job j = add_job("spec2", "a", add_exposure("a", 'a'));
    ck_assert_int_eq(queue_move(q, j.id, JOB_RUNNING, NULL, 1.0, &err), ERR_BUG);
    ck_assert_ptr_nonnull(strstr(err.message, "spec2-a-1"));
    ck_assert_int_eq(queue_move(q, j.id, JOB_DONE, NULL, 1.0, &err), ERR_BUG);
    ok(queue_get_job(q, j.id, &j, &err));
    ck_assert_int_eq(j.state, JOB_WAITING);
    struct queue_event *events;
    size_t n;
    ok(queue_events(q, 0, j.name, 100, &events, &n, &err));
    ck_assert_uint_eq(n, 1);
    free(events);
}
END_TEST

START_TEST(test_queue_survives_closing_and_recovers_what_ran)
{
    struct queue_job a = add_job("spec2", "a", add_exposure("a", 'a'));
    struct queue_job b = add_job("spec2", "b", add_exposure("b", 'b'));
    ok(queue_move(q, a.id, JOB_QUEUED, NULL, 1.0, &err));
    ok(queue_move(q, b.id, JOB_QUEUED, NULL, 1.0, &err));
    ok(queue_move(q, a.id, JOB_RUNNING, NULL, 2.0, &err));
    queue_close(q);
    q = NULL;
    ok(queue_open(path, QUEUE_WRITE, &q, &err));
    size_t n = 0;
    ok(queue_recover(q, 3.0, &n, &err));
    ck_assert_uint_eq(n, 1);
    ok(queue_get_job(q, a.id, &a, &err));
    ck_assert_int_eq(a.state, JOB_SUSPECT);
    ck_assert_int_eq(a.crashes, 0);
    ck_assert_int_eq(a.attempt, 1);
    ck_assert_int_eq(a.failures, 0);
    struct queue_counts c;
    ok(queue_count(q, &c, &err));
    ck_assert_int_eq(c.accepted, 2);
    ck_assert_int_eq(c.science, 2);
    ck_assert_int_eq(c.jobs[JOB_QUEUED], 1);
    ck_assert_int_eq(c.jobs[JOB_SUSPECT], 1);
    struct queue_job next;
    ok(queue_next_suspect(q, &next, &err));
    ck_assert_int_eq(next.id, a.id);
}
END_TEST

START_TEST(test_queue_rollback_leaves_nothing)
{
    ok(queue_begin(q, &err));
    add_job("spec2", "a", add_exposure("a", 'a'));
    queue_rollback(q);
    struct queue_counts c;
    ok(queue_count(q, &c, &err));
    ck_assert_int_eq(c.accepted, 0);
    ck_assert_int_eq(c.jobs[JOB_WAITING], 0);
    ok(queue_begin(q, &err));
    add_exposure("a", 'a');
    ok(queue_commit(q, &err));
    ok(queue_count(q, &c, &err));
    ck_assert_int_eq(c.accepted, 1);
}
END_TEST

START_TEST(test_queue_versions_inputs_and_products)
{
    struct queue_job a = add_job("spec2", "a", add_exposure("a", 'a'));
    struct queue_job b = add_job("spec2", "a", add_exposure("a", 'b'));
    ck_assert_str_eq(b.name, "spec2-a-2");
    struct queue_job s = add_job("spec3", "g", 0);
    int64_t inputs[] = {b.id, a.id};
    ok(queue_set_inputs(q, s.id, inputs, 2, &err));
    struct queue_input *in;
    size_t n;
    ok(queue_inputs(q, s.id, &in, &n, &err));
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(in[0].input_job, b.id);
    ck_assert_int_eq(in[1].input_job, a.id);
    free(in);
    struct queue_product p[2] = {
        {.path = "/p/a_cal.fits", .suffix = "cal", .bytes = 5},
        {.path = "/p/a_s3d.fits", .suffix = "s3d", .bytes = 6}};
    ok(queue_set_products(q, a.id, p, 2, &err));
    ok(queue_set_products(q, a.id, p, 2, &err)); /* replaces */
    struct queue_product *got;
    ok(queue_products(q, a.id, &got, &n, &err));
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(got[1].suffix, "s3d");
    ck_assert_int_eq(got[1].bytes, 6);
    free(got);
    struct queue_group g;
    ok(queue_load_group(q, "g", &g, &err));
    ck_assert_uint_eq(g.n_members, 2);
    ck_assert_int_eq(g.members[0].job, a.id);
    ck_assert(g.members[0].read);
    ck_assert_uint_eq(g.n_jobs, 1);
    queue_group_done(&g);
    struct queue_job found;
    ok(queue_find_job(q, "spec2-a-1", &found, &err));
    ck_assert_int_eq(found.id, a.id);
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)s.id);
    ok(queue_find_job(q, number, &found, &err));
    ck_assert_int_eq(found.id, s.id);
    ck_assert_int_eq(queue_find_job(q, "none", &found, &err), ERR_INPUT);
}
END_TEST

START_TEST(test_queue_newer_schema_and_junk_are_refused)
{
    queue_close(q);
    q = NULL;
    FILE *f = fopen(path, "r+");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fseek(f, 63, SEEK_SET), 0); /* user_version ends here */
    fputc(99, f);
    fclose(f);
    ck_assert_int_eq(queue_open(path, QUEUE_WRITE, &q, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "newer"));
    ck_assert_ptr_null(q);
    f = fopen(path, "w");
    for (int i = 0; i < 2000; i++) {
        fputs("junk ", f);
    }
    fclose(f);
    ck_assert_int_eq(queue_open(path, QUEUE_WRITE, &q, &err), ERR_IO);
    ck_assert_ptr_null(q);
}
END_TEST

START_TEST(test_queue_counts_files)
{
    int64_t a = add_exposure("a", 'a');
    struct queue_file file = {.name = "x.fits", .seen_at = 0.5, .settling_at = 0.75};
    ok(queue_note_file(q, 0, &file, "rejected", "x.fits: junk", 1.0, &err));
    ok(queue_note_file(q, a, NULL, "duplicate", "b.fits", 1.0, &err));
    ok(queue_note_file(q, a, NULL, "duplicate", "c.fits", 1.0, &err));
    ck_assert_int_eq(queue_note_file(q, a, NULL, "superseded", "", 1.0, &err), ERR_BUG);
    ok(queue_move_exposure(q, a, FILE_SUPERSEDED, "rewritten", 2.0, &err));
    ck_assert_int_eq(queue_move_exposure(q, a, FILE_ACCEPTED, "", 2.0, &err), ERR_BUG);
    struct queue_counts c;
    ok(queue_count(q, &c, &err));
    ck_assert_int_eq(c.rejected, 1);
    ck_assert_int_eq(c.duplicates, 2);
    ck_assert_int_eq(c.superseded, 1);
    ck_assert_int_eq(c.accepted, 0);
    ok(queue_note_file(q, 0, &file, "rejected", "x.fits: junk", 3.0, &err));
    size_t n = 0;
    ok(queue_rejected_since(q, 0.0, 10, &n, &err));
    ck_assert_uint_eq(n, 2);
    ok(queue_rejected_since(q, 3.0, 10, &n, &err));
    ck_assert_uint_eq(n, 1);
    ok(queue_rejected_since(q, 3.5, 10, &n, &err));
    ck_assert_uint_eq(n, 0);
    ok(queue_rejected_since(q, 0.0, 1, &n, &err)); /* a bounded number of rows */
    ck_assert_uint_eq(n, 1);
}
END_TEST

/* A transaction with savepoints would write to /tmp, which may be full or read-only. */
START_TEST(test_queue_needs_no_temporary_files)
{
    sqlite3_stmt *st;
    ck_assert_int_eq(sqlite3_prepare_v2(q->db, "PRAGMA temp_store", -1, &st, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_int(st, 0), 2); /* MEMORY */
    sqlite3_finalize(st);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue");
    TCase *t = tcase_create("queue");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_queue_exposures_are_found_by_content);
    tcase_add_test(t, test_queue_same_content_twice_is_refused);
    tcase_add_test(t, test_queue_a_job_lives_along_the_table);
    tcase_add_test(t, test_queue_other_moves_are_refused);
    tcase_add_test(t, test_queue_survives_closing_and_recovers_what_ran);
    tcase_add_test(t, test_queue_rollback_leaves_nothing);
    tcase_add_test(t, test_queue_versions_inputs_and_products);
    tcase_add_test(t, test_queue_newer_schema_and_junk_are_refused);
    tcase_add_test(t, test_queue_counts_files);
    tcase_add_test(t, test_queue_needs_no_temporary_files);
    suite_add_tcase(s, t);
    return support_run(s);
}
