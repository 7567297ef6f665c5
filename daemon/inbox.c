#include "daemon/inbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/base/mem.h"

#define WATCHED                                                                        \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_DELETE |                \
     IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/*
 * Files form a tree by name and one list in the order of `due`. All wait the same time,
 * so that whoever is touched goes to the end and the timer looks at the head only; a
 * later retry is put in by its time.
 */
struct file {
    char *name;
    struct stat st;
    double due;           /* loop time, s; when it is looked at */
    double incomplete_at; /* since when; 0: not known to be incomplete */
    bool busy;            /* offered; not in the list */
    bool seen;            /* by the listing under way */
    struct file *prev, *next;
};

struct inbox {
    struct inbox_options o;
    char *folder;
    uv_loop_t *loop;
    int dir, notify;
    void *tree;
    struct file *head, *tail;
    size_t n, n_busy, n_incomplete;
    uv_poll_t poll;
    uv_timer_t settle, rescan;
    int open_handles;
    bool closing, full;
};

static double now(const struct inbox *in)
{
    uv_update_time(in->loop);
    return (double)uv_now(in->loop) / 1000.0;
}

bool inbox_is_temporary(const char *name)
{
    static const char *const endings[] = {
        "~", ".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lock"};
    size_t n = strlen(name);
    if (name[0] == '.' || name[0] == '#' || n == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && !strcmp(name + n - m, endings[i])) {
            return true;
        }
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static struct file *find(const struct inbox *in, const char *name)
{
    struct file key = {.name = (char *)(uintptr_t)name};
    void *node = tfind(&key, &in->tree, by_name);
    return node ? *(struct file **)node : NULL;
}

static void unlist(struct inbox *in, struct file *f)
{
    *(f->prev ? &f->prev->next : &in->head) = f->next;
    *(f->next ? &f->next->prev : &in->tail) = f->prev;
    f->prev = f->next = NULL;
}

/* Into the list by its time; nearly always that is the end. */
static void list(struct inbox *in, struct file *f, double due)
{
    f->due = due;
    struct file *after = in->tail;
    while (after && after->due > due) {
        after = after->prev;
    }
    f->prev = after;
    f->next = after ? after->next : in->head;
    *(f->next ? &f->next->prev : &in->tail) = f;
    *(after ? &after->next : &in->head) = f;
}

static void drop(struct inbox *in, struct file *f)
{
    if (f->busy) {
        in->n_busy--;
    } else {
        unlist(in, f);
    }
    in->n_incomplete -= f->incomplete_at > 0;
    in->n--;
    tdelete(f, &in->tree, by_name);
    free(f->name);
    free(f);
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_mode == b->st_mode &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void complete(struct inbox *in, struct file *f)
{
    in->n_incomplete -= f->incomplete_at > 0;
    f->incomplete_at = 0;
}

static void look(struct inbox *in);

static void on_settle(uv_timer_t *timer)
{
    look(timer->data);
}

static void arm(struct inbox *in)
{
    if (in->closing || !in->head || in->full) {
        uv_timer_stop(&in->settle);
        return;
    }
    double wait = in->head->due - now(in);
    uv_timer_start(&in->settle, on_settle, wait > 0 ? (uint64_t)(wait * 1000.0) + 1 : 0,
                   0);
}

/* Look at a name: new, changed, gone, or as it was. */
static void notice(struct inbox *in, const char *name)
{
    struct stat st;
    struct file *f = find(in, name);
    if (inbox_is_temporary(name)) {
        return;
    }
    if (fstatat(in->dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
        if (f && !f->busy) {
            drop(in, f);
        }
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        return;
    }
    if (f) {
        f->seen = true;
        if (!f->busy && !same(&f->st, &st)) {
            f->st = st;
            complete(in, f);
            unlist(in, f);
            list(in, f, now(in) + in->o.settle_seconds);
        }
        return;
    }
    f = mem_calloc(1, sizeof *f, NULL);
    if (!f || !(f->name = mem_strdup(name, NULL)) || !tsearch(f, &in->tree, by_name)) {
        free(f ? f->name : NULL);
        free(f);
        return; /* no memory: the next listing finds it */
    }
    f->st = st;
    f->seen = true;
    in->n++;
    list(in, f, now(in) + in->o.settle_seconds);
}

/* Offer what is due. */
static void look(struct inbox *in)
{
    double t = now(in);
    while (in->head && in->head->due <= t && !in->closing) {
        struct file *f = in->head;
        struct stat st;
        if (fstatat(in->dir, f->name, &st, AT_SYMLINK_NOFOLLOW)) {
            drop(in, f);
            continue;
        }
        bool late =
            f->incomplete_at > 0 && t - f->incomplete_at >= in->o.incomplete_seconds;
        if (!same(&f->st, &st)) {
            f->st = st;
            complete(in, f);
        } else if (f->incomplete_at == 0 || late) {
            struct inbox_file offer = {.name = f->name, .st = st, .last_chance = late};
            if (!in->o.settled(in->o.user, &offer)) {
                in->full = true;
                break;
            }
            unlist(in, f);
            f->busy = true;
            in->n_busy++;
            continue;
        }
        unlist(in, f);
        list(in, f, t + in->o.settle_seconds);
    }
    arm(in);
}

void inbox_rescan(struct inbox *in)
{
    int fd = openat(in->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        in->o.trouble(in->o.user, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (struct file *f = in->head; f; f = f->next) {
        f->seen = false;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        notice(in, entry->d_name);
    }
    closedir(dir);
    for (struct file *f = in->head, *next; f; f = next) {
        next = f->next;
        if (!f->seen) {
            drop(in, f);
        }
    }
    arm(in);
}

void inbox_drain(struct inbox *in)
{
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool rescan = false;
    for (;;) {
        ssize_t n = read(in->notify, buffer, sizeof buffer);
        if (n <= 0) {
            break;
        }
        for (ssize_t at = 0; at < n;) {
            struct inotify_event e;
            memcpy(&e, buffer + at, sizeof e);
            if (e.mask & IN_Q_OVERFLOW) {
                rescan = true;
            } else if (e.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) {
                in->o.trouble(in->o.user, "the inbox folder was moved or removed");
            } else if (e.len) {
                notice(in, buffer + at + sizeof e);
            }
            at += (ssize_t)(sizeof e + e.len);
        }
    }
    if (rescan) {
        inbox_rescan(in);
    } else {
        arm(in);
    }
}

static void on_notify(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    inbox_drain(poll->data);
}

static void on_rescan(uv_timer_t *timer)
{
    inbox_rescan(timer->data);
}

void inbox_kick(struct inbox *in)
{
    if (in->full) {
        in->full = false;
        arm(in);
    }
}

static struct file *back(struct inbox *in, const char *name)
{
    struct file *f = find(in, name);
    if (!f || !f->busy) {
        return NULL;
    }
    f->busy = false;
    in->n_busy--;
    return f;
}

void inbox_gone(struct inbox *in, const char *name)
{
    struct file *f = find(in, name);
    if (f) {
        drop(in, f);
    }
    notice(in, name); /* a new file may have taken the name meanwhile */
    inbox_kick(in);
    arm(in);
}

void inbox_again(struct inbox *in, const char *name, double seconds)
{
    struct file *f = back(in, name);
    if (f) {
        if (fstatat(in->dir, name, &f->st, AT_SYMLINK_NOFOLLOW)) {
            f->st = (struct stat){0}; /* the next look finds it gone */
        }
        double wait = in->o.settle_seconds;
        list(in, f, now(in) + (seconds > wait ? seconds : wait));
    }
    inbox_kick(in);
    arm(in);
}

void inbox_incomplete(struct inbox *in, const char *name)
{
    struct file *f = back(in, name);
    if (f) {
        double t = now(in);
        if (f->incomplete_at == 0) {
            f->incomplete_at = t > 0 ? t : 1e-3;
            in->n_incomplete++;
        }
        double wait = in->o.settle_seconds, grace = in->o.incomplete_seconds;
        list(in, f, t + (grace < wait ? grace : wait));
    }
    inbox_kick(in);
    arm(in);
}

size_t inbox_count(const struct inbox *in, size_t *ret_incomplete)
{
    if (ret_incomplete) {
        *ret_incomplete = in->n_incomplete;
    }
    return in->n;
}

size_t inbox_settling(const struct inbox *in)
{
    return in->n - in->n_busy;
}

static void on_closed(uv_handle_t *handle)
{
    struct inbox *in = handle->data;
    if (--in->open_handles > 0) {
        return;
    }
    while (in->tree) {
        drop(in, *(struct file **)in->tree);
    }
    close(in->notify);
    close(in->dir);
    free(in->folder);
    free(in);
}

void inbox_close(struct inbox *in)
{
    if (in && !in->closing) {
        in->closing = true;
        in->open_handles = 3;
        uv_close((uv_handle_t *)&in->poll, on_closed);
        uv_close((uv_handle_t *)&in->settle, on_closed);
        uv_close((uv_handle_t *)&in->rescan, on_closed);
    }
}

int inbox_open(uv_loop_t *loop, const struct inbox_options *options, struct inbox **ret,
               struct err *err)
{
    struct inbox *in = mem_calloc(1, sizeof *in, err);
    if (!in || !(in->folder = mem_strdup(options->folder, err))) {
        free(in);
        return ERR_NOMEM;
    }
    in->o = *options;
    in->o.folder = in->folder;
    in->loop = loop;
    in->dir = open(in->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    in->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (in->dir < 0 || in->notify < 0 ||
        inotify_add_watch(in->notify, in->folder, WATCHED) < 0) {
        int code = err_set(err, ERR_IO, "cannot watch the inbox %s: %s", in->folder,
                           strerror(errno));
        close(in->dir);
        close(in->notify);
        free(in->folder);
        free(in);
        return code;
    }
    uv_poll_init(loop, &in->poll, in->notify);
    uv_timer_init(loop, &in->settle);
    uv_timer_init(loop, &in->rescan);
    in->poll.data = in->settle.data = in->rescan.data = in;
    uv_poll_start(&in->poll, UV_READABLE, on_notify);
    uint64_t every = (uint64_t)(options->rescan_seconds * 1000.0);
    uv_timer_start(&in->rescan, on_rescan, every, every);
    *ret = in;
    inbox_rescan(in);
    return 0;
}

void inbox_retime(struct inbox *in, double settle_seconds, double incomplete_seconds,
                  double rescan_seconds)
{
    uint64_t every = (uint64_t)(rescan_seconds * 1000.0);
    in->o.settle_seconds = settle_seconds;
    in->o.incomplete_seconds = incomplete_seconds;
    in->o.rescan_seconds = rescan_seconds;
    uv_timer_start(&in->rescan, on_rescan, every, every);
}
