#ifndef IFUD_BASE_PATH_H
#define IFUD_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "common/base/err.h"

/* Paths. Thread: any. Test: tests/base/test_path.c */

/* folder "/" name, or name alone if it is absolute or folder is "" or NULL.
 * The caller frees. NULL on failure (ERR_NOMEM). */
char *path_join(const char *folder, const char *name, struct err *err);

/* What follows the last slash; "" for "a/". Points into path. */
const char *path_base(const char *path);

/* The folder a path lies in: "a/b" -> "a", "b" -> ".", "/b" -> "/". The caller frees. */
char *path_folder(const char *path, struct err *err);

/* Does the name end in `suffix` (case counts)? */
bool path_has_suffix(const char *path, const char *suffix);

/*
 * Is `name` one safe component of a path: 1 to 200 bytes of A-Z a-z 0-9 . _ + - and =,
 * not beginning with a dot or a minus? Names of products and jobs must be.
 */
bool path_is_safe_name(const char *name);

/*
 * Text as part of a file name: lower case letters and digits, every run of other bytes
 * one '-', none at the ends ("NGC 1068 (nuc)" -> "ngc-1068-nuc"). Cut to fit `size`.
 * Returns the length; 0 if nothing is left.
 */
size_t path_slug(const char *text, char *ret, size_t size);

/* Any name for a message or a row: bytes other than printable ASCII become '?', and it is
 * cut to fit `size`. */
void path_show(const char *name, char *ret, size_t size);

/* Create a folder and those above it (mode less umask); each new name is synced. One that
 * exists is fine; ERR_IO names what is in the way. */
int path_make_folder(const char *path, mode_t mode, struct err *err);

/* fsync the file or folder of that name; flags for open(2): O_NOFOLLOW, O_DIRECTORY or 0. */
int path_sync(const char *path, int flags, struct err *err);

/* Is it the same file with the same bytes, as far as inode, size and mtime tell? */
bool path_same_file(const struct stat *a, const struct stat *b);

#endif
