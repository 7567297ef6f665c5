#include "daemon/admission.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#define MIB ((int64_t)1 << 20)
#define SHARE 0.75  /* of the machine: the rest is for the daemon and the page cache */
#define MARGIN 1.25 /* over the largest peak that was measured */
#define MOST ((int64_t)1 << 60)

int64_t admission_budget(long memory_mb, int64_t machine, long references_mb)
{
    int64_t all = memory_mb ? memory_mb * MIB : (int64_t)(SHARE * (double)machine);
    int64_t left = all - references_mb * MIB;
    return left > 0 ? left : 0;
}

int64_t admission_need(int64_t estimate, double ratio)
{
    double correction = ratio > 0 ? fmin(fmax(MARGIN * ratio, 0.5), 8) : 1;
    double need = (double)estimate * correction;
    return need < (double)MOST ? (int64_t)need : MOST;
}

int64_t admission_more(int64_t estimate, int64_t peak)
{
    int64_t larger = estimate > peak ? estimate : peak;
    return larger < MOST / 2 ? 2 * larger : MOST;
}

static double mb(int64_t bytes)
{
    return (double)bytes / (double)MIB;
}

bool admission_fits(const struct admission *a, int64_t need, bool *ret_alone,
                    char *ret_why, size_t room)
{
    const bool alone = need > a->budget;
    *ret_alone = alone;
    if (room) {
        *ret_why = 0;
    }
    if (a->running == 0) {
        return true;
    }
    const char *are = a->running == 1 ? "job runs" : "jobs run";
    if (alone) {
        snprintf(ret_why, room,
                 "needs %.0f MB of memory, more than the budget of %.0f MB: it will "
                 "run alone, and %d %s",
                 mb(need), mb(a->budget), a->running, are);
        return false;
    }
    if (a->used > a->budget - need) {
        snprintf(
            ret_why, room,
            "needs %.0f MB of memory; the budget is %.0f MB, and %d %s with %.0f MB",
            mb(need), mb(a->budget), a->running, are, mb(a->used));
        return false;
    }
    return true;
}

void admission_start(struct admission *a, int64_t need)
{
    a->running++;
    a->used = need > INT64_MAX - a->used ? INT64_MAX : a->used + need;
}

void admission_end(struct admission *a, int64_t need)
{
    assert(a->running > 0);
    a->running--;
    a->used = a->running && need < a->used ? a->used - need : 0;
}
