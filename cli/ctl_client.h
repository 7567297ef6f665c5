#ifndef IFUD_CLI_CTL_CLIENT_H
#define IFUD_CLI_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include "common/base/err.h"

/*
 * One question to the daemon's status socket, one answer.
 * Given:     socket: its path; request: an object (borrowed)
 * Returned:  *ret, an object with "ok": true, released with json_decref
 * ERR_IO if nobody answers within 10 s or the daemon met one, ERR_INPUT if it refuses, with
 * its words.
 * Thread: any. Test: tests/e2e/test_daemon.c
 */
int ctl_ask(const char *socket, const json_t *request, json_t **ret, struct err *err);

/* Does no daemon listen there? False if it is busy, or may not be asked. */
bool ctl_is_down(const char *socket);

/*
 * The same question to `ifud --config FILE --answer`, which reads the queue without a
 * daemon. The program beside this one's executable is taken, else that of $PATH.
 * Test: tests/e2e/test_ctl.c
 */
int ctl_ask_offline(const char *config, const json_t *request, json_t **ret,
                    struct err *err);

#endif
