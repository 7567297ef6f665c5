#include "cli/ifurun_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "cli/ifurun_source.h"
#include "common/base/path.h"
#include "jobs/job_plan.h"

static int add_setting(struct ifurun_options *o, const char *text, struct err *err)
{
    const char *equals = strchr(text, '='), *dot = strchr(text, '.');
    if (!equals || !dot || dot > equals || dot == text || dot + 1 == equals) {
        return err_set(err, ERR_PARAM, "--set '%s': give stage.parameter=value", text);
    }
    struct job_setting *grown =
        mem_realloc(o->settings, o->n_settings + 1, sizeof *grown, err);
    if (!grown) {
        return ERR_NOMEM;
    }
    o->settings = grown;
    struct job_setting *s = &grown[o->n_settings++];
    s->stage = mem_strndup(text, (size_t)(dot - text), err);
    s->name = mem_strndup(dot + 1, (size_t)(equals - dot - 1), err);
    s->value = mem_strdup(equals + 1, err);
    return s->stage && s->name && s->value ? 0 : ERR_NOMEM;
}

static int add_member(struct ifurun_options *o, const char *role, const char *path,
                      struct err *err)
{
    struct job_member *grown =
        mem_realloc(o->members, o->n_members + 1, sizeof *grown, err);
    if (!grown) {
        return ERR_NOMEM;
    }
    o->members = grown;
    struct job_member *m = &grown[o->n_members++];
    *m = (struct job_member){0};
    m->role = mem_strdup(role, err);
    m->path = mem_strdup(path, err);
    return m->role && m->path ? 0 : ERR_NOMEM;
}

static int add_save(struct ifurun_options *o, const char *text, struct err *err)
{
    char *copy = mem_strdup(text, err), *state = NULL;
    int code = copy ? 0 : ERR_NOMEM;
    for (char *t = copy ? strtok_r(copy, ",", &state) : NULL; t && !code;
         t = strtok_r(NULL, ",", &state)) {
        char **grown = mem_realloc(o->save, o->n_save + 1, sizeof *grown, err);
        code = grown ? 0 : ERR_NOMEM;
        if (grown) {
            o->save = grown;
            o->save[o->n_save] = mem_strdup(t, err);
            code = o->save[o->n_save] ? 0 : ERR_NOMEM;
            o->n_save += !code;
        }
    }
    free(copy);
    return code;
}

static int read_number(const char *option, const char *text, long min, long max,
                       long *ret, struct err *err)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (*end || end == text || errno || n < min || n > max) {
        return err_set(err, ERR_PARAM, "--%s '%s': give a number from %ld to %ld",
                       option, text, min, max);
    }
    *ret = n;
    return 0;
}

int ifurun_options_read(int argc, char **argv, struct ifurun_options *ret,
                        struct err *err)
{
    static const struct option table[] = {
        {"references", required_argument, NULL, 'r'},
        {"crds-path", required_argument, NULL, 'p'},
        {"crds-context", required_argument, NULL, 'c'},
        {"output", required_argument, NULL, 'o'},
        {"set", required_argument, NULL, 's'},
        {"imprint", required_argument, NULL, 'i'},
        {"background", required_argument, NULL, 'b'},
        {"save", required_argument, NULL, 'v'},
        {"stop-after", required_argument, NULL, 'x'},
        {"reuse", no_argument, NULL, 'u'},
        {"timings", required_argument, NULL, 'm'},
        {"threads", required_argument, NULL, 't'},
        {"report-fd", required_argument, NULL, 'f'},
        {"limit-memory-mb", required_argument, NULL, 'M'},
        {"limit-cpu-seconds", required_argument, NULL, 'C'},
        {"limit-file-mb", required_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct ifurun_options o = {.output = ".", .threads = 0, .report_fd = -1};
    long threads = 0, fd = -1;
    int code = 0, option;
    opterr = 0;
    optind = 1;
    while (!code && (option = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        switch (option) {
        case 'r':
            o.references = optarg;
            break;
        case 'p':
            o.crds_path = optarg;
            break;
        case 'c':
            o.crds_context = optarg;
            break;
        case 'o':
            o.output = optarg;
            break;
        case 's':
            code = add_setting(&o, optarg, err);
            break;
        case 'i':
            code = add_member(&o, JOB_IMPRINT, optarg, err);
            break;
        case 'b':
            code = add_member(&o, JOB_BACKGROUND, optarg, err);
            break;
        case 'v':
            code = add_save(&o, optarg, err);
            break;
        case 'x':
            o.stop_after = optarg;
            break;
        case 'u':
            o.reuse = true;
            break;
        case 'm':
            o.timings = optarg;
            break;
        case 't':
            code = read_number("threads", optarg, 1, 1024, &threads, err);
            break;
        case 'f':
            code = read_number("report-fd", optarg, 0, 1 << 20, &fd, err);
            break;
        case 'M':
            code = read_number("limit-memory-mb", optarg, 1, 1L << 30,
                               &o.limits.memory_mb, err);
            break;
        case 'C':
            code = read_number("limit-cpu-seconds", optarg, 1, 1L << 30,
                               &o.limits.cpu_seconds, err);
            break;
        case 'F':
            code = read_number("limit-file-mb", optarg, 1, 1L << 30, &o.limits.file_mb,
                               err);
            break;
        case 'h':
            o.help = true;
            break;
        case ':':
            code = err_set(err, ERR_PARAM, "%s needs a value; see ifurun --help",
                           argv[optind - 1]);
            break;
        default:
            code = err_set(err, ERR_PARAM, "unknown option '%s'; see ifurun --help",
                           argv[optind - 1]);
        }
    }
    if (code) {
        ifurun_options_done(&o);
        return code;
    }
    if (optind < argc) {
        o.command = argv[optind++];
    }
    o.files = argv + optind;
    o.n_files = (size_t)(argc - optind);
    o.report_fd = (int)fd;
    o.threads = (int)threads;
    if (o.threads == 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        o.threads = n < 1 ? 1 : (int)n;
    }
    *ret = o;
    return 0;
}

void ifurun_options_done(struct ifurun_options *o)
{
    for (size_t i = 0; i < o->n_settings; i++) {
        free(o->settings[i].stage);
        free(o->settings[i].name);
        free(o->settings[i].value);
    }
    for (size_t i = 0; i < o->n_save; i++) {
        free(o->save[i]);
    }
    for (size_t i = 0; i < o->n_members; i++) {
        free(o->members[i].role);
        free(o->members[i].path);
    }
    free(o->members);
    free(o->settings);
    free(o->save);
    *o = (struct ifurun_options){0};
}

static char *now(struct err *err)
{
    struct timeval tv;
    struct tm tm;
    gettimeofday(&tv, NULL);
    gmtime_r(&tv.tv_sec, &tm);
    return mem_printf(err, "%04d-%02d-%02dT%02d:%02d:%02d.%03d", tm.tm_year + 1900,
                      tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                      (int)(tv.tv_usec / 1000));
}

static int copy_lists(const struct ifurun_options *o, struct job *job, struct err *err)
{
    job->settings = mem_calloc(o->n_settings, sizeof *job->settings, err);
    job->save = mem_calloc(o->n_save, sizeof *job->save, err);
    if (!job->settings || !job->save) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < o->n_settings; i++) {
        struct job_setting *s = &job->settings[job->n_settings++];
        s->stage = mem_strdup(o->settings[i].stage, err);
        s->name = mem_strdup(o->settings[i].name, err);
        s->value = mem_strdup(o->settings[i].value, err);
        if (!s->stage || !s->name || !s->value) {
            return ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < o->n_save; i++) {
        job->save[job->n_save] = mem_strdup(o->save[i], err);
        if (!job->save[job->n_save++]) {
            return ERR_NOMEM;
        }
    }
    return 0;
}

static bool is_same(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && path_same_file(&x, &y);
}

/* An exposure is not taken off itself: nods are given as backgrounds of each other. */
static int copy_members(const struct ifurun_options *o, struct job *job,
                        char *const *files, size_t n_files, struct err *err)
{
    job->members = mem_calloc(o->n_members, sizeof *job->members, err);
    if (!job->members) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < o->n_members; i++) {
        const struct job_member *from = &o->members[i];
        if (n_files == 1 && is_same(files[0], from->path)) {
            continue;
        }
        struct job_member *to = &job->members[job->n_members++];
        to->role = mem_strdup(from->role, err);
        to->path = mem_strdup(from->path, err);
        if (!to->role || !to->path) {
            return ERR_NOMEM;
        }
    }
    return 0;
}

int ifurun_make_job(const struct ifurun_options *o, const char *recipe,
                    char *const *files, size_t n_files, struct job *ret,
                    struct err *err)
{
    struct job job = {.attempt = 1};
    char *base = n_files ? job_input_base(files[0], err) : mem_strdup("none", err);
    int code = copy_lists(o, &job, err);
    code = code ? code : copy_members(o, &job, files, n_files, err);
    job.recipe = mem_strdup(recipe, err);
    job.id = base ? mem_printf(err, "%s-%s-1", recipe, base) : NULL;
    job.output_folder = mem_strdup(o->output, err);
    job.date = now(err);
    job.stop_after = o->stop_after ? mem_strdup(o->stop_after, err) : NULL;
    job.inputs = mem_calloc(n_files, sizeof *job.inputs, err);
    if (!base || !job.recipe || !job.id || !job.output_folder || !job.date ||
        !job.inputs || (o->stop_after && !job.stop_after)) {
        code = ERR_NOMEM;
    }
    for (size_t i = 0; i < n_files && !code; i++) {
        job.inputs[i].path = mem_strdup(files[i], err);
        job.n_inputs = i + 1;
        code = job.inputs[i].path ? 0 : ERR_NOMEM;
    }
    if (!code) {
        code = ifurun_source(o, &job, err);
    }
    free(base);
    if (code) {
        job_done(&job);
        return code;
    }
    *ret = job;
    return 0;
}
