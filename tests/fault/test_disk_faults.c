/*
 * The disk is full, or fails, at every call by which the daemon changes it. The daemon
 * lives, the work waits, and goes on by itself (docs/reliability.md, scenario 3).
 *
 * A point is: a phase of the workload, and one life in which some calls fail with ENOSPC
 * or EIO, or write half of what they should. tests/fault/sweep.h says how many.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/math/rng.h"
#include "tests/fault/sweep.h"
#include "tests/fault/workload.h"

static struct workload w;

static struct life plan_point(long number)
{
    static const char *const actions[] = {"ENOSPC", "EIO", "short"};
    static const long spans[] = {1, 1, 3, 20};
    struct rng rng;
    long all = w.calls[0] + w.calls[1], n = number * 7919 % all;
    rng_init(&rng, 2, (uint64_t)number);
    struct life life = {.phase = n < w.calls[0] ? 0 : 1};
    life.at = life.phase ? n - w.calls[0] + 1 : n + 1;
    life.action = actions[rng_below(&rng, 3)];
    life.span = spans[rng_below(&rng, 4)];
    return life;
}

/* A fault before it is ready may end it: it says why, and whoever starts services starts
 * it again. *ret_starts counts such ends. */
static char *run_point(const struct life *life, long *ret_starts)
{
    workload_restore(&w, life->phase);
    enum life_end end = workload_run(&w, life);
    char *text = workload_text(&w), *wrong = NULL;
    if (end == LIFE_FAILED && strstr(text, " ready: ") == NULL &&
        strstr(text, " error ") != NULL) {
        (*ret_starts)++;
        end = workload_run(&w, &(struct life){.phase = life->phase});
    }
    free(text);
    wrong = end == LIFE_DONE ? workload_check_end(&w, life->phase, false)
                             : sweep_wrong_end(end);
    return wrong;
}

START_TEST(test_disk_faults_pass_and_all_is_done)
{
    struct sweep sweep = sweep_begin(40);
    long starts = 0, hits = 0;
    workload_init(&w);
    for (long number; sweep_next(&sweep, &number);) {
        struct life life = plan_point(number);
        char *wrong = run_point(&life, &starts);
        hits += atomic_load(&w.state->hits) > 0;
        if (wrong) {
            char *text = workload_text(&w);
            sweep_failed(&sweep, "phase %d: %s from call %ld, for %ld calls\n%s%s",
                         life.phase, life.action, life.at, life.span, wrong, text);
            free(text);
            free(wrong);
        }
        sweep_tell(&sweep, "%ld lives were struck after their start, %ld at it", hits,
                   starts);
    }
    workload_done(&w);
    ck_assert_int_eq(sweep.failures, 0);
    ck_assert_int_gt(hits, sweep.points / 3);
}
END_TEST

int main(void)
{
    return sweep_main("disk_faults", test_disk_faults_pass_and_all_is_done);
}
