#include "cli/ifurun_child.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "jobs/job_report.h"

static struct job_report_writer writer = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
static volatile char stage_now[40]; /* read by the crash handler */

/* ---- limits ---- */

static int limit(int what, const char *name, long value, long unit, long grace,
                 struct err *err)
{
    struct rlimit now, new;
    if (value <= 0) {
        return 0;
    }
    if (getrlimit(what, &now)) {
        return err_set(err, ERR_IO, "limit of %s: %s", name, strerror(errno));
    }
    new.rlim_cur = (rlim_t)value *(rlim_t)unit;
    new.rlim_max = new.rlim_cur + (rlim_t)grace;
    if (now.rlim_max != RLIM_INFINITY && new.rlim_max > now.rlim_max) {
        new.rlim_max = now.rlim_max;
        new.rlim_cur = new.rlim_cur < now.rlim_max ? new.rlim_cur : now.rlim_max;
    }
    return setrlimit(what, &new) ? err_set(err, ERR_IO, "limit of %s to %ld: %s", name,
                                           value, strerror(errno))
                                 : 0;
}

int ifurun_limit(const struct ifurun_limits *limits, struct err *err)
{
    const struct rlimit none = {0, 0};
    int code = 0;
    setrlimit(RLIMIT_CORE, &none);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    /* a sanitizer maps terabytes for itself */
    code = limit(RLIMIT_AS, "memory (MB)", limits->memory_mb, 1L << 20, 0, err);
#endif
    /* seconds of grace: at the first limit the crash handler still has to run */
    code =
        code ? code : limit(RLIMIT_CPU, "CPU time (s)", limits->cpu_seconds, 1, 5, err);
    return code ? code
                : limit(RLIMIT_FSIZE, "files (MB)", limits->file_mb, 1L << 20, 0, err);
}

/* ---- the crash handler: nothing but what is safe in a signal handler ---- */

static const int deadly[] = {SIGSEGV, SIGBUS,  SIGABRT, SIGILL,
                             SIGFPE,  SIGXCPU, SIGXFSZ};

static size_t put(char *to, size_t n, const char *text)
{
    while (*text) {
        to[n++] = *text++;
    }
    return n;
}

static void on_crash(int number)
{
    char line[128];
    void *frames[64];
    size_t n = put(line, 0, "\n{\"crash\": ");
    if (number >= 10) {
        line[n++] = (char)('0' + number / 10 % 10);
    }
    line[n++] = (char)('0' + number % 10);
    n = put(line, n, ", \"stage\": \"");
    for (size_t i = 0; i + 1 < sizeof stage_now && stage_now[i]; i++) {
        line[n++] = stage_now[i];
    }
    n = put(line, n, "\"}\n");
    if (write(writer.fd, line, n) == (ssize_t)n) {
        backtrace_symbols_fd(frames, backtrace(frames, 64), writer.fd);
    }
    raise(number); /* by default now: SA_RESETHAND */
}

/* On a stack of its own, so that a stack overflow is told as well; other threads than
 * the main one die silently of that. */
static void catch_crashes(void)
{
    static char stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_crash,
                               .sa_flags =
                                   (int)(SA_ONSTACK | SA_RESETHAND | SA_NODEFER)};
    void *frame;
    backtrace(&frame, 1); /* loads what it needs, while memory may be taken */
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        sigaction(deadly[i], &action, NULL);
    }
}

/* ---- the report ---- */

static void on_stage(void *user, const char *stage, int index, int count, double share)
{
    (void)user;
    for (size_t i = 0; i + 1 < sizeof stage_now; i++) {
        stage_now[i] = stage[i];
        if (!stage[i]) {
            break;
        }
    }
    job_report_stage(&writer, stage, index, count, share);
}

static void on_note(void *user, int is_warning, const char *stage, const char *line)
{
    (void)user;
    job_report_note(&writer, is_warning != 0, stage, line);
}

const struct job_events *ifurun_child_events(void)
{
    static const struct job_events events = {.stage = on_stage, .note = on_note};
    return &events;
}

/* Where memory runs out the kernel shall take this process, not the daemon. */
static void offer_to_the_kernel(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "500", 3) < 0) { /* not allowed: as it was */
        }
        close(fd);
    }
}

int ifurun_child_begin(int fd, struct err *err)
{
    struct pollfd reader = {.fd = fd};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    offer_to_the_kernel();
    if (poll(&reader, 1, 0) < 0 || reader.revents & (POLLERR | POLLHUP | POLLNVAL)) {
        return err_set(err, reader.revents & POLLNVAL ? ERR_PARAM : ERR_CANCELLED,
                       "--report-fd %d: nobody reads it", fd);
    }
    writer.fd = fd;
    catch_crashes();
    return 0;
}

void ifurun_child_end(int code, const struct err *err, const struct job_result *result)
{
    const struct job_result none = {0};
    job_report_end(&writer, code, err, result ? result : &none);
}
