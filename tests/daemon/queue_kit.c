#include "tests/daemon/queue_kit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/plan.h"
#include "tests/support.h"

static struct err err;

struct queue *kit_open(const char *folder)
{
    struct queue *q = NULL;
    support_ok(queue_open(support_path(folder, "queue.db"), QUEUE_WRITE, &q, &err),
               &err);
    return q;
}

const char *kit_hash(long content)
{
    static char ring[8][65];
    static int at;
    char *hash = ring[at++ % 8];
    snprintf(hash, sizeof ring[0], "%064ld", content);
    return hash;
}

int64_t kit_accept(struct queue *q, const char *base, long content, double now)
{
    struct queue_exposure e = {.pattern_number = 1, .pattern_total = 4, .bytes = 77};
    memcpy(e.sha256, kit_hash(content), sizeof e.sha256);
    snprintf(e.base, sizeof e.base, "%.200s", base);
    snprintf(e.name, sizeof e.name, "%.200s_rate.fits", base);
    strcpy(e.role, "science");
    strcpy(e.group, KIT_GROUP);
    strcpy(e.program, "01234");
    strcpy(e.visit, "001");
    strcpy(e.detector, "NRS1");
    strcpy(e.grating, "G395H");
    strcpy(e.filter, "F290LP");
    struct queue_file file = {.name = e.name, .seen_at = now, .settling_at = now};
    int64_t id;
    support_ok(queue_begin(q, &err), &err);
    support_ok(queue_add_exposure(q, &e, &file, now, &id, &err), &err);
    support_ok(plan_exposure(q, &(struct plan_rules){0}, id, now, &err), &err);
    support_ok(queue_commit(q, &err), &err);
    return id;
}

struct queue_job kit_spec2(struct queue *q, int64_t exposure)
{
    struct queue_job j;
    support_ok(queue_job_of_exposure(q, exposure, &j, &err), &err);
    ck_assert_int_ne(j.id, 0);
    return j;
}

void kit_move(struct queue *q, int64_t job, enum job_state to, double now)
{
    support_ok(queue_move(q, job, to, NULL, now, &err), &err);
}

void kit_run(struct queue *q, int64_t job, const char *path, double now)
{
    struct queue_product p = {.suffix = "cal", .bytes = 5};
    snprintf(p.path, sizeof p.path, "%s", path);
    kit_move(q, job, JOB_RUNNING, now);
    support_ok(queue_begin(q, &err), &err);
    support_ok(queue_set_products(q, job, &p, 1, &err), &err);
    kit_move(q, job, JOB_DONE, now);
    support_ok(queue_commit(q, &err), &err);
}

void kit_plan(struct queue *q, double now, double quiet_seconds)
{
    const struct plan_rules rules = {.quiet_seconds = quiet_seconds};
    for (bool all = false; !all;) {
        support_ok(plan_groups(q, &rules, now, 1.0, &all, &err), &err);
    }
}

void kit_check(struct queue *q)
{
    char *report;
    support_ok(queue_check(q, &report, &err), &err);
    ck_assert_str_eq(report, "");
    free(report);
}
