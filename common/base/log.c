#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_at(enum log_level level, const char *fmt, ...)
{
    static const char *const word[] = {"debug", "info", "warning", "error"};
    static const int priority[] = {7, 6, 4, 3};
    if (level < threshold) {
        return;
    }
    char line[2048];
    int n;
    if (getenv("JOURNAL_STREAM")) {
        n = snprintf(line, sizeof line, "<%d>", priority[level]);
    } else {
        struct timespec now;
        struct tm tm;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        char stamp[32];
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
        n = snprintf(line, sizeof line, "%s.%03ldZ %-7s ", stamp, now.tv_nsec / 1000000,
                     word[level]);
    }
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t room = sizeof line - (size_t)n - 2;
    size_t len = (size_t)n + (m < 0 ? 0 : (size_t)m > room ? room : (size_t)m);
    for (size_t i = (size_t)n; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 127) {
            line[i] = '?';
        }
    }
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0) {
        return;
    }
}
