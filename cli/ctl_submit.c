#include "cli/ctl_submit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"

static int refuse(struct err *err, const char *file, const char *what)
{
    return err_set(err, ERR_IO, "%s: %s: %s", file, what, strerror(errno));
}

static int copy(int from, int to, const char *file, struct err *err)
{
    char buffer[65536];
    for (;;) {
        ssize_t n = read(from, buffer, sizeof buffer);
        if (n <= 0) {
            return n ? refuse(err, file, "cannot read") : 0;
        }
        for (ssize_t at = 0; at < n;) {
            ssize_t m = write(to, buffer + at, (size_t)(n - at));
            if (m < 0) {
                return refuse(err, file, "cannot write into the inbox");
            }
            at += m;
        }
    }
}

int ctl_submit(const char *file, const char *inbox, struct err *err)
{
    const char *name = path_base(file);
    if (!path_is_safe_name(name)) {
        return err_set(
            err, ERR_PARAM,
            "%s: a name has 1 to 200 characters of A-Z a-z 0-9 . _ + - =", file);
    }
    int code = 0, to = -1;
    struct stat st;
    char *hidden = mem_printf(err, "%s/.%s.%ld.part", inbox, name, (long)getpid());
    char *final = path_join(inbox, name, err);
    int from = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!hidden || !final) {
        code = ERR_NOMEM;
    } else if (from < 0 || fstat(from, &st)) {
        code = refuse(err, file, "cannot read");
    } else if (!S_ISREG(st.st_mode)) {
        code = err_set(err, ERR_INPUT, "%s is no regular file", file);
    } else if ((to = open(hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) < 0) {
        code = refuse(err, file, "cannot write into the inbox");
    } else if (!(code = copy(from, to, file, err)) && fsync(to)) {
        code = refuse(err, file, "cannot write into the inbox");
    }
    if (!code && renameat2(AT_FDCWD, hidden, AT_FDCWD, final, RENAME_NOREPLACE)) {
        code = refuse(err, file, "cannot enter the inbox");
    }
    if (to >= 0) {
        close(to);
        if (code) {
            unlink(hidden);
        }
    }
    if (from >= 0) {
        close(from);
    }
    free(hidden);
    free(final);
    return code;
}
