#include "common/base/publish.h"

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

/* fsync what `path` names; flags beyond O_RDONLY. */
static int sync_path(const char *path, int flags, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    int bad = fd < 0 || fsync(fd);
    int code =
        bad ? err_set(err, ERR_IO, "%s: cannot sync: %s", path, strerror(errno)) : 0;
    if (fd >= 0 && close(fd) && !code) {
        code = err_set(err, ERR_IO, "%s: cannot close: %s", path, strerror(errno));
    }
    return code;
}

int publish_commit(struct publish *p, struct err *err)
{
    int code = 0;
    char *folder = path_folder(p->final_path, err);
    if (!folder) {
        code = ERR_NOMEM;
    }
    code = code ? code : sync_path(p->part_path, O_NOFOLLOW, err);
    if (!code && rename(p->part_path, p->final_path)) {
        code = err_set(err, ERR_IO, "%s: cannot rename it to %s: %s", p->part_path,
                       path_base(p->final_path), strerror(errno));
    }
    code = code ? code : sync_path(folder, O_DIRECTORY, err);
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
