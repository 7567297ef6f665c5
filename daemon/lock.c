#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

/* The process number in the file; 0 if there is none yet. */
static pid_t owner(int fd)
{
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    return pid > 0 && pid < 1L << 30 ? (pid_t)pid : 0;
}

static bool lives(pid_t pid)
{
    return pid > 0 && pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM);
}

/*
 * A daemon that has just taken it may not have written its number yet: the file is then
 * empty or names a dead one, and another look a moment later finds it.
 */
static int take(int fd, const char *path, double patience, struct err *err)
{
    const double end = clock_steady() + patience;
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK) {
            return err_set(err, ERR_IO, "%s: cannot lock: %s", path, strerror(errno));
        }
        pid_t pid = owner(fd);
        if (lives(pid)) {
            return err_set(err, ERR_IO,
                           "%s: another ifud works in this spool (process %ld)", path,
                           (long)pid);
        }
        if (clock_steady() >= end) {
            return err_set(
                err, ERR_IO,
                "%s: the last ifud is dead, but a job of it still runs after "
                "%.0f s: look for a process ifurun",
                path, patience);
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return 0;
}

/* The text always has the same length: on a full disk the old bytes are there. */
static int write_owner(int fd, const char *path, struct err *err)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%-20ld\n", (long)getpid());
    if (pwrite(fd, text, (size_t)n, 0) != n) {
        return err_set(err, ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    }
    return 0;
}

int lock_take(const char *path, double patience, int *ret_fd, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    int code = take(fd, path, patience, err);
    code = code ? code : write_owner(fd, path, err);
    if (code) {
        close(fd);
        return code;
    }
    *ret_fd = fd;
    return 0;
}
