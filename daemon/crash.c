#include "daemon/crash.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/publish.h"

#define NAMES 6

/* The function of a frame; false if it has no name or is none of the program. */
static bool frame_name(const char *line, size_t n, char *ret, size_t room)
{
    const char *open = memchr(line, '(', n);
    const char *plus = open ? memchr(open, '+', n - (size_t)(open - line)) : NULL;
    const char *library = memmem(line, n, "/libc.so", 8);
    if (!open || !plus || plus == open + 1 || (library && library < open)) {
        return false;
    }
    snprintf(ret, room, "%.*s", (int)(plus - open - 1), open + 1);
    return true;
}

void crash_summary(const char *backtrace, char *ret, size_t room)
{
    int names = 0;
    size_t used = 0;
    *ret = 0;
    for (const char *line = backtrace; *line && names < NAMES;) {
        size_t n = strcspn(line, "\n");
        char name[80];
        if (frame_name(line, n, name, sizeof name) && used < room) {
            used += (size_t)snprintf(ret + used, room - used, "%s%s",
                                     names++ ? " < " : "", name);
        }
        line += n + (line[n] != 0);
    }
}

int crash_keep(const char *folder, const char *job, int attempt, const char *message,
               const char *backtrace, struct err *err)
{
    char *name = mem_printf(err, "%s.crash.txt", job);
    char *text = mem_printf(err, "%s, attempt %d: %s\n%s", job, attempt, message,
                            *backtrace ? backtrace : "no backtrace\n");
    int code = name && text
                   ? publish_bytes(folder, name, attempt, text, strlen(text), err)
                   : ERR_NOMEM;
    free(name);
    free(text);
    return code;
}
