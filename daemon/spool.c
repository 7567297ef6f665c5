#include "daemon/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/sha256.h"
#include "common/data/exposure_io.h"
#include "common/data/fits_io.h"
#include "daemon/planner.h"
#include "daemon/reject.h"
#include "daemon/watchdog.h"

#define ROOM 64
#define COPY_BYTES (1u << 20)

struct work {
    char *name;
    struct stat st;
    bool last_chance;
    struct spool_result result;
    struct work *next;
};

struct spool {
    struct spool_options o;
    char *folder, *rejected, *tmp, *exposures;
    int inbox; /* folder descriptors */
    uv_async_t wake;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct work *todo, **todo_end; /* under lock */
    struct work *ready;            /* under lock; last first */
    size_t busy;                   /* loop thread */
    bool stop;                     /* under lock */
    struct heartbeat beat;
};

/* ---- in the thread ---- */

static int io(struct err *err, const char *what, const char *name)
{
    return err_set(err, ERR_IO, "%s: cannot %s: %s", name, what, strerror(errno));
}

static int sync_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) ? io(err, "sync the folder", path) : 0;
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int copy_bytes(int from, int to, const char *name, struct heartbeat *beat,
                      struct err *err)
{
    char *buffer = mem_alloc(COPY_BYTES, 1, err);
    if (!buffer) {
        return ERR_NOMEM;
    }
    int code = 0;
    for (;;) {
        heartbeat_beat(beat);
        ssize_t n = read(from, buffer, COPY_BYTES);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            code = n < 0 ? io(err, "read", name) : 0;
            break;
        }
        for (ssize_t at = 0; at < n && !code;) {
            ssize_t m = write(to, buffer + at, (size_t)(n - at));
            if (m < 0 && errno != EINTR) {
                code = io(err, "write into the spool", name);
            }
            at += m > 0 ? m : 0;
        }
        if (code) {
            break;
        }
    }
    free(buffer);
    return code;
}

/* Replace the private path in a message by the file's name. */
static void hide_path(struct err *err, const char *path, const char *name)
{
    char *at = strstr(err->message, path);
    if (at) {
        char rest[sizeof err->message];
        snprintf(rest, sizeof rest, "%s", at + strlen(path));
        size_t room = sizeof err->message - (size_t)(at - err->message);
        snprintf(at, room, "%s%s", name, rest);
    }
}

/* Can more bytes make an exposure of it? */
static bool may_become_fits(const char *path)
{
    char first[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, first, sizeof first);
    if (fd >= 0) {
        close(fd);
    }
    return n < 0 || fits_may_begin(first, (size_t)n);
}

/* Is it a usable exposure? Reads headers of the copy only. */
static enum spool_outcome judge(const char *path, struct work *w)
{
    struct spool_result *r = &w->result;
    struct fits_in *f = NULL;
    struct exposure *e = NULL;
    enum spool_outcome bad = SPOOL_INCOMPLETE;
    int code = fits_in_open(path, ERR_INPUT, &f, &r->err);
    fits_in_close(f);
    if (code && !may_become_fits(path)) {
        bad = SPOOL_REJECTED;
    }
    if (!code) {
        bad = SPOOL_REJECTED;
        code = exposure_read_headers(path, &e, &r->err);
    }
    struct queue_exposure described;
    if (!code && !(code = planner_describe(&e->meta, w->name, &described, &r->err))) {
        memcpy(described.sha256, r->exposure.sha256, sizeof described.sha256);
        described.bytes = r->exposure.bytes;
        r->exposure = described;
    }
    exposure_free(e);
    if (!code) {
        return SPOOL_STORED;
    }
    hide_path(&r->err, path, w->name);
    return code == ERR_IO || code == ERR_NOMEM ? SPOOL_TROUBLE : bad;
}

/* <tmp>/<name> becomes <exposures>/<sha256>/<name>, durable. */
static int settle_in(const struct spool *s, const char *from, struct work *w)
{
    struct err *err = &w->result.err;
    char *folder = path_join(s->exposures, w->result.exposure.sha256, err);
    char *to = folder ? path_join(folder, w->name, err) : NULL;
    int code = to ? path_make_folder(folder, 0700, err) : ERR_NOMEM;
    if (!code && rename(from, to)) {
        code = io(err, "move into the spool", w->name);
    }
    code = code ? code : sync_folder(folder, err);
    code = code ? code : sync_folder(s->exposures, err);
    free(to);
    free(folder);
    return code;
}

static enum spool_outcome take_in(struct spool *s, struct work *w)
{
    struct err *err = &w->result.err;
    struct stat st;
    enum spool_outcome outcome = SPOOL_TROUBLE;
    int to = -1;
    char *path = path_join(s->tmp, w->name, err);
    int from = openat(s->inbox, w->name,
                      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (!path || from < 0 || fstat(from, &st)) {
        outcome = from < 0 && errno == ENOENT ? SPOOL_GONE : SPOOL_TROUBLE;
        io(err, "read", w->name);
        goto out;
    }
    if (!S_ISREG(st.st_mode) || !same_file(&st, &w->st)) {
        outcome = SPOOL_CHANGED;
        goto out;
    }
    to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0) {
        io(err, "write into the spool", w->name);
        goto out;
    }
    uint64_t bytes = 0;
    if (copy_bytes(from, to, w->name, &s->beat, err) ||
        sha256_fd(to, w->name, w->result.exposure.sha256, &bytes, err)) {
        goto out;
    }
    w->result.exposure.bytes = (int64_t)bytes;
    if (fstat(from, &st) || !same_file(&st, &w->st)) {
        outcome = SPOOL_CHANGED;
        goto out;
    }
    outcome = judge(path, w);
    if (outcome == SPOOL_STORED) {
        if (fsync(to)) {
            io(err, "sync the copy", w->name);
            outcome = SPOOL_TROUBLE;
        } else if (settle_in(s, path, w)) {
            outcome = SPOOL_TROUBLE;
        }
    }
out:
    if (to >= 0) {
        close(to);
    }
    if (from >= 0) {
        close(from);
    }
    if (path && outcome != SPOOL_STORED) {
        unlink(path);
    }
    free(path);
    return outcome;
}

/* What is wrong with a file before it is opened; NULL if nothing. */
static const char *refused_outright(const struct work *w)
{
    mode_t m = w->st.st_mode;
    if (!S_ISREG(m)) {
        return S_ISLNK(m)    ? "is a symbolic link"
               : S_ISFIFO(m) ? "is a FIFO"
               : S_ISSOCK(m) ? "is a socket"
                             : "is a device";
    }
    if (!path_has_suffix(w->name, ".fits") && !path_has_suffix(w->name, ".fits.gz")) {
        return "has a name that does not end in .fits or .fits.gz";
    }
    return path_is_safe_name(w->name)
               ? NULL
               : "has a name with other characters than A-Z a-z 0-9 . _ + - =, or one "
                 "longer than 200";
}

static void work_on(struct spool *s, struct work *w)
{
    struct spool_result *r = &w->result;
    r->name = w->name;
    r->st = w->st;
    const char *why = refused_outright(w);
    if (why) {
        r->outcome = SPOOL_REJECTED;
        err_set(&r->err, ERR_INPUT,
                "%s %s; expected is a regular file such as jw..._nrs1_rate.fits",
                w->name, why);
    } else {
        r->outcome = take_in(s, w);
    }
    if (r->outcome == SPOOL_INCOMPLETE && w->last_chance) {
        r->outcome = SPOOL_REJECTED;
    }
    struct err moved;
    if (r->outcome == SPOOL_REJECTED &&
        reject_file(s->inbox, w->name, s->rejected, &r->err, r->exposure.sha256,
                    &moved)) {
        r->outcome = SPOOL_TROUBLE;
        r->err = moved;
    }
}

static void *thread_main(void *arg)
{
    struct spool *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        struct work *w = s->todo;
        if (!w) {
            pthread_cond_wait(&s->more, &s->lock);
            continue;
        }
        if (!(s->todo = w->next)) {
            s->todo_end = &s->todo;
        }
        pthread_mutex_unlock(&s->lock);
        heartbeat_beat(&s->beat);
        work_on(s, w);
        heartbeat_rest(&s->beat);
        pthread_mutex_lock(&s->lock);
        w->next = s->ready;
        s->ready = w;
        uv_async_send(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- on the loop ---- */

static void work_free(struct work *w)
{
    while (w) {
        struct work *next = w->next;
        free(w->name);
        free(w);
        w = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    struct spool *s = wake->data;
    pthread_mutex_lock(&s->lock);
    struct work *last = s->ready, *first = NULL;
    s->ready = NULL;
    pthread_mutex_unlock(&s->lock);
    while (last) { /* oldest first */
        struct work *w = last;
        last = w->next;
        w->next = first;
        first = w;
    }
    while (first) {
        struct work *w = first;
        first = w->next;
        w->next = NULL;
        s->busy--;
        s->o.done(s->o.user, &w->result);
        work_free(w);
    }
}

bool spool_submit(struct spool *s, const char *name, const struct stat *st,
                  bool last_chance)
{
    struct work *w = s->busy < ROOM ? mem_calloc(1, sizeof *w, NULL) : NULL;
    if (!w || !(w->name = mem_strdup(name, NULL))) {
        free(w);
        return false;
    }
    w->st = *st;
    w->last_chance = last_chance;
    s->busy++;
    pthread_mutex_lock(&s->lock);
    *s->todo_end = w;
    s->todo_end = &w->next;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    return true;
}

size_t spool_busy(const struct spool *s)
{
    return s->busy;
}

double spool_quiet(const struct spool *s)
{
    return heartbeat_quiet(&s->beat);
}

void spool_stop(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->lock);
}

bool spool_clear(struct spool *s, const char *name, const struct stat *st)
{
    struct stat now;
    if (fstatat(s->inbox, name, &now, AT_SYMLINK_NOFOLLOW)) {
        return true;
    }
    return same_file(&now, st) && unlinkat(s->inbox, name, 0) == 0;
}

char *spool_path(const struct spool *s, const char *sha256, const char *name,
                 struct err *err)
{
    return mem_printf(err, "%s/%s/%s", s->exposures, sha256, name);
}

void spool_forget(struct spool *s, const char *sha256, const char *name)
{
    char *path = spool_path(s, sha256, name, NULL);
    if (path) {
        unlink(path);
    }
    free(path);
}

/* Copies that a death left behind. */
static void empty_tmp(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static void release(struct spool *s)
{
    work_free(s->todo);
    work_free(s->ready);
    if (s->inbox >= 0) {
        close(s->inbox);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->more);
    free(s->folder);
    free(s->rejected);
    free(s->tmp);
    free(s->exposures);
    free(s);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void spool_close(struct spool *s)
{
    if (s) {
        spool_stop(s);
        pthread_join(s->thread, NULL);
        uv_close((uv_handle_t *)&s->wake, on_closed);
    }
}

int spool_open(uv_loop_t *loop, const struct spool_options *options, struct spool **ret,
               struct err *err)
{
    struct spool *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    s->todo_end = &s->todo;
    s->inbox = -1;
    s->o = *options;
    int code = ERR_NOMEM;
    if (!(s->folder = mem_strdup(options->folder, err)) ||
        !(s->rejected = mem_strdup(options->rejected, err)) ||
        !(s->tmp = path_join(s->folder, "tmp", err)) ||
        !(s->exposures = path_join(s->folder, "exposures", err))) {
        goto out;
    }
    if ((code = path_make_folder(s->tmp, 0700, err)) ||
        (code = path_make_folder(s->exposures, 0700, err)) ||
        (code = path_make_folder(s->rejected, 0750, err))) {
        goto out;
    }
    empty_tmp(s->tmp);
    s->inbox = open(options->inbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->inbox < 0) {
        code = io(err, "open the inbox", options->inbox);
        goto out;
    }
    uv_async_init(loop, &s->wake, on_wake);
    s->wake.data = s;
    if (pthread_create(&s->thread, NULL, thread_main, s)) {
        code = err_set(err, ERR_NOMEM, "cannot start the intake thread");
        uv_close((uv_handle_t *)&s->wake, on_closed);
        return code;
    }
    *ret = s;
    return 0;
out:
    release(s);
    return code;
}
