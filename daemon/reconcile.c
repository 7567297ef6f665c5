#include "daemon/reconcile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/publish.h"

#define SLICE 500

/* ---- parts ---- */

int reconcile_parts(const struct reconcile_places *places, struct queue *q,
                    size_t *ret_n, struct err *err)
{
    struct queue_place *p;
    size_t n;
    int code = queue_places(q, &p, &n, err);
    if (code) {
        return code;
    }
    *ret_n = publish_sweep(places->manifests, "", 0);
    for (size_t i = 0; i < n && !code; i++) {
        char *folder =
            mem_printf(err, "%s/%s/%s", places->products, p[i].program, p[i].group);
        code = folder ? 0 : ERR_NOMEM;
        *ret_n += folder ? publish_sweep(folder, "", 0) : 0;
        free(folder);
    }
    free(p);
    return code;
}

void reconcile_init(struct reconcile *r, const struct reconcile_places *places)
{
    *r = (struct reconcile){.places = *places};
}

void reconcile_done(struct reconcile *r)
{
    if (r->dir) {
        closedir(r->dir);
        r->dir = NULL;
    }
}

/* ---- rows without a copy ---- */

static bool is_missing(const char *path)
{
    struct stat st;
    return lstat(path, &st) && (errno == ENOENT || errno == ENOTDIR);
}

/* In one commit: the exposure is gone, and what was to read it is held. */
static int lose(struct queue *q, const struct queue_copy *c, double now,
                struct err *err)
{
    struct queue_job job;
    struct queue_change change = {
        .error = "input",
        .message = "its copy is no longer in the spool: drop the file again"};
    int code = queue_begin(q, err);
    if (code) {
        return code;
    }
    code = queue_move_exposure(q, c->exposure, FILE_GONE,
                               "its copy is no longer in the spool", now, err);
    code = code ? code : queue_job_of_exposure(q, c->exposure, &job, err);
    if (!code && job.id && !job_state_is_final(job.state) &&
        job_may_move(job.state, JOB_HELD) && job.state != JOB_RUNNING) {
        code = queue_move(q, job.id, JOB_HELD, &change, now, err);
    }
    if (code) {
        queue_rollback(q);
        return code;
    }
    return queue_commit(q, err);
}

static int check_rows(struct reconcile *r, struct queue *q, double now, struct err *err)
{
    struct queue_copy *c;
    size_t n;
    int code = queue_copies(q, r->after, SLICE, &c, &n, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n && !code; i++) {
        char *path =
            mem_printf(err, "%s/%s/%s", r->places.exposures, c[i].sha256, c[i].name);
        code = path ? 0 : ERR_NOMEM;
        if (path && is_missing(path) && !(code = lose(q, &c[i], now, err))) {
            r->lost++;
            log_error("exposure %s: its copy %s is missing; drop the file again",
                      c[i].name, path);
        }
        r->after = code ? r->after : c[i].exposure;
        free(path);
    }
    free(c);
    if (!code && n < SLICE) {
        r->after = 0;
        r->at = RECONCILE_COPIES;
    }
    return code;
}

/* ---- copies without a row ---- */

static bool is_hash(const char *name)
{
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static void strand(struct reconcile *r, const char *sha256, const char *name,
                   const char *why)
{
    r->stranded++;
    log_error("%s/%s/%s belongs to no exposure of the queue and cannot go back to the "
              "inbox: %s; submit it again and remove it",
              r->places.exposures, sha256, name, why);
}

/* A copy back to the inbox, unless its file still lies there. */
static void give_back(struct reconcile *r, int folder, int inbox, const char *sha256,
                      const char *name)
{
    struct stat copy, there;
    if (fstatat(folder, name, &copy, AT_SYMLINK_NOFOLLOW) || !S_ISREG(copy.st_mode)) {
        return;
    }
    if (!fstatat(inbox, name, &there, AT_SYMLINK_NOFOLLOW)) {
        if (S_ISREG(there.st_mode) && there.st_size == copy.st_size) {
            r->removed += unlinkat(folder, name, 0) == 0;
        } else {
            strand(r, sha256, name, "it has another file of that name");
        }
    } else if (renameat2(folder, name, inbox, name, RENAME_NOREPLACE)) {
        strand(r, sha256, name, strerror(errno));
    } else {
        fsync(inbox);
        r->returned++;
        log_warning("%s was copied but is no exposure of the queue: back to the inbox",
                    name);
    }
}

static void empty_folder(struct reconcile *r, int inbox, const char *sha256,
                         enum file_state state)
{
    int fd = openat(dirfd(r->dir), sha256, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
            continue;
        }
        if (state == FILE_GONE) {
            r->removed += unlinkat(fd, e->d_name, 0) == 0;
        } else {
            give_back(r, fd, inbox, sha256, e->d_name);
        }
    }
    if (d) {
        closedir(d);
    } else if (fd >= 0) {
        close(fd);
    }
    unlinkat(dirfd(r->dir), sha256, AT_REMOVEDIR); /* if nothing is left */
}

static int check_copies(struct reconcile *r, struct queue *q, struct err *err)
{
    int inbox = open(r->places.inbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = 0;
    if (inbox < 0 || (!r->dir && !(r->dir = opendir(r->places.exposures)))) {
        code =
            err_set(err, ERR_IO, "cannot list %s: %s",
                    inbox < 0 ? r->places.inbox : r->places.exposures, strerror(errno));
    }
    struct dirent *e = NULL;
    for (int i = 0; i < SLICE && !code && (e = readdir(r->dir)); i++) {
        enum file_state state;
        if (is_hash(e->d_name) &&
            !(code = queue_content_state(q, e->d_name, &state, err)) &&
            state != FILE_ACCEPTED) {
            empty_folder(r, inbox, e->d_name, state);
        }
    }
    if (inbox >= 0) {
        close(inbox);
    }
    if (!code && !e) {
        reconcile_done(r);
        r->at = RECONCILE_PRODUCTS;
    }
    return code;
}

/* ---- products ---- */

static bool differs(const char *path, int64_t bytes)
{
    struct stat st;
    return stat(path, &st) ? errno == ENOENT || errno == ENOTDIR : st.st_size != bytes;
}

static int check_products(struct reconcile *r, struct queue *q, struct err *err)
{
    struct queue_stored *p;
    size_t n;
    int code = queue_stored_products(q, r->after, r->path, SLICE, &p, &n, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n; i++) {
        if (!differs(p[i].path, p[i].bytes)) {
            continue;
        }
        if (!r->missing) {
            memcpy(r->missing_job, p[i].name, sizeof r->missing_job);
            memcpy(r->missing_path, p[i].path, sizeof r->missing_path);
        }
        r->missing++;
        log_warning(
            "product %s of job %s is missing or was changed; ifuctl retry makes "
            "it again",
            p[i].path, p[i].name);
    }
    if (n == SLICE) {
        r->after = p[n - 1].job;
        memcpy(r->path, p[n - 1].path, sizeof r->path);
    } else {
        r->at = RECONCILE_DONE;
    }
    free(p);
    return 0;
}

int reconcile_step(struct reconcile *r, struct queue *q, bool spool_idle, double now,
                   struct err *err)
{
    switch (r->at) {
    case RECONCILE_ROWS:
        return check_rows(r, q, now, err);
    case RECONCILE_COPIES: /* one that is not committed yet has no row either */
        return spool_idle ? check_copies(r, q, err) : 0;
    case RECONCILE_PRODUCTS:
        return check_products(r, q, err);
    case RECONCILE_DONE:
        break;
    }
    return 0;
}
