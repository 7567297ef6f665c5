#include <signal.h>

#include "common/base/log.h"
#include "daemon/notify.h"
#include "daemon/service_state.h"

/* Nothing to take in, nothing to run. */
static bool is_idle(struct service *s)
{
    struct queue_counts c;
    inbox_drain(s->inbox);
    return inbox_count(s->inbox, NULL) == 0 && spool_busy(s->spool) == 0 &&
           s->n_unsaved == 0 &&
           executor_idle(s->executor) == executor_workers(s->executor) &&
           queue_count(s->queue, &c, NULL) == 0 && c.jobs[JOB_QUEUED] == 0 &&
           c.jobs[JOB_RUNNING] == 0 && c.jobs[JOB_DEFERRED] == 0;
}

static void stop(struct service *s)
{
    if (s->stop_requests++ > 0) {
        log_info("stopping at once");
        executor_cancel(s->executor, 0, false);
        return;
    }
    s->stopping = true;
    s->stop_at = service_now() + params_real(s->config->values, "stop_seconds");
    notify("STOPPING=1");
    log_info("stopping after the running stages");
    executor_cancel(s->executor, 0, true);
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
        log_info("listing the inbox and the references anew");
        executor_rescan_references(s->executor);
        inbox_rescan(s->inbox);
        break;
    case SIGUSR1:
        reopen_log(s);
        break;
    default:
        stop(s);
    }
}

void signals_on_tick(uv_timer_t *timer)
{
    struct service *s = timer->data;
    struct err err = {0};
    double now = service_now();
    dispatch_retry_unsaved(s);
    if (s->stopping) {
        if (now >= s->stop_at) {
            executor_cancel(s->executor, 0, false);
        }
        if (executor_idle(s->executor) == executor_workers(s->executor) &&
            (s->n_unsaved == 0 || now >= s->stop_at)) {
            service_close(s);
        }
        return;
    }
    int code = 0;
    if (s->next_quiet > 0 && now >= s->next_quiet) {
        code = service_plan_all(
            s, true, params_real(s->config->values, "group_quiet_seconds"), &err);
    }
    if (!code && s->next_retry > 0 && now >= s->next_retry) {
        code = queue_wake_deferred(s->queue, now, &s->next_retry, &err);
    }
    if (!code && s->once && is_idle(s)) {
        code = service_plan_all(s, true, 0.0, &err);
        if (!code && is_idle(s)) {
            stop(s);
        }
    }
    if (code) {
        service_trouble(s, "planning failed, trying again: %s", err.message);
    }
    service_dispatch(s);
}
