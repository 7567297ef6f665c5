#include "tests/daemon_child.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/ctl_client.h"
#include "common/base/clock.h"
#include "tests/support.h"

#define PATIENCE 60.0

void daemon_child_show_log(const struct daemon_child *d)
{
    size_t n;
    char *text = support_read_file(d->log, &n);
    fprintf(stderr, "---- log of ifud\n%s----\n", text);
    free(text);
}

void daemon_child_init(struct daemon_child *d, const char *extra)
{
    *d = (struct daemon_child){.top = support_folder()};
    snprintf(d->inbox, sizeof d->inbox, "%.200s/inbox", d->top);
    snprintf(d->products, sizeof d->products, "%.200s/products", d->top);
    snprintf(d->rejected, sizeof d->rejected, "%.200s/rejected", d->top);
    snprintf(d->references, sizeof d->references, "%.200s/references", d->top);
    snprintf(d->socket, sizeof d->socket, "%.200s/run/s", d->top);
    snprintf(d->config, sizeof d->config, "%.200s/ifud.json", d->top);
    snprintf(d->log, sizeof d->log, "%.200s/log", d->top);
    ck_assert_int_eq(mkdir(d->inbox, 0700), 0);
    char text[4096];
    int n = snprintf(text, sizeof text,
                     "{\"inbox_folder\": \"%s\", \"spool_folder\": \"%.200s/spool\","
                     " \"products_folder\": \"%s\", \"rejected_folder\": \"%s\","
                     " \"references_folder\": \"%s\", \"socket_path\": \"%s\","
                     " \"settle_seconds\": 0.05, \"incomplete_seconds\": 0.3,"
                     " \"member_wait_seconds\": 0%s%s}",
                     d->inbox, d->top, d->products, d->rejected, d->references,
                     d->socket, *extra ? ", " : "", extra);
    support_write_file(d->config, text, (size_t)n);
    support_write_file(d->log, "", 0);
}

/* Fork and exec; output to a file. */
static pid_t spawn(const char *program, char *const argv[], const char *output)
{
    const char *bin = getenv("IFUD_BIN");
    ck_assert_msg(bin != NULL, "IFUD_BIN names the folder of the programs");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", bin, program);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int fd = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(path, argv);
        _exit(127);
    }
    return pid;
}

bool daemon_child_died(struct daemon_child *d, int *ret_status)
{
    if (waitpid(d->pid, ret_status, WNOHANG) == d->pid) {
        d->pid = 0;
        return true;
    }
    return false;
}

static json_t *ask(const struct daemon_child *d)
{
    json_t *answer = NULL, *request = json_pack("{s:s}", "request", "status");
    struct err err;
    int code = ctl_ask(d->socket, request, &answer, &err);
    json_decref(request);
    return code ? NULL : answer;
}

void daemon_child_launch(struct daemon_child *d)
{
    char program[] = "ifud", option[] = "--config";
    char *const argv[] = {program, option, d->config, NULL};
    d->pid = spawn("ifud", argv, d->log);
}

void daemon_child_start(struct daemon_child *d)
{
    double end = clock_steady() + PATIENCE;
    int status;
    daemon_child_launch(d);
    for (;;) {
        json_t *answer = ask(d);
        if (answer) {
            json_decref(answer);
            return;
        }
        daemon_child_need(d, !daemon_child_died(d, &status),
                          "ifud ended with status %d", status);
        daemon_child_need(d, clock_steady() < end, "ifud does not answer");
        support_beat();
    }
}

void daemon_child_stop(struct daemon_child *d)
{
    int status = -1;
    double end = clock_steady() + PATIENCE;
    ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
    while (!daemon_child_died(d, &status)) {
        daemon_child_need(d, clock_steady() < end, "ifud does not end on SIGTERM");
        support_beat();
    }
    daemon_child_need(d, WIFEXITED(status) && WEXITSTATUS(status) == 0,
                      "ifud ended with status %x", (unsigned)status);
}

void daemon_child_done(struct daemon_child *d)
{
    if (d->pid) {
        kill(d->pid, SIGKILL);
        waitpid(d->pid, NULL, 0);
    }
    support_remove(d->top);
    d->top = NULL;
}

int daemon_child_run(const struct daemon_child *d, char **ret_text, const char *program,
                     const char *a, const char *b, const char *c, const char *e)
{
    const char *words[6] = {program, a, b, c, e, NULL};
    char *argv[6];
    char output[400];
    int status = -1;
    snprintf(output, sizeof output, "%.300s/output", d->top);
    unlink(output);
    for (int i = 0; i < 6; i++) {
        argv[i] = words[i] ? strdup(words[i]) : NULL;
    }
    pid_t pid = spawn(program, argv, output);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    for (int i = 0; i < 6; i++) {
        free(argv[i]);
    }
    if (ret_text) {
        size_t n;
        *ret_text = support_read_file(output, &n);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *daemon_child_ctl(const struct daemon_child *d, const char *command,
                             const char *word)
{
    static char ring[4][20000];
    static int at;
    char *to = ring[at++ % 4], *text = NULL;
    daemon_child_run(d, &text, "ifuctl", "--config", d->config, command, word);
    snprintf(to, sizeof ring[0], "%s", text);
    free(text);
    return to;
}

json_t *daemon_child_json(const struct daemon_child *d, const char *command,
                          const char *word)
{
    char *text = NULL, config[320];
    snprintf(config, sizeof config, "--config=%.300s", d->config);
    int status = daemon_child_run(d, &text, "ifuctl", config, "--json", command, word);
    const char *json = strchr(text, '{'); /* after a note that no daemon runs */
    json_t *o = json ? json_loads(json, 0, NULL) : NULL;
    daemon_child_need(d, o && status == 0, "%s: %d, %s", command, status, text);
    free(text);
    return o;
}

void daemon_child_says(const struct daemon_child *d, const char *text, const char *part)
{
    daemon_child_need(d, strstr(text, part) != NULL, "no '%s' in:\n%s", part, text);
}

void daemon_child_in_order(const struct daemon_child *d)
{
    char *said = NULL;
    int status =
        daemon_child_run(d, &said, "ifuctl", "--config", d->config, "queue", "check");
    daemon_child_need(d, status == 0, "%s", said);
    free(said);
}

json_t *daemon_child_status(const struct daemon_child *d)
{
    json_t *answer = ask(d);
    daemon_child_need(d, answer != NULL, "ifud does not answer");
    return answer;
}

long daemon_child_number(const struct daemon_child *d, const char *key)
{
    char copy[80], *save = NULL;
    json_t *status = daemon_child_status(d), *at = status;
    snprintf(copy, sizeof copy, "%s", key);
    for (char *word = strtok_r(copy, ".", &save); word;
         word = strtok_r(NULL, ".", &save)) {
        at = json_object_get(at, word);
    }
    ck_assert_msg(json_is_integer(at), "no number %s in the status", key);
    long n = (long)json_integer_value(at);
    json_decref(status);
    return n;
}

void daemon_child_until(const struct daemon_child *d, const char *key, long n)
{
    double end = clock_steady() + PATIENCE;
    long is;
    while ((is = daemon_child_number(d, key)) < n) {
        daemon_child_need(d, clock_steady() < end, "%s is %ld, not %ld", key, is, n);
        support_beat();
    }
}
