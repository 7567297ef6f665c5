#include "daemon/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/path.h"

#define FOLDER "superseded"

bool kept_is(const char *path)
{
    return strstr(path, "/" FOLDER "/") != NULL;
}

/* Where a product of a job is kept. The caller frees. */
static char *place_of(const char *path, const char *job, struct err *err)
{
    char *folder = path_folder(path, err);
    char *place =
        folder ? mem_printf(err, "%s/" FOLDER "/%s/%s", folder, job, path_base(path))
               : NULL;
    free(folder);
    return place;
}

char *kept_path(const char *path, const char *job, struct err *err)
{
    char *place = kept_is(path) ? NULL : place_of(path, job, err);
    if (place && !access(place, F_OK)) {
        return place;
    }
    free(place);
    return mem_strdup(path, err);
}

/* Does the file system refuse links for good? */
static bool is_without_links(int number)
{
    return number == EPERM || number == EOPNOTSUPP || number == EMLINK ||
           number == EXDEV;
}

/* A second name for one file; a manifest that is not there is none. */
static int link_one(const char *from, const char *job, struct err *err)
{
    char *to = place_of(from, job, err), *folder = to ? path_folder(to, err) : NULL;
    int code = folder ? 0 : ERR_NOMEM;
    if (!code && !access(from, F_OK)) {
        code = path_make_folder(folder, 0755, err);
        if (!code && link(from, to) && errno != EEXIST && errno != ENOENT) {
            if (is_without_links(errno)) {
                log_warning("%s of job %s will not be kept: %s", from, job,
                            strerror(errno));
            } else {
                code = err_set(err, ERR_IO, "cannot link %s to %s: %s", from, to,
                               strerror(errno));
            }
        }
        code = code ? code : path_sync(folder, O_DIRECTORY, err);
    }
    free(folder);
    free(to);
    return code;
}

/* What lies beside a product and is none: the job's manifest, and what it has made. */
static int link_notes(const struct queue_job *job, const char *product, struct err *err)
{
    static const char *const kinds[] = {"manifest", "products"};
    const char *base = *job->product ? job->product : job->base;
    char *folder = path_folder(product, err);
    int code = folder ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !code; i++) {
        char *path =
            mem_printf(err, "%s/%s_%s_%s.json", folder, base, job->recipe, kinds[i]);
        code = path ? link_one(path, job->name, err) : ERR_NOMEM;
        free(path);
    }
    free(folder);
    return code;
}

/* All products that lie under their own names still, of one older version. */
static int link_version(const struct queue_job *old, const struct queue_product *p,
                        size_t n, struct err *err)
{
    bool noted = false;
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        if (!kept_is(p[i].path)) {
            code = noted ? 0 : link_notes(old, p[i].path, err);
            code = code ? code : link_one(p[i].path, old->name, err);
            noted = true;
        }
    }
    return code;
}

/* The version that a job replaces, and what it published; id 0 if there is none. */
static int older_products(struct queue *q, const struct queue_job *job,
                          struct queue_job *ret, struct queue_product **ret_products,
                          size_t *ret_n, struct err *err)
{
    int code = queue_older_version(q, job, ret, err);
    return code || !ret->id ? code
                            : queue_products(q, ret->id, ret_products, ret_n, err);
}

int kept_link(struct queue *q, const struct queue_job *job, struct err *err)
{
    struct queue_job old;
    struct queue_product *p;
    size_t n;
    int code = older_products(q, job, &old, &p, &n, err);
    if (code || !old.id) {
        return code;
    }
    code = link_version(&old, p, n, err);
    free(p);
    return code ? err_prefix(err, "keeping what job %s has published", old.name) : 0;
}

int kept_record(struct queue *q, const struct queue_job *job, struct err *err)
{
    struct queue_job old;
    struct queue_product *p, *now = NULL;
    size_t n, n_now = 0;
    int code = older_products(q, job, &old, &p, &n, err);
    if (code || !old.id) {
        return code;
    }
    code = queue_products(q, job->id, &now, &n_now, err);
    bool moved = false;
    for (size_t i = 0; i < n && !code; i++) {
        for (size_t k = 0; k < n_now && !code; k++) {
            char *place = strcmp(p[i].path, now[k].path)
                              ? NULL
                              : place_of(p[i].path, old.name, err);
            if (place && strlen(place) < sizeof p[i].path && !access(place, F_OK)) {
                strcpy(p[i].path, place);
                moved = true;
            }
            free(place);
        }
    }
    if (!code && moved) {
        code = queue_set_products(q, old.id, p, n, err);
    }
    free(now);
    free(p);
    return code;
}

/* One file; how many bytes went with its last name. */
static long long remove_file(int dir, const char *name, bool dry_run)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
        return 0;
    }
    if (!dry_run && unlinkat(dir, name, 0)) {
        log_warning("cannot remove %s of a superseded job: %s", name, strerror(errno));
        return 0;
    }
    return st.st_nlink == 1 ? (long long)st.st_size : 0;
}

void kept_remove(const char *path, bool dry_run, long long *bytes)
{
    char *folder = kept_is(path) ? path_folder(path, NULL) : NULL;
    DIR *d = folder ? opendir(folder) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            *bytes += remove_file(dirfd(d), e->d_name, dry_run);
        }
    }
    if (d) {
        closedir(d);
    }
    if (folder && !dry_run) {
        char *above = path_folder(folder, NULL);
        rmdir(folder);
        if (above) {
            rmdir(above); /* if it was the last one */
        }
        free(above);
    }
    free(folder);
}
