#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "daemon/inbox_clear.h"
#include "daemon/inbox_impl.h"

/*
 * What the folder of an inbox holds: notices of the kernel as hints, listings for the
 * truth, and a look whether the folder is still the one at its path.
 */

#define WATCHED                                                                        \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_DELETE |                \
     IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

#define NOTICES 32    /* buffers read before the loop goes on */
#define CHECK_MS 1000 /* is the folder still there? */

/* ---- the folder ---- */

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
        if (f->listing != in->n_listings && !inbox_is_busy(f)) {
            inbox_notice(in, f->name);
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
            inbox_notice(in, entry->d_name);
        }
        if (i % 16 == 15 && uv_hrtime() >= end) {
            inbox_arm(in);
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
    inbox_arm(in);
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
                inbox_notice(in, buffer + at + sizeof e);
            }
            at += (ssize_t)(sizeof e + e.len);
        }
    }
    if (rescan) {
        inbox_rescan(in);
    }
    inbox_arm(in);
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

/* ---- open and close ---- */

int inbox_watch_open(struct inbox *in, struct err *err)
{
    in->dir = in->watch = -1;
    in->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return in->notify < 0
               ? err_set(err, ERR_IO, "cannot watch any folder: %s", strerror(errno))
               : take_folder(in, err);
}

static void on_rescan(uv_timer_t *timer)
{
    inbox_rescan(timer->data);
}

void inbox_watch_retime(struct inbox *in)
{
    uint64_t every = (uint64_t)(in->o.rescan_seconds * 1000.0);
    uv_timer_start(&in->rescan, on_rescan, every, every);
}

void inbox_watch_start(struct inbox *in)
{
    uv_poll_init(in->loop, &in->poll, in->notify);
    uv_timer_init(in->loop, &in->rescan);
    uv_timer_init(in->loop, &in->check);
    uv_idle_init(in->loop, &in->idle);
    in->poll.data = in->rescan.data = in->check.data = in->idle.data = in;
    uv_poll_start(&in->poll, UV_READABLE, on_notify);
    uv_timer_start(&in->check, on_check, CHECK_MS, CHECK_MS);
    inbox_watch_retime(in);
}

void inbox_watch_release(struct inbox *in)
{
    if (in->listing) {
        closedir(in->listing);
    }
    if (in->notify >= 0) {
        close(in->notify);
    }
    if (in->dir >= 0) {
        close(in->dir);
    }
}
