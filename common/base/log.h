#ifndef IFUD_BASE_LOG_H
#define IFUD_BASE_LOG_H

/*
 * One line per event on standard error: time, level, message. Only programs log;
 * libraries return errors and stages speak through their environment.
 * Under systemd (JOURNAL_STREAM set) lines carry the <N> priority prefix instead of
 * time and level. Thread: any (each line is one write).
 */

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Lines below this level are dropped (default: info). Call before starting threads. */
void log_set_level(enum log_level level);

void log_at(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
