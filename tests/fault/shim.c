/*
 * A library to preload: it counts the calls by which a program changes the disk, makes
 * one of them fail or the program die there, and keeps a log from which the disk after a
 * loss of power can be made. shim.h says how it is commanded.
 *
 * It allocates nothing and takes a lock only for the log, so that it may stand in any
 * thread at any time. Built by itself into shim.so, not linked into the tests.
 */
#include "tests/fault/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum action { NOTHING, KILL, KILL_ALL, TEAR, SHORT, FAIL };

static struct {
    struct fault_state *state;
    const char *folder, *name, *kinds;
    long at, span;
    enum action action;
    int error; /* of FAIL */
    int log;   /* -1: none */
    time_t now;
} plan = {.log = -1};

__attribute__((constructor)) static void begin(void)
{
    const char *state = getenv("FAULT_STATE"), *at = getenv("FAULT_AT");
    const char *action = getenv("FAULT_ACTION"), *span = getenv("FAULT_SPAN");
    const char *now = getenv("FAULT_TIME"), *log = getenv("FAULT_LOG");
    plan.folder = getenv("FAULT_PATH");
    plan.name = getenv("FAULT_NAME");
    plan.kinds = getenv("FAULT_KINDS");
    plan.now = now ? (time_t)atoll(now) : 0;
    if (!state) {
        return;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, state, O_RDWR | O_CLOEXEC, 0);
    void *map = fd < 0 ? MAP_FAILED
                       : mmap(NULL, sizeof(struct fault_state), PROT_READ | PROT_WRITE,
                              MAP_SHARED, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (map == MAP_FAILED) {
        fprintf(stderr, "shim: cannot map %s\n", state);
        _exit(126);
    }
    if (log) {
        plan.log = (int)syscall(SYS_openat, AT_FDCWD, log,
                                O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
    if (at && action) {
        plan.at = atol(at);
        plan.span = span ? atol(span) : 1;
        plan.error = !strcmp(action, "ENOSPC") ? ENOSPC : EIO;
        plan.action = !strcmp(action, "kill")      ? KILL
                      : !strcmp(action, "killall") ? KILL_ALL
                      : !strcmp(action, "tear")    ? TEAR
                      : !strcmp(action, "short")   ? SHORT
                                                   : FAIL;
    }
    plan.state = map;
}

/* ---- paths ---- */

struct path {
    char text[PATH_MAX];
};

static bool of_descriptor(int fd, struct path *ret)
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret->text, sizeof ret->text - 1);
    ret->text[n > 0 ? n : 0] = 0;
    return n > 0 && ret->text[0] == '/';
}

/* Not resolved further: the daemon works with real paths. */
static bool of_name(int dir, const char *name, struct path *ret)
{
    if (name[0] == '/') {
        return snprintf(ret->text, sizeof ret->text, "%s", name) < PATH_MAX;
    }
    if (dir != AT_FDCWD ? !of_descriptor(dir, ret)
                        : !getcwd(ret->text, sizeof ret->text)) {
        return false;
    }
    size_t n = strlen(ret->text);
    return snprintf(ret->text + n, sizeof ret->text - n, "/%s", name) <
           (int)(sizeof ret->text - n);
}

static bool counts(enum fault_op op, const struct path *p)
{
    return (!plan.folder || !strncmp(p->text, plan.folder, strlen(plan.folder))) &&
           (!plan.name || strstr(p->text, plan.name)) &&
           (!plan.kinds || strchr(plan.kinds, (int)op));
}

/* ---- the fault ---- */

static void die(void)
{
    kill(plan.action == KILL_ALL ? 0 : getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

/* Counts the call; what is to happen with it. KILL does not return. */
static enum action strike(enum fault_op op, const struct path *p)
{
    if (!counts(op, p)) {
        return NOTHING;
    }
    long n = atomic_fetch_add(&plan.state->calls, 1) + 1;
    if (plan.at <= 0 || n < plan.at || (plan.span > 0 && n >= plan.at + plan.span)) {
        return NOTHING;
    }
    enum action a = plan.action;
    if (op != FAULT_WRITE) {
        a = a == SHORT ? NOTHING : a == TEAR ? KILL : a;
    }
    atomic_fetch_add(&plan.state->hits, a != NOTHING);
    if (a == KILL || a == KILL_ALL) {
        die();
    }
    return a;
}

/* ---- the log ---- */

static bool is_logged(const struct path *p)
{
    return plan.log >= 0 &&
           (!plan.folder || !strncmp(p->text, plan.folder, strlen(plan.folder)));
}

static void enter(bool logged)
{
    if (logged && pthread_mutex_lock(&plan.state->lock) == EOWNERDEAD) {
        pthread_mutex_consistent(&plan.state->lock);
    }
}

static void leave(bool logged)
{
    if (logged) {
        pthread_mutex_unlock(&plan.state->lock);
    }
}

static uint64_t inode(const char *path)
{
    struct stat st;
    return lstat(path, &st) ? 0 : st.st_ino;
}

static void note(enum fault_op op, uint64_t ino, const char *path, const char *path2,
                 int64_t offset, const void *data, size_t n)
{
    struct fault_record r = {.inode = ino,
                             .offset = offset,
                             .n_data = (uint32_t)n,
                             .n_path = (uint16_t)strlen(path),
                             .n_path2 = (uint16_t)strlen(path2),
                             .op = (uint16_t)op};
    const struct iovec v[4] = {{&r, sizeof r},
                               {(void *)(uintptr_t)path, r.n_path},
                               {(void *)(uintptr_t)path2, r.n_path2},
                               {(void *)(uintptr_t)data, n}};
    syscall(SYS_writev, plan.log, v, 4);
}

/* ---- the calls ---- */

#define REAL(ret, name, ...)                                                           \
    static ret (*real)(__VA_ARGS__);                                                   \
    if (!real) {                                                                       \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                     \
    }

static int64_t place(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return lseek(fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
}

typedef ssize_t (*writer)(int fd, const void *data, size_t n, off_t at);

static ssize_t by_write(int fd, const void *data, size_t n, off_t at)
{
    REAL(ssize_t, write, int, const void *, size_t);
    (void)at;
    return real(fd, data, n);
}

static ssize_t by_pwrite(int fd, const void *data, size_t n, off_t at)
{
    REAL(ssize_t, pwrite64, int, const void *, size_t, off_t);
    return real(fd, data, n, at);
}

/* at < 0: where the descriptor stands. */
static ssize_t one_write(int fd, const void *data, size_t n, off_t at, writer real)
{
    struct path p;
    int kept = errno;
    if (!plan.state || !of_descriptor(fd, &p)) {
        errno = kept;
        return real(fd, data, n, at);
    }
    errno = kept;
    enum action a = strike(FAULT_WRITE, &p);
    if (a == FAIL) {
        errno = plan.error;
        return -1;
    }
    if ((a == SHORT || a == TEAR) && n > 1) {
        n /= 2;
    }
    bool logged = is_logged(&p);
    enter(logged);
    int64_t offset = logged && at < 0 ? place(fd) : at;
    ssize_t m = real(fd, data, n, at);
    kept = errno;
    if (a == TEAR) {
        die();
    }
    if (logged && m > 0) {
        struct stat st;
        note(FAULT_WRITE, fstat(fd, &st) ? 0 : st.st_ino, p.text, "", offset, data,
             (size_t)m);
    }
    leave(logged);
    errno = kept;
    return m;
}

ssize_t write(int fd, const void *data, size_t n)
{
    return one_write(fd, data, n, -1, by_write);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    return one_write(fd, data, n, at, by_pwrite);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    return one_write(fd, data, n, at, by_pwrite);
}

/* To files one part after another; whatever else (pipes, sockets) in one piece. */
ssize_t writev(int fd, const struct iovec *v, int n)
{
    REAL(ssize_t, writev, int, const struct iovec *, int);
    struct path p;
    if (!plan.state || !of_descriptor(fd, &p)) {
        return real(fd, v, n);
    }
    ssize_t sum = 0;
    for (int i = 0; i < n; i++) {
        ssize_t m = write(fd, v[i].iov_base, v[i].iov_len);
        if (m < 0) {
            return sum ? sum : -1;
        }
        sum += m;
        if ((size_t)m < v[i].iov_len) {
            break;
        }
    }
    return sum;
}

/* A call on an open file: sync or truncate. */
static int on_descriptor(int fd, enum fault_op op, off_t length,
                         int (*real)(int fd, off_t length))
{
    struct path p;
    int kept = errno;
    if (!plan.state || !of_descriptor(fd, &p)) {
        errno = kept;
        return real(fd, length);
    }
    if (strike(op, &p) == FAIL) {
        errno = plan.error;
        return -1;
    }
    bool logged = is_logged(&p);
    enter(logged);
    int code = real(fd, length);
    kept = errno;
    if (logged && !code) {
        struct stat st;
        note(op, fstat(fd, &st) ? 0 : st.st_ino, p.text, "", length, "", 0);
    }
    leave(logged);
    errno = kept;
    return code;
}

static int by_fsync(int fd, off_t length)
{
    REAL(int, fsync, int);
    (void)length;
    return real(fd);
}

static int by_fdatasync(int fd, off_t length)
{
    REAL(int, fdatasync, int);
    (void)length;
    return real(fd);
}

static int by_ftruncate(int fd, off_t length)
{
    REAL(int, ftruncate64, int, off_t);
    return real(fd, length);
}

int fsync(int fd)
{
    return on_descriptor(fd, FAULT_SYNC, 0, by_fsync);
}

int fdatasync(int fd)
{
    return on_descriptor(fd, FAULT_SYNC, 0, by_fdatasync);
}

int ftruncate(int fd, off_t length)
{
    return on_descriptor(fd, FAULT_TRUNCATE, length, by_ftruncate);
}

int ftruncate64(int fd, off64_t length)
{
    return on_descriptor(fd, FAULT_TRUNCATE, length, by_ftruncate);
}

/* A call on one name or two: code is what the kernel made of it. */
struct names {
    int dir;
    const char *name;
    int dir2;
    const char *name2; /* NULL: one name */
    unsigned flags;
};

static int on_names(const struct names *n, enum fault_op op,
                    int (*real)(const struct names *n))
{
    struct path p, p2 = {""};
    int kept = errno;
    if (!plan.state || !of_name(n->dir, n->name, &p) ||
        (n->name2 && !of_name(n->dir2, n->name2, &p2))) {
        errno = kept;
        return real(n);
    }
    if ((inode(p.text) != 0) == (op == FAULT_MKDIR)) {
        errno = kept; /* it will change nothing */
        return real(n);
    }
    if (strike(op, &p) == FAIL) {
        errno = plan.error;
        return -1;
    }
    bool logged = is_logged(&p);
    enter(logged);
    uint64_t ino = logged ? inode(p.text) : 0;
    errno = kept;
    int code = real(n);
    kept = errno;
    if (logged && code >= 0) {
        note(op, op == FAULT_MKDIR ? inode(p.text) : ino, p.text, p2.text, 0, "", 0);
    }
    leave(logged);
    errno = kept;
    return code;
}

static int by_renameat2(const struct names *n)
{
    return (int)syscall(SYS_renameat2, n->dir, n->name, n->dir2, n->name2, n->flags);
}

static int by_linkat(const struct names *n)
{
    return (int)syscall(SYS_linkat, n->dir, n->name, n->dir2, n->name2, n->flags);
}

static int by_unlinkat(const struct names *n)
{
    return (int)syscall(SYS_unlinkat, n->dir, n->name, n->flags);
}

static int by_mkdirat(const struct names *n)
{
    return (int)syscall(SYS_mkdirat, n->dir, n->name, n->flags);
}

int renameat2(int dir, const char *from, int dir2, const char *to, unsigned flags)
{
    return on_names(&(struct names){dir, from, dir2, to, flags}, FAULT_RENAME,
                    by_renameat2);
}

int renameat(int dir, const char *from, int dir2, const char *to)
{
    return renameat2(dir, from, dir2, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int dir, const char *from, int dir2, const char *to, int flags)
{
    return on_names(&(struct names){dir, from, dir2, to, (unsigned)flags}, FAULT_LINK,
                    by_linkat);
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *name, int flags)
{
    return on_names(&(struct names){dir, name, 0, NULL, (unsigned)flags}, FAULT_UNLINK,
                    by_unlinkat);
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    return on_names(&(struct names){dir, name, 0, NULL, mode}, FAULT_MKDIR, by_mkdirat);
}

int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}

/* Opening counts where it makes or empties a file. */
static int open_at(int dir, const char *name, int flags, mode_t mode)
{
    struct path p;
    struct stat st;
    int kept = errno;
    REAL(int, openat64, int, const char *, int, ...);
    if (!plan.state || !(flags & (O_CREAT | O_TRUNC)) || !of_name(dir, name, &p)) {
        errno = kept;
        return real(dir, name, flags, mode);
    }
    bool fresh = stat(p.text, &st) != 0;
    if (!fresh && (!(flags & O_TRUNC) || !S_ISREG(st.st_mode) || st.st_size == 0)) {
        errno = kept;
        return real(dir, name, flags, mode);
    }
    enum fault_op op = fresh ? FAULT_CREATE : FAULT_TRUNCATE;
    if (strike(op, &p) == FAIL) {
        errno = plan.error;
        return -1;
    }
    bool logged = is_logged(&p);
    enter(logged);
    errno = kept;
    int fd = real(dir, name, flags, mode);
    kept = errno;
    if (logged && fd >= 0) {
        note(op, fstat(fd, &st) ? 0 : st.st_ino, p.text, "", 0, "", 0);
    }
    leave(logged);
    errno = kept;
    return fd;
}

#define MODE(flags, mode)                                                              \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                           \
        va_list ap;                                                                    \
        va_start(ap, flags);                                                           \
        (mode) = va_arg(ap, mode_t);                                                   \
        va_end(ap);                                                                    \
    }

int open(const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE(flags, mode)
    return open_at(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE(flags, mode)
    return open_at(AT_FDCWD, name, flags, mode);
}

int openat(int dir, const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE(flags, mode)
    return open_at(dir, name, flags, mode);
}

int openat64(int dir, const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE(flags, mode)
    return open_at(dir, name, flags, mode);
}

time_t time(time_t *ret)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    time_t now = plan.now ? plan.now : t.tv_sec;
    if (ret) {
        *ret = now;
    }
    return now;
}
