#ifndef IFUD_DAEMON_STATUS_H
#define IFUD_DAEMON_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>
#include "common/base/err.h"

/*
 * The status socket: one JSON object per line in, one per line out, on a UNIX socket.
 * Requests are bounded in size (STATUS_MAX_REQUEST) and clients in number and idle time;
 * a client that does not read its answer is not read from, so it stalls nobody. The
 * other side is who SO_PEERCRED says: with mode 0600 only the owner and root are
 * answered; otherwise the mode of the socket decides who can connect, and whoever is not
 * the owner or root may only read.
 *
 * Thread: all on the loop's thread. Test: tests/daemon/test_status.c
 */
struct status;

#define STATUS_MAX_REQUEST 4096
#define STATUS_MAX_CLIENTS 64

struct status_options {
    const char *path; /* of the socket; at most 107 bytes */
    unsigned mode;    /* 0600, 0660 or 0666 */
    double idle_seconds;
    /* Answer one request (a line without its end). The result is one line of JSON
     * without its end, released with free(); NULL closes the connection. is_owner: the
     * other side is the daemon's own user or root, and may change things. */
    char *(*answer)(void *user, const char *request, size_t n, bool is_owner);
    void *user;
};

/* A socket that nobody listens on is replaced; one that is in use is ERR_IO. */
int status_open(uv_loop_t *loop, const struct status_options *options,
                struct status **ret, struct err *err);
/* Removes the socket; freed once the loop has closed the handles. */
void status_close(struct status *status); /* NULL is fine */

#endif
