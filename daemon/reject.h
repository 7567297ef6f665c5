#ifndef IFUD_DAEMON_REJECT_H
#define IFUD_DAEMON_REJECT_H

#include "common/base/err.h"

/*
 * Move a file that is no usable exposure out of the inbox and say why beside it.
 *
 * Given:    inbox: descriptor of the folder; name in it; folder: where rejected files go;
 *           why: the reason; sha256: of its content or ""
 * Effect:   <folder>/<name> (characters that are unsafe in a name become '_', a number
 *           is added if the name is taken) and <that>.why.json with the keys file, why,
 *           error, sha256 and date. The reason is on the disk before the file moves; what
 *           is not a regular file is moved too, never followed.
 * ERR_IO leaves the file where it is. Thread: any. Test: tests/daemon/test_spool.c
 */
int reject_file(int inbox, const char *name, const char *folder, const struct err *why,
                const char *sha256, struct err *err);

#endif
