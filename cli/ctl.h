#ifndef IFUD_CLI_CTL_H
#define IFUD_CLI_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "common/base/err.h"
#include "config/config.h"

/*
 * ifuctl's command line, and what its commands share. One table (ctl_commands) gives the
 * dispatch, --help and the completion.
 * Thread: one. Test: tests/e2e/test_ctl.c
 */

enum ctl_exit { /* documented in --help and ifuctl(1) */
                CTL_DONE = 0,
                CTL_FAILED = 1,
                CTL_USAGE = 2,
                CTL_HELD = 3, /* a job is held or quarantined */
                CTL_OPEN = 4, /* something is still to happen */
                CTL_DOWN = 5  /* the daemon is not running */
};

struct ctl {
    const char *socket, *config_path, *inbox;
    const char *program, *group, *state, *reason;
    bool json, watch, follow, names, all, dry_run, exit_code, stale;
    double timeout;        /* s; < 0: none */
    long limit;            /* 0: not given */
    long minus;            /* -N on the command line: N; 0: not given */
    struct config *config; /* NULL: not given */
    bool told_down, is_down;
};

struct ctl_command {
    const char *name, *arguments, *summary;
    int min, max; /* how many arguments; max < 0: any number */
    int (*run)(struct ctl *c, const char *name, int n, char **words);
};
extern const struct ctl_command ctl_commands[];

/*
 * Ask the daemon; when none runs and `offline` allows it, read the queue instead, set
 * c->is_down and say so on standard error once. Takes over `request`.
 */
int ctl_query(struct ctl *c, json_t *request, bool offline, json_t **ret,
              struct err *err);
json_t *ctl_request(const char *verb); /* {"request": verb} */

/* Say what is wrong on standard error; the exit status that belongs to it. */
int ctl_fail(const struct ctl *c, const struct err *err);
int ctl_misuse(const char *why);
void ctl_print_json(const json_t *answer);

/* ctl_jobs.c: commands that change jobs */
int ctl_do_move(struct ctl *c, const char *name, int n, char **words);
int ctl_do_priority(struct ctl *c, const char *name, int n, char **words);
int ctl_do_proceed(struct ctl *c, const char *name, int n, char **words);
int ctl_do_service(struct ctl *c, const char *name, int n, char **words);
/* ctl_look.c: commands that look */
int ctl_do_status(struct ctl *c, const char *name, int n, char **words);
int ctl_do_show(struct ctl *c, const char *name, int n, char **words);
int ctl_do_why(struct ctl *c, const char *name, int n, char **words);
int ctl_do_list(struct ctl *c, const char *name, int n, char **words);
int ctl_do_events(struct ctl *c, const char *name, int n, char **words);
/* ctl_queue.c: queue check, backup, prune */
int ctl_do_queue(struct ctl *c, const char *name, int n, char **words);
/* ctl_stale.c: what is stale, and reducing it again */
int ctl_do_stale(struct ctl *c, const char *name, int n, char **words);
int ctl_do_reduce(struct ctl *c, const char *name, int n, char **words);
/* ctl_wait.c: submit and wait */
int ctl_do_submit(struct ctl *c, const char *name, int n, char **words);
int ctl_do_wait(struct ctl *c, const char *name, int n, char **words);

#endif
