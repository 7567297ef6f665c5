#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/journal.h"
#include "common/base/mem.h"

#define MAX_MESSAGE 2048
#define MAX_FIELD 512
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static const char *const words[] = {"debug", "info", "warning", "error"};
static const int priorities[] = {7, 6, 4, 3};

static atomic_int threshold = LOG_LEVEL_INFO;
static int output = STDERR_FILENO; /* fixed once threads run: log_reopen puts the new
                                      file behind the same number */
static char *file_path;
static int journal = -1;       /* a datagram socket, or -1 */
static bool stderr_is_journal; /* lines there take the <N> prefix */
static const char *journal_path;

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, level);
}

bool log_set_level_name(const char *name)
{
    for (int i = 0; i < 4; i++) {
        if (!strcmp(name, words[i])) {
            log_set_level((enum log_level)i);
            return true;
        }
    }
    return false;
}

/* ---- where to ---- */

static int open_file(const char *path, struct err *err)
{
    struct stat st;
    int fd = open(path,
                  O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
                      O_CLOEXEC,
                  0640);
    if (fd < 0) {
        err_set(err, ERR_IO, "cannot open the log %s: %s", path,
                errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        return -1;
    }
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        err_set(err, ERR_IO, "the log %s is no regular file", path);
        close(fd);
        return -1;
    }
    return fd;
}

int log_open_file(const char *path, struct err *err)
{
    char *copy = mem_strdup(path, err);
    int fd = copy ? open_file(path, err) : -1;
    if (fd < 0) {
        free(copy);
        return err ? err->code : ERR_IO;
    }
    log_close_file();
    file_path = copy;
    output = fd;
    return 0;
}

int log_reopen(struct err *err)
{
    if (!file_path) {
        return 0;
    }
    int fd = open_file(file_path, err);
    if (fd < 0) {
        return ERR_IO;
    }
    int code = 0;
    if (dup3(fd, output, O_CLOEXEC) < 0) { /* no line is lost in between */
        code = err_set(err, ERR_IO, "cannot open the log %s anew: %s", file_path,
                       strerror(errno));
    }
    close(fd);
    return code;
}

void log_close_file(void)
{
    if (file_path) {
        close(output);
        output = STDERR_FILENO;
        free(file_path);
        file_path = NULL;
    }
}

bool log_use_journal(const char *socket_path)
{
    stderr_is_journal = journal_is_stream(getenv("JOURNAL_STREAM"), STDERR_FILENO);
    if (stderr_is_journal && journal < 0) {
        journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    journal_path = socket_path ? socket_path : JOURNAL_SOCKET;
    return stderr_is_journal;
}

/* ---- the event ---- */

static bool to_journal(enum log_level level, const char *id,
                       const struct log_fields *fields, const char *message)
{
    struct journal_entry e = {0};
    bool whole = journal_add(&e, "MESSAGE", *message ? message : " ", MAX_MESSAGE) &&
                 journal_add_number(&e, "PRIORITY", priorities[level]) &&
                 journal_add(&e, "SYSLOG_IDENTIFIER", "ifud", MAX_FIELD);
    journal_add(&e, "MESSAGE_ID", id, 32);
    if (fields) {
        journal_add(&e, "JOB", fields->job, MAX_FIELD);
        journal_add(&e, "STAGE", fields->stage, MAX_FIELD);
        journal_add(&e, "EXPOSURE", fields->exposure, MAX_FIELD);
        if (fields->attempt > 0) {
            journal_add_number(&e, "ATTEMPT", fields->attempt);
        }
    }
    return whole && journal_send(journal, journal_path, &e);
}

static size_t begin_line(char *line, size_t room, enum log_level level)
{
    if (stderr_is_journal && !file_path) {
        return (size_t)snprintf(line, room, "<%d>", priorities[level]);
    }
    struct timespec now;
    struct tm tm;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(line, room, "%s.%03ldZ %-7s ", stamp, now.tv_nsec / 1000000,
                            words[level]);
}

/* printf to the end of a line of *n bytes; what has no room is cut. */
static void append(char *line, size_t room, size_t *n, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void append(char *line, size_t room, size_t *n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + *n, room - *n, fmt, ap);
    va_end(ap);
    size_t left = room - *n - 1;
    *n += m < 0 ? 0 : (size_t)m > left ? left : (size_t)m;
}

/* A field that the message does not name already. */
static void append_new(char *line, size_t room, size_t *n, const char *message,
                       const char *key, const char *value)
{
    if (value && *value && !strstr(message, value)) {
        append(line, room, n, " %s=%.*s", key, MAX_FIELD, value);
    }
}

static void to_line(enum log_level level, const struct log_fields *fields,
                    const char *message)
{
    char line[MAX_MESSAGE + 4 * MAX_FIELD + 128];
    size_t room = sizeof line - 1; /* the newline */
    size_t head = begin_line(line, room, level), n = head;
    append(line, room, &n, "%s", message);
    if (fields) {
        append_new(line, room, &n, message, "job", fields->job);
        append_new(line, room, &n, message, "stage", fields->stage);
        append_new(line, room, &n, message, "exposure", fields->exposure);
    }
    if (fields && fields->attempt > 0) {
        append(line, room, &n, " attempt=%d", fields->attempt);
    }
    for (size_t i = head; i < n; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 127) {
            line[i] = '?';
        }
    }
    line[n++] = '\n';
    if (write(output, line, n) < 0) {
        return; /* there is nowhere to say so */
    }
}

void log_event(enum log_level level, const char *id, const struct log_fields *fields,
               const char *fmt, ...)
{
    if ((int)level < atomic_load(&threshold)) {
        return;
    }
    char message[MAX_MESSAGE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (file_path || journal < 0 || !to_journal(level, id, fields, message)) {
        to_line(level, fields, message);
    }
}

void log_signal_safe(const char *line)
{
    char text[MAX_MESSAGE];
    size_t n = 0;
    if (stderr_is_journal && !file_path) {
        memcpy(text, "<2>", 3);
        n = 3;
    }
    while (*line && n < sizeof text - 1) {
        text[n++] = *line++;
    }
    text[n++] = '\n';
    if (write(output, text, n) < 0) {
        return;
    }
}
