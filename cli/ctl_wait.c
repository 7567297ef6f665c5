#include <time.h>

#include "cli/ctl.h"
#include "cli/ctl_submit.h"
#include "common/base/clock.h"

int ctl_do_submit(struct ctl *c, const char *name, int n, char **words)
{
    struct err err = {0};
    json_t *answer = NULL;
    const char *inbox = c->inbox;
    (void)name;
    if (!inbox && c->config) {
        inbox = params_string(c->config->values, "inbox_folder");
    }
    if (!inbox) {
        if (ctl_query(c, ctl_request("status"), false, &answer, &err)) {
            return ctl_fail(c, &err);
        }
        inbox = json_string_value(
            json_object_get(json_object_get(answer, "inbox"), "folder"));
    }
    int status = CTL_DONE;
    for (int i = 0; i < n; i++) {
        if (ctl_submit(words[i], inbox ? inbox : "", &err)) {
            status = ctl_fail(c, &err);
        } else {
            printf("%s submitted\n", words[i]);
        }
    }
    json_decref(answer);
    return status;
}

/* Files in the inbox, jobs that something will still happen to by itself, and groups that
 * are to be looked at (as one). */
static long still_open(const json_t *status, long *ret_held, long *ret_for_files)
{
    static const char *const states[] = {"queued", "running", "suspect", "deferred"};
    const json_t *jobs = json_object_get(status, "jobs");
    long n = (long)json_integer_value(
        json_object_get(json_object_get(status, "inbox"), "files"));
    for (int i = 0; i < 4; i++) {
        n += (long)json_integer_value(json_object_get(jobs, states[i]));
    }
    size_t i;
    const json_t *group;
    n += json_is_false(json_object_get(status, "planned"));
    json_array_foreach(json_object_get(status, "waiting"), i, group)
    {
        const bool due = json_is_number(json_object_get(group, "due_at"));
        n += due;
        *ret_for_files += !due;
    }
    *ret_held = (long)json_integer_value(json_object_get(jobs, "held")) +
                (long)json_integer_value(json_object_get(jobs, "quarantined"));
    return n;
}

int ctl_do_wait(struct ctl *c, const char *name, int n_words, char **words)
{
    double end = clock_steady() + c->timeout;
    (void)name;
    (void)n_words;
    (void)words;
    for (;;) {
        struct err err = {0};
        json_t *answer;
        if (ctl_query(c, ctl_request("status"), true, &answer, &err)) {
            return ctl_fail(c, &err);
        }
        long held = 0, for_files = 0, n = still_open(answer, &held, &for_files);
        json_decref(answer);
        if (n == 0) {
            if (for_files) {
                fprintf(stderr,
                        "ifuctl: %ld group%s for files that have not come: see ifuctl "
                        "status\n",
                        for_files, for_files == 1 ? " waits" : "s wait");
            }
            if (held) {
                fprintf(stderr, "ifuctl: %ld job%s held: see ifuctl status\n", held,
                        held == 1 ? " is" : "s are");
            }
            return held ? CTL_HELD : CTL_DONE;
        }
        if (c->is_down) {
            fprintf(stderr,
                    "ifuctl: %ld files and jobs are still open: start the daemon\n", n);
            return CTL_DOWN;
        }
        if (c->timeout >= 0 && clock_steady() >= end) {
            fprintf(stderr, "ifuctl: %ld files and jobs are still open after %g s\n", n,
                    c->timeout);
            return CTL_OPEN;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}
