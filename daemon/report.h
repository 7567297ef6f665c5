#ifndef IFUD_DAEMON_REPORT_H
#define IFUD_DAEMON_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include "config/config.h"
#include "daemon/queue.h"
#include "daemon/work.h"

/*
 * Answers to requests: one JSON object each. They are made from the queue alone, and from
 * the running service where there is one, so that the same code answers when the daemon
 * is down (offline.h). No request to a running daemon looks at all jobs.
 *
 *   report.c           the table of requests
 *   report_status.c    status
 *   report_show.c      show, list, events
 *   report_why.c       what a job waits for, in words
 *   report_commands.c  what changes jobs, and the service
 *   report_stale.c     what is stale, and reducing it again
 *   report_care.c      queue check, backup, prune
 *   report_json.c      rows as JSON
 *
 * Thread: the loop's, or the one of ifud --answer. Test: tests/e2e/test_ctl.c
 */
struct service;

struct report { /* all borrowed */
    struct queue *queue;
    const struct config *config;
    const char *inbox_folder, *spool_folder, *rejected_folder;
    struct work_place place;
    struct service *live; /* NULL: no daemon runs here */
};

/*
 * Answer one request.
 * Given:    request, n: a line without its end, any bytes; is_owner: commands are allowed
 * Returned: a line of JSON without its end, released with free(); NULL without memory
 */
char *report_answer(const struct report *r, const char *request, size_t n,
                    bool is_owner);

/* The same for the status socket; `service` is a struct service. */
char *report_on_request(void *service, const char *request, size_t n, bool is_owner);

#endif
