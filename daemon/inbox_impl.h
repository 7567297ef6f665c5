#ifndef IFUD_DAEMON_INBOX_IMPL_H
#define IFUD_DAEMON_INBOX_IMPL_H

#include <dirent.h>

#include "daemon/inbox.h"
#include "daemon/inbox_names.h"

/*
 * Inside of the inbox: shared by inbox.c, which knows the names and what is to become of
 * them, and inbox_watch.c, which sees them in the folder.
 */

#define SLICE_NS 5000000u /* of a listing, and of looking at what is due */

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

static inline bool inbox_is_busy(const struct names_file *f)
{
    return f->place == NAMES_NOWHERE;
}

/* Look at a name: new, changed, gone, or as it was. */
void inbox_notice(struct inbox *inbox, const char *name);
/* Wait for the next name whose time comes. */
void inbox_arm(struct inbox *inbox);

/* Open and watch the folder; then start the handles; at the end give back what is open. */
int inbox_watch_open(struct inbox *inbox, struct err *err);
void inbox_watch_start(struct inbox *inbox);
void inbox_watch_release(struct inbox *inbox);
/* List every o.rescan_seconds from now on. */
void inbox_watch_retime(struct inbox *inbox);

#endif
