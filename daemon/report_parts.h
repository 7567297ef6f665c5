#ifndef IFUD_DAEMON_REPORT_PARTS_H
#define IFUD_DAEMON_REPORT_PARTS_H

#include <jansson.h>
#include "daemon/report.h"
#include "daemon/request.h"

/*
 * What the files of the report share. A function that makes an answer returns a new
 * object, or NULL with err set.
 * Thread: as report.h.
 */

/* ---- report_json.c ---- */

/* Text that may not be UTF-8. */
json_t *report_text(const char *s);
/* Take over `value`. */
void report_put(json_t *object, const char *key, json_t *value);
json_t *report_job(const struct queue_job *j);
json_t *report_event(const struct queue_event *e);
json_t *report_exposure(const struct queue_exposure *e);

/* ---- answers ---- */

typedef json_t *(*report_maker)(const struct report *r, const struct request *in,
                                struct err *err);

json_t *report_status(const struct report *r, const struct request *in,
                      struct err *err);
json_t *report_show(const struct report *r, const struct request *in, struct err *err);
json_t *report_list(const struct report *r, const struct request *in, struct err *err);
json_t *report_events(const struct report *r, const struct request *in,
                      struct err *err);

json_t *report_move(const struct report *r, const struct request *in, struct err *err);
json_t *report_proceed(const struct report *r, const struct request *in,
                       struct err *err);
json_t *report_drain(const struct report *r, const struct request *in, struct err *err);
json_t *report_rescan(const struct report *r, const struct request *in,
                      struct err *err);

json_t *report_check(const struct report *r, const struct request *in, struct err *err);
json_t *report_backup(const struct report *r, const struct request *in,
                      struct err *err);
json_t *report_prune(const struct report *r, const struct request *in, struct err *err);
json_t *report_prunable(const struct report *r, const struct request *in,
                        struct err *err);

/* ---- report_association.c ---- */

struct queue_association;
/* An association with its products and members, and what it waits for. */
json_t *report_association(const struct report *r, const struct queue_association *a,
                           struct err *err);

/* ---- report_stale.c ---- */

json_t *report_stale(const struct report *r, const struct request *in, struct err *err);
json_t *report_reduce(const struct report *r, const struct request *in,
                      struct err *err);
/* How many, and since when that is known; of the status. */
json_t *report_stale_sum(const struct report *r);
/* Of a job, or null. */
json_t *report_stale_of(const struct report *r, int64_t job);
/* Of the spectrum that a job published from the one that it replaced, or null. */
json_t *report_difference(const struct report *r, int64_t job);

/* ---- report_why.c ---- */

/* What happens to a job next, or what it waits for and what to do about it: a sentence
 * or two. */
void report_why(const struct report *r, const struct queue_job *j, char *ret,
                size_t size);

/* What a group waits for, in words; returns when quietness releases it, 0: it does not. */
double report_waits_for(const struct report *r, const struct queue_waiting *w,
                        char *ret, size_t size);

/* What spec2 jobs of a group wait for; "" if none does. */
void report_members_wait(const struct queue_waiting *w, char *ret, size_t size);

/* The job of a request, or an error that names those with the nearest names. */
int report_find(const struct report *r, const char *name, struct queue_job *ret,
                struct err *err);

#endif
