#include "tests/daemon/killing_vfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file { /* SQLite's own file lies behind it */
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs, vfs;
static sqlite3_io_methods methods;
static long left;

static sqlite3_file *real(sqlite3_file *f)
{
    return ((struct file *)f)->real;
}

static int on_close(sqlite3_file *f)
{
    int rc = real(f)->pMethods ? real(f)->pMethods->xClose(real(f)) : SQLITE_OK;
    free(real(f));
    return rc;
}

static int on_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return real(f)->pMethods->xRead(real(f), p, n, at);
}

static int on_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (--left == 0) {
        real(f)->pMethods->xWrite(real(f), p, n / 2, at);
        _exit(9);
    }
    return real(f)->pMethods->xWrite(real(f), p, n, at);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (--left == 0) {
        _exit(9);
    }
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int on_sync(sqlite3_file *f, int flags)
{
    if (--left == 0) {
        _exit(9);
    }
    return real(f)->pMethods->xSync(real(f), flags);
}

static int on_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int on_lock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xLock(real(f), lock);
}

static int on_unlock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xUnlock(real(f), lock);
}

static int on_check(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int on_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int on_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int on_device(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int on_shm_map(sqlite3_file *f, int page, int size, int extend,
                      void volatile **ret)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, ret);
}

static int on_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}

static void on_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int on_shm_unmap(sqlite3_file *f, int remove)
{
    return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static int on_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
                   int *ret_flags)
{
    (void)v;
    struct file *mine = (struct file *)f;
    mine->base.pMethods = NULL;
    if (!(mine->real = calloc(1, (size_t)real_vfs->szOsFile))) {
        return SQLITE_NOMEM;
    }
    int rc = real_vfs->xOpen(real_vfs, name, mine->real, flags, ret_flags);
    if (mine->real->pMethods) {
        mine->base.pMethods = &methods;
    } else {
        free(mine->real);
    }
    return rc;
}

static int on_delete(sqlite3_vfs *v, const char *name, int sync)
{
    (void)v;
    if (--left == 0) {
        _exit(9);
    }
    return real_vfs->xDelete(real_vfs, name, sync);
}

void killing_vfs_install(long n)
{
    left = n;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "killing";
    vfs.szOsFile = (int)sizeof(struct file);
    vfs.xOpen = on_open;
    vfs.xDelete = on_delete;
    methods = (sqlite3_io_methods){.iVersion = 2,
                                   .xClose = on_close,
                                   .xRead = on_read,
                                   .xWrite = on_write,
                                   .xTruncate = on_truncate,
                                   .xSync = on_sync,
                                   .xFileSize = on_size,
                                   .xLock = on_lock,
                                   .xUnlock = on_unlock,
                                   .xCheckReservedLock = on_check,
                                   .xFileControl = on_control,
                                   .xSectorSize = on_sector,
                                   .xDeviceCharacteristics = on_device,
                                   .xShmMap = on_shm_map,
                                   .xShmLock = on_shm_lock,
                                   .xShmBarrier = on_shm_barrier,
                                   .xShmUnmap = on_shm_unmap};
    sqlite3_vfs_register(&vfs, 1);
}
