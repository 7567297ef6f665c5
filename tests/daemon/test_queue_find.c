#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/queue_find.h"
#include "tests/support.h"

static char *folder;
static struct queue *q;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    support_ok(queue_open(support_path(folder, "q.db"), QUEUE_WRITE, &q, &err), &err);
}

static void teardown(void)
{
    queue_close(q);
    support_remove(folder);
}

/* A queued spec2 of a new exposure; number also makes its base name. */
static struct queue_job add(int number, const char *program, const char *group)
{
    struct queue_exposure e = {.bytes = 1};
    struct queue_job job = {0}, row;
    snprintf(e.sha256, sizeof e.sha256, "%064d", number);
    snprintf(e.base, sizeof e.base, "jw%s001001_02101_%05d_nrs1", program, number);
    snprintf(e.name, sizeof e.name, "%.200s_rate.fits", e.base);
    snprintf(e.group, sizeof e.group, "%s", group);
    snprintf(e.program, sizeof e.program, "%s", program);
    strcpy(e.role, "science");
    strcpy(job.recipe, "spec2");
    strcpy(job.base, e.base);
    strcpy(job.group, e.group);
    strcpy(job.program, e.program);
    const struct queue_file file = {.name = e.name, .seen_at = 1, .settling_at = 2};
    support_ok(queue_add_exposure(q, &e, &file, 100 + number, &job.exposure, &err),
               &err);
    support_ok(queue_add_job(q, &job, 100 + number, &row, &err), &err);
    support_ok(queue_move(q, row.id, JOB_QUEUED, NULL, 100 + number, &err), &err);
    support_ok(queue_get_job(q, row.id, &row, &err), &err);
    return row;
}

/* How many jobs pass, over all pages of `limit`; checks their order. */
static size_t count(const struct queue_filter *f, size_t limit, size_t *ret_pages)
{
    int64_t from = 0, last = 0;
    size_t n, sum = 0, pages = 0;
    do {
        struct queue_job *jobs;
        support_ok(queue_select(q, f, from, limit, &jobs, &n, &from, &err), &err);
        for (size_t i = 0; i < n; i++) {
            ck_assert(last == 0 ||
                      (f->newest_first ? jobs[i].id < last : jobs[i].id > last));
            last = jobs[i].id;
        }
        free(jobs);
        sum += n;
        pages++;
    } while (from);
    *ret_pages = pages;
    return sum;
}

START_TEST(test_queue_find_pages_hold_each_job_once)
{
    size_t pages;
    support_ok(queue_begin(q, &err), &err);
    for (int i = 1; i <= 700; i++) {
        add(i, i % 7 ? "01234" : "05678", i % 2 ? "odd" : "even");
    }
    support_ok(queue_commit(q, &err), &err);
    for (int newest = 0; newest < 2; newest++) {
        struct queue_filter f = {.state = JOB_STATES, .newest_first = newest};
        ck_assert_uint_eq(count(&f, 64, &pages), 700);
        ck_assert_uint_ge(pages, 700 / 64);
        ck_assert_uint_eq(count(&f, 700, &pages), 700);
        ck_assert_uint_eq(count(&f, 1000, &pages), 700);
        ck_assert_uint_eq(pages, 1);
        f.program = "05678";
        ck_assert_uint_eq(count(&f, 9, &pages), 100);
        f.group = "even";
        ck_assert_uint_eq(count(&f, 9, &pages), 50);
        f.state = JOB_HELD;
        ck_assert_uint_eq(count(&f, 9, &pages), 0);
        f = (struct queue_filter){.state = JOB_QUEUED, .newest_first = newest};
        ck_assert_uint_eq(count(&f, 100, &pages), 700);
    }
}
END_TEST

START_TEST(test_queue_find_odd_places_to_begin)
{
    static const int64_t from[] = {-5, 0, 1, 3, 4, 1000000, INT64_C(1) << 50};
    for (int i = 1; i <= 3; i++) {
        add(i, "01234", "g");
    }
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        for (int newest = 0; newest < 2; newest++) {
            const struct queue_filter f = {.state = JOB_STATES, .newest_first = newest};
            struct queue_job *jobs;
            size_t n = 99;
            int64_t next = -1;
            support_ok(queue_select(q, &f, from[i], 10, &jobs, &n, &next, &err), &err);
            ck_assert_uint_le(n, 3);
            ck_assert_int_eq(next, 0);
            free(jobs);
        }
    }
}
END_TEST

START_TEST(test_queue_find_exposures_and_their_history)
{
    struct queue_exposure e;
    struct queue_event *events;
    struct queue_job *jobs;
    size_t n;
    struct queue_job j = add(7, "01234", "g");
    static const char *const names[] = {"jw01234001001_02101_00007_nrs1",
                                        "jw01234001001_02101_00007_nrs1_rate.fits",
                                        "jw01234001001_02101_00007_nrs1_rate.fits.gz",
                                        "jw01234001001_02101_00007_nrs1.fits"};
    for (int i = 0; i < 4; i++) {
        e = (struct queue_exposure){0};
        support_ok(queue_find_exposure(q, names[i], &e, &err), &err);
        ck_assert_int_eq(e.id, j.exposure);
    }
    ck_assert_int_eq(queue_find_exposure(q, "jw0", &e, &err), ERR_INPUT);
    ck_assert_int_eq(queue_find_exposure(q, "", &e, &err), ERR_INPUT);
    support_ok(queue_exposure_events(q, e.id, 50, &events, &n, &err), &err);
    ck_assert_uint_eq(n, 3); /* not its job's */
    ck_assert_str_eq(events[0].to, "seen");
    ck_assert_double_eq(events[0].at, 1);
    ck_assert_str_eq(events[1].to, "settling");
    ck_assert_str_eq(events[2].to, "accepted");
    free(events);
    support_ok(queue_exposure_events(q, e.id, 1, &events, &n, &err), &err);
    ck_assert_uint_eq(n, 1); /* the last one */
    free(events);
    support_ok(queue_jobs_of_exposure(q, e.id, 9, &jobs, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(jobs[0].id, j.id);
    free(jobs);
}
END_TEST

START_TEST(test_queue_find_near_names)
{
    char near[2 * QUEUE_NAME];
    support_ok(queue_near_job(q, "anything", near, &err), &err);
    ck_assert_str_eq(near, "");
    add(1, "01234", "g");
    add(9, "01234", "g");
    static const char *const asked[] = {
        "spec2-jw01234001001_02101_00008_nrs1-1", "jw01234001001_02101_00009_nrs2",
        "jw01234001001_02101_00009", "spec3-jw01234001001_02101_00009_nrs1-1"};
    for (int i = 0; i < 4; i++) {
        support_ok(queue_near_job(q, asked[i], near, &err), &err);
        ck_assert_msg(strstr(near, "spec2-jw01234001001_02101_0000") == near, "%s: %s",
                      asked[i], near);
    }
    support_ok(queue_near_job(q, "horse", near, &err), &err);
    ck_assert_str_eq(near, "");
    support_ok(queue_near_job(q, "", near, &err), &err);
    ck_assert_str_eq(near, "");
}
END_TEST

START_TEST(test_queue_find_counts_stop_at_their_limit)
{
    size_t n;
    struct queue_job last = {0};
    for (int i = 1; i <= 20; i++) {
        last = add(i, "01234", "g");
    }
    add(21, "05678", "g");
    support_ok(queue_ahead(q, &last, 100, &n, &err), &err);
    ck_assert_uint_eq(n, 19);
    support_ok(queue_ahead(q, &last, 5, &n, &err), &err);
    ck_assert_uint_eq(n, 5);
    support_ok(queue_program_queued(q, "01234", 100, &n, &err), &err);
    ck_assert_uint_eq(n, 20);
    support_ok(queue_program_queued(q, "01234", 7, &n, &err), &err);
    ck_assert_uint_eq(n, 7);
    support_ok(queue_set_priority(q, last.id, 3, 200, &err), &err);
    support_ok(queue_get_job(q, last.id, &last, &err), &err);
    support_ok(queue_ahead(q, &last, 100, &n, &err), &err);
    ck_assert_uint_eq(n, 0); /* of its priority */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue_find");
    TCase *t = tcase_create("queue_find");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_queue_find_pages_hold_each_job_once);
    tcase_add_test(t, test_queue_find_odd_places_to_begin);
    tcase_add_test(t, test_queue_find_exposures_and_their_history);
    tcase_add_test(t, test_queue_find_near_names);
    tcase_add_test(t, test_queue_find_counts_stop_at_their_limit);
    suite_add_tcase(s, t);
    return support_run(s);
}
