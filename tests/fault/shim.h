#ifndef IFUD_TESTS_FAULT_SHIM_H
#define IFUD_TESTS_FAULT_SHIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/*
 * What shim.so (shim.c) and the tests that preload it share: the environment that
 * commands it, a mapped file of counters, and the records of its log.
 *
 *   FAULT_STATE   a file that holds a struct fault_state, made by fault_state_new
 *   FAULT_PATH    only calls on files below this folder count
 *   FAULT_AT      the number of the call, from 1, at which ...
 *   FAULT_ACTION  ... this happens: kill (SIGKILL before the call), tear (half of the
 *                 write is done, then kill), killall (the whole process group),
 *                 short (half of the write is done and told), ENOSPC, EIO
 *   FAULT_SPAN    for so many calls (default 1; 0: for ever after)
 *   FAULT_KINDS   only these calls count: letters of fault_kinds below (default: all)
 *   FAULT_NAME    only calls whose path contains this count
 *   FAULT_LOG     append a record of each successful call to this file
 *   FAULT_TIME    time(2) is this, so that products carry one date
 *
 * Calls of all processes that inherit the environment are counted together.
 * What the kernel writes through a mapping (SQLite's -shm) is not seen.
 */
enum fault_op {
    FAULT_WRITE = 'w',    /* path, offset, data */
    FAULT_SYNC = 's',     /* path: file or folder; "" is everything */
    FAULT_CREATE = 'c',   /* path of a new file */
    FAULT_TRUNCATE = 't', /* path, offset: the new length */
    FAULT_RENAME = 'r',   /* path, path2 */
    FAULT_LINK = 'l',     /* path, path2 */
    FAULT_UNLINK = 'u',   /* path; files and folders */
    FAULT_MKDIR = 'm'     /* path */
};

struct fault_state {
    atomic_long calls;    /* that counted, so far */
    atomic_long hits;     /* that the fault struck */
    pthread_mutex_t lock; /* of the log; shared between processes, robust */
};

struct fault_record { /* then path, path2 and data, without terminators */
    uint64_t inode;   /* of the file or folder; 0: not known */
    int64_t offset;
    uint32_t n_data;
    uint16_t n_path, n_path2;
    uint16_t op; /* enum fault_op */
    uint16_t pad[3];
};

#endif
