/* ifuctl: ask the daemon how things stand, tell it what to do, and hand it files. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "cli/ctl_client.h"

#define SYSTEM_CONFIG "/etc/ifud/ifud.json"
#define SYSTEM_SOCKET "/run/ifud/status.sock"

static const char usage[] = "usage: ifuctl COMMAND [ARGUMENT]... [OPTION]...\n";

const struct ctl_command ctl_commands[] = {
    {"status", "", "how things stand, and what needs attention", 0, 0, ctl_do_status},
    {"list", "", "jobs, the newest first", 0, 0, ctl_do_list},
    {"show", "JOB|FILE", "a job, an exposure or an association with its history", 1, 1,
     ctl_do_show},
    {"why", "JOB", "what a job waits for, and what to do about it", 1, 1, ctl_do_why},
    {"events", "[JOB]", "the last changes of state, the newest last", 0, 1,
     ctl_do_events},
    {"submit", "FILE...", "copy files into the inbox, whole or not at all", 1, -1,
     ctl_do_submit},
    {"wait", "", "until the inbox is empty and nothing more happens by itself", 0, 0, ctl_do_wait},
    {"retry", "JOB...", "run held, quarantined, cancelled or deferred jobs again", 0,
     -1, ctl_do_move},
    {"hold", "JOB...", "keep jobs from running, stop those that run", 0, -1,
     ctl_do_move},
    {"release", "JOB...", "let held jobs run", 0, -1, ctl_do_move},
    {"cancel", "JOB...", "jobs that are not wanted; groups go on without them", 0, -1,
     ctl_do_move},
    {"quarantine", "JOB...", "put jobs aside as dangerous", 0, -1, ctl_do_move},
    {"priority", "JOB... N", "which go first: -10 to 10, usually 0", 0, -1,
     ctl_do_priority},
    {"proceed", "GROUP...", "combine groups without what they still wait for", 1, -1,
     ctl_do_proceed},
    {"stale", "", "products that would be others now, and why", 0, 0, ctl_do_stale},
    {"reduce", "--stale JOB|GROUP...", "reduce what is stale again; --all, too", 0, -1,
     ctl_do_reduce},
    {"drain", "", "start nothing new, also after a restart", 0, 0, ctl_do_service},
    {"resume", "", "end draining", 0, 0, ctl_do_service},
    {"rescan", "", "list the inbox and the references now", 0, 0, ctl_do_service},
    {"queue", "check|backup FILE|prune", "look after the queue", 1, 2, ctl_do_queue},
    {NULL, NULL, NULL, 0, 0, NULL}};

static const char options_help[] =
    "  --config FILE     the daemon's configuration (default: " SYSTEM_CONFIG ")\n"
    "  --socket PATH     the daemon's socket (default: that of --config, else\n"
    "                    $IFUD_SOCKET, else that of the default configuration)\n"
    "  --json            the answer as JSON (protocol.md has the keys)\n"
    "  --watch           status: again every two seconds until interrupted\n"
    "  --follow          events: go on as they happen\n"
    "  --limit N         list, events: how many (default 50)\n"
    "  --state S         list, and commands for jobs: only jobs in this state\n"
    "  --program P       list, and commands for jobs: the jobs of a program\n"
    "  --group G         list, and commands for jobs: the jobs of a group\n"
    "  --all             commands for jobs: all that the command makes sense for\n"
    "  --names           list: only names\n"
    "  --stale           reduce: what is stale\n"
    "  --reason TEXT     commands for jobs: kept with the job\n"
    "  --exit-code       status, show: the exit status says the state\n"
    "  --timeout S       wait: give up after S seconds\n"
    "  --inbox DIR       submit: where to, without asking the daemon\n"
    "  --dry-run         queue prune: only say what would go\n"
    "  --help, --version\n";

static const char exit_help[] =
    "  0  done; with wait, --exit-code: nothing is open, no job is held\n"
    "  1  failed\n"
    "  2  wrong usage\n"
    "  3  wait, --exit-code: a job is held or quarantined\n"
    "  4  wait, --exit-code: something is still to happen (wait: the time is over)\n"
    "  5  the daemon is not running\n";

static void print_help(void)
{
    char word[80];
    printf("%s\nAsks the ifud of this machine, and tells it what to do. Without a "
           "daemon the queue is\nread as it was left.\n\nCOMMANDS\n",
           usage);
    for (const struct ctl_command *k = ctl_commands; k->name; k++) {
        snprintf(word, sizeof word, "%s %s", k->name, k->arguments);
        printf("  %-30s %s\n", word, k->summary);
    }
    printf("\nCommands that change something are for root and the daemon's user.\n"
           "\nOPTIONS\n%s\nEXIT STATUS\n%s",
           options_help, exit_help);
}

int ctl_misuse(const char *why)
{
    fprintf(stderr, "ifuctl: %s\n%s(ifuctl --help tells more)\n", why, usage);
    return CTL_USAGE;
}

int ctl_fail(const struct ctl *c, const struct err *err)
{
    fprintf(stderr, "ifuctl: %s\n", err->message);
    return c->is_down ? CTL_DOWN : err->code == ERR_PARAM ? CTL_USAGE : CTL_FAILED;
}

void ctl_print_json(const json_t *answer)
{
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
}

json_t *ctl_request(const char *verb)
{
    return json_pack("{s:s}", "request", verb);
}

int ctl_query(struct ctl *c, json_t *request, bool offline, json_t **ret,
              struct err *err)
{
    int code = ctl_ask(c->socket, request, ret, err);
    c->is_down = code == ERR_IO && ctl_is_down(c->socket);
    if (c->is_down && !offline) {
        const char *verb = json_string_value(json_object_get(request, "request"));
        err_set(err, ERR_IO,
                "no ifud answers on %s: the daemon is not running, %s needs it",
                c->socket, verb);
    } else if (c->is_down && c->config_path) {
        struct err why = {0};
        code = ctl_ask_offline(c->config_path, request, ret, &why);
        if (code && code != ERR_INPUT) {
            err_set(err, ERR_IO, "no ifud answers on %s, and %s", c->socket,
                    why.message);
        } else if (code) { /* an answer, too */
            *err = why;
            c->is_down = false;
        }
        if ((!code || code == ERR_INPUT) && !c->told_down) {
            fputs("ifuctl: the daemon is not running; this is the queue as it was "
                  "left\n",
                  stderr);
            c->told_down = true;
        }
    }
    json_decref(request);
    return code;
}

/* A number of the command line, or -1. */
static double to_number(const char *word)
{
    char *end;
    double v = strtod(word, &end);
    return *word && !*end && v >= 0 && v < 1e9 ? v : -1;
}

enum {
    OPT_CONFIG = 256,
    OPT_SOCKET,
    OPT_INBOX,
    OPT_TIMEOUT,
    OPT_LIMIT,
    OPT_STATE,
    OPT_PROGRAM,
    OPT_GROUP,
    OPT_REASON,
    OPT_JSON,
    OPT_WATCH,
    OPT_ALL,
    OPT_NAMES,
    OPT_EXIT_CODE,
    OPT_DRY_RUN,
    OPT_STALE,
    OPT_VERSION
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"inbox", required_argument, NULL, OPT_INBOX},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"state", required_argument, NULL, OPT_STATE},
    {"program", required_argument, NULL, OPT_PROGRAM},
    {"group", required_argument, NULL, OPT_GROUP},
    {"reason", required_argument, NULL, OPT_REASON},
    {"json", no_argument, NULL, OPT_JSON},
    {"watch", no_argument, NULL, OPT_WATCH},
    {"follow", no_argument, NULL, 'f'},
    {"all", no_argument, NULL, OPT_ALL},
    {"names", no_argument, NULL, OPT_NAMES},
    {"exit-code", no_argument, NULL, OPT_EXIT_CODE},
    {"stale", no_argument, NULL, OPT_STALE},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0}};

/* -1: go on with the command; else the exit status. */
static int read_options(struct ctl *c, int argc, char **argv)
{
    int o;
    while ((o = getopt_long(argc, argv, "fh0123456789", options, NULL)) != -1) {
        switch (o) {
        case OPT_CONFIG:
            c->config_path = optarg;
            break;
        case OPT_SOCKET:
            c->socket = optarg;
            break;
        case OPT_INBOX:
            c->inbox = optarg;
            break;
        case OPT_STATE:
            c->state = optarg;
            break;
        case OPT_PROGRAM:
            c->program = optarg;
            break;
        case OPT_GROUP:
            c->group = optarg;
            break;
        case OPT_REASON:
            c->reason = optarg;
            break;
        case OPT_JSON:
            c->json = true;
            break;
        case OPT_WATCH:
            c->watch = true;
            break;
        case OPT_ALL:
            c->all = true;
            break;
        case OPT_NAMES:
            c->names = true;
            break;
        case OPT_EXIT_CODE:
            c->exit_code = true;
            break;
        case OPT_STALE:
            c->stale = true;
            break;
        case OPT_DRY_RUN:
            c->dry_run = true;
            break;
        case 'f':
            c->follow = true;
            break;
        case OPT_TIMEOUT:
            if ((c->timeout = to_number(optarg)) < 0) {
                return ctl_misuse("--timeout takes seconds");
            }
            break;
        case OPT_LIMIT:
            if ((c->limit = (long)to_number(optarg)) < 1) {
                return ctl_misuse("--limit takes a number from 1");
            }
            break;
        case 'h':
            print_help();
            return CTL_DONE;
        case OPT_VERSION:
            puts("ifuctl " IFUD_VERSION);
            return CTL_DONE;
        default:
            if (o < '0' || o > '9') {
                fputs(usage, stderr);
                return CTL_USAGE;
            }
            c->minus = c->minus < 1000 ? 10 * c->minus + (o - '0') : c->minus; /* -N */
        }
    }
    return optind == argc ? ctl_misuse("give a command") : -1;
}

/* Where the daemon is: --socket, else --config's, else $IFUD_SOCKET, else the system's. */
static int find_daemon(struct ctl *c, struct err *err)
{
    const char *own = getenv("IFUD_SOCKET");
    if (!c->config_path && !c->socket && own && *own) {
        c->socket = own;
    } else if (!c->config_path && !c->socket && !access(SYSTEM_CONFIG, R_OK)) {
        c->config_path = SYSTEM_CONFIG;
    }
    int code = c->config_path ? config_read(c->config_path, &c->config, err) : 0;
    if (!code && !c->socket) {
        c->socket =
            c->config ? params_string(c->config->values, "socket_path") : SYSTEM_SOCKET;
    }
    return code;
}

static int run(struct ctl *c, int n, char **words)
{
    const struct ctl_command *k = ctl_commands;
    char why[200];
    while (k->name && strcmp(k->name, words[0]) != 0) {
        k++;
    }
    if (!k->name) {
        snprintf(why, sizeof why, "no command '%.60s'", words[0]);
        return ctl_misuse(why);
    }
    if (n - 1 < k->min || (k->max >= 0 && n - 1 > k->max)) {
        snprintf(why, sizeof why, "%s takes %s", k->name,
                 *k->arguments ? k->arguments : "no argument");
        return ctl_misuse(why);
    }
    if (c->minus && k->run != ctl_do_priority) {
        return ctl_misuse("only priority takes a negative number");
    }
    struct err err = {0};
    return find_daemon(c, &err) ? ctl_fail(c, &err)
                                : k->run(c, k->name, n - 1, words + 1);
}

int main(int argc, char **argv)
{
    struct ctl c = {.timeout = -1};
    signal(SIGPIPE, SIG_IGN);
    int status = read_options(&c, argc, argv);
    status = status < 0 ? run(&c, argc - optind, argv + optind) : status;
    config_free(c.config);
    return status;
}
