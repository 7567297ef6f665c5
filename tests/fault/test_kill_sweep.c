/*
 * The daemon dies at every call by which it changes the disk, and at random; afterwards
 * nothing is lost, doubled or half-written (docs/reliability.md, scenario 1).
 *
 * A point is: one phase of the workload, put back; lives that end by SIGKILL; a life
 * without fault that ends all. tests/fault/sweep.h says how many, for scripts/kill-sweep.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/math/rng.h"
#include "tests/fault/sweep.h"
#include "tests/fault/workload.h"

static struct workload w;

struct sums {
    long deaths, by_itself, from_outside, of_jobs;
};

/* Numbers 0 to calls - 1 of the list of all points of both phases. */
static void nth_call(long n, struct life *ret)
{
    ret->phase = n < w.calls[0] ? 0 : 1;
    ret->at = ret->phase ? n - w.calls[0] + 1 : n + 1;
}

/*
 * The lives of a point. The first points go through all calls in a scattered order, so
 * that few points are a fair sample; then all once more with jobs in processes of their
 * own; later ones are random.
 */
static int plan_point(long number, struct life ret[4])
{
    struct rng rng;
    long all = w.calls[0] + w.calls[1];
    rng_init(&rng, 1, (uint64_t)number);
    bool systematic = number < 2 * all;
    nth_call(systematic ? number * 7919 % all : (long)rng_below(&rng, (uint64_t)all),
             &ret[0]);
    ret[0].span = 1;
    ret[0].action = "kill";
    ret[0].child = number >= all;
    if (!systematic) {
        double kind = rng_uniform(&rng);
        ret[0].child = rng_below(&rng, 2);
        ret[0].action = kind < 0.4 ? "kill" : kind < 0.7 ? "tear" : "killall";
        if (rng_below(&rng, 4) == 0) { /* from outside, at a time */
            ret[0].at = 0;
            ret[0].action = NULL;
            ret[0].kill_after = 0.002 + 0.25 * rng_uniform(&rng);
        }
    }
    int n = 1;
    while (n < 4 && rng_uniform(&rng) < (systematic ? 0.2 : 0.4)) {
        ret[n] = ret[0];
        ret[n].kill_after = 0;
        ret[n].action = rng_uniform(&rng) < 0.5 ? "kill" : "tear";
        ret[n].at = 1 + (long)rng_below(&rng, (uint64_t)w.calls[ret[0].phase]);
        n++;
    }
    return n;
}

static char *run_point(const struct life *lives, int n, struct sums *sums)
{
    int phase = lives[0].phase;
    char *wrong = NULL;
    workload_restore(&w, phase);
    for (int i = 0; i < n && !wrong; i++) {
        enum life_end end = workload_run(&w, &lives[i]);
        sums->from_outside += lives[i].kill_after > 0 && end == LIFE_KILLED;
        sums->by_itself += end == LIFE_DONE && atomic_load(&w.state->hits) == 0;
        sums->deaths += end == LIFE_KILLED;
        sums->of_jobs += end == LIFE_DONE && atomic_load(&w.state->hits) > 0;
        if (end != LIFE_DONE && end != LIFE_KILLED) {
            wrong = sweep_wrong_end(end);
        }
        wrong = wrong ? wrong : workload_check_dead(&w, phase);
    }
    if (!wrong) {
        struct life last = {.phase = phase, .child = lives[0].child};
        enum life_end end = workload_run(&w, &last);
        wrong = end == LIFE_DONE ? workload_check_end(&w, phase, false)
                                 : sweep_wrong_end(end);
    }
    return wrong;
}

static void report(struct sweep *sweep, const struct life *lives, int n,
                   const char *wrong)
{
    char story[400], *text = workload_text(&w);
    int at = 0;
    for (int i = 0; i < n; i++) {
        at += snprintf(story + at, sizeof story - (size_t)at, " %s at call %ld;",
                       lives[i].action ? lives[i].action : "SIGKILL from outside",
                       lives[i].at);
    }
    sweep_failed(sweep, "phase %d%s:%s\n%s%s", lives[0].phase,
                 lives[0].child ? ", executor = child" : "", story, wrong, text);
    free(text);
}

START_TEST(test_kill_sweep_loses_doubles_and_halves_nothing)
{
    struct sweep sweep = sweep_begin(100);
    struct sums sums = {0};
    workload_init(&w);
    for (long number; sweep_next(&sweep, &number);) {
        struct life lives[4] = {{0}};
        int n = plan_point(number, lives);
        char *wrong = run_point(lives, n, &sums);
        if (wrong) {
            report(&sweep, lives, n, wrong);
            free(wrong);
        }
        sweep_tell(
            &sweep,
            "workload of %ld and %ld calls, %ld deaths of the daemon, %ld of them "
            "from outside, %ld deaths of a job's process, %ld lives that ended first",
            w.calls[0], w.calls[1], sums.deaths, sums.from_outside, sums.of_jobs,
            sums.by_itself);
    }
    workload_done(&w);
    ck_assert_int_eq(sweep.failures, 0);
    ck_assert_int_gt(sums.deaths, sweep.points / 2);
}
END_TEST

int main(void)
{
    return sweep_main("kill_sweep", test_kill_sweep_loses_doubles_and_halves_nothing);
}
