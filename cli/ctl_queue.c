#include <string.h>

#include "cli/ctl.h"
#include "cli/ctl_client.h"
#include "cli/ctl_text.h"

/* check, backup and what retention would remove read the queue in a process of their own:
 * the daemon does not stop for them, and need not run. */
static int beside_the_daemon(struct ctl *c, const char *verb, const char *path)
{
    struct err err = {0};
    json_t *answer = NULL, *request = ctl_request(verb);
    if (path) {
        json_object_set_new(request, "path", json_string(path));
    }
    int code = c->config_path
                   ? ctl_ask_offline(c->config_path, request, &answer, &err)
                   : err_set(&err, ERR_PARAM,
                             "queue %s needs --config FILE: which queue?", verb);
    json_decref(request);
    if (code) {
        return ctl_fail(c, &err);
    }
    if (c->json) {
        ctl_print_json(answer);
    } else {
        ctl_print_care(stdout, answer);
    }
    bool is_bad = *ctl_text(answer, "findings") != 0;
    json_decref(answer);
    return is_bad ? CTL_FAILED : CTL_DONE;
}

static int prune(struct ctl *c)
{
    struct err err = {0};
    json_t *answer = NULL;
    if (c->dry_run) {
        return beside_the_daemon(c, "prunable", NULL);
    }
    if (ctl_query(c, ctl_request("prune"), false, &answer, &err)) {
        return ctl_fail(c, &err);
    }
    if (c->json) {
        ctl_print_json(answer);
    } else {
        ctl_print_care(stdout, answer);
    }
    json_decref(answer);
    return CTL_DONE;
}

int ctl_do_queue(struct ctl *c, const char *name, int n, char **words)
{
    (void)name;
    if (!strcmp(words[0], "check") && n == 1) {
        return beside_the_daemon(c, "check", NULL);
    }
    if (!strcmp(words[0], "backup") && n == 2) {
        return beside_the_daemon(c, "backup", words[1]);
    }
    if (!strcmp(words[0], "prune") && n == 1) {
        return prune(c);
    }
    return ctl_misuse("queue takes check, backup FILE or prune [--dry-run]");
}
