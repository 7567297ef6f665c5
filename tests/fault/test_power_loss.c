/*
 * The power fails: what was not synced is gone, or is there in part. Nothing that was
 * acknowledged is lost, nothing half-written shows (docs/reliability.md, scenario 2).
 *
 * A life of each phase is logged; from the log the disk is made as it may be found after
 * a cut, and the daemon starts on it. How many: sweep.h.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fault/replay.h"
#include "tests/fault/sweep.h"
#include "tests/fault/tree.h"
#include "tests/fault/workload.h"
#include "tests/support.h"

static struct workload w;

static struct replay *record_life(int phase)
{
    workload_restore(&w, phase);
    struct replay *r = replay_new(w.disk);
    ck_assert_int_eq(workload_run(&w, &(struct life){.phase = phase, .log = true}),
                     LIFE_DONE);
    replay_load(r, w.calls_log);
    char *wrong = workload_check_end(&w, phase, false);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    return r;
}

/* The log must tell everything: its last state is what is there. */
static void check_log_is_whole(struct replay *r, int phase)
{
    struct picture now = {0};
    tree_remove(w.disk);
    replay_make(r, replay_count(r), REPLAY_NAMES, 1);
    picture_files(w.disk, &now);
    for (int i = 0; i < PICTURE_ROWS; i++) {
        ck_assert_str_eq(now.part[i], w.end[phase].part[i]);
    }
    picture_done(&now);
}

/* What the queue says, on a copy: looking repairs it. */
static char *check_committed(void)
{
    char copy[300];
    snprintf(copy, sizeof copy, "%s/copy", w.top);
    tree_remove(copy);
    tree_copy(w.disk, copy);
    return picture_check_committed(copy);
}

static char *run_point(struct replay *r, int phase, size_t cut, enum replay_luck luck,
                       uint64_t seed)
{
    tree_remove(w.disk);
    support_write_file(w.log, "", 0);
    replay_make(r, cut, luck, seed);
    char *wrong = workload_check_dead(&w, phase);
    wrong = wrong ? wrong : check_committed();
    if (!wrong) {
        enum life_end end = workload_run(&w, &(struct life){.phase = phase});
        wrong = end == LIFE_DONE ? workload_check_end(&w, phase, true)
                                 : sweep_wrong_end(end);
    }
    return wrong;
}

START_TEST(test_power_loss_keeps_what_was_acknowledged)
{
    static const char *const lucks[] = {"nothing", "names", "some"};
    struct sweep sweep = sweep_begin(48);
    struct replay *r[WORKLOAD_PHASES];
    workload_init(&w);
    size_t all = 0;
    for (int phase = 0; phase < WORKLOAD_PHASES; phase++) {
        r[phase] = record_life(phase);
        check_log_is_whole(r[phase], phase);
        all += replay_count(r[phase]);
    }
    for (long n; sweep_next(&sweep, &n);) {
        size_t at = (size_t)n / REPLAY_LUCKS * 7919 % all;
        enum replay_luck luck = (enum replay_luck)(n % REPLAY_LUCKS);
        int phase = at < replay_count(r[0]) ? 0 : 1;
        size_t cut = phase ? at - replay_count(r[0]) : at;
        char *wrong = run_point(r[phase], phase, cut, luck, (uint64_t)n);
        if (wrong) {
            char *text = workload_text(&w);
            sweep_failed(&sweep, "phase %d, cut before call %zu, %s survives\n%s%s",
                         phase, cut, lucks[luck], wrong, text);
            free(text);
            free(wrong);
        }
        sweep_tell(&sweep, "cuts in logs of %zu and %zu calls", replay_count(r[0]),
                   replay_count(r[1]));
    }
    replay_free(r[0]);
    replay_free(r[1]);
    workload_done(&w);
    ck_assert_int_eq(sweep.failures, 0);
}
END_TEST

int main(void)
{
    return sweep_main("power_loss", test_power_loss_keeps_what_was_acknowledged);
}
