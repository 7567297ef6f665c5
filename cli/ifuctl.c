/* ifuctl: ask the daemon how things stand, and hand it files. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/ctl_client.h"
#include "cli/ctl_submit.h"
#include "cli/ctl_text.h"
#include "config/config.h"

static const char usage[] =
    "usage: ifuctl [--socket PATH | --config FILE] COMMAND [ARGUMENT]...\n";

static const char help[] =
    "Asks the ifud that runs on this machine, and hands it files.\n"
    "\n"
    "COMMANDS\n"
    "  status [--json] [--watch]  how things stand: inbox, exposures, jobs, what "
    "runs,\n"
    "                             what waits and for what, what needs attention\n"
    "  show [--json] JOB          one job (its name, number, or the exposure's base "
    "name):\n"
    "                             state, error, inputs, products, history\n"
    "  events [--json] [--limit N] [JOB]\n"
    "                             the last changes of state, oldest first (N: 50)\n"
    "  retry JOB                  run a held job again (owner of the daemon and root)\n"
    "  submit FILE...             copy files into the inbox, whole or not at all\n"
    "  wait [--timeout S]         until the inbox is empty and every job is done, "
    "held,\n"
    "                             quarantined or superseded\n"
    "\n"
    "OPTIONS\n"
    "  --socket PATH   the daemon's socket (default: that of --config, else\n"
    "                  $IFUD_SOCKET, else /run/ifud/status.sock)\n"
    "  --config FILE   the daemon's configuration, for its socket and inbox\n"
    "  --inbox DIR     submit: where to, without asking the daemon\n"
    "  --json          the answer as the daemon gives it (docs/operator.md has the "
    "keys)\n"
    "  --watch         again every two seconds until interrupted\n"
    "  --help          this text\n"
    "\n"
    "EXIT STATUS\n"
    "  0 done; 1 failed (wait: a job is held, or the time is over); 2 usage\n";

struct options {
    const char *socket, *inbox;
    bool json, watch;
    double timeout; /* < 0: none */
    long limit;
    struct config *config;
};

static int fail(const struct err *err)
{
    fprintf(stderr, "ifuctl: %s\n", err->message);
    return err->code == ERR_PARAM ? 2 : 1;
}

static int misuse(const char *why)
{
    fprintf(stderr, "ifuctl: %s\n%s", why, usage);
    return 2;
}

static int ask(const struct options *o, const char *verb, const char *job, json_t **ret,
               struct err *err)
{
    json_t *request = json_pack("{s:s}", "request", verb);
    if (job) {
        json_object_set_new(request, "job", json_string(job));
    }
    json_object_set_new(request, "limit", json_integer(o->limit));
    int code = ctl_ask(o->socket, request, ret, err);
    json_decref(request);
    return code;
}

static void print_json(const json_t *answer)
{
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
}

static int do_status(const struct options *o)
{
    struct err err = {0};
    for (;;) {
        json_t *answer;
        int code = ask(o, "status", NULL, &answer, &err);
        if (o->watch && !o->json && isatty(STDOUT_FILENO)) {
            fputs("\033[H\033[2J", stdout);
        }
        if (code && !o->watch) {
            return fail(&err);
        }
        if (code) {
            printf("%s\n", err.message);
        } else if (o->json) {
            print_json(answer);
        } else {
            ctl_print_status(stdout, answer);
        }
        if (!code) {
            json_decref(answer);
        }
        fflush(stdout);
        if (!o->watch) {
            return 0;
        }
        sleep(2);
    }
}

static int do_show(const struct options *o, const char *job)
{
    struct err err = {0};
    json_t *answer;
    if (ask(o, "show", job, &answer, &err)) {
        return fail(&err);
    }
    if (o->json) {
        print_json(answer);
    } else {
        ctl_print_show(stdout, answer);
    }
    json_decref(answer);
    return 0;
}

static int do_retry(const struct options *o, const char *job)
{
    struct err err = {0};
    json_t *answer;
    if (ask(o, "retry", job, &answer, &err)) {
        return fail(&err);
    }
    printf("%s is queued\n", json_string_value(json_object_get(answer, "job")));
    json_decref(answer);
    return 0;
}

static int do_events(const struct options *o, const char *job)
{
    struct err err = {0};
    json_t *answer;
    if (ask(o, "events", job, &answer, &err)) {
        return fail(&err);
    }
    if (o->json) {
        print_json(answer);
    } else {
        ctl_print_events(stdout, json_object_get(answer, "events"));
    }
    json_decref(answer);
    return 0;
}

static int do_submit(const struct options *o, char **files, int n)
{
    struct err err = {0};
    json_t *answer = NULL;
    const char *inbox = o->inbox;
    if (!inbox && o->config) {
        inbox = params_string(o->config->values, "inbox_folder");
    }
    if (!inbox) {
        if (ask(o, "status", NULL, &answer, &err)) {
            return fail(&err);
        }
        inbox = json_string_value(
            json_object_get(json_object_get(answer, "inbox"), "folder"));
    }
    int status = 0;
    for (int i = 0; i < n; i++) {
        if (ctl_submit(files[i], inbox ? inbox : "", &err)) {
            status = fail(&err);
        } else {
            printf("%s submitted\n", files[i]);
        }
    }
    json_decref(answer);
    return status;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Files in the inbox and jobs that something will still happen to by itself. */
static long still_open(const json_t *status, long *ret_held)
{
    static const char *const states[] = {"queued", "running", "deferred"};
    const json_t *jobs = json_object_get(status, "jobs");
    long n = (long)json_integer_value(
        json_object_get(json_object_get(status, "inbox"), "files"));
    for (int i = 0; i < 3; i++) {
        n += (long)json_integer_value(json_object_get(jobs, states[i]));
    }
    size_t i;
    const json_t *group;
    json_array_foreach(json_object_get(status, "waiting"), i, group)
    {
        n += json_is_number(json_object_get(group, "due_at")); /* else: for files */
    }
    *ret_held = (long)json_integer_value(json_object_get(jobs, "held")) +
                (long)json_integer_value(json_object_get(jobs, "quarantined"));
    return n;
}

static int do_wait(const struct options *o)
{
    struct err err = {0};
    double end = seconds() + o->timeout;
    for (;;) {
        json_t *answer;
        if (ask(o, "status", NULL, &answer, &err)) {
            return fail(&err);
        }
        long held = 0, n = still_open(answer, &held);
        json_decref(answer);
        if (n == 0) {
            if (held) {
                fprintf(stderr, "ifuctl: %ld job%s held: see ifuctl status\n", held,
                        held == 1 ? " is" : "s are");
            }
            return held ? 1 : 0;
        }
        if (o->timeout >= 0 && seconds() >= end) {
            fprintf(stderr, "ifuctl: %ld files and jobs are still open after %g s\n", n,
                    o->timeout);
            return 1;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

static int run(const struct options *o, int n, char **words)
{
    const char *command = words[0];
    if (!strcmp(command, "status")) {
        return n == 1 ? do_status(o) : misuse("status takes no argument");
    }
    if (!strcmp(command, "show")) {
        return n == 2 ? do_show(o, words[1]) : misuse("show takes one job");
    }
    if (!strcmp(command, "events")) {
        return n <= 2 ? do_events(o, n == 2 ? words[1] : NULL)
                      : misuse("events takes one job");
    }
    if (!strcmp(command, "retry")) {
        return n == 2 ? do_retry(o, words[1]) : misuse("retry takes one job");
    }
    if (!strcmp(command, "submit")) {
        return n > 1 ? do_submit(o, words + 1, n - 1) : misuse("submit takes files");
    }
    if (!strcmp(command, "wait")) {
        return n == 1 ? do_wait(o) : misuse("wait takes no argument");
    }
    return misuse("the commands are status, show, events, retry, submit and wait");
}

/* A number of the command line, or -1. */
static double to_number(const char *word)
{
    char *end;
    double v = strtod(word, &end);
    return *word && !*end && v >= 0 && v < 1e12 ? v : -1;
}

int main(int argc, char **argv)
{
    static const struct option table[] = {{"socket", required_argument, NULL, 's'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"inbox", required_argument, NULL, 'i'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"watch", no_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'v'},
                                          {NULL, 0, NULL, 0}};
    struct options o = {.socket = getenv("IFUD_SOCKET"), .timeout = -1, .limit = 50};
    struct err err = {0};
    const char *config = NULL, *socket = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (c) {
        case 's':
            socket = optarg;
            break;
        case 'c':
            config = optarg;
            break;
        case 'i':
            o.inbox = optarg;
            break;
        case 'j':
            o.json = true;
            break;
        case 'w':
            o.watch = true;
            break;
        case 't':
            if ((o.timeout = to_number(optarg)) < 0) {
                return misuse("--timeout takes seconds");
            }
            break;
        case 'l':
            if ((o.limit = (long)to_number(optarg)) < 1) {
                return misuse("--limit takes a number from 1 to 1000");
            }
            break;
        case 'h':
            printf("%s\n%s", usage, help);
            return 0;
        case 'v':
            puts("ifuctl " IFUD_VERSION);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind == argc) {
        return misuse("give a command");
    }
    if (config && config_read(config, &o.config, &err)) {
        return fail(&err);
    }
    if (o.config) {
        o.socket = params_string(o.config->values, "socket_path");
    }
    o.socket = socket ? socket : o.socket ? o.socket : "/run/ifud/status.sock";
    signal(SIGPIPE, SIG_IGN);
    int status = run(&o, argc - optind, argv + optind);
    config_free(o.config);
    return status;
}
