#ifndef IFUD_BASE_LOG_H
#define IFUD_BASE_LOG_H

#include <stdbool.h>
#include "common/base/err.h"

/*
 * One line per event: time, level, message, on standard error or in a file. Only programs
 * log; libraries return errors and stages speak through their environment.
 *
 * Where standard error is the journal of systemd, events go to it as fields
 * (common/base/journal.h); if the journal refuses, as lines with the <N> priority prefix.
 *
 * Thread: log_at, log_event and log_reopen any (each line is one write); the others
 * before the first thread. Test: tests/base/test_log.c
 */

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* What an event is about; NULL and 0 are left out. */
struct log_fields {
    const char *job;      /* JOB= */
    const char *stage;    /* STAGE= */
    const char *exposure; /* EXPOSURE= */
    int attempt;          /* ATTEMPT=, from 1 */
};

/* Lines below this level are dropped (default: info). Thread: any. */
void log_set_level(enum log_level level);
/* debug, info, warning or error; false for other words. Thread: any. */
bool log_set_level_name(const char *name);

/*
 * Lines go to the end of this file (made with mode 0640, no symbolic link) instead of
 * standard error and the journal.
 */
int log_open_file(const char *path, struct err *err);
/* Open that file's name anew, after it was renamed; on failure the old one stays.
 * Nothing to do without a file. */
int log_reopen(struct err *err);
void log_close_file(void); /* back to standard error */

/*
 * If standard error is the journal ($JOURNAL_STREAM names its device and inode), send
 * events to the journal's socket. socket_path: NULL for /run/systemd/journal/socket.
 * Returned: whether it is.
 */
bool log_use_journal(const char *socket_path);

/*
 * id: 32 hexadecimal digits that name the kind of event (MESSAGE_ID=), or NULL; fields
 * may be NULL. In lines the fields follow the message as job=..., stage=... .
 */
void log_event(enum log_level level, const char *id, const struct log_fields *fields,
               const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log_at(level, ...) log_event(level, NULL, NULL, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

/*
 * For signal handlers: the text as one line, with nothing that is unsafe there (no time,
 * no fields; through standard error or the file). Thread: any.
 */
void log_signal_safe(const char *line);

#endif
