/* ifud: the daemon. Exposures in an inbox become cubes and spectra. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/data/fits_io.h"
#include "config/config.h"
#include "daemon/offline.h"
#include "daemon/service.h"

static const char usage[] =
    "usage: ifud --config FILE [--check-config | --print-config | --once | "
    "--answer]\n";

static const char help[] =
    "Turns JWST NIRSpec IFU exposures that are dropped into a folder into calibrated\n"
    "cubes and spectra.\n"
    "\n"
    "  --config FILE    the configuration, one JSON object\n"
    "  --check-config   read it, say what is wrong with it, and end\n"
    "  --print-config   print every key with its value, and end\n"
    "  --once           take in what is in the inbox, run all jobs, combine groups "
    "with\n"
    "                   what is there, and end (status 1 if a job is held)\n"
    "  --answer         answer one request on standard input from the queue, whether "
    "a\n"
    "                   daemon runs or not, and end (ifuctl uses this)\n"
    "  --help           this text\n"
    "  --version        the version\n"
    "\n"
    "SIGTERM, SIGINT   stop after the running stages; a second time: at once\n"
    "SIGHUP            read the configuration, list the inbox and the references anew\n"
    "SIGUSR1           open log_file anew\n"
    "\n"
    "Ask it with ifuctl(1).\n"
    "\n"
    "Keys of the configuration (default, bounds); those with [restart] count from the\n"
    "next start, the others also on SIGHUP:\n"
    "\n";

static int run_job(struct job *job, struct references *refs, struct par *par,
                   const atomic_bool *cancel, const struct job_events *events,
                   struct job_result *ret, struct err *err)
{
    int code = job_check(job, err);
    code = code ? code : job_pin(job, refs, par, err);
    return code ? code : job_run(job, refs, par, cancel, events, ret, err);
}

static int print_help(void)
{
    char *keys = config_help(NULL);
    printf("%s\n%s%s", usage, help, keys ? keys : "");
    free(keys);
    return keys ? 0 : 1;
}

static int print_config(const struct config *config)
{
    char *json = config_to_json(config, NULL);
    if (json) {
        puts(json);
    }
    free(json);
    return json ? 0 : 1;
}

static int serve(const struct config *config, bool once)
{
    const char *file = params_string(config->values, "log_file");
    struct err err = {0};
    long held = 0;
    log_set_level_name(params_string(config->values, "log_level"));
    log_use_journal(NULL);
    if ((file && log_open_file(file, &err)) || fits_check_library(&err) ||
        service_run(config, run_job, once, &held, &err)) {
        log_error("%s", err.message);
        return 1;
    }
    return once && held > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", no_argument, NULL, 'k'},
                                            {"print-config", no_argument, NULL, 'p'},
                                            {"once", no_argument, NULL, 'o'},
                                            {"answer", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    int mode = 0, o;
    mem_return_large();
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'h') {
            return print_help();
        } else if (o == 'v') {
            puts("ifud " IFUD_VERSION);
            return 0;
        } else if (o == 'c') {
            path = optarg;
        } else if (o == '?' || mode) {
            fputs(usage, stderr);
            return 2;
        } else {
            mode = o;
        }
    }
    if (!path || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    struct config *config = NULL;
    struct err err = {0};
    if (config_read(path, &config, &err)) {
        fprintf(stderr, "ifud: %s\n", err.message);
        return err.code == ERR_PARAM ? 2 : 1;
    }
    int status = 0;
    if (mode == 'k') {
        printf("%s: good\n", path);
    } else if (mode == 'p') {
        status = print_config(config);
    } else if (mode == 'a') {
        status = offline_answer(config, stdin, stdout, &err) ? 1 : 0;
    } else {
        status = serve(config, mode == 'o');
    }
    config_free(config);
    return status;
}
