#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/schedule.h"
#include "tests/support.h"

static struct queue_candidate candidate(const char *program, int priority,
                                        double queued_at, double started_at)
{
    struct queue_candidate c = {
        .priority = priority, .queued_at = queued_at, .started_at = started_at};
    snprintf(c.program, sizeof c.program, "%s", program);
    return c;
}

static struct queue_share share(const char *program, double used, int running)
{
    struct queue_share s = {.used_seconds = used, .running = running};
    snprintf(s.program, sizeof s.program, "%s", program);
    return s;
}

START_TEST(test_schedule_order_of_reasons)
{
    struct queue_candidate c[] = {candidate("a", 0, 10, 0), candidate("b", 1, 20, 0)};
    struct queue_share s[] = {share("b", 1e6, 5)};
    /* priority before shares */
    ck_assert_uint_eq(schedule_pick(c, 2, s, 1, 30, 3600), 1);
    /* then fewest running */
    c[1].priority = 0;
    ck_assert_uint_eq(schedule_pick(c, 2, s, 1, 30, 3600), 0);
    /* then least used; a program without a share has used nothing */
    s[0].running = 0;
    ck_assert_uint_eq(schedule_pick(c, 2, s, 1, 30, 3600), 0);
    struct queue_share both[] = {share("a", 2.0, 0), share("b", 1.0, 0)};
    ck_assert_uint_eq(schedule_pick(c, 2, both, 2, 30, 3600), 1);
    /* then first come */
    ck_assert_uint_eq(schedule_pick(c, 2, NULL, 0, 30, 3600), 0);
}
END_TEST

START_TEST(test_schedule_classes_age_only_while_passed_over)
{
    struct queue_candidate c[] = {candidate("a", 3, 0, 9990),
                                  candidate("b", 0, 9000, 0)};
    /* both wait: a since its last start, b since it was queued */
    ck_assert_uint_eq(schedule_pick(c, 2, NULL, 0, 10000, 400), 0); /* 3 + 0, 0 + 2 */
    ck_assert_uint_eq(schedule_pick(c, 2, NULL, 0, 10000, 200), 1); /* 3 + 0, 0 + 5 */
    ck_assert_uint_eq(schedule_pick(c, 2, NULL, 0, 1e9, 0), 0);     /* never */
    /* a clock that was set back ages nobody */
    ck_assert_uint_eq(schedule_pick(c, 2, NULL, 0, 5, 200), 0);
}
END_TEST

/* ---- a simulated machine ---- */

#define CLASSES 4

struct class
{
    const char *program;
    int priority;
    double every; /* s between arrivals; 0: all at the start */
    long n;       /* jobs, in the order of their arrival */
    long started;
    double last_start, longest_wait;
};

static double arrival(const struct class *k, long i)
{
    return k->every > 0 ? k->every * (double)i : 0.0;
}

/* One worker, jobs of `length` seconds, until `end`. Shares as queue_use makes them,
 * without decay. */
static void simulate(struct class *k, size_t n, double length, double end)
{
    for (double now = 0.0; now < end; now += length) {
        struct queue_candidate c[CLASSES];
        struct queue_share s[CLASSES];
        size_t of[CLASSES], m = 0;
        for (size_t i = 0; i < n; i++) {
            s[i] = share(k[i].program, 0.0, 0);
            for (size_t j = 0; j < n; j++) {
                if (!strcmp(k[j].program, k[i].program)) {
                    s[i].used_seconds += length * (double)k[j].started;
                }
            }
            if (k[i].started < k[i].n && arrival(&k[i], k[i].started) <= now) {
                c[m] = candidate(k[i].program, k[i].priority,
                                 arrival(&k[i], k[i].started), k[i].last_start);
                of[m++] = i;
            }
        }
        if (m) {
            struct class *next = &k[of[schedule_pick(c, m, s, n, now, 3600.0)]];
            double since = arrival(next, next->started);
            since = next->last_start > since ? next->last_start : since;
            next->longest_wait =
                now - since > next->longest_wait ? now - since : next->longest_wait;
            next->last_start = now;
            next->started++;
        }
    }
}

START_TEST(test_schedule_a_flood_takes_half_not_all)
{
    /* a has dropped 100,000 files; b comes later with a file every ten minutes */
    struct class k[] = {{.program = "a", .n = 100000},
                        {.program = "b", .n = 100000, .every = 600.0}};
    simulate(k, 2, 300.0, 30 * 86400.0);
    ck_assert_int_ge(k[1].started, (long)(30 * 86400 / 600) - 1);
    ck_assert_double_le(k[1].longest_wait, 600.0);
}
END_TEST

START_TEST(test_schedule_nobody_starves)
{
    /* more of the highest priority than the machine can do, for ever */
    struct class k[] = {{.program = "a", .priority = 10, .n = 1000000, .every = 100.0},
                        {.program = "b", .priority = -10, .n = 1000, .every = 7200.0},
                        {.program = "a", .priority = -10, .n = 1000, .every = 7200.0}};
    simulate(k, 3, 300.0, 60 * 86400.0);
    for (int i = 1; i < 3; i++) {
        /* 20 priorities of an hour each, and what others of that age take before it */
        ck_assert_int_gt(k[i].started, 60 * 24 / 24);
        ck_assert_double_le(k[i].longest_wait, 21.0 * 3600.0 + 2 * 300.0);
    }
    /* and priorities mean something */
    ck_assert_int_gt(k[0].started, 100 * (k[1].started + k[2].started));
}
END_TEST

START_TEST(test_schedule_programs_share_evenly)
{
    struct class k[CLASSES];
    static const char *const names[CLASSES] = {"a", "b", "c", "d"};
    for (int i = 0; i < CLASSES; i++) {
        k[i] = (struct class){.program = names[i], .n = 100000};
    }
    simulate(k, CLASSES, 100.0, 1e6);
    for (int i = 0; i < CLASSES; i++) {
        ck_assert_int_ge(k[i].started, 2499);
        ck_assert_int_le(k[i].started, 2501);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("schedule");
    TCase *t = tcase_create("schedule");
    tcase_add_test(t, test_schedule_order_of_reasons);
    tcase_add_test(t, test_schedule_classes_age_only_while_passed_over);
    tcase_add_test(t, test_schedule_a_flood_takes_half_not_all);
    tcase_add_test(t, test_schedule_nobody_starves);
    tcase_add_test(t, test_schedule_programs_share_evenly);
    suite_add_tcase(s, t);
    return support_run(s);
}
