#ifndef IFUD_DAEMON_SPOOL_H
#define IFUD_DAEMON_SPOOL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>
#include "common/base/err.h"
#include "daemon/inbox.h"
#include "daemon/queue.h"
#include "jobs/association.h"

/*
 * The private spool: settled files are copied in, hashed, looked at and fsynced by threads
 * of its own, in batches. The order that loses nothing: the copies are on the disk (here),
 * the rows are committed (the caller), then the inbox names go (inbox_clear).
 *
 *     <spool>/exposures/<sha256>/<name>    accepted exposures
 *     <spool>/tmp/                         copies under way; emptied at the start
 *
 * Association files are read as they are copied; the queue keeps their text.
 *
 * Files are opened O_NOFOLLOW and copied before anything parses them, so a writer that
 * still holds the file cannot change what was hashed. No copy is longer than its file was
 * when it settled, and none is longer than SPOOL_MAX_BYTES.
 *
 * Thread: all functions on the loop's thread; `done` is called there too.
 * Test: tests/daemon/test_spool.c
 */
struct spool;

/* The planes of one detector take 84 MB. */
#define SPOOL_MAX_BYTES ((int64_t)1 << 30)

enum spool_outcome {
    SPOOL_STORED,     /* the copy is durable: commit the row, then inbox_clear */
    SPOOL_READ,       /* an association, with its text: the same; no copy stays */
    SPOOL_CHANGED,    /* it was written to meanwhile: let it settle anew */
    SPOOL_GONE,       /* the inbox name no longer exists */
    SPOOL_INCOMPLETE, /* no whole FITS file (yet) */
    SPOOL_REJECTED,   /* moved to the rejected folder with its .why.json */
    SPOOL_TROUBLE     /* the disk or memory refused: try later */
};

struct spool_result {
    enum spool_outcome outcome;
    const char *name;     /* in the inbox */
    char shown[NAME_MAX]; /* the name for messages: other bytes than ASCII are '?' */
    struct stat st;       /* as it was copied */
    double seen_at, settling_at;
    /* SPOOL_STORED: all but id, state, accepted_at */
    struct queue_exposure exposure;
    /* SPOOL_READ; exposure.sha256 is set, too */
    struct association association;
    char *text;
    struct err err; /* INCOMPLETE, REJECTED, TROUBLE: why */
};

struct spool_options {
    const char *folder, *inbox, *rejected; /* spool and rejected are created */
    int threads;
    /* A batch has come to its end; borrowed for the call. */
    void (*done)(void *user, const struct spool_result *const *results, size_t n);
    void *user;
};

int spool_open(uv_loop_t *loop, const struct spool_options *options, struct spool **ret,
               struct err *err);
/* Finish the batches under way, forget the rest; freed once the loop closed its handle. */
void spool_close(struct spool *spool); /* NULL is fine */

/* Take in a settled file; file->last_chance: an incomplete one is rejected. False if as
 * many are under way as there is room for. */
bool spool_submit(struct spool *spool, const struct inbox_file *file);
/* How many are under way. */
size_t spool_busy(const struct spool *spool);
/* For how long a thread that works has shown no progress (s); 0: none works. */
double spool_quiet(const struct spool *spool);
/* Begin no other copy. Waits for nothing. */
void spool_stop(struct spool *spool);

/* Path of an accepted exposure; the caller frees. */
char *spool_path(const struct spool *spool, const char *sha256, const char *name,
                 struct err *err);
/* The same bytes were accepted under another name before: remove this copy's name, for
 * good before the file leaves the inbox. ERR_IO: it may still be there. */
int spool_forget(struct spool *spool, const char *sha256, const char *name,
                 struct err *err);

#endif
