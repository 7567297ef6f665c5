#include <signal.h>
#include <unistd.h>

#include "common/base/log.h"
#include "daemon/messages.h"
#include "daemon/notify.h"
#include "daemon/service_state.h"
#include "daemon/stale.h"

/* The executor kills processes after the grace; they are gone within this. */
#define KILL_SECONDS 2.0

/* Nothing to take in, nothing to run. */
static bool is_idle(struct service *s)
{
    struct queue_counts c;
    inbox_drain(s->inbox);
    return inbox_count(s->inbox, NULL) == 0 && spool_busy(s->spool) == 0 &&
           s->n_unsaved == 0 &&
           executor_idle(s->executor) == executor_workers(s->executor) &&
           queue_count(s->queue, &c, NULL) == 0 && c.jobs[JOB_QUEUED] == 0 &&
           c.jobs[JOB_SUSPECT] == 0 && c.jobs[JOB_RUNNING] == 0 &&
           c.jobs[JOB_DEFERRED] == 0;
}

void signals_stop(struct service *s)
{
    double now = service_now();
    if (s->stop_requests++ > 0) {
        log_info("stopping at once");
        executor_cancel(s->executor, 0, false);
        s->stop_at = now < s->stop_at ? now : s->stop_at;
        return;
    }
    s->stopping = true;
    s->stop_at = now + params_real(s->config->values, "stop_seconds");
    notify("STOPPING=1");
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_STOPPING), NULL,
              "stopping after the running stages");
    spool_stop(s->spool);
    executor_cancel(s->executor, 0, true);
}

/*
 * What was cancelled does not end: end without it. Threads cannot be killed, but the
 * process can. Nothing is lost: the rows of these jobs say `running`, an inbox name goes
 * only after its commit, and the next start finds both.
 */
_Noreturn static void abandon(struct service *s)
{
    struct executor_state states[16];
    size_t n = executor_running(s->executor, states, 16);
    for (size_t i = 0; i < n; i++) {
        log_event(LOG_LEVEL_ERROR, message_id(MESSAGE_ABANDONED),
                  &(struct log_fields){.job = states[i].job, .stage = states[i].stage},
                  "job %s did not stop at stage %s; ending without it", states[i].job,
                  *states[i].stage ? states[i].stage : "-");
    }
    if (spool_busy(s->spool)) {
        log_event(LOG_LEVEL_ERROR, message_id(MESSAGE_ABANDONED), NULL,
                  "a copy into the spool did not stop; ending without it");
    }
    queue_close(s->queue); /* nothing else uses it */
    notify("STATUS=Ended without what did not stop");
    _exit(1);
}

/* After the grace the executor kills what is isolated; its end is waited for. */
#define KILL_SECONDS 2.0

static void go_on_stopping(struct service *s, double now)
{
    double grace = params_real(s->config->values, "job_grace_seconds");
    if (now >= s->stop_at) {
        executor_cancel(s->executor, 0, false);
    }
    bool still = executor_idle(s->executor) == executor_workers(s->executor) &&
                 spool_quiet(s->spool) == 0;
    if (still && (s->n_unsaved == 0 || now >= s->stop_at)) {
        service_close(s);
    } else if (now >= s->stop_at + grace + KILL_SECONDS) {
        abandon(s);
    }
}

static void reopen_log(struct service *s)
{
    struct err err = {0};
    if (log_reopen(&err)) {
        service_trouble(s, "%s", err.message);
    } else {
        log_info("the log is opened anew");
    }
}

void signals_on_signal(uv_signal_t *handle, int number)
{
    struct service *s = handle->data;
    switch (number) {
    case SIGHUP:
        reload_configuration(s);
        log_info("listing the inbox and the references anew");
        executor_rescan_references(s->executor);
        stale_look_anew(s);
        inbox_rescan(s->inbox);
        break;
    case SIGUSR1:
        reopen_log(s);
        break;
    default:
        signals_stop(s);
    }
}

void signals_on_tick(uv_timer_t *timer)
{
    struct service *s = timer->data;
    struct err err = {0};
    double now = service_now();
    dispatch_retry_unsaved(s);
    health_tick(s);
    if (s->stopping) {
        go_on_stopping(s, now);
        return;
    }
    intake_tick(s);
    care_tick(s, now);
    stale_tick(s);
    bool planned = service_plan(s);
    if (s->next_retry > 0 && now >= s->next_retry &&
        queue_wake_deferred(s->queue, now, &s->next_retry, &err)) {
        service_trouble(s, "cannot queue deferred jobs, trying again: %s", err.message);
    }
    if (s->once && planned && care_is_done(s) && is_idle(s) && service_combine(s) &&
        is_idle(s)) {
        signals_stop(s);
    }
    service_dispatch(s);
}
