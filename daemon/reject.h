#ifndef IFUD_DAEMON_REJECT_H
#define IFUD_DAEMON_REJECT_H

#include <stdint.h>
#include <sys/stat.h>
#include "common/base/err.h"

/* The largest file that is copied to another file system: larger ones stay. */
#define REJECT_MAX_BYTES ((int64_t)1 << 30)

/*
 * Move a file that is no usable exposure out of the inbox and say why beside it.
 *
 * Given:    inbox: descriptor of the folder; name in it; st: the file that was judged;
 *           folder: where rejected files go; why: the reason; sha256: of its content or ""
 * Effect:   <folder>/<name> (characters that are unsafe in a name become '_', a number
 *           is added if the name is taken) and <that>.why.json with the keys file, why,
 *           error, sha256 and date. The reason is on the disk before the file moves; what
 *           is not a regular file is moved too, never followed. To another file system a
 *           regular file is copied, and its name goes once the copy is on the disk.
 * ERR_IO leaves the file where it is; so does ERR_NODATA: another file has the name now.
 * Thread:   any, several at once. Test: tests/daemon/test_reject.c
 */
int reject_file(int inbox, const char *name, const struct stat *st, const char *folder,
                const struct err *why, const char *sha256, struct err *err);

#endif
