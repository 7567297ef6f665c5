#include "common/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/mem.h"

#define NAME_MAX_BYTES 200

char *path_join(const char *folder, const char *name, struct err *err)
{
    if (!folder || !folder[0] || name[0] == '/') {
        return mem_strdup(name, err);
    }
    size_t n = strlen(folder);
    return mem_printf(err, "%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", name);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_folder(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return mem_strdup(".", err);
    }
    size_t n = (size_t)(slash - path);
    return n ? mem_strndup(path, n, err) : mem_strdup("/", err);
}

bool path_has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && !strcmp(path + n - m, suffix);
}

/* Locale does not count here. */
static bool is_alnum(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool path_is_safe_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > NAME_MAX_BYTES || name[0] == '.' || name[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_alnum(name[i]) && !strchr("._+-=", name[i])) {
            return false;
        }
    }
    return true;
}

size_t path_slug(const char *text, char *ret, size_t size)
{
    size_t n = 0;
    bool gap = false;
    for (; *text && size; text++) {
        if (!is_alnum(*text)) {
            gap = n > 0;
            continue;
        }
        if (n + gap + 1 >= size) {
            break;
        }
        if (gap) {
            ret[n++] = '-';
            gap = false;
        }
        ret[n++] = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
    }
    if (size) {
        ret[n] = '\0';
    }
    return n;
}

void path_show(const char *name, char *ret, size_t size)
{
    size_t n = 0;
    for (; name[n] && n + 1 < size; n++) {
        ret[n] = name[n] >= ' ' && name[n] <= '~' ? name[n] : '?';
    }
    ret[n] = '\0';
}

int path_sync(const char *path, int flags, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    int code = fd < 0 || fsync(fd)
                   ? err_set(err, ERR_IO, "%s: cannot sync: %s", path, strerror(errno))
                   : 0;
    if (fd >= 0 && close(fd) && !code) {
        code = err_set(err, ERR_IO, "%s: cannot close: %s", path, strerror(errno));
    }
    return code;
}

/* A new folder's name is on the disk once the folder that holds it is synced. If it
 * cannot be, the folder goes again, so that the next attempt syncs it. */
static int sync_new_folder(const char *path, struct err *err)
{
    char *parent = path_folder(path, err);
    if (!parent) {
        return ERR_NOMEM;
    }
    int code = path_sync(parent, O_DIRECTORY, err);
    if (code) {
        rmdir(path);
    }
    free(parent);
    return code;
}

int path_make_folder(const char *path, mode_t mode, struct err *err)
{
    char *p = mem_strdup(path, err);
    if (!p) {
        return ERR_NOMEM;
    }
    int code = 0;
    size_t n = strlen(p);
    for (size_t i = 1; i <= n && !code; i++) {
        if ((p[i] && p[i] != '/') || p[i - 1] == '/') {
            continue;
        }
        char kept = p[i];
        struct stat st;
        p[i] = '\0';
        if (mkdir(p, mode)) {
            int reason = errno;
            if (stat(p, &st)) {
                code = err_set(err, ERR_IO, "%s: cannot make this folder: %s", p,
                               strerror(reason));
            } else if (!S_ISDIR(st.st_mode)) {
                code = err_set(err, ERR_IO, "%s: not a folder", p);
            }
        } else {
            code = sync_new_folder(p, err);
        }
        p[i] = kept;
    }
    free(p);
    return code;
}

bool path_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}
