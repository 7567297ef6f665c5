#ifndef IFUD_BASE_PUBLISH_H
#define IFUD_BASE_PUBLISH_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * Atomic publish: a file is written beside its place under the attempt's name
 * (.<name>.<attempt>.part), fsynced, renamed, and its folder fsynced. A reader sees the
 * old file, or none, or the whole new one.
 * Ownership: publish_commit and publish_abort release the struct.
 * Thread: one at a time per struct; different names and attempts at once are fine.
 * Test: tests/base/test_publish.c
 */
struct publish {
    char *final_path;
    char *part_path; /* write here (create it; it does not exist) */
};

/*
 * Begin. name: a safe component (path_is_safe_name); attempt >= 1. A part file that the
 * same attempt left behind is removed.
 */
int publish_begin(const char *folder, const char *name, int attempt,
                  struct publish *ret, struct err *err);
/* fsync, rename (replacing), fsync the folder. On failure the part file is removed. */
int publish_commit(struct publish *p, struct err *err);
/* Remove the part file. Fine after a commit and for a zeroed struct. */
void publish_abort(struct publish *p);

/*
 * Several files that appear together, at the end of a run that succeeded: parts are
 * written and synced as they come, the renames come all at once.
 * Ownership: publish_set_commit and publish_set_abort release the struct; zeroed it is
 * an empty set. Thread: one at a time per struct.
 */
struct publish_set {
    struct publish *parts;
    size_t n;
};

/*
 * Begin one more file, as publish_begin does; a name that is in the set already gets a
 * new part. Returned: *ret_i, its place in set->parts; create parts[i].part_path.
 */
int publish_set_begin(struct publish_set *set, const char *folder, const char *name,
                      int attempt, size_t *ret_i, struct err *err);
/* The part is written: fsync it. */
int publish_set_sync(struct publish_set *set, size_t i, struct err *err);
/* A text or other bytes in memory as one more file, written and synced. */
int publish_set_bytes(struct publish_set *set, const char *folder, const char *name,
                      int attempt, const void *data, size_t n, struct err *err);
/*
 * Rename every part, in the order in which they began, then fsync each folder once. If
 * a rename fails, the files renamed before it are removed, and so are all parts.
 */
int publish_set_commit(struct publish_set *set, struct err *err);
/* Remove all parts. Fine after a commit and for a zeroed struct. */
void publish_set_abort(struct publish_set *set);

/*
 * Remove part files that a dead process has left in a folder: those of names that begin
 * with `prefix`, of one attempt or, with attempt 0, of any. Nothing may be writing them.
 * Returns how many went; a folder that is not there holds none.
 */
size_t publish_sweep(const char *folder, const char *prefix, int attempt);

/* Begin, write and commit for a text or other bytes in memory. */
int publish_bytes(const char *folder, const char *name, int attempt, const void *data,
                  size_t n, struct err *err);

#endif
