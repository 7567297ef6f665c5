#include "common/data/cube_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "common/base/mem.h"

enum { VALUE = 4 }; /* bytes: all planes are of floats or uint32_t */

static int refused(const char *folder, double bytes, int why, struct err *err)
{
    return err_set(err, ERR_IO, "%s: a file of %.3g GB for the cube: %s", folder,
                   bytes / 1e9, strerror(why));
}

/* Is there room for the file, and for a product of the same size? */
static int check_room(const char *folder, size_t bytes, struct err *err)
{
    struct statvfs s;
    if (statvfs(folder, &s)) {
        return refused(folder, (double)bytes, errno, err);
    }
    const double free_bytes = (double)s.f_bavail * (double)s.f_frsize;
    if (free_bytes < 2 * (double)bytes) {
        return err_set(err, ERR_IO,
                       "%s: a cube of %.3g GB needs twice as much on this disk (a file "
                       "while it is made, and the product), and %.3g GB are free",
                       folder, (double)bytes / 1e9, free_bytes / 1e9);
    }
    return 0;
}

/* A file that no name leads to. */
static int open_unnamed(const char *folder, size_t bytes, int *ret_fd, struct err *err)
{
    char *name = mem_printf(err, "%s/.cube-XXXXXX", folder);
    if (!name) {
        return ERR_NOMEM;
    }
    const int fd = mkostemp(name, O_CLOEXEC);
    int why = fd < 0 ? errno : 0;
    if (fd >= 0) {
        unlink(name);
        why = posix_fallocate(fd, 0, (off_t)bytes);
    }
    free(name);
    if (why) {
        if (fd >= 0) {
            close(fd);
        }
        return refused(folder, (double)bytes, why, err);
    }
    *ret_fd = fd;
    return 0;
}

int cube_new_in_file(int nx, int ny, int nw, bool shared, const char *folder,
                     struct cube **ret, struct err *err)
{
    size_t n = 0, bytes = 0;
    int fd = -1;
    struct cube *c = cube_new_empty(nx, ny, nw, &n, err);
    int code = c ? 0 : ERR_NOMEM;
    if (!code && mem_mul(n, (shared ? 5u : 4u) * VALUE, &bytes)) {
        code = err_set(err, ERR_NOMEM, "a cube of %d x %d x %d spaxels is too large",
                       nx, ny, nw);
    }
    code = code ? code : check_room(folder, bytes, err);
    code = code ? code : open_unnamed(folder, bytes, &fd, err);
    if (!code) {
        void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            code = refused(folder, (double)bytes, errno, err);
        } else {
            c->file = map;
            c->file_bytes = bytes;
            c->sci = map;
            c->err = c->sci + n;
            c->dq = (uint32_t *)map + 2 * n;
            c->wmap = c->sci + 3 * n;
            c->var_background = shared ? c->sci + 4 * n : NULL;
        }
        close(fd);
    }
    if (code) {
        cube_free(c);
        return code;
    }
    *ret = c;
    return 0;
}

/* Whole pages, outwards: what is dropped comes back from the file when it is touched. */
static void drop(const struct cube *c, const void *from, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t at = (size_t)((const char *)from - (const char *)c->file);
    const size_t low = at / page * page, high = at + bytes;
    madvise((char *)c->file + low, high - low, MADV_DONTNEED);
}

void cube_rest(const struct cube *c, int k0, int k1)
{
    const void *const planes[] = {c->sci, c->err, c->dq, c->wmap, c->var_background};
    const size_t plane = (size_t)c->nx * (size_t)c->ny * VALUE;
    for (size_t i = 0; i < sizeof planes / sizeof *planes && c->file && k1 > k0; i++) {
        if (planes[i]) {
            drop(c, (const char *)planes[i] + (size_t)k0 * plane,
                 (size_t)(k1 - k0) * plane);
        }
    }
}
