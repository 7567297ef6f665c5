#ifndef IFUD_DAEMON_REQUEST_H
#define IFUD_DAEMON_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

/*
 * One request of the status socket: a JSON object {"request": VERB, ...} with a few
 * members, each text, a whole number, true or false. What comes in is hostile: its depth
 * is bounded before it is parsed, and a member that is not known is refused by name.
 * docs/protocol.md lists the requests.
 * Thread: any. Test: tests/daemon/test_request.c
 */

#define REQUEST_MAX_DEPTH 8

struct request {
    json_t *root; /* owns what the other members point into */
    const char *verb;
    const char *job;     /* name, number, or base name; NULL if not given (all texts) */
    const char *program; /* selects jobs */
    const char *group;
    const char *state;
    const char *reason; /* of an operator's command */
    const char *path;   /* of a backup */
    bool all;
    bool has_after, has_priority;
    int64_t after; /* of events; negative: the last ones */
    int64_t limit; /* 0: not given */
    int priority;
};

/*
 * Given:    text, n: one line without its end, any bytes
 * Returned: *ret, released with request_done
 * ERR_PARAM with what would be right.
 */
int request_parse(const char *text, size_t n, struct request *ret, struct err *err);
void request_done(struct request *request);

#endif
