#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/executor_worker.h"
#include "jobs/job_report.h"

/*
 * Jobs in processes of their own: ifurun with the manifest, under limits. It reports on a
 * descriptor; an attempt has ended when that is at its end and the process is reaped.
 * uv_spawn starts it, for a fork of a program with threads may only exec.
 * Thread: the loop's.
 */

struct executor_child {
    struct executor_worker *w;
    struct executor *ex;
    uv_process_t process;
    uv_pipe_t pipe;
    int handles; /* of the two, not closed yet */
    bool dead;   /* the process is reaped */
    int status, signal;
    struct job_report report;
    struct job_events events;
    struct err refusal; /* what the report said wrong */
    char bytes[4096];
};

char *executor_child_program(struct err *err)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *found = NULL;
    if (n > 0) {
        self[n] = 0;
        char *folder = path_folder(self, err);
        found = folder ? path_join(folder, "ifurun", err) : NULL;
        free(folder);
        if (found && access(found, X_OK) == 0) {
            return found;
        }
    }
    free(found);
    return mem_strdup("ifurun", err);
}

/* ---- the end ---- */

static int describe_death(const struct executor_child *c, struct err *err)
{
    const struct executor_worker *w = c->w;
    const char *stage = *c->report.stage ? c->report.stage : "the start";
    if (w->timed_out && c->signal == SIGKILL) {
        return err_set(err, ERR_BUG,
                       "still at %s after %.0f s and did not end when asked: killed",
                       stage, w->how.time_limit);
    }
    if (c->refusal.code) {
        return err_set(err, ERR_BUG, "at %s: %s", stage, c->refusal.message);
    }
    if (c->signal == SIGKILL) {
        return err_set(
            err, ERR_NOMEM,
            "its process was killed (SIGKILL) at %s, as the kernel does when "
            "memory is short; most used: %lld MB",
            stage, (long long)(c->report.peak_bytes >> 20));
    }
    if (c->signal) {
        return err_set(err, ERR_BUG, "its process died of signal %d (%s) at %s",
                       c->signal, strsignal(c->signal), stage);
    }
    return err_set(err, ERR_BUG, "its process ended with status %d and no word at %s",
                   c->status, stage);
}

static void fill_report(struct executor_child *c)
{
    struct executor_report *r = &c->w->report;
    r->result = c->report.result;
    c->report.result = (struct job_result){0};
    r->peak_bytes = c->report.peak_bytes;
    if (c->report.ended && !c->refusal.code) {
        r->code = c->report.code;
        r->err = c->report.err;
        return;
    }
    job_result_done(&r->result);
    snprintf(r->result.failed_stage, sizeof r->result.failed_stage, "%s",
             c->report.stage);
    if (c->w->cancelled && !c->w->timed_out) { /* as it was asked to */
        r->code = err_set(&r->err, ERR_CANCELLED, "stopped");
        return;
    }
    r->died = true;
    r->signal = c->signal;
    memcpy(r->backtrace, c->report.backtrace, sizeof r->backtrace);
    r->code = describe_death(c, &r->err);
}

static void on_closed(uv_handle_t *handle)
{
    struct executor_child *c = handle->data;
    struct executor *ex = c->ex;
    if (--c->handles == 0) {
        if (c->w) {
            fill_report(c);
            c->w->child = NULL;
            executor_finish(c->w);
        }
        job_result_done(&c->report.result);
        free(c);
    }
    executor_closed(ex);
}

static void on_end(uv_process_t *process, int64_t status, int number)
{
    struct executor_child *c = process->data;
    c->dead = true;
    c->status = (int)status;
    c->signal = number;
    uv_close((uv_handle_t *)process, on_closed);
}

/* ---- the report ---- */

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    struct executor_child *c = handle->data;
    (void)wanted;
    *ret = uv_buf_init(c->bytes, sizeof c->bytes);
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct executor_child *c = stream->data;
    if (n < 0) { /* the end */
        uv_close((uv_handle_t *)stream, on_closed);
    } else if (n > 0 && job_report_feed(&c->report, buf->base, (size_t)n, &c->events,
                                        &c->refusal)) {
        uv_process_kill(&c->process, SIGKILL);
        uv_close((uv_handle_t *)stream, on_closed);
    }
}

void executor_child_signal(struct executor_worker *w, int number)
{
    if (!w->child->dead) {
        uv_process_kill(&w->child->process, number);
    }
}

/* ---- the start ---- */

struct arguments {
    char texts[5][32];
    char *list[16];
    int n;
};

static void add_limit(struct arguments *a, int i, char *option, double value)
{
    if (value > 0) {
        snprintf(a->texts[i], sizeof a->texts[i], "%.0f", value < 1 ? 1 : value);
        a->list[a->n++] = option;
        a->list[a->n++] = a->texts[i];
    }
}

static int spawn(struct executor_child *c, char *manifest)
{
    static char threads[] = "--threads", report[] = "--report-fd",
                memory[] = "--limit-memory-mb", cpu[] = "--limit-cpu-seconds",
                file[] = "--limit-file-mb";
    const struct executor_how *how = &c->w->how;
    struct arguments a = {.list = {c->ex->ifurun, manifest}, .n = 2};
    const double mb = 1 << 20;
    add_limit(&a, 0, threads, c->ex->o.threads);
    add_limit(&a, 1, report, 3);
    add_limit(&a, 2, memory, (double)how->memory_bytes / mb);
    add_limit(&a, 3, cpu, how->cpu_limit);
    add_limit(&a, 4, file, (double)how->file_bytes / mb);
    uv_stdio_container_t stdio[5] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&c->pipe},
        {.flags = UV_INHERIT_FD, .data.fd = c->ex->o.lock_fd}};
    uv_process_options_t options = {.exit_cb = on_end,
                                    .file = c->ex->ifurun,
                                    .args = a.list,
                                    .stdio = stdio,
                                    .stdio_count = c->ex->o.lock_fd > 0 ? 5 : 4};
    return uv_spawn(c->ex->loop, &c->process, &options);
}

int executor_child_start(struct executor_worker *w, struct err *err)
{
    struct executor_child *c = mem_calloc(1, sizeof *c, err);
    char *manifest = mem_strdup(w->how.manifest, err);
    if (!c || !manifest) {
        free(c);
        free(manifest);
        return ERR_NOMEM;
    }
    c->w = w;
    c->ex = w->ex;
    c->report.folder = w->job.output_folder;
    c->events = (struct job_events){executor_on_stage, executor_on_note, w};
    uv_pipe_init(w->ex->loop, &c->pipe, 0);
    c->pipe.data = c->process.data = c;
    c->handles = 2;
    w->ex->handles += 2;
    int code = spawn(c, manifest);
    free(manifest);
    if (code) {
        c->w = NULL; /* the report is the caller's */
        uv_close((uv_handle_t *)&c->pipe, on_closed);
        uv_close((uv_handle_t *)&c->process, on_closed);
        return err_set(err, code == UV_ENOMEM ? ERR_NOMEM : ERR_IO,
                       "cannot start %s for it: %s", w->ex->ifurun, uv_strerror(code));
    }
    w->child = c;
    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_bytes);
    return 0;
}
