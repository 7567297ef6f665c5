#include "daemon/queue_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"

/* Everything in one read transaction: a consistent state, while others write. */
static int copy(struct queue *q, const char *to, struct err *err)
{
    sqlite3 *db = NULL;
    int code = 0;
    if (sqlite3_open_v2(
            to, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
            NULL)) {
        code = err_set(err, ERR_IO, "%s: %s", to,
                       db ? sqlite3_errmsg(db) : "out of memory");
        sqlite3_close(db);
        return code;
    }
    sqlite3_backup *b = sqlite3_backup_init(db, "main", q->db, "main");
    if (b) {
        sqlite3_backup_step(b, -1);
    }
    if (!b || sqlite3_backup_finish(b) != SQLITE_OK) {
        code =
            err_set(err, ERR_IO, "copying the queue to %s: %s", to, sqlite3_errmsg(db));
    }
    /* the copy is one file, without a -wal beside it */
    if (!code && sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL)) {
        code = err_set(err, ERR_IO, "%s: %s", to, sqlite3_errmsg(db));
    }
    sqlite3_close(db);
    return code;
}

int queue_backup(struct queue *q, const char *path, struct err *err)
{
    char *part = mem_printf(err, "%s.part", path), *folder = path_folder(path, err);
    int code = part && folder ? 0 : ERR_NOMEM;
    if (!code) {
        unlink(part); /* of one that was interrupted */
        code = copy(q, part, err);
        code = code ? code : path_sync(part, 0, err);
    }
    if (!code && rename(part, path)) {
        code = err_set(err, ERR_IO, "cannot rename %s to %s: %s", part, path,
                       strerror(errno));
    }
    if (code && part) {
        unlink(part);
    }
    code = code ? code : path_sync(folder, O_DIRECTORY, err);
    free(part);
    free(folder);
    return code;
}
