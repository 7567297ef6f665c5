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

struct sums {
    long hits, starts, later;
};

/*
 * A fault before it is ready may end it: it says why, and whoever starts services starts
 * it again. A name that could be neither removed nor put back is put back by the next
 * listing of the inbox, for which --once does not wait: the next life does it.
 */
static char *run_point(const struct life *life, struct sums *sums)
{
    const struct life plain = {.phase = life->phase};
    workload_restore(&w, life->phase);
    enum life_end end = workload_run(&w, life);
    sums->hits += atomic_load(&w.state->hits) > 0;
    char *text = workload_text(&w);
    if (end == LIFE_FAILED && strstr(text, " ready: ") == NULL &&
        strstr(text, " error ") != NULL) {
        sums->starts++;
        end = workload_run(&w, &plain);
    } else if (end == LIFE_DONE && strstr(text, "is accepted, but cannot remove")) {
        sums->later++;
        end = workload_run(&w, &plain);
    }
    free(text);
    return end == LIFE_DONE ? workload_check_end(&w, life->phase, false)
                            : sweep_wrong_end(end);
}

START_TEST(test_disk_faults_pass_and_all_is_done)
{
    struct sweep sweep = sweep_begin(40);
    struct sums sums = {0};
    workload_init(&w);
    for (long number; sweep_next(&sweep, &number);) {
        struct life life = plan_point(number);
        char *wrong = run_point(&life, &sums);
        if (wrong) {
            char *text = workload_text(&w);
            sweep_failed(&sweep, "phase %d: %s from call %ld, for %ld calls\n%s%s",
                         life.phase, life.action, life.at, life.span, wrong, text);
            free(text);
            free(wrong);
        }
        sweep_tell(
            &sweep,
            "%ld lives were struck, %ld of them at their start; after %ld the next "
            "life removed a name from the inbox",
            sums.hits, sums.starts, sums.later);
    }
    workload_done(&w);
    ck_assert_int_eq(sweep.failures, 0);
    ck_assert_int_gt(sums.hits, sweep.points / 3);
}
END_TEST

int main(void)
{
    return sweep_main("disk_faults", test_disk_faults_pass_and_all_is_done);
}
