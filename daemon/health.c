#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "daemon/messages.h"
#include "daemon/notify.h"
#include "daemon/service_state.h"
#include "daemon/watchdog.h"

#define MAX_RUNNING 256
#define INTAKE_LIMIT 600.0 /* s without a byte read or written */
#define STILL_SECONDS 5.0  /* the loop says so if it stood still for longer */
#define STATUS_SECONDS 2.0
/* While it stops the manager waits this much longer each time it is told to. */
#define EXTENSION_SECONDS 20

static double clock_s(void)
{
    return 1e-6 * (double)notify_clock_us();
}

/* What may hang beside the loop. */
static size_t watch(struct service *s, struct watch *ret, size_t room)
{
    static struct executor_state states[MAX_RUNNING]; /* the loop's thread only */
    double grace = params_real(s->config->values, "job_grace_seconds");
    size_t n = executor_running(s->executor, states, MAX_RUNNING), used = 0;
    for (size_t i = 0; i < n && used < room; i++) {
        struct watch *w = &ret[used++];
        snprintf(w->what, sizeof w->what, "job %.80s at stage %.40s%s", states[i].job,
                 *states[i].stage ? states[i].stage : "-",
                 states[i].stuck ? ", cancelled in vain" : "");
        w->quiet = states[i].seconds;
        /* the executor cancels at the time limit, and kills what is isolated */
        w->limit = states[i].stuck ? fmin(grace, w->quiet / 2) : 0;
    }
    if (used < room) {
        struct watch *w = &ret[used++];
        snprintf(w->what, sizeof w->what, "taking in exposures");
        w->quiet = spool_quiet(s->spool);
        w->limit = INTAKE_LIMIT;
    }
    return used;
}

/* For the last words: what runs now. */
static void note(const struct watch *watches, size_t n)
{
    char text[400];
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; i < n && at < sizeof text; i++) {
        if (watches[i].quiet > 0) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s for %.0f s",
                                   at ? ", " : "", watches[i].what, watches[i].quiet);
        }
    }
    watchdog_saw(at ? text : "nothing");
}

static void pet(struct service *s, double now)
{
    static struct watch watches[MAX_RUNNING + 1]; /* the loop's thread only */
    char why[300];
    size_t n = watch(s, watches, MAX_RUNNING + 1);
    note(watches, n);
    bool well = watchdog_judge(watches, n, why, sizeof why);
    if (!well && !s->health.stalled) {
        log_event(
            LOG_LEVEL_ERROR, message_id(MESSAGE_STALLED), NULL, "stalled: %s%s", why,
            s->health.interval > 0 ? "; the service manager will restart ifud" : "");
        notify("STATUS=Stalled: %s", why);
        *s->health.status = 0;
    }
    s->health.stalled = !well;
    if (well && s->health.interval > 0 && now >= s->health.next_pet) {
        notify("WATCHDOG=1");
        s->health.next_pet = now + s->health.interval;
    }
    if (!well && s->health.interval == 0 && !s->stopping) {
        abort(); /* nobody else would end it; jobs that ran are suspects then */
    }
}

static void say_status(struct service *s)
{
    struct queue_counts c;
    char line[sizeof s->health.status];
    if (s->health.stalled || queue_count(s->queue, &c, NULL)) {
        return;
    }
    snprintf(line, sizeof line,
             "%s%ld running, %ld queued, %ld waiting, %ld deferred, %ld held; "
             "%zu files in the inbox",
             s->stopping ? "Stopping: " : "", c.jobs[JOB_RUNNING], c.jobs[JOB_QUEUED],
             c.jobs[JOB_WAITING], c.jobs[JOB_DEFERRED],
             c.jobs[JOB_HELD] + c.jobs[JOB_QUARANTINED], inbox_count(s->inbox, NULL));
    if (strcmp(line, s->health.status) != 0) {
        strcpy(s->health.status, line);
        notify("STATUS=%s", line);
    }
}

void health_start(struct service *s)
{
    s->health.interval = notify_watchdog_interval(getenv("WATCHDOG_USEC"),
                                                  getenv("WATCHDOG_PID"), getpid());
    watchdog_catch_abort();
}

void health_ready(struct service *s)
{
    notify("READY=1");
    health_tick(s);
}

void health_tick(struct service *s)
{
    double now = clock_s();
    if (s->health.last_tick > 0 && now - s->health.last_tick > STILL_SECONDS) {
        log_warning("the loop stood still for %.1f s: a slow disk, or a busy machine",
                    now - s->health.last_tick);
    }
    s->health.last_tick = now;
    pet(s, now);
    if (now >= s->health.next_status) {
        say_status(s);
        s->health.next_status = now + STATUS_SECONDS;
    }
    if (s->stopping && now >= s->health.next_extension) {
        notify("EXTEND_TIMEOUT_USEC=%llu", EXTENSION_SECONDS * 1000000ull);
        s->health.next_extension = now + EXTENSION_SECONDS / 4.0;
    }
}
