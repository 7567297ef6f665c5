#include "daemon/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "daemon/machine.h"
#include "daemon/service_state.h"

int gate_open(struct gate *g, int workers, struct err *err)
{
    *g = (struct gate){.machine = machine_memory("/proc", "/sys/fs/cgroup"),
                       .room = (size_t)workers};
    g->jobs = mem_calloc(g->room, sizeof *g->jobs, err);
    return g->jobs ? 0 : ERR_NOMEM;
}

void gate_close(struct gate *g)
{
    free(g->jobs);
    *g = (struct gate){0};
}

/* From the row of an exposure. Its five planes take 20 bytes a pixel; what is packed
 * counts as a full frame. */
static void extent_of(const struct queue_exposure *e, struct job_extent *ret)
{
    size_t n = strlen(e->name);
    bool packed = n > 3 && !strcmp(e->name + n - 3, ".gz");
    *ret = (struct job_extent){.ra = e->ra, .dec = e->dec, .pa = e->pa};
    ret->pixels = packed ? 2048 * 2048 : (double)e->bytes / 20;
    memcpy(ret->grating, e->grating, sizeof ret->grating);
    memcpy(ret->filter, e->filter, sizeof ret->filter);
}

/* Of what a job reads: exposures, products of the jobs of exposures, or spectra. */
static int look_up(struct queue *q, const struct queue_job *row,
                   struct job_extent **ret, struct err *err)
{
    struct queue_input *in;
    size_t n;
    int code = queue_inputs(q, row->id, &in, &n, err);
    if (code) {
        return code;
    }
    struct job_extent *all = mem_calloc(n, sizeof *all, err);
    code = all ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        struct queue_job from = {.exposure = in[i].exposure};
        struct queue_exposure e;
        code = in[i].input_job ? queue_get_job(q, in[i].input_job, &from, err) : 0;
        if (code || !from.exposure) {
            continue; /* a spectrum takes next to nothing */
        }
        code = queue_get_exposure(q, from.exposure, &e, err);
        if (!code) {
            extent_of(&e, &all[i]);
        }
    }
    free(in);
    if (code) {
        free(all);
    } else {
        *ret = all;
    }
    return code;
}

/* From the rows alone: a file of a stranger is opened by its job and nobody else. A job
 * that cannot be described fails by itself as it runs. */
static struct job_memory estimate(struct service *s, const struct queue_job *row)
{
    struct job job;
    struct job_extent *extents = NULL;
    struct err err = {0};
    struct job_memory m = {0};
    if (look_up(s->queue, row, &extents, &err)) {
        return m;
    }
    if (!work_describe(s->queue, s->spool, s->config, &s->place, row, &job, &err)) {
        if (job_estimate(&job, extents, &m, &err)) {
            m = (struct job_memory){0};
        }
        job_done(&job);
    }
    free(extents);
    return m;
}

static void look(struct service *s, const struct queue_job *row, bool isolated)
{
    struct gate *g = &s->gate;
    struct err err = {0};
    double ratio = 0;
    if (g->next.id != row->id) {
        g->next_memory = estimate(s, row);
        g->waits = false;
    }
    g->next = (struct gate_job){.id = row->id};
    g->next.estimate = g->next_memory.job + (isolated ? g->next_memory.process : 0);
    if (queue_memory_ratio(s->queue, row->recipe, &ratio, &err)) {
        ratio = 0;
    }
    g->next.need = admission_need(g->next.estimate, ratio);
    if (row->failures > 0 && row->estimate_bytes > g->next.estimate) {
        g->next.estimate = row->estimate_bytes; /* it was short of memory */
        g->next.need =
            row->estimate_bytes > g->next.need ? row->estimate_bytes : g->next.need;
    }
}

/* The job that waits for room, unless it has left or a more urgent one has come. */
static void keep_turn(struct service *s, struct queue_job *next)
{
    struct queue_job first;
    struct err err = {0};
    if (!s->gate.waits || s->gate.next.id == next->id || next->state == JOB_SUSPECT ||
        queue_get_job(s->queue, s->gate.next.id, &first, &err)) {
        return;
    }
    if (first.state == JOB_QUEUED && first.priority >= next->priority) {
        *next = first;
    }
}

int64_t gate_budget(const struct service *s)
{
    const struct params *v = s->config->values;
    return admission_budget(params_int(v, "memory_mb"), s->gate.machine,
                            params_int(v, "references_memory_mb"));
}

bool gate_admits(struct service *s, struct queue_job *next)
{
    struct gate *g = &s->gate;
    char why[300];
    bool alone, waited = g->waits;
    if (!next->id) {
        g->waits = false;
        *g->why = 0;
        return false;
    }
    g->admission.budget = gate_budget(s);
    keep_turn(s, next);
    int64_t before = g->next.id;
    look(s, next, dispatch_isolates(s, next));
    bool fits = admission_fits(&g->admission, g->next.need, &alone, why, sizeof why);
    g->waits = !fits;
    *g->why = 0;
    if (!fits) {
        snprintf(g->why, sizeof g->why, "job %s %s", next->name, why);
        if (!waited || before != next->id) {
            log_info("%s", g->why);
        }
    } else if (alone && !g->admission.running) {
        log_warning(
            "job %s needs %.0f MB of memory, more than the budget of %.0f MB: it "
            "runs alone",
            next->name, (double)g->next.need / 1048576,
            (double)g->admission.budget / 1048576);
    }
    return fits;
}

int64_t gate_need(const struct gate *g)
{
    return g->next.need;
}

static void keep(struct service *s, int64_t id, int64_t estimate_bytes, int64_t peak)
{
    struct err err = {0};
    if (queue_set_memory(s->queue, id, estimate_bytes, peak, &err)) {
        log_warning("memory of job %lld is not recorded: %s", (long long)id,
                    err.message);
    }
}

void gate_started(struct service *s, int64_t id, bool isolated)
{
    struct gate *g = &s->gate;
    struct gate_job j = g->next;
    if (j.id != id || g->n == g->room) {
        return;
    }
    for (size_t i = 0; i < g->n; i++) {
        g->jobs[i].resident = 0; /* not alone any more */
    }
    if (!isolated && g->n == 0 && machine_reset_peak()) {
        j.resident = machine_resident();
    }
    g->jobs[g->n++] = j;
    g->next = (struct gate_job){0};
    admission_start(&g->admission, j.need);
    keep(s, id, j.estimate, 0);
}

void gate_ended(struct service *s, int64_t id, int code, int64_t peak_bytes)
{
    struct gate *g = &s->gate;
    for (size_t i = 0; i < g->n; i++) {
        struct gate_job j = g->jobs[i];
        if (j.id != id) {
            continue;
        }
        g->jobs[i] = g->jobs[--g->n];
        admission_end(&g->admission, j.need);
        if (j.resident && !peak_bytes) {
            int64_t grown = machine_peak() - j.resident;
            peak_bytes = grown > 0 ? grown : 0;
        }
        if (code == ERR_NOMEM) {
            keep(s, id, admission_more(j.estimate, peak_bytes), 0);
        } else if (!code) {
            keep(s, id, 0, peak_bytes);
        }
        return;
    }
}
