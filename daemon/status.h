#ifndef IFUD_DAEMON_STATUS_H
#define IFUD_DAEMON_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "common/base/err.h"

/*
 * The status socket: one JSON object per line in, one per line out, on a UNIX socket.
 *
 * Nobody can stall it: requests and answers are bounded in size, a request must be whole
 * and an answer taken within a time, a client that does not read its answer is not read
 * from, and all answers under way are bounded together. Clients are bounded in number:
 * one more takes the place of the one that has done nothing for longest, but nobody takes
 * the place of the owner or of root except they themselves.
 *
 * The other side is who SO_PEERCRED says. The mode and group of the socket decide who
 * can connect (with mode 0600 only the owner and root are answered whatever the folder
 * allows); whoever is not the owner or root may only read.
 *
 * Thread: all on the loop's thread. Test: tests/daemon/test_status.c
 */
struct status;

#define STATUS_MAX_REQUEST 4096
#define STATUS_MAX_ANSWER (4u << 20)
#define STATUS_MAX_PENDING (16u << 20) /* bytes of all answers under way */
#define STATUS_MAX_CLIENTS 64

struct status_options {
    const char *path;       /* of the socket; at most 107 bytes */
    unsigned mode;          /* 0600, 0660 or 0666 */
    int64_t group;          /* number of its group; negative: the process's own */
    double idle_seconds;    /* a client may rest between requests for this long */
    double request_seconds; /* from a request's first byte to its last */
    double answer_seconds;  /* from an answer's first byte to its last */
    /* Answer one request (a line without its end). The result is one line of JSON
     * without its end, released with free(); NULL closes the connection. is_owner: the
     * other side is the daemon's own user or root, and may change things. */
    char *(*answer)(void *user, const char *request, size_t n, bool is_owner);
    void *user;
};

/*
 * A socket that nobody listens on is replaced. ERR_IO: it is in use, or what lies there
 * is no socket (symbolic links too). ERR_PARAM: the process is not in the group. Mode and group are set before anybody can connect.
 */
int status_open(uv_loop_t *loop, const struct status_options *options,
                struct status **ret, struct err *err);
/* Removes the socket if it is still this one; freed once the loop has closed the
 * handles. */
void status_close(struct status *status); /* NULL is fine */

#endif
