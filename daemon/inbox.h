#ifndef IFUD_DAEMON_INBOX_H
#define IFUD_DAEMON_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <uv.h>
#include "common/base/err.h"

/*
 * The inbox: which files have settled. A raw inotify descriptor gives hints (libuv's own
 * watcher hides overflows); listing the folder at the start, on overflow, on request and
 * every rescan_seconds gives the truth. A file has settled when its size, mtime, ctime
 * and inode have stood still for settle_seconds. Hidden and temporary names are skipped,
 * folders are left alone; symbolic links are never followed.
 *
 * A listing is done in slices of some milliseconds between which the loop goes on. A
 * folder that is moved, removed, mounted over or made again is found by its path.
 *
 * Each settled file is offered once and then `busy` until one of inbox_gone, inbox_again,
 * inbox_incomplete and inbox_keep says what became of it.
 *
 * Thread: all on the loop's thread. Test: tests/daemon/test_inbox.c
 */
struct inbox;

struct inbox_file {
    const char *name;   /* no folder; any bytes but '/' and NUL */
    struct stat st;     /* by lstat, stood still */
    bool last_chance;   /* incomplete for incomplete_seconds: reject it now */
    double seen_at;     /* s since 1970: when its name was first seen; */
    double settling_at; /* since when it has stood still */
};

enum inbox_answer {
    INBOX_TAKEN,
    INBOX_FULL, /* no room for any now: offered again after inbox_kick */
    INBOX_LATER /* no room for this one: offered again after a while, others go on */
};

struct inbox_options {
    const char *folder; /* must exist */
    double settle_seconds, incomplete_seconds, rescan_seconds;
    /* A settled file. `file` is borrowed for the call. */
    enum inbox_answer (*settled)(void *user, const struct inbox_file *file);
    /* A file that was seen has left the folder by itself (st is zero). */
    void (*gone)(void *user, const struct inbox_file *file);
    /* The folder cannot be read, or the watch is lost; it is tried again. */
    void (*trouble)(void *user, const char *message);
    void *user;
};

/* Watch first, then list, so that nothing falls between. */
int inbox_open(uv_loop_t *loop, const struct inbox_options *options, struct inbox **ret,
               struct err *err);
/* Stop watching; the struct is freed once the loop has closed its handles. */
void inbox_close(struct inbox *inbox); /* NULL is fine */

/* List the folder anew. */
void inbox_rescan(struct inbox *inbox);
/* Read notices that the kernel already holds; after that an inbox that counts no file has
 * none. */
void inbox_drain(struct inbox *inbox);
/* There is room again for settled files. */
void inbox_kick(struct inbox *inbox);

/* What became of an offered file: it has left the folder; or is to settle anew (it
 * changed, or try later: after `seconds`); or is shorter than it says; or it is
 * accepted but its name cannot be removed, which is tried again every rescan_seconds. */
void inbox_gone(struct inbox *inbox, const char *name);
void inbox_again(struct inbox *inbox, const char *name, double seconds);
void inbox_incomplete(struct inbox *inbox, const char *name);
void inbox_keep(struct inbox *inbox, const char *name);

/* Remove a name whose file (st) is accepted; as inbox_name_clear. */
int inbox_clear(struct inbox *inbox, const char *name, const struct stat *st,
                struct err *err);

/* Other times from now on, also for files that wait. */
void inbox_retime(struct inbox *inbox, double settle_seconds, double incomplete_seconds,
                  double rescan_seconds);

/* Files seen and not gone: all, and those that wait to be complete. */
size_t inbox_count(const struct inbox *inbox, size_t *ret_incomplete);

/* Is this name hidden or a copying program's temporary one? Pure. */
bool inbox_is_temporary(const char *name);

#endif
