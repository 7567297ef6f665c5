/*
 * The status socket of a whole service that runs on a thread of this process, with a
 * small queue of jobs in all states: any bytes are sent, every line that comes back must
 * be a JSON object, and the service must go on. Its owner asks, so commands are obeyed;
 * only `backup`, which writes where it is told to, is left out.
 */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "common/base/log.h"
#include "config/config.h"
#include "daemon/queue.h"
#include "daemon/service.h"
#include "tests/fuzz/fuzz.h"

static struct {
    char socket[200];
    struct config *config;
    pthread_t thread;
    pid_t pid; /* whose service it is */
    char *answer;
    size_t n, room;
} o;

static int run_nothing(struct job *job, struct references *refs, struct par *par,
                       const atomic_bool *cancel, const struct job_events *events,
                       struct job_result *ret, struct err *err)
{
    (void)refs;
    (void)par;
    (void)cancel;
    (void)events;
    (void)ret;
    return err_set(err, ERR_INPUT, "%s: no job is run here", job->id);
}

static void *serve(void *unused)
{
    long held;
    struct err err = {0};
    int code = service_run(o.config, run_nothing, false, &held, &err);
    fuzz_must(!code, err.message);
    return unused;
}

static void stop_service(void)
{
    if (o.pid == getpid()) {
        kill(o.pid, SIGTERM);
        pthread_join(o.thread, NULL);
        config_free(o.config);
        free(o.answer);
    }
}

/* ---- a queue with something of everything ---- */

static void add(struct queue *q, int number, const enum job_state *way, size_t n)
{
    struct err err = {0};
    struct queue_exposure e = {.pattern_number = 1, .pattern_total = 4, .bytes = 77};
    struct queue_job j = {.version = 1}, row;
    const struct queue_change change = {.message = "no space left on device",
                                        .error = "ERR_IO",
                                        .stage = "flat_field",
                                        .not_before = 4e9};
    snprintf(e.sha256, sizeof e.sha256, "%064d", number);
    snprintf(e.base, sizeof e.base, "jw01234001001_02101_%05d_nrs1", number);
    snprintf(e.name, sizeof e.name, "%.60s_rate.fits", e.base);
    snprintf(e.group, sizeof e.group, "jw01234-o001_a_nirspec_g395h-f290lp");
    snprintf(e.program, sizeof e.program, "01234");
    snprintf(e.role, sizeof e.role, "science");
    snprintf(e.detector, sizeof e.detector, "NRS1");
    int code = queue_add_exposure(q, &e, NULL, 100.0, &j.exposure, &err);
    snprintf(j.recipe, sizeof j.recipe, "spec2");
    memcpy(j.base, e.base, sizeof j.base);
    memcpy(j.group, e.group, sizeof j.group);
    memcpy(j.program, e.program, sizeof j.program);
    code = code ? code : queue_add_job(q, &j, 101.0, &row, &err);
    for (size_t i = 0; i < n && !code; i++) {
        code = queue_move(q, row.id, way[i], &change, 102.0, &err);
    }
    fuzz_must(!code, err.message);
}

static void fill_queue(const char *spool)
{
    static const enum job_state ways[][3] = {
        {JOB_QUEUED, JOB_RUNNING, JOB_HELD},     {JOB_QUEUED, JOB_RUNNING, JOB_DONE},
        {JOB_QUEUED, JOB_RUNNING, JOB_DEFERRED}, {JOB_QUEUED, JOB_CANCELLED},
        {JOB_QUEUED, JOB_QUARANTINED},           {JOB_QUEUED, JOB_HELD}};
    static const size_t steps[] = {3, 3, 3, 2, 2, 2};
    struct err err = {0};
    struct queue *q = NULL;
    char path[300];
    snprintf(path, sizeof path, "%s/queue.db", spool);
    fuzz_must(!mkdir(spool, 0700), "no folder for the spool");
    fuzz_must(!queue_open(path, QUEUE_WRITE, &q, &err), err.message);
    for (int i = 0; i < 6; i++) {
        add(q, i + 1, ways[i], steps[i]);
    }
    queue_close(q);
}

/* ---- the service ---- */

static int connect_to_it(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = 10};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.100s", o.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof addr)) {
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static void start_service(void)
{
    char text[2000];
    struct err err = {0};
    const char *top = fuzz_folder();
    char path[200];
    o.pid = getpid();
    snprintf(o.socket, sizeof o.socket, "%.100s/s", top);
    snprintf(text, sizeof text,
             "{\"inbox_folder\": \"%.90s/inbox\", \"spool_folder\": \"%.90s/spool\","
             " \"products_folder\": \"%.90s/products\", \"rejected_folder\":"
             " \"%.90s/rejected\", \"references_folder\": \"%.90s/references\","
             " \"socket_path\": \"%.90s/s\", \"stop_seconds\": 1}",
             top, top, top, top, top, top);
    snprintf(path, sizeof path, "%.90s/spool", top);
    fill_queue(path);
    fuzz_must(!config_parse(text, "fuzz", &o.config, &err), err.message);
    snprintf(path, sizeof path, "%.90s/log", top);
    fuzz_must(!log_open_file(path, &err), err.message);
    fuzz_must(!pthread_create(&o.thread, NULL, serve, NULL), "no thread");
    atexit(stop_service);
    int fd = -1;
    for (int i = 0; i < 1000 && fd < 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        fd = connect_to_it();
    }
    fuzz_must(fd >= 0, "the service does not answer");
    close(fd);
}

/* ---- one conversation ---- */

static void hear(int fd)
{
    char piece[8192];
    ssize_t got;
    o.n = 0;
    while ((got = recv(fd, piece, sizeof piece, 0)) > 0 ||
           (got < 0 && errno == EINTR)) {
        if (got < 0) {
            continue;
        }
        if (o.n + (size_t)got > o.room) {
            o.room = 2 * (o.n + (size_t)got);
            o.answer = realloc(o.answer, o.room);
            fuzz_must(o.answer != NULL, "no memory");
        }
        memcpy(o.answer + o.n, piece, (size_t)got);
        o.n += (size_t)got;
    }
    fuzz_must(got == 0 || errno == ECONNRESET, "no answer for ten seconds");
}

static void check_answers(void)
{
    for (size_t at = 0; at < o.n;) {
        const char *end = memchr(o.answer + at, '\n', o.n - at);
        if (!end) {
            return; /* cut by the end of the connection */
        }
        size_t n = (size_t)(end - (o.answer + at));
        json_t *line = json_loadb(o.answer + at, n, 0, NULL);
        fuzz_must(json_is_object(line) && json_is_boolean(json_object_get(line, "ok")),
                  "an answer is no JSON object with \"ok\"");
        json_decref(line);
        at += n + 1;
    }
}

void fuzz_socket(const uint8_t *data, size_t n)
{
    if (memmem(data, n, "backup", 6) || memmem(data, n, "\\u", 2)) {
        return;
    }
    if (o.pid != getpid()) {
        start_service();
    }
    int fd = connect_to_it();
    fuzz_must(fd >= 0, "nobody listens any more");
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, data + at, n - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            fuzz_must(errno == EPIPE || errno == ECONNRESET, "nobody reads");
            break;
        }
        at += (size_t)sent;
    }
    shutdown(fd, SHUT_WR);
    hear(fd);
    close(fd);
    check_answers();
}
