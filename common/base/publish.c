#include "common/base/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/mem.h"
#include "common/base/path.h"

int publish_begin(const char *folder, const char *name, int attempt,
                  struct publish *ret, struct err *err)
{
    if (!path_is_safe_name(name)) {
        return err_set(err, ERR_PARAM,
                       "'%s' cannot be the name of a product: expected letters, digits "
                       "and . _ + - =, not beginning with . or -",
                       name);
    }
    struct publish p = {0};
    char *part = mem_printf(err, ".%s.%d.part", name, attempt);
    if (part) {
        p.final_path = path_join(folder, name, err);
        p.part_path = p.final_path ? path_join(folder, part, err) : NULL;
        free(part);
    }
    int code = p.part_path ? 0 : ERR_NOMEM;
    if (!code && unlink(p.part_path) && errno != ENOENT) {
        code =
            err_set(err, ERR_IO, "%s: cannot remove: %s", p.part_path, strerror(errno));
    }
    if (code) {
        free(p.final_path);
        free(p.part_path);
        return code;
    }
    *ret = p;
    return 0;
}

int publish_commit(struct publish *p, struct err *err)
{
    int code = 0;
    char *folder = path_folder(p->final_path, err);
    if (!folder) {
        code = ERR_NOMEM;
    }
    code = code ? code : path_sync(p->part_path, O_NOFOLLOW, err);
    if (!code && rename(p->part_path, p->final_path)) {
        code = err_set(err, ERR_IO, "%s: cannot rename it to %s: %s", p->part_path,
                       path_base(p->final_path), strerror(errno));
    }
    code = code ? code : path_sync(folder, O_DIRECTORY, err);
    free(folder);
    publish_abort(p);
    return code;
}

void publish_abort(struct publish *p)
{
    if (p->part_path) {
        unlink(p->part_path); /* gone already after a commit */
    }
    free(p->part_path);
    free(p->final_path);
    *p = (struct publish){0};
}

static int write_all(const char *path, const void *data, size_t n, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        return err_set(err, ERR_IO, "%s: cannot create: %s", path, strerror(errno));
    }
    int code = 0;
    size_t done = 0;
    while (!code && done < n) {
        ssize_t m = write(fd, (const char *)data + done, n - done);
        if (m > 0) {
            done += (size_t)m;
        } else if (m < 0 && errno != EINTR) {
            code = err_set(err, ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        }
    }
    if (close(fd) && !code) {
        code = err_set(err, ERR_IO, "%s: cannot close: %s", path, strerror(errno));
    }
    return code;
}

/* ---- several at once ---- */

/* Where a name stands in the set; set->n if it does not. */
static size_t place_of(const struct publish_set *set, const char *final_path)
{
    size_t i = 0;
    while (i < set->n && strcmp(set->parts[i].final_path, final_path) != 0) {
        i++;
    }
    return i;
}

int publish_set_begin(struct publish_set *set, const char *folder, const char *name,
                      int attempt, size_t *ret_i, struct err *err)
{
    struct publish p = {0};
    struct publish *more = mem_realloc(set->parts, set->n + 1, sizeof *more, err);
    if (!more) {
        return ERR_NOMEM;
    }
    set->parts = more;
    int code = publish_begin(folder, name, attempt, &p, err);
    if (code) {
        return code;
    }
    *ret_i = place_of(set, p.final_path);
    if (*ret_i < set->n) {
        publish_abort(&set->parts[*ret_i]);
    } else {
        set->n++;
    }
    set->parts[*ret_i] = p;
    return 0;
}

int publish_set_sync(struct publish_set *set, size_t i, struct err *err)
{
    return path_sync(set->parts[i].part_path, O_NOFOLLOW, err);
}

int publish_set_bytes(struct publish_set *set, const char *folder, const char *name,
                      int attempt, const void *data, size_t n, struct err *err)
{
    size_t i;
    int code = publish_set_begin(set, folder, name, attempt, &i, err);
    code = code ? code : write_all(set->parts[i].part_path, data, n, err);
    return code ? code : publish_set_sync(set, i, err);
}

/* The folder of part i, unless an earlier part lies there too: NULL in *ret. */
static int new_folder(const struct publish_set *set, size_t i, char **ret,
                      struct err *err)
{
    char *folder = path_folder(set->parts[i].final_path, err);
    int code = folder ? 0 : ERR_NOMEM;
    for (size_t k = 0; k < i && folder && !code; k++) {
        char *other = path_folder(set->parts[k].final_path, err);
        code = other ? 0 : ERR_NOMEM;
        if (other && !strcmp(folder, other)) {
            free(folder);
            folder = NULL;
        }
        free(other);
    }
    *ret = folder;
    return code;
}

static int sync_folders(const struct publish_set *set, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < set->n && !code; i++) {
        char *folder = NULL;
        code = new_folder(set, i, &folder, err);
        if (!code && folder) {
            code = path_sync(folder, O_DIRECTORY, err);
        }
        free(folder);
    }
    return code;
}

int publish_set_commit(struct publish_set *set, struct err *err)
{
    int code = 0;
    size_t done = 0;
    while (done < set->n && !code) {
        const struct publish *p = &set->parts[done];
        if (rename(p->part_path, p->final_path)) {
            code = err_set(err, ERR_IO, "%s: cannot rename it to %s: %s", p->part_path,
                           path_base(p->final_path), strerror(errno));
        } else {
            done++;
        }
    }
    code = code ? code : sync_folders(set, err);
    for (size_t i = 0; i < done && code; i++) {
        unlink(set->parts[i].final_path);
    }
    publish_set_abort(set);
    return code;
}

void publish_set_abort(struct publish_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        publish_abort(&set->parts[i]);
    }
    free(set->parts);
    *set = (struct publish_set){0};
}

size_t publish_sweep(const char *folder, const char *prefix, int attempt)
{
    char end[32] = ".part";
    if (attempt) {
        snprintf(end, sizeof end, ".%d.part", attempt);
    }
    DIR *dir = opendir(folder);
    size_t n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.' && !strncmp(e->d_name + 1, prefix, strlen(prefix)) &&
            path_has_suffix(e->d_name, end)) {
            n += unlinkat(dirfd(dir), e->d_name, 0) == 0;
        }
    }
    if (dir) {
        closedir(dir);
    }
    return n;
}

int publish_bytes(const char *folder, const char *name, int attempt, const void *data,
                  size_t n, struct err *err)
{
    struct publish p = {0};
    int code = publish_begin(folder, name, attempt, &p, err);
    if (code) {
        return code;
    }
    code = write_all(p.part_path, data, n, err);
    if (code) {
        publish_abort(&p);
        return code;
    }
    return publish_commit(&p, err);
}
