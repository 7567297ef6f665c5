#include "daemon/inbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "daemon/inbox_clear.h"
#include "daemon/inbox_names.h"

#define WATCHED                                                                        \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_DELETE |                \
     IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

#define SLICE_NS 5000000u /* of a listing, and of looking at what is due */
#define NOTICES 32        /* buffers read before the loop goes on */
#define CHECK_MS 1000     /* is the folder still there? */
#define LATER_SECONDS 5.0 /* a file that was answered INBOX_LATER */

/* A name is in the heap unless it is busy (offered). */
struct inbox {
    struct inbox_options o;
    char *folder;
    uv_loop_t *loop;
    int dir, notify, watch;
    struct stat dir_st;
    struct names names;
    size_t n_incomplete;
    DIR *listing; /* under way */
    uint32_t n_listings;
    bool list_again; /* asked for while one was under way */
    bool lost;       /* the folder is not where it was */
    uv_poll_t poll;
    uv_timer_t settle, rescan, check;
    uv_idle_t idle; /* goes on with the listing */
    int open_handles;
    bool closing, full;
};

static double now(const struct inbox *in)
{
    uv_update_time(in->loop);
    return (double)uv_now(in->loop) / 1000.0;
}

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool is_busy(const struct names_file *f)
{
    return f->place == NAMES_NOWHERE;
}

static void complete(struct inbox *in, struct names_file *f)
{
    in->n_incomplete -= f->incomplete_at > 0;
    f->incomplete_at = 0;
}

static void drop(struct inbox *in, struct names_file *f)
{
    complete(in, f);
    names_drop(&in->names, f);
}

/* It left by itself. */
static void leave(struct inbox *in, struct names_file *f)
{
    struct inbox_file file = {
        .name = f->name, .seen_at = f->seen_at, .settling_at = f->settling_at};
    if (!f->taken) {
        in->o.gone(in->o.user, &file);
    }
    drop(in, f);
}

/* It is, or has become, another file: it settles anew. */
static void changed(struct inbox *in, struct names_file *f,
                    const struct names_print *print)
{
    f->print = *print;
    f->taken = false;
    f->settling_at = clock_now();
    complete(in, f);
    names_put(&in->names, f, now(in) + in->o.settle_seconds);
}

static void look(struct inbox *in);

static void on_settle(uv_timer_t *timer)
{
    look(timer->data);
}

static void arm(struct inbox *in)
{
    const struct names_file *first = names_first(&in->names);
    if (in->closing || !first || in->full || in->lost) {
        uv_timer_stop(&in->settle);
        return;
    }
    double wait = first->due - now(in);
    uv_timer_start(&in->settle, on_settle, wait > 0 ? (uint64_t)(wait * 1000.0) + 1 : 0,
                   0);
}

/* Look at a name: new, changed, gone, or as it was. */
static void notice(struct inbox *in, const char *name)
{
    struct stat st;
    struct names_print print;
    if (inbox_is_temporary(name)) {
        return;
    }
    struct names_file *f = names_find(&in->names, name);
    if (fstatat(in->dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
        if (f && !is_busy(f)) {
            leave(in, f);
        }
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        return;
    }
    names_print(&st, &print);
    if (!f) {
        f = names_add(&in->names, name);
        if (!f) {
            return; /* no memory: the next listing finds it */
        }
        f->seen_at = clock_now();
        changed(in, f, &print);
    } else if (!is_busy(f) && !names_same(&f->print, &print)) {
        changed(in, f, &print);
    }
    f->listing = in->n_listings;
}

/* Accepted before, but it could not be removed: once more. */
static bool try_remove(struct inbox *in, struct names_file *f, const struct stat *st)
{
    int code = inbox_name_clear(in->dir, f->name, st, NULL);
    if (code == ERR_IO) {
        return false;
    }
    drop(in, f);
    return true;
}

/* One file whose time has come. False: stop here. */
static bool look_at(struct inbox *in, struct names_file *f)
{
    struct stat st;
    struct names_print print;
    double t = now(in), wait = in->o.settle_seconds;
    if (fstatat(in->dir, f->name, &st, AT_SYMLINK_NOFOLLOW)) {
        leave(in, f);
        return true;
    }
    names_print(&st, &print);
    if (!names_same(&f->print, &print)) {
        changed(in, f, &print);
        return true;
    }
    if (f->taken) {
        if (!try_remove(in, f, &st)) {
            names_put(&in->names, f, t + in->o.rescan_seconds);
        }
        return true;
    }
    bool late =
        f->incomplete_at > 0 && t - f->incomplete_at >= in->o.incomplete_seconds;
    if (f->incomplete_at > 0 && !late) {
        names_put(&in->names, f, t + wait);
        return true;
    }
    struct inbox_file offer = {.name = f->name,
                               .st = st,
                               .last_chance = late,
                               .seen_at = f->seen_at,
                               .settling_at = f->settling_at};
    enum inbox_answer answer = in->o.settled(in->o.user, &offer);
    if (answer == INBOX_TAKEN) {
        names_pull(&in->names, f);
    } else if (answer == INBOX_LATER) {
        names_put(&in->names, f, t + (wait > LATER_SECONDS ? wait : LATER_SECONDS));
    }
    in->full = answer == INBOX_FULL;
    return !in->full;
}

/* Offer what is due. */
static void look(struct inbox *in)
{
    struct names_file *f;
    uint64_t end = uv_hrtime() + SLICE_NS;
    double t = now(in);
    while (!in->closing && !in->lost && (f = names_first(&in->names)) && f->due <= t &&
           look_at(in, f) && uv_hrtime() < end) {
    }
    arm(in);
}

/* ---- the folder ---- */

static void on_rescan(uv_timer_t *timer)
{
    inbox_rescan(timer->data);
}

static void set_rescan(struct inbox *in, uint64_t every)
{
    uv_timer_start(&in->rescan, on_rescan, every, every);
}

static uint64_t rescan_ms(const struct inbox *in)
{
    return (uint64_t)(in->o.rescan_seconds * 1000.0);
}

/* Open and watch the folder that is at the path now. */
static int take_folder(struct inbox *in, struct err *err)
{
    int dir = open(in->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int watch = dir < 0 ? -1 : inotify_add_watch(in->notify, in->folder, WATCHED);
    if (watch < 0 || fstat(dir, &in->dir_st)) {
        int code = err_set(err, ERR_IO, "cannot watch the inbox %s: %s", in->folder,
                           strerror(errno));
        if (dir >= 0) {
            close(dir);
        }
        return code;
    }
    if (in->dir >= 0) {
        close(in->dir);
    }
    if (in->watch >= 0 && in->watch != watch) {
        inotify_rm_watch(in->notify, in->watch);
    }
    in->dir = dir;
    in->watch = watch;
    return 0;
}

/* Is the folder at the path the one that is watched? A folder that is open here and
 * removed gives no notice, nor does one that is mounted over. */
static bool is_in_place(const struct inbox *in)
{
    struct stat st;
    return !in->lost && !stat(in->folder, &st) && st.st_dev == in->dir_st.st_dev &&
           st.st_ino == in->dir_st.st_ino;
}

/* If it is not, take the one that is there. */
static bool find_folder(struct inbox *in)
{
    struct err err;
    if (is_in_place(in)) {
        return true;
    }
    in->lost = take_folder(in, &err);
    if (in->lost) {
        in->o.trouble(in->o.user, err.message);
    }
    return !in->lost;
}

static void on_check(uv_timer_t *timer)
{
    struct inbox *in = timer->data;
    if (!is_in_place(in)) {
        inbox_rescan(in);
    }
}

/* ---- listing ---- */

static void end_listing(struct inbox *in)
{
    closedir(in->listing);
    in->listing = NULL;
    uv_idle_stop(&in->idle);
    if (in->list_again) {
        in->list_again = false;
        inbox_rescan(in);
    }
}

/* Names that the listing has not found are gone. */
static void sweep(struct inbox *in)
{
    for (struct names_file *f = in->names.all, *next; f; f = next) {
        next = f->next;
        if (f->listing != in->n_listings && !is_busy(f)) {
            notice(in, f->name);
        }
    }
}

static void list_some(struct inbox *in, uint64_t limit_ns)
{
    uint64_t end = uv_hrtime() + limit_ns;
    const struct dirent *entry;
    errno = 0;
    for (int i = 0; (entry = readdir(in->listing)); i++) {
        if (!strncmp(entry->d_name, INBOX_TAKEN_PREFIX, strlen(INBOX_TAKEN_PREFIX))) {
            inbox_name_back(in->dir, entry->d_name);
        } else {
            notice(in, entry->d_name);
        }
        if (i % 16 == 15 && uv_hrtime() >= end) {
            arm(in);
            return;
        }
        errno = 0;
    }
    if (errno) {
        in->o.trouble(in->o.user, strerror(errno)); /* the rest stays as it is */
    } else {
        sweep(in);
    }
    end_listing(in);
    arm(in);
}

static void on_idle(uv_idle_t *idle)
{
    struct inbox *in = idle->data;
    if (in->listing) {
        list_some(in, SLICE_NS);
    }
}

void inbox_rescan(struct inbox *in)
{
    if (in->closing || !find_folder(in)) {
        return;
    }
    if (in->listing) {
        in->list_again = true;
        return;
    }
    int fd = openat(in->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    in->listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (!in->listing) {
        in->o.trouble(in->o.user, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    in->n_listings++;
    uv_idle_start(&in->idle, on_idle);
}

/* ---- notices ---- */

/* Read up to `limit` buffers of them; false if there were none left. */
static bool read_notices(struct inbox *in, int limit)
{
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool rescan = false;
    ssize_t n = 0;
    for (int i = 0; i < limit && (n = read(in->notify, buffer, sizeof buffer)) > 0;
         i++) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event e;
            memcpy(&e, buffer + at, sizeof e);
            if (e.mask & IN_Q_OVERFLOW) {
                rescan = true;
            } else if (e.wd == in->watch && e.mask & (IN_DELETE_SELF | IN_MOVE_SELF |
                                                      IN_IGNORED | IN_UNMOUNT)) {
                in->o.trouble(in->o.user, "the inbox folder was moved or removed");
                in->lost = true;
                rescan = true;
            } else if (e.wd == in->watch && e.len) {
                notice(in, buffer + at + sizeof e);
            }
            at += (ssize_t)(sizeof e + e.len);
        }
    }
    if (rescan) {
        inbox_rescan(in);
    }
    arm(in);
    return n > 0;
}

void inbox_drain(struct inbox *in)
{
    while (read_notices(in, NOTICES)) {
    }
    while (in->listing && in->names.n == 0) {
        list_some(in, SLICE_NS);
    }
}

static void on_notify(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    read_notices(poll->data, NOTICES);
}

/* ---- what became of a file ---- */

void inbox_kick(struct inbox *in)
{
    if (in->full) {
        in->full = false;
        arm(in);
    }
}

static struct names_file *offered(struct inbox *in, const char *name)
{
    struct names_file *f = names_find(&in->names, name);
    return f && is_busy(f) ? f : NULL;
}

void inbox_gone(struct inbox *in, const char *name)
{
    struct names_file *f = names_find(&in->names, name);
    if (f) {
        drop(in, f);
    }
    notice(in, name); /* a new file may have taken the name meanwhile */
    arm(in);
}

void inbox_again(struct inbox *in, const char *name, double seconds)
{
    struct names_file *f = offered(in, name);
    if (f) {
        struct stat st;
        struct names_print print = {0}; /* of no file: the next look finds it gone */
        if (fstatat(in->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            names_print(&st, &print);
        }
        double wait = in->o.settle_seconds;
        if (!names_same(&f->print, &print)) {
            changed(in, f, &print);
        }
        names_put(&in->names, f, now(in) + (seconds > wait ? seconds : wait));
    }
    arm(in);
}

void inbox_incomplete(struct inbox *in, const char *name)
{
    struct names_file *f = offered(in, name);
    if (f) {
        double t = now(in);
        if (f->incomplete_at == 0) {
            f->incomplete_at = t > 0 ? t : 1e-3;
            in->n_incomplete++;
        }
        double wait = in->o.settle_seconds, grace = in->o.incomplete_seconds;
        names_put(&in->names, f, t + (grace < wait ? grace : wait));
    }
    arm(in);
}

void inbox_keep(struct inbox *in, const char *name)
{
    struct names_file *f = offered(in, name);
    if (f) {
        f->taken = true;
        names_put(&in->names, f, now(in) + in->o.rescan_seconds);
    }
    arm(in);
}

int inbox_clear(struct inbox *in, const char *name, const struct stat *st,
                struct err *err)
{
    return inbox_name_clear(in->dir, name, st, err);
}

size_t inbox_count(const struct inbox *in, size_t *ret_incomplete)
{
    if (ret_incomplete) {
        *ret_incomplete = in->n_incomplete;
    }
    return in->names.n;
}

size_t inbox_settling(const struct inbox *in)
{
    return in->names.n_heap;
}

/* ---- open and close ---- */

static void release(struct inbox *in)
{
    names_done(&in->names);
    if (in->listing) {
        closedir(in->listing);
    }
    if (in->notify >= 0) {
        close(in->notify);
    }
    if (in->dir >= 0) {
        close(in->dir);
    }
    free(in->folder);
    free(in);
}

static void on_closed(uv_handle_t *handle)
{
    struct inbox *in = handle->data;
    if (--in->open_handles == 0) {
        release(in);
    }
}

void inbox_close(struct inbox *in)
{
    if (in && !in->closing) {
        in->closing = true;
        in->open_handles = 5;
        uv_close((uv_handle_t *)&in->poll, on_closed);
        uv_close((uv_handle_t *)&in->settle, on_closed);
        uv_close((uv_handle_t *)&in->rescan, on_closed);
        uv_close((uv_handle_t *)&in->check, on_closed);
        uv_close((uv_handle_t *)&in->idle, on_closed);
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
    in->dir = in->watch = -1;
    in->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int code = in->notify < 0 ? err_set(err, ERR_IO, "cannot watch any folder: %s",
                                        strerror(errno))
                              : take_folder(in, err);
    if (code) {
        release(in);
        return code;
    }
    uv_poll_init(loop, &in->poll, in->notify);
    uv_timer_init(loop, &in->settle);
    uv_timer_init(loop, &in->rescan);
    uv_timer_init(loop, &in->check);
    uv_idle_init(loop, &in->idle);
    in->poll.data = in->settle.data = in->rescan.data = in->idle.data = in;
    in->check.data = in;
    uv_poll_start(&in->poll, UV_READABLE, on_notify);
    set_rescan(in, rescan_ms(in));
    uv_timer_start(&in->check, on_check, CHECK_MS, CHECK_MS);
    *ret = in;
    inbox_rescan(in);
    return 0;
}

void inbox_retime(struct inbox *in, double settle_seconds, double incomplete_seconds,
                  double rescan_seconds)
{
    double due = now(in) + settle_seconds;
    if (settle_seconds < in->o.settle_seconds) { /* also for those that wait now */
        for (struct names_file *f = in->names.all; f; f = f->next) {
            if (!is_busy(f) && f->due > due) {
                names_put(&in->names, f, due);
            }
        }
    }
    in->o.settle_seconds = settle_seconds;
    in->o.incomplete_seconds = incomplete_seconds;
    in->o.rescan_seconds = rescan_seconds;
    set_rescan(in, rescan_ms(in));
    arm(in);
}
