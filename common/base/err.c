#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int code;
    const char *name;
} names[] = {
    {ERR_NOMEM, "no-memory"},
    {ERR_IO, "io"},
    {ERR_INPUT, "input"},
    {ERR_REFERENCE, "reference"},
    {ERR_PARAM, "parameter"},
    {ERR_CANCELLED, "cancelled"},
    {ERR_NODATA, "no-data"},
    {ERR_BUG, "bug"},
    {0, "ok"},
};

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->message, sizeof err->message, fmt, ap);
        va_end(ap);
        for (char *p = err->message; *p; p++) {
            if (*p == '\n' || *p == '\r') {
                *p = ' ';
            }
        }
    }
    return code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err) {
        return ERR_BUG;
    }
    char head[512], whole[sizeof err->message];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    if (snprintf(whole, sizeof whole, "%s: %s", head, err->message) < 0) {
        return err->code;
    }
    memcpy(err->message, whole, sizeof whole);
    return err->code;
}

const char *err_name(int code)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "unknown";
}

int err_code_of(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(names[i].name, name)) {
            return names[i].code;
        }
    }
    return ERR_BUG;
}
