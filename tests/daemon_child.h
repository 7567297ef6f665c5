#ifndef IFUD_TESTS_DAEMON_CHILD_H
#define IFUD_TESTS_DAEMON_CHILD_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * The real ifud as a child with a configuration of its own, for end-to-end tests.
 * Folders inbox, spool, products, rejected, references lie below `top`. Every failure
 * ends the test and shows the daemon's log.
 */
struct daemon_child {
    char *top;
    char inbox[300], products[300], rejected[300], references[300], socket[300];
    char config[300], log[300];
    pid_t pid; /* 0: does not run */
};

/* Make the folders and the configuration; `extra` is JSON members to add, such as
 * "\"workers\": 2", or "". settle_seconds is 0.05, incomplete_seconds 0.3. */
void daemon_child_init(struct daemon_child *d, const char *extra);
void daemon_child_done(struct daemon_child *d); /* kills it if it runs */

/* An assertion that shows the daemon's log when it fails. */
void daemon_child_show_log(const struct daemon_child *d);
#define daemon_child_need(d, condition, ...)                                           \
    do {                                                                               \
        if (!(condition)) {                                                            \
            daemon_child_show_log(d);                                                  \
            ck_abort_msg(__VA_ARGS__);                                                 \
        }                                                                              \
    } while (0)

void daemon_child_start(struct daemon_child *d); /* until it answers */
/* The same without waiting for it; and has it died? Then the status is waitpid's, and it
 * may be started again. */
void daemon_child_launch(struct daemon_child *d);
bool daemon_child_died(struct daemon_child *d, int *ret_status);
/* SIGTERM and wait for its end; the exit status must be 0. */
void daemon_child_stop(struct daemon_child *d);

/* Run a program of $IFUD_BIN with up to four arguments (NULL: no more), its output in
 * *ret_text (may be NULL; the caller frees); returns the exit status. */
int daemon_child_run(const struct daemon_child *d, char **ret_text, const char *program,
                     const char *a, const char *b, const char *c, const char *e);

/* What `ifuctl COMMAND WORD` says (word may be NULL), in a ring of four. */
const char *daemon_child_ctl(const struct daemon_child *d, const char *command,
                             const char *word);
/* What `ifuctl --json COMMAND WORD` says; json_decref it. */
json_t *daemon_child_json(const struct daemon_child *d, const char *command,
                          const char *word);
/* It has this part. */
void daemon_child_says(const struct daemon_child *d, const char *text,
                       const char *part);
/* `ifuctl queue check` finds nothing wrong. */
void daemon_child_in_order(const struct daemon_child *d);

/* The status; json_decref it. */
json_t *daemon_child_status(const struct daemon_child *d);
/* One number of it, as "jobs.held". */
long daemon_child_number(const struct daemon_child *d, const char *key);
/* Ask until the number is at least n; fails after 30 s. */
void daemon_child_until(const struct daemon_child *d, const char *key, long n);

#endif
