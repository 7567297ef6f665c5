#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "daemon/plan.h"
#include "daemon/queue_associations.h"
#include "daemon/queue_sql.h"
#include "tests/daemon/queue_kit.h"
#include "tests/support.h"

/*
 * What a hundred thousand jobs cost: counted in steps of SQLite's machine, which do not
 * depend on how busy this one is. $IFUD_SCALE: how many exposures (default 4000); times
 * are printed.
 */

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

static long scale(void)
{
    const char *n = getenv("IFUD_SCALE");
    return n ? atol(n) : 4000;
}

/* Steps of all statements since the last call. */
static long steps(void)
{
    long n = 0;
    for (size_t i = 0; i < SQL_CACHE; i++) {
        if (q->cache[i].st) {
            n += sqlite3_stmt_status(q->cache[i].st, SQLITE_STMTSTATUS_VM_STEP, 1);
        }
    }
    return n;
}

static void accept_one(long i, bool one_group)
{
    struct queue_exposure e = {
        .pattern_number = (int)(i % 900) + 1, .pattern_total = 4, .bytes = 77};
    int64_t id;
    memcpy(e.sha256, kit_hash(i), sizeof e.sha256);
    snprintf(e.base, sizeof e.base, "jw%08ld", (i * 7919) % 99999989);
    snprintf(e.name, sizeof e.name, "%.200s_rate.fits", e.base);
    strcpy(e.role, "science");
    snprintf(e.group, sizeof e.group, "jw%ld_group", one_group ? 0L : i / 8);
    snprintf(e.program, sizeof e.program, "%05ld", one_group ? 0L : i / 80 % 100000);
    strcpy(e.visit, "001");
    strcpy(e.detector, i % 2 ? "NRS1" : "NRS2");
    strcpy(e.grating, "G395H");
    strcpy(e.filter, "F290LP");
    support_ok(queue_add_exposure(q, &e, NULL, (double)i, &id, &err), &err);
    support_ok(plan_exposure(q, &(struct plan_rules){0}, id, (double)i, &err), &err);
}

/* n exposures, a thousand in a commit. Returns the steps of the last one. */
static long fill(long n, bool one_group)
{
    long last = 0;
    for (long i = 0; i < n; i++) {
        if (i % 1000 == 0) {
            support_ok(queue_begin(q, &err), &err);
        }
        steps();
        accept_one(i, one_group);
        last = steps();
        if (i % 1000 == 999 || i == n - 1) {
            support_ok(queue_commit(q, &err), &err);
        }
    }
    return last;
}

START_TEST(test_queue_scale_accepting_does_not_load_the_group)
{
    long few = fill(50, true);
    queue_close(q);
    support_remove(folder);
    setup();
    double begin = clock_steady();
    long many = fill(scale(), true);
    fprintf(stderr, "%ld exposures of one group: %.0f a second, %ld steps the last\n",
            scale(), (double)scale() / (clock_steady() - begin), many);
    ck_assert_msg(many < few + few / 2, "%ld steps with few, %ld with many", few, many);
}
END_TEST

START_TEST(test_queue_scale_a_huge_group_is_planned_in_linear_time)
{
    long cost[2];
    for (int k = 0; k < 2; k++) {
        queue_close(q);
        support_remove(folder);
        setup();
        fill(k ? scale() : scale() / 4, true);
        steps();
        double begin = clock_steady();
        kit_plan(q, 1e6, 1e9);
        fprintf(stderr, "planning a group of %ld: %.0f ms\n", k ? scale() : scale() / 4,
                1e3 * (clock_steady() - begin));
        cost[k] = steps();
    }
    /* four times the exposures, four times the work and a little */
    ck_assert_msg(cost[1] < 5 * cost[0], "%ld, then %ld steps", cost[0], cost[1]);
    /* what has not changed is not looked at */
    kit_plan(q, 1e6, 1e9);
    ck_assert_int_lt(steps(), 200);
}
END_TEST

static size_t resident(void)
{
    long pages = 0, rss = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(f, "%ld %ld", &pages, &rss), 2);
    fclose(f);
    return (size_t)rss * (size_t)sysconf(_SC_PAGESIZE);
}

/* What a status asks of the queue, and choosing the next job. */
static void ask(bool with_candidates)
{
    struct queue_counts c;
    struct queue_job *jobs;
    struct queue_waiting *w;
    struct queue_event *events;
    size_t n;
    static const enum job_state states[] = {JOB_HELD, JOB_QUARANTINED, JOB_DEFERRED,
                                            JOB_SUSPECT, JOB_RUNNING};
    support_ok(queue_count(q, &c, &err), &err);
    for (int i = 0; i < 5; i++) {
        support_ok(queue_jobs(q, states[i], 20, &jobs, &n, &err), &err);
        free(jobs);
    }
    support_ok(queue_waiting(q, 20, &w, &n, &err), &err);
    free(w);
    support_ok(queue_rejections(q, 5, &events, &n, &err), &err);
    free(events);
    support_ok(queue_events(q, -20, "", 20, &events, &n, &err), &err);
    free(events);
    if (with_candidates) {
        struct queue_candidate *cs;
        struct queue_share *shares;
        support_ok(queue_candidates(q, &cs, &n, &err), &err);
        free(cs);
        support_ok(queue_shares(q, 1e6, 1e5, &shares, &n, &err), &err);
        free(shares);
    }
}

START_TEST(test_queue_scale_status_costs_the_same)
{
    fill(100, false);
    kit_plan(q, 1e6, 1e9);
    ask(false);
    steps();
    ask(false);
    long few = steps();
    queue_close(q);
    support_remove(folder);
    setup();
    size_t empty = resident();
    double begin = clock_steady();
    fill(scale(), false);
    kit_plan(q, 1e6, 1e9);
    fprintf(stderr, "%ld exposures of %ld groups: %.0f a second with planning\n",
            scale(), scale() / 8, (double)scale() / (clock_steady() - begin));
    ask(true);
    steps();
    begin = clock_steady();
    ask(false);
    double status = clock_steady() - begin;
    long many = steps();
    begin = clock_steady();
    ask(true);
    double next = clock_steady() - begin - status;
    size_t grown = resident() > empty ? resident() - empty : 0;
    fprintf(stderr, "status %.2f ms, next job %.2f ms, %zu MB grown\n", 1e3 * status,
            1e3 * next, grown >> 20);
    /* both show 20 of what there are more of */
    ck_assert_msg(many < few + few / 2, "%ld steps with few, %ld with many", few, many);
    long more = steps() - many; /* of choosing, by program */
    ck_assert_msg(more < 100 * (scale() / 80 + 10), "%ld steps", more);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ck_assert_uint_lt(grown, (size_t)50 << 20);
#endif
}
END_TEST

/* Every statement that was used so far finds its rows by an index. */
static void explain_all(void)
{
    static const char *const small[] = {"tally", "s", "b", "busy", "share"};
    for (size_t i = 0; i < SQL_CACHE; i++) {
        if (!q->cache[i].st || !strncmp(q->cache[i].sql, "PRAGMA", 6)) {
            continue;
        }
        const char *sql = q->cache[i].sql;
        sqlite3_stmt *st;
        char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
        ck_assert_int_eq(sqlite3_prepare_v2(q->db, explain, -1, &st, NULL), SQLITE_OK);
        sqlite3_free(explain);
        while (sqlite3_step(st) == SQLITE_ROW) {
            char line[300], table[64] = "";
            sql_text(st, 3, line, sizeof line);
            bool fine = sscanf(line, "SCAN %63s", table) != 1 ||
                        strstr(line, "CONSTANT ROW") || strstr(sql, " LIMIT ") ||
                        strstr(table, "subquery") || strstr(line, "USING INDEX grp_") ||
                        strstr(line, "association_product_leaving");
            for (size_t k = 0; k < sizeof small / sizeof *small; k++) {
                fine |= !strcmp(table, small[k]);
            }
            ck_assert_msg(fine, "'%s' in: %s", line, sql);
            /* the last ones, turned round, are sorted: no more than are shown */
            ck_assert_msg(!strstr(line, "TEMP B-TREE FOR ORDER BY") ||
                              !strncmp(sql, "SELECT * FROM (", 15),
                          "'%s' in: %s", line, sql);
        }
        sqlite3_finalize(st);
    }
}

static void associate(const char *recipe, const char *member, const char *product)
{
    static long content = 100000;
    char text[400];
    struct association a;
    int64_t id;
    snprintf(text, sizeof text,
             "{\"asn_type\": \"%s\", \"products\": [{\"name\": \"%s\", \"members\":"
             " [{\"expname\": \"%s\", \"exptype\": \"science\"}]}]}",
             recipe, product, member);
    support_ok(association_parse(text, strlen(text), "x_asn.json", NULL, &a, &err),
               &err);
    support_ok(queue_add_association(q, &a, kit_hash(++content), text,
                                     &(struct queue_file){.name = "x_asn.json"}, 8.0,
                                     &id, &err),
               &err);
    association_done(&a);
}

START_TEST(test_queue_scale_no_query_scans_a_table)
{
    double due;
    size_t n;
    int64_t a = kit_accept(q, "a", 1, 1.0);
    kit_plan(q, 1.0, 1e9);
    kit_run(q, kit_spec2(q, a).id, "/p/a_cal.fits", 2.0);
    int64_t b = kit_accept(q, "a", 2, 3.0);
    kit_move(q, kit_spec2(q, b).id, JOB_RUNNING, 4.0);
    kit_plan(q, 4.0, 0.0);
    ask(true);
    int64_t job = kit_spec2(q, b).id;
    support_ok(queue_set_wish(q, job, JOB_HELD, "wish", 5.0, &err), &err);
    support_ok(queue_set_priority(q, job, 3, 5.0, &err), &err);
    support_ok(queue_set_memory(q, job, 10, 20, &err), &err);
    double ratio;
    support_ok(queue_memory_ratio(q, "spec2", &ratio, &err), &err);
    ck_assert_double_eq(ratio, 2.0);
    support_ok(queue_use(q, "01234", 5.0, 6.0, 100.0, &err), &err);
    support_ok(queue_wake_deferred(q, 5.0, &due, &err), &err);
    support_ok(queue_recover(q, 6.0, &n, &err), &err);
    struct queue_job j;
    support_ok(queue_next_suspect(q, &j, &err), &err);
    support_ok(queue_find_job(q, "a", &j, &err), &err);
    support_ok(queue_retry(q, job, "again", 7.0, &err), &err);
    struct queue_job *jobs;
    support_ok(queue_jobs(q, JOB_STATES, 20, &jobs, &n, &err), &err);
    free(jobs);
    struct queue_event *events;
    support_ok(queue_events(q, 0, j.name, 10, &events, &n, &err), &err);
    free(events);
    support_ok(queue_events(q, -5, j.name, 10, &events, &n, &err), &err);
    free(events);
    bool planned;
    support_ok(queue_is_planned(q, &planned, &err), &err);
    struct queue_copy *copies;
    support_ok(queue_copies(q, 0, 10, &copies, &n, &err), &err);
    free(copies);
    enum file_state state;
    support_ok(queue_content_state(q, kit_hash(9), &state, &err), &err);
    struct queue_stored *stored;
    support_ok(queue_stored_products(q, 0, "", 10, &stored, &n, &err), &err);
    free(stored);
    associate("spec2", "a_rate.fits", "a");
    associate("spec3", "a_cal.fits", "mine");
    associate("spec3", "a_cal.fits", "mine");
    kit_plan(q, 9.0, 1e9);
    struct queue_association found;
    support_ok(queue_get_association(q, "x_asn.json", &found, &err), &err);
    struct queue_named_row *named;
    support_ok(queue_association_members(q, found.id, 10, &named, &n, &err), &err);
    free(named);
    support_ok(queue_find_association(q, kit_hash(9), &job, &err), &err);
    support_ok(queue_proceed(q, "mine", 9.0, &planned, &err), &err);
    support_ok(queue_prune_associations(q, 100.0, 10, &n, &err), &err);
    support_ok(queue_get_job(q, 1, &j, &err), &err);
    support_ok(queue_older_version(q, &j, &j, &err), &err);
    explain_all();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue_scale");
    TCase *t = tcase_create("queue_scale");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_queue_scale_accepting_does_not_load_the_group);
    tcase_add_test(t, test_queue_scale_a_huge_group_is_planned_in_linear_time);
    tcase_add_test(t, test_queue_scale_status_costs_the_same);
    tcase_add_test(t, test_queue_scale_no_query_scans_a_table);
    suite_add_tcase(s, t);
    return support_run(s);
}
