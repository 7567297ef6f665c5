#include "daemon/spool_take.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/sha256.h"
#include "common/data/exposure_io.h"
#include "daemon/planner.h"
#include "daemon/reject.h"

#define COPY_BYTES ((size_t)1 << 20)

struct batch {
    const struct spool_place *place;
    int inbox; /* the folder as it is now */
    char *buffer;
    struct heartbeat *beat;
};

static int io(struct err *err, const char *what, const char *name)
{
    return err_set(err, ERR_IO, "%s: cannot %s: %s", name, what, strerror(errno));
}

/* ---- copying ---- */

static int write_all(int to, const char *from, size_t n, const char *name,
                     struct err *err)
{
    while (n) {
        ssize_t m = write(to, from, n);
        if (m < 0 && errno != EINTR) {
            return io(err, "write into the spool", name);
        }
        from += m > 0 ? m : 0;
        n -= m > 0 ? (size_t)m : 0;
    }
    return 0;
}

/* Copy at most `limit` bytes; *ret_n: how many there were. */
static int copy_bytes(const struct batch *b, int from, int to, int64_t limit,
                      const char *name, struct sha256 *sum, int64_t *ret_n,
                      struct err *err)
{
    int code = 0;
    *ret_n = 0;
    while (!code && *ret_n < limit) {
        size_t room = limit - *ret_n < (int64_t)COPY_BYTES ? (size_t)(limit - *ret_n)
                                                           : COPY_BYTES;
        ssize_t n = read(from, b->buffer, room);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? io(err, "read", name) : 0;
        }
        code = write_all(to, b->buffer, (size_t)n, name, err);
        code = code ? code : sha256_add(sum, b->buffer, (size_t)n, err);
        *ret_n += n;
        heartbeat_beat(b->beat);
    }
    return code;
}

static int copy_and_hash(const struct batch *b, int from, struct spool_work *w,
                         struct err *err)
{
    struct sha256 *sum = NULL;
    int64_t n = 0;
    int code = sha256_begin(&sum, err);
    code = code ? code
                : copy_bytes(b, from, w->copy, w->result.st.st_size, w->name, sum, &n,
                             err);
    int ended = sha256_end(&sum, code ? NULL : w->result.exposure.sha256, err);
    w->result.exposure.bytes = n;
    return code ? code : ended;
}

/* ---- looking at the copy ---- */

/* Replace the private path in a message by the file's name. */
static void hide_path(struct err *err, const char *path, const char *name)
{
    char *at = strstr(err->message, path);
    if (at) {
        char rest[sizeof err->message];
        snprintf(rest, sizeof rest, "%s", at + strlen(path));
        size_t room = sizeof err->message - (size_t)(at - err->message);
        snprintf(at, room, "%s%s", name, rest);
    }
}

/* Can more bytes make an exposure of it? */
static bool may_become_fits(int fd)
{
    char first[16];
    ssize_t n = pread(fd, first, sizeof first, 0);
    return n < 0 || fits_may_begin(first, (size_t)n);
}

/* Is it a usable exposure? Reads headers of the copy only; cfitsio is not asked. */
static enum spool_outcome judge(const char *path, struct spool_work *w)
{
    struct spool_result *r = &w->result;
    struct fits_in *f = NULL;
    struct exposure *e = NULL;
    enum spool_outcome bad = SPOOL_REJECTED;
    int code = fits_in_open_headers(path, ERR_INPUT, &f, &r->err);
    if (code && may_become_fits(w->copy)) {
        bad = SPOOL_INCOMPLETE;
    }
    code = code ? code : exposure_headers_of(f, path, &e, &r->err);
    fits_in_close(f);
    struct queue_exposure described;
    if (!code && !(code = planner_describe(&e->meta, w->name, &described, &r->err))) {
        memcpy(described.sha256, r->exposure.sha256, sizeof described.sha256);
        described.bytes = r->exposure.bytes;
        r->exposure = described;
    }
    exposure_free(e);
    if (!code) {
        return SPOOL_STORED;
    }
    hide_path(&r->err, path, w->name);
    return code == ERR_IO || code == ERR_NOMEM ? SPOOL_TROUBLE : bad;
}

/* Is it an association? The copy is read, and is not needed any more. */
static enum spool_outcome read_association(struct spool_work *w)
{
    struct spool_result *r = &w->result;
    size_t n = (size_t)r->exposure.bytes, at = 0;
    if (n > ASSOCIATION_MAX_BYTES) {
        err_set(&r->err, ERR_INPUT,
                "%s is larger than %zu bytes; expected is an association file", w->name,
                ASSOCIATION_MAX_BYTES);
        return SPOOL_REJECTED;
    }
    if (!(r->text = mem_alloc(n + 1, 1, &r->err))) {
        return SPOOL_TROUBLE;
    }
    while (at < n) {
        ssize_t m = pread(w->copy, r->text + at, n - at, (off_t)at);
        if (m == 0 || (m < 0 && errno != EINTR)) {
            io(&r->err, "read", w->name);
            return SPOOL_TROUBLE;
        }
        at += m > 0 ? (size_t)m : 0;
    }
    r->text[n] = 0;
    int code = association_parse(r->text, n, w->name, NULL, &r->association, &r->err);
    return !code                ? SPOOL_READ
           : code == ERR_NODATA ? SPOOL_INCOMPLETE
           : code == ERR_NOMEM  ? SPOOL_TROUBLE
                                : SPOOL_REJECTED;
}

/* Copy, hash, look. SPOOL_STORED: the copy is open, in tmp/, and not yet synced. */
static enum spool_outcome take_one(const struct batch *b, struct spool_work *w)
{
    struct spool_result *r = &w->result;
    struct stat st;
    enum spool_outcome outcome = SPOOL_TROUBLE;
    char *path = path_join(b->place->tmp, w->name, &r->err);
    int from = openat(b->inbox, w->name,
                      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (from <
        0) { /* ELOOP, ENXIO: a link or a device took the name since it settled */
        outcome = errno == ENOENT                    ? SPOOL_GONE
                  : errno == ELOOP || errno == ENXIO ? SPOOL_CHANGED
                                                     : SPOOL_TROUBLE;
        io(&r->err, "read", w->name);
        goto out;
    }
    if (!path) {
        goto out;
    }
    if (fstat(from, &st)) {
        io(&r->err, "read", w->name);
        goto out;
    }
    if (!S_ISREG(st.st_mode) || !path_same_file(&st, &r->st)) {
        outcome = SPOOL_CHANGED;
        goto out;
    }
    unlink(path);
    w->copy = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (w->copy < 0) {
        io(&r->err, "write into the spool", w->name);
        goto out;
    }
    if (copy_and_hash(b, from, w, &r->err)) {
        goto out;
    }
    if (fstat(from, &st) || !path_same_file(&st, &r->st) ||
        r->exposure.bytes != st.st_size) {
        outcome = SPOOL_CHANGED;
        goto out;
    }
    outcome = association_is_name(w->name) ? read_association(w) : judge(path, w);
out:
    if (from >= 0) {
        close(from);
    }
    if (w->copy >= 0 && outcome != SPOOL_STORED) {
        close(w->copy);
        w->copy = -1;
        unlink(path);
    }
    free(path);
    return outcome;
}

/* What is wrong with a file before it is opened; NULL if nothing. */
static const char *refused_outright(const struct spool_work *w)
{
    mode_t m = w->result.st.st_mode;
    if (!S_ISREG(m)) {
        return S_ISLNK(m)    ? "is a symbolic link"
               : S_ISFIFO(m) ? "is a FIFO"
               : S_ISSOCK(m) ? "is a socket"
                             : "is a device";
    }
    if (!path_has_suffix(w->name, ".fits") && !path_has_suffix(w->name, ".fits.gz") &&
        !association_is_name(w->name)) {
        return "has a name that does not end in .fits, .fits.gz or _asn.json";
    }
    if (w->result.st.st_size > SPOOL_MAX_BYTES) {
        return "is larger than 1 GiB";
    }
    return path_is_safe_name(w->name)
               ? NULL
               : "has a name with other characters than A-Z a-z 0-9 . _ + - =, or one "
                 "longer than 200";
}

static void reject(const struct batch *b, struct spool_work *w)
{
    struct spool_result *r = &w->result;
    struct err moved;
    int code = reject_file(b->inbox, w->name, &r->st, b->place->rejected, &r->err,
                           r->exposure.sha256, &moved);
    if (code) {
        r->outcome = code == ERR_NODATA ? SPOOL_CHANGED : SPOOL_TROUBLE;
        r->err = moved;
    }
}

static void work_on(const struct batch *b, struct spool_work *w)
{
    struct spool_result *r = &w->result;
    const char *why = refused_outright(w);
    if (why) {
        r->outcome = SPOOL_REJECTED;
        err_set(&r->err, ERR_INPUT,
                "%s %s; expected is a regular file such as jw..._nrs1_rate.fits",
                w->name, why);
    } else {
        r->outcome = take_one(b, w);
    }
    if (r->outcome == SPOOL_INCOMPLETE && w->last_chance) {
        r->outcome = SPOOL_REJECTED;
    }
    if (r->outcome == SPOOL_REJECTED) {
        reject(b, w);
    }
    heartbeat_beat(b->beat);
}

/* ---- the disk ---- */

/* A copy that is not to stay; its folder goes if it is empty. */
static void abandon(const struct batch *b, struct spool_work *w)
{
    struct spool_result *r = &w->result;
    char *tmp = path_join(b->place->tmp, w->name, NULL);
    char *folder = path_join(b->place->exposures, r->exposure.sha256, NULL);
    if (tmp) {
        unlink(tmp);
    }
    if (folder) {
        rmdir(folder);
    }
    free(tmp);
    free(folder);
    r->outcome = SPOOL_TROUBLE;
}

/* <tmp>/<name> becomes <exposures>/<sha256>/<name>. */
static int put_in_place(const struct batch *b, struct spool_work *w)
{
    struct err *err = &w->result.err;
    char *from = path_join(b->place->tmp, w->name, err);
    char *folder = path_join(b->place->exposures, w->result.exposure.sha256, err);
    char *to = folder ? path_join(folder, w->name, err) : NULL;
    int code = from && to ? 0 : ERR_NOMEM;
    if (!code && mkdir(folder, 0700) && errno != EEXIST) {
        code = io(err, "make its folder in the spool", w->name);
    }
    if (!code && rename(from, to)) {
        code = io(err, "move into the spool", w->name);
    }
    free(to);
    free(folder);
    free(from);
    return code;
}

static int sync_bytes(const struct batch *b, struct spool_work *w)
{
    (void)b;
    int code = fsync(w->copy) ? io(&w->result.err, "sync the copy", w->name) : 0;
    close(w->copy);
    w->copy = -1;
    return code;
}

static int sync_own_folder(const struct batch *b, struct spool_work *w)
{
    struct err *err = &w->result.err;
    char *folder = path_join(b->place->exposures, w->result.exposure.sha256, err);
    int code = folder ? path_sync(folder, O_DIRECTORY, err) : ERR_NOMEM;
    free(folder);
    return code ? err_prefix(err, "%s", w->name) : 0;
}

/* One step for all: the disk then finds more to do at once. Returns how many are left. */
static size_t each(const struct batch *b, struct spool_work **works, size_t n,
                   int (*step)(const struct batch *b, struct spool_work *w))
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (works[i]->result.outcome == SPOOL_STORED && step(b, works[i])) {
            abandon(b, works[i]);
        }
        left += works[i]->result.outcome == SPOOL_STORED;
        heartbeat_beat(b->beat);
    }
    return left;
}

/* Make all copies durable: first their bytes, then their names. */
static void settle_in(const struct batch *b, struct spool_work **works, size_t n)
{
    struct err err;
    each(b, works, n, sync_bytes);
    each(b, works, n, put_in_place);
    if (!each(b, works, n, sync_own_folder) ||
        !path_sync(b->place->exposures, O_DIRECTORY, &err)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (works[i]->result.outcome == SPOOL_STORED) {
            works[i]->result.outcome = SPOOL_TROUBLE;
            works[i]->result.err = err;
        }
    }
}

void spool_take(const struct spool_place *place, struct spool_work **works, size_t n,
                struct heartbeat *beat)
{
    struct err err = {0};
    struct batch b = {.place = place, .beat = beat};
    b.inbox = open(place->inbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    b.buffer = mem_alloc(COPY_BYTES, 1, &err);
    if (b.inbox < 0) {
        io(&err, "open the inbox", place->inbox);
    }
    for (size_t i = 0; i < n; i++) {
        struct spool_result *r = &works[i]->result;
        if (b.inbox < 0 || !b.buffer) {
            r->outcome = SPOOL_TROUBLE;
            r->err = err;
        } else {
            work_on(&b, works[i]);
        }
    }
    settle_in(&b, works, n);
    if (b.inbox >= 0) {
        close(b.inbox);
    }
    free(b.buffer);
}
