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

/* The three in one for a text or other bytes in memory. */
int publish_bytes(const char *folder, const char *name, int attempt, const void *data,
                  size_t n, struct err *err);

#endif
